"""Chat: takes what a user says and has read, and shows him whom he can talk to, and the past."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec

from boardtalk.frontends import control
from boardtalk.frontends.answers.fitting import fitting

if TYPE_CHECKING:
    from boardtalk.frontends.control import chat
    from boardtalk.frontends.intake import Intake
    from boardtalk.hub.hub import Hub
    from boardtalk.hub.sessions import Session
    from boardtalk.store.records import HistoryEntry

MAX_PAGE: Final = 1000
"""Messages that are looked through at once for some that the user may see."""


class Chat:
    """Answers `control.chat`, but for stops, which wait for nothing."""

    def __init__(self, hub: Hub, intake: Intake) -> None:
        self._hub = hub
        self._intake = intake

    async def answer(self, request: chat.Request, session: Session, user: str) -> control.Reply | None:
        """Carry out what a user asks in a session of his; None: it is not answered."""
        match request:
            case control.Send(payload):
                self._intake.receive(user, payload.encode(), "local", session)
            case control.Read(sender, message_id):
                await self._hub.marks.read(user, sender, message_id, session)
            case control.MarkRead(other, row):
                await self._hub.marks.move(user, other, row, session)
            case control.Contacts():
                return control.ContactList(self._hub.directory.contacts_for(user))
            case control.Complete(to, line):
                return control.Completions(await self._hub.modules.complete(to, line, user))
            case control.History():
                return await self._history(request, user)
            case control.Conversations(limit):
                return await self._conversations(user, limit)
            case control.Why(message_id):
                return control.Explained(await self._hub.traces.why(user, message_id))
        return None

    async def _conversations(self, user: str, limit: int) -> control.ConversationList:
        groups, read = self._hub.directory.groups_of(user), await self._hub.marks.of(user)
        found = await self._hub.store.conversations(user, groups=groups, read=read, limit=limit)
        return control.ConversationList(
            fitting([each for each in found if self._hub.directory.sees(user, each.other)])
        )

    async def _history(self, request: control.History, user: str) -> control.Past:
        entries = await self._seen(request, user)
        nearest_first = entries if request.after is not None else entries[::-1]
        told = fitting(nearest_first[: request.limit])
        plain = [msgspec.to_builtins(entry) for entry in told]
        return control.Past(
            plain if request.after is not None else plain[::-1], more=len(told) < len(entries)
        )

    async def _seen(self, request: control.History, user: str) -> list[HistoryEntry]:
        """One more than asked for, if there are so many, but those with robots that the user may not see."""
        sees, most = partial(self._hub.directory.sees, user), request.limit + 1
        before, after, page = request.before, request.after, most
        seen: list[HistoryEntry] = []
        if request.other and not sees(request.other):
            return seen
        while True:
            found = await self._hub.store.history(
                user,
                request.other or None,
                groups=self._hub.directory.groups_of(user),
                text=request.text,
                before=before,
                after=after,
                limit=page,
            )
            fine = [each for each in found if sees(each.sender) and sees(each.to)]
            seen = [*seen, *fine] if after is not None else [*fine, *seen]
            if len(found) < page or len(seen) >= most:
                return seen[:most] if after is not None else seen[-most:]
            page = MAX_PAGE
            if after is not None:
                after = found[-1].row
            else:
                before = found[0].row
