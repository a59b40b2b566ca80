"""Lines with faults: each does what it says, and is counted."""

from __future__ import annotations

import asyncio
import random
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boardtalk.hil.ends import UnderWay
from boardtalk.hil.faults import Faults, Spoiler
from boardtalk.hil.line import TO_BOARD, FaultyLine
from boardtalk.modules.iot_bridge.frames import Kind
from boardtalk.modules.iot_bridge.link.framing import encode
from boardtalk.sdk.tasks import cancel_and_wait

LETTERS = [f"\0\x03{letter}{letter}\0".encode() for letter in "abcdefgh"]
"""What counts as a frame: something between delimiters."""
ACK = encode(Kind.ACK, 0, b"", seq=0, ack=0, retry=False, seed=0)


def spoil(faults: Faults, *pieces: bytes, seed: int = 1) -> tuple[bytes, Counter[str]]:
    fired: Counter[str] = Counter()
    spoiler = Spoiler(faults, random.Random(seed), fired)
    return b"".join(map(spoiler.spoil, pieces)), fired


def test_without_faults_everything_arrives_at_once() -> None:
    assert spoil(Faults(), b"abc", LETTERS[0][:3]) == (b"abc" + LETTERS[0][:3], Counter())


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=5))
def test_however_it_comes_no_byte_is_lost_unless_that_is_wanted(data: bytes, cuts: list[int]) -> None:
    ends = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    pieces = [data[start:end] for start, end in pairwise(ends)]
    never = Faults(lose=1e-300)
    arrived, _ = spoil(never, *pieces, b"\0\x02x\0")
    assert arrived.rstrip(b"\0") == data + b"\0\x02x", "all but what may be the beginning of a frame"


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_frames_are_told_apart_however_they_are_cut(size: int) -> None:
    stream = b"".join(LETTERS)
    pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
    twice, fired = spoil(Faults(duplicate=1), *pieces)
    assert twice == b"".join(letter + letter for letter in LETTERS)
    assert fired["duplicate"] == len(LETTERS)


def test_a_frame_is_lost_or_damaged_as_a_whole() -> None:
    none, fired = spoil(Faults(lose=1), *LETTERS)
    assert (none, fired["lose"]) == (b"", len(LETTERS))
    damaged, fired = spoil(Faults(corrupt=1), *LETTERS)
    assert fired["corrupt"] == len(LETTERS)
    assert len(damaged) == len(b"".join(LETTERS))
    assert damaged != b"".join(LETTERS)


def test_a_frame_comes_after_its_follower() -> None:
    arrived, fired = spoil(Faults(reorder=1), *LETTERS[:4])
    assert arrived == b"".join(LETTERS[at] for at in (1, 0, 3, 2))
    assert fired["reorder"] == 2


def test_acknowledgements_alone_are_lost() -> None:
    arrived, fired = spoil(Faults(lose_acks=1), LETTERS[0], ACK, LETTERS[1])
    assert arrived == LETTERS[0] + LETTERS[1]
    assert fired["lose_acks"] == 1


def test_the_same_seed_gives_the_same_faults() -> None:
    stream = b"".join(LETTERS * 20)
    faults = Faults(drop=0.01, flip=0.01, lose=0.1, duplicate=0.1, reorder=0.1, corrupt=0.1, noise=0.1)
    assert spoil(faults, stream) == spoil(faults, stream)
    assert spoil(faults, stream) != spoil(faults, stream, seed=2)
    assert all(spoil(faults, stream)[1][name] for name in ("drop", "flip", "lose", "duplicate", "noise"))


@asynccontextmanager
async def joined(line: FaultyLine) -> AsyncIterator[tuple[socket.socket, socket.socket]]:
    """The board's end and the gateway's."""
    near, board = socket.socketpair()
    far, gateway = socket.socketpair()
    for each in (near, board, far, gateway):
        each.setblocking(False)
    task = asyncio.create_task(line.join(near.fileno(), far.fileno()))
    try:
        yield board, gateway
    finally:
        await cancel_and_wait(task)
        for each in (near, board, far, gateway):
            each.close()


async def receive(end: socket.socket, size: int) -> bytes:
    data = b""
    async with asyncio.timeout(5):
        while len(data) < size:
            data += await asyncio.get_running_loop().sock_recv(end, 4096)
    return data


def test_a_percentage_is_no_probability() -> None:
    with pytest.raises(ValueError, match="drop: a probability is from 0 to 1, not 5"):
        FaultyLine(seed=1).drop(5)


async def test_a_line_that_is_cut_one_way_lets_the_other_through() -> None:
    line = FaultyLine(1)
    async with joined(line) as (board, gateway):
        line.cut.add(TO_BOARD)
        gateway.send(b"never")
        board.send(b"up")
        assert await receive(gateway, 2) == b"up"
        line.cut.clear()
        while not line.fired["cut"]:
            await asyncio.sleep(0.01)
        gateway.send(b"down")
        assert await receive(board, 4) == b"down"


async def test_a_slow_line_takes_its_time() -> None:
    async with joined(FaultyLine(1, baud=9600)) as (board, gateway):
        began = time.monotonic()
        gateway.send(bytes(480))
        assert await receive(board, 480) == bytes(480)
        gateway.send(b"x")
        await receive(board, 1)
        assert time.monotonic() - began >= 0.5, "that is what 480 bytes take"


def test_a_lines_clock_is_absolute_and_keeps_the_order() -> None:
    way, byte_s = UnderWay(), 10 / 115_200
    for _ in range(1000):
        way.put(b"x", now=0.0, takes=byte_s, delay=0.5)
    assert way.due == pytest.approx(byte_s + 0.5)
    way.put(b"y", now=0.0, takes=byte_s, delay=0.0)
    arrived = []
    while way.due < float("inf"):
        arrived.append((way.due, way.take()))
    assert arrived == sorted(arrived)
    assert arrived[999][0] == pytest.approx(1000 * byte_s + 0.5), "no rounding adds up"
    assert arrived[-1] == (arrived[999][0], b"y"), "no byte overtakes another one when a delay ends"


async def test_what_came_at_once_arrives_in_pieces_and_the_other_way_round() -> None:
    line = FaultyLine(1, split=True, merge_s=0.05)
    async with joined(line) as (board, gateway):
        for _ in range(5):
            gateway.send(b"01234567")
            await asyncio.sleep(0)
        assert await receive(board, 40) == b"01234567" * 5
    assert line.fired["split"]
    assert line.fired["merge"] < 5
