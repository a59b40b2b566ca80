"""Blocks of an image on their way to the flash of an ESP chip."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from boardtalk.hil.loaders.flash import Flash

SECTOR: Final = 4096
SECTORS_OF_A_BLOCK: Final = 16

INVALID, FAILED, CHECKSUM, INFLATE = 0x05, 0x06, 0x07, 0x0B
"""Why a ROM refuses."""


class Refused(Exception):
    """A loader does not do what it was told. The argument is the ROM's code."""

    def __init__(self, code: int) -> None:
        super().__init__(f"{code:#04x}")
        self.code = code


def plain_erase(at: int, size: int) -> int:
    """Bytes that the ESP8266's ROM erases when it is told a size.

    It erases the sectors up to the next 64 KiB, but does not count them; tools tell it less in return.
    """
    told = -(-size // SECTOR)
    ahead = SECTORS_OF_A_BLOCK - at // SECTOR % SECTORS_OF_A_BLOCK
    return (told + min(told, ahead)) * SECTOR


class Download:
    """One region that is written, in blocks of the tool's size.

    Args:
        flash: where to.
        at: offset.
        size: bytes, inflated.
        compressed: whether the blocks are a deflated stream.
        erase: bytes to erase at once, as ROMs do; 0: erase as it goes, as the stub does.
    """

    def __init__(self, flash: Flash, at: int, size: int, *, compressed: bool, erase: int) -> None:
        self._flash = flash
        self._at = at
        self._end = at + size
        self._inflater = zlib.decompressobj() if compressed else None
        self._next = 0
        self._erased = at - at % SECTOR
        if erase:
            flash.erase(at, erase)
            self._erased = self._end

    def block(self, number: int, data: bytes) -> None:
        """Write a block; one that is repeated because its answer was lost is written already.

        Raises:
            Refused: it is not the next one, or no deflated data.
        """
        if number == self._next - 1:
            return
        if number != self._next:
            raise Refused(FAILED)
        if self._inflater is not None:
            try:
                data = self._inflater.decompress(data)
            except zlib.error:
                raise Refused(INFLATE) from None
        self._next += 1
        data = data[: self._end - self._at]  # the last block is filled up
        if self._at + len(data) > self._erased:
            self._flash.erase(self._erased, self._at + len(data) - self._erased)
            self._erased = -(-(self._at + len(data)) // SECTOR) * SECTOR
        self._flash.write(self._at, data)
        self._at += len(data)
