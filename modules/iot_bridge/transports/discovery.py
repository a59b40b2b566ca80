"""Which ports there are, and which of them may be opened to look for a board."""

from __future__ import annotations

import asyncio
import logging
import os
from typing import TYPE_CHECKING, Final, NamedTuple

from serial.tools import list_ports

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection

POLL_S: Final = 0.25
"""How soon a new port is noticed. One look at /dev takes some 50 µs."""

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
    while True:
        with os.scandir("/dev") as entries:  # another device under the same name has another inode
            now = {(entry.name, entry.inode()) for entry in entries if entry.name.startswith("tty")}
        if now != before:
            try:
                found = await asyncio.to_thread(find, ids)
            except (OSError, TypeError, ValueError) as error:  # a device vanished under pyserial's eyes
                log.warning("ports were not listed, once more: %r", error)
            else:
                before = now
                yield found
        await asyncio.sleep(POLL_S)
