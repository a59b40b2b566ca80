"""What goes over the lines of a test's gateway, for its report."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from boardtalk.modules.iot_bridge.cache import DictionaryCache
from boardtalk.modules.iot_bridge.dictionary import parse
from boardtalk.modules.iot_bridge.service import api
from boardtalk.modules.iot_bridge.sniff.decoder import Decoder
from boardtalk.sdk import ServiceError
from boardtalk.sdk.channel import Channel
from boardtalk.sdk.tasks import cancel_and_wait

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from boardtalk.modules.iot_bridge.sniff.decoder import Reading, Seen

KEPT: Final = 10_000
"""Pieces of traffic; some minutes of a busy line."""
RETRY_S: Final = 0.01
"""Between attempts to find the link process: its first frames are of interest."""


class Passed(NamedTuple):
    """A frame or text on a board's line."""

    board: str
    seen: Seen
    readings: tuple[Reading, ...]
    """The values, if it is telemetry."""


class Traffic:
    """Looks on at a gateway's link process, and at the next one when that dies; as an async context manager.

    Args:
        folder: the gateway's state folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._dictionaries = DictionaryCache(folder / "link" / "dictionaries")
        self._hashes: dict[str, str] = {}
        """Of the boards' dictionaries, by their names."""
        self._pieces: deque[api.Traffic] = deque(maxlen=KEPT)

    async def __aenter__(self) -> Self:
        self._looking = asyncio.create_task(self._look(), name="look at the lines")
        return self

    async def __aexit__(self, *_: object) -> None:
        await cancel_and_wait(self._looking)

    def passed(self) -> Iterator[Passed]:
        """All that is known so far, decoded."""
        pieces = list(self._pieces)  # at once: the rig's thread goes on
        decoders = {board: self._decoder(board) for board in {piece.board for piece in pieces}}
        for piece in pieces:
            decoder = decoders[piece.board]
            for seen in decoder.feed(piece.at, piece.down, piece.data):
                yield Passed(piece.board, seen, decoder.readings(seen))

    def _decoder(self, board: str) -> Decoder:
        """One that knows the board, even if its greeting was not seen."""
        text = self._dictionaries.read(bytes.fromhex(self._hashes.get(board, "")))
        return Decoder(parse(text) if text else None, self._dictionaries.read)

    async def _look(self) -> None:
        while True:
            try:
                channel: Channel[api.AnyAnswer] = await Channel.connect(
                    self.folder / api.SOCKET, api.AnyAnswer
                )
            except ServiceError:
                await asyncio.sleep(RETRY_S)
                continue
            try:
                channel.send(api.Tap(board=None, re=1))
                channel.send(api.ListBoards(re=2))
                async for answer in channel:
                    self._take(answer)
            except ServiceError:
                continue
            finally:
                channel.close()

    def _take(self, answer: api.AnyAnswer) -> None:
        match answer:
            case api.Traffic():
                self._pieces.append(answer)
            case api.Boards(boards=boards):
                self._hashes |= {board.name: board.dictionary for board in boards if board.dictionary}
            case api.Heard(event=api.BoardChanged(name=name, dictionary=dictionary)) if dictionary:
                self._hashes[name] = dictionary
