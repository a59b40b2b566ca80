"""Message brokers behind one small interface.

::

    async with broker.create("", settings, state, logins) as running:
        async with Subscriber(running.endpoint, …): …
        running.reload(logins)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from boardtalk.broker.base import Broker, BrokerError, Endpoint, Login, LoginRefused, Settings
from boardtalk.broker.embedded import EmbeddedBroker
from boardtalk.broker.external import ExternalBroker
from boardtalk.broker.mosquitto import MosquittoBroker

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["Broker", "BrokerError", "Endpoint", "Login", "LoginRefused", "Settings", "create"]


def create(kind: str, settings: Settings, state: Path, logins: Iterable[Login]) -> Broker:
    """The broker of a configuration block.

    Args:
        kind: the block's name: "" for the embedded one, ``mosquitto``.
        settings: the block's keys; with a `url` it is somebody else's broker.
        state: the state folder.
        logins: all users with their tokens.

    Raises:
        BrokerError: there is no such broker, or the settings don't fit together.
    """
    if settings.url:
        return ExternalBroker(settings)
    match kind:
        case "":
            return EmbeddedBroker(settings, state, logins)
        case "mosquitto":
            return MosquittoBroker(settings, state, logins)
    raise BrokerError(f"`broker {kind}` is unknown: leave the name away, or write `broker mosquitto`")
