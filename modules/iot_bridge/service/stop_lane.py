"""Stops that users send by MQTT, on a connection of their own: they reach boards while the gateway hangs.

The gateway hears them too, tells the sender and the history, and stops once more, which does no harm.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

import msgspec

from boardtalk.modules.iot_bridge.service.upkeep import Upkeep
from boardtalk.sdk.mqtt.packets import Publish
from boardtalk.sdk.stopwords import ALL, MAX_LINE_CHARS, meant, target

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from boardtalk.modules.iot_bridge.service.fleet import Fleet
    from boardtalk.modules.iot_bridge.service.notice import Notice
    from boardtalk.sdk.mqtt.connection import Connection

STOPS: Final = (("chat/+/stop", 0),)
GRACE_S: Final = 0.05
"""So long a stop to a name that no board has is left to the gateway, which may know a group of that name.
Then all boards stop: in doubt, stop."""

log = logging.getLogger(__name__)


class _Envelope(msgspec.Struct):
    """What counts of a message."""

    to: str
    body: str = ""


class StopLane(Upkeep):
    """The connection. The broker guarantees that nobody but a user publishes to his ``chat/<user>/stop``.

    Args:
        state: the state folder.
        fleet: what is stopped.
        notice: where it is noted.
    """

    def __init__(self, state: Path, fleet: Fleet, notice: Notice) -> None:
        super().__init__(state, "link-stop", STOPS)
        self._fleet = fleet
        self._notice = notice
        self._waiting: dict[str, asyncio.TimerHandle] = {}
        """By user: all boards stop then, if the gateway has not stopped any in his name."""

    def heard(self, user: str) -> None:
        """The gateway has stopped boards in a user's name."""
        waiting = self._waiting.pop(user, None)
        if waiting is not None:
            waiting.cancel()

    async def _serve(self, connection: Connection) -> None:
        self.reason = ""
        try:
            while True:
                for packet in await connection.read():
                    if isinstance(packet, Publish) and not packet.retain:
                        self._take(packet.topic.split("/", 2)[1], packet.payload)
        finally:
            await connection.close()

    def _take(self, user: str, payload: bytes) -> None:
        name = whom(payload, self._fleet.__contains__)
        if not name or name in self._fleet:
            self._stop(user, (name,) if name else ())
        elif user not in self._waiting:
            loop = asyncio.get_running_loop()
            self._waiting[user] = loop.call_later(GRACE_S, self._stop, user, ())

    def _stop(self, user: str, names: tuple[str, ...]) -> None:
        self._waiting.pop(user, None)
        self._fleet.begin_stop(names)
        self._notice.put(user, names, "by MQTT")
        log.info("%s stopped by %s, by MQTT", ", ".join(names) or "all", user)


def whom(payload: bytes, is_board: Callable[[str], bool]) -> str:
    """Whom a payload of the stop lane names; `ALL`: every board, as does whatever can't be read."""
    if (name := target(payload.decode("utf-8", "replace"))) is not None:
        return name
    try:
        message = msgspec.json.decode(payload, type=_Envelope)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ALL
    name = meant(message.body[:MAX_LINE_CHARS], message.to, is_board)
    return message.to if name is None else name
