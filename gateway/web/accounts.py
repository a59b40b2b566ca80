"""Who is no longer who he was when he logged in: the gateway tells."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from boardtalk.frontends import control
from boardtalk.sdk import ServiceError
from boardtalk.sdk.channel import Channel

if TYPE_CHECKING:
    from pathlib import Path

    from boardtalk.web.sessions import Sessions

AGAIN_S: Final = 0.5
"""Until a gateway that is away is looked for again."""


async def watch(folder: Path, sessions: Sessions) -> None:
    """End sessions of those who are no longer who they were, as long as this process lives."""
    while True:
        with suppress(ServiceError):  # it is away, and tells when it is back
            await _watch(folder, sessions)
        await asyncio.sleep(AGAIN_S)


async def _watch(folder: Path, sessions: Sessions) -> None:
    channel: Channel[control.Reply] = await Channel.connect(folder / control.SOCKET, control.Reply)
    try:
        channel.send(control.Accounts())
        async for reply in channel:
            if isinstance(reply, control.Stamps):
                sessions.stamps = reply.stamps
                sessions.sweep()
    finally:
        channel.close()
