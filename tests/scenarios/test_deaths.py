"""Gateway and link process are killed in mid-command: what the board did with it is found out and told."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from boardtalk.hil.board import EmulatedBoard

from .people import TERMINAL, Outcome, Person
from .rig import GATEWAY, LINK, Gateway, free_port

ROBOT = Path(__file__).parents[1] / "firmware" / "robots" / "bench"
CONFIGURATION = """\
broker {{
  port = {port}
}}
module iot_bridge {{
  discover = no
}}
board bench {{
  port = {path}
}}
"""
WORK = "work 2"
"""Begins at once, takes so many seconds, and answers how often the board has begun something."""
KILLED = pytest.mark.parametrize(
    "killed", [(LINK,), (GATEWAY,), (LINK, GATEWAY)], ids=["link process", "gateway", "both"]
)

pytestmark = pytest.mark.timeout(120)


@asynccontextmanager
async def working(folder: Path) -> AsyncIterator[tuple[EmulatedBoard, Gateway, Person]]:
    """A board of its own power, a gateway, and alice, whose command is under way."""
    async with EmulatedBoard(ROBOT) as board:
        conf, port = folder / "gateway.conf", free_port()
        conf.write_text(CONFIGURATION.format(port=port, path=board.port))
        gateway = Gateway(folder / "state", "run", "--conf", str(conf), port=port)
        try:
            await asyncio.to_thread(gateway.start)
            alice = Person(gateway, "alice", await asyncio.to_thread(gateway.token, "alice"))
            with alice:
                await asyncio.to_thread(alice.insist, "count", to="bench")
                await asyncio.to_thread(alice.begin, WORK, to="bench", name="work")
                yield board, gateway, alice
            await asyncio.to_thread(gateway.end)
        finally:
            await asyncio.to_thread(gateway.kill)


def kill(gateway: Gateway, words: tuple[str, ...]) -> None:
    """Kill these processes of a gateway, and start it again if it was among them."""
    for word in words:
        gateway.signal(word, signal.SIGKILL)
    if GATEWAY in words:
        gateway.child.wait()
        gateway.start()


def the_end(gateway: Gateway, alice: Person) -> Outcome:
    """How her command ended, by the status, the history, and the answer to a repetition alike."""
    end = alice.outcome("work")
    [noted] = [row for row in gateway.cli("history", "--user", "alice", "--json").rows if row["id"] == "work"]
    assert noted["state"] == end.state
    assert alice.do(WORK, to="bench", name="work").state == end.state
    return end


def begun(board: EmulatedBoard) -> int:
    """How often the board has begun something, through all resets."""
    return len([each for each in board.outputs if "counted" in each.state])


@KILLED
async def test_c02_a_command_that_outlives_what_was_killed_is_done_and_its_answer_comes(
    tmp_path: Path, killed: tuple[str, ...]
) -> None:
    async with working(tmp_path) as (board, gateway, alice):
        before = begun(board)
        await asyncio.to_thread(kill, gateway, killed)
        end = await asyncio.to_thread(the_end, gateway, alice)
        assert [state for state in end.states if state in TERMINAL] == ["done"]
        assert str(before) in end.body
        assert begun(board) == before


@KILLED
async def test_c06_if_the_board_is_reset_as_well_nobody_knows_and_it_is_not_done_again(
    tmp_path: Path, killed: tuple[str, ...]
) -> None:
    async with working(tmp_path) as (board, gateway, alice):
        before = begun(board)
        await board.reset()
        await asyncio.to_thread(kill, gateway, killed)
        end = await asyncio.to_thread(the_end, gateway, alice)
        assert end.state == "unknown"
        await asyncio.to_thread(alice.insist, "rearm", to="bench")
        await asyncio.to_thread(alice.insist, "aimless", to="bench")
        assert begun(board) == before
