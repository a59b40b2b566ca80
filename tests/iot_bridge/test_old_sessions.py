"""Frames count in the session that they were made in, whatever of it they carry over into another one."""

from __future__ import annotations

import pytest

from boardtalk.modules.iot_bridge.frames import Type
from boardtalk.modules.iot_bridge.link.arq import Link
from boardtalk.modules.iot_bridge.link.framing import Frame
from boardtalk.modules.iot_bridge.link.hello import Hello
from tests.iot_bridge.peer import BoardLink

NONCE, BOOT, DICTIONARY = 5, 7, b"12345678"


def ends_of_a_session(nonce: int = NONCE, boot: int = BOOT, dictionary: bytes = DICTIONARY) -> list[Link]:
    """Of one that has just begun: the gateway's and the board's."""
    host, board = Link(), BoardLink(Hello(boot=boot, dictionary=dictionary, uid="c0ffee01"))
    host.open(nonce, now=0.0)
    board.receive(host.to_send(0.0), 0.0)
    host.receive(board.to_send(0.0), 0.0)
    assert host.is_open
    assert board.is_open
    return [host, board]


@pytest.mark.parametrize("sender", [0, 1], ids=["to the board", "to the gateway"])
@pytest.mark.parametrize(
    ("other", "counts"),
    [
        ({}, True),
        ({"nonce": 6}, False),
        ({"boot": 8}, False),
        ({"dictionary": b"12345679"}, False),
    ],
    ids=["the same", "the gateway began anew", "the board began anew", "another dictionary"],
)
def test_the_first_frame_of_a_session_is_damaged_in_any_other_one(
    sender: int, other: dict[str, int], counts: bool
) -> None:
    """Number 0 is awaited in both, so nothing but the checksum tells them apart."""
    before, after = ends_of_a_session(), ends_of_a_session(**other)  # type: ignore[arg-type]
    before[sender].send(Type.EVENT, b"again?")
    receiver = after[1 - sender]
    bad = receiver.counters.bad
    events = receiver.receive(before[sender].to_send(0.0, room=1), 0.0)
    assert [event.payload for event in events if isinstance(event, Frame)] == [b"again?"] * counts
    assert receiver.counters.bad - bad == (not counts)
