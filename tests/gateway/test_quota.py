"""What costs the gateway much is not to be had without end, by anybody; nobody pays for another one."""

from __future__ import annotations

import pytest

from boardtalk.people.quota import BURST, RATE, Quota
from boardtalk.sdk import Code, Refused


class Asked:
    """Time that goes on when it is told to, and who asks."""

    def __init__(self) -> None:
        self.now = 100.0
        self.quota = Quota("questions", lambda: self.now)

    def times(self, user: str, times: int) -> int:
        """How many of so many questions are answered."""
        answered = 0
        for _ in range(times):
            try:
                self.quota.take(user)
            except Refused as refused:
                assert refused.code is Code.BUSY
                assert refused.reason.startswith("questions: 10 a second at most")
            else:
                answered += 1
        return answered


def test_a_burst_is_answered_and_then_so_many_a_second() -> None:
    asked = Asked()
    assert asked.times("alice", 1000) == BURST
    asked.now += 1
    assert asked.times("alice", 1000) == RATE
    asked.now += 3600
    assert asked.times("alice", 1000) == BURST


def test_who_asks_again_and_again_does_not_wait_longer() -> None:
    asked, answered = Asked(), 0
    for _ in range(1000):
        asked.now += 0.01
        answered += asked.times("alice", 1)
    assert answered == pytest.approx(BURST + 10 * RATE, abs=1)


def test_each_has_his_own() -> None:
    asked = Asked()
    asked.times("alice", 1000)
    assert asked.times("bob", BURST) == BURST
