"""What waits to be sent to a browser. One that does not read is cut off: it must not fill our memory."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from starlette.websockets import WebSocket

MAX_BYTES: Final = 1 << 20
READ_WITHIN_S: Final = 10.0

_encoder = msgspec.json.Encoder()


class TooSlow(Exception):
    """The browser does not read what it gets."""


class Outgoing:
    """The way to one browser."""

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket
        self._texts: deque[bytes] = deque()
        self._bytes = 0
        self._wake = asyncio.Event()

    def put(self, value: msgspec.Struct) -> None:
        """Queue something; never waits.

        Raises:
            TooSlow: too much waits already.
        """
        text = _encoder.encode(value)
        if self._texts and self._bytes + len(text) > MAX_BYTES:
            raise TooSlow(f"{self._bytes:,} bytes unread")
        self._texts.append(text)
        self._bytes += len(text)
        self._wake.set()

    async def run(self) -> None:
        """Send it, on and on.

        Raises:
            TooSlow: the browser took none for 10 s.
        """
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._texts:
                text = self._texts.popleft()
                try:
                    async with asyncio.timeout(READ_WITHIN_S):
                        await self._websocket.send_text(text.decode())
                except TimeoutError:
                    raise TooSlow(f"nothing read for {READ_WITHIN_S:g} s") from None
                self._bytes -= len(text)
