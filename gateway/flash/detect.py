"""What is plugged in: serial ports, drives, other loaders, and which boards they may be."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from serial.tools import list_ports

from boardtalk.flash import drives, usb

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from boardtalk.boards import BoardFile, UsbId


class Plugged(NamedTuple):
    """A port, a drive, or a loader that is neither."""

    port: str
    usb: str
    """``vendor:product``; "": no USB device."""
    boards: list[BoardFile]
    """What it may be by its ids; empty: no definition has them."""
    bridge: bool = False
    """Its id is that of a USB-to-serial chip: it says little about the board."""
    name: str = ""
    """What the device calls itself."""
    serial: str = ""
    """Its serial number; "": it does not tell."""


def plugged(known: Mapping[str, BoardFile]) -> list[Plugged]:
    """All USB serial ports, and boards in loaders that are drives or other devices."""
    found = []
    for port in list_ports.comports():
        if port.vid is None or port.pid is None:
            continue
        shown = _text((port.vid, port.pid))
        may_be = candidates(known.values(), shown)
        bridge = any(each.bridge for board in may_be for each in board.definition.usb if each.id == shown)
        name, serial = port.description or "", port.serial_number or ""
        found.append(Plugged(port.device, shown, may_be, bridge, name, serial))
    for device in usb.devices():
        loads = [each for each in known.values() if _loads_by(each, device)]
        if loads:
            found.append(Plugged(usb.SCHEME + device.place, _text(device.ids), loads, name=device.name))
    volumes = {each.definition.bootloader.volume for each in known.values()} - {""}
    for volume in sorted(volumes):
        boards = [each for each in known.values() if each.definition.bootloader.volume == volume]
        found += [Plugged(str(folder), "", boards, name=volume) for folder in drives.mounted(volume)]
    return found


def candidates(known: Iterable[BoardFile], shown: str) -> list[BoardFile]:
    """The boards that show such an id."""
    return [board for board in known if shown in {each.id for each in board.definition.usb}]


def _loads_by(board: BoardFile, device: usb.Device) -> bool:
    """Whether this is the board's loader, and neither a serial port nor a drive."""
    loaders = {each.numbers for each in board.definition.usb if each.mode == "loader"}
    return device.ids in loaders and not board.definition.bootloader.volume


def _text(ids: UsbId) -> str:
    return "{:04x}:{:04x}".format(*ids)
