"""DAPLink: the debugger chip of a micro:bit is a drive that takes Intel HEX files."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from boardtalk.flash import drives, intel_hex
from boardtalk.flash.drive_flasher import DriveFlasher
from boardtalk.flash.errors import Code, FlashError
from boardtalk.flash.protocol import Found, Segment

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from boardtalk.boards import Definition

FILE: Final = "firmware.hex"
FAILED: Final = "FAIL.TXT"
TAKEN_S: Final = 20.0
"""Until the drive is gone after the copy, and again until it is back."""


class DaplinkFlasher(DriveFlasher):
    """A board behind a DAPLink drive. Nobody can read from it what is on the flash."""

    kind: ClassVar[str] = "DAPLink"
    info: ClassVar[str] = "DETAILS.TXT"

    @classmethod
    def checked(cls, board: Definition, image: bytes, at: int) -> list[Segment]:  # noqa: ARG003 - the file says where
        """See `Flasher`: each line's checksum, and that the last one is there."""
        intel_hex.blocks(image)
        return [Segment(0, image)]

    async def probe(self) -> Found:
        """See `Flasher`. The drive tells the debugger's id, not the chip behind it."""
        told = self.told()
        return Found(self.board.mcu, told.get("Unique ID", "").strip())

    async def write(self, segment: Segment) -> AsyncGenerator[int, None]:
        """See `Flasher`. The drive goes and comes back; a file on it tells what went wrong."""
        async for done in drives.copied(self._folder, FILE, segment.data):
            yield done
        if not await drives.gone(self._folder, TAKEN_S) or not await drives.back(self._folder, TAKEN_S):
            raise FlashError(
                Code.VERIFY, f"{self._folder}: the drive did not go and come back", "plug it in anew"
            )
        failure = self._folder / FAILED
        if failure.exists():
            raise FlashError(
                Code.VERIFY, f"{self._folder}: {' '.join(failure.read_text(errors='replace').split())}"
            )
