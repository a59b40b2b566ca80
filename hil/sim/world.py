"""What a simulated robot and its test tell each other, beside the line: lines of JSON on two pipes."""

import json
import os
import select
from time import ticks_us


class World:
    """The robot's end. Without pipes it is silent."""

    def __init__(self):
        pipes = os.getenv("BOARDTALK_WORLD")
        self._in = self._out = None
        if pipes:
            numbers = pipes.split(",")
            self._in = open(int(numbers[0]), "rb")
            self._out = open(int(numbers[1]), "wb")
            self._poll = select.poll()
            self._poll.register(self._in, select.POLLIN)

    def hear(self):
        """What the test has changed since, as a dictionary."""
        changes = {}
        while self._in and self._poll.poll(0):
            line = self._in.readline()
            if not line:
                self._in = None
                break
            changes.update(json.loads(line))
            self.tell(heard=changes)
        return changes

    def tell(self, **state):
        """Record a state, with the time."""
        if self._out:
            state["at_us"] = ticks_us()
            try:
                self._out.write(json.dumps(state) + "\n")
            except OSError:
                pass  # nobody reads
