"""Ids and groups have names here and numbers in C.

A message from outside has the low half of its row as number. One that the module sends has the number that
the module chose, and is called ``INSTANCE:NUMBER.SINCE.COUNT``. Modules that draw numbers by ``rand()`` draw
the same ones each time that they start; what had an id a second time would be left out of the history.
"""

from __future__ import annotations

import itertools
import time
import zlib
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from boardtalk.sdk import Kind

if TYPE_CHECKING:
    from boardtalk.sdk import Contact, Context, Message

REMEMBERED: Final = 4096
LOW_HALF: Final = 0xFFFF_FFFF
UNSTORED: Final = 0x8000_0000
"""Numbers of messages that are stored nowhere begin here."""
FRESH_S: Final = 5.0
"""Whether an address is a group's is asked again after so long."""


class Names:
    """What stands for what, for one instance."""

    def __init__(self, context: Context) -> None:
        self._prefix = f"{context.instance}:"
        self._context = context
        self._since = int(time.time())
        self._count = itertools.count()
        self._unstored = itertools.count(UNSTORED)
        self._sent: OrderedDict[int, str] = OrderedDict()
        self._ids: OrderedDict[int, str] = OrderedDict()
        self._numbers: OrderedDict[str, int] = OrderedDict()
        self._groups: dict[str, tuple[int, float]] = {}

    def number(self, message: Message) -> int:
        """Of a message on its way, which is remembered."""
        number = message.row & LOW_HALF or next(self._unstored)
        self._ids[number] = message.id
        if message.id:
            self._numbers[message.id] = number
            if len(self._numbers) > REMEMBERED:
                self._numbers.popitem(last=False)
        if len(self._ids) > REMEMBERED:
            self._ids.popitem(last=False)
        return number

    def known(self, id_: str) -> int:
        """Of a message that another one refers to; 0: it is none that this module saw or sent."""
        if id_.startswith(self._prefix):
            own = id_.removeprefix(self._prefix).partition(".")[0]
            return int(own) if own.isdecimal() else 0
        return self._numbers.get(id_, 0)

    def sent(self, number: int) -> str:
        """The id of a message that the module sends; none without a number."""
        number &= LOW_HALF
        if not number:
            return ""
        id_ = self._sent[number] = f"{self._prefix}{number}.{self._since:x}.{next(self._count):x}"
        if len(self._sent) > REMEMBERED:
            self._sent.popitem(last=False)
        return id_

    def referred(self, number: int) -> str:
        """The id of the message that the module refers to: one that it saw, or sent."""
        seen = self._ids.get(number)
        return self._sent.get(number, "") if seen is None else seen

    def group(self, address: str) -> int:
        """The number of a group; 0: it is none."""
        number, until = self._groups.get(address, (0, 0.0))
        if time.monotonic() < until:
            return number
        if len(self._groups) > REMEMBERED:
            self._groups.clear()
        number = _number_of(self._context.contact(address))
        self._groups[address] = (number, time.monotonic() + FRESH_S)
        return number

    def group_of(self, number: int) -> str:
        """The address of the group with a number.

        Raises:
            ValueError: there is none.
        """
        for address, (known, _) in list(self._groups.items()):
            if known == number:
                return address
        for contact in self._context.contacts():
            if _number_of(contact) == number:
                return contact.address
        raise ValueError(f"there is no group {number}")


def _number_of(contact: Contact | None) -> int:
    if contact is None or contact.kind is not Kind.GROUP:
        return 0
    return zlib.crc32(contact.address.encode()) or 1
