"""STM32 chips in their system loader at a UART: ST's application note AN3155."""

from __future__ import annotations

import functools
import operator
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final, Self

from boardtalk.flash import stm32_image
from boardtalk.flash.errors import Code, FlashError
from boardtalk.flash.line import Line
from boardtalk.flash.protocol import Flasher, Found, Segment
from boardtalk.flash.stm32_image import FLASH_AT

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from boardtalk.boards import Definition

SYNC: Final = b"\x7f"
ACK, NACK = 0x79, 0x1F
GET, GET_ID, READ, GO, WRITE, ERASE, EXTENDED_ERASE = 0x00, 0x02, 0x11, 0x21, 0x31, 0x43, 0x44
PIECE: Final = 256
ANSWER_S: Final = 1.0
ERASE_S: Final = 40.0
"""A whole chip takes up to half a minute."""
SYNC_S: Final = 0.3
SYNCS: Final = 4
PRODUCTS: Final = {
    0x410: "stm32f103", 0x413: "stm32f405", 0x419: "stm32f429", 0x421: "stm32f446", 0x423: "stm32f401",
    0x431: "stm32f411", 0x433: "stm32f401", 0x449: "stm32f746", 0x451: "stm32f767", 0x450: "stm32h743",
    0x415: "stm32l476", 0x495: "stm32wb55",
}  # fmt: skip
"""Product ids of ST's application note AN2606; chips of a line share one."""
SIGNATURES: Final = {
    "stm32f1": (0x1FFFF7E8, 0x1FFFF7E0), "stm32f4": (0x1FFF7A10, 0x1FFF7A22),
    "stm32f7": (0x1FF0F420, 0x1FF0F442), "stm32h7": (0x1FF1E800, 0x1FF1E880),
    "stm32l4": (0x1FFF7590, 0x1FFF75E0), "stm32wb": (0x1FFF7590, 0x1FFF75E0),
}  # fmt: skip
"""Where chips of a family tell their unique id, and the kilobytes of their flash: ST's reference manuals.
Both lie in the same 256 bytes, which are read as one: an F4 lets nobody read a few of them."""
UID_BYTES: Final = 12
MAX_FLASH_KB: Final = 4096


class _Refused(FlashError):
    """The loader understood, and does not do it."""


class Stm32UartFlasher(Flasher):
    """A chip whose loader listens at a UART."""

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
        async with AsyncExitStack() as stack:
            self._line = await stack.enter_async_context(Line(self.port, self.baud, even=True))
            await self._sync()
            self._commands = await self._get()
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        """See `Flasher`."""
        await self._stack.aclose()

    async def probe(self) -> Found:
        """See `Flasher`."""
        await self._command(GET_ID)
        count = (await self._bytes(1))[0]
        product = int.from_bytes(await self._bytes(count + 1))
        await self._acknowledged("its id")
        chip = PRODUCTS.get(product)
        if chip is None:
            return Found(f"STM32 with product id {product:#x}")
        return Found(chip, *await self._signature(chip), FLASH_AT)

    async def holds(self, segment: Segment) -> bool:
        """See `Flasher`: by reading, since the loader makes no digests."""
        for start in range(0, len(segment.data), PIECE):
            piece = segment.data[start : start + PIECE]
            if await self._read(segment.at + start, len(piece)) != piece:
                return False
        return True

    async def write(self, segment: Segment) -> AsyncGenerator[int, None]:
        """See `Flasher`."""
        await self._erase(self._sector(segment.at))
        for start in range(0, len(segment.data), PIECE):
            piece = segment.data[start : start + PIECE]
            padded = piece + b"\xff" * (-len(piece) % 4)
            await self._command(WRITE)
            await self._address(segment.at + start)
            await self._line.write(_checked(bytes((len(padded) - 1,)) + padded))
            await self._acknowledged(f"writing at {segment.at + start:#x}")
            yield start + len(piece)

    async def erase(self) -> None:
        """See `Flasher`."""
        await self._erase(None)

    async def read(self, size: int) -> AsyncGenerator[bytes, None]:
        """See `Flasher`."""
        for at in range(0, size, PIECE):
            yield await self._read(FLASH_AT + at, min(PIECE, size - at))

    async def reset(self) -> None:
        """See `Flasher`: the loader jumps to the program."""
        await self._command(GO)
        await self._address(FLASH_AT)

    async def _sync(self) -> None:
        for _ in range(SYNCS):
            self._line.forget()
            await self._line.write(SYNC)
            try:
                answer = (await self._line.exactly(1, SYNC_S))[0]
            except TimeoutError:
                continue
            if answer in {ACK, NACK}:  # NACK: it was in step already
                return
        raise FlashError(Code.NO_LOADER, f"{self.port}: no STM32 loader answers", self.board.bootloader.hint)

    async def _get(self) -> bytes:
        """The commands that it knows."""
        await self._command(GET)
        count = (await self._bytes(1))[0]
        known = await self._bytes(count + 1)
        await self._acknowledged("its commands")
        return known[1:]

    async def _signature(self, chip: str) -> tuple[str, int]:
        """Unique id, as MicroPython tells it too, and bytes of flash, as far as the loader lets read them."""
        uid_at, size_at = SIGNATURES[chip[: len("stm32f4")]]
        block = uid_at & -PIECE
        try:
            told = await self._read(block, PIECE)
        except _Refused:  # as a chip does that is protected against reading
            return "", 0
        uid = told[uid_at - block :][:UID_BYTES]
        size = int.from_bytes(told[size_at - block :][:2], "little")
        return "" if uid == b"\xff" * UID_BYTES else uid.hex(), size * 1024 if size <= MAX_FLASH_KB else 0

    async def _read(self, at: int, size: int) -> bytes:
        await self._command(READ)
        await self._address(at)
        await self._line.write(bytes((size - 1, size - 1 ^ 0xFF)))
        await self._acknowledged(f"reading at {at:#x}")
        return await self._bytes(size)

    async def _erase(self, sector: int | None) -> None:
        wide = EXTENDED_ERASE in self._commands
        await self._command(EXTENDED_ERASE if wide else ERASE)
        if sector is None:
            request = b"\xff\xff\x00" if wide else b"\xff\x00"
        else:
            request = _checked(bytes(2) + sector.to_bytes(2) if wide else bytes((0, sector)))
        await self._line.write(request)
        await self._acknowledged("erasing", ERASE_S)

    def _sector(self, at: int) -> int:
        """The number of the sector that begins there."""
        return next(number for number, start, _ in stm32_image.sectors(self.board) if start >= at)

    async def _command(self, code: int) -> None:
        await self._line.write(bytes((code, code ^ 0xFF)))
        await self._acknowledged(f"command {code:#04x}")

    async def _address(self, at: int) -> None:
        await self._line.write(_checked(at.to_bytes(4)))
        await self._acknowledged(f"the address {at:#x}")

    async def _acknowledged(self, what: str, within: float = ANSWER_S) -> None:
        answer = (await self._bytes(1, within))[0]
        if answer == ACK:
            return
        said = "refuses" if answer == NACK else f"answers {answer:#04x} to"
        raise (_Refused if answer == NACK else FlashError)(
            Code.LINK,
            f"{self.port}: the loader {said} {what}",
            "if it does so each time, it is protected against reading and writing",
        )

    async def _bytes(self, size: int, within: float = ANSWER_S) -> bytes:
        try:
            return await self._line.exactly(size, within)
        except TimeoutError as error:
            raise FlashError(
                Code.LINK, f"{self.port}: the loader has fallen silent", self.board.bootloader.hint
            ) from error


def _checked(data: bytes) -> bytes:
    return data + bytes((functools.reduce(operator.xor, data),))
