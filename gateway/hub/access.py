"""Who may what: the policy's answers to users. What it denies is in the audit."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from boardtalk.people.policy import Wish
from boardtalk.sdk import SYSTEM, Code, Kind, Message, Refused

if TYPE_CHECKING:
    from boardtalk.people.directory import Directory
    from boardtalk.store.store import Store

MAX_DENIALS: Final = 1_000
"""That are remembered."""
DENIED_AGAIN_S: Final = 10.0
"""The same one is in the audit once in so long: who may not must not fill the disk."""


class Access:
    """Lets users through, or refuses them."""

    def __init__(self, store: Store, directory: Directory) -> None:
        self._store = store
        self._directory = directory
        self._denials: dict[tuple[str, str, str, str], float] = {}
        """When, monotonic."""

    def require(self, user: str, wish: Wish) -> str:
        """See that policy grants a wish of a user's; the grant that does, "" if it is his role.

        Raises:
            Refused: it does not. Who may not even see a robot hears the same as of one that is not there.
        """
        verdict = self._directory.judge(user, wish)
        if verdict.granted:
            return verdict.rule
        self._note_denial(user, wish, verdict.reason)
        if not self._directory.sees(user, wish.to):
            self._directory.require(wish.to, user)
        raise Refused(Code.DENIED, verdict.reason)

    def require_seen(self, message: Message) -> None:
        """See that a user may know of the robot that he talks to, or of the name that may be one's.

        Asked before any module sees the message: whoever asks why finds nothing there that tells them apart.

        Raises:
            Refused: he may not.
        """
        directory = self._directory
        if directory.policy.roles or directory.kind(message.sender) is not Kind.USER:
            return
        if not directory.sees(message.sender, message.to):
            self.require(message.sender, Wish("see", message.to))

    def _note_denial(self, user: str, wish: Wish, reason: str) -> None:
        """Have it in the audit, but for names that nobody has, which may be as long and many as one likes."""
        if wish.to != SYSTEM and self._directory.kind(wish.to) is None:
            return
        now, denial = time.monotonic(), (user, wish.action, wish.to, wish.command)
        if now - self._denials.get(denial, -DENIED_AGAIN_S) >= DENIED_AGAIN_S:
            if len(self._denials) >= MAX_DENIALS:
                self._denials.clear()
            self._denials[denial] = now
            self._store.audit(user, f"denied: {wish.action}", wish.to, reason)
