"""Who listens at nats-server, as it tells."""

from __future__ import annotations

import asyncio

import pytest

from boardtalk.broker import BrokerError
from boardtalk.broker.watch import Watch, hears


@pytest.mark.parametrize(
    ("subject", "heard"),
    [
        ("chat.alice.in", True),
        ("chat.alice.*", True),
        ("chat.alice.>", True),
        ("chat.>", True),
        (">", True),
        ("chat.*.in", True),
        ("chat.alice", False),
        ("chat.alice.status", False),
        ("chat.alice.in.>", False),
        ("chat.alice.in.more", False),
        ("chat.bob.in", False),
        ("presence.*", False),
        ("$MQTT.sub.coDI7PoZANaNB4ZYpN8pfD", False),
        ("", False),
    ],
)
def test_a_subscription_covers_an_inbox_or_not(subject: str, heard: bool) -> None:
    assert hears("alice", [subject]) is heard


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"INFO {}\r\n-ERR 'Authorization Violation'\r\n",
        b"INFO {}\r\nMSG\r\n",
        b"INFO {}\r\nMSG a b c\r\n",
        b"INFO {}\r\n" + b"x" * 3_000_000,
        b"\xff\xfe\r\n\xff\r\n",
    ],
    ids=["nothing", "refusal", "no size", "no number", "no end", "no text"],
)
async def test_a_server_that_talks_nonsense_is_an_error_in_words(answer: bytes) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
        watch = Watch(server.sockets[0].getsockname()[1], "_watch", "secret")
        for _ in range(2):  # it connects anew
            with pytest.raises(BrokerError) as caught:
                await watch.listeners()
            assert "secret" not in str(caught.value)


async def test_a_server_that_is_not_there_is_one_too() -> None:
    with pytest.raises(BrokerError, match="does not say who listens"):
        await Watch(1, "_watch", "secret").listeners()
