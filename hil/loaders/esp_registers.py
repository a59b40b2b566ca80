"""An ESP chip's registers, as far as tools read them, and the flash chip behind its SPI controller."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from boardtalk.hil.loaders.esp_chips import EspChip
    from boardtalk.hil.loaders.flash import Flash

MAGIC: Final = 0x40001000
DEFAULT_BAUD: Final = 115200

SPI_START: Final = 1 << 18
READ_ID, READ_STATUS = 0x9F, (0x05, 0x35, 0x15)
WINBOND_W25Q: Final = 0x40EF
PROTECTED_BLOCKS: Final = 0x1C
"""Bits of the flash's status register."""


class Registers:
    """Words by address; what is not known reads 0.

    Args:
        chip: which.
        mac: address, six bytes.
        flash: what is behind the SPI controller.
    """

    def __init__(self, chip: EspChip, mac: bytes, flash: Flash) -> None:
        self._chip = chip
        self._flash = flash
        self._fixed = {MAGIC: chip.magic, **chip.mac(mac), **chip.registers}
        self._words: dict[int, int] = {}

    def read(self, at: int, baud: int) -> int:
        """A word."""
        if at == self._chip.clock_divider:
            return self._chip.clock_hz // (baud or DEFAULT_BAUD)
        return self._words.get(at, self._fixed.get(at, 0))

    def write(self, at: int, value: int, mask: int) -> None:
        """Change bits of a word; the command register of the SPI controller has a transfer done at once."""
        spi = self._chip.spi
        if at == spi.base and value & SPI_START:
            self._words[spi.base + spi.w0] = self._ask_flash(self._words.get(spi.base + spi.usr2, 0) & 0xFF)
            return
        self._words[at] = self._words.get(at, 0) & ~mask | value & mask

    def _ask_flash(self, command: int) -> int:
        if command == READ_ID:
            return len(self._flash).bit_length() - 1 << 16 | WINBOND_W25Q
        if command in READ_STATUS:
            return PROTECTED_BLOCKS if self._flash.faults.protected else 0
        return 0
