"""What ESP chips differ in: how a tool tells them apart, and where their registers are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable


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
    """In images, and in the answer to GET_SECURITY_INFO; 0 too where neither has one."""
    magic: int
    """At 0x40001000 of its ROM."""
    security_info: bool
    """Whether its ROM tells about itself; older ones are told by their magic."""
    spi: SpiController
    mac: Callable[[bytes], dict[int, int]]
    """What its registers hold of its address."""
    bootloader_offset: int
    """On the flash."""
    loader_boot: str
    app_boot: str
    """What the ROM prints when it boots into either, after power comes."""
    plain_rom: bool = False
    """Whether its ROM can only erase, write, and read registers: no compression, MD5, or other rate."""
    clock_divider: int = 0
    """Register of the UART, from which tools learn the crystal's frequency."""
    clock_hz: int = 40_000_000
    """What is divided there."""
    registers: dict[int, int] = field(default_factory=dict)
    """What else tools read."""


def _efuses(at: int, extension: int = 0) -> Callable[[bytes], dict[int, int]]:
    """Two words: the last four bytes of the address; above the first two, what makes it an EUI-64."""
    return lambda mac: {at: int.from_bytes(mac[2:]), at + 4: extension << 16 | int.from_bytes(mac[:2])}


def _one_time_memory(mac: bytes) -> dict[int, int]:
    """The ESP8266's: the address begins in its last word."""
    first, last = int.from_bytes(mac[:3]), int.from_bytes(mac[3:5])
    return {0x3FF00050: mac[5] << 24, 0x3FF00054: last, 0x3FF0005C: first}


_RTC_CALIBRATION: Final = 800 << 7
_CK8M: Final = 128
"""800 · 15625 · 128 / 40 = 40 MHz, which is how tools reckon the ESP32's crystal."""

ESP32: Final = EspChip(
    name="esp32",
    chip_id=0,
    magic=0x00F01D83,
    security_info=False,
    spi=SpiController(0x3FF42000, usr2=0x24, w0=0x80),
    mac=_efuses(0x3FF5A004),
    bootloader_offset=0x1000,
    loader_boot="rst:0x1 (POWERON_RESET),boot:0x3 (DOWNLOAD_BOOT(UART0/UART1/SDIO_REI_REO_V2))",
    app_boot="rst:0x1 (POWERON_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)",
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
    mac=_efuses(0x60008844),
    bootloader_offset=0x0,
    loader_boot="rst:0x1 (POWERON),boot:0x7 (DOWNLOAD(USB/UART0/1))",
    app_boot="rst:0x1 (POWERON),boot:0xf (SPI_FAST_FLASH_BOOT)",
    registers={0x60008850: 4 << 18},  # revision 0.4
)

ESP32S3: Final = EspChip(
    name="esp32s3",
    chip_id=9,
    magic=0x9,
    security_info=True,
    spi=SpiController(0x60002000, usr2=0x20, w0=0x58),
    mac=_efuses(0x60007044),
    bootloader_offset=0x0,
    loader_boot="rst:0x1 (POWERON),boot:0x0 (DOWNLOAD(USB/UART0))",
    app_boot="rst:0x1 (POWERON),boot:0x8 (SPI_FAST_FLASH_BOOT)",
    registers={0x60007050: 2 << 18},  # revision 0.2
)

ESP32C6: Final = EspChip(
    name="esp32c6",
    chip_id=13,
    magic=0x2CE0806F,
    security_info=True,
    spi=SpiController(0x60003000, usr2=0x20, w0=0x58),
    mac=_efuses(0x600B0844, extension=0xFFFE),
    bootloader_offset=0x0,
    loader_boot="rst:0x1 (POWERON),boot:0x4 (DOWNLOAD(USB/UART0/SDIO_FEI_FEO))",
    app_boot="rst:0x1 (POWERON),boot:0xc (SPI_FAST_FLASH_BOOT)",
    registers={0x600B0850: 1 << 18},  # revision 0.1
)

ESP8266: Final = EspChip(
    name="esp8266",
    chip_id=0,
    magic=0xFFF0C101,
    security_info=False,
    spi=SpiController(0x60000200, usr2=0x24, w0=0x40),
    mac=_one_time_memory,
    bootloader_offset=0x0,
    loader_boot="ets Jan  8 2013,rst cause:1, boot mode:(1,6)",
    app_boot="ets Jan  8 2013,rst cause:1, boot mode:(3,6)",
    plain_rom=True,
    clock_divider=0x60000014,
    clock_hz=52_000_000,  # twice its crystal's
)

CHIPS: Final = {chip.name: chip for chip in (ESP32, ESP32C3, ESP32S3, ESP32C6, ESP8266)}
