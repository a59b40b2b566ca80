"""Real brokers and ordinary MQTT clients (aiomqtt) for the tests of this folder."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import aiomqtt
import pytest

from boardtalk import broker
from boardtalk.broker import Broker, Endpoint, Login
from boardtalk.broker.hosted import Hosted
from boardtalk.conf.blocks import BrokerBlock, EmbeddedBroker, MosquittoBroker, RemoteBroker

T = TypeVar("T")

DEADLINE_S = 10.0
HOSTED = ("nats-server", "mosquitto")
ALL = (*HOSTED, "url")
TOKENS = {name: f"{name}-" + "0123456789abcdefghijklmn" for name in ("alice", "bob", "mallory")}


def logins(*names: str) -> list[Login]:
    return [Login(name, TOKENS[name]) for name in names]


def settings(kind: str, **keys: Any) -> BrokerBlock:
    """A `broker` block on a free port. Skips, or under CI fails, where mosquitto is missing."""
    if kind == "nats-server":
        return EmbeddedBroker(port=0, **keys)
    if not shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin"):
        (pytest.fail if os.environ.get("CI") else pytest.skip)("mosquitto is not installed")
    return MosquittoBroker(port=0, **keys)


@asynccontextmanager
async def hosted(kind: str, state: Path, users: Iterable[Login] = (), **keys: Any) -> AsyncIterator[Hosted]:
    """A broker that we run ourselves."""
    made = broker.create(settings(kind, **keys), state, users)
    assert isinstance(made, Hosted)
    async with made:
        yield made


@asynccontextmanager
async def service(kind: str, state: Path) -> AsyncIterator[Broker]:
    """A broker of any kind that lets alice, bob and mallory in."""
    async with AsyncExitStack() as stack:
        running = await stack.enter_async_context(
            hosted("nats-server" if kind == "url" else kind, state, logins(*TOKENS))
        )
        if kind != "url":
            yield running
            return
        (state / "password").write_text(running.endpoint.password + "\n")
        block = RemoteBroker(
            url=f"mqtt://{running.endpoint}",
            username=running.endpoint.user,
            password_file=state / "password",
        )
        yield await stack.enter_async_context(broker.create(block, state, ()))


async def until(probe: Callable[[], T], what: str, within: float = DEADLINE_S) -> T:
    """The first true value of `probe`."""
    deadline = time.monotonic() + within
    while not (value := probe()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within} s: {what}")
        await asyncio.sleep(0.01)
    return value


def client(at: Endpoint, user: str | None, token: str | None = None, **keys: Any) -> aiomqtt.Client:
    """An ordinary MQTT client."""
    return aiomqtt.Client(at.host, at.port, username=user, password=token, **keys)


class Person:
    """A user at an ordinary MQTT client."""

    def __init__(self, mqtt: aiomqtt.Client) -> None:
        self._mqtt = mqtt
        self.heard: list[aiomqtt.Message] = []
        self.cut_off = False

    @property
    def texts(self) -> list[bytes]:
        return [bytes(message.payload) for message in self.heard]

    async def listen(self) -> None:
        try:
            async for message in self._mqtt.messages:
                self.heard.append(message)
        except aiomqtt.MqttError:
            self.cut_off = True

    async def says(self, topic: str, text: str | bytes, *, retain: bool = False) -> None:
        await self._mqtt.publish(topic, text, qos=1, retain=retain)

    async def hears(self, text: str | bytes, topic: str = "", within: float = DEADLINE_S) -> aiomqtt.Message:
        """The first message with these words, on a topic that ends like this."""
        words = text.encode() if isinstance(text, str) else text

        def fitting() -> aiomqtt.Message | None:
            fits = (m for m in self.heard if words in bytes(m.payload) and m.topic.value.endswith(topic))
            return next(fits, None)

        try:
            found = await until(fitting, str(text), within)
        except AssertionError as error:
            raise AssertionError(f"{error}; heard {self.texts}") from error
        assert found is not None
        return found


@asynccontextmanager
async def person(at: Endpoint, name: str, *topics: str, token: str = "") -> AsyncIterator[Person]:
    """A user who has subscribed to topics, as far as the broker grants them."""
    async with AsyncExitStack() as stack:
        mqtt = client(at, name, token or TOKENS[name])
        try:
            await mqtt.__aenter__()
            for topic in topics:
                await mqtt.subscribe(topic, qos=1)
            someone = Person(mqtt)
            listening = asyncio.create_task(someone.listen(), name=f"{name} listens")
            stack.push_async_callback(_cancelled, listening)
            yield someone
        finally:
            await stack.aclose()
            with suppress(aiomqtt.MqttError):  # cut off, as some tests want it
                await mqtt.__aexit__(None, None, None)


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])
