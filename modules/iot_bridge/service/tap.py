"""Who looks on at the lines of boards, and at what the gateway asks and is told."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from boardtalk.modules.iot_bridge.service import api
from boardtalk.sdk import ServiceError

if TYPE_CHECKING:
    from boardtalk.sdk.channel import Channel


class Taps:
    """The connections that look on. Nobody ever waits for them."""

    def __init__(self) -> None:
        self._channels: dict[Channel[api.AnyRequest], str | None] = {}

    def add(self, channel: Channel[api.AnyRequest], board: str | None) -> None:
        """Tell this one of a board's line; None: of everything."""
        self._channels[channel] = board

    def remove(self, channel: Channel[api.AnyRequest]) -> None:
        """Tell it no more."""
        self._channels.pop(channel, None)

    def traffic(self, board: str, *, down: bool, data: bytes) -> None:
        """Bytes that go over a board's line."""
        if self._channels:
            self._tell(api.Traffic(at=time.monotonic(), board=board, down=down, data=data), board)

    def asked(self, request: api.AnyRequest) -> None:
        """What the gateway asks."""
        if self._channels:
            self._tell(api.Asked(at=time.monotonic(), request=request), None)

    def heard(self, event: api.AnyEvent | api.Done | api.Refused | api.Stopped) -> None:
        """What the gateway is told."""
        if self._channels:
            self._tell(api.Heard(at=time.monotonic(), event=event), None)

    def _tell(self, what: api.AnyAnswer, board: str | None) -> None:
        for channel, wanted in list(self._channels.items()):
            if wanted not in {None, board}:
                continue
            try:
                channel.send(what)
            except ServiceError:  # it does not read
                self.remove(channel)
