"""Which ports there are, and which of them may be opened to look for a board."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Final, NamedTuple

from serial.tools import list_ports

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection

POLL_S: Final = 0.25
"""How soon a new port is noticed. One look at /dev takes some 50 µs."""

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
    before: set[str] | None = None
    while True:
        now = {name for name in os.listdir("/dev") if name.startswith("tty")}  # noqa: PTH208 - only names
        if now != before:
            before = now
            yield await asyncio.to_thread(find, ids)
        await asyncio.sleep(POLL_S)
