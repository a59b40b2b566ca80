"""Pins: digital inputs and outputs, with interrupts."""

from umachine import PinBase

from machine import wires
from machine.wires import at, registers

_BOARD = {"LED": 25}
"""What boards call some pins."""


class Pin(PinBase):
    """A pin. The same number is the same pin, however often it is made."""

    IN = wires.IN
    OUT = wires.OUT
    OPEN_DRAIN = wires.OPEN_DRAIN
    PULL_UP = 1
    PULL_DOWN = 2
    IRQ_RISING = 1
    IRQ_FALLING = 2

    def __init__(self, id, mode=-1, pull=-1, *, value=None, drive=0, alt=-1):
        if isinstance(id, Pin):
            id = id.number
        self.number = _BOARD.get(id, id) if isinstance(id, str) else id
        self._at = at(self.number)
        self.init(mode, pull, value=value)

    def init(self, mode=-1, pull=-1, *, value=None, drive=0, alt=-1):
        if value is not None:
            self._drive(1 if value else 0)  # before it becomes an output
        if mode != -1:
            registers[self._at + wires.MODE] = mode
        elif registers[self._at + wires.MODE] == wires.UNUSED:
            registers[self._at + wires.MODE] = wires.IN
        if pull != -1:
            registers[self._at + wires.PULL] = pull or 0
        if value is not None and mode != wires.IN:
            wires.record(self.number, wires.VALUE, registers[self._at + wires.OUTPUT])

    def value(self, level=None):
        if level is None:
            return self._level()
        level = 1 if level else 0
        if registers[self._at + wires.OUTPUT] != level:
            self._drive(level)
            if registers[self._at + wires.MODE] != wires.IN:
                wires.record(self.number, wires.VALUE, level)

    __call__ = value

    def on(self):
        self.value(1)

    def off(self):
        self.value(0)

    high = on
    low = off

    def toggle(self):
        self.value(not registers[self._at + wires.OUTPUT])

    def mode(self, mode=None):
        if mode is None:
            return registers[self._at + wires.MODE]
        self.init(mode)

    def pull(self, pull=-1):
        if pull == -1:
            return registers[self._at + wires.PULL] or None
        self.init(-1, pull)

    def irq(self, handler=None, trigger=3, *, priority=1, wake=None, hard=False):
        from machine import interrupts

        interrupts.on_pin(self, handler)
        registers[self._at + wires.TRIGGER] = trigger if handler else 0

    def __repr__(self):
        return "Pin(%d)" % self.number

    def _drive(self, level):
        if not level:  # whatever it selects begins anew
            shifted = wires.SELECTED + self.number * wires.SELECTED_BYTES + wires.SHIFTED
            registers[shifted] = registers[shifted + 1] = 0
        registers[self._at + wires.OUTPUT] = level

    def _level(self):
        mode = registers[self._at + wires.MODE]
        if mode == wires.OUT or (mode == wires.OPEN_DRAIN and not registers[self._at + wires.OUTPUT]):
            return registers[self._at + wires.OUTPUT]
        outside = registers[self._at + wires.INPUT]
        if outside != wires.UNCONNECTED:
            return outside
        return 1 if registers[self._at + wires.PULL] == Pin.PULL_UP else 0
