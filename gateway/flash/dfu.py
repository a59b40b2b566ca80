"""STM32 chips in their system loader on the USB: DFU with ST's extensions (DfuSe), by dfu-util."""

from __future__ import annotations

import asyncio
import re
import socket
import tempfile
import time
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final, Self

from boardtalk.flash import dfu_util, stm32_image, usb
from boardtalk.flash.errors import Code, FlashError
from boardtalk.flash.protocol import Flasher, Found, Segment
from boardtalk.flash.stm32_image import FLASH_AT

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from boardtalk.boards import Definition

READ_BYTES: Final = 128 * 1024
APPEARS_S: Final = 8.0
"""From the reset to the loader on the USB."""
LOOK_S: Final = 0.3
UNKNOWN: Final = "UNKNOWN"
"""What dfu-util says of a serial number that the device does not tell."""
LAYOUT: Final = re.compile(r"@[^/]*/0x(?P<at>[0-9A-Fa-f]+)/(?P<sectors>[^/]*)")
SECTORS: Final = re.compile(r"(\d+)\*(\d+)([ BKM])\w")
UNIT: Final = {" ": 1, "B": 1, "K": 1024, "M": 1024 * 1024}


class DfuFlasher(Flasher):
    """A chip whose loader is a DFU device. What is on its flash is read to be compared."""

    rated: ClassVar[bool] = False
    _device: dfu_util.Waiting

    def __init__(self, board: Definition, port: str, baud: int) -> None:
        super().__init__(board, port, baud)
        self._place = usb.place(port)  # now: its port is gone when it is in its loader

    @classmethod
    def checked(cls, board: Definition, image: bytes, at: int) -> list[Segment]:
        """See `Flasher`. An image tells nothing of its chip, only whether it begins as a program does."""
        return stm32_image.pieces(board, image, at)

    @classmethod
    def restored(cls, board: Definition, image: bytes) -> list[Segment]:
        """See `Flasher`."""
        return stm32_image.cut(board, [(FLASH_AT, image)])

    async def __aenter__(self) -> Self:
        """See `Flasher`."""
        if not self._place:
            raise FlashError(
                Code.PORT_MISSING,
                f"{self.port}: it is no port on the USB, so nobody knows which board is meant",
                "`boardtalk flash detect` lists those that wait in their loader: --port usb://PLACE",
            )
        until = time.monotonic() + APPEARS_S
        while (device := await self._found()) is None:
            if time.monotonic() > until or self.port.startswith(usb.SCHEME):
                raise FlashError(
                    Code.NO_LOADER,
                    f"{self.port}: no STM32 waits in its USB loader there",
                    self.board.bootloader.hint,
                )
            await asyncio.sleep(LOOK_S)
        self._device = device
        self._lock = _locked(device.place)
        return self

    async def __aexit__(self, *_: object) -> None:
        """See `Flasher`."""
        self._lock.close()

    async def probe(self) -> Found:
        """See `Flasher`. The loader tells the sectors of its flash, not the name of its chip."""
        layout = LAYOUT.match(self._device.name)
        told = SECTORS.findall(layout["sectors"]) if layout else []
        sizes = [int(size) * UNIT[unit] for count, size, unit in told for _ in range(int(count))]
        chip = self.board.mcu if sizes == self._expected() else f"chip with the flash {self._device.name!r}"
        serial = "" if self._device.serial == UNKNOWN else self._device.serial
        return Found(chip, serial, sum(sizes), int(layout["at"], 16) if layout else 0)

    async def holds(self, segment: Segment) -> bool:
        """See `Flasher`: by reading, since the loader makes no digests."""
        return await self._read(segment.at, len(segment.data)) == segment.data

    async def write(self, segment: Segment) -> AsyncGenerator[int, None]:
        """See `Flasher`."""
        words = ("--dfuse-address", f"{segment.at:#010x}", "--download", "-")
        async with aclosing(dfu_util.transfer(self.port, self._device, *words, data=segment.data)) as parts:
            async for done in parts:
                yield done

    async def erase(self) -> None:
        """See `Flasher`."""
        await self._command("mass-erase:force")

    async def read(self, size: int) -> AsyncGenerator[bytes, None]:
        """See `Flasher`."""
        for at in range(0, size, READ_BYTES):
            yield await self._read(FLASH_AT + at, min(READ_BYTES, size - at))

    async def reset(self) -> None:
        """See `Flasher`: the loader jumps to the program, and is gone from the USB."""
        await self._command("leave")

    async def _found(self) -> dfu_util.Waiting | None:
        """The device, if it waits."""
        ids = {each.numbers for each in self.board.usb if each.mode != "program"}
        waiting = await dfu_util.waiting(self.port)
        return next((each for each in waiting if each.ids in ids and each.place == self._place), None)

    def _expected(self) -> list[int]:
        """The sizes of the sectors that the definition's chip has."""
        expected, left = [], self.board.flash_kb * 1024
        for _, _, size in stm32_image.sectors(self.board):
            if size > left:
                break
            expected.append(size)
            left -= size
        return expected

    async def _read(self, at: int, size: int) -> bytes:
        with tempfile.TemporaryDirectory(prefix="boardtalk-dfu-") as folder:
            file = Path(folder) / "flash.bin"
            await self._command(f"{size}", "--upload", str(file), at=at)
            return file.read_bytes()

    async def _command(self, modifier: str, *words: str, at: int = FLASH_AT) -> None:
        where = ("--dfuse-address", f"{at:#010x}:{modifier}")
        async with aclosing(dfu_util.transfer(self.port, self._device, *where, *words)) as parts:
            async for _ in parts:
                pass


def _locked(place: str) -> socket.socket:
    """What one flasher on this machine has until it closes it or its process ends. Raises FlashError."""
    lock = socket.socket(socket.AF_UNIX)
    try:
        lock.bind(f"\0boardtalk-flash-usb-{place}")
    except OSError as error:
        lock.close()
        raise FlashError(Code.PORT_BUSY, f"usb://{place}: another `boardtalk flash` has it") from error
    return lock
