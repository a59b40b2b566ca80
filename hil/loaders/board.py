"""A chip with a boot loader, powered and wired: it answers whatever tool opens its port."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final, Protocol, Self

from boardtalk.hil.loaders.flash import Flash, PowerLost
from boardtalk.hil.loaders.wire import PtyWire, Signals, Wire
from boardtalk.sdk.tasks import cancel_and_wait

if TYPE_CHECKING:
    from boardtalk.hil.loaders.events import Events

RATE_TOLERANCE: Final = 0.03
"""Of the baud rate: what a UART bears."""


class Chip(Protocol):
    """What a chip does, without any input or output of its own."""

    flash: Flash
    events: Events
    baud: int
    """Bits per second that it listens at; 0: it will find out from what comes."""

    def boot(self, loader: bool) -> bytes:
        """Power comes or reset ends: into the loader, or into what is on the flash."""

    def signal(self, signals: Signals) -> bytes:
        """The tool has set control lines."""

    def hear(self, data: bytes, baud: int) -> bytes:
        """Bytes have come, from a tool that has set this rate (0: unknown).

        Raises:
            PowerLost: in the middle of it.
        """


class LoaderBoard:
    """A chip on a wire, as an async context manager. It has power, and starts in its loader.

    Args:
        chip: which.
        wire: a pseudo-terminal, unless said otherwise.
    """

    def __init__(self, chip: Chip, wire: Wire | None = None) -> None:
        self.events = chip.events
        """What has happened."""
        self.flash = chip.flash
        """What is on it, and its faults."""
        self.wire = wire or PtyWire()
        self._chip = chip
        self._powered = False

    async def __aenter__(self) -> Self:
        await self.wire.__aenter__()
        self._serving = asyncio.create_task(self._serve(), name="emulated boot loader")
        await self.power_on()
        return self

    async def __aexit__(self, *exc: object) -> None:
        (served,) = await cancel_and_wait(self._serving)
        await self.wire.__aexit__(*exc)
        if isinstance(served, Exception):
            raise served

    @property
    def port(self) -> str:
        """What a tool opens: a path or a URL."""
        return self.wire.port

    async def power_on(self, *, loader: bool = True) -> None:
        """Let it boot, also if it has power: that is a reset. The flash is as it was.

        Args:
            loader: with its boot button held, or boot pin set.
        """
        self._powered = True
        await self.wire.send(self._chip.boot(loader))

    def power_off(self, why: str = "") -> None:
        """Take its power: it says nothing more. The port stays, which has the power of the host."""
        self._powered = False
        self.events.note("power lost", why)

    async def _serve(self) -> None:
        while True:
            data = await self.wire.received.get()
            if not self._powered:
                continue
            try:
                said = self._take(data)
            except PowerLost as error:
                self.power_off(str(error))
                continue
            busy, self.flash.busy_s = self.flash.busy_s, 0.0
            if busy:
                await asyncio.sleep(busy)
            with contextlib.suppress(OSError):
                await self.wire.send(said)

    def _take(self, data: bytes | Signals) -> bytes:
        if isinstance(data, Signals):
            return self._chip.signal(data)
        ours, theirs = self._chip.baud, self.wire.baud
        if ours and theirs and abs(ours - theirs) > RATE_TOLERANCE * ours:
            self.events.note("garbage", f"{theirs} baud, and the chip listens at {ours}")
            return b""
        return self._chip.hear(data, theirs)
