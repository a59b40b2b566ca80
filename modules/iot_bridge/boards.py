"""The board definitions that come with boardtalk: which USB devices may be boards."""

from __future__ import annotations

import tomllib
from importlib import resources

import msgspec

from boardtalk.modules.iot_bridge.errors import DefinitionError


class Definition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of the folder `boards`."""

    name: str
    """For people."""
    mcu: str
    """The MicroPython port that runs on it."""
    usb: tuple[str, ...] = ()
    """``vendor:product``, hex, of ports that may be opened to look for it."""

    def usb_ids(self) -> set[tuple[int, int]]:
        """Vendor and product as numbers."""
        pairs = (text.split(":") for text in self.usb)
        return {(int(vendor, 16), int(product, 16)) for vendor, product in pairs}


def definitions() -> dict[str, Definition]:
    """All definitions, by file name without ending.

    Raises:
        DefinitionError: a file is not one.
    """
    found = {}
    for file in resources.files("boardtalk.boards").iterdir():
        if not file.name.endswith(".toml"):
            continue
        try:
            data = tomllib.loads(file.read_text())
            found[file.name.removesuffix(".toml")] = msgspec.convert(data, Definition)
        except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
            raise DefinitionError(f"boards/{file.name}: {error}") from error
    return found


def usb_ids() -> set[tuple[int, int]]:
    """Vendor and product of all USB devices that may be boards."""
    return set().union(*(definition.usb_ids() for definition in definitions().values()))
