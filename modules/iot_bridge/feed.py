"""A bounded queue between a writer that must not wait and one reader."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

FEED_ITEMS: Final = 2000
"""What may wait for a reader that is busy; the reader's normal backlog is below ten."""

T = TypeVar("T")


class Feed(Generic[T]):
    """Items for one reader, in order. When full, the oldest is dropped."""

    def __init__(self, size: int = FEED_ITEMS) -> None:
        self._items: deque[T] = deque(maxlen=size)
        self._news = asyncio.Event()
        self._end: Exception | None = None
        self._closed = False

    def put(self, item: T) -> None:
        """Add an item; after `close` it is ignored."""
        if not self._closed:
            self._items.append(item)
            self._news.set()

    def close(self, error: Exception | None = None) -> None:
        """No more items; the reader gets what is left, then `error`."""
        if not self._closed:
            self._closed, self._end = True, error
            self._news.set()

    async def __aiter__(self) -> AsyncIterator[T]:
        """All items. Raises what `close` was given."""
        while True:
            while self._items:
                yield self._items.popleft()
            if self._closed:
                break
            self._news.clear()
            await self._news.wait()
        if self._end is not None:
            raise self._end
