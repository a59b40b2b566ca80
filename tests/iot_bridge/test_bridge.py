"""The bridge, as the chain and the link process see it."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import struct
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from boardtalk.instance import timers
from boardtalk.modules.iot_bridge import robots
from boardtalk.modules.iot_bridge.bridge import BoardBlock, IotBridge
from boardtalk.modules.iot_bridge.frames import Kind, Progress, SetpointHead, Type
from boardtalk.modules.iot_bridge.service import api, client
from boardtalk.modules.iot_bridge.service.client import LinkClient, ask
from boardtalk.sdk import (
    CONSUMED,
    PASS,
    Call,
    CallState,
    Code,
    Contact,
    Message,
    Refused,
    Settings,
    State,
    Status,
    check_name,
)
from tests.iot_bridge.fake_board import FakeBoard
from tests.iot_bridge.test_service import the_pid


class Gateway:
    """What the bridge gets from its gateway: the `Context`. All of it is kept."""

    instance = "iot_bridge"

    def __init__(self, state: Path, boards: Mapping[str, Settings], tasks: asyncio.TaskGroup) -> None:
        self.state = self.folder = state
        self.log = structlog.get_logger()
        self.contacts: dict[str, Contact] = {}
        self.taken = ""
        """Address of somebody else."""
        self.ends: dict[str, Status] = {}
        """How messages ended, by id."""
        self.told: list[tuple[str, State, str]] = []
        """What was reported of messages: id, state and detail."""
        self.answers: list[str] = []
        self.full = False
        """Whether it takes no more messages."""
        self.notes: dict[str, Any] = {}
        self.series: dict[str, list[float | str]] = {}
        self.watched = False
        """Whether somebody watches."""
        self.timers: list[asyncio.Task[None]] = []
        self._boards = boards
        self._tasks = tasks

    def send(self, message: Message, status: Status | None = None) -> None:
        self.answers.append(message.body)
        if self.full:
            raise Refused(Code.BUSY, "1000 messages of this module wait: it sends too much")

    def report(self, message: Message, status: Status) -> None:
        self.told.append((message.id, status.state, status.detail))
        if status.state not in (State.SENT, State.STARTED):
            assert message.id not in self.ends
            self.ends[message.id] = status

    def explain(self, message: Message, what: str, detail: str = "") -> None: ...

    def register(self, contact: Contact) -> None:
        check_name(contact.address)
        if contact.address == self.taken:
            raise Refused(Code.BAD_ADDRESS, f"{contact.address!r} is somebody else's address")
        self.contacts[contact.address] = contact

    def unregister(self, address: str) -> None: ...

    def contact(self, address: str) -> Contact | None:
        return self.contacts.get(address)

    def publish(self, address: str, values: Mapping[str, float | str], at: float | None = None) -> bool:
        for name, value in values.items():
            self.series.setdefault(f"{address} {name}", []).append(value)
        return self.watched

    def allowed(self, sender: str, action: Any, to: str, *_: Any) -> bool:
        return True

    def require(self, sender: str, action: Any, to: str, *_: Any) -> str:
        return ""

    def blocks(self, kind: str) -> Mapping[str, Settings]:
        return self._boards

    def now(self) -> float:
        return time.monotonic()

    def random(self) -> float:
        return 0.5

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        return self._tasks.create_task(work, name=name)

    def every(self, seconds: float, call: Callable[[], Any]) -> asyncio.Task[None]:
        task = self._tasks.create_task(timers.every(seconds, call, self.failed), name="every")
        self.timers.append(task)
        return task

    def after(self, seconds: float, call: Callable[[], None]) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(seconds, call)

    def failed(self, error: BaseException) -> None:
        raise AssertionError from error

    async def state_of(self, robot: str, state: str) -> None:
        await until(lambda: robot in self.contacts and self.contacts[robot].state == state)

    async def end(self, id_: str) -> State:
        await until(lambda: id_ in self.ends)
        return self.ends[id_].state


@asynccontextmanager
async def bridge(
    state: Path,
    taken: str = "",
    notes: dict[str, Any] | None = None,
    *,
    discover: bool = False,
    **boards: FakeBoard,
) -> AsyncIterator[tuple[IotBridge, Gateway]]:
    """A bridge whose boards are these, wired to ports of their own.

    One address is `taken` by others. `notes` are of the one before.
    """
    async with asyncio.TaskGroup() as tasks:
        blocks = {name: BoardBlock(port=board.port) for name, board in boards.items()}
        gateway = Gateway(state, blocks, tasks)
        gateway.taken, gateway.notes = taken, {} if notes is None else notes
        module = IotBridge(gateway, IotBridge.Config(discover=discover))
        await module.on_start()
        try:
            yield module, gateway
        finally:
            await module.on_cleanup()
            for task in gateway.timers:
                task.cancel()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


def a_message(body: str, *, id_: str, row: int) -> Message:
    """A message that the gateway accepts now."""
    return Message(sender="alice", to="rover", body=body, id=id_, row=row, accepted=time.monotonic())


async def left_under_way(state: Path, board: FakeBoard, command: Message) -> dict[str, Any]:
    """What a gateway noted that ended while its board carried out a command."""
    notes: dict[str, Any] = {}
    async with bridge(state, notes=notes, rover=board) as (module, gateway):
        await gateway.state_of("rover", "ready")
        board.hold = True
        module.on_message(command)
        await until(lambda: board.executed == [command.row])
    return notes


async def test_an_event_that_makes_no_sense_does_not_keep_others_from_being_heard(
    tmp_path: Path, board: FakeBoard
) -> None:
    board.hold = True
    async with bridge(tmp_path, rover=board) as (module, gateway):
        await gateway.state_of("rover", "ready")
        module.on_message(a_message("blink", id_="command", row=1))
        await until(lambda: board.executed == [1])
        nonsense = api.Progress(board="rover", id=1, stage=api.Stage.SENT, frame=b"\0\1\2\0")
        module._roster.link._events.put_nowait(nonsense)
        board.finish(1)
        assert await gateway.end("command") is State.DONE


async def test_a_dictionary_that_a_frozen_link_process_does_not_tell_is_asked_for_again(
    tmp_path: Path, board: FakeBoard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The board does not change any more, so nobody would tell of it again."""
    ask_for = LinkClient.dictionary

    async def of_a_frozen_one(link: LinkClient, name: str) -> bytes:
        monkeypatch.setattr(LinkClient, "dictionary", ask_for)
        monkeypatch.setattr(client, "ANSWER_TIMEOUT_S", 0.2)
        os.kill(link.pid, signal.SIGSTOP)
        try:
            return await ask_for(link, name)
        finally:
            os.kill(link.pid, signal.SIGCONT)
            monkeypatch.setattr(client, "ANSWER_TIMEOUT_S", 5.0)

    monkeypatch.setattr(LinkClient, "dictionary", of_a_frozen_one)
    async with bridge(tmp_path, rover=board) as (module, gateway):
        await gateway.state_of("rover", "ready")
        await until(lambda: bool(gateway.contacts["rover"].commands))
        module.on_message(a_message("blink", id_="command", row=1))
        assert await gateway.end("command") is State.DONE


async def test_what_was_accepted_before_a_stop_is_not_done_after_it(tmp_path: Path, board: FakeBoard) -> None:
    """Even if it was held up by another module, and the robot was re-armed meanwhile."""
    async with bridge(tmp_path, rover=board) as (module, gateway):
        await gateway.state_of("rover", "ready")
        old_command = a_message("blink", id_="old command", row=1)
        old_rearm = a_message("rearm", id_="old rearm", row=2)
        await ask(tmp_path, api.Stop(boards=("rover",), by="alice", re=1))
        await gateway.state_of("rover", "latched")
        assert module.on_message(old_rearm) is CONSUMED
        assert await gateway.end("old rearm") is State.REJECTED
        module.on_message(a_message("rearm", id_="rearm", row=3))
        assert await gateway.end("rearm") is State.DONE
        module.on_message(old_command)
        assert await gateway.end("old command") is State.REJECTED
        module.on_message(a_message("blink", id_="command", row=4))
        assert await gateway.end("command") is State.DONE
        assert board.executed == [4]


async def test_a_gateway_that_takes_no_more_of_what_robots_say_still_has_its_commands_done(
    tmp_path: Path, board: FakeBoard
) -> None:
    async with bridge(tmp_path, rover=board) as (module, gateway):
        await gateway.state_of("rover", "ready")
        gateway.full = True
        for row in (1, 2):
            module.on_message(a_message("blink", id_=f"m{row}", row=row))
            assert await gateway.end(f"m{row}") is State.DONE
        # Which those who talked to it are told.
        await ask(tmp_path, api.Stop(boards=("rover",), by="bob", re=1))
        await gateway.state_of("rover", "latched")


async def test_who_asked_is_told_how_far_a_long_command_is_no_faster_than_he_reads(
    tmp_path: Path, board: FakeBoard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(robots, "PROGRESS_PAUSE_S", 0.05)
    async with bridge(tmp_path, rover=board) as (module, gateway):
        await gateway.state_of("rover", "ready")
        board.hold = True
        module.on_message(a_message("blink", id_="long", row=1))
        await until(lambda: ("long", State.STARTED, "") in gateway.told)
        for percent in (10, 11, 12, 40):
            await asyncio.sleep(0.1 * (percent == 40))
            board.send(Type.PROGRESS, Progress.build({"id": 1, "percent": percent}), Kind.DGRAM)
        await until(lambda: ("long", State.STARTED, "40 %") in gateway.told)
        board.finish(1)
        assert await gateway.end("long") is State.DONE
    percents = [detail for _, _, detail in gateway.told if detail.endswith("%")]
    assert percents == ["10 %", "40 %"]


async def test_c09_who_lets_a_robot_go_has_its_outputs_off_at_once_and_not_when_its_lease_ends(
    tmp_path: Path, board: FakeBoard
) -> None:
    call = Call(id="call", sender="alice", to="rover", control="drive")
    async with bridge(tmp_path, rover=board) as (module, gateway):
        await gateway.state_of("rover", "ready")

        def leases() -> list[bool]:
            steered = (frame for frame in board.asked if frame.type == Type.SETPOINT)
            return [SetpointHead.parse(frame.payload).lease > 0 for frame in steered]

        assert module.on_call(call) is CONSUMED
        module.on_set_point(call, "x=1")
        await until(lambda: leases() == [False, True])
        module.on_call_status(call, CallState.ENDED)
        await until(lambda: leases() == [False, True, False])


async def test_c02_a_command_that_outlives_the_link_process_ends_as_it_ended(
    tmp_path: Path, board: FakeBoard
) -> None:
    async with bridge(tmp_path, rover=board) as (module, gateway):
        await gateway.state_of("rover", "ready")
        board.hold = True
        module.on_message(a_message("blink", id_="held", row=1))
        await until(lambda: board.executed == [1])
        os.kill(the_pid(tmp_path), signal.SIGKILL)
        board.finish(1)
        assert await gateway.end("held") is State.DONE
        assert board.executed == [1]


async def test_c02_what_is_said_while_the_link_process_is_away_is_done_when_there_is_one_again_but_no_motion(
    tmp_path: Path, board: FakeBoard
) -> None:
    async with bridge(tmp_path, rover=board) as (module, gateway):
        await gateway.state_of("rover", "ready")
        module.on_message(a_message("blink", id_="before", row=1))
        assert await gateway.end("before") is State.DONE
        os.kill(the_pid(tmp_path), signal.SIGKILL)
        module.on_message(a_message("blink", id_="unnoticed", row=2))
        await gateway.state_of("rover", "offline")
        module.on_message(a_message("blink", id_="meanwhile", row=3))
        module.on_message(a_message("blink", id_="given-up", row=4))
        module.on_message(a_message("forward 1", id_="motion", row=5))
        module.on_message(a_message("cancel given-up", id_="cancel", row=6))
        assert gateway.ends["motion"].state is State.REJECTED
        assert await gateway.end("given-up") is State.CANCELLED
        assert await gateway.end("unnoticed") is State.DONE
        assert await gateway.end("meanwhile") is State.DONE
        assert board.executed == [1, 2, 3]


async def test_a_link_process_is_started_again_whatever_keeps_the_first_attempts_from_it(
    tmp_path: Path, board: FakeBoard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No descriptors are left for a while; and somebody is at work on a board definition of his."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    async with bridge(tmp_path / "state", discover=True, rover=board) as (_, gateway):
        await gateway.state_of("rover", "ready")
        half = tmp_path / "config" / "boardtalk" / "boards" / "mine.toml"
        half.parent.mkdir(parents=True)
        half.write_text("name = ")
        link_process = the_pid(tmp_path / "state")
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        with capture_logs() as logged:
            resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
            try:
                os.kill(link_process, signal.SIGKILL)
                await until(lambda: any(line["event"] == "no link process" for line in logged))
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        await gateway.state_of("rover", "ready")


async def test_c06_a_command_that_waits_for_a_link_process_is_not_sent_to_a_board_that_has_started_anew(
    tmp_path: Path, board: FakeBoard
) -> None:
    async with bridge(tmp_path, rover=board) as (module, gateway):
        await gateway.state_of("rover", "ready")
        board.hold = True
        module.on_message(a_message("blink", id_="under way", row=1))
        await until(lambda: board.executed == [1])
        os.kill(the_pid(tmp_path), signal.SIGKILL)
        await gateway.state_of("rover", "offline")
        module.on_message(a_message("blink", id_="waiting", row=2))
        board.restart()
        assert await gateway.end("under way") is State.UNKNOWN
        assert await gateway.end("waiting") is State.REJECTED
        assert board.executed == [1]


@pytest.mark.parametrize(
    ("restarts", "end"), [(False, State.DONE), (True, State.UNKNOWN)], ids=["same board", "board restarts"]
)
async def test_c06_the_next_gateway_asks_the_board_unless_that_has_started_anew(
    tmp_path: Path, board: FakeBoard, *, restarts: bool, end: State
) -> None:
    command = a_message("battery", id_="held", row=1)
    notes = await left_under_way(tmp_path, board, command)
    if restarts:
        board.restart()
    else:
        board.finish(1, data=b"\0\0\x40\x40")
    async with bridge(tmp_path, notes=notes, rover=board) as (module, gateway):
        assert module.on_unfinished(command) is CONSUMED
        assert module.on_unfinished(command.with_(to="bob", row=2)) is PASS
        assert await gateway.end("held") is end
        assert gateway.answers == (["volts 3"] if end is State.DONE else ["the board restarted meanwhile"])
    assert board.executed == [1]


async def test_c02_a_result_that_can_not_be_read_yet_is_asked_for_again_when_the_link_process_dies(
    tmp_path: Path, board: FakeBoard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gateway and link process are killed one after the other: nobody knew any more what had been asked."""
    command = a_message("battery", id_="held", row=1)
    notes = await left_under_way(tmp_path, board, command)
    board.finish(1, data=b"\0\0\x40\x40")
    learn = LinkClient.dictionary

    async def dies_meanwhile(client: LinkClient, name: str) -> bytes:
        monkeypatch.setattr(LinkClient, "dictionary", learn)
        await until(lambda: any(isinstance(each, api.Result) for each in client._events._queue))  # type: ignore[attr-defined]
        os.kill(client.pid, signal.SIGKILL)
        return await learn(client, name)

    monkeypatch.setattr(LinkClient, "dictionary", dies_meanwhile)
    async with bridge(tmp_path, notes=notes, rover=board) as (module, gateway):
        assert module.on_unfinished(command) is CONSUMED
        assert await gateway.end("held") is State.DONE
        assert gateway.answers == ["volts 3"]
    assert board.executed == [1]


async def test_c05_a_command_to_a_board_that_does_not_come_back_is_unknown(
    tmp_path: Path, board: FakeBoard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("boardtalk.modules.iot_bridge.bridge.LOST_S", 0.2)
    async with bridge(tmp_path, notes={"boot:ghost": [1, 0]}, rover=board) as (module, gateway):
        assert module.on_unfinished(a_message("blink", id_="lost", row=1).with_(to="ghost")) is CONSUMED
        assert await gateway.end("lost") is State.UNKNOWN


@pytest.mark.parametrize("name", ["alice", "help"])
async def test_a_robot_that_can_not_have_its_address_leaves_the_others_in_peace(
    tmp_path: Path, board: FakeBoard, name: str
) -> None:
    async with (
        FakeBoard("bb02") as other,
        bridge(tmp_path, taken="alice", rover=board, **{name: other}) as (module, gateway),
    ):

        def in_peace() -> bool:
            assert module.on_message(a_message("blink", id_="x", row=1).with_(to=name)) is PASS
            return "rover" in gateway.contacts and gateway.contacts["rover"].state == "ready"

        async with asyncio.timeout(10):
            while not in_peace():
                await asyncio.sleep(0)  # look at every step of meeting the boards
        other.unplug()
        board.unplug()
        await gateway.state_of("rover", "offline")


async def test_c10_a_board_that_declares_a_longer_motion_is_refused_and_says_why(
    tmp_path: Path, board: FakeBoard
) -> None:
    board.text = board.text.replace(b'"class": "motion"', b'"class": "motion", "limit": 20')
    async with bridge(tmp_path, rover=board) as (module, gateway):
        await until(lambda: "forward" in gateway.contacts["rover"].about)
        assert not gateway.contacts["rover"].online
        assert "motion 'forward' may run 20 s: motion must end by itself within 10 s" in (
            gateway.contacts["rover"].about
        )
        module.on_message(a_message("forward 5", id_="far", row=1))
        assert await gateway.end("far") is State.REJECTED
        assert "motion 'forward' may run 20 s" in gateway.ends["far"].detail
    assert not board.executed


async def test_c17_who_talks_to_a_board_that_sends_too_much_is_told_how_much_was_thrown_away(
    tmp_path: Path, board: FakeBoard
) -> None:
    async with bridge(tmp_path, rover=board) as (module, gateway):
        await gateway.state_of("rover", "ready")
        module.on_message(a_message("watch battery", id_="watch", row=1))
        for _ in range(200):
            for _ in range(10):
                board.send(Type.TELEMETRY, bytes(4), Kind.DGRAM)
            await asyncio.sleep(0)
        module.on_message(a_message("blink", id_="blink", row=2))
        assert await gateway.end("blink") is State.DONE, "it still obeys"
        await until(lambda: any("thrown away" in each for each in gateway.answers))
        told = [each for each in gateway.answers if each.startswith("battery:")]
        assert 1 <= len(told) < 10, "people read no faster"


async def test_s14_a_board_whose_reports_make_no_sense_does_not_fill_the_log(
    tmp_path: Path, board: FakeBoard
) -> None:
    async with bridge(tmp_path, rover=board) as (_, gateway):
        await gateway.state_of("rover", "ready")
        with capture_logs() as logged:
            for extra in range(1, 20):
                board.send(Type.TELEMETRY, bytes(4 + extra), Kind.DGRAM)
                board.send(Type.EVENT, bytes(extra))
            board.send(Type.EVENT, b"")
            await until(lambda: "rover event.bumped" in gateway.series)
    assert [line["event"] for line in logged].count("report not understood") == 1


async def test_what_a_board_reports_is_told_as_series(tmp_path: Path, board: FakeBoard) -> None:
    async with bridge(tmp_path, rover=board) as (_, gateway):
        await gateway.state_of("rover", "ready")
        known = {each.name: each for each in gateway.contacts["rover"].series}
        assert {"battery", "event.bumped", "log.error", "link.rtt"} <= known.keys()
        assert [control.name for control in gateway.contacts["rover"].controls] == ["drive"]
        assert gateway.contacts["rover"].details["firmware"] == "fake 1"
        board.send(Type.TELEMETRY, struct.pack("<f", 7.5), Kind.DGRAM)
        board.send(Type.EVENT, b"")
        await until(lambda: {"rover battery", "rover event.bumped"} <= gateway.series.keys())
        assert gateway.series["rover battery"] == [7.5]
        assert not any(name.startswith("rover link.") for name in gateway.series)


async def test_the_quality_of_the_line_is_measured_while_somebody_watches(
    tmp_path: Path, board: FakeBoard
) -> None:
    async with bridge(tmp_path, rover=board) as (_, gateway):
        await gateway.state_of("rover", "ready")
        gateway.watched = True
        await until(lambda: "rover link.loss" in gateway.series)
        assert 0 < float(gateway.series["rover link.rtt"][0]) < 1000
        assert gateway.series["rover link.loss"][0] == 0
