"""How a module instance does: what it decided, how long it took, and when it is taken out of service."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from enum import StrEnum
from time import monotonic
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import msgspec
import structlog

from boardtalk.sdk import BoardtalkError

if TYPE_CHECKING:
    from boardtalk.sdk import Message

SOFT_DEADLINE_NS: Final = 250_000_000
"""A callback that takes longer is counted and reported."""
HARD_DEADLINE_NS: Final = 1_000_000_000
"""A callback that takes longer has failed. An asynchronous one is cancelled; an inline one can't be."""
MAX_FAILURES: Final = 3
WITHIN_S: Final = 5.0
"""`MAX_FAILURES` in this time open the breaker: the module is left alone."""
BACK_OFF_S: Final = (1.0, 60.0)
"""For how long, at first and at most; twice as long after each trial that fails."""
RECENT: Final = 1024
"""Calls that the shown percentiles are of; a power of two."""

OnFail: TypeAlias = Literal["skip", "drop"]
"""What becomes of a message whose module failed: `skip` the module, or `drop` the message."""

log = structlog.get_logger()


class Condition(StrEnum):
    """How an instance is."""

    RUNNING = "running"
    RESTING = "resting"
    """It failed too often: its breaker is open."""
    FAILED = "failed"
    """It did not start."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One instance, as `boardtalk modules` shows it. Counts are of messages since it started."""

    name: str
    condition: Condition
    position: int
    """In the chain, from 1; 0 if it is not in it."""
    version: str = ""
    description: str = ""
    on_fail: OnFail = "skip"
    calls: int = 0
    passed: int = 0
    consumed: int = 0
    replaced: int = 0
    refused: int = 0
    failed: int = 0
    """Messages and other callbacks."""
    rested: int = 0
    """Messages that went past it, because it had failed too often."""
    slow: int = 0
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    """Of the last `RECENT` calls."""
    last_error: str = ""


@dataclass(slots=True)
class Breaker:
    """Takes a module out of service that failed `MAX_FAILURES` times in `WITHIN_S` seconds.

    After the back-off the next message is a trial: if that fails too, it rests twice as long.
    """

    until: float = 0.0
    """Monotonic seconds; in service again from then on."""
    _failures: deque[float] = field(default_factory=lambda: deque(maxlen=MAX_FAILURES))
    _back_off: float = 0.0

    def trip(self, now: float) -> bool:
        """Note a failure; whether the module rests now."""
        if now < self.until:  # calls that were under way when it opened
            return False
        self._failures.append(now)
        often = len(self._failures) == MAX_FAILURES and now - self._failures[0] <= WITHIN_S
        first, longest = BACK_OFF_S
        if self._back_off and now - self.until < longest:  # a trial, or soon after one
            self._back_off = min(2 * self._back_off, longest)
        elif often:
            self._back_off = first
        else:
            return False
        self.until = now + self._back_off
        return True


class Health:
    """Counts, times and breaker of one module instance in the chain."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.calls = 0
        self.slow = 0
        self.took_ns = [0] * RECENT
        """Durations of the last calls, by their number modulo `RECENT`."""
        self.verdicts: Counter[str] = Counter()
        """Everything but PASS: consumed, replaced, refused, failed, rested."""
        self.failed_elsewhere = 0
        """Callbacks other than `on_message` that failed. They open no breaker: what `on_message` does for
        messages may be as good as ever, and with `on_fail = drop` nothing would pass."""
        self.last_error = ""
        self.breaker = Breaker()

    def tripped(self, error: Exception, message: Message) -> bool:
        """Note and report an error; whether the module rests from now on."""
        late = isinstance(error, TimeoutError)
        self.last_error = f"no answer within {HARD_DEADLINE_NS / 1e9:g} s" if late else _words(error)
        log.error(
            "module failed",
            module=self.name,
            message=message.id or message.row,
            error=self.last_error,
            exc_info=None if late or isinstance(error, BoardtalkError) else error,
        )
        now = monotonic()
        if not self.breaker.trip(now):
            return False
        log.error("module rests", module=self.name, seconds=self.breaker.until - now)
        return True

    def failed_in(self, callback: str, error: BaseException) -> None:
        """Note that a callback other than `on_message` failed."""
        self.failed_elsewhere += 1
        self.last_error = f"{callback}: {_words(error)}"

    def dawdled(self, elapsed_ns: int) -> None:
        """Count and report a callback that took longer than the soft deadline."""
        self.slow += 1
        log.warning("module slow", module=self.name, ms=elapsed_ns // 1_000_000)

    @property
    def passed(self) -> int:
        """Messages that this module let go on unchanged."""
        return self.calls - sum(self.verdicts.values())

    def percentile_ms(self, percent: int) -> float:
        """Of the durations of the last calls, in milliseconds; 0 before the first."""
        taken = sorted(self.took_ns[: min(self.calls, RECENT)])
        return taken[len(taken) * percent // 100] / 1e6 if taken else 0.0


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
