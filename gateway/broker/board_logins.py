"""Which boards may log in at the broker, and their tokens: ``secrets/boards.json`` (0600).

A board has a login of its own, so that one that is lost is shut out alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from boardtalk.people.users import UserError, new_token, read_secrets
from boardtalk.sdk import check_name, kept

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class BoardLogin(msgspec.Struct, frozen=True):
    """A board's token."""

    address: str
    token: str


class BoardLogins:
    """All of them, by address. Changes are written at once."""

    def __init__(self, path: Path, logins: dict[str, BoardLogin], damage: str) -> None:
        self.damage = damage
        """What was damaged when they were read, in words."""
        self._path = path
        self._logins = logins
        self._subscribers: list[Callable[[], None]] = []

    @classmethod
    def load(cls, secrets_folder: Path) -> BoardLogins:
        """Read them. If all that was kept is damaged, no board may log in.

        Raises:
            UserError: others may read the file, or this process may not.
        """
        path = secrets_folder / "boards.json"
        logins, damage = read_secrets(path, list[BoardLogin])
        if damage and not logins:
            damage += "; no board may log in now: `boardtalk boards credentials NAME`, or restore a backup"
        return cls(path, {login.address: login for login in logins}, damage)

    def __iter__(self) -> Iterator[BoardLogin]:
        return iter(self._logins.values())

    def subscribe(self, changed: Callable[[], None]) -> None:
        """Have `changed` called after each change, as the broker must know who may log in."""
        self._subscribers.append(changed)

    def renew(self, address: str) -> BoardLogin:
        """A fresh token; the old one no longer works. Raises AddressError."""
        check_name(address)
        login = self._logins[address] = BoardLogin(address, new_token())
        self._save()
        return login

    def revoke(self, address: str) -> None:
        """Shut a board out.

        Raises:
            UserError: it may not log in anyway.
        """
        if address not in self._logins:
            known = ", ".join(sorted(self._logins)) or "none"
            raise UserError(f"no board {address!r} may log in at the broker; those that may: {known}")
        del self._logins[address]
        self._save()

    def _save(self) -> None:
        kept.save(self._path, list(self._logins.values()))
        for changed in self._subscribers:
            changed()
