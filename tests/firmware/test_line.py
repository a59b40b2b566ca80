"""The line itself: Ctrl-C, noise, damage, a gateway that does not read."""

from __future__ import annotations

import asyncio
import random

import pytest

from boardtalk.hil.board import EmulatedBoard
from boardtalk.hil.faults import Faults
from boardtalk.hil.line import FaultyLine
from boardtalk.hil.virtual.clock import run
from boardtalk.hil.virtual.firmware import Firmware
from boardtalk.hil.virtual.wire import Line, connect
from boardtalk.modules.iot_bridge import frames
from boardtalk.modules.iot_bridge.frames import Kind, Outcome, Type
from boardtalk.modules.iot_bridge.link.framing import encode

from .conftest import ROBOTS
from .peer import Peer

CTRL_C = b"\x03"


async def ended(board: EmulatedBoard) -> None:
    """Wait until the board's program has ended by itself."""
    async with asyncio.timeout(5):
        await board.ended()


async def test_ctrl_c_outside_of_a_frame_ends_the_program_with_outputs_off(
    board: EmulatedBoard, peer: Peer
) -> None:
    peer.command("move", seconds=5)
    await board.until(power=100)
    peer.hush()
    peer.raw(CTRL_C)
    await ended(board)
    await board.until(power=0, stopped=True)


async def test_ctrl_c_ends_the_program_before_any_session(board: EmulatedBoard) -> None:
    async with Peer(board.port) as peer:
        await peer.hello()
        peer.hush()
        await board.reset()
        peer.raw(b"\r" + CTRL_C)
        await ended(board)


async def test_the_byte_of_ctrl_c_within_a_frame_is_data(peer: Peer) -> None:
    for _ in range(3):
        word = "\x03" * 40
        assert (await peer.do("echo", number=3, ratio=0, yes=True, word=word, pick="red"))["word"] == word


async def test_a_damaged_frame_full_of_ctrl_c_does_not_interrupt(peer: Peer) -> None:
    frame = encode(Kind.DGRAM, 0x30, b"\x03" * 50, seq=0, ack=0, retry=False, seed=1)
    for _ in range(20):
        peer.raw(frame[1:])  # as if the opening delimiter was lost
        peer.raw(frame[:20] + frame[21:])
    assert await peer.do("voltage") == {"voltage": 3.3}


def test_nor_does_one_whose_rest_is_late_while_nobody_is_there() -> None:
    async def story() -> None:
        _, uart, (down, _) = connect(Line(baud=115_200))
        serving = asyncio.create_task(Firmware().client(uart).run([]))
        for ms in range(50):  # at each phase of what the client does by the clock
            await asyncio.sleep(0.2 + ms / 1000)
            down.deliver(CTRL_C)
            await asyncio.sleep(0.045)
            down.deliver(b"\0")
        assert not serving.done()
        serving.cancel()

    run(story())


async def test_an_unfinished_frame_does_not_swallow_ctrl_c_for_long(board: EmulatedBoard, peer: Peer) -> None:
    peer.hush()
    peer.raw(b"\0\x05half a frame")
    await asyncio.sleep(1.2)  # the board gives it up after a second of silence
    peer.raw(CTRL_C)
    await ended(board)


async def test_noise_between_frames_costs_nothing(peer: Peer) -> None:
    noise = random.Random(1)
    for _ in range(50):
        peer.raw(bytes(noise.choice([0, 5, 128, 255]) for _ in range(noise.randrange(400))) + b"\0")
        assert await peer.do("voltage") == {"voltage": 3.3}


async def test_a_gateway_that_does_not_read_does_not_hold_up_the_board(
    board: EmulatedBoard, peer: Peer
) -> None:
    loop = asyncio.get_running_loop()
    loop.remove_reader(peer.fd)
    for _ in range(40):
        peer.datagram(Type.TIME, bytes(8))
        peer.command("chatter")
    peer.command("move", seconds=5, lease_ms=500)
    loop.add_reader(peer.fd, peer._on_bytes)
    await board.until(power=100)
    await board.until(power=0, stopped=True)


@pytest.mark.parametrize("seed", [1, 2])
async def test_damaged_and_lost_bytes_lose_no_command_and_repeat_none(seed: int) -> None:
    line = FaultyLine(seed, Faults(drop=0.0005, flip=0.0005))
    async with (
        EmulatedBoard(ROBOTS / "bench", line=line) as board,
        Peer(board.port) as peer,
    ):
        await peer.learn()
        ids = []
        for _ in range(304):
            ids.append(peer.command("count", ttl_ms=60_000))
            await asyncio.sleep(0)
            if len(ids) % 8 == 0:
                assert (await peer.result(ids[-1]))[0] is Outcome.DONE
        results = {}
        for event in peer.seen:
            if getattr(event, "type", 0) == Type.RESULT:
                head = frames.ResultHead.parse(event.payload)  # type: ignore[union-attr]
                results[head.id] = head.outcome
        assert results == dict.fromkeys(ids, Outcome.DONE)
        counted = [r.state["counted"] for r in board.outputs if "counted" in r.state]
        assert counted == list(range(1, len(ids) + 1))
    print(f"seed {seed}: {dict(line.fired)}")
    assert line.fired["drop"] > 0
    assert line.fired["flip"] > 0
