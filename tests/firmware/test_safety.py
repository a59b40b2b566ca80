"""What the board does for safety by itself: stop, latch, leases, limits, one motion at a time."""

from __future__ import annotations

import asyncio
import struct
import time
from pathlib import Path

import pytest

from boardtalk.hil.board import EmulatedBoard
from boardtalk.modules.iot_bridge import frames, payloads
from boardtalk.modules.iot_bridge.cache import DictionaryCache
from boardtalk.modules.iot_bridge.device import Device
from boardtalk.modules.iot_bridge.errors import NoHello
from boardtalk.modules.iot_bridge.frames import Outcome, Type
from boardtalk.modules.iot_bridge.transports.serial import SerialPort

from .peer import Peer

SETPOINT = struct.pack("<ff", 10, 20)


async def move(peer: Peer, **how: int) -> int:
    """Start a motion of 5 s."""
    id_ = peer.command("move", seconds=5, **how)
    await peer.started(id_)
    return id_


async def test_stop_ends_motion_at_once_and_latches(board: EmulatedBoard, peer: Peer) -> None:
    id_ = await move(peer)
    await board.until(power=100)
    peer.stop(1)
    assert frames.StateBody.parse((await peer.frame(Type.STOPPED)).payload) == {"epoch": 1, "latched": True}
    await board.until(power=0, stopped=True)
    assert await peer.result(id_) == (Outcome.CANCELLED, b"stopped")


async def test_stop_ends_actions_too_but_not_queries_to_come(peer: Peer) -> None:
    id_ = peer.command("work", seconds=5)
    await peer.started(id_)
    peer.stop(1)
    assert await peer.result(id_) == (Outcome.CANCELLED, b"stopped")
    assert await peer.do("voltage", epoch=1) == {"voltage": 3.3}


async def test_while_stopped_nothing_moves_or_acts(board: EmulatedBoard, peer: Peer) -> None:
    peer.stop(1)
    await peer.frame(Type.STOPPED)
    for name, args in (("move", {"seconds": 1}), ("count", {})):
        assert await peer.refused(name, epoch=1, **args) == "stopped: rearm first"
    told = len(board.outputs)
    peer.setpoint(0, 1, 500, SETPOINT)
    await peer.do("tune", epoch=1, value=1)
    await peer.do("park", epoch=1)
    assert len(board.outputs) == told


async def test_c08_set_points_from_before_a_stop_move_nothing_when_it_is_re_armed(
    board: EmulatedBoard, peer: Peer
) -> None:
    """However much is left of their lease."""
    peer.stop(1)
    peer.rearm(1)
    await peer.frame(Type.STATE)
    told = len(board.outputs)
    peer.setpoint(0, 0, 2000, SETPOINT)
    await peer.do("voltage", epoch=1)
    assert len(board.outputs) == told
    peer.setpoint(0, 1, 2000, SETPOINT)
    await board.until(x=10, y=20)


async def test_each_stop_is_confirmed(peer: Peer) -> None:
    for _ in range(3):
        peer.stop(4)
        state = frames.StateBody.parse((await peer.frame(Type.STOPPED)).payload)
        assert (state.epoch, state.latched) == (4, True)
    peer.stop(2)
    assert frames.StateBody.parse((await peer.frame(Type.STOPPED)).payload).epoch == 4


async def test_rearm_needs_the_current_epoch(peer: Peer) -> None:
    peer.stop(3)
    await peer.frame(Type.STOPPED)
    for epoch, latched in ((2, True), (4, True), (3, False)):
        peer.rearm(epoch)
        state = frames.StateBody.parse((await peer.frame(Type.STATE)).payload)
        assert (state.epoch, state.latched) == (3, latched)
    assert await peer.do("count", epoch=3) == {"count": 1}


async def test_commands_from_before_the_stop_die(peer: Peer) -> None:
    peer.stop(5)
    await peer.frame(Type.STOPPED)
    peer.rearm(5)
    assert await peer.refused("count", epoch=4) == "a stop came after it"
    assert await peer.do("count", epoch=5) == {"count": 1}


async def test_stop_overtakes_what_is_queued(board: EmulatedBoard, peer: Peer) -> None:
    block = peer.command("block")
    await board.until(blocking=True)
    ids = [peer.command("count") for _ in range(4)]
    peer.stop(1)
    await peer.result(block)
    for id_ in ids:
        outcome, reason = await peer.result(id_)
        assert (outcome, reason) == (Outcome.REJECTED, b"a stop came after it")


async def test_hello_tells_of_the_stop(peer: Peer) -> None:
    peer.stop(9)
    await peer.frame(Type.STOPPED)
    hello = await peer.hello()
    assert (hello.epoch, hello.latched) == (9, True)


async def test_motion_without_a_lease_is_refused(peer: Peer) -> None:
    assert await peer.refused("move", seconds=1, lease_ms=0) == "motion needs a lease"


async def test_motion_ends_when_its_lease_is_not_renewed(board: EmulatedBoard, peer: Peer) -> None:
    id_ = await move(peer, lease_ms=200)
    assert await peer.result(id_) == (Outcome.FAILED, b"the lease ran out")
    await board.until(power=0, stopped=True)


async def test_motion_goes_on_while_its_lease_is_renewed(board: EmulatedBoard, peer: Peer) -> None:
    id_ = peer.command("move", seconds=1, lease_ms=300)
    await peer.started(id_)
    renewing = asyncio.create_task(renew(peer, id_, 300))
    outcome, _ = await peer.result(id_)
    renewing.cancel()
    assert outcome is Outcome.DONE


async def renew(peer: Peer, id_: int, lease_ms: int) -> None:
    while True:
        peer.renew(id_, lease_ms)
        await asyncio.sleep(lease_ms / 5000)


async def test_c09_a_renewal_that_was_held_up_prolongs_nothing_and_ends_nothing(
    board: EmulatedBoard, peer: Peer
) -> None:
    id_ = await move(peer, lease_ms=400)
    await asyncio.sleep(0.2)
    began = time.monotonic()
    held_up = payloads.renew(id_, peer.at(-100))
    while not board.outputs[-1].state.get("stopped"):
        peer.datagram(Type.RENEW, held_up)
        await asyncio.sleep(0.05)
    assert await peer.result(id_) == (Outcome.FAILED, b"the lease ran out")
    assert 0.05 < board.outputs[-1].at - began < 0.3


async def test_c09_a_motion_that_was_under_way_for_longer_than_its_lease_does_not_begin(
    board: EmulatedBoard, peer: Peer
) -> None:
    id_ = peer.command("move", seconds=1, lease_ms=-1)
    assert await peer.result(id_) == (Outcome.EXPIRED, b"it came too late")
    assert not board.outputs


async def test_c09_set_points_that_were_held_up_move_nothing(board: EmulatedBoard, peer: Peer) -> None:
    for late_ms in (1, 1000, 60_000, 3_600_000):
        peer.setpoint(0, 0, -late_ms, SETPOINT)
    await peer.do("voltage")
    assert not board.outputs


@pytest.mark.parametrize("renewed", [False, True])
async def test_no_lease_is_longer_than_two_seconds(peer: Peer, renewed: bool) -> None:
    id_ = await move(peer, lease_ms=60_000)
    if renewed:
        peer.renew(id_, 60_000)
    assert await peer.result(id_) == (Outcome.FAILED, b"the lease ran out")


async def test_no_lease_of_a_set_point_is_longer_either(board: EmulatedBoard, peer: Peer) -> None:
    peer.setpoint(0, 0, 60_000, SETPOINT)
    await board.until(x=10, y=20)
    await board.until(power=0, stopped=True)


async def test_motion_ends_when_the_gateway_falls_silent(board: EmulatedBoard, peer: Peer) -> None:
    await move(peer, lease_ms=300)
    peer._clock.cancel()
    asyncio.get_running_loop().remove_reader(peer.fd)
    await board.until(power=0, stopped=True)


async def test_motion_ends_after_its_limit(board: EmulatedBoard, peer: Peer) -> None:
    id_ = peer.command("creep", lease_ms=2000)
    await peer.started(id_)
    renewing = asyncio.create_task(renew(peer, id_, 500))
    assert await peer.result(id_) == (Outcome.FAILED, b"it took too long")
    renewing.cancel()
    await board.until(power=0, stopped=True)


async def test_c10_motion_that_nothing_would_end_is_refused_and_outputs_go_off(
    board: EmulatedBoard, peer: Peer
) -> None:
    outcome, reason = await peer.result(peer.command("kick"))
    assert (outcome, reason) == (Outcome.FAILED, b"ValueError: motion needs async def, or nothing ends it")
    await board.until(power=0, stopped=True)


async def test_c10_an_action_that_may_take_long_ends_when_it_is_not_renewed(
    board: EmulatedBoard, peer: Peer
) -> None:
    id_ = peer.command("heat", lease_ms=300)
    await board.until(heater=1)
    renewing = asyncio.create_task(renew(peer, id_, 300))
    await asyncio.sleep(0.6)
    assert board.outputs[-1].state["heater"] == 1
    renewing.cancel()
    assert await peer.result(id_) == (Outcome.FAILED, b"the lease ran out")
    await board.until(heater=0)


async def test_c10_beside_an_action_that_takes_long_the_robot_moves_and_stays_in_motion_when_it_ends(
    board: EmulatedBoard, peer: Peer
) -> None:
    heating = peer.command("heat", lease_ms=2000)
    await board.until(heater=1)
    await move(peer, lease_ms=2000)
    await board.until(power=100)
    peer.cancel(heating)
    assert await peer.result(heating) == (Outcome.CANCELLED, b"cancelled")
    assert not [record for record in board.outputs if record.state.get("stopped")]


async def test_c10_a_motion_longer_than_10_s_can_t_be_declared_and_who_looks_for_the_board_sees_why(
    tmp_path: Path,
) -> None:
    program = tmp_path / "robot"
    program.mkdir()
    (program / "main.py").write_text(
        'from boardtalk import Board\n\nrobot = Board("lazy")\n\n\n'
        '@robot.command("motion", limit=20)\nasync def crawl():\n    pass\n\n\nrobot.run()\n'
    )
    async with EmulatedBoard(program) as board:
        device = Device(SerialPort(board.port), DictionaryCache(tmp_path / "known"), patience_s=1)
        with pytest.raises(NoHello, match=r"line 6.*motion .*crawl.* takes 10 s at most"):
            await device.__aenter__()


async def test_one_motion_at_a_time(peer: Peer) -> None:
    await move(peer)
    assert await peer.refused("creep") == "busy: move is running"


async def test_motion_that_fails_leaves_outputs_off(board: EmulatedBoard, peer: Peer) -> None:
    outcome, reason = await peer.result(peer.command("jam"))
    assert (outcome, reason) == (Outcome.FAILED, b"OSError: the wheel is jammed")
    await board.until(power=0, stopped=True)


async def test_robot_code_that_ignores_its_end_is_ended_again(board: EmulatedBoard, peer: Peer) -> None:
    id_ = peer.command("stubborn")
    await board.until(power=100)
    peer.stop(1)
    await board.until(power=0, stopped=True)
    yielding = asyncio.create_task(board.world(**{"yield": True}))
    assert await peer.result(id_) == (Outcome.CANCELLED, b"stopped")
    await yielding


async def test_a_command_stopped_before_it_could_begin_never_begins(board: EmulatedBoard, peer: Peer) -> None:
    block = peer.command("block")
    await board.until(blocking=True)
    index, command = peer._find("move")
    id_ = peer.command("move", seconds=5)
    peer.stop(1)
    await peer.result(block)
    outcome, _ = await peer.result(id_)
    assert outcome is not Outcome.DONE
    assert not [record for record in board.outputs if record.state.get("power") == 100]


async def test_setpoints_drive_until_their_lease_runs_out(board: EmulatedBoard, peer: Peer) -> None:
    peer.setpoint(0, 0, 200, SETPOINT)
    await board.until(x=10, y=20)
    await board.until(power=0, stopped=True)


async def test_a_setpoint_without_a_lease_lets_go(board: EmulatedBoard, peer: Peer) -> None:
    peer.setpoint(0, 0, 2000, SETPOINT)
    await board.until(x=10, y=20)
    peer.setpoint(0, 0, 0, SETPOINT)
    await board.until(power=0, stopped=True)
    assert await peer.do("move", seconds=0.1) == {}


async def test_motion_and_live_control_exclude_each_other(board: EmulatedBoard, peer: Peer) -> None:
    peer.setpoint(0, 0, 2000, SETPOINT)
    await board.until(x=10, y=20)
    assert await peer.refused("move", seconds=1) == "busy: drive is running"
    peer.setpoint(0, 0, 0, SETPOINT)
    await board.until(power=0, stopped=True)
    await move(peer)
    await board.until(power=100)
    told = len(board.outputs)
    peer.setpoint(0, 0, 500, SETPOINT)
    await peer.do("voltage")
    assert len(board.outputs) == told


async def test_setpoints_out_of_range_turn_outputs_off(board: EmulatedBoard, peer: Peer) -> None:
    peer.setpoint(0, 0, 2000, SETPOINT)
    await board.until(x=10, y=20)
    peer.setpoint(0, 0, 2000, struct.pack("<ff", 1000, 0))
    await board.until(power=0, stopped=True)


async def test_a_reset_never_goes_on_moving(board: EmulatedBoard, peer: Peer) -> None:
    await move(peer)
    await board.reset()
    told = len(board.outputs)
    await peer.hello()
    assert (await peer.do("voltage")) == {"voltage": 3.3}
    assert len(board.outputs) == told


async def test_c04_what_came_while_the_board_was_frozen_does_not_start_after_its_time(
    board: EmulatedBoard, peer: Peer
) -> None:
    for number in range(5):
        await asyncio.sleep(number / 1000)
        board.freeze()
        id_ = peer.command("count", ttl_ms=200)
        await asyncio.sleep(0.3)  # the length of the fault
        board.thaw()
        assert (await peer.result(id_))[0] is Outcome.EXPIRED
    assert not [record for record in board.outputs if "counted" in record.state]
