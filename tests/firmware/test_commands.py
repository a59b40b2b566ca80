"""Commands: executed once, in time, checked by the board itself; failures are answers."""

from __future__ import annotations

import asyncio

import pytest

from boardtalk.hil.board import EmulatedBoard
from boardtalk.modules.iot_bridge import frames
from boardtalk.modules.iot_bridge.frames import Outcome, Type
from boardtalk.modules.iot_bridge.link.framing import Frame

from .peer import Peer


async def test_a_plain_function_sends_only_its_result(peer: Peer) -> None:
    await peer.do("count")
    assert not [event for event in peer.seen if getattr(event, "type", 0) == Type.STARTED]


async def test_a_command_that_takes_time_says_when_it_begins_and_ends(peer: Peer) -> None:
    id_ = peer.command("work", seconds=0.1)
    await peer.started(id_)
    assert await peer.returned("work", id_) == {"count": 1}


async def test_a_command_tells_how_far_it_is(peer: Peer) -> None:
    id_ = peer.command("plod")
    await peer.result(id_)
    told = [
        frames.Progress.parse(event.payload)
        for event in peer.seen
        if isinstance(event, Frame) and event.type == Type.PROGRESS
    ]
    assert [(each.id, each.percent) for each in told] == [(id_, percent) for percent in (0, 0, 50, 100, 100)]


async def test_progress_outside_of_a_command_is_nobody_s(peer: Peer) -> None:
    await peer.do("aimless")
    assert not [event for event in peer.seen if getattr(event, "type", 0) == Type.PROGRESS]


async def test_other_commands_are_obeyed_while_one_runs(peer: Peer) -> None:
    id_ = peer.command("work", seconds=10)
    await peer.started(id_)
    assert await peer.do("voltage") == {"voltage": 3.3}


async def test_the_same_id_again_gets_the_same_result_and_is_not_executed_again(peer: Peer) -> None:
    assert await peer.returned("count", peer.command("count", id_=70)) == {"count": 1}
    for _ in range(3):
        assert await peer.returned("count", peer.command("count", id_=70)) == {"count": 1}
    assert await peer.do("count") == {"count": 2}


async def test_the_same_id_while_it_runs_is_told_that_it_has_started(peer: Peer) -> None:
    id_ = peer.command("work", seconds=0.5)
    await peer.started(id_)
    peer.command("work", id_=id_, seconds=0.5)
    await peer.started(id_)
    assert await peer.returned("work", id_) == {"count": 1}


async def test_results_outlive_a_session(board: EmulatedBoard, peer: Peer) -> None:
    id_ = peer.command("work", seconds=0.3)
    await peer.started(id_)
    hello = await peer.hello()
    assert hello.last_command == id_
    assert await peer.returned("work", id_) == {"count": 1}
    assert await peer.returned("work", peer.command("work", id_=id_, seconds=0.3)) == {"count": 1}


async def test_the_last_eight_results_are_kept(peer: Peer) -> None:
    for id_ in range(100, 108):
        await peer.returned("count", peer.command("count", id_=id_))
    for id_ in range(100, 108):
        returned = await peer.returned("count", peer.command("count", id_=id_))
        assert returned == {"count": id_ - 99}


async def test_what_was_executed_is_known_until_its_result_has_arrived(
    board: EmulatedBoard, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many there are: the gateway asks again for all that it has no result of."""
    monkeypatch.setattr(peer.link, "_on_data", lambda frame, now: [])  # the results get lost
    ids = range(100, 114)
    for id_ in ids:
        peer.command("count", id_=id_)
    await board.until(counted=len(ids))
    await peer.hello()
    for id_ in ids:
        peer.command("count", id_=id_)
    monkeypatch.undo()
    for id_ in ids:
        assert await peer.returned("count", id_) == {"count": id_ - 99}
    assert await peer.do("count") == {"count": len(ids) + 1}


async def test_a_command_is_not_done_again_when_its_repetition_crosses_its_result(peer: Peer) -> None:
    """The result has arrived and is no longer kept; the repetition was under way."""
    ids = range(100, 100 + frames.MAX_COMMANDS)
    for id_ in ids:
        peer.command("count", id_=id_)
        await peer.returned("count", id_)
    for id_ in ids:
        peer.command("count", id_=id_)
    assert await peer.do("count") == {"count": len(ids) + 1}


async def test_a_command_that_comes_too_late_is_not_executed(peer: Peer) -> None:
    outcome, reason = await peer.result(peer.command("count", ttl_ms=0))
    assert (outcome, reason) == (Outcome.EXPIRED, b"it came too late")
    assert await peer.do("count") == {"count": 1}


async def test_time_counts_while_a_command_waits_on_the_board(board: EmulatedBoard, peer: Peer) -> None:
    peer.command("block")
    await board.until(blocking=True)
    late = peer.command("count", ttl_ms=100)
    intime = peer.command("count", ttl_ms=5000)
    assert (await peer.result(late))[0] is Outcome.EXPIRED
    assert await peer.returned("count", intime) == {"count": 1}


async def test_what_is_known_is_answered_even_if_its_time_is_over(peer: Peer) -> None:
    id_ = peer.command("count")
    await peer.returned("count", id_)
    assert await peer.returned("count", peer.command("count", id_=id_, ttl_ms=0)) == {"count": 1}


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"number": 6}, "number is out of range"),
        ({"number": -6}, "number is out of range"),
        ({"ratio": float("nan")}, "ratio is out of range"),
        ({"ratio": float("inf")}, "ratio is out of range"),
        ({"ratio": 1.5}, "ratio is out of range"),
    ],
)
async def test_the_board_checks_ranges_itself(peer: Peer, wrong: dict[str, float], reason: str) -> None:
    right = {"number": 1, "ratio": 0.5, "yes": False, "word": "", "pick": "red"}
    index, command = peer._find("echo")
    payload = b"".join(
        frames.VALUE_FORMATS[value.type].build(0 if value.name == "pick" else {**right, **wrong}[value.name])
        for value in command.args
    )
    outcome, data = await _raw(peer, index, payload)
    assert (outcome, data.decode()) == (Outcome.REJECTED, reason)


async def test_values_that_make_no_sense_are_rejected(peer: Peer) -> None:
    index, _ = peer._find("echo")
    good = bytes(4) + bytes(4) + b"\1" + b"\0" + b"\0"
    for payload, why in [
        (b"", "is missing"),
        (good[:-1], "pick is missing"),
        (good[:9] + b"\x50abc", "word is missing"),
        (good[:9] + b"\2\xff\xfe\0", ""),
        (good[:-1] + b"\2", "range"),
        (good + b"x", "too many values"),
    ]:
        outcome, data = await _raw(peer, index, payload)
        assert outcome is Outcome.REJECTED, payload
        assert why in data.decode()


async def test_an_unknown_command_is_rejected(peer: Peer) -> None:
    outcome, data = await _raw(peer, 200, b"")
    assert (outcome, data) == (Outcome.REJECTED, b"no such command")


async def test_an_exception_in_robot_code_is_an_answer(peer: Peer) -> None:
    outcome, data = await peer.result(peer.command("broken"))
    assert (outcome, data) == (Outcome.FAILED, b"KeyError: no such thing")
    assert await peer.do("voltage") == {"voltage": 3.3}


async def test_a_result_that_does_not_fit_its_declaration_is_a_failure(peer: Peer) -> None:
    outcome, data = await peer.result(peer.command("nonsense"))
    assert outcome is Outcome.FAILED
    assert b"Error" in data


async def test_a_result_that_fits_into_no_frame_is_a_failure_and_the_board_goes_on(peer: Peer) -> None:
    outcome, reason = await peer.result(peer.command("essay"))
    assert (outcome, b"too long" in reason) == (Outcome.FAILED, True)
    assert await peer.do("count") == {"count": 1}


async def test_a_command_can_be_cancelled(peer: Peer) -> None:
    id_ = peer.command("work", seconds=10)
    await peer.started(id_)
    peer.cancel(id_)
    assert (await peer.result(id_))[0] is Outcome.CANCELLED


async def test_at_most_four_commands_run_at_once(peer: Peer) -> None:
    for _ in range(4):
        peer.command("work", seconds=10)
    assert await peer.refused("work", seconds=1) == "busy: 4 commands are running"


async def test_garbage_payloads_harm_nothing(peer: Peer) -> None:
    for type_ in [*Type, Type.COMMAND + 250, Type.SETPOINT + 90, Type.EVENT + 3, 0xFFFF]:
        for payload in (b"", b"\0", b"\xff" * 3, b"\xff" * 200):
            peer.send(type_, payload)
            await asyncio.sleep(0)
    peer.stop(1)
    peer.rearm(1)
    assert await peer.do("voltage", epoch=0xFFFF) == {"voltage": 3.3}


async def _raw(peer: Peer, index: int, payload: bytes) -> tuple[Outcome, bytes]:
    """A command whose arguments are packed already."""
    id_ = next(peer._ids)
    head = frames.CommandHead.build({"deadline": peer.at(2000), "id": id_, "epoch": 0, "lease": 0})
    peer.send(Type.COMMAND + index, head + payload)
    return await peer.result(id_)
