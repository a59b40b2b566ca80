"""Who updates which board, and what they say to each other: passed through, not looked into."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from boardtalk.modules.iot_bridge.errors import LinkError
from boardtalk.modules.iot_bridge.service import api
from boardtalk.sdk import ServiceError

if TYPE_CHECKING:
    from boardtalk.modules.iot_bridge.device import Device
    from boardtalk.modules.iot_bridge.service.board import Board
    from boardtalk.sdk.channel import Channel

log = logging.getLogger(__name__)


class _Update(NamedTuple):
    board: Board
    device: Device
    """The session in which it began."""


class Updates:
    """One update per connection, and per board, and at most as long as a session."""

    def __init__(self) -> None:
        self._updates: dict[Channel[api.AnyRequest], _Update] = {}

    def begin(self, channel: Channel[api.AnyRequest], board: Board, by: str) -> api.Updating:
        """Let a connection update a board.

        Raises:
            LinkError: it is away, or somebody else does.
        """
        if any(update.board is board for other, update in self._updates.items() if other is not channel):
            raise LinkError(f"{board.name} is being updated already")
        if board.device is None:
            raise LinkError(f"{board.name} is offline: {board.describe().detail}")

        def tell(data: bytes) -> None:
            with suppress(ServiceError):  # it has gone away, and `end` comes next
                channel.send(api.UpdateTold(data=data))

        board.device.on_update = tell
        self._updates[channel] = _Update(board, board.device)
        log.info("%s: %s", board.name, by)
        piece_bytes = board.device.piece_bytes
        return api.Updating(uid=board.uid, latched=board.latched, piece_bytes=piece_bytes)

    async def step(self, channel: Channel[api.AnyRequest], request: api.UpdateStep) -> api.Done:
        """Pass on a step, or data; returns when the board has it.

        Raises:
            LinkError: no update has begun, or the board has gone since.
        """
        if channel not in self._updates:
            raise LinkError("no update has begun on this connection")
        if bool(request.step) == bool(request.data) or len(request.data) > api.MAX_UPDATE_BYTES:
            raise LinkError(f"one of step and data, and of these up to {api.MAX_UPDATE_BYTES} bytes")
        await self._updates[channel].device.update(request.step, request.data)
        return api.Done()

    def end(self, channel: Channel[api.AnyRequest]) -> None:
        """A connection has ended."""
        update = self._updates.pop(channel, None)
        if update is not None:
            update.device.on_update = None
