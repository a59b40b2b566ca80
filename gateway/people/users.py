"""Users and their secrets.

The configuration file declares users and roles; `boardtalk user` adds further ones and keeps what
must not stand in that file, hashed passwords and MQTT tokens, in ``secrets/users.json`` (0600).
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from boardtalk.sdk import BoardtalkError, Role, check_name, kept

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

T = TypeVar("T")

MIN_PASSWORD_CHARS: Final = 8
MAX_PASSWORD_CHARS: Final = 200
TOKEN_BYTES: Final = 24
"""192 bit; the contract asks for at least 128."""
_SCRYPT_N: Final = 2**14
_SCRYPT_R: Final = 8
_SCRYPT_P: Final = 1
"""OWASP's second choice of parameters: 16 MB and some 50 ms on a Pi."""


class UserError(BoardtalkError):
    """A user can't be added or changed as asked."""


class Audience(StrEnum):
    """Who is told whether a user is online."""

    EVERYBODY = "everybody"
    GROUPS = "groups"
    """Who is in a group with him."""
    NOBODY = "nobody"


class Account(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What is kept of one user."""

    address: str
    role: Role = Role.VIEWER
    token: str = ""
    """For MQTT; generated, never a person's password."""
    password: str = ""
    """``scrypt$salt$hash`` in hex; "" = no password login."""
    seen_by: Audience = Audience.EVERYBODY

    @property
    def stamp(self) -> str:
        """What changes with role and password, and says nothing about either: the password is salted."""
        return hashlib.sha256(f"{self.role}${self.password}".encode()).hexdigest()[:16]


class Change(msgspec.Struct, frozen=True):
    """A change of one user that was made."""

    address: str
    role: Role
    token: str = ""
    """The MQTT token, if it is new."""


def new_token() -> str:
    """A fresh MQTT token."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def check_password(password: str) -> None:
    """See that something can be a password.

    Raises:
        UserError: too short, or too long.
    """
    if len(password) < MIN_PASSWORD_CHARS:
        raise UserError(f"a password has at least {MIN_PASSWORD_CHARS} characters")
    if len(password) > MAX_PASSWORD_CHARS:
        raise UserError(f"a password has at most {MAX_PASSWORD_CHARS} characters")


def hash_password(password: str, salt: bytes | None = None) -> str:
    """The stored form of a password.

    Raises:
        UserError: too short, or too long.
    """
    check_password(password)
    salt = salt or secrets.token_bytes(16)
    digest = hashlib.scrypt(password.encode(), salt=salt, n=_SCRYPT_N, r=_SCRYPT_R, p=_SCRYPT_P)
    return f"scrypt${salt.hex()}${digest.hex()}"


class Users:
    """All accounts, by address. Changes are written at once."""

    def __init__(self, path: Path, accounts: dict[str, Account], damage: str = "") -> None:
        self.damage = damage
        """What was damaged when they were read, in words."""
        self._path = path
        self._accounts = accounts
        self._declared: frozenset[str] = frozenset()
        self._subscribers: list[Callable[[], None]] = []

    @classmethod
    def load(cls, secrets_folder: Path, declared: Mapping[str, Role] | None = None) -> Users:
        """Read the accounts; users that the configuration declares are added, its roles win.

        If all that was kept is damaged, there is nobody else, and they have new tokens.

        Raises:
            UserError: others may read the file, or this process may not.
        """
        path = secrets_folder / "users.json"
        accounts, damage = read_secrets(path, list[Account])
        if damage and not accounts:
            damage += (
                "; only users of the configuration are left, with new MQTT passwords: "
                "`boardtalk user token NAME`, or restore a backup"
            )
        users = cls(path, {account.address: account for account in accounts}, damage)
        users.declare(declared or {})
        return users

    def declare(self, declared: Mapping[str, Role]) -> list[str]:
        """Add users that the configuration declares, with its roles; those that are new or changed.

        Users that it no longer declares stay, as if `boardtalk user add` had added them.
        """
        self._declared = frozenset(declared)
        changed = []
        for address, role in declared.items():
            account = self._accounts.setdefault(address, Account(address=address))
            if not account.token or account.role is not role:
                changed.append(address)
            account.role = role
            account.token = account.token or new_token()
        if changed:
            self._save()
        return changed

    def subscribe(self, changed: Callable[[], None]) -> None:
        """Have `changed` called after each change, as the broker must know who may log in."""
        self._subscribers.append(changed)

    @contextmanager
    def watched(self, changed: Callable[[], None]) -> Iterator[None]:
        """Have `changed` called after each change, while the context lasts."""
        self._subscribers.append(changed)
        try:
            yield
        finally:
            self._subscribers.remove(changed)

    def __iter__(self):  # type: ignore[no-untyped-def]
        return iter(self._accounts.values())

    def get(self, address: str) -> Account | None:
        """The account of an address, or None."""
        return self._accounts.get(address)

    def role(self, address: str) -> Role | None:
        """The role of an address; None for nobody we know."""
        account = self._accounts.get(address)
        return account.role if account else None

    def change(self, action: str, address: str, role: Role | None = None, password: str = "") -> Change:
        """Do what `boardtalk user ACTION` asks.

        Raises:
            UserError, AddressError: it can't be done; the text says why.
        """
        match action:
            case "add":
                account = self.add(address, role or Role.VIEWER)
                return Change(address, account.role, account.token)
            case "token":
                account = self.renew_token(address)
                return Change(address, account.role, account.token)
            case "role" if role:
                return Change(address, self.set_role(address, role).role)
            case "passwd":
                return Change(address, self.set_password(address, password).role)
            case "remove":
                return Change(address, self.remove(address).role)
            case _:
                raise UserError(f"can't do {action!r} with a user")

    def add(self, address: str, role: Role) -> Account:
        """Add a user with a fresh token.

        Raises:
            AddressError: not a valid address.
            UserError: there is one of this name.
        """
        check_name(address)
        if address in self._accounts:
            raise UserError(
                f"there is a user {address!r} already; `boardtalk user role {address} …` changes the role"
            )
        account = Account(address=address, role=role, token=new_token())
        self._accounts[address] = account
        self._save()
        return account

    def remove(self, address: str) -> Account:
        """Remove a user with all his rights."""
        account = self._undeclared(address)
        del self._accounts[address]
        self._save()
        return account

    def set_role(self, address: str, role: Role) -> Account:
        """Change a role."""
        account = self._undeclared(address)
        account.role = role
        self._save()
        return account

    def is_last_admin(self, address: str) -> bool:
        """Whether nobody else could administer the gateway at the page: no other admin has a password."""
        account = self._accounts.get(address)
        admins = [each for each in self if each.role is Role.ADMIN and each.password]
        return account is not None and admins == [account]

    def set_password(self, address: str, password: str) -> Account:
        """Set the password for the web page."""
        account = self._find(address)
        account.password = hash_password(password)
        self._save()
        return account

    def show_to(self, address: str, audience: Audience) -> None:
        """Set who is told whether a user is online."""
        self._find(address).seen_by = audience
        self._save()

    def renew_token(self, address: str) -> Account:
        """Replace the MQTT token: the old one no longer works."""
        account = self._find(address)
        account.token = new_token()
        self._save()
        return account

    def verify(self, address: str, password: str) -> bool:
        """Whether this is his password. Takes as long for unknown users as for known ones."""
        account = self._accounts.get(address)
        stored = account.password if account and account.password else f"scrypt${'00' * 16}$"
        salt = bytes.fromhex(stored.split("$")[1])
        digest = hashlib.scrypt(password.encode(), salt=salt, n=_SCRYPT_N, r=_SCRYPT_R, p=_SCRYPT_P)
        return hmac.compare_digest(stored, f"scrypt${salt.hex()}${digest.hex()}")

    def _find(self, address: str) -> Account:
        account = self._accounts.get(address)
        if account is None:
            known = ", ".join(sorted(self._accounts)) or "nobody yet"
            raise UserError(f"there is no user {address!r}; known: {known}")
        return account

    def _undeclared(self, address: str) -> Account:
        if address in self._declared:
            raise UserError(
                f"{address!r} stands in the configuration, or runs this gateway: a change here would not last"
            )
        return self._find(address)

    def _save(self) -> None:
        kept.save(self._path, list(self._accounts.values()))
        for changed in tuple(self._subscribers):
            changed()


def read_secrets(path: Path, kind: type[list[T]]) -> tuple[list[T], str]:
    """What `kept.save` wrote, and what was damaged; nothing if there is no file.

    Raises:
        UserError: others may read it, or this process may not.
    """
    try:
        for each in (path, path.with_name(path.name + kept.COPY)):
            if each.exists() and each.stat().st_mode & 0o077:
                raise UserError(
                    f"{each}: others may read these secrets; `chmod 600 {each}` and renew the tokens"
                )
        found = kept.load(path, kind)
    except OSError as error:
        raise UserError(f"{path}: can't be read ({error}); `sudo chown $USER {path}`?") from error
    return found.content or [], found.damage
