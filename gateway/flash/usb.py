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


PROBE: Final = "probe://"
"""Of a port: a debug probe with this serial number."""


_places: dict[str, str] = {}
"""Where ports were seen."""


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
    """Where the device of a port is, or was, plugged in; "": it was on no USB.

    A serial port goes with the program that shows it. The next device there is the same board; what is
    plugged in elsewhere is another one.
    """
    if port.startswith(SCHEME):
        return port.removeprefix(SCHEME)
    if now := _told(port, "location").partition(":")[0]:
        _places[port] = now
    return _places.get(port, "")


def serial_number(port: str) -> str:
    """The serial number of a port's device; "": it is not on the USB, or has none."""
    return port.removeprefix(PROBE) if port.startswith(PROBE) else _told(port, "serial_number")


def _told(port: str, what: str) -> str:
    """What a serial port's device tells of itself."""
    real = str(Path(port).resolve())
    found = (getattr(each, what) for each in list_ports.comports() if each.device in {port, real})
    return next(found, None) or ""
