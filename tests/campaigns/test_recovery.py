"""Links recover without a person, and tell soon when a board is gone."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Self

import pytest

from boardtalk import stop as stop_door
from boardtalk.hil.board import EmulatedBoard
from boardtalk.hil.faults import Faults
from boardtalk.hil.line import TO_BOARD, TO_GATEWAY, FaultyLine
from boardtalk.modules.iot_bridge.frames import Outcome
from boardtalk.modules.iot_bridge.service import api
from boardtalk.modules.iot_bridge.service.client import LinkClient
from boardtalk.sdk import ServiceError

from .figures import note, spread
from .load import Echo
from .rig import ROBOTS, WAIT_S, Rig, seeded

USABLE_S = 1.0
"""Promised after the board answers again (C12)."""
IDLE_S, MOVING_S = 5.0, 0.6
"""Promised until a silent board is shown offline (C13)."""
STOP_S, READY_S = 2.0, 5.0
"""Promised until the way of a stop is whole again after kill -9, and until the gateway is ready (C14)."""
LEASE_MS = 500
MOVE = 2
"""Index of the command in the robot's dictionary."""

SHORT = pytest.param(10, id="short", marks=pytest.mark.timeout(120))
FEW = pytest.param(3, id="short", marks=pytest.mark.timeout(120))
FIVE = pytest.param(5, id="short", marks=pytest.mark.timeout(120))
LONG = pytest.param(100, id="long", marks=[pytest.mark.soak, pytest.mark.timeout(3600)])


class Watch:
    """A gateway's connection to a link process: the state of each board, and since when."""

    def __init__(self, client: LinkClient) -> None:
        self.client = client
        self.boards = {board.name: board for board in client.boards}
        self.since = dict.fromkeys(self.boards, 0.0)
        self.results: dict[int, api.Result] = {}
        self._came = asyncio.Event()

    @classmethod
    @asynccontextmanager
    async def on(cls, state: Path, *wanted: api.WantedBoard) -> AsyncIterator[Self]:
        async with await LinkClient.start(state, wanted) as client:
            watch = cls(client)
            listening = asyncio.create_task(watch._listen(), name="watch")
            try:
                yield watch
            finally:
                listening.cancel()
                await asyncio.gather(listening, return_exceptions=True)

    async def shows(self, name: str, state: api.BoardState, detail: str = "") -> float:
        """Wait until a board is shown like that; since when it is."""
        try:
            async with asyncio.timeout(WAIT_S):
                while self.boards[name].state is not state or detail not in self.boards[name].detail:
                    self._came.clear()
                    await self._came.wait()
        except TimeoutError:
            raise AssertionError(f"not {state} {detail}: {self.boards[name]}") from None
        return self.since[name]

    async def _listen(self) -> None:
        async for event in self.client.events():
            if isinstance(event, api.BoardChanged):
                self.boards[event.name], self.since[event.name] = event, time.monotonic()
            elif isinstance(event, api.Result):
                self.results[event.id] = event
            self._came.set()


def wanted(name: str, board: EmulatedBoard, port: Path | None = None) -> api.WantedBoard:
    return api.WantedBoard(name=name, uid=board.uid, port=str(port or board.port))


async def outage(board: EmulatedBoard, line: FaultyLine, what: str, chance: random.Random) -> float:
    """Something goes wrong with a line, and ends; when the board could answer again."""
    match what:
        case "unplugged":
            await board.unplug()
            await asyncio.sleep(chance.uniform(0, 0.5))
            await board.replug()
        case "flapping":
            for _ in range(20):
                await board.unplug()
                await asyncio.sleep(chance.uniform(0, 0.03))
                await board.replug()
                await asyncio.sleep(chance.uniform(0, 0.03))
        case "reset":
            await board.reset()
        case "brown-out":
            for _ in range(5):  # its supply breaks down while it starts
                await board.reset()
                await asyncio.sleep(chance.uniform(0, 0.2))
        case "garbage":
            line.noise(1.0)
            line.corrupt(1.0)
            await asyncio.sleep(chance.uniform(1, 3))
            line.clear()
        case "cut":
            line.cut.add(chance.choice((TO_BOARD, TO_GATEWAY)))
            await asyncio.sleep(chance.uniform(1, 6))
            line.cut.clear()
        case "frozen":
            board.freeze()
            await asyncio.sleep(chance.uniform(1, 6))
            board.thaw()
    return time.monotonic()


@pytest.mark.parametrize("times", [FEW, LONG])
async def test_c12_a_board_is_usable_within_a_second_after_it_answers_again(
    tmp_path: Path, times: int
) -> None:
    chance = seeded()
    kinds = ("unplugged", "flapping", "reset", "brown-out", "garbage", "cut", "frozen")
    usable: dict[str, list[float]] = {}

    async def suffer(watch: Watch, kind: str) -> None:
        """One board, time and again the same trouble."""
        for number in range(times):
            back = await outage(boards[kind], lines[kind], kind, chance)
            usable.setdefault(kind, []).append(await answered(watch, kind, number) - back)

    lines = {kind: FaultyLine(chance.randrange(1 << 32), Faults(noise=1e-9)) for kind in kinds}
    echo = Echo()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(echo.measured())
        boards = {
            kind: await stack.enter_async_context(EmulatedBoard(ROBOTS / "ledger", line=line))
            for kind, line in lines.items()
        }
        blocks = (wanted(kind, board) for kind, board in boards.items())
        watch = await stack.enter_async_context(Watch.on(tmp_path, *blocks))
        for kind in kinds:
            await watch.shows(kind, api.BoardState.READY)
        async with asyncio.TaskGroup() as troubles:
            for kind in kinds:
                troubles.create_task(suffer(watch, kind))
    for kind, seconds in usable.items():
        note("C12", f"{kind}: usable again", spread(seconds))
    assert lines["garbage"].fired["noise"] > times
    assert lines["cut"].fired["cut"] > times
    for kind, seconds in usable.items():
        echo.judge(seconds, USABLE_S, kind)


async def answered(watch: Watch, name: str, number: int) -> float:
    """Ask until the board has executed a query; when that was."""
    ping = 3
    number = number * 1000 + 1
    while True:
        number += 1
        await watch.shows(name, api.BoardState.READY)
        command = hash((name, number)) & 0x7FFF_FFFF
        watch.client.command(api.Command(board=name, id=command, index=ping, ttl_ms=200))
        with suppress(TimeoutError):
            async with asyncio.timeout(3):
                while command not in watch.results:
                    await asyncio.sleep(0.005)
            if watch.results[command].outcome is Outcome.DONE:
                return time.monotonic()


async def test_c12_another_board_in_the_slot_is_refused_by_name_and_the_right_one_usable_again(
    tmp_path: Path,
) -> None:
    slot = tmp_path / "slot"
    echo = Echo()
    async with (
        echo.measured(),
        EmulatedBoard(ROBOTS / "ledger") as right,
        EmulatedBoard(ROBOTS / "ledger") as wrong,
        AsyncExitStack() as stack,
    ):
        slot.symlink_to(right.port)
        watch = await stack.enter_async_context(Watch.on(tmp_path / "state", wanted("bot", right, slot)))
        seconds = []
        for _ in range(3):
            await watch.shows("bot", api.BoardState.READY)
            slot.unlink()
            slot.symlink_to(wrong.port)
            await right.reset()  # the session at its port ends
            await watch.shows("bot", api.BoardState.OFFLINE, wrong.uid)
            slot.unlink()
            slot.symlink_to(right.port)
            back = time.monotonic()
            seconds.append(await watch.shows("bot", api.BoardState.READY) - back)
    note("C12", "the right board again, after another one: usable", spread(seconds))
    echo.judge(seconds, USABLE_S)


@pytest.mark.parametrize("times", [FIVE, LONG])
async def test_c14_after_kill_9_a_stop_is_confirmed_again_within_2_s_and_the_gateway_ready_within_5(
    tmp_path: Path, times: int
) -> None:
    took: dict[str, list[float]] = {"the gateway": [], "the link process": []}
    ready: list[float] = []
    echo = Echo()
    async with Rig(tmp_path, {"bot": EmulatedBoard(ROBOTS / "ledger")}) as rig, echo.measured():
        for _ in range(times):
            for who, seconds in took.items():
                await rig.ready()
                if who == "the gateway":
                    await rig.kill()
                else:
                    assert rig.kill_link()
                died = time.monotonic()
                await confirmed_stop(rig)
                seconds.append(time.monotonic() - died)
                if who == "the gateway":
                    ready.append(await rig.start())
    for who, seconds in took.items():
        note("C14", f"kill -9 of {who}: until a stop is confirmed", spread(seconds))
        echo.judge(seconds, STOP_S, who)
    note("C14", "kill -9 of the gateway, alone: ready again", spread(ready))
    echo.judge(ready, READY_S, "ready")


async def confirmed_stop(rig: Rig) -> None:
    """Stop as `boardtalk stop` does, again and again until the board has confirmed."""
    async with asyncio.timeout(WAIT_S):
        while True:
            with suppress(ServiceError):
                if [each.confirmed for each in await stop_door.stop(rig.state, ("bot",), "alice")] == [True]:
                    return
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("times", [SHORT, LONG])
async def test_c13_a_silent_board_is_shown_offline_in_time(tmp_path: Path, times: int) -> None:
    seeded()
    shown: dict[str, list[float]] = {"idle": [], "moving": []}
    echo = Echo()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(echo.measured())
        boards = {
            f"bot{number}": await stack.enter_async_context(EmulatedBoard(ROBOTS / "ledger"))
            for number in range(10)
        }
        blocks = (wanted(name, board) for name, board in boards.items())
        watch = await stack.enter_async_context(Watch.on(tmp_path, *blocks))
        for rounds in range(times // len(boards)):
            for kind, seconds in shown.items():
                for name in boards:
                    await watch.shows(name, api.BoardState.READY)
                renewing = asyncio.create_task(move(watch, boards, rounds + 1, moving=kind == "moving"))
                await asyncio.sleep(1)
                frozen = time.monotonic()
                for board in boards.values():
                    board.freeze()
                seconds += [await watch.shows(name, api.BoardState.OFFLINE) - frozen for name in boards]
                renewing.cancel()
                for board in boards.values():
                    board.thaw()
    for kind, seconds in shown.items():
        note("C13", f"{kind}: shown offline", spread(seconds))
    echo.judge(shown["idle"], IDLE_S, "idle")
    echo.judge(shown["moving"], MOVING_S, "moving")


async def move(watch: Watch, boards: dict[str, EmulatedBoard], number: int, *, moving: bool) -> None:
    """Keep all in motion, if so wanted."""
    if not moving:
        return
    args = number.to_bytes(4, "little") + b"\0\0\x10\x41"
    for name in boards:
        watch.client.command(
            api.Command(board=name, id=number, index=MOVE, ttl_ms=1000, lease_ms=LEASE_MS, args=args)
        )
    while True:
        for name in boards:
            watch.client.renew(name, number, LEASE_MS)
        await asyncio.sleep(LEASE_MS / 5000)
