"""Frames to bytes and back, without I/O: the fast path written by hand.

:mod:`~boardtalk.modules.iot_bridge.frames` is the definition; the tests show that this agrees with
it byte for byte.
"""

from __future__ import annotations

import re
from binascii import crc32
from struct import Struct
from typing import TYPE_CHECKING, Final, NamedTuple

from boardtalk.modules.iot_bridge.frames import (
    CRC_BYTES,
    CTL_KIND_MASK,
    CTL_KIND_SHIFT,
    CTL_MORE,
    CTL_RETRY,
    CTL_VERSION_MASK,
    HEADER_BYTES,
    MAX_PAYLOAD,
    VERSION,
    Kind,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

NO_SESSION: Final = -1
"""In place of a seed: only HELLO can be understood."""

MIN_PIECE_BYTES: Final = HEADER_BYTES + CRC_BYTES + 1
MAX_PIECE_BYTES: Final = HEADER_BYTES + MAX_PAYLOAD + CRC_BYTES + 1
"""A frame between its delimiters: with the one byte that COBS adds."""

_HEADER: Final = Struct("<BBBBH")
_CRC: Final = Struct("<I")
_KINDS: Final = tuple(Kind)
_CONTROL: Final = tuple(VERSION | kind << CTL_KIND_SHIFT for kind in Kind)
_RESIDUE: Final = 0x2144DF1C
"""The CRC-32 of anything that is followed by its own CRC-32, whatever the seed."""
_DISTANCE: Final = tuple(bytes((number,)) for number in range(256))
_TEXT: Final = re.compile(rb"[\x07-\x0d\x1b\x20-\x7e\x80-\xff]+")
"""Console output. A frame always begins with a byte below 5: the distance to `node`, which is 0."""


class Frame(NamedTuple):
    """A frame that passed its check."""

    kind: Kind
    type: int
    payload: bytes
    seq: int = 0
    ack: int = 0
    retry: bool = False


class Text(NamedTuple):
    """What a board printed between frames."""

    text: str


class BadFrame(NamedTuple):
    """Something that is neither: a damaged frame, one of another session, or noise."""

    size: int
    """Bytes on the line."""


def pack(
    kind: Kind, type_: int, payload: bytes, *, seq: int, ack: int, retry: bool, seed: int, more: bool = False
) -> bytes:
    """A frame as it is, without COBS and delimiters.

    Args:
        kind: what the link does with it.
        type_: what it means.
        payload: at most `MAX_PAYLOAD` bytes.
        seq: its number, 0 … 255.
        ack: the number expected from the peer, 0 … 255.
        retry: whether it is a repetition.
        seed: the session's, 0 for HELLO.
        more: whether the message goes on in the next frame.

    Raises:
        ValueError: the payload is too long.
    """
    if len(payload) > MAX_PAYLOAD:
        raise ValueError(f"a payload of {len(payload)} bytes: at most {MAX_PAYLOAD} fit into a frame")
    control = _CONTROL[kind] | (CTL_RETRY if retry else 0) | (CTL_MORE if more else 0)
    body = _HEADER.pack(control, seq, ack, 0, type_) + payload
    return body + _CRC.pack(crc32(body, seed))


def encode(
    kind: Kind, type_: int, payload: bytes, *, seq: int, ack: int, retry: bool, seed: int, more: bool = False
) -> bytes:
    """A frame as it travels over a serial line; see `pack`."""
    packed = pack(kind, type_, payload, seq=seq, ack=ack, retry=retry, seed=seed, more=more)
    return b"\0" + stuff(packed) + b"\0"


def unpack(body: bytes, seed: int) -> Frame | None:
    """The frame in `body`, as `pack` made it; None if it is damaged or of another session."""
    if len(body) < HEADER_BYTES + CRC_BYTES:
        return None
    control, seq, ack, _, type_ = _HEADER.unpack_from(body)
    kind = _KINDS[(control & CTL_KIND_MASK) >> CTL_KIND_SHIFT]
    if kind is Kind.HELLO:
        seed = 0
    elif seed == NO_SESSION or control & CTL_VERSION_MASK != VERSION:
        return None
    if crc32(body, seed) != _RESIDUE:
        return None
    return Frame(kind, type_, body[HEADER_BYTES:-CRC_BYTES], seq, ack, control & CTL_RETRY != 0)


def stuff(body: bytes) -> bytes:
    """COBS: each zero becomes the distance to the next one. For less than 254 bytes."""
    return b"".join([_DISTANCE[len(run) + 1] + run for run in body.split(b"\0")])


def unstuff(piece: bytes) -> bytes | None:
    """Undo `stuff`; None if it can't have been made by it."""
    buffer = bytearray(piece)
    at, end = 0, len(buffer)
    while at < end:
        distance = buffer[at]
        if not distance:
            return None
        buffer[at] = 0
        at += distance
    return bytes(memoryview(buffer)[1:]) if at == end else None


def is_text(piece: bytes) -> bool:
    """Whether a piece of a line is console output, and no frame."""
    return _TEXT.fullmatch(piece) is not None


class Deframer:
    """Cuts what comes over a line into frames and console text. Never raises, keeps < 1 frame."""

    def __init__(self) -> None:
        self.seed = NO_SESSION
        """Where the CRCs of the session start. May change between two items of one `feed`."""
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[Frame | Text | BadFrame]:
        """What `data` completes. Items are checked one by one as they are taken."""
        return map(self._check, self.pieces(data))

    def flush(self) -> Iterator[Text]:
        """Console text that no delimiter ended, such as a prompt. Call when the line is quiet."""
        if is_text(self._rest):
            yield Text(self._rest.decode(errors="replace"))
            self._rest = b""

    def pieces(self, data: bytes) -> list[bytes]:
        """What `data` completes, not looked into yet: frames without delimiters, and console text."""
        *pieces, rest = data.split(b"\0")
        if pieces:
            pieces[0] = self._rest + pieces[0]
        else:
            rest = self._rest + rest
        while len(rest) > MAX_PIECE_BYTES:  # no frame: hand on whole lines of text
            cut = rest.rfind(b"\n", 0, MAX_PIECE_BYTES) + 1 or MAX_PIECE_BYTES
            pieces.append(rest[:cut])
            rest = rest[cut:]
        self._rest = rest
        return [piece for piece in pieces if piece]

    def _check(self, piece: bytes) -> Frame | Text | BadFrame:
        if MIN_PIECE_BYTES <= len(piece) <= MAX_PIECE_BYTES:
            body = unstuff(piece)
            frame = unpack(body, self.seed) if body is not None else None
            if frame is not None:
                return frame
        if is_text(piece):
            return Text(piece.decode(errors="replace"))
        return BadFrame(len(piece))
