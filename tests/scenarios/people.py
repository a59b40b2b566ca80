"""People at ordinary MQTT clients, here paho."""

from __future__ import annotations

import json
import re
import socket
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self, TypeVar

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from .rig import DEADLINE_S, Gateway, Json, until

T = TypeVar("T")
TERMINAL = {"done", "failed", "expired", "rejected", "cancelled", "unknown"}
"""The states after which nothing comes."""
VOLTS = re.compile(r"\d+(\.\d+)? ?V\b")
"""A voltage as a person reads it."""


@dataclass(frozen=True)
class Outcome:
    """What became of a command."""

    states: tuple[str, ...]
    body: str

    @property
    def state(self) -> str:
        """The last one."""
        return self.states[-1]


def login_works(gateway: Gateway, username: str | None, password: str | None = None) -> bool:
    """Whether the broker lets a client in with these credentials."""
    client = paho.Client(CallbackAPIVersion.VERSION2)
    answers: list[bool] = []
    client.on_connect = lambda _c, _u, _f, reason, _p: answers.append(not reason.is_failure)
    client.on_disconnect = lambda *_: answers.append(False)
    if username is not None:
        client.username_pw_set(username, password)
    client.connect(gateway.host, gateway.port)
    client.loop_start()
    try:
        until(lambda: bool(answers), "an answer to CONNECT")
    finally:
        client.disconnect()
        client.loop_stop()
    return answers[0]


class Person:
    """A user at an ordinary MQTT client: publishes to `out`, reads `in` and `status`."""

    def __init__(self, gateway: Gateway, address: str, token: str, *, remembered: bool = False) -> None:
        self.address = address
        self.inbox: list[Json] = []
        self.statuses: list[Json] = []
        self.sessions = 0
        self._news = threading.Condition()
        name = address if remembered else ""
        self._client = paho.Client(CallbackAPIVersion.VERSION2, name, clean_session=not remembered)
        self._client.username_pw_set(address, token)
        self._client.reconnect_delay_set(1, 1)
        self._client.max_inflight_messages_set(1000)
        self._client.on_connect = self._connected
        self._client.on_subscribe = self._subscribed
        self._client.on_message = self._received
        self._client.on_socket_open = self._opened
        self._host, self._port = gateway.host, gateway.port

    def __enter__(self) -> Self:
        self._client.connect(self._host, self._port)
        self._client.loop_start()
        self.wait(lambda: self.sessions, "subscribed")
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _opened(self, _client: paho.Client, _userdata: object, sock: object) -> None:
        if isinstance(sock, socket.socket):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _connected(self, client: paho.Client, *_: object) -> None:
        client.subscribe([(f"chat/{self.address}/in", 1), (f"chat/{self.address}/status", 1)])

    def _subscribed(self, *_: object) -> None:
        with self._news:
            self.sessions += 1
            self._news.notify_all()

    def _received(self, _client: paho.Client, _userdata: object, message: paho.MQTTMessage) -> None:
        with self._news:
            (self.inbox if message.topic.endswith("/in") else self.statuses).append(
                json.loads(message.payload)
            )
            self._news.notify_all()

    def wait(self, probe: Callable[[], T | None], what: str, within: float = DEADLINE_S) -> T:
        """The first true value of `probe`, tried after each arrival; fails with `what`."""
        with self._news:
            if value := self._news.wait_for(probe, within):
                return value
        raise AssertionError(
            f"{self.address} waited {within} s in vain: {what};"
            f" last messages {self.inbox[-3:]}, last statuses {self.statuses[-5:]}"
        )

    def publish(self, topic: str, payload: str | bytes, *, retain: bool = False) -> None:
        """Publish anywhere with QoS 1, without waiting."""
        self._client.publish(topic, payload, qos=1, retain=retain)

    def subscribe(self, topic: str) -> None:
        """Ask for any topic, without waiting whether it is granted."""
        self._client.subscribe(topic, 1)

    def say(self, message: str | bytes | Json, *, topic: str = "out", retain: bool = False) -> None:
        """Publish plain text or an envelope to the own `out` (or `stop`) topic."""
        payload = json.dumps(message) if isinstance(message, dict) else message
        self.publish(f"chat/{self.address}/{topic}", payload, retain=retain)

    def hears(self, pattern: str, since: int = 0, within: float = DEADLINE_S) -> Json:
        """The first message in the inbox, from number `since` on, whose text fits a pattern."""
        fits = re.compile(pattern, re.IGNORECASE | re.DOTALL).search
        number = since

        def fitting() -> Json | None:
            nonlocal number
            while number < len(self.inbox):
                message = self.inbox[number]
                number += 1
                if fits(str(message.get("body"))):
                    return message
            return None

        return self.wait(fitting, f"a message like {pattern!r}", within)

    def states(self, name: str, since: int = 0) -> list[str]:
        """States of the message `name` so far, reasons cut off."""
        return [
            str(status.get("state")).partition("(")[0]
            for status in self.statuses[since:]
            if name in (status.get("id"), status.get("refid"))
        ]

    def outcome(self, name: str, since: tuple[int, int] = (0, 0), within: float = DEADLINE_S) -> Outcome:
        """Wait for the end of message `name` and its answer; `since` counts inbox and statuses."""

        def ended() -> Outcome | None:
            states = self.states(name, since[1])
            bodies = [str(m.get("body")) for m in self.inbox[since[0] :] if m.get("refid") == name]
            return Outcome(tuple(states), bodies[-1]) if bodies and TERMINAL & {*states} else None

        return self.wait(ended, f"the end of {name}", within)

    def do(
        self,
        body: str,
        *,
        to: str = "rover",
        name: str = "",
        within: float = DEADLINE_S,
        **more: object,
    ) -> Outcome:
        """Send a command in an envelope and wait for its end; `more` are message parameters."""
        name = name or uuid.uuid4().hex
        since = len(self.inbox), len(self.statuses)
        self.say({"to": to, "body": body, "id": name, **more})
        return self.outcome(name, since, within)

    def insist(self, body: str, *, to: str = "rover", within: float = DEADLINE_S) -> None:
        """Ask again and again, each time anew, until it is done: the other end may be away."""

        def done() -> bool:
            name = uuid.uuid4().hex
            self.say({"to": to, "body": body, "id": name})
            with self._news:
                return self._news.wait_for(lambda: "done" in self.states(name), 1.0)

        until(done, f"{body!r} done", within)

    def begin(self, body: str, *, to: str = "rover", name: str = "") -> str:
        """Send a command and wait until the board has started it; its id."""
        name = name or uuid.uuid4().hex
        self.say({"to": to, "body": body, "id": name})
        self.wait(lambda: "started" in self.states(name), f"{body!r} started")
        return name


Join = Callable[..., Person]
"""The fixture `join(gateway, address, role="operator")`: a user of that role at an MQTT client."""


def odometer(person: Person) -> float:
    """Where the rover is, cm plus a constant, after driving 1 cm to make it tell.

    The wording of the answer is not promised, so all its numbers are added up: between two such
    answers only the position differs, as long as the rover goes straight on.
    """
    answer = person.do("forward 1")
    if answer.state != "done":
        raise AssertionError(f"the rover does not drive: {answer}")
    return sum(map(float, re.findall(r"-?\d+(?:\.\d+)?", answer.body)))
