"""What the link process said then, in its place."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from boardtalk.hil.record.entries import Dictionary, Link
from boardtalk.modules.iot_bridge.errors import LinkError
from boardtalk.modules.iot_bridge.service import api

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from boardtalk.hil.record.entries import AnyEntry


class RecordedLink:
    """Stands in for `LinkClient`: notes what is asked, and tells what was told, when it was.

    Args:
        entries: of the recording.
        note: is given each request.
    """

    pid = 0

    def __init__(self, entries: Iterable[AnyEntry], note: Callable[[api.Asked], object]) -> None:
        self._note = note
        self._events: asyncio.Queue[api.AnyAnswer] = asyncio.Queue()
        self._heard: list[tuple[float, api.AnyAnswer]] = []
        self._answers: dict[str, deque[tuple[float, api.AnyAnswer]]] = defaultdict(deque)
        """To requests to re-arm, by board."""
        self._dictionaries: dict[str, bytes] = {}
        first: dict[str, api.BoardChanged] = {}
        asked: dict[int, api.Rearm] = {}
        for entry in entries:
            match entry:
                case Dictionary(hash_, text):
                    self._dictionaries[hash_] = text.encode()
                case Link(api.Asked(request=api.Rearm() as request)):
                    asked[request.re] = request
                case Link(api.Heard(at=at, event=api.Done() | api.Refused() as answer)):
                    if (question := asked.pop(answer.re, None)) is not None:
                        self._answers[question.board].append((at, answer))
                case Link(api.Heard(at=at, event=api.Stopped())):
                    pass  # who stops waits for it; the bridge hears of the boards
                case Link(api.Heard(at=at, event=event)):
                    if isinstance(event, api.BoardChanged) and event.name not in first and not self._heard:
                        first[event.name] = event
                    else:
                        self._heard.append((at, event))
        self.boards = tuple(first.values())
        self._known = {board.name: board.dictionary for board in self.boards}

    def inputs(self) -> list[tuple[float, Callable[[], object]]]:
        """What is told, when."""
        return [(at, partial(self._tell, event)) for at, event in self._heard]

    def _tell(self, event: api.AnyAnswer) -> None:
        if isinstance(event, api.BoardChanged) and event.dictionary:
            self._known[event.name] = event.dictionary
        self._events.put_nowait(event)

    # The interface of `LinkClient` ----------------------------------------------------------------

    async def start(self, *_: object, **__: object) -> Self:
        """It runs already."""
        return self

    async def close(self, **_: object) -> None:
        """Nothing to end."""

    async def events(self) -> AsyncIterator[api.AnyAnswer]:
        """What was told."""
        while True:
            yield await self._events.get()

    def command(self, command: api.Command) -> None:
        """Note it."""
        self._ask(command)

    def renew(self, board: str, id_: int, lease_ms: int) -> None:
        """Note it."""
        self._ask(api.Renew(board=board, id=id_, lease_ms=lease_ms))

    def cancel(self, board: str, id_: int) -> None:
        """Note it."""
        self._ask(api.Cancel(board=board, id=id_))

    def set_point(self, board: str, index: int, lease_ms: int, values: bytes) -> None:
        """Note it."""
        self._ask(api.SetPoint(board=board, index=index, lease_ms=lease_ms, values=values))

    async def rearm(self, board: str, by: str) -> None:
        """Note it; the board agrees if it did then."""
        self._ask(api.Rearm(board=board, by=by))
        if not self._answers[board]:
            raise LinkError("nobody asked for that when this was recorded")
        at, answer = self._answers[board].popleft()
        await asyncio.sleep(max(0.0, at - asyncio.get_running_loop().time()))
        if isinstance(answer, api.Refused):
            raise LinkError(answer.reason)

    async def dictionary(self, board: str) -> bytes:
        """As it was."""
        text = self._dictionaries.get(self._known.get(board, ""))
        if text is None:
            raise LinkError(f"the dictionary of {board} is not in the recording")
        return text

    def _ask(self, request: Any) -> None:
        self._note(api.Asked(at=asyncio.get_running_loop().time(), request=request))
