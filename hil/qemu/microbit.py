"""A micro:bit in QEMU: the machine code of a real MicroPython, 16 KB of memory, a UART that loses bytes."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from boardtalk.hil.board import BoardError
from boardtalk.hil.line import FaultyLine
from boardtalk.hil.port import Port, socket_pair
from boardtalk.hil.qemu import microbitfs
from boardtalk.sdk import BoardtalkError
from boardtalk.sdk.leash import leashed
from boardtalk.sdk.tasks import cancel_and_wait

if TYPE_CHECKING:
    from collections.abc import Mapping

    from boardtalk.hil.paced import PacedLine

QEMU: Final = "qemu-system-arm"
FIRMWARE: Final = Path("/usr/share/firmware-microbit-micropython/firmware.hex")
"""MicroPython 1.9.2 as micro:bit 1.0.1, from Debian's package."""


class MicrobitMissing(BoardtalkError):
    """QEMU or the firmware is not installed."""


class Microbit:
    """An emulated micro:bit on `port`, as an async context manager. Unplugged it has no power.

    Args:
        files: what is on its flash, such as `{"main.py": b"…"}`, which it runs when it starts.
        line: its faults, or its speed. The UART takes what it gets, and drops what it can't hold.
        folder: where its own folder is made; else where temporary files are.

    Raises:
        MicrobitMissing: something has to be installed first.
        FlashFull: the files do not fit.
    """

    def __init__(
        self,
        files: Mapping[str, bytes] | None = None,
        *,
        line: FaultyLine | PacedLine | None = None,
        folder: Path | None = None,
    ) -> None:
        missing = missing_packages()
        if missing:
            raise MicrobitMissing(f"an emulated micro:bit needs: apt install {' '.join(missing)}")
        self._image = microbitfs.image(files or {})
        self._line = line or FaultyLine(0)
        self._parent = folder
        self._process: asyncio.subprocess.Process | None = None
        self._copying: asyncio.Task[None] | None = None
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as stack:
            own = tempfile.TemporaryDirectory(prefix="boardtalk-microbit-", dir=self._parent)
            folder = Path(stack.enter_context(own))
            self._flash = folder / "flash"
            self._flash.write_bytes(self._image)
            self._port = Port(folder / "port")
            self._near, self._far = socket_pair(stack)
            stack.push_async_callback(self.unplug)
            await self.replug()
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    @property
    def port(self) -> str:
        """Path of the port; the same for the board's whole life."""
        return str(self._port.path)

    @property
    def running(self) -> bool:
        """Whether it has power."""
        return self._process is not None and self._process.returncode is None

    async def replug(self) -> None:
        """Plug it in: it starts."""
        self._port.plug()
        join = self._line.join(self._near.fileno(), self._port.near)
        self._copying = asyncio.create_task(join, name="line of an emulated micro:bit")
        await self.power_on()

    async def unplug(self) -> None:
        """Pull the cable: the port vanishes, and it loses its power."""
        await self.power_cut()
        copying, self._copying = self._copying, None
        if copying is not None:
            await cancel_and_wait(copying)
        self._port.unplug()

    async def reset(self) -> None:
        """Press the reset button: its memory is as new, the port stays."""
        await self.power_cut()
        await self.power_on()

    def freeze(self) -> None:
        """Hold its processor."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, signum: signal.Signals) -> None:
        if self._process is None or not self.running:
            raise BoardError("the emulated micro:bit has no power")
        self._process.send_signal(signum)

    async def power_cut(self) -> None:
        """Cut its power, at once; the port stays, silent."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()

    async def power_on(self) -> None:
        """Give it power: it starts.

        Its UART is a socket: of a terminal QEMU would change the settings, behind its user's
        back.

        Raises:
            BoardError: it has power.
        """
        if self.running:
            raise BoardError("the emulated micro:bit has power already")
        self._process = await asyncio.create_subprocess_exec(
            *leashed(str(shutil.which(QEMU)), "-M", "microbit"),
            *("-device", f"loader,file={FIRMWARE}"),
            *("-device", f"loader,file={self._flash},addr={microbitfs.AT:#x},force-raw=on"),
            *("-display", "none", "-monitor", "none"),
            *("-chardev", "stdio,id=uart,signal=off", "-serial", "chardev:uart"),
            stdin=self._far.fileno(),
            stdout=self._far.fileno(),
            start_new_session=True,
        )


def missing_packages() -> list[str]:
    """Debian's packages that an emulated micro:bit lacks here."""
    lacks = {
        "qemu-system-arm": not shutil.which(QEMU),
        "firmware-microbit-micropython": not FIRMWARE.is_file(),
    }
    return [package for package, missing in lacks.items() if missing]
