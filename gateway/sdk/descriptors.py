"""File descriptors: as many as the system allows, and what happens when there are none left."""

from __future__ import annotations

import asyncio
import errno
import resource
import time
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

AGAIN_S: Final = 60.0
"""So often it is told."""


def take_all(warn: Callable[[str], object]) -> None:
    """Let this process open as many as it may, and tell in a line when that is not enough.

    The usual 1,024 are for programs with `select`. asyncio tells each attempt to take somebody in, a hundred
    times a second with a traceback, which fills a disk.

    Args:
        warn: logs a warning.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    told = -AGAIN_S

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        nonlocal told
        error = context.get("exception")
        if not isinstance(error, OSError) or error.errno not in {errno.EMFILE, errno.ENFILE}:
            loop.default_exception_handler(context)
        elif time.monotonic() - told >= AGAIN_S:
            told = time.monotonic()
            warn("no file descriptors are left: who comes now waits until somebody leaves")

    asyncio.get_running_loop().set_exception_handler(handle)
