"""What modules have sent lately, so that statuses and replacements find back to it."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from boardtalk.sdk import Flag

if TYPE_CHECKING:
    from boardtalk.sdk import Message

MAX_REMEMBERED: Final = 10_000


class SentItems:
    """Of all modules, by senders and ids."""

    def __init__(self) -> None:
        self._items: OrderedDict[tuple[str, str], tuple[str, int]] = OrderedDict()
        """Instances and rows."""

    def add(self, instance: str, message: Message) -> None:
        """Remember one that has an id."""
        if message.id:
            self._items[message.sender, message.id] = instance, message.row
            if len(self._items) > MAX_REMEMBERED:
                self._items.popitem(last=False)

    def by(self, message: Message) -> str | None:
        """The instance that sent it, or None."""
        sent = self._items.get((message.sender, message.id)) if message.id else None
        return sent[0] if sent else None

    def row_replaced(self, message: Message) -> int:
        """The row of the message that this one replaces, or 0."""
        if not message.flags & Flag.REPLACES:
            return 0
        return self._items.get((message.sender, message.refid), ("", 0))[1]
