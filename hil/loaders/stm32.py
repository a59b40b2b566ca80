"""Emulated STM32 boards in their system loader: ST's application note AN3155, for stm32loader and others."""

from __future__ import annotations

import functools
import itertools
import operator
from collections import Counter
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Final

from boardtalk.hil.loaders.board import LoaderBoard
from boardtalk.hil.loaders.events import Events
from boardtalk.hil.loaders.flash import Flash, OutOfFlash

if TYPE_CHECKING:
    from boardtalk.hil.loaders.wire import Signals, Wire


class Command(IntEnum):
    """What the loader can do. Each is sent with its complement."""

    GET = 0x00
    GET_VERSION = 0x01
    GET_ID = 0x02
    READ = 0x11
    GO = 0x21
    WRITE = 0x31
    ERASE = 0x43
    EXTENDED_ERASE = 0x44


ERASERS: Final = {Command.ERASE, Command.EXTENDED_ERASE}
HARMLESS: Final = {Command.GET, Command.GET_VERSION, Command.GET_ID}
SYNC: Final = 0x7F
ACK, NACK = b"\x79", b"\x1f"
VERSION: Final = 0x31
FLASH_AT: Final = 0x08000000
UID: Final = bytes.fromhex("b0a7d1b0a7d2b0a7d3b0a7d4")

Wants = Generator[int, bytes, None]
"""A conversation: it asks for so many bytes, and gets them."""


@dataclass(frozen=True, slots=True)
class Stm32Chip:
    """One kind of chip."""

    name: str
    product_id: int
    sectors: tuple[int, ...]
    """Sizes; the flash is as large as all of them."""
    erase: Command
    """Which of the two commands it has."""
    uid_at: int
    size_at: int
    """Where it tells its unique id, and the kilobytes of its flash."""

    @property
    def size(self) -> int:
        """Bytes of flash."""
        return sum(self.sectors)


CHIPS: Final = {
    chip.name: chip
    for chip in (
        Stm32Chip("stm32f103", 0x410, (1024,) * 128, Command.ERASE, 0x1FFFF7E8, 0x1FFFF7E0),
        Stm32Chip(
            "stm32f405",
            0x413,
            (16384,) * 4 + (65536,) + (131072,) * 7,
            Command.EXTENDED_ERASE,
            0x1FFF7A10,
            0x1FFF7A22,
        ),
    )
}


@dataclass(slots=True)
class Stm32Faults:
    """What the loader does wrong; may be changed at any time."""

    refuse: Counter[Command] = field(default_factory=Counter)
    """How often still it refuses a command."""
    read_protected: bool = False
    """It neither reads nor writes, as a board that was sold so."""


class Stm32:
    """A chip with its flash: in its loader, or in its program."""

    def __init__(self, chip: Stm32Chip, flash: Flash) -> None:
        self.flash = flash
        self.events = Events()
        self.faults = Stm32Faults()
        self.fired: Counter[str] = Counter()
        self.baud = 0
        self._chip = chip
        self._said = b""
        self._heard = b""
        self._talk: Wants | None = None

    def boot(self, loader: bool) -> bytes:
        """Start anew; all but the flash is forgotten."""
        self.baud = 0
        self._heard = self._said = b""
        self._talk = self._converse() if loader else None
        self._wanted = next(self._talk) if self._talk is not None else 0
        self.events.note("boot", "loader" if loader else "app")
        return b""

    def signal(self, signals: Signals) -> bytes:
        """Its pins are not wired to the control lines."""
        return b""

    def hear(self, data: bytes, baud: int) -> bytes:
        """Whatever comes, the loader goes on with it as far as it gets."""
        if self._talk is None:
            return b""
        self.baud = self.baud or baud
        self._heard += data
        while self._talk is not None and len(self._heard) >= self._wanted:
            piece, self._heard = self._heard[: self._wanted], self._heard[self._wanted :]
            try:
                self._wanted = self._talk.send(piece)
            except StopIteration:
                self._talk = None
                self.events.note("boot", "app")
        said, self._said = self._said, b""
        return said

    # The conversation ------------------------------------------------------------------------------

    def _converse(self) -> Wants:
        while (yield 1)[0] != SYNC:
            pass
        self.events.note("sync")
        self._said += ACK
        while True:
            command, complement = yield 2
            if command ^ complement != 0xFF or not self._allowed(command):
                self._said += NACK
                continue
            self._said += ACK
            if command != Command.GO:
                yield from self._obey(Command(command))
            elif (at := (yield from self._address())) is not None:
                self.events.note("go", f"{at:#x}")
                return

    def _known(self) -> list[Command]:
        return [each for each in Command if each not in ERASERS or each is self._chip.erase]

    def _allowed(self, command: int) -> bool:
        if command not in self._known():
            return False
        if self.faults.refuse[Command(command)]:
            self.faults.refuse[Command(command)] -= 1
            self.fired[f"{Command(command).name} refused"] += 1
            return False
        if self.faults.read_protected and command not in HARMLESS:
            self.fired["read protected"] += 1
            return False
        return True

    def _obey(self, command: Command) -> Wants:
        match command:
            case Command.GET:
                known = bytes(self._known())
                self._said += bytes((len(known), VERSION)) + known + ACK
            case Command.GET_VERSION:
                self._said += bytes((VERSION, 0, 0)) + ACK
            case Command.GET_ID:
                self._said += b"\x01" + self._chip.product_id.to_bytes(2) + ACK
            case Command.READ:
                yield from self._read()
            case Command.WRITE:
                yield from self._write()
            case Command.ERASE:
                yield from self._erase(1)
            case Command.EXTENDED_ERASE:
                yield from self._erase(2)

    def _address(self) -> Generator[int, bytes, int | None]:
        *address, checksum = yield 5
        if functools.reduce(operator.xor, address) != checksum:
            self._said += NACK
            return None
        self._said += ACK
        return int.from_bytes(bytes(address))

    def _read(self) -> Wants:
        at = yield from self._address()
        if at is None:
            return
        count, complement = yield 2
        data = self._memory(at, count + 1)
        if count ^ complement != 0xFF or data is None:
            self._said += NACK
            return
        self._said += ACK + data

    def _write(self) -> Wants:
        at = yield from self._address()
        if at is None:
            return
        (count,) = yield 1
        *data, checksum = yield count + 2
        if functools.reduce(operator.xor, data, count) != checksum:
            self._said += NACK
            return
        try:
            self.flash.write(at - FLASH_AT, bytes(data))
        except OutOfFlash:
            self._said += NACK
            return
        self._said += ACK

    def _erase(self, width: int) -> Wants:
        """Sectors by their numbers, or all of them."""
        count = int.from_bytes((yield width))
        if count >= 0xFF << 8 * (width - 1):
            yield 1
            self.events.note("erase", "all")
            self.flash.erase()
            self._said += ACK
            return
        listed = yield (count + 1) * width
        head = count.to_bytes(width)
        if functools.reduce(operator.xor, head + listed) != (yield 1)[0]:
            self._said += NACK
            return
        numbers = [int.from_bytes(listed[at : at + width]) for at in range(0, len(listed), width)]
        starts = (0, *itertools.accumulate(self._chip.sectors))
        for number in numbers:
            if number < len(self._chip.sectors):
                self.flash.erase(starts[number], self._chip.sectors[number])
        self.events.note("erase", f"sectors {numbers}")
        self._said += ACK

    def _memory(self, at: int, size: int) -> bytes | None:
        """What can be read at an address; None: nothing."""
        if FLASH_AT <= at <= at + size <= FLASH_AT + len(self.flash):
            return self.flash.read(at - FLASH_AT, size)
        told = {self._chip.uid_at: UID, self._chip.size_at: (self._chip.size // 1024).to_bytes(2, "little")}
        system = dict(_bytes_at(told))
        if not any(each in system for each in range(at, at + size)):
            return None
        return bytes(system.get(each, 0xFF) for each in range(at, at + size))


def _bytes_at(words: dict[int, bytes]) -> Iterator[tuple[int, int]]:
    for at, word in words.items():
        yield from enumerate(word, at)


class Stm32Board(LoaderBoard):
    """An STM32 board in its system loader, as an async context manager.

    Args:
        kind: one of `CHIPS`.
        wire: how it is connected; a pseudo-terminal, unless said otherwise.
        content: what is on the flash.
    """

    def __init__(self, kind: str = "stm32f405", wire: Wire | None = None, *, content: bytes = b"") -> None:
        chip = CHIPS[kind]
        flash = Flash(chip.size, sector=min(chip.sectors), content=content)
        self._stm32 = Stm32(chip, flash)
        self.faults = self._stm32.faults
        """What the loader does wrong; what the memory does wrong is in `flash.faults`."""
        self.fired = self._stm32.fired
        """How often each of these has happened."""
        super().__init__(self._stm32, wire)
