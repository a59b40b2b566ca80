"""What a simulated robot and its test tell each other beside the line: lines of JSON on two pipes."""

import json
import os
import select
from time import ticks_us


class World:
    """The robot's end. Without pipes it is silent."""

    def __init__(self):
        self._in = self._out = None
        pipes = os.getenv("BOARDTALK_WORLD")
        if pipes:
            into, out = pipes.split(",")
            self._in = open(int(into), "rb", 0)
            self._out = open(int(out), "wb", 0)
            self._poll = select.poll()
            self._poll.register(self._in, select.POLLIN)

    def hear(self):
        """What the test has changed since the last time, as a dictionary."""
        if not self._in or not self._poll.poll(0):
            return {}
        line = self._in.readline()
        if not line:  # the test is gone
            self._in = None
            return {}
        changes = json.loads(line)
        self.tell(heard=True, **changes)
        return changes

    def tell(self, **state):
        """Record a state, with the time in µs of the system's monotonic clock."""
        if self._out:
            state["at_us"] = ticks_us()
            try:
                self._out.write(json.dumps(state).encode() + b"\n")
            except OSError:
                pass  # nobody reads
