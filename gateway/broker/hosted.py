"""A broker that the gateway runs itself, as a supervised child."""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Final, Self

import msgspec

from boardtalk.broker.base import GATEWAY_LOGIN, LINK_LOGIN, Login, private_folder
from boardtalk.broker.permissions import Grant, grants
from boardtalk.broker.supervisor import PortTaken, Supervisor, free_port
from boardtalk.sdk.mqtt.endpoint import Endpoint

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from boardtalk.conf.blocks import LocalBroker

TOKEN_BYTES: Final = 24
"""192 bit for the gateway's own logins, new at each start."""
DRAWS: Final = 5
"""Tries with other ports, where any free one will do."""
_WILDCARDS: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - where to find what listens everywhere


class Hosted(ABC):
    """What nats-server and mosquitto have in common.

    Args:
        settings: the block `broker`.
        state: the state folder; files go to ``broker/`` and ``secrets/`` below it.
        logins: the users and boards.
    """

    name: ClassVar[str]
    """Of the program, and of its data folder."""
    own = True

    def __init__(self, settings: LocalBroker, state: Path, logins: Iterable[Login]) -> None:
        host = _WILDCARDS.get(settings.host, settings.host)
        self.endpoint = Endpoint(host, settings.port, GATEWAY_LOGIN, secrets.token_urlsafe(TOKEN_BYTES))
        """Where it takes MQTT; a port that is free to choose is known when the broker runs."""
        self.boards_endpoint = msgspec.structs.replace(
            self.endpoint, user=LINK_LOGIN, password=secrets.token_urlsafe(TOKEN_BYTES)
        )
        self.websocket_port = settings.websocket_port
        """For MQTT over WebSocket; None: there is none."""
        self.listen_host = settings.host
        """As configured, perhaps a wildcard."""
        self._settings = settings
        self._state = state
        self._logins = tuple(logins)
        self._supervisor: Supervisor | None = None

    async def __aenter__(self) -> Self:
        """Start it and wait until it takes logins.

        Raises:
            BrokerError: it can't be started; the text says what to do.
        """
        command = self._command()
        private_folder(self._secrets)
        private_folder(self._store)
        for draws_left in reversed(range(DRAWS)):
            self._draw_ports()
            self._write(self._grants(self._logins))
            ports = [self.endpoint.port, *([self.websocket_port] if self.websocket_port else [])]
            supervisor = Supervisor(command, self.endpoint, ports, self._store, self._greeting())
            try:
                self._supervisor = await supervisor.__aenter__()
                break
            except PortTaken:  # a port that was free a moment ago
                if not draws_left:
                    raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._supervisor:
            await self._supervisor.__aexit__(*exc)

    @property
    def pid(self) -> int | None:
        """Process id; None while it is being restarted."""
        return self._supervisor.pid if self._supervisor else None

    def reload(self, logins: Iterable[Login]) -> None:
        """Let exactly these in from now on; who is no longer among them is cut off.

        Raises:
            BrokerError: the broker's files can't be written.
        """
        self._write(self._grants(logins))
        if self._supervisor:
            self._supervisor.reload()

    async def listeners(self) -> frozenset[str] | None:
        """See the protocol."""
        return None

    def _draw_ports(self) -> None:
        """Choose a port wherever any free one will do."""
        port = self._settings.port or free_port(self.endpoint.host)
        self.endpoint = msgspec.structs.replace(self.endpoint, port=port)
        self.boards_endpoint = msgspec.structs.replace(self.boards_endpoint, port=port)
        if self._settings.websocket_port == 0:
            self.websocket_port = free_port(self.endpoint.host)

    def _grants(self, logins: Iterable[Login]) -> list[Grant]:
        return grants(self.endpoint.password, self.boards_endpoint.password, logins)

    @property
    def _secrets(self) -> Path:
        return self._state / "secrets"

    @property
    def _store(self) -> Path:
        return self._state / "broker" / self.name

    @abstractmethod
    def _command(self) -> Sequence[str]:
        """Program and arguments. Raises `BrokerError` if it is not installed."""

    @abstractmethod
    def _write(self, granted: list[Grant]) -> None:
        """Write the broker's files."""

    def _greeting(self) -> bytes:
        """Packets that the gateway's login sends after each start."""
        return b""
