"""An emulated UF2 drive: a folder that takes firmware as the drive of an RP2040 does.

Blocks count, not files: whatever is copied in, under any name, is looked at while it comes.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import struct
import tempfile
import zlib
from pathlib import Path
from typing import Final, NamedTuple, Self

from boardtalk.hil.loaders.events import Events
from boardtalk.hil.loaders.flash import Flash, OutOfFlash, PowerLost
from boardtalk.sdk.tasks import cancel_and_wait

BLOCK: Final = 512
HEADER: Final = struct.Struct("<8I")
MAGIC: Final = (0x0A324655, 0x9E5D5157)
MAGIC_END: Final = 0x0AB16F30
NOT_FLASH, FAMILY = 0x1, 0x2000
PAYLOAD: Final = 256
"""That is all that the loader takes in a block."""
POLL_S: Final = 0.02
LINGER_S: Final = 0.1
"""After the last block, before the drive vanishes."""

INFO: Final = "INFO_UF2.TXT"
INDEX: Final = "INDEX.HTM"


class Uf2Chip(NamedTuple):
    """One kind of chip."""

    model: str
    volume: str
    """Name of the drive, and `Board-ID`."""
    family: int
    flash_at: int
    flash_bytes: int


CHIPS: Final = {
    "rp2040": Uf2Chip("Raspberry Pi RP2", "RPI-RP2", 0xE48BFF56, 0x10000000, 2 << 20),
    "rp2350": Uf2Chip("Raspberry Pi RP2350", "RP2350", 0xE48BFF59, 0x10000000, 4 << 20),
}


class Uf2Drive:
    """A drive that is there while the board is in its loader, as an async context manager.

    Args:
        kind: one of `CHIPS`.
        linger_s: seconds that it stays after the last block.
        content: what is on the flash.
    """

    def __init__(self, kind: str = "rp2040", *, linger_s: float = LINGER_S, content: bytes = b"") -> None:
        self._chip = CHIPS[kind]
        self._linger_s = linger_s
        self.events = Events()
        """What has happened."""
        self.flash = Flash(self._chip.flash_bytes, content=content)
        """What is on it, and its faults; each block writes 256 bytes."""

    async def __aenter__(self) -> Self:
        self._parent = Path(tempfile.mkdtemp(prefix="boardtalk-uf2-"))
        self._watching = asyncio.create_task(self._watch(), name="emulated UF2 drive")
        self.power_on()
        return self

    async def __aexit__(self, *_: object) -> None:
        (watched,) = await cancel_and_wait(self._watching)
        shutil.rmtree(self._parent)
        if isinstance(watched, Exception):
            raise watched

    @property
    def folder(self) -> Path:
        """Where it is while it is there."""
        return self._parent / self._chip.volume

    @property
    def mounted(self) -> bool:
        """Whether it is there."""
        return self.folder.is_dir()

    def power_on(self) -> None:
        """Let the board boot into its loader: the drive appears, empty. The flash is as it was."""
        self._unmount()
        self._files: dict[Path, _Copy] = {}
        self._total = 0
        self._seen: set[int] = set()
        self._erased: set[int] = set()
        self.folder.mkdir()
        info = f"UF2 Bootloader v3.0\r\nModel: {self._chip.model}\r\nBoard-ID: {self._chip.volume}\r\n"
        (self.folder / INFO).write_text(info, newline="")
        (self.folder / INDEX).write_text(f"<html><body>{self._chip.model}</body></html>\n")
        self.events.note("mounted")

    def power_off(self, why: str = "") -> None:
        """Take its power: the drive is gone."""
        self._unmount()
        self.events.note("power lost", why)

    # -----------------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(POLL_S)
            try:
                self._scan()
            except PowerLost as error:
                self.power_off(str(error))
            if self._total and len(self._seen) == self._total:
                self.events.note("flashed", f"{self._total} blocks")
                await asyncio.sleep(self._linger_s)
                self._unmount()
                self._total = 0

    def _scan(self) -> None:
        for path in self.folder.glob("*"):  # none, if the drive is not there
            if path.name not in {INFO, INDEX}:
                with contextlib.suppress(OSError):  # renamed or removed meanwhile
                    self._look(path)

    def _look(self, path: Path) -> None:
        """Take what has come since the last look; if the file was begun anew, so do we."""
        stat = path.stat()
        copy = self._files.setdefault(path, _Copy())
        if (stat.st_mtime_ns, stat.st_size) == copy.stamp:
            return
        copy.stamp = (stat.st_mtime_ns, stat.st_size)
        data = path.read_bytes()
        if zlib.crc32(data[: copy.taken]) != copy.crc:
            copy.taken = copy.crc = 0
        while copy.taken + BLOCK <= len(data):
            block = data[copy.taken : copy.taken + BLOCK]
            if not any(block):  # room was made for it, and it has not come yet
                return
            copy.taken += BLOCK
            copy.crc = zlib.crc32(block, copy.crc)
            self._take(block, path.name)

    def _take(self, block: bytes, name: str) -> None:
        *magic, flags, at, size, number, total, family = HEADER.unpack_from(block)
        end = int.from_bytes(block[-4:], "little")
        if (*magic, end) != (*MAGIC, MAGIC_END) or flags & NOT_FLASH or size != PAYLOAD or at % PAYLOAD:
            self._ignore(name, "no block for the flash")
        elif not flags & FAMILY or family != self._chip.family:
            self._ignore(name, f"family {family:#010x}")
        elif number >= total:
            self._ignore(name, f"block {number} of {total}")
        else:
            self._program(
                number, total, at - self._chip.flash_at, block[HEADER.size : HEADER.size + size], name
            )

    def _program(self, number: int, total: int, at: int, data: bytes, name: str) -> None:
        if total != self._total:
            self._total = total
            self._seen.clear()
            self._erased.clear()
            self.events.note("write", f"{name}, {total} blocks")
        sector = at // 4096
        try:
            if sector not in self._erased:
                self.flash.erase(at, len(data))
            self.flash.write(at, data)
        except OutOfFlash as error:
            self._ignore(name, str(error))
            return
        self._erased.add(sector)
        self._seen.add(number)

    def _ignore(self, name: str, why: str) -> None:
        """Nobody is told; that is for the tool to check."""
        told = f"{name}: {why}"
        if told not in self.events.named("ignored"):
            self.events.note("ignored", told)

    def _unmount(self) -> None:
        if self.mounted:
            shutil.rmtree(self.folder)
            self.events.note("unmounted")


class _Copy:
    """A file on its way in."""

    def __init__(self) -> None:
        self.taken = 0
        self.crc = 0
        self.stamp = (0, 0)
