"""Frames in a file that Wireshark opens: pcapng, the three blocks that are needed.

Each packet is a frame without COBS and delimiters, on the link type USER0 (147), or console text on
USER1 (148); its direction is in the flags, what `sniff` said of it in the comment.
Source: draft-ietf-opsawg-pcapng.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from construct import (
    Aligned,
    Bytes,
    Const,
    ConstructError,
    GreedyRange,
    Int16ul,
    Int32ul,
    Int64sl,
    Struct,
    this,
)

from boardtalk.modules.iot_bridge.errors import LinkError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

FRAMES, TEXT = 0, 1
"""The interfaces of a file."""
LINK_TYPES: Final = {FRAMES: 147, TEXT: 148}
SECTION: Final = 0x0A0D0D0A
INTERFACE, PACKET = 1, 6
ORDER: Final = 0x1A2B3C4D
END_OF_OPTIONS, COMMENT, FLAGS = 0, 1, 2
INBOUND, OUTBOUND = 1, 2
MICROSECONDS: Final = 1_000_000
EMPTY_BLOCK_BYTES: Final = 12
MAX_BLOCK_BYTES: Final = 1 << 20
"""No block of ours is nearly as long; a damaged length must not fill the memory."""

Option = Struct("code" / Int16ul, "size" / Int16ul, "data" / Aligned(4, Bytes(this.size)))
SectionBody = Struct(
    "order" / Const(ORDER, Int32ul), "version" / Const(1, Int32ul), "size" / Const(-1, Int64sl)
)
InterfaceBody = Struct("link_type" / Int16ul, "reserved" / Const(0, Int16ul), "longest" / Const(0, Int32ul))
PacketBody = Struct(
    "interface" / Int32ul,
    "high" / Int32ul,
    "low" / Int32ul,
    "size" / Int32ul,
    "original" / Int32ul,
    "data" / Aligned(4, Bytes(this.size)),
    "options" / GreedyRange(Option),
)


class Packet(NamedTuple):
    """One packet of a file."""

    at: float
    """Seconds since 1970."""
    interface: int
    down: bool | None
    """Whether from the gateway to the board; None: not known."""
    data: bytes
    comment: str = ""


class Writer:
    """Writes packets as they come; each is in the file when `put` returns.

    Args:
        file: open for writing bytes.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._block(SECTION, SectionBody.build({}))
        for link_type in LINK_TYPES.values():
            self._block(INTERFACE, InterfaceBody.build({"link_type": link_type}))

    def put(self, packet: Packet) -> None:
        """Add a packet."""
        high, low = divmod(round(packet.at * MICROSECONDS), 1 << 32)
        options = []
        if packet.comment:
            options.append(_option(COMMENT, packet.comment.encode()))
        if packet.down is not None:
            options.append(_option(FLAGS, (OUTBOUND if packet.down else INBOUND).to_bytes(4, "little")))
        options.append(_option(END_OF_OPTIONS, b""))
        size = len(packet.data)
        fields = {"high": high, "low": low, "size": size, "original": size, "data": packet.data}
        body = PacketBody.build({"interface": packet.interface, **fields, "options": options})
        self._block(PACKET, body)
        self._file.flush()

    def _block(self, type_: int, body: bytes) -> None:
        size = (EMPTY_BLOCK_BYTES + len(body)).to_bytes(4, "little")
        self._file.write(type_.to_bytes(4, "little") + size + body + size)


def read(file: BinaryIO) -> Iterator[Packet]:
    """The packets of a file as `Writer` makes them; other blocks are passed over.

    Raises:
        LinkError: it is another file, or damaged; the text says where.
    """
    at = 0
    while head := file.read(8):
        type_, size = int.from_bytes(head[:4], "little"), int.from_bytes(head[4:], "little")
        rest = file.read(size - 8) if EMPTY_BLOCK_BYTES <= size <= MAX_BLOCK_BYTES else b""
        if len(rest) != size - 8 or rest[-4:] != head[4:]:
            raise LinkError(f"{file.name}: damaged at byte {at}: no whole pcapng block is there")
        try:
            if type_ == SECTION:
                SectionBody.parse(rest)
            elif type_ == PACKET:
                yield _packet(rest[:-4])
        except (ConstructError, UnicodeError) as error:
            raise LinkError(f"{file.name}: damaged at byte {at}: {error}") from error
        at += size


def _packet(body: bytes) -> Packet:
    block = PacketBody.parse(body)
    options = {option.code: option.data for option in block.options}
    flags = int.from_bytes(options.get(FLAGS, b"")[:1], "little") & 3
    return Packet(
        at=((block.high << 32) + block.low) / MICROSECONDS,
        interface=block.interface,
        down={INBOUND: False, OUTBOUND: True}.get(flags),
        data=block.data,
        comment=options.get(COMMENT, b"").decode(),
    )


def _option(code: int, data: bytes) -> dict[str, object]:
    return {"code": code, "size": len(data), "data": data}
