"""Bytes ↔ frames: COBS between zero delimiters and a CRC, in place in buffers made once.

In COBS each zero byte is replaced by the distance to the next one, with a first distance in front.
A frame has less than 254 bytes, so that is all: both directions only walk from zero to zero.
"""

from binascii import crc32
from struct import pack_into

from micropython import const

from boardtalk import frames

NONE = const(0)
FRAME = const(1)
BAD = const(2)

HEADER_AT = const(2)
"""Offset of the header in a frame on the line: after the delimiter and the first distance."""

ACK_AT = const(4)
TYPE_AT = const(6)
PAYLOAD_AT = const(8)

LINE_BYTES = const(256)
"""Longest frame on the line, with its delimiters."""

_MIN = const(11)  # first distance, header, CRC
_MAX = const(254)
_RESIDUE = const(0x2144DF1C)  # CRC-32 of anything that is followed by its CRC-32
_ZERO = b"\0"


def seal(buffer, view, size, seed):
    """Make a frame of header and `size` bytes of payload in `buffer`; returns its length on the line.

    `view` is a memoryview of the buffer.
    """
    end = PAYLOAD_AT + size
    pack_into("<I", buffer, end, crc32(view[HEADER_AT:end], seed))
    end += frames.CRC_BYTES
    buffer[end] = 0
    last = 1
    while last < end:
        zero = buffer.find(_ZERO, last + 1)
        buffer[last] = zero - last
        last = zero
    buffer[0] = 0
    return end + 1


def unstuff(buffer, at, end):
    """Undo COBS in place, from the first distance at `at` to the delimiter at `end`."""
    while at < end:
        distance = buffer[at]
        buffer[at] = 0
        at += distance
    return at == end


class Deframer:
    """Finds frames in what comes over the line. Text between frames is skipped."""

    def __init__(self, size):
        self.buffer = bytearray(size)
        self.at = 0
        """Offset of the header of the frame found; valid until the next `fill`."""
        self.end = 0
        """Offset of the end of its payload."""
        self.frame = None
        """Header, payload and CRC as a memoryview."""
        self._view = memoryview(self.buffer)
        self._size = size
        self._start = 0
        self._filled = 0
        self._inside = False

    def fill(self, stream):
        """Read what the stream has; returns the number of bytes."""
        if self._start == self._filled:
            self._start = self._filled = 0
            count = stream.readinto(self._view)
        else:
            if self._size - self._filled < LINE_BYTES:
                self._make_room()
            count = stream.readinto(self._view[self._filled :])
        self._filled += count
        return count

    def next(self, seed):
        """Look for the next frame: NONE, FRAME (see `at` and `end`) or BAD (damaged)."""
        buffer = self.buffer
        while True:
            start = self._start
            zero = buffer.find(_ZERO, start, self._filled)
            if zero < 0:
                return NONE
            self._start = zero + 1
            size = zero - start
            if size < _MIN:
                self._inside = True
                continue
            self._inside = not self._check(start, zero, seed)
            return BAD if self._inside else FRAME

    def interrupted(self):
        """Whether a Ctrl-C stands outside of a frame."""
        return not self._inside and self.buffer.find(b"\x03", self._start, self._filled) >= 0

    def give_up(self):
        """Drop an unfinished frame: the line has been quiet for too long."""
        self._start = self._filled
        self._inside = False

    def _check(self, start, zero, seed):
        if zero - start > _MAX or not unstuff(self.buffer, start, zero):
            return False
        self.at = start + 1
        self.end = zero - frames.CRC_BYTES
        if self.buffer[self.at] & frames.CTL_KIND_MASK == frames.KIND_HELLO << frames.CTL_KIND_SHIFT:
            seed = 0
        elif seed < 0:
            return False
        self.frame = self._view[self.at : zero]
        return crc32(self.frame, seed) == _RESIDUE

    def _make_room(self):
        if self._start == 0:  # full of what can't be a frame
            self.give_up()
            self._start = self._filled = 0
            return
        rest = self._filled - self._start
        self.buffer[:rest] = self._view[self._start : self._filled]
        self._start, self._filled = 0, rest
