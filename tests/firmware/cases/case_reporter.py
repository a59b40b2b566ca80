"""Telemetry after a long silence."""

from boardtalk import reporter
from boardtalk.values import Arg

WEEK_MS = 7 * 24 * 3600 * 1000
HALF_PERIOD_MS = 1 << 29
"""Of the clock of a board with 32 bits: it wraps after 12 days, and what is 6 days ago seems to come."""


class Channel:
    """One that is reported each second."""

    name = "volts"
    returns = (("volts", Arg(float)),)
    limit = 1

    def code(self):
        return 3.3


class Link:
    """Takes the reports."""

    sent = 0

    def connected(self):
        return True

    def send_once(self, kind, type_, payload):
        self.sent += 1


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
