"""Images for ESP chips: whether one is whole, and for which chip. MicroPython's hold several."""

from __future__ import annotations

import functools
import hashlib
import operator
import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from boardtalk.flash.errors import Code, FlashError

if TYPE_CHECKING:
    from collections.abc import Iterator

MAGIC: Final = 0xE9
HEADER: Final = struct.Struct("<BBBBI")
MORE: Final = struct.Struct("<BBBBHBHH4sB")
"""After the header, but not on an ESP8266: among others the chip's id, and whether a digest follows."""
SEGMENT: Final = struct.Struct("<II")
CHECKSUM_SEED: Final = 0xEF
CHIP_IDS: Final = {
    "esp32": 0,
    "esp32s2": 2,
    "esp32c3": 5,
    "esp32s3": 9,
    "esp32c2": 12,
    "esp32c6": 13,
    "esp32h2": 16,
    "esp32p4": 18,
}
TABLE_AT: Final = 0x8000
"""On the flash: where the table of partitions is, unless somebody made another choice."""
PARTITION: Final = struct.Struct("<HBBII16sI")
PARTITION_MAGIC: Final = 0x50AA
PROGRAM: Final = 0
"""A partition's type."""
SIZE_CODES: Final = {
    256 << 10: 1, 512 << 10: 0, 1 << 20: 2, 2 << 20: 3, 4 << 20: 4, 8 << 20: 8, 16 << 20: 9,
}  # fmt: skip
"""ESP8266: upper half of the fourth byte."""


class Part(NamedTuple):
    """An image in an image: where in the file, and what it is called."""

    at: int
    name: str


def check(image: bytes, mcu: str, offset: int) -> None:
    """Look at all that a file holds.

    Args:
        image: the file.
        mcu: the chip that it shall run on.
        offset: where on the flash it goes.

    Raises:
        FlashError: it is damaged or for another chip.
    """
    if not image or image[0] != MAGIC:
        raise _bad("it does not begin as firmware for an ESP does (0xE9)")
    for part in (Part(0, "firmware"), *_programs(image, offset)):
        _check_part(image, part, mcu)


def with_flash_size(image: bytes, flash_bytes: int) -> bytes:
    """An ESP8266's image that knows how large the flash is: with another size it does not start."""
    code = SIZE_CODES.get(flash_bytes)
    if code is None:
        return image
    return image[:3] + bytes((code << 4 | image[3] & 0x0F,)) + image[4:]


def _programs(image: bytes, offset: int) -> Iterator[Part]:
    """What the table of partitions, if the file has one, says is a program and is in the file."""
    at = TABLE_AT - offset
    while at > 0 and at + PARTITION.size <= len(image):
        magic, kind, _, start, _, label, _ = PARTITION.unpack_from(image, at)
        if magic != PARTITION_MAGIC:
            return
        inside = start - offset
        if kind == PROGRAM and 0 < inside < len(image) and image[inside] == MAGIC:
            yield Part(inside, label.rstrip(b"\0").decode(errors="replace"))
        at += PARTITION.size


def _check_part(image: bytes, part: Part, mcu: str) -> None:
    try:
        _, count, _, _, _ = HEADER.unpack_from(image, part.at)
        at, digest_follows = part.at + HEADER.size, False
        if mcu in CHIP_IDS:
            _, _, _, _, chip_id, _, _, _, _, appended = MORE.unpack_from(image, at)
            at += MORE.size
            digest_follows = appended == 1
            _check_chip(chip_id, mcu, part)
        checksum = CHECKSUM_SEED
        for _ in range(count):
            _, size = SEGMENT.unpack_from(image, at)
            at += SEGMENT.size + size
            if at > len(image):
                raise _bad(f"{part.name}: it is cut off, or damaged at {at - size - SEGMENT.size:#x}")
            checksum = functools.reduce(operator.xor, image[at - size : at], checksum)
    except struct.error as error:
        raise _bad(f"{part.name}: it is cut off after {len(image)} bytes") from error
    end = at + 15 - (at - part.at) % 16
    if end >= len(image):
        raise _bad(f"{part.name}: it is cut off after {len(image)} bytes")
    if image[end] != checksum:
        raise _bad(f"{part.name}: its checksum is {image[end]:#04x} instead of {checksum:#04x}")
    if digest_follows:
        made = hashlib.sha256(image[part.at : end + 1]).digest()
        if image[end + 1 : end + 33] != made:
            raise _bad(f"{part.name}: its digest does not fit what it holds")


def _check_chip(chip_id: int, mcu: str, part: Part) -> None:
    if chip_id == CHIP_IDS[mcu]:
        return
    known = {number: name for name, number in CHIP_IDS.items()}
    other = known.get(chip_id, f"chip {chip_id}")
    raise FlashError(
        Code.BAD_IMAGE,
        f"{part.name}: this is firmware for {other}, and the board has {mcu}",
        "download the one for this board (`boardtalk boards show` says where), or name another --board",
    )


def _bad(reason: str) -> FlashError:
    return FlashError(Code.BAD_IMAGE, reason, "download it again, and compare its sha256")
