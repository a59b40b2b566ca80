"""Stops that went past the gateway, put into its audit: they need neither its store nor its attention."""

from __future__ import annotations

import asyncio
import re
import time
from typing import TYPE_CHECKING, Final

import structlog

from boardtalk.sdk import SYSTEM, carried, iso
from boardtalk.store.schema import StoreError

if TYPE_CHECKING:
    from pathlib import Path

    from boardtalk.store.records import AuditLine
    from boardtalk.store.store import Store

LOOK_EVERY_S: Final = 1.0
SETTLED_S: Final = 5.0
"""So long the gateway's own line about a stop may take, and so far its time may be from that of the stop."""

_NAME: Final = re.compile("[a-z0-9_-]+")

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
                    store.audit(stop.by, "stop", _target(stop), _late(stop))
        except (OSError, StoreError) as error:
            log.error("stops are missing in the audit", reason=str(error))


async def _is_there(store: Store, stop: carried.Carried) -> bool:
    lines = await store.audit_lines(None, carried.MAX_KEPT, f"{stop.by} stop ")
    mine = _target(stop), _late(stop)
    return any(
        line.who == stop.by and ((line.target, line.result) == mine or _is_same(line, stop)) for line in lines
    )


def _is_same(line: AuditLine, stop: carried.Carried) -> bool:
    """Whether this is what the gateway says of a press that went both ways."""
    named = set(_NAME.findall(f"{line.target} {line.result}"))
    covered = line.target == SYSTEM or (bool(stop.boards) and named.issuperset(stop.boards))
    return covered and abs(line.at - stop.at) < SETTLED_S


def _target(stop: carried.Carried) -> str:
    return ", ".join(stop.boards) or SYSTEM


def _late(stop: carried.Carried) -> str:
    return f"past the gateway, at {iso(stop.at)}: {stop.result}"
