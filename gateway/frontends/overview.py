"""How the gateway is, in figures: what an operator looks at before he looks into the log."""

from __future__ import annotations

import os
import platform
import shutil
import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final

from boardtalk.frontends.control import BrokerInfo, Device, Devices, SessionInfo, SystemReport
from boardtalk.sdk import BoardtalkError, Code, Refused

if TYPE_CHECKING:
    from boardtalk.hub import Hub

BEGAN: Final = time.monotonic()


def report(hub: Hub, folder: Path, broker: BrokerInfo | None) -> SystemReport:
    """How it is now, with all that stands in its state folder."""
    disk = shutil.disk_usage(folder)
    sessions = [
        SessionInfo(each.address, round(each.since, 3), each.backlog)
        for each in hub.sessions
        if each.address is not None
    ]
    return SystemReport(
        version=version("boardtalk"),
        python=platform.python_version(),
        pid=os.getpid(),
        uptime_s=round(time.monotonic() - BEGAN, 1),
        memory_bytes=_resident_bytes(),
        store_bytes=sum(path.stat().st_size for path in folder.glob("store.db*")),
        waiting_for_disk=hub.store.pending,
        disk_free_bytes=disk.free,
        disk_bytes=disk.total,
        broker=broker,
        sessions=sorted(sessions, key=lambda each: each.since),
    )


def plugged() -> Devices:
    """What is plugged in, by its USB ids; nothing is opened, since that resets some boards.

    Raises:
        Refused: a definition of a board is damaged.
    """
    from boardtalk import boards  # noqa: PLC0415 - loaded when somebody looks
    from boardtalk.flash import detect  # noqa: PLC0415

    try:
        known = boards.definitions()
    except BoardtalkError as error:
        raise Refused(Code.FAILED, str(error)) from error
    found = detect.plugged(known)
    return Devices(
        [
            Device(each.port, each.usb, [board.id for board in each.boards], each.bridge, each.name)
            for each in found
        ]
    )


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
