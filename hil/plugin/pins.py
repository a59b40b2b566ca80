"""A board's pins, from the thread of a test."""

from __future__ import annotations

from typing import TYPE_CHECKING

from boardtalk.hil.plugin.rig import Done, done

if TYPE_CHECKING:
    from boardtalk.hil.micropython import pins
    from boardtalk.hil.micropython.registers import Change
    from boardtalk.hil.plugin.rig import Rig


class Pin:
    """A pin, from outside: `value` and `reading` can be set, too."""

    def __init__(self, rig: Rig, pin: pins.Pin) -> None:
        self._rig = rig
        self._pin = pin

    @property
    def mode(self) -> str:
        """What the program uses it for: unused, in, out, open drain, analog or pwm."""
        return self._pin.mode

    @property
    def value(self) -> int:
        """The level on the wire. Set it to drive an input."""
        return self._pin.value

    @value.setter
    def value(self, level: int) -> None:
        self._pin.value = level

    def disconnect(self) -> None:
        """Drive it no more."""
        self._pin.disconnect()

    @property
    def duty(self) -> int:
        """Of its pulses, 0 to 65535."""
        return self._pin.duty

    @property
    def frequency(self) -> int:
        """Of its pulses, Hz."""
        return self._pin.frequency

    @property
    def reading(self) -> int:
        """What its analogue input reads, 0 to 65535."""
        return self._pin.reading

    @reading.setter
    def reading(self, reading: int) -> None:
        self._pin.reading = reading

    def until(self, value: int | None = None, *, duty: int | None = None) -> Done:
        """Wait until this level is on the wire, or its pulses have this duty.

        Raises:
            PinError: that is not so within 5 s.
        """
        return self._rig.run(done(self._pin.until, value, duty=duty))


class Pins:
    """All pins: `board.pins[25].value`."""

    def __init__(self, rig: Rig, raw: pins.Pins) -> None:
        self._rig = rig
        self._pins = raw

    def __getitem__(self, number: int) -> Pin:
        """One pin, by its number. Raises PinError: the board has none of this number."""
        return Pin(self._rig, self._pins[number])

    @property
    def history(self) -> list[Change]:
        """What the program did to the pins, with times, oldest first."""
        return self._pins.history
