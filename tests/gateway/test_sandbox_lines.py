"""The socket between the gateway and the process of a module: each line is taken once, whole and in order."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from boardtalk.sandbox.lines import Lines
from boardtalk.sdk import ServiceError
from boardtalk.sdk.channel import MAX_LINE_BYTES


class Ends:
    """One end, what it took, and how it ended; and a socket that is the other."""

    def __init__(self, lines: Lines[list[int]], other: socket.socket) -> None:
        self.lines, self.other = lines, other
        self.taken: list[list[int]] = []
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        lines.listen(self.taken.append, self.ended.set_result)

    async def say(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self.other, data)


@pytest.fixture
async def ends() -> AsyncIterator[Ends]:
    ours, other = socket.socketpair()
    other.setblocking(False)
    with other:
        made = Ends(await Lines.connect(ours, list[int]), other)
        yield made
        made.lines.close()
        await made.ended


async def test_lines_may_come_in_pieces_or_many_at_once(ends: Ends) -> None:
    for piece in (b"[1", b",2]\n[3]\n[", b"4]", b"\n"):
        await ends.say(piece)
        await asyncio.sleep(0.01)
    ends.other.close()
    assert await ends.ended == ""
    assert ends.taken == [[1, 2], [3], [4]]


@pytest.mark.parametrize(
    ("noise", "reason"),
    [
        (b"{nonsense}\n", "not understood: "),
        (b"\xff\n", "not understood: "),
        (b"[" * (MAX_LINE_BYTES + 1), "a line longer than 1048576 bytes"),
    ],
    ids=["nonsense", "no text", "no end"],
)
async def test_what_is_no_line_ends_it_and_what_came_before_counts(
    ends: Ends, noise: bytes, reason: str
) -> None:
    await ends.say(b"[1]\n" + noise)
    assert (await ends.ended).startswith(reason)
    assert ends.taken == [[1]]


async def test_an_end_that_does_not_read_is_cut_off(ends: Ends) -> None:
    with pytest.raises(ServiceError, match="does not read"):
        for _ in range(100):
            ends.lines.send(["x" * 100_000])
    with pytest.raises(ServiceError, match="closed"):
        ends.lines.send([])
