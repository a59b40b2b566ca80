"""What the gateway before had under way when it ended, and who says what became of it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from boardtalk.sdk import Code, Message, State, Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from boardtalk.events import Update
    from boardtalk.hub.callbacks import Modules
    from boardtalk.hub.sessions import Sessions
    from boardtalk.people.directory import Directory
    from boardtalk.store.store import Store

EXPIRED: Final = Status(code=Code.EXPIRED, state=State.EXPIRED, detail="the gateway restarted")
UNKNOWN: Final = Status(
    code=Code.FAILED, state=State.UNKNOWN, detail="the gateway restarted before it was answered"
)


class Unfinished:
    """Messages of an earlier gateway without an end.

    None of those to robots is carried out now: too late is never. But the module that took one may know,
    or find out, what became of it.
    """

    def __init__(self, store: Store, directory: Directory, sessions: Sessions) -> None:
        self._store = store
        self._directory = directory
        self._sessions = sessions
        self._taken: list[Message] = []
        """By modules, for robots and services."""
        self._rows: set[int] = set()
        self._untold: dict[str, list[Update]] = {}
        """Their ends, by the senders who are not there yet."""

    async def find(self) -> list[Message]:
        """Look for them; those to people go on: these have not been handed over for sure."""
        go_on = []
        for message, state, at in await self._store.unfinished():
            kind = self._directory.kind(message.to)
            if state != State.ACCEPTED or kind is None or not kind.is_people:
                self._taken.append(message)
            elif message.expiry is None or time.time() <= at + message.expiry:
                go_on.append(message)
            else:
                self._store.update(message.row, EXPIRED)
        self._rows = {message.row for message in self._taken}
        return go_on

    def hand_on(self, modules: Modules, tell: Callable[[Message, Status], None]) -> None:
        """Ask the modules, once, who goes on with them."""
        taken, self._taken = self._taken, []
        for message in taken:
            if not modules.go_on(message):
                tell(message, UNKNOWN)

    def keeps(self, row: int, update: Update) -> bool:
        """Keep the end of one of them for its sender, if he is not there to be told; whether it is kept."""
        if row not in self._rows or not update.status.state.terminal:
            return False
        self._rows.discard(row)
        if any(session.reaches(update.recipient) for session in self._sessions.of(update.recipient)):
            return False
        self._untold.setdefault(update.recipient, []).append(update)
        return True

    def catch_up(self, user: str | None) -> None:
        """Somebody came (None: to a broker, which may be anybody): tell him."""
        for name in [user] if user else list(self._untold):
            for update in self._untold.pop(name, ()):
                self._sessions.push(name, update)
