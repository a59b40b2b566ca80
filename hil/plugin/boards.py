"""The fixture `board`: an emulated one or a real one, with what a test may do to it."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol

import pytest

from boardtalk.hil.board import HEAP
from boardtalk.hil.firmware import assemble, declared
from boardtalk.hil.micropython.board import MicroPythonBoard
from boardtalk.hil.plugin.firmware import DICTIONARY
from boardtalk.hil.plugin.pins import Pins
from boardtalk.hil.plugin.rig import Done, Result, done
from boardtalk.hil.qemu import tiny
from boardtalk.hil.qemu.microbit import Microbit
from boardtalk.hil.wires import Extension, TcpWire
from boardtalk.modules.iot_bridge.dictionary import parse

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from boardtalk.hil.micropython.bus import I2cBus, SpiBus
    from boardtalk.hil.plugin.kinds import Kind
    from boardtalk.hil.plugin.lines import Line
    from boardtalk.hil.plugin.rig import Rig

BAUD: Final = 115_200
"""Of real ports, as the gateway takes them if nothing else is said."""
POLL_S: Final = 0.05


@dataclass(frozen=True)
class Moment(Result):
    """What a simulated robot did at a time."""

    at: float
    """Seconds of this machine's monotonic clock, by the robot itself."""
    state: dict[str, Any]
    """Such as `{"left": 50, "right": 50}`."""


class Handled(Protocol):
    """What a hand at the board can do."""

    async def reset(self) -> None:
        """Press its button."""
        ...

    async def power_cut(self) -> None:
        """Take its power."""
        ...

    async def power_on(self) -> None:
        """Give it back."""
        ...

    def freeze(self) -> None:
        """Hold it."""
        ...

    def thaw(self) -> None:
        """Let it go on."""
        ...


class Board:
    """A board that runs the chosen firmware.

    Methods that take time are awaited in an async test. Where the board can't do what a test asks for, the
    test is skipped.
    """

    name: str
    """Its address in the chat."""
    port: str
    """Where it is plugged in."""
    uid: str
    """Its unique id; "" where that is not known."""
    gone: bool = False
    """Whether its test is over."""

    def __init__(
        self,
        rig: Rig,
        kind: Kind,
        name: str,
        port: str,
        *,
        line: Line | None,
        emulated: MicroPythonBoard | Microbit | None = None,
    ) -> None:
        self.name = name
        self.port = port
        self._simulated = emulated if isinstance(emulated, MicroPythonBoard) else None
        self.uid = self._simulated.uid if self._simulated else ""
        self.kind = kind
        self._rig = rig
        self._line = line
        self._emulated = emulated

    @property
    def line(self) -> Line:
        """The line between it and the gateway; only for tests that use the fixture `line`."""
        if self._line is None:
            raise pytest.UsageError("name the fixture `line` among the test's arguments, not later")
        return self._line

    @property
    def pins(self) -> Pins:
        """Its pins, as they are seen and driven from outside: `board.pins[25].value`."""
        return Pins(self._rig, self._simulated_one("pins").pins)

    @property
    def i2c(self) -> I2cBus:
        """Its I2C bus: `board.i2c.attach(0x76)` puts a device of 256 registers there."""
        return self._simulated_one("pins").i2c

    @property
    def spi(self) -> SpiBus:
        """Its SPI bus: `board.spi.attach(17)` puts a device there that pin 17 selects."""
        return self._simulated_one("pins").spi

    @property
    def uarts(self) -> list[str]:
        """The ports that lead to its UARTs, by number, for pyserial and the like."""
        return self._simulated_one("pins").uarts

    @property
    def outputs(self) -> list[Moment]:
        """What the simulated robot's outputs did, oldest first."""
        self._simulated_one("world")
        return self.moments

    @property
    def moments(self) -> list[Moment]:
        """Likewise, for the report: none where it can't be seen."""
        outputs = self._simulated.outputs if self._simulated else ()
        return [Moment(each.at, each.state) for each in list(outputs)]

    @property
    def shows_pins(self) -> bool:
        """Whether its pins are to be seen, now."""
        return self._simulated is not None and not self.gone

    def world(self, **senses: Any) -> Done:
        """Change what the simulated robot senses, such as `battery=6.2`."""
        return self._rig.run(done(self._simulated_one("world").world, **senses))

    def until(self, **state: Any) -> Moment:
        """The next output with this state, such as `left=0, right=0`, after the one found last.

        Raises:
            WorldError: there is none within 5 s.
        """
        return self._rig.run(partial(self._until, self._simulated_one("world"), state))

    def reset(self) -> Done:
        """Press the reset button."""
        return self._rig.run(done(self._that_can("reset").reset))

    def power_off(self) -> Done:
        """Cut its power, at once; its port stays, silent."""
        return self._rig.run(done(self._that_can("power").power_cut))

    def power_on(self) -> Done:
        """Give it power again."""
        return self._rig.run(done(self._that_can("power").power_on))

    def freeze(self) -> None:
        """Hold its program, as if it hung."""
        self._rig.now(self._that_can("freeze").freeze)

    def thaw(self) -> None:
        """Let it go on."""
        self._rig.now(self._that_can("freeze").thaw)

    @staticmethod
    async def _until(emulated: MicroPythonBoard, state: dict[str, Any]) -> Moment:
        record = await emulated.until(**state)
        return Moment(record.at, record.state)

    def _simulated_one(self, capability: str) -> MicroPythonBoard:
        if self._simulated is None:
            pytest.skip(self.kind.why_not(capability))
        return self._simulated

    def _that_can(self, capability: str) -> Handled:
        if self._emulated is None:
            pytest.skip(self.kind.why_not(capability))
        return self._emulated


@contextmanager
def emulated(
    rig: Rig,
    kind: Kind,
    paths: Sequence[Path],
    *,
    line: Line | None = None,
    name: str = "",
    uid: str = "",
    heap: str = HEAP,
) -> Iterator[Board]:
    """An emulated board on these files."""
    robot = assemble(paths, rig.folder())
    made = MicroPythonBoard(robot, uid=uid, heap=heap, line=line, folder=rig.folder())
    if line is not None:
        line.plugged_into(made)
    with rig.entered(made) as running:
        board = Board(rig, kind, name or declared(paths), running.port, line=line, emulated=running)
        try:
            yield board
        finally:
            board.gone = True


@contextmanager
def microbit(rig: Rig, kind: Kind, robot: Path, *, line: Line | None, name: str = "") -> Iterator[Board]:
    """A micro:bit in QEMU, with the tiny client and this robot."""
    files = tiny.files(robot)
    made = Microbit(files, line=line, folder=rig.folder())
    if line is not None:
        line.plugged_into(made)
    declared_name = parse(files[DICTIONARY]).name
    with rig.entered(made) as running:
        yield Board(rig, kind, name or declared_name, running.port, line=line, emulated=running)


@contextmanager
def real(
    rig: Rig, kind: Kind, paths: Sequence[Path], *, line: Line | None, name: str = ""
) -> Iterator[Board]:
    """The board at a port, for this process alone."""
    with ExitStack() as stack:
        stack.enter_context(_alone(kind.port))
        port = kind.port
        if line is not None:
            port = stack.enter_context(rig.entered(_through(line, kind.port, rig.folder()))).port
        yield Board(rig, kind, name or declared(paths), port, line=line)


def _through(line: Line, port: str, folder: Path) -> Extension | TcpWire:
    _, is_url, address = port.partition("://")
    if not is_url:
        return Extension(line, folder, port, BAUD)
    host, _, number = address.rpartition(":")
    return TcpWire(line, host, int(number))


@contextmanager
def _alone(port: str) -> Iterator[None]:
    """Have a port for ourselves: other workers of the same run wait. Nothing of it can stay behind."""
    with socket.socket(socket.AF_UNIX) as lock:
        while True:
            try:
                lock.bind(f"\0boardtalk-hil {port}")
                break
            except OSError:
                time.sleep(POLL_S)
        yield
