"""Emulated boards: what a test can do to them, and that nothing of them stays behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from boardtalk.hil.board import BoardError, EmulatedBoard
from boardtalk.hil.line import TO_GATEWAY, FaultyLine
from boardtalk.hil.world import WorldError
from boardtalk.modules.iot_bridge.frames import Type
from boardtalk.modules.iot_bridge.link.events import Ended
from tests.firmware.peer import Peer


async def test_the_port_keeps_its_path_through_resets_and_replugs() -> None:
    async with EmulatedBoard("rover", uid="ab12") as board:
        port = board.port
        boots = set()
        for action in (None, board.reset, board.kill, board.reset, board.unplug, board.replug):
            if action is not None:
                await action()
            if not board.running:
                continue
            async with Peer(port) as peer:
                hello = await peer.hello()
            assert hello.uid == "ab12"
            boots.add(hello.boot)
        assert board.port == port
        assert len(boots) == 4
    assert not Path(port).parent.exists()


async def test_unplugging_is_an_error_for_who_has_the_port_open() -> None:
    async with EmulatedBoard("rover") as board:
        fd = os.open(board.port, os.O_RDWR | os.O_NOCTTY)
        await board.unplug()
        assert not Path(board.port).exists()
        with pytest.raises(OSError, match="Input/output error"):
            os.write(fd, b"x")
        os.close(fd)


async def test_a_board_with_a_line_runs_on_while_unplugged() -> None:
    async with EmulatedBoard("rover", line=FaultyLine(1)) as board:
        async with Peer(board.port) as peer:
            before = await peer.hello()
            await board.unplug()
        assert board.running
        await board.replug()
        async with Peer(board.port) as peer:
            after = await peer.hello()
        assert (before.boot, before.uid) == (after.boot, after.uid)


async def test_a_line_that_fails_is_not_taken_for_a_board_that_says_nothing() -> None:
    line = FaultyLine(1)
    with pytest.raises(BoardError, match="line of the emulated board has failed") as told:
        async with EmulatedBoard("rover", line=line) as board:
            line.delay("long")  # type: ignore[arg-type]
            async with asyncio.timeout(10):
                while not line.passed[TO_GATEWAY]:
                    await asyncio.sleep(0.01)
            await asyncio.sleep(0.01)
            await board.reset()
    assert isinstance(told.value.__cause__, TypeError)


async def test_a_frozen_board_is_silent_until_it_thaws() -> None:
    async with EmulatedBoard("rover") as board, Peer(board.port) as peer:
        await peer.learn()
        board.freeze()
        peer.link.set_moving(True, time.monotonic())
        await peer.next(Ended)
        board.thaw()
        await peer.hello()


async def test_the_world_can_be_changed() -> None:
    async with EmulatedBoard("rover") as board, Peer(board.port) as peer:
        await peer.learn()
        await board.world(battery=6.2)
        assert await peer.do("battery") == {"battery": 6.2}


async def test_a_dead_robot_does_not_notice_the_world() -> None:
    async with EmulatedBoard("rover") as board:
        await board.world(battery=7)
        await board.kill()
        with pytest.raises((WorldError, BoardError)):
            await board.world(battery=6.2)


async def test_outputs_carry_the_time_of_this_machine() -> None:
    async with EmulatedBoard("rover") as board, Peer(board.port) as peer:
        await peer.learn()
        before = time.monotonic()
        peer.command("forward", distance=100)
        moved = await board.until(left=50)
        assert before < moved.at < time.monotonic()


async def test_the_rover_drives_where_it_is_told() -> None:
    async with EmulatedBoard("rover") as board, Peer(board.port) as peer:
        await peer.learn()
        there = await peer.do("forward", distance=20, speed=20)
        assert there == {"x": pytest.approx(20, abs=1), "y": 0, "heading": 0}
        turned = await peer.do("turn", angle=90, speed=20)
        assert turned["heading"] == pytest.approx(90, abs=2)
        back = await peer.do("back", distance=10, speed=20)
        assert back["y"] == pytest.approx(-10, abs=1)


async def test_the_rover_stops_at_an_obstacle_and_tells() -> None:
    async with EmulatedBoard("rover") as board, Peer(board.port) as peer:
        await peer.learn()
        await board.world(obstacle_cm=10)
        outcome, reason = await peer.result(peer.command("forward", distance=20))
        assert (outcome.name, reason) == ("FAILED", b"RuntimeError: something is in the way")
        await board.until(left=0, right=0)
        peer._read = 0
        await peer.frame(Type.EVENT)


async def test_the_rover_brakes_when_stopped() -> None:
    async with EmulatedBoard("rover") as board, Peer(board.port) as peer:
        await peer.learn()
        peer.command("forward", distance=300)
        await board.until(left=50, right=50)
        peer.stop(1)
        off = await board.until(left=0, right=0)
        place = await peer.do("position", epoch=1)
        again = await peer.do("position", epoch=1)
        assert again["x"] - off.state["x"] < 15
        assert place["x"] < 300


async def test_it_can_only_be_plugged_in_once() -> None:
    async with EmulatedBoard("rover") as board:
        with pytest.raises(BoardError, match="plugged in already"):
            await board.replug()


async def test_nothing_stays_behind_when_the_body_fails() -> None:
    with pytest.raises(RuntimeError, match="on purpose"):
        async with EmulatedBoard("rover", line=FaultyLine(1)) as board:
            pid = board.pid
            board.freeze()
            raise RuntimeError("on purpose")
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


KILLED = """
    import asyncio
    from boardtalk.hil.board import EmulatedBoard

    async def main():
        async with EmulatedBoard("rover") as board:
            await board.world(battery=7.5)  # its program runs
            print(board.pid, flush=True)
            await asyncio.sleep(60)

    asyncio.run(main())
"""


@pytest.mark.parametrize("frozen", [False, True])
async def test_a_board_dies_with_the_process_that_emulates_it(frozen: bool) -> None:
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(KILLED)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        board = int(await asyncio.to_thread(process.stdout.readline))
        if frozen:
            os.kill(board, signal.SIGSTOP)
        process.kill()
    deadline = time.monotonic() + 5
    while Path(f"/proc/{board}").exists() and time.monotonic() < deadline:
        await asyncio.sleep(0.01)
    assert not Path(f"/proc/{board}").exists()
