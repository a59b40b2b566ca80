"""Message brokers behind one small interface.

::

    async with broker.create(settings, state, logins) as running:
        ...  # clients connect to running.endpoint
        running.reload(logins)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from boardtalk.broker.base import Broker, Login, write_private
from boardtalk.broker.embedded import NatsServer
from boardtalk.broker.external import External
from boardtalk.broker.mosquitto import Mosquitto
from boardtalk.conf.blocks import MosquittoBroker, RemoteBroker
from boardtalk.sdk.mqtt.endpoint import BrokerError, Endpoint, LoginRefused

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from boardtalk.conf.blocks import BrokerBlock

__all__ = ["Broker", "BrokerError", "Endpoint", "Login", "LoginRefused", "create", "write_private"]


def create(settings: BrokerBlock, state: Path, logins: Iterable[Login]) -> Broker:
    """The broker that a configuration block asks for.

    Args:
        settings: the block; its type says which broker.
        state: the state folder.
        logins: all users and boards with their tokens.

    Raises:
        BrokerError: the settings can't be used.
    """
    if isinstance(settings, RemoteBroker):
        return External(settings)
    if isinstance(settings, MosquittoBroker):
        return Mosquitto(settings, state, logins)
    return NatsServer(settings, state, logins)
