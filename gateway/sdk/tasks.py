"""Tasks that are ended, and waited for, together."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable


async def cancel_and_wait(*tasks: asyncio.Future[Any]) -> list[Any]:
    """Cancel tasks and wait until they have ended; what each returned or raised."""
    for task in tasks:
        task.cancel()
    return await asyncio.gather(*tasks, return_exceptions=True)


async def first_of(*works: Awaitable[object]) -> None:
    """Wait until one of them ends, which ends the others too; raises what it raised."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        await cancel_and_wait(*tasks)
