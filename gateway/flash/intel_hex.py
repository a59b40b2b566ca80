"""Intel HEX files: lines of text with checksums, that say where their bytes go."""

from __future__ import annotations

from typing import Final

from boardtalk.flash.errors import Code, FlashError

DATA, END, SEGMENT, LINEAR = 0, 1, 2, 4
SHORTEST: Final = 5
"""Count, address, type, checksum."""


def blocks(image: bytes) -> list[tuple[int, bytes]]:
    """What is in a file, where it is in one piece: address, and bytes.

    Raises:
        FlashError: a line is damaged, or the last one is missing.
    """
    found: list[tuple[int, bytearray]] = []
    base, kind = 0, DATA
    for number, line in enumerate(image.split(), 1):
        kind, offset, data = _record(line, number)
        if kind in {SEGMENT, LINEAR}:
            base = int.from_bytes(data) << (4 if kind == SEGMENT else 16)
        elif kind == DATA:
            at = base + offset
            if found and found[-1][0] + len(found[-1][1]) == at:
                found[-1][1].extend(data)
            else:
                found.append((at, bytearray(data)))
    if kind != END:
        raise FlashError(Code.BAD_IMAGE, "the file is cut off: its last line is missing", "download it again")
    return [(at, bytes(data)) for at, data in found]


def _record(line: bytes, number: int) -> tuple[int, int, bytes]:
    """Kind, address and bytes of a line."""
    try:
        record = bytes.fromhex(line[1:].decode())
    except ValueError:
        record = b""
    if line[:1] != b":" or len(record) < SHORTEST or len(record) != record[0] + SHORTEST or sum(record) % 256:
        raise FlashError(
            Code.BAD_IMAGE, f"line {number} is no line of an Intel HEX file", "download it again"
        )
    return record[3], int.from_bytes(record[1:3]), record[4:-1]
