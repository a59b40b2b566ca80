"""The entrance for people at the page: passwords, and the token by which the first of them gets one.

All limits are here, in the gateway's process: the page's may be started anew at any time.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import secrets
from time import monotonic
from typing import TYPE_CHECKING, Final

import structlog

from boardtalk.people.attempts import Attempts
from boardtalk.people.users import UserError, check_password
from boardtalk.sdk import BoardtalkError, Role, check_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from boardtalk.people.users import Account, Users

TOKEN_BYTES: Final = 16
"""128 bit."""
TOKEN_LIFE_S: Final = 15 * 60.0
PER_ACCOUNT: Final = (5, 10.0)
"""Attempts at once, then one every so many seconds: 8,640 a day, whoever asks from wherever."""
PER_ADDRESS: Final = (20, 2.0)
MAX_NAME_CHARS: Final = 40
"""More than an address has."""
WRONG: Final = "user or password is wrong"
OVER: Final = "this link is used up, or older than 15 minutes; `boardtalk page` prints a new one"

log = structlog.get_logger()


class NotAdmitted(BoardtalkError):
    """Somebody is not let in.

    Args:
        reason: why, in words for him.
        wait: seconds until he may try again.
    """

    def __init__(self, reason: str, wait: float = 0.0) -> None:
        self.wait = wait
        super().__init__(reason)


class Entrance:
    """Decides who gets in with which password.

    Args:
        users: all of them.
        clock: monotonic seconds.
    """

    def __init__(self, users: Users, clock: Callable[[], float] = monotonic) -> None:
        self._users = users
        self._clock = clock
        self._accounts = Attempts(*PER_ACCOUNT, clock)
        self._addresses = Attempts(*PER_ADDRESS, clock)
        self._hashing = asyncio.Lock()
        """One at a time: each takes 16 MB."""
        self._token = ""
        self._until = 0.0

    @property
    def is_set_up(self) -> bool:
        """Whether an admin can log in."""
        return any(account.password and account.role is Role.ADMIN for account in self._users)

    def new_token(self) -> str:
        """A token for `set_up`, in place of an older one; "" if there is nothing to set up."""
        self._token = "" if self.is_set_up else secrets.token_urlsafe(TOKEN_BYTES)
        self._until = self._clock() + TOKEN_LIFE_S
        return self._token

    async def verify(self, user: str, password: str, address: str) -> Account:
        """The account of somebody who knows its password.

        Args:
            user: who he says he is.
            password: what he typed.
            address: IP address from which he asks.

        Raises:
            NotAdmitted: he does not, or has tried too often.
        """
        self._take(user, address)
        async with self._hashing:
            right = await asyncio.to_thread(self._users.verify, user, password)
        account = self._users.get(user)
        if not right or account is None:
            # Some type their password where the name belongs: only names that there are may be logged.
            log.warning("login refused", user=user if account else "unknown", address=address)
            raise NotAdmitted(WRONG)
        self._give_back(user, address)
        log.info("login", user=user, address=address)
        return account

    def set_up(self, token: str, user: str, password: str, address: str) -> Account:
        """Make the first admin, or give the one who runs this gateway a password.

        The token is used up by that, and by nothing else.

        Raises:
            NotAdmitted: the token is not the right one, or too old.
            AddressError, UserError: this can't be his name or password; he may try again.
        """
        self._take("", address)
        fresh = self._token and self._clock() < self._until and not self.is_set_up
        if not fresh or not hmac.compare_digest(token.encode(), self._token.encode()):
            log.warning("set-up refused", address=address)
            raise NotAdmitted(OVER)
        self._give_back("", address)
        check_name(user)
        known = self._users.get(user)
        if known and known.role is not Role.ADMIN:
            raise UserError(f"{user!r} is a user who is no admin; take another name")
        check_password(password)
        if known is None:
            self._users.add(user, Role.ADMIN)
        account = self._users.set_password(user, password)
        self._token = ""
        log.info("set up", user=user, address=address)
        return account

    def _take(self, user: str, address: str) -> None:
        tries = ((self._accounts, _name(user)), (self._addresses, _network(address)))
        if wait := max(attempts.wait(key) for attempts, key in tries):
            raise NotAdmitted(f"too many attempts: try again in {wait:.0f} s", wait)
        for attempts, key in tries:
            attempts.take(key)

    def _give_back(self, user: str, address: str) -> None:
        self._accounts.give_back(_name(user))
        self._addresses.give_back(_network(address))


def _name(user: str) -> str:
    """What is kept of a name: strangers choose how long it is."""
    return user[:MAX_NAME_CHARS]


def _network(address: str) -> str:
    """Whom an address stands for: of IPv6 one machine has as many as it likes in its network."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return ""
    if found.version == 6:
        return str(found.ipv4_mapped or ipaddress.ip_network((found, 64), strict=False))
    return str(found)
