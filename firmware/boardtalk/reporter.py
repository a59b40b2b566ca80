"""Telemetry: each channel in its time, while somebody listens."""

from micropython import const

from boardtalk import frames
from boardtalk.hal import ticks_add, ticks_diff, ticks_ms
from boardtalk.link import ERROR
from boardtalk.values import packed

_ON_CHANGE_MS = const(200)
"""How often a channel without a rate is looked at."""


class Reporter:
    """Sends what is due."""

    def __init__(self, channels, link):
        self._channels = channels
        self._link = link

    def tick(self):
        """Report the channels whose time has come."""
        now = ticks_ms()
        for channel in self._channels:
            if channel.due is None or ticks_diff(channel.due, now) <= 0:
                period = int(1000 / channel.rate) if channel.rate else _ON_CHANGE_MS
                channel.due = ticks_add(now, period)
                self._report(channel)

    def _report(self, channel):
        try:
            payload = packed(channel.values, channel.code())
        except Exception as error:
            payload = None
            if channel.last is not None:  # told once, until it works again
                self._link.log(ERROR, "%s: %s" % (channel.name, error))
        else:
            if channel.rate or payload != channel.last:
                self._link.datagram(frames.KIND_DGRAM, frames.TYPE_TELEMETRY | channel.number, payload)
        channel.last = payload
