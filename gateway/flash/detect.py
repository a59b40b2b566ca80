"""What is plugged in: serial ports and drives, and which boards they may be."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from serial.tools import list_ports

from boardtalk.flash import drives

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from boardtalk.boards import BoardFile


class Plugged(NamedTuple):
    """A port or a drive."""

    port: str
    usb: str
    """``vendor:product``; "": no USB device."""
    boards: list[BoardFile]
    """What it may be by its ids; empty: no definition has them."""
    bridge: bool = False
    """Its id is that of a USB-to-serial chip: it says little about the board."""
    name: str = ""
    """What the device calls itself."""


def plugged(known: Mapping[str, BoardFile]) -> list[Plugged]:
    """All USB serial ports, and the drives of boards in their loaders."""
    found = []
    for port in list_ports.comports():
        if port.vid is None or port.pid is None:
            continue
        usb = f"{port.vid:04x}:{port.pid:04x}"
        may_be = candidates(known.values(), usb)
        bridge = any(each.bridge for board in may_be for each in board.definition.usb if each.id == usb)
        found.append(Plugged(port.device, usb, may_be, bridge, port.description or ""))
    volumes = {each.definition.bootloader.volume for each in known.values()} - {""}
    for volume in sorted(volumes):
        boards = [each for each in known.values() if each.definition.bootloader.volume == volume]
        found += [Plugged(str(folder), "", boards, name=volume) for folder in drives.mounted(volume)]
    return found


def candidates(known: Iterable[BoardFile], usb: str) -> list[BoardFile]:
    """The boards that show such an id."""
    return [board for board in known if usb in {each.id for each in board.definition.usb}]
