"""Timers."""

import time

from machine import interrupts


class Timer:
    """Calls a function once, or again and again."""

    ONE_SHOT = 0
    PERIODIC = 1

    def __init__(self, id=-1, **settings):
        self.due = 0
        self._period = 0
        self._callback = None
        self._mode = Timer.PERIODIC
        self._slot = -1
        if settings:
            self.init(**settings)

    def init(self, *, mode=PERIODIC, freq=0, period=-1, callback=None, tick_hz=1000, hard=False):
        self.deinit()
        self._mode = mode
        self._callback = callback
        self._period = max(1, int(1000 / freq) if freq else period * 1000 // tick_hz)
        self.due = time.ticks_add(time.ticks_ms(), self._period)
        self._slot = interrupts.timers.index(None)
        interrupts.timers[self._slot] = self
        interrupts.look()

    def deinit(self):
        if self._slot >= 0:
            interrupts.timers[self._slot] = None
            self._slot = -1

    def advance(self, now):
        """Its next time; runs in the thread of interrupts."""
        self.due = time.ticks_add(self.due if self._mode else now, self._period if self._mode else 1 << 29)

    def fired(self):
        """What to call now."""
        if self._mode == Timer.ONE_SHOT:
            self.deinit()
        return self._callback
