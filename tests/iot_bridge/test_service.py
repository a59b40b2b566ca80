"""The link process, through its socket: what a gateway, and whoever stops, may rely on."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import TypeVar

import pytest

from boardtalk import stop as stop_door
from boardtalk.modules.iot_bridge import frames
from boardtalk.modules.iot_bridge.cli import list_boards
from boardtalk.modules.iot_bridge.errors import LinkError
from boardtalk.modules.iot_bridge.frames import Kind, Outcome, Type
from boardtalk.modules.iot_bridge.service import api
from boardtalk.modules.iot_bridge.service import client as service_client
from boardtalk.modules.iot_bridge.service.client import LinkClient, ask
from boardtalk.modules.iot_bridge.service.orders import RESUME_S
from boardtalk.sdk import ServiceError
from tests.campaigns.test_full_disk import full, small_disk
from tests.iot_bridge.fake_board import BATTERY, BLINK, FORWARD, FakeBoard

E = TypeVar("E", bound=api.Answer)


@pytest.fixture
async def state(tmp_path: Path) -> AsyncIterator[Path]:
    """A state folder; its link process is ended after the test."""
    yield tmp_path
    with suppress(ServiceError):
        await ask(tmp_path, api.Shutdown())
    if (tmp_path / "link.log").exists():
        await service_client.ended(the_pid(tmp_path))


@pytest.fixture
async def client(state: Path, board: FakeBoard) -> AsyncIterator[LinkClient]:
    """A gateway with one board, which is ready."""
    async with await LinkClient.start(state, [rover(board)]) as client:
        await changed(client, api.BoardState.READY)
        yield client


def rover(board: FakeBoard, **changes: str) -> api.WantedBoard:
    return api.WantedBoard(**{"name": "rover", "port": board.port, **changes})  # type: ignore[arg-type]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


async def event(client: LinkClient, kind: type[E], is_it: Callable[[E], bool] = lambda _: True) -> E:
    """The next event of a kind for which `is_it` holds."""
    async with asyncio.timeout(10):
        async for each in client.events():
            if isinstance(each, kind) and is_it(each):
                return each
    raise AssertionError("the link process went away")


async def changed(client: LinkClient, state: api.BoardState) -> api.BoardChanged:
    for board in client.boards:
        if board.state is state:
            return board
    return await event(client, api.BoardChanged, lambda board: board.state is state)


def a_command(id_: int, index: int = BATTERY, **changes: int) -> api.Command:
    return api.Command(board="rover", id=id_, index=index, **{"ttl_ms": 1000, **changes})  # type: ignore[arg-type]


def the_pid(state: Path) -> int:
    log = (state / "link.log").read_text()
    return int(re.findall(r"link process (\d+) listens", log)[-1])


# Boards and commands ----------------------------------------------------------------------------


async def test_a_board_is_described(client: LinkClient, board: FakeBoard) -> None:
    answer = await client._call(api.ListBoards())
    assert isinstance(answer, api.Boards)
    (rover,) = answer.boards
    assert (rover.name, rover.uid, rover.port) == ("rover", "c0ffee01", board.port)
    assert (rover.firmware, rover.state, rover.detail) == ("fake 1", "ready", "")
    assert await client.dictionary("rover") == board.text


async def test_what_was_lost_on_the_way_is_told(client: LinkClient, board: FakeBoard, state: Path) -> None:
    board.send(Type.TELEMETRY, b"", Kind.DGRAM)
    board.link._datagram += 3  # lost
    board.send(Type.TELEMETRY, b"", Kind.DGRAM)
    board.link.counters.lost = 2  # says the board
    async with asyncio.timeout(5):
        while (lost := await the_losses(state)) != api.Lost(from_board=3, to_board=2):
            assert lost is not None
            await asyncio.sleep(0.1)


async def the_losses(state: Path) -> api.Lost | None:
    answer = await ask(state, api.ListBoards(re=1))
    assert isinstance(answer, api.Boards)
    return answer.boards[0].lost


async def test_the_clock_of_a_board_is_told_with_its_error(client: LinkClient, board: FakeBoard) -> None:
    clock = None
    async with asyncio.timeout(5):
        while clock is None:
            await asyncio.sleep(0.1)
            answer = await client._call(api.ListBoards())
            assert isinstance(answer, api.Boards)
            clock = answer.boards[0].clock
    assert clock.error_ms > 0
    assert clock.drift_ppm == 0, "so soon it is not known"


async def test_what_a_board_says_of_itself_does_nothing_to_a_terminal(
    state: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    async with (
        FakeBoard(name="\x1b]0;mine\x07", firmware="[/bold]\x1b[2J") as board,
        await LinkClient.start(state, [rover(board)]) as client,
    ):
        await changed(client, api.BoardState.READY)
        assert await asyncio.to_thread(list_boards, state=state) == 0
    out = capfd.readouterr().out
    assert "[/bold]" in out
    assert "\x1b" not in out


async def test_a_command_is_sent_started_and_done(client: LinkClient, board: FakeBoard) -> None:
    client.command(a_command(1))
    assert (await event(client, api.Progress)).stage is api.Stage.SENT
    assert (await event(client, api.Progress)).stage is api.Stage.STARTED
    result = await event(client, api.Result)
    assert (result.id, result.outcome, result.data) == (1, Outcome.DONE, b"\0\0\x40\x40")


async def test_commands_to_nobody_are_refused(client: LinkClient) -> None:
    client.command(api.Command(board="nosuch", id=1, index=0, ttl_ms=1000))
    result = await event(client, api.Result)
    assert (result.outcome, "no board" in result.detail) == (Outcome.REJECTED, True)
    client.command(a_command(2, index=99))
    result = await event(client, api.Result)
    assert (result.outcome, "no such command" in result.detail) == (Outcome.REJECTED, True)


async def test_a_command_that_fits_into_no_frame_is_refused_and_the_session_goes_on(
    client: LinkClient, board: FakeBoard
) -> None:
    client.command(
        api.Command(board="rover", id=1, index=BATTERY, ttl_ms=1000, args=bytes(frames.MAX_PAYLOAD))
    )
    result = await event(client, api.Result)
    assert (result.outcome, "fewer words" in result.detail) == (Outcome.REJECTED, True)
    client.command(a_command(2))
    assert (await event(client, api.Result)).outcome is Outcome.DONE
    assert board.executed == [2]


async def test_a_result_that_comes_first_in_a_new_session_is_told_once(
    client: LinkClient, board: FakeBoard
) -> None:
    board.hold = True
    client.command(a_command(1, FORWARD, ttl_ms=5000, lease_ms=200))
    await event(client, api.Progress, lambda progress: progress.stage is api.Stage.STARTED)
    board.deaf = True
    await changed_to(client, api.BoardState.OFFLINE)
    board.deaf = False
    await changed_to(client, api.BoardState.READY)
    board.finish(1)
    board.hold = False
    assert (await event(client, api.Result)).id == 1
    await asyncio.sleep(2 * RESUME_S)  # then it would be asked again
    client.command(a_command(2))
    assert (await event(client, api.Result)).id == 2
    asked = [
        frames.CommandHead.parse(frame.payload).id for frame in board.asked if frame.type >= Type.COMMAND
    ]
    assert asked == [1, 2]


async def test_too_many_commands_are_refused_as_busy(client: LinkClient, board: FakeBoard) -> None:
    board.hold = True
    for number in range(1, frames.MAX_COMMANDS + 2):
        client.command(a_command(number, BLINK, ttl_ms=60_000))
    result = await event(client, api.Result)
    assert (result.id, result.outcome) == (frames.MAX_COMMANDS + 1, Outcome.REJECTED)
    assert "busy" in result.detail


async def test_the_same_id_twice_is_executed_once(client: LinkClient, board: FakeBoard) -> None:
    for _ in range(3):
        client.command(a_command(1))
        client.command(a_command(1))
        await event(client, api.Result)
    assert board.executed == [1]


async def test_reports_events_and_log_lines_come_up(client: LinkClient, board: FakeBoard) -> None:
    board.send(Type.TELEMETRY, b"\1\2\3\4", Kind.DGRAM)
    report = await event(client, api.Report)
    assert (report.kind, report.index, report.data) == ("telemetry", 0, b"\1\2\3\4")
    board.send(Type.EVENT, b"")
    assert (await event(client, api.Report)).kind == "event"
    board.say(b"\0Traceback\n\0")
    assert (await event(client, api.LogLine)).text == "Traceback"


async def test_cancel_ends_a_command(client: LinkClient, board: FakeBoard) -> None:
    board.hold = True
    client.command(a_command(1, BLINK))
    await event(client, api.Progress, lambda each: each.stage is api.Stage.STARTED)
    client.cancel("rover", 1)
    assert (await event(client, api.Result)).outcome is Outcome.CANCELLED


async def test_what_is_cancelled_before_it_was_sent_is_never_executed(state: Path) -> None:
    async with (
        FakeBoard(link_to=state / "port") as board,
        await LinkClient.start(state, [rover(board)]) as client,
    ):
        await changed(client, api.BoardState.READY)
        board.unplug()
        await event(client, api.BoardChanged, lambda each: each.state is api.BoardState.OFFLINE)
        client.command(a_command(1, BLINK, ttl_ms=10_000))
        client.cancel("rover", 1)
        result = await event(client, api.Result)
        assert (result.outcome, result.detail) == (Outcome.CANCELLED, "cancelled before it was sent")
        board.plug()
        await event(client, api.BoardChanged, lambda each: each.state is api.BoardState.READY)
        client.command(a_command(2, BLINK))
        assert (await event(client, api.Result)).id == 2
        assert board.executed == [2]


async def test_what_is_cancelled_while_the_line_is_broken_is_not_executed_when_it_is_mended(
    client: LinkClient, board: FakeBoard
) -> None:
    board.deaf = True
    client.command(a_command(1, BLINK, ttl_ms=60_000))
    await event(client, api.BoardChanged, lambda each: each.state is api.BoardState.OFFLINE)
    client.cancel("rover", 1)
    board.deaf = False
    result = await event(client, api.Result)
    assert (result.outcome, result.detail) == (Outcome.CANCELLED, "cancelled before it began")
    assert board.executed == []


async def test_how_far_a_command_is_is_told_while_it_runs_and_not_of_others(
    client: LinkClient, board: FakeBoard
) -> None:
    board.hold = True
    client.command(a_command(1, BLINK))
    await event(client, api.Progress, lambda each: each.stage is api.Stage.STARTED)
    for id_, percent in ((7, 50), (1, 40), (1, 200)):
        board.send(Type.PROGRESS, frames.Progress.build({"id": id_, "percent": percent}), Kind.DGRAM)
    told = [await event(client, api.Progress) for _ in range(2)]
    assert [(each.id, each.percent) for each in told] == [(1, 40), (1, 100)]
    board.finish(1)


async def test_a_command_that_the_board_never_answers_ends_as_unknown(
    client: LinkClient, board: FakeBoard
) -> None:
    board.hold = True
    client.command(a_command(1, BLINK, ttl_ms=100))
    assert (await event(client, api.Result)).outcome is None


# Stop -------------------------------------------------------------------------------------------


async def test_c07_anybody_may_stop_and_hears_who_confirmed(
    client: LinkClient, board: FakeBoard, state: Path
) -> None:
    (stopped,) = await stop_door.stop(state, ("rover",), "alice")
    assert (stopped.board, stopped.confirmed) == ("rover", True)
    assert board.latched
    notice = await event(client, api.StopNotice)
    assert (notice.by, [each.board for each in notice.stopped]) == ("alice", ["rover"])


async def test_c07_stop_goes_while_a_full_queue_waits_and_the_gateway_hangs(
    client: LinkClient, board: FakeBoard, state: Path
) -> None:
    board.hold = True
    for number in range(1, 40):
        client.command(a_command(number, BLINK, ttl_ms=60_000))
    (stopped,) = await stop_door.stop(state, (), "alice")
    assert stopped.confirmed


async def test_c07_who_fills_the_door_holds_up_no_stop(
    client: LinkClient, board: FakeBoard, state: Path
) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(40):
            _, writer = await asyncio.open_unix_connection(state / "link.sock")
            stack.callback(writer.close)
        (stopped,) = await stop_door.stop(state, ("rover",), "alice")
        assert stopped.confirmed
        assert board.latched
        refused = await ask(state, api.ListBoards())
        assert isinstance(refused, api.Refused)
        assert "32 others" in refused.reason


async def test_c07_an_unconfirmed_stop_is_told_and_goes_on(
    client: LinkClient, board: FakeBoard, state: Path
) -> None:
    board.deaf_to_stop = 20
    (stopped,) = await stop_door.stop(state, (), "alice")
    assert not stopped.confirmed
    await until(lambda: board.latched)


async def test_c08_a_stopped_board_takes_queries_but_nothing_that_acts(
    client: LinkClient, board: FakeBoard, state: Path
) -> None:
    await stop_door.stop(state, ("rover",), "alice")
    for number, index in ((1, FORWARD), (2, BLINK)):
        client.command(a_command(number, index, lease_ms=500))
        result = await event(client, api.Result)
        assert (result.outcome, "rearm" in result.detail) == (Outcome.REJECTED, True)
    client.command(a_command(3, BATTERY))
    assert (await event(client, api.Result)).outcome is Outcome.DONE
    assert board.executed == [3]
    await client.rearm("rover", "alice")
    client.command(a_command(4, FORWARD, lease_ms=500))
    assert (await event(client, api.Result)).outcome is Outcome.DONE


async def test_c08_a_command_accepted_before_a_stop_dies_even_after_rearming(
    client: LinkClient, board: FakeBoard, state: Path
) -> None:
    epoch = (await client._call(api.ListBoards())).boards[0].epoch  # type: ignore[union-attr]
    await stop_door.stop(state, ("rover",), "alice")
    await client.rearm("rover", "alice")
    client.command(a_command(1, FORWARD, epoch=epoch, lease_ms=500))
    result = await event(client, api.Result)
    assert (result.outcome, "stop" in result.detail) == (Outcome.REJECTED, True)
    assert board.executed == []


async def test_c08_when_no_epoch_is_left_a_stopped_board_stays_stopped(state: Path, board: FakeBoard) -> None:
    board.epoch = 0xFFFF  # after so many stops, or it lies
    async with await LinkClient.start(state, [rover(board)]) as client:
        await changed(client, api.BoardState.READY)
        await stop_door.stop(state, ("rover",), "alice")
        with pytest.raises(LinkError, match=r"65535 times.*started anew"):
            await client.rearm("rover", "alice")
        assert board.latched


async def test_c08_a_reset_of_the_board_does_not_clear_a_stop(
    client: LinkClient, board: FakeBoard, state: Path
) -> None:
    await stop_door.stop(state, ("rover",), "alice")
    await changed_to(client, api.BoardState.LATCHED)
    board.restart()
    assert not board.latched
    await changed_to(client, api.BoardState.OFFLINE)
    await changed_to(client, api.BoardState.LATCHED)
    assert board.latched


async def test_c08_a_board_that_is_away_is_stopped_as_soon_as_it_is_back(state: Path, tmp_path: Path) -> None:
    async with (
        FakeBoard(link_to=tmp_path / "port") as board,
        await LinkClient.start(state, [rover(board)]) as client,
    ):
        await changed(client, api.BoardState.READY)
        board.unplug()
        await event(client, api.BoardChanged, lambda each: each.state is api.BoardState.OFFLINE)
        (stopped,) = await stop_door.stop(state, ("rover",), "alice")
        assert not stopped.confirmed
        client.command(a_command(1, FORWARD, ttl_ms=5000, lease_ms=500))
        assert (await event(client, api.Result)).outcome is Outcome.REJECTED
        board.plug()
        await event(client, api.BoardChanged, lambda each: each.state is api.BoardState.LATCHED)
        assert board.latched
        assert board.executed == []


async def test_c08_a_stop_outlives_the_link_process(state: Path, board: FakeBoard) -> None:
    async with await LinkClient.start(state, [rover(board)]) as client:
        await changed(client, api.BoardState.READY)
        await stop_door.stop(state, ("rover",), "alice")
    board.restart()
    async with await LinkClient.start(state, [rover(board)]) as client:
        await changed(client, api.BoardState.LATCHED)
        assert board.latched


@pytest.mark.parametrize("comes", [True, False])
async def test_c08_a_stop_of_a_board_that_nobody_has_met_outlives_the_link_process(
    state: Path, tmp_path: Path, *, comes: bool
) -> None:
    """Its block says no uid, so it is noted by its address; whether it comes before the end or after it."""
    async with FakeBoard(link_to=tmp_path / "port") as board:
        board.unplug()
        async with await LinkClient.start(state, [rover(board)]) as first:
            (stopped,) = await stop_door.stop(state, ("rover",), "alice")
            assert not stopped.confirmed
            if comes:
                board.plug()
                await changed(first, api.BoardState.LATCHED)
                board.unplug()
        async with await LinkClient.start(state, [rover(board)]) as second:
            board.plug()
            await event(second, api.BoardChanged, lambda each: each.state is not api.BoardState.OFFLINE)
            assert board.latched
            await second.rearm("rover", "alice")
        board.restart()
        async with await LinkClient.start(state, [rover(board)]) as third:
            await changed(third, api.BoardState.READY)


async def test_c08_c19_a_stop_outlives_a_damaged_file(state: Path, board: FakeBoard) -> None:
    async with await LinkClient.start(state, [rover(board)]) as first:
        await changed(first, api.BoardState.READY)
        await stop_door.stop(state, ("rover",), "alice")
    memory = state / "link" / "boards.json"
    memory.write_bytes(memory.read_bytes()[:-5])
    board.restart()
    async with await LinkClient.start(state, [rover(board)]) as second:
        latched = await changed(second, api.BoardState.LATCHED)
        assert latched.detail == "", "it is known that it was stopped"
    assert len(list(memory.parent.glob("boards.json.damaged-*"))) == 1


async def test_c08_c19_when_nobody_knows_which_boards_were_stopped_all_are_until_they_are_re_armed(
    state: Path, board: FakeBoard
) -> None:
    async with await LinkClient.start(state, [rover(board)]) as first:
        await changed(first, api.BoardState.READY)
        await stop_door.stop(state, ("rover",), "alice")
        await first.rearm("rover", "alice")
    memory = state / "link" / "boards.json"
    for path in (memory, memory.with_name("boards.json.copy")):
        path.write_bytes(path.read_bytes()[:-5])
    for _ in range(2):  # also the next link process, which finds whole files
        async with await LinkClient.start(state, [rover(board)]) as client:
            latched = await changed(client, api.BoardState.LATCHED)
            assert "boards.json was damaged" in latched.detail
            client.command(a_command(1, FORWARD, lease_ms=500))
            result = await event(client, api.Result)
            assert result.outcome is Outcome.REJECTED
            assert "rearm" in result.detail
            assert "boards.json was damaged" in result.detail
    async with await LinkClient.start(state, [rover(board)]) as client:
        await changed(client, api.BoardState.LATCHED)
        await client.rearm("rover", "alice")
        ready = await changed_to(client, api.BoardState.READY)
        assert ready.detail == ""
    async with await LinkClient.start(state, [rover(board)]) as client:
        await changed(client, api.BoardState.READY)
    assert "all boards count as stopped" in (state / "link.log").read_text()


@pytest.mark.privileged
async def test_c08_c18_a_stop_on_a_full_disk_outlives_link_process_and_board(
    tmp_path: Path, board: FakeBoard
) -> None:
    state = tmp_path / "state"
    async with FakeBoard("c0ffee02", "arm") as other:
        boards = [rover(board), api.WantedBoard(name="arm", port=other.port)]
        with small_disk(state):
            client = await LinkClient.start(state, boards)
            await both(client, api.BoardState.READY)
            with full(state):
                await stop_door.stop(state, ("rover",), "alice")
                await until((state / "link" / "boards.json.behind").exists)
                os.kill(client.pid, signal.SIGKILL)
                await client.close()
                board.restart()
                async with await LinkClient.start(state, boards) as client:
                    for latched in await both(client, api.BoardState.LATCHED):
                        assert "a stop could not be written" in latched.detail
                    await client.rearm("arm", "alice")
            async with await LinkClient.start(state, boards) as client:  # there is room again
                await both(client, api.BoardState.LATCHED)
                for name in ("rover", "arm"):
                    await client.rearm(name, "alice")
            async with await LinkClient.start(state, boards) as client:
                await both(client, api.BoardState.READY)


async def both(client: LinkClient, state: api.BoardState) -> list[api.BoardChanged]:
    """Two boards, as soon as they are so."""
    found = {board.name: board for board in client.boards if board.state is state}
    while len(found) < 2:
        changed = await event(client, api.BoardChanged, lambda board: board.state is state)
        found[changed.name] = changed
    return list(found.values())


async def test_rearm_needs_a_board_that_agrees(client: LinkClient, board: FakeBoard, state: Path) -> None:
    await stop_door.stop(state, ("rover",), "alice")
    board.deny_rearm = True
    with pytest.raises(LinkError, match="did not agree"):
        await client.rearm("rover", "alice")
    client.command(a_command(1, FORWARD, lease_ms=500))
    assert (await event(client, api.Result)).outcome is Outcome.REJECTED


async def test_a_board_that_is_not_stopped_needs_no_rearming_not_even_after_a_restart(
    client: LinkClient, board: FakeBoard
) -> None:
    board.restart()
    await event(client, api.BoardChanged, lambda each: each.boot == board.boot)
    await client.rearm("rover", "alice")
    client.command(a_command(1, BLINK))
    assert (await event(client, api.Result)).outcome is Outcome.DONE


async def test_stopping_an_unknown_board_stops_all(client: LinkClient, state: Path) -> None:
    (stopped,) = await stop_door.stop(state, ("nosuch",), "alice")
    assert (stopped.board, stopped.confirmed) == ("rover", True)


# Leases -----------------------------------------------------------------------------------------


async def test_c09_renewals_are_passed_on_while_a_motion_runs(
    client: LinkClient, board: FakeBoard, state: Path
) -> None:
    def renewed() -> int:
        return len([frame for frame in board.asked if frame.type == Type.RENEW])

    client.renew("rover", 1, 500)  # nothing runs
    board.hold = True
    client.command(a_command(1, FORWARD, lease_ms=500))
    await event(client, api.Progress)
    assert renewed() == 0
    client.renew("rover", 1, 500)
    await until(lambda: renewed() == 1)
    await stop_door.stop(state, ("rover",), "alice")
    client.renew("rover", 1, 500)
    await client._call(api.ListBoards())
    assert renewed() == 1


async def test_c09_a_motion_that_waits_for_its_board_does_not_begin_when_its_gateway_has_died(
    state: Path,
) -> None:
    async with FakeBoard(link_to=state / "port") as board:
        gateway = await LinkClient.start(state, [rover(board)])
        await give_while_away(gateway, board, a_command(1, FORWARD, ttl_ms=60_000, lease_ms=300))
        gateway.renew("rover", 1, 300)
        await gateway.close(shutdown=False)
        async with await LinkClient.start(state, [rover(board)]) as next_one:
            await asyncio.sleep(0.4)  # more than the lease
            board.plug(restarted=False)
            result = await event(next_one, api.Result)
            assert (result.outcome, result.detail) == (Outcome.EXPIRED, "the gateway fell silent")
        assert board.executed == []


async def test_c09_the_lease_of_a_motion_that_waits_counts_from_when_its_gateway_spoke_for_it_last(
    state: Path,
) -> None:
    async with FakeBoard(link_to=state / "port") as board:
        gateway = await LinkClient.start(state, [rover(board)])
        await give_while_away(gateway, board, a_command(1, FORWARD, ttl_ms=60_000, lease_ms=2000))
        spoken = board.loop.time()
        await gateway.close(shutdown=False)
        await asyncio.sleep(0.2)
        board.plug(restarted=False)
        await until(lambda: board.executed == [1])
        (command,) = [frame for frame in board.asked if frame.type == Type.COMMAND + FORWARD]
        lease = frames.CommandHead.parse(command.payload).lease
        assert board.left_ms(lease) <= (spoken + 2.001 - board.loop.time()) * 1000


async def test_c09_a_motion_that_waits_begins_while_its_gateway_speaks_for_it(state: Path) -> None:
    async with (
        FakeBoard(link_to=state / "port") as board,
        await LinkClient.start(state, [rover(board)]) as gateway,
    ):
        await give_while_away(gateway, board, a_command(1, FORWARD, ttl_ms=60_000, lease_ms=1000))
        async with asyncio.timeout(10):
            for turn in range(100):
                gateway.renew("rover", 1, 1000)
                await asyncio.sleep(0.1)
                if turn == 12:  # it has waited for longer than its lease
                    board.plug(restarted=False)
                if board.executed:
                    break
        assert board.executed == [1]


async def give_while_away(gateway: LinkClient, board: FakeBoard, command: api.Command) -> None:
    """Give a command to a board that is ready, and then unplugged."""
    await changed(gateway, api.BoardState.READY)
    board.unplug()
    await event(gateway, api.BoardChanged, lambda each: each.state is api.BoardState.OFFLINE)
    gateway.command(command)


async def test_c09_only_the_attached_gateway_commands(
    client: LinkClient, board: FakeBoard, state: Path
) -> None:
    for request in (
        a_command(1),
        api.Renew(board="rover", id=1, lease_ms=500),
        api.SetPoint(board="rover", index=0, lease_ms=500),
    ):
        answer = await ask(state, request)
        assert isinstance(answer, api.Refused)
    assert board.executed == []


async def test_c04_time_runs_on_while_the_link_process_is_frozen(
    client: LinkClient, board: FakeBoard, state: Path
) -> None:
    os.kill(the_pid(state), signal.SIGSTOP)
    client.command(a_command(1, FORWARD, ttl_ms=300, lease_ms=500))
    await asyncio.sleep(0.5)  # the length of the fault
    os.kill(the_pid(state), signal.SIGCONT)
    assert (await event(client, api.Result)).outcome is Outcome.EXPIRED
    assert board.executed == []


async def test_c12_live_control_must_be_taken_anew_when_its_lease_has_run_out(
    client: LinkClient, board: FakeBoard
) -> None:
    def points() -> list[bytes]:
        head = frames.SetpointHead.sizeof()
        return [each.payload[head:] for each in board.asked if each.type == Type.SETPOINT]

    client.set_point("rover", 0, 200, b"1234")
    await until(lambda: len(points()) == 1)
    await asyncio.sleep(0.3)  # the lease runs out
    client.set_point("rover", 0, 200, b"late")
    assert (await event(client, api.Lapsed)).index == 0
    client.set_point("rover", 0, 0, b"")
    client.set_point("rover", 0, 200, b"anew")
    await until(lambda: len(points()) == 3)
    assert points() == [b"1234", b"", b"anew"]


# Ports ------------------------------------------------------------------------------------------


async def test_c12_an_unplugged_board_is_back_when_plugged_in(state: Path, tmp_path: Path) -> None:
    async with (
        FakeBoard(link_to=tmp_path / "port") as board,
        await LinkClient.start(state, [rover(board)]) as client,
    ):
        await changed(client, api.BoardState.READY)
        for _ in range(3):
            board.unplug()
            offline = await changed_to(client, api.BoardState.OFFLINE)
            assert "vanished" in offline.detail
            board.plug()
            await changed_to(client, api.BoardState.READY)


async def changed_to(client: LinkClient, state: api.BoardState) -> api.BoardChanged:
    return await event(client, api.BoardChanged, lambda board: board.state is state)


async def test_c12_another_board_in_the_port_is_refused(state: Path, board: FakeBoard) -> None:
    async with await LinkClient.start(state, [rover(board, uid="1234abcd")]) as client:
        offline = await event(client, api.BoardChanged, lambda each: "c0ffee01" in each.detail)
        assert offline.state is api.BoardState.OFFLINE
        client.command(a_command(1))
        assert (await event(client, api.Result)).outcome is Outcome.REJECTED
    assert board.executed == []


async def test_a_missing_port_is_told_clearly(state: Path) -> None:
    wanted = api.WantedBoard(name="rover", port="/dev/nosuch")
    async with await LinkClient.start(state, [wanted]) as client:
        told = await event(client, api.BoardChanged, lambda each: "/dev/nosuch" in each.detail)
        assert "no such port" in told.detail


async def test_a_busy_port_is_told_with_its_holder(state: Path, board: FakeBoard) -> None:
    program = "import fcntl,os,sys; fcntl.flock(os.open(sys.argv[1], os.O_RDWR), 2); print(); input()"
    holder = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, board.port,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert holder.stdout
    await holder.stdout.readline()
    try:
        async with await LinkClient.start(state, [rover(board)]) as client:
            told = await event(client, api.BoardChanged, lambda each: "in use" in each.detail)
            assert f"process {holder.pid}" in told.detail
            holder.kill()
            await holder.wait()
            await changed_to(client, api.BoardState.READY)
    finally:
        if holder.returncode is None:
            holder.kill()
            await holder.wait()


async def test_c06_a_board_that_restarts_in_mid_command_leaves_it_unknown(
    client: LinkClient, board: FakeBoard
) -> None:
    board.hold = True
    client.command(a_command(1, BLINK))
    await event(client, api.Progress, lambda each: each.stage is api.Stage.STARTED)
    board.restart()
    result = await event(client, api.Result)
    assert (result.outcome, "restarted" in result.detail) == (None, True)
    assert board.executed == [1]


async def test_c02_a_result_lost_with_the_session_is_asked_for_again(
    client: LinkClient, board: FakeBoard
) -> None:
    board.hold = True
    client.command(a_command(1, BLINK, ttl_ms=10_000))
    await event(client, api.Progress, lambda each: each.stage is api.Stage.STARTED)
    board.link.announce(asyncio.get_running_loop().time())  # the session ends, the board goes on
    board._results[1] = b"\1\0\0\0\0"  # … and is done meanwhile
    board.pump()
    result = await event(client, api.Result)
    assert (result.id, result.outcome) == (1, Outcome.DONE)
    assert board.executed == [1]


async def test_garbage_and_floods_of_one_board_leave_others_alone(state: Path) -> None:
    async with (
        FakeBoard(uid="bad0", name="bad") as bad,
        FakeBoard() as good,
        await LinkClient.start(state, [rover(good), api.WantedBoard(name="bad", port=bad.port)]) as client,
    ):
        for _ in range(2):
            await changed_to(client, api.BoardState.READY)
        flood = asyncio.create_task(endless(bad))
        memory = resident_kb(the_pid(state))
        for number in range(1, 101):
            client.command(a_command(number, ttl_ms=5000))
            await event(client, api.Result)
        assert not flood.done()
        flood.cancel()
        assert good.executed == list(range(1, 101))
        assert resident_kb(the_pid(state)) < memory + 4000


async def endless(board: FakeBoard) -> None:
    chunks = (b"x" * 4000, b"\0\1" * 2000, os.urandom(4000), b"\0" * 4000)
    while True:
        for chunk in chunks:
            board.say(chunk)
            board.send(Type.TELEMETRY, bytes(4), Kind.DGRAM)
            await asyncio.sleep(0.0005)


def resident_kb(pid: int) -> int:
    return int(Path(f"/proc/{pid}/status").read_text().split("VmRSS:")[1].split()[0])


# The process ------------------------------------------------------------------------------------


async def test_the_socket_is_for_its_owner_alone(client: LinkClient, state: Path) -> None:
    assert (state / api.SOCKET).stat().st_mode & 0o777 == 0o600


async def test_two_gateways_on_one_state_folder_are_told_so(client: LinkClient, state: Path) -> None:
    with pytest.raises(ServiceError, match="two gateways"):
        await LinkClient.start(state, [])


async def test_the_next_gateway_waits_until_the_end_of_the_one_before_is_noticed(
    client: LinkClient, state: Path
) -> None:
    coming = [asyncio.create_task(LinkClient.start(state, [])) for _ in range(2)]
    await asyncio.sleep(0.1)
    await client.close(shutdown=False)
    async with asyncio.timeout(10):
        results = await asyncio.gather(*coming, return_exceptions=True)
    attached = [each for each in results if isinstance(each, LinkClient)]
    assert len(attached) == 1
    await attached[0].close(shutdown=False)


async def test_c14_the_link_process_survives_its_gateway_and_keeps_results_for_the_next(
    state: Path, board: FakeBoard
) -> None:
    first = await LinkClient.start(state, [rover(board)])
    await changed(first, api.BoardState.READY)
    pid = the_pid(state)
    board.hold = True
    first.command(a_command(1, BLINK, ttl_ms=5000))
    await event(first, api.Progress, lambda each: each.stage is api.Stage.STARTED)
    await first.close(shutdown=False)
    board.finish(1)
    hellos = board.boot
    async with await LinkClient.start(state, [rover(board)]) as second:
        assert [each.state for each in second.boards] == [api.BoardState.READY]
        second.command(a_command(1, ttl_ms=0, boot=0))
        assert (await event(second, api.Result)).outcome is Outcome.DONE
        assert the_pid(state) == pid
    assert board.boot == hellos


async def another(state: Path, board: FakeBoard) -> tuple[LinkClient, int]:
    """A new link process, after the one before was killed; and the board's boot nonce."""
    os.kill(the_pid(state), signal.SIGKILL)
    await service_client.ended(the_pid(state))
    client = await LinkClient.start(state, [rover(board)])
    return client, (await changed(client, api.BoardState.READY)).boot


async def test_c02_a_board_is_asked_what_became_of_what_another_link_process_gave_it(
    client: LinkClient, state: Path, board: FakeBoard
) -> None:
    board.hold = True
    client.command(a_command(1, BLINK))
    await event(client, api.Progress, lambda each: each.stage is api.Stage.STARTED)
    next_, boot = await another(state, board)
    async with next_:
        next_.command(a_command(1, BLINK, ttl_ms=0, boot=boot))
        assert (await event(next_, api.Progress)).stage is api.Stage.STARTED, "that it was sent is known"
        board.finish(1)
        assert (await event(next_, api.Result)).outcome is Outcome.DONE
    assert board.executed == [1]


async def test_c04_what_never_came_is_expired_or_with_time_left_begins_now(
    client: LinkClient, state: Path, board: FakeBoard
) -> None:
    next_, boot = await another(state, board)
    async with next_:
        next_.command(a_command(1, BLINK, ttl_ms=0, boot=boot))
        next_.command(a_command(2, BLINK, boot=boot))
        next_.command(a_command(3, FORWARD, ttl_ms=0, boot=boot))
        results = [await event(next_, api.Result) for _ in range(3)]
    ends = {each.id: each.outcome for each in results}
    assert ends == {1: Outcome.EXPIRED, 2: Outcome.DONE, 3: Outcome.EXPIRED}, "not for want of a lease"
    assert board.executed == [2]


async def test_c06_a_board_that_has_started_anew_is_not_asked(
    client: LinkClient, state: Path, board: FakeBoard
) -> None:
    next_, boot = await another(state, board)
    async with next_:
        next_.command(a_command(1, BLINK, boot=boot - 1))
        next_.command(api.Command(board="nobody", id=2, index=0, ttl_ms=0, boot=boot))
        results = [await event(next_, api.Result) for _ in range(2)]
    assert [each.outcome for each in results] == [None, None]
    assert board.executed == []


async def test_it_ends_when_no_gateway_comes(tmp_path: Path, board: FakeBoard) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", service_client.SERVICE, "--state", tmp_path, "--linger", "0.1"
    )
    async with asyncio.timeout(10):
        assert await process.wait() == 0
    assert not (tmp_path / api.SOCKET).exists()


async def test_it_ends_on_sigterm(client: LinkClient, state: Path) -> None:
    os.kill(the_pid(state), signal.SIGTERM)
    async for _ in client.events():
        pass
    await until(lambda: not (state / api.SOCKET).exists())


async def test_a_second_link_process_is_refused(client: LinkClient, state: Path) -> None:
    complaint = await service_client._launch(state)
    assert "another link process" in complaint
    assert await client.dictionary("rover")


async def test_a_dead_link_process_leaves_a_folder_that_can_be_used(state: Path, board: FakeBoard) -> None:
    client = await LinkClient.start(state, [rover(board)])
    os.kill(the_pid(state), signal.SIGKILL)
    async for _ in client.events():
        pass
    with pytest.raises(ServiceError):
        client.command(a_command(1))
        await client.dictionary("rover")
    await client.close()
    (state / "link.log").unlink()
    async with await LinkClient.start(state, [rover(board)]) as client:
        await changed(client, api.BoardState.READY)


async def test_a_folder_that_can_not_be_used_is_told_clearly(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ServiceError, match="file/state"):
        await LinkClient.start(tmp_path / "file" / "state", [])


@pytest.mark.parametrize(
    "line",
    [b"\xff\xfe\n", b"[]\n", b'{"op": "nosuch"}\n', b'{"op": "stop"}\n', b"x" * 2_000_000 + b"\n"],
)
async def test_nonsense_on_the_socket_ends_that_connection_alone(
    client: LinkClient, state: Path, line: bytes
) -> None:
    reader, writer = await asyncio.open_unix_connection(state / api.SOCKET)
    try:
        writer.write(line)
        assert await reader.read() == b""
    except ConnectionError:
        pass
    writer.close()
    assert await client.dictionary("rover")


async def test_the_process_is_small(client: LinkClient, state: Path) -> None:
    client.command(a_command(1))
    await event(client, api.Result)
    kb = resident_kb(the_pid(state))
    print(f"{kb} kB")
    assert kb < 30 * 1024


async def test_a_command_takes_little_time(client: LinkClient) -> None:
    began = time.perf_counter()
    for number in range(1, 201):
        client.command(a_command(number))
        await event(client, api.Result)
    print(f"{(time.perf_counter() - began) / 200 * 1e6:.0f} µs a command")
