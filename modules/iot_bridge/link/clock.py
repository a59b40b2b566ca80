"""What a board's clock shows, by ours: learned from heartbeats, as NTP does. Time is passed in.

A board was asked after we sent and before its answer came, however long either was under way. So each
answer bounds its clock for certain, and what follows from them does too, as long as it goes evenly.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final, NamedTuple

from boardtalk.modules.iot_bridge.frames import CLOCK_MASK

RESOLUTION_S: Final = 0.001
SAMPLES: Final = 64
SPAN_S: Final = 10.0
"""Before so long nothing can be said of the drift."""
UNKNOWN_DRIFT: Final = 0.01
"""Until then it is taken to be less than this: a board may have no crystal."""


class Reading(NamedTuple):
    """A board's clock at some moment."""

    offset_s: float
    """How much more it shows than ours."""
    drift: float
    """Seconds that it gains in a second; 0.0 while unknown."""
    error_s: float
    """How much the offset may be wrong."""
    round_trip_s: float
    """How long the last answer took."""


class _Sample(NamedTuple):
    at: float
    offset: float
    error: float


class BoardClock:
    """One session's."""

    def __init__(self) -> None:
        self._samples: deque[_Sample] = deque(maxlen=SAMPLES)
        self._best: _Sample | None = None
        self._drift = 0.0
        self._doubt = UNKNOWN_DRIFT
        """How much the drift may be wrong."""
        self._round_trip = 0.0
        self._shown = 0
        """Milliseconds, without beginning anew."""

    def learn(self, sent: float, came: float, board_ms: int) -> None:
        """The board was asked at `sent`, and its answer came at `came`."""
        self._round_trip = came - sent
        self._shown += (board_ms - self._shown) & CLOCK_MASK
        at = (sent + came) / 2
        offset = self._shown * RESOLUTION_S + RESOLUTION_S / 2 - at
        sample = _Sample(at, offset, (came - sent + RESOLUTION_S) / 2)
        known = self.read(at)
        if known is not None and abs(offset - known.offset_s) > sample.error + known.error_s:
            self._samples.clear()  # one of the two clocks was set, or stood still
        self._samples.append(sample)
        self._drift, self._doubt = self._slope()
        self._best = min(self._samples, key=lambda each: each.error + (came - each.at) * self._doubt)

    def read(self, now: float) -> Reading | None:
        """How it is at a time; None: it has not been asked yet."""
        best = self._best
        if best is None:
            return None
        age = now - best.at
        return Reading(
            best.offset + age * self._drift,
            self._drift,
            best.error + abs(age) * self._doubt,
            self._round_trip,
        )

    def deadline(self, at: float) -> int:
        """A time by the board's clock, as frames carry it: rather too early than too late.

        0, which is always in the past, if nothing is known of that clock.
        """
        reading = self.read(at)
        if reading is None:
            return 0
        shown = math.floor((at + reading.offset_s - reading.error_s) / RESOLUTION_S)
        return shown & CLOCK_MASK or CLOCK_MASK

    def _slope(self) -> tuple[float, float]:
        """The line through the samples that took least time, and how much its slope may be wrong."""
        kept = sorted(self._samples, key=lambda sample: sample.error)[: len(self._samples) // 2 + 1]
        times = [sample.at for sample in kept]
        span = max(times) - min(times)
        if span < SPAN_S:
            return 0.0, UNKNOWN_DRIFT
        middle = sum(times) / len(kept)
        weight = sum((at - middle) ** 2 for at in times)
        slope = sum((sample.at - middle) * sample.offset for sample in kept) / weight
        return slope, self._doubt_of(slope)

    def _doubt_of(self, slope: float) -> float:
        """What the best early and the best late sample allow, of the error of a slope."""
        samples = list(self._samples)
        third = max(1, len(samples) // 3)
        early, late = (
            min(part, key=lambda sample: sample.error) for part in (samples[:third], samples[-third:])
        )
        time = late.at - early.at
        between = (late.offset - early.offset) / time
        return abs(slope - between) + (early.error + late.error) / time
