"""SLIP (RFC 1055): packets between bytes 0xC0."""

from __future__ import annotations

from typing import Final

END: Final = b"\xc0"
ESCAPE: Final = b"\xdb"
ESCAPED_END: Final = b"\xdb\xdc"
ESCAPED_ESCAPE: Final = b"\xdb\xdd"
MAX_BYTES: Final = 1 << 17
"""Of a packet that does not end: then it is noise."""


def encode(packet: bytes) -> bytes:
    """With a delimiter on either side."""
    return END + packet.replace(ESCAPE, ESCAPED_ESCAPE).replace(END, ESCAPED_END) + END


class SlipReader:
    """Finds the packets in a stream, however it comes."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> list[bytes]:
        """The packets that are complete now; empty ones are none."""
        *ends, rest = data.split(END)
        packets = []
        for end in ends:
            packets.append(b"".join((*self._parts, end)))
            self.clear()
        self._parts.append(rest)
        self._size += len(rest)
        if self._size > MAX_BYTES:
            self.clear()
        return [
            packet.replace(ESCAPED_END, END).replace(ESCAPED_ESCAPE, ESCAPE) for packet in packets if packet
        ]

    def clear(self) -> None:
        """Forget what has begun."""
        self._parts.clear()
        self._size = 0
