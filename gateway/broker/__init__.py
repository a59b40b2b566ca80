"""Message brokers behind one small interface.

::

    async with broker.create(settings, state, logins) as running:
        ...  # clients connect to running.endpoint
        running.reload(logins)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from boardtalk.broker.base import Broker, BrokerError, Endpoint, Login, LoginRefused
from boardtalk.broker.embedded import NatsServer
from boardtalk.broker.external import External
from boardtalk.broker.mosquitto import Mosquitto
from boardtalk.conf.blocks import MosquittoBroker, RemoteBroker

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from boardtalk.conf.blocks import BrokerBlock

__all__ = ["Broker", "BrokerError", "Endpoint", "Login", "LoginRefused", "create"]


def create(settings: BrokerBlock, state: Path, logins: Iterable[Login]) -> Broker:
    """The broker that a configuration block asks for.

    Args:
        settings: the block; its type says which broker.
        state: the state folder.
        logins: all users with their tokens.

    Raises:
        BrokerError: the settings can't be used.
    """
    if isinstance(settings, RemoteBroker):
        return External(settings)
    if isinstance(settings, MosquittoBroker):
        return Mosquitto(settings, state, logins)
    return NatsServer(settings, state, logins)
