"""What is said to somebody who is away waits for him, whenever the gateway is killed meanwhile.

Bob is away while alice sends numbered messages; the gateway is killed with SIGKILL at random moments,
and she repeats, with the same ids, what was not acknowledged. Then bob comes. Both ways of waiting are
tried: in the gateway's own store (a gateway without broker, at `control.sock`), and at the broker, in a
kept MQTT session.

Promised is that nothing which was accepted is lost, and that all comes in order. Where the gateway is
killed between handing a message over and noting it, nobody can know whether it arrived: it is handed over
again, with the same id. So alone the order of first arrivals counts, and what comes twice has to be the
same message. The short form runs in CI, `make soak` runs the long one.
"""

from __future__ import annotations

import json
import os
import random
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Self, TypeAlias

import pytest

from .people import Person
from .rig import DEADLINE_S, Gateway, Json, T, free_port, nothing_runs

WINDOW = 500
"""Messages that alice lets be under way."""
KILL_WITHIN_S = 0.01
"""A kill comes at most so long after a full window was sent."""
CONF = """\
log_level = warning
{broker}
user alice {{
}}
user bob {{
}}
"""
REPEATED_S = 60.0
"""nats-server repeats after 30 s what a client did not acknowledge before the server died."""
SHORT = pytest.param(1_000, 2, id="short")
LONG = pytest.param(10_000, 20, id="long", marks=[pytest.mark.soak, pytest.mark.timeout(600)])
"""Messages and kills."""


class Line:
    """A program at `control.sock`: JSON lines; logged in as a user. Used like a `Person`."""

    def __init__(self, gateway: Gateway, user: str) -> None:
        self.inbox: list[Json] = []
        self.statuses: list[Json] = []
        self._news = threading.Condition()
        self._user = user
        self._socket = socket.socket(socket.AF_UNIX)
        self._path = gateway.state / "control.sock"
        self._reader = threading.Thread(target=self._read)

    def __enter__(self) -> Self:
        self._socket.connect(str(self._path))
        self._send({"op": "login", "user": self._user})
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._reader.join()
        self._socket.close()

    def say(self, envelope: Json) -> None:
        """Send an envelope."""
        self._send({"op": "send", "payload": json.dumps(envelope)})

    def wait(self, probe: Callable[[], T | None], what: str, within: float = DEADLINE_S) -> T:
        """The first true value of `probe`, tried after each arrival; fails with `what`."""
        with self._news:
            if value := self._news.wait_for(probe, within):
                return value
        raise AssertionError(
            f"{self._user} waited {within} s in vain: {what}; {len(self.inbox)} messages came"
        )

    def _send(self, request: Json) -> None:
        self._socket.sendall(json.dumps(request).encode() + b"\n")

    def _read(self) -> None:
        with self._socket.makefile("rb") as lines:
            try:
                for line in lines:
                    if line.endswith(b"\n"):
                        self._take(json.loads(line))
            except ConnectionError:
                return

    def _take(self, event: Json) -> None:
        with self._news:
            if event["type"] == "message":
                self.inbox.append(event["message"])
            elif event["type"] == "status":
                code, state = event["status"]["code"], event["status"]["state"]
                self.statuses.append({"id": event["message_id"], "status": code, "state": state})
            self._news.notify_all()


Client: TypeAlias = Person | Line


class Town:
    """A gateway, alice and bob, and a murderer."""

    def __init__(self, folder: Path, door: str, seed: int) -> None:
        self.random = random.Random(seed)
        self.kills_under_way = 0
        self.at_the_broker = door == "broker"
        broker = f"broker {{\n    port = {free_port()}\n}}" if self.at_the_broker else ""
        conf = folder / "gateway.conf"
        conf.write_text(CONF.format(broker=broker))
        self.gateway = Gateway(folder / "state", "run", "--conf", str(conf)).start()
        if self.at_the_broker:
            endpoints = json.loads((self.gateway.state / "endpoints.json").read_text())
            self.gateway.port = int(endpoints["mqtt"].rpartition(":")[2])
            self._tokens = {name: self._new_token(name) for name in ("alice", "bob")}
            with self.enter("bob"):
                pass  # from now on the broker keeps what is for him

    def _new_token(self, user: str) -> str:
        return str(self.gateway.cli("user", "token", user, "--json").rows[0]["token"])

    def enter(self, user: str) -> Client:
        """Alice or bob at a client."""
        if self.at_the_broker:
            return Person(self.gateway, user, self._tokens[user], remembered=user == "bob")
        return Line(self.gateway, user)

    def kill(self) -> None:
        """Kill the gateway; its broker dies with it."""
        self.gateway.child.kill()
        self.gateway.child.wait()
        nothing_runs(self.gateway.state)

    def send(self, total: int, kills: int) -> None:
        """Have alice send messages 1 to `total`, each until it is acknowledged; kill meanwhile."""
        moments = sorted(self.random.sample(range(1, total - WINDOW // 2), kills))
        first = 0
        for moment in [*moments, total]:
            with self.enter("alice") as alice:
                saying = _Saying(alice, first, total)
                saying.until_acknowledged(min(max(moment, first + 1), total))
                if moment < total:
                    saying.fill()
                    time.sleep(self.random.uniform(0, KILL_WITHIN_S))
                    self.kill()
            first = saying.read()
            if moment < total:
                self.kills_under_way += first < saying.sent
                self.gateway.start()

    def hear(self, total: int, kills: int) -> list[list[int]]:
        """What bob hears each time he comes, until he has heard the last message; kill meanwhile."""
        visits: list[list[int]] = []
        heard: set[int] = set()
        while len(heard) < total:
            left = total - len(heard)
            count = self.random.randint(1, 1 + left // (kills + 1)) if kills else left
            kills -= 1
            with self.enter("bob") as bob:
                bob.wait(partial(_new, bob, heard, count), f"{count} more", REPEATED_S)
                if count < left:
                    self.kill()
            visits.append([_number(each) for each in bob.inbox])
            heard.update(visits[-1])
            if count < left:
                self.kills_under_way += len(heard) < total
                self.gateway.start()
        return visits


class _Saying:
    """Alice says numbers, a window ahead of what is acknowledged."""

    def __init__(self, alice: Client, acknowledged: int, total: int) -> None:
        self._alice, self._total = alice, total
        self.acknowledged = self.sent = acknowledged
        self._read = 0

    def until_acknowledged(self, moment: int) -> None:
        """Say so many. What is said before the gateway listens is heard by nobody: the first one knocks."""
        self._say(min(self.acknowledged + 1, self._total))
        while self.acknowledged < moment:
            self._alice.wait(lambda: len(self._alice.statuses) > self._read, f"{self.sent} is acknowledged")
            self.read()
            self.fill()

    def fill(self) -> None:
        """Say more, until the window is full."""
        while self.sent < min(self._total, self.acknowledged + WINDOW):
            self._say(self.sent + 1)

    def read(self) -> int:
        """Read what is acknowledged; how many are."""
        for status in self._alice.statuses[self._read :]:
            assert status["status"] < 128, status
            self.acknowledged = max(self.acknowledged, int(status["id"].removeprefix("n-")))
            self._read += 1
        return self.acknowledged

    def _say(self, number: int) -> None:
        self._alice.say({"to": "bob", "body": f"number {number}", "id": f"n-{number}"})
        self.sent = number


@contextmanager
def town(folder: Path, door: str) -> Iterator[Town]:
    seed = int(os.environ.get("SEED") or secrets.randbelow(1 << 32))
    print(f"seed {seed}: again with SEED={seed}")
    town = Town(folder, door, seed)
    try:
        yield town
    except BaseException:
        town.gateway.kill()
        raise
    town.gateway.end()


@pytest.mark.parametrize("door", ["store", "broker"])
@pytest.mark.parametrize(("total", "kills"), [SHORT, LONG])
def test_all_that_was_accepted_waits_in_order_over_kills(
    tmp_path: Path, door: str, total: int, kills: int
) -> None:
    with town(tmp_path, door) as place:
        place.send(total, kills)
        heard = place.hear(total, 0)[0]
    print(
        f"{total} messages, {kills} kills, {place.kills_under_way} of them with messages under way,"
        f" {len(heard) - total} came twice"
    )
    assert list(dict.fromkeys(heard)) == list(range(1, total + 1))
    if door == "store":
        assert len(heard) == total, "each once: nothing had been handed over"
    assert place.kills_under_way


@pytest.mark.parametrize(("total", "kills"), [SHORT, LONG])
def test_kills_while_it_is_handed_over_lose_nothing_and_keep_the_order(
    tmp_path: Path, total: int, kills: int
) -> None:
    with town(tmp_path, "store") as place:
        place.send(total, 0)
        visits = place.hear(total, kills)
    heard = told(visits, total, place)
    assert list(dict.fromkeys(heard)) == list(range(1, total + 1))
    for visit in visits:
        assert visit == sorted(set(visit)), "in order, and none twice on one visit"


@pytest.mark.parametrize(("total", "kills"), [pytest.param(10_000, 3, marks=LONG.marks)])
def test_kills_while_the_broker_hands_over_lose_nothing(tmp_path: Path, total: int, kills: int) -> None:
    """What bob did not acknowledge before the broker died comes late, behind what had not been sent."""
    with town(tmp_path, "broker") as place:
        place.send(total, 0)
        visits = place.hear(total, kills)
    heard = told(visits, total, place)
    assert set(heard) == set(range(1, total + 1))


def told(visits: list[list[int]], total: int, place: Town) -> list[int]:
    """All that bob heard, in order of arrival."""
    heard = [number for visit in visits for number in visit]
    print(
        f"{total} messages, {len(visits) - 1} kills, {place.kills_under_way} of them with messages to come,"
        f" {len(heard) - total} came twice"
    )
    assert place.kills_under_way
    return heard


def _new(bob: Client, heard: set[int], count: int) -> bool:
    """Whether bob has heard so many that he had not heard on earlier visits."""
    return len(bob.inbox) >= count and len({_number(each) for each in bob.inbox} - heard) >= count


def _number(message: Json) -> int:
    """The number of a message; its id and its text say the same."""
    number = int(message["id"].removeprefix("n-"))
    assert message["body"] == f"number {number}"
    return number
