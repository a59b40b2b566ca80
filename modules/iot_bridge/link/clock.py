"""What a board's clock shows, by ours: learned from heartbeats, as NTP does. Time is passed in."""

from __future__ import annotations

from collections import deque
from typing import Final, NamedTuple

TICKS: Final = 1 << 30
"""After so many milliseconds a board's clock begins anew at the latest."""
RESOLUTION_S: Final = 0.001
SAMPLES: Final = 64
SPAN_S: Final = 10.0
"""Before so long nothing can be said of the drift."""
UNKNOWN_DRIFT: Final = 1e-4
"""Until then it is taken to be less than this: a crystal's is."""


class Reading(NamedTuple):
    """A board's clock at some moment."""

    offset_s: float
    """How much more it shows than ours."""
    drift: float
    """Seconds that it gains in a second; 0.0 while unknown."""
    error_s: float
    """How much the offset may be wrong."""


class _Sample(NamedTuple):
    at: float
    offset: float
    error: float


class BoardClock:
    """One session's."""

    def __init__(self) -> None:
        self._samples: deque[_Sample] = deque(maxlen=SAMPLES)
        self._shown = 0
        """Milliseconds, without beginning anew."""

    def learn(self, sent: float, came: float, board_ms: int) -> None:
        """The board was asked at `sent`, and its answer came at `came`."""
        self._shown += (board_ms - self._shown) % TICKS
        at = (sent + came) / 2
        offset = self._shown * RESOLUTION_S + RESOLUTION_S / 2 - at
        self._samples.append(_Sample(at, offset, (came - sent + RESOLUTION_S) / 2))

    def read(self, now: float) -> Reading | None:
        """How it is now; None: it has not been asked yet."""
        if not self._samples:
            return None
        drift, doubt = self._drift()
        best = min(self._samples, key=lambda sample: sample.error + (now - sample.at) * doubt)
        age = now - best.at
        return Reading(best.offset + age * drift, drift, best.error + age * doubt)

    def _drift(self) -> tuple[float, float]:
        """The line through the samples that took least time, and how much its slope may be wrong."""
        kept = sorted(self._samples, key=lambda sample: sample.error)[: len(self._samples) // 2 + 1]
        times = [sample.at for sample in kept]
        span = max(times) - min(times)
        if span < SPAN_S:
            return 0.0, UNKNOWN_DRIFT
        middle = sum(times) / len(kept)
        weight = sum((at - middle) ** 2 for at in times)
        slope = sum((sample.at - middle) * sample.offset for sample in kept) / weight
        return slope, 2 * kept[0].error / span
