"""The CRC seed of a session whose beginning nobody has seen: computed from its frames. Pure."""

from __future__ import annotations

from binascii import crc32
from collections import deque
from typing import Final

from boardtalk.modules.iot_bridge.frames import CRC_BYTES

MASK: Final = 0xFFFFFFFF
TABLE: Final = tuple(crc32(bytes((byte,)), MASK) ^ MASK for byte in range(256))
INDEX: Final = {entry >> 24: byte for byte, entry in enumerate(TABLE)}
"""Which entry has such a first byte: they are all different, so a CRC can be undone."""
REMEMBERED: Final = 8
"""Frames among which two must agree: noise in between does no harm."""


def seed_of(body: bytes) -> int:
    """The seed with which a frame passes its check; there is exactly one."""
    covered, crc = body[:-CRC_BYTES], int.from_bytes(body[-CRC_BYTES:], "little")
    state = crc ^ MASK
    for byte in reversed(covered):
        index = INDEX[state >> 24]
        state = ((state ^ TABLE[index]) << 8 & MASK) | (index ^ byte)
    return state ^ MASK


class Guess:
    """Finds the seed that frames have in common."""

    def __init__(self) -> None:
        self._last: deque[tuple[int, bytes]] = deque(maxlen=REMEMBERED)

    def learn(self, body: bytes) -> int | None:
        """The session's seed, as soon as two different frames agree. Noise does once in four billion."""
        seed = seed_of(body)
        if any(seed == other and body != seen for other, seen in self._last):
            return seed
        self._last.append((seed, body))
        return None
