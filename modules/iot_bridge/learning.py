"""Learns a board's dictionary, from the cache or piece by piece from the board."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from boardtalk.modules.iot_bridge import frames
from boardtalk.modules.iot_bridge.dictionary import MAX_BYTES, digest
from boardtalk.modules.iot_bridge.errors import DictionaryError

if TYPE_CHECKING:
    from collections.abc import Callable

    from boardtalk.modules.iot_bridge.cache import DictionaryCache
    from boardtalk.modules.iot_bridge.payloads import Piece

TIMEOUT_S: Final = 10.0


class Learning:
    """Of one board.

    Args:
        port: where it is, for people.
        cache: where dictionaries are kept by hash.
        ask: sends the board a `frames.DictionaryGet`.
    """

    def __init__(self, port: str, cache: DictionaryCache, ask: Callable[[bytes], object]) -> None:
        self._port = port
        self._cache = cache
        self._ask = ask
        self._pieces: asyncio.Queue[Piece] = asyncio.Queue(1)

    def take(self, piece: Piece) -> None:
        """The board's answer; a second one that nobody has asked for is nothing."""
        with suppress(asyncio.QueueFull):
            self._pieces.put_nowait(piece)

    async def text(self, wanted: bytes) -> bytes:
        """The dictionary of this hash.

        Raises:
            DictionaryError: the board does not tell it, or tells another one.
            SessionLost: the board went away.
        """
        text = await self._cache.get(wanted)
        if text is not None:
            return text
        try:
            async with asyncio.timeout(TIMEOUT_S):
                text = await self._fetch()
        except TimeoutError as error:
            raise DictionaryError(f"{self._port}: the board does not tell what it can do") from error
        if digest(text) != wanted:
            raise DictionaryError(f"{self._port}: the board's dictionary does not have its hash")
        await self._cache.put(wanted, text)
        return text

    async def _fetch(self) -> bytes:
        text = bytearray()
        while True:
            self._ask(frames.DictionaryGet.build({"offset": len(text)}))
            piece = await self._pieces.get()
            if piece.total > MAX_BYTES:
                raise DictionaryError(
                    f"{self._port}: a dictionary of {piece.total} bytes; {MAX_BYTES} are allowed"
                )
            if piece.offset == len(text):
                text += piece.data
            if len(text) >= piece.total or not piece.data:
                return bytes(text)
