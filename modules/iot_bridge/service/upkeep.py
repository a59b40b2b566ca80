"""A connection of the link process to the broker, made again and again: it has a login of its own there."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final

from boardtalk.sdk.mqtt.connection import Connection, open_connection
from boardtalk.sdk.mqtt.endpoint import BrokerError, boards_endpoint

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

MQTT: Final = "mqtt"
"""What a configuration calls the port of boards that come by it."""
BACKOFF_S: Final = (0.1, 0.2, 0.5, 1.0)
"""Pauses between attempts to reach the broker."""
NO_BROKER: Final = "there is no broker: write a block `broker { }`"

log = logging.getLogger(__name__)


class Upkeep(ABC):
    """One connection, kept up while `run` runs.

    Args:
        state: the state folder, where the gateway leaves the login.
        name: of the connection.
        subscriptions: topics, and how surely each message is to come.
    """

    def __init__(self, state: Path, name: str, subscriptions: Sequence[tuple[str, int]]) -> None:
        self.reason = NO_BROKER
        """Why there is no connection."""
        self._state = state
        self._name = name
        self._subscriptions = subscriptions

    async def run(self) -> None:
        """Stay connected until cancelled."""
        failures = 0
        while True:
            endpoint = boards_endpoint(self._state)
            if endpoint is None:
                reason = NO_BROKER
            else:
                try:
                    connection = await open_connection(endpoint, self._name, self._subscriptions)
                    failures = 0
                    await self._serve(connection)
                except (OSError, TimeoutError, BrokerError) as error:
                    reason = f"the broker at {endpoint} is not reached: {error or 'no answer'}"
                except Exception as error:  # boards at other ports go on, whatever a broker says
                    log.exception("broker")
                    reason = f"{MQTT}: a fault in the gateway: {error!r}"
            if reason != self.reason:
                log.warning("%s: %s", self._name, reason)
            self.reason = reason
            await asyncio.sleep(BACKOFF_S[min(failures, len(BACKOFF_S) - 1)])
            failures += 1

    @abstractmethod
    async def _serve(self, connection: Connection) -> None:
        """Use a connection until it is lost, and close it. Raises BrokerError when it is."""
