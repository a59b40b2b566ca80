"""A simulated robot in virtual time: its program and the shipped client, and a minute passes at once."""

from __future__ import annotations

import asyncio
import random
from contextlib import AsyncExitStack, suppress
from itertools import count
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, Self, cast

from boardtalk.hil.board import BoardError
from boardtalk.hil.interpreter import flash_files
from boardtalk.hil.virtual.firmware import MICROPYTHON, Firmware
from boardtalk.hil.virtual.wire import Line, connect
from boardtalk.hil.world import Record
from boardtalk.modules.iot_bridge.device import Device
from boardtalk.modules.iot_bridge.frames import Outcome
from boardtalk.modules.iot_bridge.language.commands import read
from boardtalk.modules.iot_bridge.news import Order
from boardtalk.sdk import BoardtalkError

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from boardtalk.modules.iot_bridge.cache import DictionaryCache

BAUD: Final = 115_200
TTL_S: Final = 2.0
LEASE_MS: Final = 500
RENEWALS_PER_LEASE: Final = 5


class NotDone(BoardtalkError):
    """A robot did not do what it was told. The words are its own."""


class Dictionaries:
    """A cache of them in memory: threads have no place on a virtual clock."""

    def __init__(self) -> None:
        self._texts: dict[bytes, bytes] = {}

    async def get(self, hash_: bytes) -> bytes | None:
        """See `DictionaryCache.get`."""
        return self._texts.get(hash_)

    async def put(self, hash_: bytes, text: bytes) -> None:
        """See `DictionaryCache.put`."""
        self._texts[hash_] = text


class VirtualRobot:
    """A robot that comes with boardtalk, as an async context manager, within `clock.run`.

    ::

        async def story() -> None:
            async with VirtualRobot("rover") as robot:
                robot.world(obstacles=[[60, 0, 10]])
                assert (await robot.do("forward 20"))["x"] > 19

        run(story())

    The same story takes the same time again, and comes to the same end. CPython runs the program, so nothing
    is shown of MicroPython's limits.

    Args:
        robot: which of the examples.
        line: between it and the gateway.

    Raises:
        BoardError: there is no such robot.
    """

    def __init__(self, robot: str = "rover", line: Line | None = None) -> None:
        self._world = _World()
        self._serving: Coroutine[Any, Any, None] | None = None
        self.outputs = self._world.outputs
        """What its outputs did, oldest first, with the clock's time."""
        self._port, uart, _ = connect(line or Line(baud=BAUD))
        files = {path.stem: path for path in flash_files(robot).values() if path.is_file()}
        if "main" not in files:
            raise BoardError(f"no robot {robot!r} comes with boardtalk")
        self._firmware = Firmware(stream=uart, files=files, given=self._given())
        self._ids = count(1)

    async def __aenter__(self) -> Self:
        self._firmware.program("main")
        if self._serving is None:
            raise BoardError("its program ended without `run`")
        cache = cast("DictionaryCache", Dictionaries())
        async with AsyncExitStack() as stack:
            serving = asyncio.create_task(self._serving, name="program of a virtual robot")
            stack.callback(serving.cancel)
            self._device = await stack.enter_async_context(Device(self._port, cache))
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def world(self, **senses: Any) -> None:
        """Change what it senses, such as `battery=6.2`; it notices when it looks next."""
        self._world.changes.append(senses)

    async def do(self, text: str, epoch: int = 0) -> dict[str, Any]:
        """Have it obey a command as people type it; a motion is renewed meanwhile.

        Args:
            text: such as `forward 20 cm`.
            epoch: of the last stop.

        Returns:
            What it returned, by name.

        Raises:
            CommandError: it has no such command, or no such arguments.
            NotDone: it failed, was refused or stopped.
        """
        order = read(text, self._device.dictionary)
        command = order.command
        lease = LEASE_MS if command.cls == "motion" or command.unattended else 0
        id_ = next(self._ids)
        args = command.args_format.pack(order.args)
        work = asyncio.create_task(self._device.command(Order(id_, order.index, TTL_S, epoch, lease, args)))
        while not work.done():
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(work), LEASE_MS / 1000 / RENEWALS_PER_LEASE)
            if lease and not work.done():
                self._device.renew(id_, lease)
        result = await work
        if result.outcome is not Outcome.DONE:
            raise NotDone(result.reason)
        return command.returns_format.unpack(result.data)

    async def stop(self, epoch: int) -> None:
        """Outputs off, until `rearm`."""
        await self._device.stop(epoch)

    async def rearm(self, epoch: int) -> None:
        """Let it move again."""
        await self._device.rearm(epoch)

    def _given(self) -> dict[str, Any]:
        """What its program finds instead of MicroPython and hardware."""
        changed = {"run": self._serve, "new_event_loop": lambda: None}
        return {
            "asyncio": SimpleNamespace(**{**vars(MICROPYTHON["asyncio"]), **changed}),
            "gc": SimpleNamespace(collect=lambda: None, threshold=lambda _: None, mem_free=lambda: 0),
            "os": SimpleNamespace(getenv=lambda _: None),
            "random": random.Random(1),  # noqa: S311 - repeatable, not secret
            "world": SimpleNamespace(World=lambda: self._world),
        }

    def _serve(self, serving: Coroutine[Any, Any, None]) -> None:
        """Where the program would stay: it goes on beside the test."""
        self._serving = serving


class _World:
    """The robot's end of its world, without pipes."""

    def __init__(self) -> None:
        self.outputs: list[Record] = []
        self.changes: list[dict[str, Any]] = []

    def hear(self) -> dict[str, Any]:
        return self.changes.pop(0) if self.changes else {}

    def tell(self, **state: Any) -> None:
        self.outputs.append(Record(asyncio.get_running_loop().time(), state))
