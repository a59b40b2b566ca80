"""How the gateway is, in figures: what an operator looks at before he looks into the log."""

from __future__ import annotations

import os
import platform
import shutil
import time
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from boardtalk.frontends.control.operation import (
    BrokerInfo,
    Device,
    Devices,
    Diagnosis,
    SessionInfo,
    SystemReport,
)
from boardtalk.masking import Mask, on_disk
from boardtalk.runtime import logs
from boardtalk.sdk import BoardtalkError, Code, Kind, Refused

if TYPE_CHECKING:
    from boardtalk.boards import BoardFile
    from boardtalk.configuration import Configuration
    from boardtalk.hub.hub import Hub

MAX_LOG_CHARS: Final = 128 * 1024
"""Of a diagnosis."""
BEGAN: Final = time.monotonic()


def report(hub: Hub, folder: Path, broker: BrokerInfo | None) -> SystemReport:
    """How it is now, with all that stands in its state folder."""
    disk = shutil.disk_usage(folder)
    sessions = [
        SessionInfo(each.address, round(each.since, 3), each.backlog)
        for each in hub.sessions.all()
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


def diagnosis(hub: Hub, configuration: Configuration, folder: Path, broker: BrokerInfo | None) -> Diagnosis:
    """What somebody needs to know who helps from afar. No secret that is known here is in it."""
    lines = list(logs.RECENT)
    while sum(map(len, lines)) > MAX_LOG_CHARS:
        del lines[0]
    parts = {
        "configuration.conf": configuration.shown,
        "system.json": report(hub, folder, broker),
        "modules.json": configuration.runner.reports(),
        "robots.json": [each for each in hub.directory.contacts() if each.kind is Kind.ROBOT],
        "log.txt": "\n".join(lines) + "\n",
    }
    mask = Mask(configuration.secrets | on_disk(folder))
    return Diagnosis(mask.value(msgspec.to_builtins(parts)))


def plugged() -> Devices:
    """What is plugged in, by its USB ids; nothing is opened, since that resets some boards.

    Raises:
        Refused: a definition of a board is damaged.
    """
    from boardtalk import boards  # noqa: PLC0415 - loaded when somebody looks
    from boardtalk.flash import detect  # noqa: PLC0415

    try:
        known = _definitions(tuple((path, path.stat().st_mtime_ns) for path in boards.paths().values()))
    except (BoardtalkError, OSError) as error:
        raise Refused(Code.FAILED, str(error)) from error
    return Devices(
        [
            Device(each.port, each.usb, [board.id for board in each.boards], each.bridge, each.name)
            for each in detect.plugged(known)
        ]
    )


@lru_cache(maxsize=1)
def _definitions(_files: tuple[tuple[Path, int], ...]) -> dict[str, BoardFile]:
    """All definitions of boards, read when one of these files is another one."""
    from boardtalk import boards  # noqa: PLC0415

    return boards.definitions()


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
