"""What all brokers share: where they listen, who may log in, what can go wrong."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final, Protocol, Self

import msgspec

from boardtalk.sdk import check_address
from boardtalk.sdk.mqtt.endpoint import BrokerError, Endpoint

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

GATEWAY_LOGIN: Final = "_gateway"
"""The gateway's own login. No user can have this name: addresses begin with a letter or digit."""
LINK_LOGIN: Final = "_link"
"""The login of the process that talks to boards."""
BOARD_PREFIX: Final = "_board_"
"""Begins the login of a board, so that no user has the same."""
MAX_UNACKNOWLEDGED: Final = 1024
"""QoS 1 messages on their way to one client; more wait in the broker."""
MAX_CONNECTIONS: Final = 2048

_TOKEN = re.compile(r"[A-Za-z0-9_-]{22,128}")


class Login(msgspec.Struct, frozen=True):
    """A user or a board, and its token. What can't be written into a broker's files is no login.

    Raises:
        AddressError: the address is none.
        BrokerError: the token is too short, or has more than letters, digits, ``-`` and ``_``.
    """

    address: str
    token: str
    board: bool = False
    robots: tuple[str, ...] | None = None
    """Of a user: whose state he may read; None: of all."""
    role: str = ""
    """Of a user: with another one he has to come anew."""

    def __post_init__(self) -> None:
        for address in (self.address, *(self.robots or ())):
            check_address(address)
        if not _TOKEN.fullmatch(self.token):
            command = "boards credentials" if self.board else "user token"
            raise BrokerError(
                f"the MQTT token of {self.address} can't be used; "
                f"make a new one: `boardtalk {command} {self.address}`"
            )

    @property
    def name(self) -> str:
        """What it is called at the broker."""
        return f"{BOARD_PREFIX}{self.address}" if self.board else self.address


class Broker(Protocol):
    """A broker in service while the context lasts."""

    endpoint: Endpoint
    """With the gateway's login."""
    boards_endpoint: Endpoint
    """With the login that talks to boards."""
    own: bool
    """Whether the gateway runs it, and makes its logins."""
    listen_host: str
    """Where other machines find it; 0.0.0.0: at all addresses of this one."""

    async def __aenter__(self) -> Self:
        """Start it and wait until it takes logins.

        Raises:
            BrokerError: it can't be started; the text says what to do.
        """
        ...

    async def __aexit__(self, *_: object) -> None:
        """Stop it."""
        ...

    def reload(self, logins: Iterable[Login]) -> None:
        """Let exactly these in from now on; who is no longer among them is cut off."""
        ...

    async def listeners(self) -> frozenset[str] | None:
        """Users of whose messages a client hears at this broker just now; None: it never tells.

        Raises:
            BrokerError: it does not tell just now.
        """
        ...


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, all of it or nothing.

    Raises:
        BrokerError: it can't be written.
    """
    new = path.with_name(f"{path.name}.new")
    try:
        new.touch(mode=0o600)
        new.chmod(0o600)  # also when it is left over from a crash
        new.write_text(text)
        new.replace(path)
    except OSError as error:
        raise BrokerError(f"{path}: can't be written ({error.strerror})") from error


def private_folder(path: Path) -> Path:
    """The folder, made if need be, for its owner only.

    Raises:
        BrokerError: it can't be made or written.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise BrokerError(
            f"{path}: can't be used as a folder ({error.strerror}); is something in its place?"
        ) from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise BrokerError(f"{path}: can't be written; `sudo chown -R $USER {path}`")
    return path
