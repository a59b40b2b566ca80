"""Gets messages to people: now, or in order as soon as they come.

A message is done when a front-end says that it has handed it over. What a front-end goes away with before
that is kept for the next one.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

import structlog

from boardtalk.events import Delivery
from boardtalk.hub.behind import Behind
from boardtalk.sdk import Code, Flag, Message, Refused, Status
from boardtalk.store.schema import StoreError

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator, Sequence

    from boardtalk.hub.receipts import Receipts
    from boardtalk.hub.sessions import Session, Sessions
    from boardtalk.hub.statuses import Statuses
    from boardtalk.store.store import Store

PAGE: Final = 250
"""Messages that waited for somebody and are handed over at once."""
PATIENCE_S: Final = 5.0
"""If the disk, or a front-end, needs longer for a page, what is behind it is not kept waiting."""
LOOK_EVERY_S: Final = 1.0
"""Between two looks for what has expired."""
TURN_S: Final = 0.002
"""So long senders are told of it before others have their turn: after a sleep all has expired at once."""

T = TypeVar("T")

log = structlog.get_logger()


class _UnderWay(NamedTuple):
    """A delivery that front-ends were given, and none has handed over yet."""

    delivery: Delivery
    held: bool
    """Whether the store keeps it too."""
    late: bool = False
    """Whether it was behind what waited, and does not wait itself."""


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
        """There is less under way."""
        self._awaited: set[str] | None = None
        """For whom something has been kept in the store; None: nobody knows for whom."""
        self._catching_up: dict[str | None, bool] = {}
        """To whom (None: the broker) is being handed over what waited, and whether more may wait now."""
        self._behind = Behind()
        self._gone: list[set[tuple[str, int]]] = []
        """Recipients and rows of what was handed over while the store was read, for each who reads."""

    async def find(self) -> None:
        """Look for whom the last gateway kept something."""
        try:
            self._awaited = await self._store.recipients()
        except StoreError as error:  # what can be read of it is found when somebody comes
            log.error("damaged, or the disk refuses", error=str(error))

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
        delivery = Delivery(user, message, time.time(), status, replaces)
        if self._catching_up and self._is_late(user):
            self._put_behind(delivery)
        elif not self._hand(delivery, held=False):
            self._keep(delivery)

    def needs_to_catch_up(self, address: str | None) -> bool:
        """Note that somebody came; whether `catch_up` is to be started for him, or sees to it already."""
        waits = self._awaited is None or (address in self._awaited if address else bool(self._awaited))
        if not waits and address not in self._behind.users:
            return False
        begun = address in self._catching_up
        self._catching_up[address] = True
        return not begun

    async def catch_up(self, address: str | None) -> None:
        """Hand over what waited, and behind it what came meanwhile."""
        try:
            while True:
                with self._reading() as gone:
                    found = await self._patiently(address, self._waiting(address, gone))
                if not found and not self._catching_up[address]:
                    return
                page = self._once(found, gone)
                for delivery in page:
                    if not self._hand(delivery, held=True):
                        return  # gone again: it waits on
                await self._patiently(address, self._handed_over(page))
        finally:
            del self._catching_up[address]
            self._hand_behind(address)

    async def expire(self) -> None:
        """Forget what nobody fetched in time, again and again, and have its senders told."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            while await self._expire():
                pass

    async def _expire(self) -> bool:
        """Forget some of it, unless it leaves just now; whether there was any."""
        with self._reading() as gone:
            outdated = await self._store.outdated(len(self._under_way))
        leaving = gone | {_place(each.delivery) for each in self._under_way.values()}
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
            for gone in self._gone:
                gone.add(_place(delivery))
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
        """Whether somebody gets what waited just now.

        Nothing that waits for a broker is for who is there by himself: he has caught up already.
        """
        return user in self._catching_up or (None in self._catching_up and not self._sessions.has(user))

    def _put_behind(self, delivery: Delivery) -> None:
        """Keep a delivery until its recipient has what waited for him.

        If there is no room, what is stored comes from there, without statuses, and the rest not at all.
        """
        user, message = delivery.recipient, delivery.message
        if not _is_for_now(message):
            self._hold(delivery)
        if self._behind.add(delivery):
            return
        if _is_for_now(message):
            raise _too_early(user)
        for each in self._behind.take(user):
            self._leave_out(each)
        self._catching_up.update(dict.fromkeys(self._catching_up, True))

    def _hand_behind(self, address: str | None) -> None:
        """Hand over what is behind, but not to those whom another `catch_up` serves."""
        for user in [address] if address else self._behind.users - self._catching_up.keys():
            for delivery in self._behind.take(user):
                expiry = delivery.message.expiry
                is_over = expiry and delivery.at + expiry <= time.time()
                held = not _is_for_now(delivery.message)
                if is_over or not self._hand(delivery, held=held, late=True):
                    self._leave_out(delivery)

    def _leave_out(self, delivery: Delivery) -> None:
        """Go without a delivery that was behind; if it is stored, it waits on, or expires."""
        message = delivery.message
        if _is_for_now(message) and not message.groupid:  # other members may have it
            self._statuses.refuse(message, _too_early(delivery.recipient))

    async def _waiting(self, address: str | None, gone: set[tuple[str, int]]) -> list[Delivery]:
        """The next page of what waited; an empty one at the end."""
        while True:
            self._catching_up[address] = False
            count = PAGE + len(self._late_rows()) + len(self._behind.rows)
            found = await self._store.held(address, count)
            late = gone | self._late_rows() | self._behind.rows
            now = time.time()
            page = [
                Delivery(user, message, now, None, row)
                for user, message, row in found
                if (user, message.row) not in late
            ]
            if page or len(found) < count:
                return page

    def _once(self, found: Sequence[Delivery], gone: set[tuple[str, int]]) -> list[Delivery]:
        """A page without what is gone; of what a broker has already, or a person, the same deliveries."""
        known = {_place(each.delivery): each.delivery for each in self._under_way.values() if each.held}
        return [known.get(_place(each), each) for each in found if _place(each) not in gone]

    @contextmanager
    def _reading(self) -> Iterator[set[tuple[str, int]]]:
        """Note what is handed over while the store is read: it may be found there all the same."""
        gone: set[tuple[str, int]] = set()
        self._gone.append(gone)
        try:
            yield gone
        finally:
            self._gone[:] = [each for each in self._gone if each is not gone]

    def _late_rows(self) -> set[tuple[str, int]]:
        """Recipients and rows of what was behind, and is under way now."""
        return {_place(each.delivery) for each in self._under_way.values() if each.late}

    async def _handed_over(self, page: Sequence[Delivery]) -> None:
        """Wait until front-ends have handed all of them over, or went away with them."""
        while any(id(delivery) in self._under_way for delivery in page):
            self._moved.clear()
            await self._moved.wait()

    async def _patiently(self, address: str | None, work: Coroutine[None, None, T]) -> T:
        """Wait for something; what is behind does not wait longer than `PATIENCE_S`."""
        task = asyncio.create_task(work, name=f"what waited for {address or 'all'}")
        try:
            while not (await asyncio.wait([task], timeout=PATIENCE_S))[0]:
                self._hand_behind(address)
            return task.result()
        finally:
            task.cancel()

    def _hand(self, delivery: Delivery, *, held: bool, late: bool = False) -> bool:
        """Give a delivery to the front-ends of its recipient; whether there is one."""
        if not self._sessions.deliver(delivery):
            return False
        self._under_way[id(delivery)] = _UnderWay(delivery, held, late)
        return True

    def _keep(self, delivery: Delivery) -> None:
        """Keep a message until its recipient comes."""
        user, message = delivery.recipient, delivery.message
        if message.expiry == 0 and not message.to_online and not _passes(message):
            raise Refused(Code.EXPIRED, f"{user} is not online, and the message was for now or never")
        if _is_for_now(message):
            raise Refused(Code.OFFLINE, f"{user} is not online")
        self._hold(delivery)

    def _hold(self, delivery: Delivery) -> None:
        """Keep a message in the store; its time runs since it was to be handed over first."""
        if self._awaited is not None:
            self._awaited.add(delivery.recipient)
        self._store.hold(delivery.recipient, delivery.message, delivery.at)

    def _keep_or_refuse(self, under_way: _UnderWay) -> None:
        if under_way.held:
            return
        message = under_way.delivery.message
        try:
            self._keep(under_way.delivery)
        except Refused as refused:
            if not message.groupid:  # other members may have it
                self._statuses.refuse(message, refused)


def _place(delivery: Delivery) -> tuple[str, int]:
    """In the store: recipient and row."""
    return delivery.recipient, delivery.message.row


def _is_for_now(message: Message) -> bool:
    """Whether a message is of no use later."""
    return bool(message.to_online or message.expiry == 0 or _passes(message))


def _passes(message: Message) -> bool:
    """Whether it was never stored; of which the flags tell nothing if a module took them away."""
    return bool(not message.row or message.flags & (Flag.TRANSIENT | Flag.PRESENCE))


def _too_early(user: str) -> Refused:
    return Refused(Code.OFFLINE, f"{user} still gets what waited for him")
