"""Stops, re-arming, resets and commands in any order: what was said before a stop never happens after it.

The gateway's own board logic talks to the real firmware; the model has an epoch and a latch.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from itertools import chain, count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, seed, settings
from hypothesis import strategies as st

from boardtalk.hil.board import EmulatedBoard
from boardtalk.modules.iot_bridge.cache import DictionaryCache
from boardtalk.modules.iot_bridge.device import Device
from boardtalk.modules.iot_bridge.errors import LinkError
from boardtalk.modules.iot_bridge.feed import Feed
from boardtalk.modules.iot_bridge.frames import Outcome
from boardtalk.modules.iot_bridge.news import Order
from boardtalk.modules.iot_bridge.service import api
from boardtalk.modules.iot_bridge.service.board import Board
from boardtalk.modules.iot_bridge.service.memory import Memory
from boardtalk.modules.iot_bridge.service.tap import Taps
from boardtalk.modules.iot_bridge.transports.serial import SerialPort

from .figures import note
from .rig import ROBOTS, seeded

MARK, MOVE = 0, 2
LEASE_MS = 2000
SHORT = pytest.param(150, id="short", marks=pytest.mark.timeout(120))
LONG = pytest.param(10_000, id="long", marks=[pytest.mark.soak, pytest.mark.timeout(7200)])
RESETS = 3
"""At least: those of the examples."""
PHRASES = st.sampled_from(
    [
        *(
            (step,)
            for step in ("say", "accept", "accept", "submit", "smuggle", "move", "stop", "race", "rearm")
        ),
        ("accept", "stop", "rearm", "smuggle"),
        ("accept", "stop", "rearm", "submit"),
        ("move", "stop", "rearm", "say"),
    ]
)


class Stage:
    """A board, the gateway's idea of it, and what was accepted but not yet sent."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = count(1)
        self._results: dict[int, asyncio.Future[api.Result]] = {}
        self._stack = AsyncExitStack()
        self.held: list[tuple[int, int]] = []
        """Numbers of commands, and the epoch in which each was accepted."""
        self.done: Counter[str] = Counter()

    async def open(self) -> None:
        """Begin a session with a new board."""
        self.robot = await self._stack.enter_async_context(EmulatedBoard(ROBOTS / "ledger"))
        tasks = await self._stack.enter_async_context(asyncio.TaskGroup())
        feed: Feed[api.AnyAnswer] = Feed()
        memory = Memory(self._folder / "boards.json")
        self.board = Board("bot", self.robot.uid, feed, memory, tasks, taps=Taps())
        self._tasks = [
            tasks.create_task(self._serve(), name="sessions"),
            tasks.create_task(self._read(feed), name="results"),
        ]
        await self._ready()

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await self._stack.aclose()

    async def _serve(self) -> None:
        cache = DictionaryCache(self._folder / "dictionaries")
        while True:
            try:
                async with Device(SerialPort(self.robot.port, 115_200), cache) as device:
                    await self.board.serve(device)
            except LinkError:
                await asyncio.sleep(0.01)

    async def _read(self, feed: Feed[api.AnyAnswer]) -> None:
        async for event in feed:
            if isinstance(event, api.Result) and not self._results[event.id].done():
                self._results[event.id].set_result(event)

    async def _ready(self) -> None:
        async with asyncio.timeout(10):
            while self.board.describe().state not in {api.BoardState.READY, api.BoardState.LATCHED}:
                await asyncio.sleep(0.005)

    async def play(self, steps: list[str]) -> None:
        """Take steps, from an armed board on."""
        if self.board.latched:
            await self.board.rearm()
        self.held.clear()
        for step in steps:
            self.done[step] += 1
            await getattr(self, f"_{step}")()
        if self.board.epoch > 60_000:
            await self._reset()

    def _accepted(self) -> tuple[int, int]:
        return next(self._numbers), self.board.epoch

    def _send(self, number: int, epoch: int, index: int = MARK) -> asyncio.Future[api.Result]:
        """Give a command to the gateway's board logic."""
        self._results[number] = asyncio.get_running_loop().create_future()
        args = number.to_bytes(4, "little") + (b"\0\0\x10\x41" if index == MOVE else b"")
        lease = LEASE_MS if index == MOVE else 0
        self.board.orders.begin(
            api.Command(
                board="bot", id=number, index=index, ttl_ms=5000, lease_ms=lease, args=args, epoch=epoch
            )
        )
        return self._results[number]

    def _may(self, epoch: int) -> bool:
        return epoch >= self.board.epoch and not self.board.latched

    async def _executed(self, number: int) -> bool:
        await asyncio.sleep(0)  # what the robot has told is read
        self.robot._world._hear()
        return any(each.state.get("mark") == number for each in self.robot.outputs[-20:])

    async def _judge(self, number: int, may: bool, outcome: Outcome | None) -> None:
        executed = await self._executed(number)
        assert executed == may, f"{number}: {executed}, it might: {may}; {outcome}"
        assert (outcome is Outcome.DONE) == executed

    # Steps ----------------------------------------------------------------------------------------

    async def _say(self) -> None:
        number, epoch = self._accepted()
        may = self._may(epoch)
        await self._judge(number, may, (await self._send(number, epoch)).outcome)

    async def _accept(self) -> None:
        self.held.append(self._accepted())

    async def _submit(self) -> None:
        if self.held:
            number, epoch = self.held.pop(0)
            may = self._may(epoch)
            await self._judge(number, may, (await self._send(number, epoch)).outcome)

    async def _smuggle(self) -> None:
        """Past the gateway: the board decides by itself."""
        if self.held and self.board.device is not None:
            number, epoch = self.held.pop(0)
            may = self._may(epoch)
            args = number.to_bytes(4, "little")
            result = await self.board.device.command(Order(number, MARK, 5.0, epoch, 0, args))
            await self._judge(number, may, result.outcome)

    async def _move(self) -> None:
        """A motion begins, if none runs, and goes on."""
        self._send(*self._accepted(), index=MOVE)

    async def _stop(self) -> None:
        stopping = self.board.stop()
        assert stopping is not None
        assert await stopping
        self._stands()

    async def _race(self) -> None:
        """A command and a stop at once: it comes first, or comes to nothing."""
        number, epoch = self._accepted()
        result = self._send(number, epoch)
        await asyncio.sleep(0)
        await self._stop()
        outcome = (await result).outcome
        assert (outcome is Outcome.DONE) == await self._executed(number)
        self._stands()

    async def _rearm(self) -> None:
        await self.board.rearm()

    async def _reset(self) -> None:
        """The board starts anew: nothing moves, and what was accepted before is gone."""
        epoch, latched = self.board.epoch, self.board.latched
        await self.robot.reset()
        self.robot.outputs.clear()  # of motors that have lost their board
        async with asyncio.timeout(10):
            while self.board.epoch == epoch:
                await asyncio.sleep(0.005)
        await self._ready()
        assert self.board.latched == latched
        self.held = [(number, 0) for number, _ in self.held]
        await asyncio.sleep(0.02)
        assert not any(each.state.get("power") for each in self.robot.outputs)

    def _stands(self) -> None:
        self.robot._world._hear()
        powers = [each.state["power"] for each in self.robot.outputs if "power" in each.state]
        assert not powers or powers[-1] == 0
        del self.robot.outputs[:-50]


@pytest.mark.parametrize("interleavings", [SHORT, LONG])
def test_c08_nothing_of_an_older_epoch_is_executed_in_any_order_of_stops_and_commands(
    tmp_path: Path, interleavings: int
) -> None:
    stage = Stage(tmp_path)
    with asyncio.Runner() as runner:
        runner.run(stage.open())

        @seed(seeded().randrange(1 << 32))
        @settings(
            max_examples=interleavings, database=None,
            suppress_health_check=list(HealthCheck), print_blob=True,
        )  # fmt: skip
        @given(st.lists(PHRASES, min_size=2, max_size=8), st.integers(0, 19))
        @example([], 19)
        @example([("move",)], 19)
        @example([("accept", "stop", "rearm", "submit")], 19)
        def play(phrases: list[tuple[str, ...]], reset: int) -> None:
            steps = list(chain.from_iterable(phrases))
            if reset == 19:
                steps = [*steps, "reset", "submit", "say"]
            runner.run(stage.play(steps))

        try:
            play()
        finally:
            runner.run(stage.close())
    print(dict(stage.done))
    assert all(
        stage.done[step] > interleavings / 20 for step in ("stop", "race", "submit", "smuggle", "rearm")
    )
    assert stage.done["reset"] >= RESETS
    note(
        "C8",
        "interleavings of commands, stops, re-arming, resets",
        f"{interleavings}, 0 of an older epoch executed",
    )
