"""Gets messages to people: now, or in order as soon as they come.

A message is done when a front-end says that it has handed it over. What a front-end goes away with before
that is kept for the next one.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final, NamedTuple

from boardtalk.events import Delivery
from boardtalk.sdk import Code, Flag, Message, Refused, Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from boardtalk.hub.receipts import Receipts
    from boardtalk.hub.sessions import Session, Sessions
    from boardtalk.hub.statuses import Statuses
    from boardtalk.store import Store
    from boardtalk.store.records import Waiting

PAGE: Final = 250
"""Messages that waited for somebody and are handed over at once."""

LOOK_EVERY_S: Final = 1.0
"""Between two looks for what has expired."""
TURN_S: Final = 0.002
"""So long senders are told of it before others have their turn: after a sleep all has expired at once."""


class _UnderWay(NamedTuple):
    """A delivery that front-ends were given, and none has handed over yet."""

    delivery: Delivery
    held: bool
    """Whether the store keeps it too."""


class Handover:
    """Hands messages over, and keeps those that can't be."""

    def __init__(self, store: Store, sessions: Sessions, receipts: Receipts, statuses: Statuses) -> None:
        self._store = store
        self._sessions = sessions
        self._receipts = receipts
        self._statuses = statuses
        self._under_way: dict[int, _UnderWay] = {}
        """By identity of the delivery."""
        self._moved = asyncio.Event()
        """There is less under way, or somebody has caught up."""
        self._catching_up: dict[str | None, bool] = {}
        """To whom (None: the broker) is being handed over what waited, and whether more came to wait."""

    def deliver(self, user: str, message: Message, status: Status | None, replaces: int) -> None:
        """Hand a message to a user, or keep it until he comes.

        Args:
            user: its recipient, or a member of the group that is.
            message: as it left the chain.
            status: see `Delivery`, as for `replaces`.
            replaces: the row of another one.

        Raises:
            Refused: he is not there, and it is of no use later.
        """
        if self._catching_up and status is None and not _is_for_now(message) and self._is_late(user):
            self._store.hold(user, message)
        elif not self._hand(Delivery(user, message, time.time(), status, replaces), held=False):
            self._keep(user, message)

    def needs_to_catch_up(self, address: str | None) -> bool:
        """Note that somebody came; whether `catch_up` is to be started for him, or sees to it already."""
        begun = address in self._catching_up
        self._catching_up[address] = True
        return not begun

    async def catch_up(self, address: str | None) -> None:
        """Hand over what waited, and behind it what comes to wait meanwhile."""
        try:
            while self._catching_up[address]:
                self._catching_up[address] = False
                while page := await self._store.held(address, PAGE):
                    now = time.time()
                    deliveries = [Delivery(user, message, now, None, row) for user, message, row in page]
                    for delivery in deliveries:
                        if not self._hand(delivery, held=True):
                            return  # gone again: it waits on
                    while any(id(delivery) in self._under_way for delivery in deliveries):
                        self._moved.clear()
                        await self._moved.wait()
        finally:
            del self._catching_up[address]
            self._moved.set()

    async def caught_up(self) -> None:
        """Wait until everybody who came has what waited for him."""
        while self._catching_up:
            self._moved.clear()
            await self._moved.wait()

    async def expire(self) -> None:
        """Forget what nobody fetched in time, again and again, and have its senders told."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            while await self._expire(await self._store.outdated()):
                pass

    async def _expire(self, outdated: Sequence[Waiting]) -> bool:
        """Forget these, unless they leave just now; whether there were any."""
        leaving = {(each.delivery.recipient, each.delivery.message.row) for each in self._under_way.values()}
        expired = [(user, message) for user, message, _ in outdated if (user, message.row) not in leaving]
        began = time.monotonic()
        for user, message in expired:
            self._store.release(user, message)
            if not message.groupid:  # other members may have it
                self._statuses.refuse(message, Refused(Code.EXPIRED, f"{user} did not come in time"))
            if time.monotonic() - began > TURN_S:
                await asyncio.sleep(0)
                began = time.monotonic()
        return bool(expired)

    def done(self, delivery: Delivery) -> None:
        """Note that a front-end has handed a delivery over; the first one counts."""
        under_way = self._under_way.pop(id(delivery), None)
        if under_way is None:
            return
        self._receipts.handed_over(delivery.recipient, delivery.message)
        if under_way.held:
            self._store.release(delivery.recipient, delivery.message)
        self._moved.set()

    def take_back(self, session: Session) -> None:
        """Keep what a front-end went away with, unless another one has it too."""
        for number, delivery in session.open.items():
            if any(number in other.open for other in self._sessions.of(delivery.recipient)):
                continue
            if under_way := self._under_way.pop(number, None):
                self._keep_or_refuse(under_way)
        self._moved.set()

    def _is_late(self, user: str) -> bool:
        """Whether somebody gets what waited just now; then this waits behind it."""
        late = [key for key in (user, None) if key in self._catching_up]
        self._catching_up.update(dict.fromkeys(late, True))
        return bool(late)

    def _hand(self, delivery: Delivery, *, held: bool) -> bool:
        """Give a delivery to the front-ends of its recipient; whether there is one."""
        if not self._sessions.deliver(delivery):
            return False
        self._under_way[id(delivery)] = _UnderWay(delivery, held)
        return True

    def _keep(self, user: str, message: Message) -> None:
        """Keep a message until its recipient comes."""
        if message.to_online or message.flags & (Flag.TRANSIENT | Flag.PRESENCE):
            raise Refused(Code.OFFLINE, f"{user} is not online")
        if message.expiry == 0:
            raise Refused(Code.EXPIRED, f"{user} is not online, and the message was for now or never")
        self._store.hold(user, message)

    def _keep_or_refuse(self, under_way: _UnderWay) -> None:
        if under_way.held:
            return
        user, message = under_way.delivery.recipient, under_way.delivery.message
        try:
            self._keep(user, message)
        except Refused as refused:
            self._statuses.refuse(message, refused)


def _is_for_now(message: Message) -> bool:
    """Whether a message is of no use later."""
    return bool(message.to_online or message.expiry == 0 or message.flags & (Flag.TRANSIENT | Flag.PRESENCE))
