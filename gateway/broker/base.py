"""What all brokers share: where they listen, who may log in, what can go wrong."""

from __future__ import annotations

import os
import re
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, Self

import msgspec

from boardtalk.sdk import BoardtalkError, check_address

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

GATEWAY_LOGIN: Final = "_gateway"
"""The gateway's own login. No user can have this name: addresses begin with a letter or digit."""
MAX_PACKET_BYTES: Final = (1 << 20) + (1 << 16)
"""Largest MQTT packet that a broker takes. A message of 1 MiB still gets its refusal in words from
the gateway; anything larger costs its sender the connection."""
MAX_UNACKNOWLEDGED: Final = 1024
"""QoS 1 messages on their way to one client; more wait in the broker."""
MAX_CONNECTIONS: Final = 2048

_TOKEN = re.compile(r"[A-Za-z0-9_-]{22,128}")


class BrokerError(BoardtalkError):
    """The broker can't be started or reached."""


class LoginRefused(BrokerError):
    """The broker refuses a user name and password."""


class Login(msgspec.Struct, frozen=True):
    """A user and his token. What can't be written into a broker's files is no login.

    Raises:
        AddressError: the address is none.
        BrokerError: the token is too short, or has more than letters, digits, ``-`` and ``_``.
    """

    address: str
    token: str

    def __post_init__(self) -> None:
        check_address(self.address)
        if not _TOKEN.fullmatch(self.token):
            raise BrokerError(
                f"the MQTT token of {self.address} can't be used; "
                f"make a new one: `boardtalk user token {self.address}`"
            )


class Endpoint(msgspec.Struct, frozen=True):
    """Where a broker listens, and the gateway's login there."""

    host: str
    port: int
    user: str
    password: str
    tls: bool = False
    ca_file: Path | None = None
    """Certificates to trust in place of the system's."""

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    def context(self) -> ssl.SSLContext | None:
        """What `asyncio` needs for TLS; None without.

        Raises:
            BrokerError: the certificates can't be read.
        """
        if not self.tls:
            return None
        try:
            return ssl.create_default_context(cafile=self.ca_file)
        except OSError as error:
            raise BrokerError(f"{self.ca_file}: can't be read as certificates ({error})") from error


class Broker(Protocol):
    """A broker in service while the context lasts."""

    endpoint: Endpoint

    async def __aenter__(self) -> Self:
        """Start it and wait until it takes logins.

        Raises:
            BrokerError: it can't be started; the text says what to do.
        """
        ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop it."""
        ...

    def reload(self, logins: Iterable[Login]) -> None:
        """Let exactly these users in from now on; who is no longer among them is cut off."""
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
