"""Firmware for STM32 chips: raw, or in ST's DfuSe container (UM0391); cut by sectors."""

from __future__ import annotations

import itertools
import struct
import zlib
from typing import TYPE_CHECKING, Final

from boardtalk.flash.errors import Code, FlashError
from boardtalk.flash.protocol import Segment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from boardtalk.boards import Definition

FLASH_AT: Final = 0x0800_0000
RAM_AT: Final = range(0x1000_0000, 0x4000_0000)
"""Where the first word of a program, its stack, may point to."""
PREFIX: Final = struct.Struct("<5sBIB")
TARGET: Final = struct.Struct("<6sBI255sII")
ELEMENT: Final = struct.Struct("<II")
SUFFIX: Final = struct.Struct("<HHHH3sBI")
CRC_BYTES: Final = 4


def pieces(board: Definition, image: bytes, at: int) -> list[Segment]:
    """Look at a file; its pieces.

    Args:
        board: whose sectors count.
        image: raw, or a .dfu file, which says itself where it goes.
        at: where a raw one goes.

    Raises:
        FlashError: it is damaged, or no program for an STM32.
    """
    elements = _unpacked(image) if image.startswith(b"DfuSe") else [(at, image)]
    for start, data in elements:
        stack, entry = (int.from_bytes(data[word : word + 4], "little") for word in (0, 4))
        inside = any(first <= entry < first + len(each) for first, each in elements)
        if start == FLASH_AT and (stack not in RAM_AT or not entry & 1 or not inside):
            raise FlashError(
                Code.BAD_IMAGE,
                "it does not begin as a program for an STM32 does (stack, first instruction)",
                "a .bin or .dfu file is wanted, for this board",
            )
    return cut(board, elements)


def cut(board: Definition, elements: list[tuple[int, bytes]]) -> list[Segment]:
    """Data and where it goes, by sectors. Raises FlashError: it begins before the flash or in a sector."""
    found: list[Segment] = []
    for at, _ in elements:
        if at < FLASH_AT:
            raise FlashError(
                Code.BAD_IMAGE, f"it is for the address {at:#x}, and the flash begins at {FLASH_AT:#x}"
            )
    end = max((at + len(data) for at, data in elements), default=0)
    for number, start, size in sectors(board):
        if start >= end:
            break
        stop = min(start + size, end)
        inside = [(at, data) for at, data in elements if at < stop and start < at + len(data)]
        if not inside:
            continue
        if min(at for at, _ in inside) > start:
            raise FlashError(
                Code.BAD_IMAGE,
                f"an image can't begin at {inside[0][0]:#x}, in the middle of sector {number}",
            )
        stop = min(stop, max(at + len(data) for at, data in inside))
        piece = bytearray(b"\xff" * (stop - start))
        for at, data in inside:
            first, last = max(at, start), min(at + len(data), stop)
            piece[first - start : last - start] = data[first - at : last - at]
        found.append(Segment(start, bytes(piece)))
    return found


def sectors(board: Definition) -> Iterator[tuple[int, int, int]]:
    """The sectors of a chip, on and on: number, where it begins, how large it is."""
    sizes = board.flash.sectors or (1,)
    at = FLASH_AT
    for number, size in enumerate(itertools.chain(sizes, itertools.repeat(sizes[-1]))):
        yield number, at, size * 1024
        at += size * 1024


def _unpacked(image: bytes) -> list[tuple[int, bytes]]:
    """What is in a DfuSe file: where it goes, and the bytes."""
    try:
        *_, mark, _, crc = SUFFIX.unpack(image[-SUFFIX.size :])
        if mark != b"UFD" or crc != zlib.crc32(image[:-CRC_BYTES]) ^ 0xFFFF_FFFF:
            raise _bad("its checksum does not fit what it holds")
        _, version, _, targets = PREFIX.unpack_from(image)
        at, found = PREFIX.size, []
        for _ in range(targets):
            mark, alternate, _, _, _, count = TARGET.unpack_from(image, at)
            if (version, mark, alternate) != (1, b"Target", 0):
                raise FlashError(
                    Code.UNSUPPORTED,
                    "this .dfu file is for more than the flash, such as a chip's option bytes",
                    "by hand: `dfu-util -D FILE`",
                )
            at += TARGET.size
            for _ in range(count):
                where, size = ELEMENT.unpack_from(image, at)
                at += ELEMENT.size + size
                if at > len(image) - SUFFIX.size:
                    raise _bad("it is cut off")
                found.append((where, image[at - size : at]))
    except struct.error as error:
        raise _bad("it is cut off") from error
    return found


def _bad(reason: str) -> FlashError:
    return FlashError(Code.BAD_IMAGE, f"no whole .dfu file: {reason}", "download it again")
