"""Tells senders what became of their messages: as statuses, and in words."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from boardtalk.events import Delivery, Update
from boardtalk.sdk import SYSTEM, Code, Flag, Kind, Message, Refused, State, Status

if TYPE_CHECKING:
    from boardtalk.hub.callbacks import Modules
    from boardtalk.hub.sent_items import SentItems
    from boardtalk.hub.sessions import Sessions
    from boardtalk.hub.unfinished import Unfinished
    from boardtalk.people.directory import Directory
    from boardtalk.store.store import Store

ACCEPTED: Final = Status(code=Code.ACCEPTED, state=State.ACCEPTED)


class Statuses:
    """Of all messages, to people and to the modules that sent them."""

    def __init__(
        self,
        store: Store,
        directory: Directory,
        sessions: Sessions,
        modules: Modules,
        *,
        sent: SentItems,
        unfinished: Unfinished,
    ) -> None:
        self._store = store
        self._directory = directory
        self._sessions = sessions
        self._modules = modules
        self._sent = sent
        self._unfinished = unfinished

    def tell(self, message: Message, status: Status) -> None:
        """Record a status change of a message and tell its sender."""
        if message.row:
            self._store.update(message.row, status)
        instance = self._sent.by(message)
        if instance is not None:
            if module := self._modules.get(instance):
                self._modules.notify(instance, module.on_message_status, message, status)
            if self._directory.kind(message.sender) is not Kind.USER:
                return
        quiet = status.code < Code.DONE and not message.flags & Flag.DELIVERY_RECEIPT
        kind = self._directory.kind(message.to)
        if not message.id and quiet and (kind is None or kind.is_people or not self._sees(message)):
            return
        name = message.id or f"~{message.row}"
        update = Update(message.sender, name, message.to, status, time.time(), message.row)
        if not self._unfinished.keeps(message.row, update):
            self._sessions.push(message.sender, update)

    def _sees(self, message: Message) -> bool:
        """Whether its sender may know of the robot that it is for: else that is like a name nobody has."""
        return self._directory.sees(message.sender, message.to)

    def refuse(self, message: Message, refused: Refused) -> None:
        """Tell the sender that his message is refused, in words and as a status.

        That he is typing is nothing to be told of: it is of no use later, and nobody said it.
        """
        if message.flags & Flag.PRESENCE and refused.code is Code.OFFLINE:
            return
        state = State.EXPIRED if refused.code is Code.EXPIRED else State.REJECTED
        status = Status(code=refused.code, state=state, detail=refused.reason)
        self.tell(message, status)
        self.say(message, refused.reason, status)

    def repeat(self, message: Message, status: Status | None, answer: Message | None) -> None:
        """Answer a duplicate as the original was answered, without doing it again."""
        status = status or ACCEPTED
        update = Update(message.sender, message.id, message.to, status, time.time(), message.row)
        self._sessions.push(message.sender, update)
        if answer:
            self._sessions.push(message.sender, Delivery(message.sender, answer, time.time(), status))
        elif status.code.failed:
            self.say(message, status.detail, status)

    def say(self, message: Message, text: str, status: Status) -> None:
        """Tell the sender of a message something, as a message from the gateway."""
        answer = Message(sender=SYSTEM, to=message.sender, body=text, refid=message.id, aid=message.aid)
        self._sessions.push(message.sender, Delivery(message.sender, answer, time.time(), status))
