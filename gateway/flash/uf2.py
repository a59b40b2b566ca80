"""UF2: the board's loader is a drive that takes 512-byte blocks: RP2040, RP2350."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, ClassVar, Final

from boardtalk.flash import drives
from boardtalk.flash.drive_flasher import DriveFlasher
from boardtalk.flash.errors import Code, FlashError
from boardtalk.flash.protocol import Found, Segment

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from boardtalk.boards import Definition

BLOCK: Final = 512
HEADER: Final = struct.Struct("<8I")
MAGIC: Final = (0x0A324655, 0x9E5D5157)
MAGIC_END: Final = 0x0AB16F30
NOT_FLASH, HAS_FAMILY = 0x1, 0x2000
FILE: Final = "firmware.uf2"
START_S: Final = 10.0
"""After the last block, until the drive is gone."""


class Uf2Flasher(DriveFlasher):
    """A board whose loader is a UF2 drive. Nobody can read from it what is on the flash."""

    kind: ClassVar[str] = "UF2"
    info: ClassVar[str] = "INFO_UF2.TXT"

    @classmethod
    def checked(cls, board: Definition, image: bytes, at: int) -> list[Segment]:  # noqa: ARG003 - the file says where
        """See `Flasher`: each block, their numbers, and whose family they are of."""
        if not image or len(image) % BLOCK:
            raise _bad(f"{len(image)} bytes are no whole number of blocks")
        totals, numbers = set(), set()
        for start in range(0, len(image), BLOCK):
            *magic, flags, _, size, number, total, family = HEADER.unpack_from(image, start)
            end = int.from_bytes(image[start + BLOCK - 4 : start + BLOCK], "little")
            if (*magic, end) != (*MAGIC, MAGIC_END) or size > BLOCK - HEADER.size - 4:
                raise _bad(f"the block at {start:#x} is none")
            if flags & NOT_FLASH:
                continue
            if flags & HAS_FAMILY and family != board.flash.family:
                raise FlashError(
                    Code.BAD_IMAGE,
                    f"this is firmware for the family {family:#010x}, and the board's is "
                    f"{board.flash.family:#010x}",
                    "the loader would ignore it without a word; download the one for this board",
                )
            totals.add(total)
            numbers.add(number)
        if len(totals) != 1 or numbers != set(range(*totals)):
            raise _bad(f"{len(numbers)} blocks are there of {max(totals, default=0)}")
        return [Segment(0, image)]

    async def probe(self) -> Found:
        """See `Flasher`: all that a drive tells is what kind of board it is."""
        told = self.told()
        volume = told.get("Board-ID", "")
        mine = volume == self.board.bootloader.volume
        return Found(self.board.mcu if mine else volume or "drive of another kind")

    async def write(self, segment: Segment) -> AsyncGenerator[int, None]:
        """See `Flasher`. The drive vanishes when the board has all blocks: that is success."""
        async for done in drives.copied(self._folder, FILE, segment.data):
            yield done
        if not await drives.gone(self._folder, START_S):
            raise FlashError(
                Code.VERIFY,
                f"{self._folder}: the drive is still there: the board did not take all of it",
                self.board.bootloader.hint,
            )


def _bad(reason: str) -> FlashError:
    return FlashError(Code.BAD_IMAGE, f"no whole UF2 file: {reason}", "download it again")
