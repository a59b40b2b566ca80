"""What a board definition says: the one description of a file in `boards`."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

UsbText = Annotated[
    str, Meta(pattern=r"^[0-9a-f]{4}:[0-9a-f]{4}\Z", title="vendor:product, such as 2e8a:0005")
]
Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z", title="64 hexadecimal digits")]
Baud = Annotated[int, Meta(ge=1200, le=4_000_000)]
UsbId = tuple[int, int]
"""Vendor and product."""
Entry = Literal["dtr-rts", "touch1200", "machine", "button", "none"]
"""A way into the boot loader: the control lines of a serial port, opening it at 1200 baud, MicroPython's
`machine.bootloader()`, a person at the board, or none, because it is there already."""

ENTRIES_WITHOUT_HINT: Final = frozenset({"dtr-rts", "touch1200", "machine", "none"})


class Usb(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An id that the board shows on USB."""

    id: UsbText
    mode: Literal["program", "loader", "both"] = "both"
    """When."""
    bridge: bool = False
    """It is that of a USB-to-serial chip, which is on many boards: a hint and no more."""

    @property
    def numbers(self) -> UsbId:
        """Vendor and product."""
        vendor, product = self.id.split(":")
        return int(vendor, 16), int(product, 16)


class Bootloader(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How it is brought into its boot loader."""

    entry: Annotated[tuple[Entry, ...], Meta(min_length=1)]
    """Ways in, tried in this order."""
    hint: str = ""
    """What a person does at the board: `hold BOOT, press RESET`."""
    volume: str = ""
    """Of loaders that are a drive: its name."""


class Flashing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How it is written."""

    protocol: Annotated[str, Meta(min_length=1)]
    """Name in the entry-point group `boardtalk.flashers`; `manual`: only by a person."""
    baud: Baud = 115_200
    retry_baud: Baud = 115_200
    """After an error on the line."""
    offset: Annotated[int, Meta(ge=0)] = 0
    """Where an image goes on the flash."""
    flash_size: Literal["keep", "detect"] = "keep"
    """ESP: whether the size in the image's header stays or is that of the chip."""
    family: Annotated[int, Meta(ge=0, lt=1 << 32)] = 0
    """UF2: of the chip."""
    sectors: tuple[Annotated[int, Meta(gt=0)], ...] = ()
    """STM32: sizes of what is erased at once, in kB; the last one goes on."""


class Image(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Firmware whose digest is known."""

    version: str
    sha256: Sha256
    file: str = ""
    """Beside the definition, unless absolute."""
    url: str = ""
    """Where it is downloaded, once, if its file is not here: ``https://…`` or ``http://…``."""
    size: Annotated[int, Meta(ge=0)] = 0
    """Bytes; 0: not checked."""
    offset: Annotated[int, Meta(ge=0)] | None = None
    """None: that of the table `flash`."""


class Link(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How its program speaks to us."""

    kind: Literal["usb", "uart", "pty", "mqtt"] = "usb"
    baud: Baud = 115_200


class Definition(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One kind of board. The name of the file, without `.toml`, is its id."""

    name: str
    """For people."""
    mcu: str
    """The chip, as its loader tells it: what is probed must be this before anything is erased."""
    port: str
    """The MicroPython port that runs on it: `rp2`, `esp32`, `stm32` …"""
    vendor: str = ""
    url: str = ""
    """Where firmware for it can be downloaded, for people."""
    flash_kb: Annotated[int, Meta(ge=0)] = 0
    """0: not known, or boards differ."""
    ram_kb: Annotated[int, Meta(ge=0)] = 0
    usb: tuple[Usb, ...] = ()
    """What it shows on USB."""
    bootloader: Bootloader
    flash: Flashing
    image: tuple[Image, ...] = ()
    """Firmware that is pinned by its digest. There may be none: `--image FILE` names one."""
    link: Link = msgspec.field(default_factory=Link)
    pins: dict[str, int | str | dict[str, int | str]] = {}
    """By their names on the board."""
    capabilities: dict[str, bool | int] = {}
    """What it has, and how much of it: `wifi = true`, `adc = 3`."""

    def __post_init__(self) -> None:
        needy = [entry for entry in self.bootloader.entry if entry not in ENTRIES_WITHOUT_HINT]
        if needy and not self.bootloader.hint:
            raise ValueError(f"bootloader.hint is missing: what shall a person do for {needy[0]!r}?")

    @property
    def may_be_opened(self) -> set[UsbId]:
        """USB ids of ports that may be opened to look for this board while it runs its program."""
        return {each.numbers for each in self.usb if each.mode != "loader"}
