"""Devices on the USB: where they are plugged in, which is what tells two of a kind apart."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from serial.tools import list_ports

if TYPE_CHECKING:
    from collections.abc import Iterator

    from boardtalk.boards import UsbId

DEVICES: Final = Path("/sys/bus/usb/devices")
SCHEME: Final = "usb://"
"""Of a port: `usb://1-2.4` is what is plugged into socket 4 of the hub in socket 2 of bus 1."""


class Device(NamedTuple):
    """A device that the kernel lists."""

    place: str
    ids: UsbId
    name: str
    """What it calls itself."""


def devices() -> Iterator[Device]:
    """All devices; one that is unplugged meanwhile is left out."""
    for folder in sorted(DEVICES.glob("*-*")):
        try:
            vendor, product = (int((folder / f"id{part}").read_text(), 16) for part in ("Vendor", "Product"))
            told = folder / "product"
            name = told.read_text(errors="replace").strip() if told.exists() else ""
        except OSError:  # an interface, which has no ids, or gone
            continue
        yield Device(folder.name, (vendor, product), name)


def place(port: str) -> str:
    """Where the device of a port is plugged in; "": not on the USB, or not there."""
    if port.startswith(SCHEME):
        return port.removeprefix(SCHEME)
    real = str(Path(port).resolve())
    found = (each.location for each in list_ports.comports() if each.device in {port, real})
    return (next(found, None) or "").partition(":")[0]
