"""Which ports there are, and which of them may be opened to look for a board."""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from serial.tools import list_ports

from boardtalk.modules.iot_bridge.transports.hotplug import Folders

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection

DEVICES: Final = Path("/dev")
LOOK_S: Final = 5.0
"""How often it is looked though nothing was told. One look takes some 50 µs."""

AGAIN_S: Final = 0.25
"""Pause before ports are listed again after that failed."""

log = logging.getLogger(__name__)

UsbId = tuple[int, int]
"""Vendor and product."""


class FoundPort(NamedTuple):
    """A USB serial port."""

    path: str
    usb: UsbId


def find(ids: Collection[UsbId]) -> list[FoundPort]:
    """The ports of USB devices with one of these ids.

    Others stay shut: opening a port resets some boards.
    """
    found = []
    for port in list_ports.comports():
        if port.vid is None or port.pid is None:
            continue
        if (port.vid, port.pid) in ids:
            found.append(FoundPort(port.device, (port.vid, port.pid)))
    return sorted(found)


async def watch(ids: Collection[UsbId]) -> AsyncIterator[list[FoundPort]]:
    """The ports as `find` sees them, now and after each change in /dev."""
    before: set[tuple[str, int]] | None = None
    with Folders([DEVICES]) as devices:
        while True:
            with os.scandir(DEVICES) as entries:  # another device under the same name has another inode
                now = {(entry.name, entry.inode()) for entry in entries if entry.name.startswith("tty")}
            pause = LOOK_S
            if now != before:
                try:
                    found = await asyncio.to_thread(find, ids)
                except (OSError, TypeError, ValueError) as error:  # a device vanished under pyserial's eyes
                    log.warning("ports were not listed, once more: %r", error)
                    pause = AGAIN_S
                else:
                    before = now
                    yield found
            await devices.changed(pause)
