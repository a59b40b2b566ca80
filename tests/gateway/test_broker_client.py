"""Sessions with a broker: nothing lost, nothing doubled, nobody hurried, always back."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from boardtalk.broker import BrokerError, Endpoint, LoginRefused
from boardtalk.broker.client import MAX_IN_FLIGHT, Publisher, Subscriber
from boardtalk.sdk.mqtt import connection, packets
from boardtalk.sdk.mqtt.connection import open_connection
from boardtalk.sdk.mqtt.packets import Publish, Will

from .brokers import HOSTED, hosted, logins, person, until

MESSAGES = 5_000
WELCOME = b"\x20\x02\x00\x00"
GRANTED = b"\x90\x03\x00\x01\x01"
TOPIC = "chat/alice/in"
INBOX = {TOPIC: 1}


async def take(hearing: Subscriber, count: int) -> list[Publish]:
    got: list[Publish] = []
    async for batch in hearing.messages():
        got += batch
        if len(got) >= count:
            break
    return got


@pytest.mark.parametrize("kind", HOSTED)
async def test_everything_that_is_said_is_heard_once_and_in_order(kind: str, tmp_path: Path) -> None:
    said = [b"%d" % number for number in range(MESSAGES)]
    async with (
        hosted(kind, tmp_path, logins("alice")) as running,
        Subscriber(alices(running.endpoint), "alice", INBOX) as hearing,
        Publisher(running.endpoint, "hub") as saying,
        asyncio.TaskGroup() as tasks,
    ):
        await hearing.connected()
        taking = tasks.create_task(take(hearing, MESSAGES + 1))
        for text in said:
            await saying.publish(TOPIC, text)
        await saying.publish(TOPIC, b"end")
        assert [message.payload for message in await taking] == [*said, b"end"]


@pytest.mark.parametrize("kind", HOSTED)
async def test_a_busy_reader_makes_the_broker_wait_and_loses_nothing(kind: str, tmp_path: Path) -> None:
    text = b"x" * 2000
    async with (
        hosted(kind, tmp_path, logins("alice")) as running,
        Subscriber(alices(running.endpoint), "alice", INBOX) as hearing,
        Publisher(running.endpoint, "hub") as saying,
        asyncio.TaskGroup() as tasks,
    ):
        await hearing.connected()
        for number in range(3000):
            await saying.publish(TOPIC, b"%d " % number + text)
        taking = tasks.create_task(take(hearing, 3000))
        got = [int(message.payload.split()[0]) for message in await taking]
        assert got == list(range(3000))
        assert not any(message.dup for message in taking.result())


def alices(at: Endpoint) -> Endpoint:
    (login,) = logins("alice")
    return Endpoint(at.host, at.port, login.address, login.token)


@pytest.mark.parametrize("kind", HOSTED)
async def test_messages_of_any_size_that_fits_pass(kind: str, tmp_path: Path) -> None:
    async with (
        hosted(kind, tmp_path, logins("alice")) as running,
        Subscriber(alices(running.endpoint), "alice", INBOX) as hearing,
        Publisher(running.endpoint, "hub") as saying,
    ):
        await hearing.connected()
        texts = [b"", b"x" * 127, b"x" * 128, b"x" * 16_384, b"x" * (1 << 20)]
        for text in texts:
            await saying.publish(TOPIC, text)
        assert [message.payload for message in await take(hearing, len(texts))] == texts


@pytest.mark.parametrize("kind", HOSTED)
async def test_the_last_will_is_published_when_the_gateway_goes(kind: str, tmp_path: Path) -> None:
    async with (
        hosted(kind, tmp_path, logins("alice")) as running,
        person(running.endpoint, "alice", "presence/+") as alice,
    ):
        async with Publisher(running.endpoint, "hub", Will("presence/gateway", b"away")) as hub:
            await hub.publish("presence/gateway", b"here", retain=True)
            await alice.hears("here")
        await alice.hears("away")


@pytest.mark.parametrize("kind", HOSTED)
async def test_nagle_does_not_delay(kind: str, tmp_path: Path) -> None:
    async with hosted(kind, tmp_path) as running:
        made = await open_connection(running.endpoint, "probe")
        wire = made._transport.get_extra_info("socket")
        assert wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        await made.close()


@pytest.mark.parametrize("kind", HOSTED)
async def test_a_wrong_password_is_an_error(kind: str, tmp_path: Path) -> None:
    async with hosted(kind, tmp_path) as running:
        at = Endpoint(running.endpoint.host, running.endpoint.port, "_gateway", "wrong")
        with pytest.raises(LoginRefused, match="refuses the login '_gateway'"):
            await open_connection(at, "probe")


@pytest.mark.parametrize("kind", HOSTED)
async def test_a_subscription_that_is_not_granted_is_an_error(kind: str, tmp_path: Path) -> None:
    async with hosted(kind, tmp_path, logins("alice")) as running:
        try:
            made = await open_connection(alices(running.endpoint), "probe", [("chat/bob/in", 1)])
        except BrokerError as error:
            assert "refuses 'alice' a subscription" in str(error)
        else:
            assert kind == "mosquitto", "it grants every subscription, and then delivers nothing"
            await made.close()


@pytest.mark.parametrize("kind", HOSTED)
async def test_what_is_said_while_the_broker_dies_arrives(kind: str, tmp_path: Path) -> None:
    """Those who stay subscribed hear everything: at least once, as MQTT promises."""
    async with (
        hosted(kind, tmp_path, logins("alice")) as running,
        Publisher(running.endpoint, "hub") as saying,
    ):
        assert running.pid
        number = await saying.connected()
        taken: list[int] = []
        for text in range(1000):
            done = partial(taken.append, text)
            await saying.publish("presence/rover", b"%d" % text, retain=True, done=done)
            if text == 500:
                os.kill(running.pid, signal.SIGKILL)
        await saying.connected(after=number)
        # nats-server looks up what is retained before it subscribes: what comes in between is not heard
        await until(lambda: len(taken) == 1000, "the broker has all")
        async with person(running.endpoint, "alice", "presence/rover") as alice:
            await alice.hears("999")


# ── brokers that misbehave ───────────────────────────────────────────────────────────────────────

Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def fake_broker(*behaviours: Behaviour) -> AsyncIterator[Endpoint]:
    """A server that treats its first visitor in the first way, and so on; later ones in the last."""
    visits = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal visits
        behaviour = behaviours[min(visits, len(behaviours) - 1)]
        visits += 1
        try:
            await behaviour(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield Endpoint("127.0.0.1", port, "user", "password")


async def welcome(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Take the login, and subscriptions if there are any."""
    assert (await read_packet(reader))[0] == 0x10
    writer.write(WELCOME)


async def read_packet(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readexactly(2)
    assert head[1] < 128, "short packets will do here"
    return head + await reader.readexactly(head[1])


async def test_what_was_not_acknowledged_is_said_again_marked_and_in_order() -> None:
    heard: list[bytes] = []
    done = asyncio.Event()

    async def forgetful(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await welcome(reader, writer)
        heard.extend([await read_packet(reader) for _ in range(3)])
        writer.write(packets.puback(1))
        await writer.drain()

    async def attentive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await welcome(reader, writer)
        heard.extend([await read_packet(reader) for _ in range(3)])
        done.set()
        await reader.read()

    async with asyncio.timeout(10), fake_broker(forgetful, attentive) as at, Publisher(at, "hub") as saying:
        number = await saying.connected()
        for text in (b"one", b"two", b"three"):
            await saying.publish("t", text)
        await saying.connected(after=number)
        await saying.publish("t", b"four")
        await done.wait()
    decoded = [packet for raw in heard for packet in packets.take(bytearray(raw), 1)]
    assert [(message.dup, message.payload) for message in decoded if isinstance(message, Publish)] == [
        *[(False, b"one"), (False, b"two"), (False, b"three")],
        *[(True, b"two"), (True, b"three"), (False, b"four")],
    ]


async def test_only_so_much_is_under_way_at_once() -> None:
    heard = 0

    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal heard
        await welcome(reader, writer)
        while True:
            await read_packet(reader)
            heard += 1

    async with fake_broker(deaf) as at, Publisher(at, "hub") as saying:
        for _ in range(MAX_IN_FLIGHT):
            await saying.publish("t", b"x")
        blocked = asyncio.create_task(saying.publish("t", b"one too many"))
        await until(lambda: heard == MAX_IN_FLIGHT, "all were sent")
        assert not blocked.done()
        blocked.cancel()


async def test_messages_that_overtake_the_answer_to_a_subscription_are_heard() -> None:
    async def hasty(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await welcome(reader, writer)
        await read_packet(reader)
        early, late = (
            packets.publish("t", text, number) for number, text in enumerate((b"early", b"late"), 1)
        )
        writer.write(early + b"\x90\x03\x00\x01\x01" + late)
        assert await read_packet(reader) == packets.puback(1)
        await reader.read()

    async with asyncio.timeout(10), fake_broker(hasty) as at, Subscriber(at, "chat", {"t": 1}) as hearing:
        assert [message.payload for message in await take(hearing, 2)] == [b"early", b"late"]


async def test_nothing_is_acknowledged_before_the_reader_has_done_with_it() -> None:
    acknowledged: list[bytes] = []

    async def patient(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await welcome(reader, writer)
        await read_packet(reader)
        writer.write(GRANTED + packets.publish("t", b"x", 7))
        while True:
            acknowledged.append(await read_packet(reader))

    async with asyncio.timeout(10), fake_broker(patient) as at, Subscriber(at, "chat", {"t": 1}) as hearing:
        messages = hearing.messages()
        await anext(messages)
        for _ in range(100):
            await asyncio.sleep(0)  # whatever could happen has its turn
        assert not acknowledged
        following = asyncio.create_task(anext(messages))
        await until(lambda: acknowledged == [packets.puback(7)], "it is acknowledged")
        following.cancel()


async def says_nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await welcome(reader, writer)
    writer.write(b"\xff" * 100)
    await reader.read()


async def hangs_up(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    return


async def announces_too_much(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await welcome(reader, writer)
    writer.write(b"\x30\xff\xff\xff\x7f")
    await reader.read()


async def answers_something_else(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_packet(reader)
    writer.write(packets.PINGREQ)
    await reader.read()


async def is_no_broker(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(10)
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")


BAD = [says_nonsense, hangs_up, announces_too_much, answers_something_else, is_no_broker]


@pytest.mark.parametrize("bad", BAD)
async def test_a_broker_that_misbehaves_is_left_and_tried_again(bad: Behaviour) -> None:
    well = asyncio.Event()

    async def good(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await welcome(reader, writer)
        well.set()
        await reader.read()

    async with asyncio.timeout(10), fake_broker(bad, bad, good) as at, Publisher(at, "hub"):
        await well.wait()


async def test_a_broker_that_is_not_reached_is_told_once_not_at_each_attempt() -> None:
    attempts = 0

    async def refusing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal attempts
        attempts += 1
        await read_packet(reader)
        writer.write(b"\x20\x02\x00\x05")
        await reader.read()

    with capture_logs() as logs:
        async with fake_broker(refusing) as at, Publisher(at, "hub"):
            await until(lambda: attempts > 3, "some attempts")
    (reason,) = not_reached(logs)
    assert "refuses the login 'user'" in reason


async def test_a_broker_that_falls_silent_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "KEEPALIVE_S", 0.05)
    monkeypatch.setattr(connection, "DEAD_S", 1)
    pinged = asyncio.Event()

    async def frozen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await welcome(reader, writer)
        assert await read_packet(reader) == packets.PINGREQ
        pinged.set()
        await reader.read()

    async with asyncio.timeout(10), fake_broker(frozen) as at, Publisher(at, "hub") as saying:
        number = await saying.connected()
        await pinged.wait()
        await saying.connected(after=number)


def not_reached(logs: Sequence[EventDict]) -> list[str]:
    return [entry["reason"] for entry in logs if entry["event"] == "broker not reached"]
