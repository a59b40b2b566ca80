"""How much a line still has to send of what it was given: stop can't overtake that.

What the kernel tells of its queue is not enough: the chip of a USB adapter has one of its own. So a
line of known speed gets its bytes by the clock, no faster than it sends them, and is never idle for
want of a frame. A line without a speed (USB itself, a pseudo-terminal) takes what it gets at once, or
says how much it holds; there the acknowledgements keep the rest short.
"""

from __future__ import annotations

from math import ceil
from typing import Final

BITS_PER_BYTE: Final = 10
LEAD_S: Final = 0.003
"""A line gets its next frame when it is idle in so long at the latest: a timer may be late by as much."""
FRAME_S: Final = 0.020
"""A slow line gets no frame that takes longer: stop may have to wait for it."""
BAUDLESS_BYTES: Final = 64
"""What a line without a speed may hold when it gets its next frame."""
POLL_S: Final = 0.001
"""A line that has enough to do is asked again after this at the soonest: timers are not finer."""
_ROUNDING: Final = 1e-6
"""Of times, in bytes: what is gone but for this is gone."""


class Pace:
    """The queue of a line.

    Args:
        baud: bits per second; 0: the line has no speed of its own.
    """

    def __init__(self, baud: int) -> None:
        self._byte_s = BITS_PER_BYTE / baud if baud else 0.0
        self._lead = max(1, int(LEAD_S * baud / BITS_PER_BYTE)) if baud else BAUDLESS_BYTES
        self._idle_at = 0.0

    @property
    def frame_bytes(self) -> int:
        """The longest frame that the line should get; 0: any."""
        return int(FRAME_S / self._byte_s) if self._byte_s else 0

    def wrote(self, count: int, now: float) -> None:
        """The line was given so many bytes."""
        self._idle_at = max(self._idle_at, now) + count * self._byte_s

    def room(self, held: int, now: float) -> int:
        """How many bytes it may get before it has enough to do; the last frame may be longer.

        Args:
            held: bytes that the kernel says it has not sent yet.
            now: monotonic seconds.
        """
        return self._lead - max(held, self._to_go(now))

    def wait_s(self, held: int, now: float) -> float:
        """When to ask again if there is no room now: seconds."""
        surplus = max(held, self._to_go(now)) - self._lead + 1
        return max(surplus * self._byte_s, POLL_S)

    def _to_go(self, now: float) -> int:
        if not self._byte_s:
            return 0
        return max(0, ceil((self._idle_at - now) / self._byte_s - _ROUNDING))
