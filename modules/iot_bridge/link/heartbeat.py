"""Asking a board what its clock shows, again and again: it is known, and known to be there. No I/O."""

from __future__ import annotations

from collections import deque
from struct import Struct
from typing import TYPE_CHECKING, Final

from boardtalk.modules.iot_bridge import frames
from boardtalk.modules.iot_bridge.link.clock import BoardClock
from boardtalk.modules.iot_bridge.link.hello import CTRL_C

if TYPE_CHECKING:
    from collections.abc import Callable

TIME: Final = Struct("<IIH")
"""`frames.TimeBoard`, by hand: it comes several times a second."""
TIME_BYTES: Final = frames.TimeBoard.sizeof()
HEARTBEAT_IDLE_S: Final = 1.0
HEARTBEAT_MOVING_S: Final = 0.12
HEARTBEAT_FIRST_S: Final = 0.2
"""Until the first answer, on which commands wait."""
HEARTBEAT_AGAIN: Final = 0.33
"""An unanswered heartbeat is repeated after this share of the interval."""
HURRY_S: Final = 0.1
"""… or after this, out of turn, while something waits for an answer."""
HEARTBEATS_MISSED: Final = 8
"""Then the board is lost: within 5 s, or 0.6 s while something moves, also on a bad line."""
QUESTIONS: Final = 16
"""The last ones, whose answers may yet come."""
FIRST_QUESTION: Final = 0x40404040
"""Without zeros: the lengths between them, which COBS writes in their place, might be 3."""
SPELLINGS: Final = 16
"""Tried for one without Ctrl-C, which one in 30 has."""


class Heartbeat:
    """One link's."""

    clock: BoardClock
    """The board's."""
    due: float | None
    """When it is to be asked next; None: not before there is a session."""
    missed: int
    """How often it was asked, in turn, since it said anything at all."""
    _turn: float
    """When the next question that counts is due."""
    _asked: deque[tuple[int, float]]
    """The questions that it may yet answer, and when they were asked."""

    def __init__(self) -> None:
        self._interval_s = HEARTBEAT_IDLE_S
        self._question = FIRST_QUESTION
        self.begin(None)

    def begin(self, at: float | None) -> None:
        """A session begins at this time, or ends (None): nothing is known of the board's clock."""
        self.clock = BoardClock()
        self.due = at
        self.missed = 0
        self._turn = at or 0.0
        self._asked = deque(maxlen=QUESTIONS)

    def set_moving(self, moving: bool, now: float) -> None:
        """Whether something moves, so that silence must be noticed soon."""
        self._interval_s = HEARTBEAT_MOVING_S if moving else HEARTBEAT_IDLE_S
        if self.due is not None:
            self._turn = min(self._turn, now + self._interval_s)
            self.due = min(self.due, self._turn)

    def hurry(self, now: float) -> None:
        """Something waits for the board to say anything: ask at once, unless it was asked just now."""
        if self.due is not None:
            last = self._asked[-1][1] if self._asked else -HURRY_S
            self.due = min(self.due, max(now, last + HURRY_S))

    def silent(self, now: float) -> bool:
        """Whether the board has not said anything for too long."""
        return self.due is not None and self._turn <= now and self.missed >= HEARTBEATS_MISSED

    def ask(self, now: float, spell: Callable[[bytes], bytes]) -> bytes:
        """The frame of the next question.

        Without a Ctrl-C: a board that is just starting again, unnoticed yet, would be kept from it.

        Args:
            now: monotonic seconds.
            spell: makes a frame of a payload.
        """
        if self._turn <= now:
            pause = self._interval_s * (HEARTBEAT_AGAIN if self.missed else 1)
            self._turn = now + (pause if self.clock.read(now) else min(pause, HEARTBEAT_FIRST_S))
            self.missed += 1
        self.due = self._turn
        for _ in range(SPELLINGS):
            self._question = (self._question + 1) & 0xFFFFFFFF
            frame = spell(self._question.to_bytes(4, "little"))
            if CTRL_C not in frame:
                break
        self._asked.append((self._question, now))
        return frame

    def answered(self, payload: bytes, now: float) -> int | None:
        """Learn from an answer; how many frames the board misses, or None if this answers nothing of ours."""
        if len(payload) < TIME_BYTES:
            return None
        question, board_ms, missing = TIME.unpack_from(payload)
        asked = dict(self._asked).get(question)
        if asked is None:
            return None
        while self._asked.popleft()[0] != question:
            pass
        self.clock.learn(asked, now, board_ms)
        return int(missing)
