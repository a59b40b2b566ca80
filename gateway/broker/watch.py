"""Who listens at nats-server: a question that it answers in its own protocol only.

Of that protocol this speaks what one question needs: INFO, CONNECT, SUB, PUB, MSG, PING, PONG
(docs.nats.io, "NATS Client Protocol"); the question is the server's own, CONNZ of the asker's account.
"""

from __future__ import annotations

import asyncio
import secrets
from itertools import product
from typing import TYPE_CHECKING, Final

import msgspec

from boardtalk.broker.base import MAX_CONNECTIONS
from boardtalk.sdk.mqtt.endpoint import MAX_PACKET_BYTES, BrokerError

if TYPE_CHECKING:
    from collections.abc import Iterable

QUESTION: Final = "$SYS.REQ.ACCOUNT.PING.CONNZ"
INBOX: Final = "_INBOX.watch"
ANSWER_S: Final = 2.0
_NONSENSE: Final = (
    OSError, EOFError, ValueError, LookupError, asyncio.LimitOverrunError, msgspec.DecodeError,
)  # fmt: skip
_OPTIONS: Final = msgspec.json.encode({"subscriptions": True, "auth": True, "limit": MAX_CONNECTIONS})


class _Connection(msgspec.Struct):
    authorized_user: str = ""
    subscriptions_list: list[str] = []


class _Connections(msgspec.Struct):
    connections: list[_Connection] = []


class _Answer(msgspec.Struct):
    data: _Connections


class Watch:
    """Asks one server again and again; connects, and connects anew, when that is needed.

    Args:
        port: of its own protocol, on this machine.
        user: a login that may ask `QUESTION` and hear `INBOX`.
        password: its password.
    """

    def __init__(self, port: int, user: str, password: str) -> None:
        self._port = port
        self._login = {"user": user, "pass": password, "verbose": False, "lang": "boardtalk", "version": "1"}
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def listeners(self) -> frozenset[str]:
        """Users of whose messages a client of theirs hears just now.

        Raises:
            BrokerError: the server does not say.
        """
        try:
            async with asyncio.timeout(ANSWER_S):
                answer = msgspec.json.decode(await self._ask(), type=_Answer)
        except _NONSENSE as error:
            self.close()
            raise BrokerError(
                f"nats-server does not say who listens: {error or type(error).__name__}"
            ) from error
        except BaseException:
            self.close()
            raise
        return frozenset(
            each.authorized_user
            for each in answer.data.connections
            if hears(each.authorized_user, each.subscriptions_list)
        )

    def close(self) -> None:
        """Hang up."""
        if self._streams:
            self._streams[1].close()
            self._streams = None

    async def _ask(self) -> bytes:
        reader, writer = self._streams or await self._connect()
        inbox = f"{INBOX}.{secrets.token_hex(8)}"
        writer.write(f"PUB {QUESTION} {inbox} {len(_OPTIONS)}\r\n".encode() + _OPTIONS + b"\r\n")
        while True:
            verb, *words = (await reader.readuntil(b"\r\n")).decode().split()
            match verb.upper():
                case "MSG":
                    text = await reader.readexactly(int(words[-1]))
                    await reader.readexactly(len(b"\r\n"))
                    if words[0] == inbox:  # else one that came too late
                        return text
                case "PING":
                    writer.write(b"PONG\r\n")
                case "-ERR":
                    raise BrokerError(" ".join(words))

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        self._streams = await asyncio.open_connection("127.0.0.1", self._port, limit=MAX_PACKET_BYTES)
        reader, writer = self._streams
        await reader.readuntil(b"\r\n")  # INFO
        writer.write(b"CONNECT " + msgspec.json.encode(self._login) + f"\r\nSUB {INBOX}.* 1\r\n".encode())
        return reader, writer


def hears(user: str, subjects: Iterable[str]) -> bool:
    """Whether somebody with these subscriptions gets what is in a user's inbox."""
    inbox = [("chat", "*"), (user, "*"), ("in", "*")]
    covering = {".".join(words) for words in product(*inbox)}
    for size in range(len(inbox)):
        covering |= {".".join((*words, ">")) for words in product(*inbox[:size])}
    return not covering.isdisjoint(subjects)
