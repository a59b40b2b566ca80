"""Commands whose board goes away, starts anew or is stopped in the middle of them: each has a true end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from boardtalk.modules.iot_bridge.errors import LinkError
from boardtalk.modules.iot_bridge.frames import Outcome, StateBody, Type
from boardtalk.modules.iot_bridge.service import api, orders
from boardtalk.modules.iot_bridge.service.fleet import Fleet
from tests.iot_bridge.fake_board import BLINK, FakeBoard
from tests.iot_bridge.test_fleet import fleet, states, until

BEGIN = api.Command(board="rover", id=1, index=BLINK, ttl_ms=2000, epoch=0)


@asynccontextmanager
async def rover(folder: Path) -> AsyncIterator[tuple[FakeBoard, Fleet]]:
    """A board that is ready, at a port of which nothing is left when it is unplugged."""
    async with (
        FakeBoard(link_to=folder / "port") as board,
        fleet(folder, api.WantedBoard(name="rover", port=board.port)) as boards,
    ):
        await until(lambda: states(boards) == {"c0ffee01": ("rover", "ready")})
        yield board, boards


async def end(boards: Fleet) -> api.Result:
    """How the next command ends."""
    async with asyncio.timeout(10):
        async for event in boards._feed:
            if isinstance(event, api.Result):
                return event
    raise AssertionError("the feed has ended")


async def test_c05_one_that_the_board_has_is_unknown_when_the_board_does_not_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orders, "LOST_S", 0.3)
    async with rover(tmp_path) as (board, boards):
        board.hold = True
        boards["rover"].orders.begin(BEGIN)
        await until(lambda: board.executed == [1])
        await asyncio.sleep(0.05)  # that it has it is known
        board.unplug()
        ended = await end(boards)
        assert (ended.id, ended.outcome, ended.detail) == (1, None, "the board vanished meanwhile")


async def test_c05_one_that_it_never_confirmed_is_unknown_soon_after_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orders, "UNCONFIRMED_S", 0.1)
    async with rover(tmp_path) as (board, boards):
        board.deaf = True
        began = asyncio.get_running_loop().time()
        boards["rover"].orders.begin(BEGIN)
        await asyncio.sleep(0.05)
        board.unplug()
        ended = await end(boards)
        assert (ended.id, ended.outcome, ended.detail) == (1, None, "the board vanished meanwhile")
        assert asyncio.get_running_loop().time() - began >= 2.1


async def test_c08_what_was_accepted_before_the_board_started_anew_comes_to_nothing(tmp_path: Path) -> None:
    async with rover(tmp_path) as (board, boards):
        before = boards["rover"].epoch
        board.restart()
        await until(lambda: boards["rover"].epoch == before + 1 and boards["rover"].ready.is_set())
        boards["rover"].orders.begin(BEGIN)
        assert (await end(boards)).outcome is Outcome.REJECTED
        assert not board.executed


async def test_c08_a_stop_while_it_is_re_armed_overrules_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with rover(tmp_path) as (_, boards):
        robot = boards["rover"]
        stopping = robot.stop()
        assert stopping is not None
        assert await stopping

        async def too_late(_: int) -> None:
            """The board agrees, and on the way back of its answer comes another stop."""
            robot.stop()

        monkeypatch.setattr(robot.device, "rearm", too_late)
        with pytest.raises(LinkError, match="stopped again"):
            await robot.rearm()
        assert robot.latched


async def test_c08_a_board_that_stopped_by_itself_counts_as_stopped(tmp_path: Path) -> None:
    async with rover(tmp_path) as (board, boards):
        told = StateBody.build({"epoch": 0, "latched": True})
        board.link.send_urgent(Type.STOPPED, told)
        board.pump()
        await until(lambda: boards["rover"].latched and board.latched)
