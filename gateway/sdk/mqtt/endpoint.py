"""Where a broker listens, a login there, and what can go wrong with it."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Final

import msgspec

from boardtalk.sdk.errors import BoardtalkError

MAX_PACKET_BYTES: Final = (1 << 20) + (1 << 16)
"""Largest MQTT packet that a broker takes. A message of 1 MiB still gets its refusal in words from
the gateway; anything larger costs its sender the connection."""


class BrokerError(BoardtalkError):
    """The broker can't be started or reached."""


class LoginRefused(BrokerError):
    """The broker refuses a user name and password."""


class Endpoint(msgspec.Struct, frozen=True):
    """Where a broker listens, and a login there."""

    host: str
    port: int
    user: str
    password: str
    tls: bool = False
    ca_file: Path | None = None
    """Certificates to trust in place of the system's."""

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    def to_json(self) -> str:
        """For `boards_file`."""
        return msgspec.json.encode(self, enc_hook=str).decode()

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


def boards_file(state: Path) -> Path:
    """Where the gateway leaves the endpoint that leads to boards, for their link process; 0600.

    It is written anew whenever a gateway starts: read it before each connection.
    """
    return state / "secrets" / "boards-broker.json"


def boards_endpoint(state: Path) -> Endpoint | None:
    """The endpoint that leads to boards; None: the gateway has no broker, or the file is damaged."""
    try:
        data = boards_file(state).read_bytes()
        return msgspec.json.decode(data, type=Endpoint, dec_hook=lambda kind, text: kind(text))
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None
