"""Tells senders who has got their messages, and who has read them."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

import msgspec

from boardtalk.sdk import Code, Flag, Kind, Message, State, Status

if TYPE_CHECKING:
    from boardtalk.hub.statuses import Statuses
    from boardtalk.people.directory import Directory
    from boardtalk.store.store import Store

DELIVERED: Final = Status(code=Code.DELIVERED, state=State.DONE)
MAX_REMEMBERED: Final = 10_000
"""Messages to groups of which somebody has a copy."""


class Receipts:
    """Makes statuses of what front-ends say of deliveries."""

    def __init__(self, store: Store, directory: Directory, statuses: Statuses) -> None:
        self._store = store
        self._directory = directory
        self._statuses = statuses
        self._told: OrderedDict[tuple[str, str, int], None] = OrderedDict()
        self._one_at_a_time = asyncio.Lock()

    def handed_over(self, recipient: str, message: Message) -> None:
        """Tell that a message has arrived: in a group once, or of each member if that was asked for."""
        if not message.groupid:
            self._statuses.tell(message, DELIVERED)
        elif message.flags & Flag.DELIVERY_RECEIPT:
            self._statuses.tell(message, msgspec.structs.replace(DELIVERED, detail=f"{recipient} has it"))
        elif (key := (message.sender, message.id, message.row)) not in self._told:
            self._told[key] = None
            if len(self._told) > MAX_REMEMBERED:
                self._told.popitem(last=False)
            self._statuses.tell(message, DELIVERED)

    async def read(self, reader: str, sender: str, message_id: str) -> Message | None:
        """Take it that somebody has read a message: its sender is told, once, if he asked for that.

        Returns the message, if he was told.
        """
        detail = f"{reader} has read it"
        async with self._one_at_a_time:  # or two devices that say the same would both be heard
            message = await self._store.receipt_due(sender, message_id, detail)
            if message and reader in self._readers(message.to):
                self._statuses.tell(message, Status(code=Code.DONE, state=State.READ, detail=detail))
                return message
        return None

    def _readers(self, address: str) -> tuple[str, ...]:
        is_group = self._directory.kind(address) is Kind.GROUP
        return self._directory.members(address) if is_group else (address,)
