"""Who looks on at a board's line."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from boardtalk.modules.iot_bridge.service import api
from boardtalk.sdk import ServiceError

if TYPE_CHECKING:
    from boardtalk.sdk.channel import Channel


class Taps:
    """The connections that are told what goes over one board's line. Nobody ever waits for them."""

    def __init__(self) -> None:
        self._channels: list[Channel[api.AnyRequest]] = []

    def add(self, channel: Channel[api.AnyRequest]) -> None:
        """Tell this one too."""
        if channel not in self._channels:
            self._channels.append(channel)

    def remove(self, channel: Channel[api.AnyRequest]) -> None:
        """Don't any more."""
        if channel in self._channels:
            self._channels.remove(channel)

    def put(self, *, down: bool, data: bytes) -> None:
        """Tell all of some bytes; who does not read is cut off, and told no more."""
        if not self._channels:
            return
        traffic = api.Traffic(at=time.time(), down=down, data=data)
        for channel in list(self._channels):
            try:
                channel.send(traffic)
            except ServiceError:
                self.remove(channel)
