"""The clock: it starts with the time of this machine, in UTC, and a soft reset leaves it as it is."""

import time
from struct import pack_into, unpack_from

from machine import wires
from machine.wires import registers


class RTC:
    """The one clock of a board."""

    def __init__(self, id=0):
        pass

    def datetime(self, datetime=None):
        """Year, month, day, weekday (0: Monday), hour, minute, second, and less than a second, which is 0."""
        (ahead,) = unpack_from("<q", registers, wires.CLOCK_AHEAD)
        if datetime is None:
            year, month, day, hour, minute, second, weekday = time.gmtime(time.time() + ahead)[:7]
            return year, month, day, weekday, hour, minute, second, 0
        year, month, day, _, hour, minute, second = datetime[:7]
        wanted = time.mktime((year, month, day, hour, minute, second, 0, 0))
        pack_into("<q", registers, wires.CLOCK_AHEAD, int(wanted - time.time()))

    def init(self, datetime):
        self.datetime(datetime)
