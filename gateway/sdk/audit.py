"""Who changed which board, for the gateway's audit: told by whichever process does it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final

import msgspec

from boardtalk.sdk.channel import Channel
from boardtalk.sdk.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

PATIENCE_S: Final = 1.0
"""Longest that somebody waits until the end of his attempt is noted: the gateway may hang."""


class Attempt(msgspec.Struct, tag_field="op", tag="attempt"):
    """On ``control.sock``, instead of a login: somebody changes a board, as long as the connection lasts."""

    who: str
    what: str
    """Such as ``flash write``."""
    target: str
    """A robot, or a port."""
    about: str = ""
    """What it shall get; "": it was not begun."""


class Outcome(msgspec.Struct, tag_field="op", tag="outcome"):
    """Behind an `Attempt`: how it ended. Answered by `Noted`."""

    result: str


class Noted(msgspec.Struct, tag="noted"):
    """The gateway has it, and writes it with what else is to be written."""


class Entry:
    """What will be in the audit of an attempt."""

    result = ""
    """How it ended; without it, what was raised tells."""


@asynccontextmanager
async def audited(state: Path, attempt: Attempt) -> AsyncIterator[Entry]:
    """Have an attempt in the audit: now that it begins, and at the end of the context how it ended.

    Without a gateway there is no audit, and nothing is noted. If this process is killed the gateway says so.

    Args:
        state: the gateway's state folder.
        attempt: what is done.
    """
    entry = Entry()
    channel = await _begun(state, attempt)
    try:
        yield entry
    except Exception as error:
        entry.result = entry.result or f"{attempt.about}: FAILED: {error}"
        raise
    except BaseException:
        entry.result = entry.result or f"{attempt.about}: broken off"
        raise
    finally:
        with suppress(ServiceError, TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                await _ended(state, channel, attempt, Outcome(entry.result or f"{attempt.about}: done"))


async def _begun(state: Path, attempt: Attempt) -> Channel[Noted] | None:
    try:
        channel: Channel[Noted] = await Channel.connect(state / "control.sock", Noted)
    except ServiceError:
        return None
    channel.send(attempt)
    return channel


async def _ended(state: Path, channel: Channel[Noted] | None, attempt: Attempt, outcome: Outcome) -> None:
    """Tell the gateway, or the one that runs in its place by now."""
    if channel is not None and await _noted(channel, outcome):
        return
    channel = await _begun(state, attempt)
    if channel is not None:
        await _noted(channel, outcome)


async def _noted(channel: Channel[Noted], outcome: Outcome) -> bool:
    try:
        channel.send(outcome)
        return await channel.receive() is not None
    except ServiceError:
        return False
    finally:
        channel.close()
