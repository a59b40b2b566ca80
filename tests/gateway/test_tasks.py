"""Tasks that are ended, and waited for, together."""

from __future__ import annotations

import asyncio

import pytest

from boardtalk.sdk.tasks import cancel_and_wait, first_of


async def test_who_is_cancelled_while_others_are_waited_for_is_cancelled_when_they_have_ended() -> None:
    asked, never = asyncio.Event(), asyncio.Event()

    async def slow_to_end() -> None:
        try:
            await never.wait()
        finally:
            asked.set()
            await never.wait()

    slow = asyncio.create_task(slow_to_end())
    await asyncio.sleep(0)
    waiting = asyncio.create_task(cancel_and_wait(slow))
    await asked.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert slow.done()


async def test_the_first_that_ends_ends_the_others_and_its_error_is_raised() -> None:
    async def fails() -> None:
        raise ValueError("of the first")

    other = asyncio.create_task(asyncio.Event().wait())
    with pytest.raises(ValueError, match="of the first"):
        await first_of(other, fails())
    assert other.cancelled()
