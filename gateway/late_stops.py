"""Stops that went past the gateway, put into its audit: they need neither its store nor its attention."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

import structlog

from boardtalk.sdk import SYSTEM, carried
from boardtalk.store import StoreError

if TYPE_CHECKING:
    from pathlib import Path

    from boardtalk.store import Store

LOOK_EVERY_S: Final = 1.0
SETTLED_S: Final = 5.0
"""So long the gateway's own line about a stop may take, and so far its time may be from that of the stop."""

log = structlog.get_logger()


async def keep_up(state: Path, store: Store) -> None:
    """Do so, on and on: what the link process wrote down goes into the audit, unless it is there already.

    Args:
        state: the state folder.
        store: has the audit.
    """
    told: set[Path] = set()
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        try:
            for path, stop in await asyncio.to_thread(lambda: list(carried.read(state))):
                if 0 <= time.time() - stop.at < SETTLED_S:
                    continue
                if await _is_there(store, stop):  # on disk, so the file has served
                    path.unlink()
                elif path not in told:
                    told.add(path)
                    store.audit(stop.by, "stop", ", ".join(stop.boards) or SYSTEM, _late(stop))
        except (OSError, StoreError) as error:
            log.error("stops are missing in the audit", reason=str(error))


async def _is_there(store: Store, stop: carried.Carried) -> bool:
    late = _late(stop)
    for line in await store.audit_lines(None, carried.MAX_KEPT, f"{stop.by} stop "):
        about = f"{line.target} {line.result}"
        soon = abs(line.at - stop.at) < SETTLED_S and all(board in about for board in stop.boards)
        if line.who == stop.by and (soon or line.result == late):
            return True
    return False


def _late(stop: carried.Carried) -> str:
    whole, part = divmod(stop.at, 1)
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(whole))
    return f"past the gateway, at {when}.{1000 * part:03.0f} UTC: {stop.result}"
