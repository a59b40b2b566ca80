"""The watchdog: the supervisor resets a board that does not feed it."""

from machine import wires


class WDT:
    """Once started it can't be stopped."""

    def __init__(self, id=0, timeout=5000):
        self._word = "feed %d" % timeout
        self.feed()

    def feed(self):
        wires.tell(self._word)

    def timeout_ms(self, timeout):
        self.__init__(timeout=timeout)
