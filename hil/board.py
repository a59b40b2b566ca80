"""Emulated boards: the shipped firmware in real MicroPython, behind a pseudo-terminal."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from boardtalk.hil.interpreter import find_interpreter
from boardtalk.hil.port import Port, socket_pair
from boardtalk.hil.world import World
from boardtalk.sdk import BoardtalkError
from boardtalk.sdk.leash import leashed
from boardtalk.sdk.tasks import cancel_and_wait

if TYPE_CHECKING:
    from boardtalk.hil.line import FaultyLine
    from boardtalk.hil.paced import PacedLine
    from boardtalk.hil.world import Record

HEAP: Final = "128k"
"""MicroPython's memory. Pointers have 64 bits here: it is what half of it is on a microcontroller."""

POWER_ON, HARD = 1, 2
"""Causes of a reset, as `frames.ResetCause` and `sim/machine.py` count."""


class BoardError(BoardtalkError):
    """The emulated board can't do that now."""


class Launch(NamedTuple):
    """How a board's program is started, in its flash's folder, with the line as standard streams."""

    command: tuple[str, ...]
    environment: dict[str, str]
    descriptors: tuple[int, ...] = ()
    """It inherits these too."""


class EmulatedBoard:
    """A board on `port`, as an async context manager.

    Wired directly its program has the pseudo-terminal as its standard input and output; that is as
    fast as it gets, and the board is powered by the port: unplugged it is dead, plugged in again it
    starts. With a `line` it has power of its own and runs on while unplugged.

    Args:
        robot: one of the examples of the firmware, or a folder with a `main.py`.
        uid: its unique id, hex; "" for a random one.
        heap: MicroPython's memory.
        fallback: let CPython run it where there is no MicroPython; see `interpreter`.
        line: what the line does, such as faults.
        folder: where its own folder is made; else where temporary files are.

    Raises:
        InterpreterError: there is nothing to run it.
    """

    def __init__(
        self,
        robot: str | Path = "rover",
        *,
        uid: str = "",
        heap: str = HEAP,
        fallback: bool = False,
        line: FaultyLine | PacedLine | None = None,
        folder: Path | None = None,
    ) -> None:
        self.uid = uid or secrets.token_hex(8)
        self._interpreter = find_interpreter(robot, heap, fallback=fallback)
        self._line = line
        self._parent = folder
        self._world = World()
        self._process: asyncio.subprocess.Process | None = None
        self._copying: asyncio.Task[None] | None = None
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        try:
            await self._begin()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    @property
    def port(self) -> str:
        """Path of the port; the same for the board's whole life."""
        return str(self._port.path)

    @property
    def interpreter(self) -> str:
        """What runs the firmware, for people."""
        return self._interpreter.name

    @property
    def running(self) -> bool:
        """Whether its program runs (or is frozen)."""
        return self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int:
        """Process id of its program.

        Raises:
            BoardError: it does not run.
        """
        if self._process is None or not self.running:
            raise BoardError("the emulated board's program does not run")
        return self._process.pid

    @property
    def outputs(self) -> list[Record]:
        """What the simulated robot's outputs did, oldest first, through all resets."""
        return self._world.outputs

    async def world(self, **senses: Any) -> None:
        """Change what the simulated robot senses, such as `battery=6.2` or `obstacle_cm=10`.

        Raises:
            WorldError: it does not notice.
        """
        await self._world.change(**senses)

    async def until(self, **state: Any) -> Record:
        """The next output with this state, such as `left=0, right=0`, after the one found last.

        Raises:
            WorldError: there is none within 5 s.
        """
        return await self._world.until(**state)

    async def kill(self) -> None:
        """Its program ends at once; the port stays, silent."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()
        await self._world.ended()
        self._process = None

    async def ended(self) -> None:
        """Wait until its program has ended by itself."""
        if self._process is not None:
            await self._process.wait()

    async def reset(self) -> None:
        """Press the reset button: the program starts anew, the port stays.

        Raises:
            BoardError: its line has failed: nobody would hear of it any more.
        """
        self._check_line()
        await self.kill()
        await self._start(HARD)

    def freeze(self) -> None:
        """Hold its program, as if it hung."""
        os.killpg(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        os.killpg(self.pid, signal.SIGCONT)

    async def unplug(self) -> None:
        """Pull the cable: the port vanishes."""
        if self._line is None:
            await self.kill()
        await self._end_copying()
        self._port.unplug()

    async def replug(self) -> None:
        """Plug the cable in again: the port comes back under its path."""
        if self._port.plugged:
            raise BoardError("the emulated board is plugged in already")
        self._port.plug()
        if self._line is None:
            await self._start(POWER_ON)
            return
        with contextlib.suppress(BlockingIOError):  # what it said to nobody
            while self._ours.recv(65536):
                pass
        join = self._line.join(self._ours.fileno(), self._port.near)
        self._copying = asyncio.create_task(join, name="line of an emulated board")

    async def _begin(self) -> None:
        folder = self._stack.enter_context(
            tempfile.TemporaryDirectory(prefix="boardtalk-board-", dir=self._parent)
        )
        self._folder = Path(folder)
        self._install()
        self._port = Port(self._folder / "port")
        self._ours, self._boards = socket_pair(self._stack)
        self._stack.callback(self._world.close)
        self._stack.callback(self._port.unplug)
        self._stack.push_async_callback(self.kill)
        self._stack.push_async_callback(self._end_copying)
        await self.replug()
        if not self.running:
            await self._start(POWER_ON)

    async def _end_copying(self) -> None:
        try:
            self._check_line()
        finally:
            copying, self._copying = self._copying, None
            if copying is not None:
                await cancel_and_wait(copying)

    def _check_line(self) -> None:
        """A line that has failed must not look like a board that says nothing."""
        if self._copying is not None and self._copying.done():
            raise BoardError("the line of the emulated board has failed") from self._copying.exception()

    def _install(self) -> None:
        """Put on its flash what belongs there."""
        self._interpreter.install(self._folder / "flash")

    def _launch(self, cause: int) -> Launch:
        """How its program is started after a reset."""
        return Launch(
            self._interpreter.command,
            {"MICROPYPATH": ".frozen", "BOARDTALK_RESET_CAUSE": str(cause)},
        )

    async def _start(self, cause: int) -> None:
        into, out = self._world.open()
        line = self._port.near if self._line is None else self._boards.fileno()
        launch = self._launch(cause)
        environment = {
            **os.environ,
            **launch.environment,
            "BOARDTALK_UID": self.uid,
            "BOARDTALK_WORLD": f"{into},{out}",
        }
        try:
            self._process = await asyncio.create_subprocess_exec(
                *leashed(*launch.command),
                stdin=line,
                stdout=line,
                stderr=line,
                cwd=self._folder / "flash",
                env=environment,
                pass_fds=(into, out, *launch.descriptors),
                start_new_session=True,
            )
        finally:
            os.close(into)
            os.close(out)
