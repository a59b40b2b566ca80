"""Telemetry after a long silence."""

from struct import pack

from boardtalk import reporter
from boardtalk.values import Arg

WEEK_MS = 7 * 24 * 3600 * 1000
HALF_PERIOD_MS = 1 << 29
"""Of the clock of a board with 32 bits: it wraps after 12 days, and what is 6 days ago seems to come."""


class Channel:
    """One that is reported each second."""

    name = "volts"
    returns = (("volts", Arg(float)),)
    volts = 3.3

    def __init__(self, limit=1):
        self.limit = limit

    def code(self):
        return self.volts


class Link:
    """Takes the reports, and is its line, if that has room."""

    sent = 0
    last = b""
    full = refuses = False

    def __init__(self):
        self.line = self

    def connected(self):
        return True

    def drain(self):
        return not self.full

    def send_once(self, kind, type_, payload):
        if self.refuses:
            return False
        self.sent += 1
        self.last = payload
        return True


def ticks_diff(end, start):
    return (end - start + HALF_PERIOD_MS) % (2 * HALF_PERIOD_MS) - HALF_PERIOD_MS


def test_telemetry_goes_on_after_a_week_without_a_gateway():
    reporter.ticks_diff = ticks_diff
    reporter.ticks_ms = lambda: 1000
    link = Link()
    telemetry = reporter.Reporter([Channel()], link, None)
    telemetry.tick()
    reporter.ticks_ms = lambda: 1000 + WEEK_MS
    telemetry.tick()
    assert link.sent == 2


def test_what_finds_no_room_is_reported_as_soon_as_there_is_some_with_what_is_true_then():
    for limit in (1, 0):  # with a rate, and on change
        reporter.ticks_ms = lambda: 1000
        link, channel = Link(), Channel(limit)
        telemetry = reporter.Reporter([channel], link, None)
        link.full = True
        telemetry.tick()
        link.full, link.refuses = False, True
        telemetry.tick()
        assert link.sent == 0
        link.refuses = False
        channel.volts = 4.5
        reporter.ticks_ms = lambda: 1010
        telemetry.tick()
        assert (link.sent, link.last) == (1, pack("<f", 4.5))
        telemetry.tick()
        assert link.sent == 1
