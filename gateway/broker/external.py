"""A broker that somebody else runs: EMQX, HiveMQ, a cloud, another gateway's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

import structlog

from boardtalk.sdk.mqtt.endpoint import BrokerError, Endpoint

if TYPE_CHECKING:
    from collections.abc import Iterable

    from boardtalk.broker.base import Login
    from boardtalk.conf.blocks import RemoteBroker

log = structlog.get_logger()


class External:
    """Its users and rights are its operator's business; `docs/mqtt.md` says which are needed."""

    own = False

    def __init__(self, settings: RemoteBroker) -> None:
        self.endpoint = self.boards_endpoint = _endpoint(settings)
        self.listen_host = self.endpoint.host

    async def __aenter__(self) -> Self:
        """Nothing to start: who needs it connects, and goes on trying."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing to stop."""

    def reload(self, logins: Iterable[Login]) -> None:
        """Only its operator can."""
        names = [login.name for login in logins]
        log.warning("logins have changed: tell the operator", broker=str(self.endpoint), logins=names)

    async def listeners(self) -> None:
        """No broker tells that in a way that all share."""


def _endpoint(settings: RemoteBroker) -> Endpoint:
    try:
        parts = urlsplit(settings.url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise BrokerError(f"`url = {settings.url}`: {error}") from error
    if parts.scheme not in ("mqtt", "mqtts") or not host:
        raise BrokerError(f"`url = {settings.url}` is none: write mqtt://HOST:PORT or mqtts://HOST:PORT")
    tls = parts.scheme == "mqtts"
    return Endpoint(
        host, port or (8883 if tls else 1883), settings.username, _password(settings), tls, settings.ca_file
    )


def _password(settings: RemoteBroker) -> str:
    path = settings.password_file
    if path is None:
        return ""
    try:
        return path.read_text().partition("\n")[0].strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BrokerError(f"{path}: the password for the broker can't be read ({error})") from error
