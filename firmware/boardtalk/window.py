"""The two ends of a selective-repeat window, without any I/O. Sequence numbers have 8 bits.

The size is a power of two of at most 32, so that a frame's slot is its number modulo the size.
"""

from struct import pack_into

from micropython import const

from boardtalk import frames, framing
from boardtalk.hal import ticks_diff

_MASK = const(0xFF)
_HALF = const(128)
_MANY = const(12)  # attempts are counted up to here
_ARRIVED = const(255)  # instead of the number of attempts: the peer has it, but not all before it


class SendWindow:
    """Frames that were sent and are not acknowledged yet, each in a buffer ready for the line."""

    def __init__(self, size):
        self.size = size
        self.buffers = [bytearray(framing.LINE_BYTES) for _ in range(size)]
        self.views = [memoryview(buffer) for buffer in self.buffers]
        self.payload_sizes = bytearray(size)
        self.attempts = bytearray(size)
        self.times = [0] * size
        self.base = 0
        self.next = 0

    def full(self):
        """Whether nothing more can be sent before something is acknowledged."""
        return (self.next - self.base) & _MASK >= self.size

    def add(self, type_, payload):
        """Put a frame into the window; returns its number."""
        number = self.next
        slot = number % self.size
        size = len(payload)
        buffer = self.buffers[slot]
        pack_into(frames.HEADER, buffer, framing.HEADER_AT, 0, number, 0, 0, type_)
        buffer[framing.PAYLOAD_AT : framing.PAYLOAD_AT + size] = payload
        self.payload_sizes[slot] = size
        self.attempts[slot] = 0
        self.next = (number + 1) & _MASK
        return number

    def count_attempt(self, slot, now):
        """A frame is being sent, again."""
        self.attempts[slot] = min(self.attempts[slot] + 1, _MANY)
        self.times[slot] = now

    def acknowledge(self, ack, now):
        """All before `ack` have arrived. Returns a round-trip time in ms, or -1."""
        if (ack - self.base) & _MASK > (self.next - self.base) & _MASK:
            return -1  # nonsense
        round_trip = -1
        while self.base != ack:
            slot = self.base % self.size
            if self.attempts[slot] == 1:  # of a repeated frame it says nothing (Karn)
                round_trip = ticks_diff(now, self.times[slot])
            self.base = (self.base + 1) & _MASK
        return round_trip

    def mark(self, ack, sack):
        """Frames after `ack` that have arrived too, as bits."""
        number = (ack + 1) & _MASK
        while sack and (number - self.base) & _MASK < (self.next - self.base) & _MASK:
            if sack & 1:
                self.attempts[number % self.size] = _ARRIVED
            sack >>= 1
            number = (number + 1) & _MASK

    def reopen(self, slot):
        """Make a sealed frame editable again."""
        end = framing.PAYLOAD_AT + self.payload_sizes[slot] + frames.CRC_BYTES
        framing.unstuff(self.buffers[slot], 1, end)

    def drain(self):
        """Begin again at 0; returns what has not arrived as (type, payload)."""
        pending = []
        while self.base != self.next:
            slot = self.base % self.size
            if self.attempts[slot] != _ARRIVED:
                self.reopen(slot)
                buffer = self.buffers[slot]
                end = framing.PAYLOAD_AT + self.payload_sizes[slot]
                type_ = buffer[framing.TYPE_AT] | buffer[framing.TYPE_AT + 1] << 8
                pending.append((type_, bytes(buffer[framing.PAYLOAD_AT : end])))
            self.base = (self.base + 1) & _MASK
        self.base = self.next = 0
        return pending

    def overtaken(self):
        """A frame sent once that a later one has overtaken, so it's lost; -1 if there is none."""
        candidate = -1
        number = self.base
        while number != self.next:
            attempts = self.attempts[number % self.size]
            if attempts == _ARRIVED and candidate >= 0:
                return candidate
            if attempts == 1 and candidate < 0:
                candidate = number
            number = (number + 1) & _MASK
        return -1

    def overdue(self, now, timeout_ms, longest_ms):
        """A frame not acknowledged in time (doubled with each attempt); -1 if there is none."""
        number = self.base
        while number != self.next:
            slot = number % self.size
            attempts = self.attempts[slot]
            if attempts != _ARRIVED:
                patience = min(timeout_ms << (attempts - 1), longest_ms)
                if ticks_diff(now, self.times[slot]) >= patience:
                    return number
            number = (number + 1) & _MASK
        return -1


class ReceiveWindow:
    """Frames that came and are not handed on yet, in order or not."""

    def __init__(self, size):
        self.size = size
        self.expected = 0
        """The next number that has not come."""
        self.buffers = [bytearray(framing.LINE_BYTES) for _ in range(size)]
        self.sizes = bytearray(size)
        self.arrivals = [0] * size
        self.end = 0
        """Where the payload ends in the slot taken."""
        self._taken = 0

    def keep(self, number, frame, now):
        """Hold a frame if it's new and there is room. Returns whether one before it is missing."""
        room = (number - self._taken) & _MASK
        if room >= self.size:
            return False  # an old one again, or too far ahead
        slot = number % self.size
        if not self.sizes[slot]:
            size = len(frame)
            self.buffers[slot][:size] = frame
            self.sizes[slot] = size
            self.arrivals[slot] = now
        while self.sizes[self.expected % self.size] and (self.expected - self._taken) & _MASK < self.size:
            self.expected = (self.expected + 1) & _MASK
        return (number - self.expected) & _MASK < _HALF

    def take(self):
        """The slot of the next frame in order, or -1."""
        slot = self._taken % self.size
        if not self.sizes[slot]:
            return -1
        self._taken = (self._taken + 1) & _MASK
        self.end = self.sizes[slot] - frames.CRC_BYTES
        self.sizes[slot] = 0
        return slot

    def sack(self):
        """Bits of the frames after `expected` that have come; bit 0 is the one right after it."""
        bits = 0
        for ahead in range(1, self.size - ((self.expected - self._taken) & _MASK)):
            if self.sizes[(self.expected + ahead) % self.size]:
                bits |= 1 << (ahead - 1)
        return bits

    def free(self):
        """How many frames there is room for."""
        return self.size - sum(1 for size in self.sizes if size)
