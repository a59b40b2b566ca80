"""File descriptors: enough of them, and what happens when there are none left all the same."""

from __future__ import annotations

import asyncio
import errno
import resource
import time
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

ENOUGH: Final = 65_536
"""What this process starts has the same limit, and there are programs that make a table that large."""
AGAIN_S: Final = 60.0
"""So often it is told."""


def take_enough(warn: Callable[[str], object]) -> None:
    """Let this process open 65,536, or as many as it may, and tell in a line when they are used up.

    The usual 1,024 are for programs with `select`. asyncio tells each attempt to take somebody in, a hundred
    times a second with a traceback, which fills a disk.

    Args:
        warn: logs a warning.
    """
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = ENOUGH if most == resource.RLIM_INFINITY else min(most, ENOUGH)
    if now != resource.RLIM_INFINITY and now < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
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
