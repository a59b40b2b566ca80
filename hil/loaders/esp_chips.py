"""What ESP chips differ in: how a tool tells them apart, and where their registers are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True, slots=True)
class SpiController:
    """Where its registers are."""

    base: int
    usr2: int
    """Offset of the command that goes to the flash."""
    w0: int
    """Offset of the first data word."""


@dataclass(frozen=True, slots=True)
class EspChip:
    """One kind of chip."""

    name: str
    chip_id: int
    """In images, and in the answer to GET_SECURITY_INFO."""
    magic: int
    """At 0x40001000 of its ROM."""
    security_info: bool
    """Whether its ROM tells about itself; older ones are told by their magic."""
    spi: SpiController
    mac: tuple[int, int]
    """eFuse registers: the last four bytes of the address, and the first two."""
    bootloader_offset: int
    """On the flash."""
    loader_boot: str
    app_boot: str
    """What the ROM prints when it boots into either."""
    clock_divider: int = 0
    """Register of the UART, from which tools learn the crystal's frequency."""
    registers: dict[int, int] = field(default_factory=dict)
    """What else tools read."""


_RTC_CALIBRATION: Final = 800 << 7
_CK8M: Final = 128
"""800 · 15625 · 128 / 40 = 40 MHz, which is how tools reckon the ESP32's crystal."""

ESP32: Final = EspChip(
    name="esp32",
    chip_id=0,
    magic=0x00F01D83,
    security_info=False,
    spi=SpiController(0x3FF42000, usr2=0x24, w0=0x80),
    mac=(0x3FF5A004, 0x3FF5A008),
    bootloader_offset=0x1000,
    loader_boot="boot:0x3 (DOWNLOAD_BOOT(UART0/UART1/SDIO_REI_REO_V2))",
    app_boot="boot:0x13 (SPI_FAST_FLASH_BOOT)",
    clock_divider=0x3FF40014,
    registers={
        0x3FF5A00C: 1 << 15 | 1 << 9,  # ESP32-D0WD-V3, revision 3.0, with the next and the third
        0x3FF5A014: 1 << 20,
        0x3FF6607C: 1 << 31,
        0x3FF5A010: _CK8M,
        0x3FF5F06C: _RTC_CALIBRATION,
    },
)

ESP32C3: Final = EspChip(
    name="esp32c3",
    chip_id=5,
    magic=0x1B31506F,
    security_info=True,
    spi=SpiController(0x60002000, usr2=0x20, w0=0x58),
    mac=(0x60008844, 0x60008848),
    bootloader_offset=0x0,
    loader_boot="boot:0x7 (DOWNLOAD(USB/UART0/1))",
    app_boot="boot:0xf (SPI_FAST_FLASH_BOOT)",
    registers={0x60008850: 4 << 18},  # revision 0.4
)

CHIPS: Final = {chip.name: chip for chip in (ESP32, ESP32C3)}
