"""What a module instance keeps across restarts: a mapping that is also in the store."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from boardtalk.store.store import Store

MAX_KEY_CHARS: Final = 256
MAX_VALUE_BYTES: Final = 64 * 1024
MAX_BYTES: Final = 4 << 20
"""Of one instance, keys and values together: all of it is in memory."""


class Notes(MutableMapping[str, Any]):
    """Keys are texts, values whatever JSON can say. A change is on disk a moment later."""

    def __init__(self, store: Store, instance: str, kept: dict[str, bytes]) -> None:
        self._store = store
        self._instance = instance
        self._kept = kept
        self._bytes = sum(len(key) + len(value) for key, value in kept.items())

    @classmethod
    async def load(cls, store: Store, instance: str) -> Notes:
        """What an instance of this name has kept."""
        return cls(store, instance, await store.notes(instance))

    def __getitem__(self, key: str) -> Any:
        """A value, as a copy of its own."""
        return msgspec.json.decode(self._kept[key])

    def __setitem__(self, key: str, value: Any) -> None:
        """Keep a value.

        Raises:
            TypeError: JSON can't say it.
            ValueError: it, its key, or all together are too long.
        """
        data = msgspec.json.encode(value)
        if len(key) > MAX_KEY_CHARS or len(data) > MAX_VALUE_BYTES:
            raise ValueError(
                f"{key[:40]!r}: keys have at most {MAX_KEY_CHARS} characters, values {MAX_VALUE_BYTES} bytes"
            )
        grown = self._bytes + len(key) + len(data) - self._size(key)
        if grown > MAX_BYTES:
            raise ValueError(f"{key!r}: no room; an instance keeps at most {MAX_BYTES} bytes")
        self._bytes = grown
        self._kept[key] = data
        self._store.note(self._instance, key, data)

    def __delitem__(self, key: str) -> None:
        self._bytes -= self._size(key)
        del self._kept[key]
        self._store.note(self._instance, key, None)

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._kept))

    def __len__(self) -> int:
        return len(self._kept)

    def _size(self, key: str) -> int:
        return len(key) + len(self._kept[key]) if key in self._kept else 0
