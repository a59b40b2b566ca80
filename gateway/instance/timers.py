"""Timers of a module instance: calls after a time, or again and again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


async def after(
    seconds: float, call: Callable[[], Awaitable[None] | None], failed: Callable[[BaseException], Any]
) -> None:
    """Call once. What the call raises goes to `failed`."""
    await asyncio.sleep(seconds)
    await _called(call, failed)


async def every(
    seconds: float, call: Callable[[], Awaitable[None] | None], failed: Callable[[BaseException], Any]
) -> None:
    """Call for ever, first after `seconds`; never again before the last call has ended.

    Calls keep to the beat of the first one; beats that a long call slept through are left out.
    """
    loop = asyncio.get_running_loop()
    beat = loop.time()
    while True:
        beat += seconds * max(1, -((beat - loop.time()) // seconds))
        await asyncio.sleep(max(0.0, beat - loop.time()))
        await _called(call, failed)


async def _called(call: Callable[[], Awaitable[None] | None], failed: Callable[[BaseException], Any]) -> None:
    try:
        result = call()
        if result is not None:
            await result
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a module's failure is its own
        failed(error)
