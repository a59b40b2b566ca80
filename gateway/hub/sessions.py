"""The connections of front-ends, and what each of them gets to see."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from boardtalk.events import Delivery, Event, Held, Marked, Presence, Sent
from boardtalk.witness import Told, Witness

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

MAX_SESSION_EVENTS: Final = 10_000
"""A front-end that leaves more events than this unread is cut off."""
MAX_SESSION_CHARS: Final = 16 << 20
"""… or more text than this. A page of what waited for somebody fits."""

log = structlog.get_logger()


class Session:
    """What one front-end connection gets to see. `address` None: everything, for a broker.

    The front-end says of each delivery that it is `handed_over`: not before is it done.
    """

    def __init__(
        self,
        address: str | None,
        handed_over: Callable[[Delivery], None],
        listeners: frozenset[str] | None = None,
    ) -> None:
        self.address = address
        self.since = time.time()
        """UTC seconds."""
        self.listeners = listeners
        """Of a broker: users of whose messages somebody hears there; None: it never tells."""
        self.missed = asyncio.Event()
        """Of a broker: a message is for somebody who does not listen there, or is not known to yet."""
        self.open: dict[int, Delivery] = {}
        """Deliveries that were not handed over yet, by identity."""
        self._handed_over = handed_over
        self._events: deque[Event] = deque()
        self._chars = 0
        """Of the messages among them."""
        self._wake = asyncio.Event()
        self._closed = False

    def push(self, event: Event) -> bool:
        """Queue an event; a session that does not read is closed instead of filling the memory.

        Returns whether it was queued.
        """
        if self._closed:
            return False
        if len(self._events) >= MAX_SESSION_EVENTS or self._chars >= MAX_SESSION_CHARS:
            log.warning("front-end too slow: cut off", user=self.address, unread=len(self._events))
            self.close()
            return False
        if isinstance(event, Delivery):
            self.open[id(event)] = event
            self._chars += len(event.message.body)
        self._events.append(event)
        self._wake.set()
        return True

    def reaches(self, user: str) -> bool:
        """Whether a message to a user arrives by this session."""
        if self.hears(user):
            return True
        self.missed.set()
        return False

    def hears(self, user: str) -> bool:
        """Whether somebody there gets messages to a user."""
        return self.listeners is None or user in self.listeners

    def handed_over(self, delivery: Delivery) -> None:
        """Note that a delivery of this session is out of the gateway's hands."""
        if self.open.pop(id(delivery), None):
            self._handed_over(delivery)

    def close(self) -> None:
        """End the iteration over `events`."""
        self._closed = True
        self._wake.set()

    @property
    def is_open(self) -> bool:
        """Whether it takes events."""
        return not self._closed

    @property
    def backlog(self) -> int:
        """Events not read yet."""
        return len(self._events)

    async def events(self) -> AsyncIterator[list[Event]]:
        """Events in batches, as they come, until the session is closed."""
        while not self._closed or self._events:
            await self._wake.wait()
            self._wake.clear()
            if batch := list(self._events):
                self._events.clear()
                self._chars = 0
                yield batch
            if self._closed:
                return


class Sessions:
    """All sessions, by the address of their user; those of None see everybody's events."""

    def __init__(self, witness: Witness) -> None:
        self._open: dict[str | None, set[Session]] = {}
        self._witness = witness

    def add(self, session: Session) -> None:
        """Take a new one in."""
        self._open.setdefault(session.address, set()).add(session)

    def remove(self, session: Session) -> None:
        """Close one."""
        session.close()
        self._open[session.address].discard(session)
        if not self._open[session.address]:
            del self._open[session.address]

    def close(self) -> None:
        """Close all: their front-ends will remove them."""
        for session in self.all():
            session.close()

    def all(self) -> list[Session]:
        """All."""
        return [session for group in self._open.values() for session in group]

    def of(self, user: str) -> list[Session]:
        """Those that see a user's events."""
        return [session for key in (user, None) for session in self._open.get(key, ())]

    def shows(self, user: str) -> bool:
        """Whether a user is known to be there."""
        return any(
            user == session.address or (session.listeners is not None and user in session.listeners)
            for session in self.of(user)
        )

    def push(self, user: str, event: Event) -> None:
        """Queue an event for all that show this user's."""
        self._witness.tell(Told, event)
        for session in self.of(user):
            session.push(event)

    def echo(self, event: Sent | Marked, but: Session | None) -> None:
        """Queue what a user did for his sessions, `but` for the one where he did it; never for brokers.

        There nobody could leave out the client that it came from.
        """
        for session in self._open.get(event.recipient, ()):
            if session is not but:
                session.push(event)

    def has(self, user: str) -> bool:
        """Whether a user has sessions of his own."""
        return user in self._open

    def reach(self, user: str) -> bool:
        """Whether a message to a user would arrive somewhere."""
        return any(session.is_open and session.hears(user) for session in self.of(user))

    def show_holder(self, held: Held, viewers: tuple[str, ...] | None) -> None:
        """Queue it for the sessions of people who are to know (None: all); brokers have no place for it."""
        for address, sessions in self._open.items():
            is_shown = address is not None and (viewers is None or address in viewers)
            for session in sessions if is_shown else ():
                session.push(held)

    def deliver(self, delivery: Delivery) -> bool:
        """Queue a message wherever its recipient gets it, and has not got it yet; whether somewhere."""
        self._witness.tell(Told, delivery)
        found = False
        for session in self.of(delivery.recipient):
            if session.reaches(delivery.recipient):
                found = id(delivery) in session.open or session.push(delivery) or found
        return found

    def show(self, presence: Presence) -> None:
        """Queue an event for everybody who is to know; for a broker too, which is told who that is."""
        self._witness.tell(Told, presence)
        told = msgspec.structs.replace(presence, viewers=None)
        for address, sessions in self._open.items():
            for session in sessions:
                if address is None:
                    session.push(presence)
                elif presence.viewers is None or address in presence.viewers:
                    session.push(told)
