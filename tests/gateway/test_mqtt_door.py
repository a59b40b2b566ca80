"""The MQTT door: a real hub behind it, real brokers and ordinary clients before it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from boardtalk.broker import Endpoint, Login
from boardtalk.broker.client import Publisher
from boardtalk.broker.embedded import NatsServer
from boardtalk.events import Delivery
from boardtalk.frontends.intake import Intake
from boardtalk.frontends.mqtt import MqttDoor
from boardtalk.hub import sessions
from boardtalk.hub.calls import Calls
from boardtalk.hub.hub import Hub
from boardtalk.people.directory import Directory, Group
from boardtalk.people.users import Account, Audience, Users
from boardtalk.sdk import Contact, Kind, Role
from boardtalk.sdk.mqtt import packets
from boardtalk.store.store import Store

from .brokers import HOSTED, Person, hosted, person, until

MESSAGES = 1_000


@asynccontextmanager
async def gateway(folder: Path, users: Users, broker: Any) -> AsyncIterator[MqttDoor]:
    async with (
        Store.open(folder / "store.db") as store,
        Hub(store, Directory(users, {"team": Group(("alice", "bob"))})) as hub,
        Intake(hub, folder) as intake,
        Calls(hub) as calls,
        MqttDoor(broker, hub, intake, calls) as door,
    ):
        yield door


class Elsewhere:
    """A broker that somebody else runs."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint

    async def listeners(self) -> None:
        pass


class Rig:
    """Alice and bob at their clients, a broker, a gateway."""

    def __init__(self, broker: Any, users: Users, stack: AsyncExitStack, hub: Hub) -> None:
        self.broker = broker
        self.hub = hub
        self.tells = isinstance(broker, NatsServer)
        """Whether this broker tells who listens."""
        self._users = users
        self._stack = stack

    def account(self, name: str) -> Account:
        account = self._users.get(name)
        assert account
        return account

    def visit(self, name: str, *topics: str) -> AbstractAsyncContextManager[Person]:
        return person(self.broker.endpoint, name, *topics, token=self.account(name).token)

    async def join(self, name: str, *more: str) -> Person:
        arriving = self.visit(name, f"chat/{name}/in", f"chat/{name}/status", *more)
        return await self._stack.enter_async_context(arriving)


@pytest.fixture(params=HOSTED)
async def rig(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Rig]:
    users = Users.load(tmp_path / "secrets", {"alice": Role.OPERATOR, "bob": Role.VIEWER})
    logins = [Login(account.address, account.token) for account in users]
    async with AsyncExitStack() as stack:
        broker = await stack.enter_async_context(hosted(request.param, tmp_path, logins))
        door = await stack.enter_async_context(gateway(tmp_path, users, broker))
        await door.connected()
        yield Rig(broker, users, stack, door._hub)


def envelope(**parameters: Any) -> str:
    return json.dumps(parameters)


async def test_a_message_reaches_its_recipient(rig: Rig) -> None:
    alice, bob = await rig.join("alice"), await rig.join("bob")
    await alice.says("chat/alice/out", "bob: hello\n\N{WAVING HAND SIGN}")
    got = json.loads((await bob.hears("hello")).payload)
    assert got["from"] == "alice"
    assert got["to"] == "bob"
    assert got["body"] == "hello\n\N{WAVING HAND SIGN}"
    assert got["at"].endswith("Z")


async def test_an_envelope_is_told_what_became_of_it(rig: Rig) -> None:
    alice, bob = await rig.join("alice"), await rig.join("bob")
    await alice.says("chat/alice/out", envelope(to="bob", body="hello", id="m1"))
    await bob.hears("hello")
    status = await alice.hears('"accepted"', "/status")
    assert json.loads(status.payload)["id"] == "m1"


async def test_a_receipt_tells_that_it_was_read(rig: Rig) -> None:
    alice, bob = await rig.join("alice"), await rig.join("bob")
    await alice.says("chat/alice/out", envelope(to="bob", body="hello", id="m1", flags=2))
    await bob.hears("hello")
    await bob.says("chat/bob/read", envelope(id="m1"))
    await bob.hears("the receipt is not understood")
    await bob.says("chat/bob/read", json.dumps({"from": "alice", "id": "m1"}))
    status = json.loads((await alice.hears('"read"', "/status")).payload)
    assert (status["id"], status["status"], status["detail"]) == ("m1", 3, "bob has read it")


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        ("hello", "as in `rover: forward 20`"),
        ("bbo: hello", "did you mean bob"),
        (b"bob: \xff", "not UTF-8"),
        (b"bob: \x1b[2J", "control character U+001B"),
        ("bob: ", "empty"),
        ("x" * 1_000_000, "1,000,000 bytes"),
        ('{"to": "bob"', "not understood"),
        ('{"to": "bob", "bdoy": "x"}', "did you mean `body`"),
    ],
)
async def test_what_can_not_be_read_is_answered_in_words(rig: Rig, payload: str | bytes, words: str) -> None:
    alice = await rig.join("alice")
    await alice.says("chat/alice/out", payload)
    answer = await alice.hears(words, "/in")
    assert json.loads(answer.payload)["from"] == "gateway"


async def test_a_stop_is_carried_out_or_said_not_to_be(rig: Rig) -> None:
    alice = await rig.join("alice")
    await alice.says("chat/alice/stop", "stop")
    await alice.hears("STOP NOT CARRIED OUT")  # there is no link process here


@pytest.mark.parametrize("words", ["stop rover", "Rover, stop!", "stop: rover"])
async def test_c07_who_says_which_robot_is_to_stop_stops_it_whomever_he_talked_to(
    rig: Rig, words: str
) -> None:
    rig.hub.directory.register("iot_bridge", Contact(address="rover", kind=Kind.ROBOT, online=True))
    alice = await rig.join("alice")
    await alice.says("chat/alice/out", "bob: the rover is yours")
    await alice.says("chat/alice/out", words)
    await alice.hears("STOP NOT CARRIED OUT")  # there is no link process here


@pytest.mark.parametrize("lane", ["stop", "out"])
@pytest.mark.parametrize(
    ("body", "stops"), [("stop", "rover"), ("please stop now!", "rover"), ("stop all", "gateway")]
)
async def test_an_envelope_stops_whom_it_is_for_and_its_status_has_its_id(
    rig: Rig, lane: str, body: str, stops: str
) -> None:
    for name in ("rover", "otto"):
        rig.hub.directory.register("iot_bridge", Contact(address=name, kind=Kind.ROBOT, online=True))
    alice = await rig.join("alice")
    await alice.says(f"chat/alice/{lane}", envelope(to="rover", body=body, id="s1"))
    status = json.loads((await alice.hears('"unknown"', "/status")).payload)  # there is no link process here
    assert (status["id"], status["to"]) == ("s1", stops)
    answer = json.loads((await alice.hears("STOP NOT CARRIED OUT")).payload)
    assert answer["refid"] == "s1"


@pytest.mark.parametrize(
    ("payload", "stops", "id_"),
    [
        ('{"to": "rover", "body": "stop", "id": "s1", "speed": 9}', "rover", "s1"),
        ('{"to": "rover", "body": "Please stop!", "at": "noon"}', "rover", "~0"),
        ('{"body": "stop"}', "gateway", "~0"),
        ('{"body": "stop rover"}', "rover", "~0"),
        ('{"to": "rover", "body": "stop", "id": "s1"', "rover", "~0"),
        ("{'to': 'rover', 'body': 'stop'}", "rover", "~0"),
        ("{to: rover, body: stop}", "rover", "~0"),
        ('{"to": 7, "body": "stop"}', "gateway", "~0"),
        ('{"to": "rover", "body": "stop", "expiry": -1}', "rover", "~0"),
        (b'{"to": "rover", "body": "stop\xff"}', "rover", "~0"),
        (b"stop\xff", "gateway", "~0"),
        (b"rover: stop\x00", "rover", "~0"),
        ("\ufeffstop", "gateway", "~0"),
    ],
)
async def test_c07_what_can_not_be_read_stops_if_it_is_plainly_a_stop(
    rig: Rig, payload: str | bytes, stops: str, id_: str
) -> None:
    rig.hub.directory.register("iot_bridge", Contact(address="rover", kind=Kind.ROBOT, online=True))
    alice = await rig.join("alice")
    await alice.says("chat/alice/out", payload)
    status = json.loads((await alice.hears('"unknown"', "/status")).payload)  # there is no link process here
    assert (status["id"], status["to"]) == (id_, stops)
    await alice.hears("STOP NOT CARRIED OUT")


@pytest.mark.parametrize(
    "payload",
    [
        '{"to": "rover", "body": "don\'t stop", "speed": 9}',
        '{"to": "bob", "body": "stop", "speed": 9}',
        '{"to": "rover", "note": "stop"}',
        '{"stop": false, "speed": 9}',
        '{"to": "bob", "body": "he wrote body: stop", "speed": 9}',
        b"bob: stop\xff",
        '{"to": "rover", "body": "stop", "note": "' + 1100 * "x" + '"}',
        b"\x07\xf3stop\x9c\x01 k\xd5body\x00",
    ],
)
async def test_other_things_that_can_not_be_read_stop_nothing(rig: Rig, payload: str | bytes) -> None:
    rig.hub.directory.register("iot_bridge", Contact(address="rover", kind=Kind.ROBOT, online=True))
    alice = await rig.join("alice")
    await alice.says("chat/alice/out", "bob: hello")
    await alice.says("chat/alice/out", payload)
    await alice.hears('"rejected"')
    assert not any(b"STOP" in text for text in alice.texts)


@pytest.mark.parametrize(
    ("payload", "stops", "id_"),
    [
        ('{"to": "rover", "body": "forward 20", "id": "s1"}', "rover", "s1"),
        ('{"to": "bob", "body": "stop", "id": "s1"}', "gateway", "s1"),
        ('{"to": "nobody", "body": "stop", "id": "s1"}', "gateway", "s1"),
        ('{"to": "rover", "body": "stop", "id": "s1", "speed": 9}', "gateway", "s1"),
        ('{"to": "rover", "body": "stop", "id": "s1"', "gateway", "~0"),
        (b'{"to": "rover\xff"}', "gateway", "~0"),
        ("{" * 100_000, "gateway", "~0"),
        ("", "gateway", "~0"),
    ],
)
async def test_whatever_comes_in_the_lane_of_stops_stops_all_if_it_names_no_robot(
    rig: Rig, payload: str | bytes, stops: str, id_: str
) -> None:
    rig.hub.directory.register("iot_bridge", Contact(address="rover", kind=Kind.ROBOT, online=True))
    alice = await rig.join("alice")
    await alice.says("chat/alice/stop", payload)
    status = json.loads((await alice.hears('"unknown"', "/status")).payload)
    assert (status["id"], status["to"]) == (id_, stops)


async def test_presence_tells_who_is_there_and_whether_the_gateway_is(rig: Rig) -> None:
    alice = await rig.join("alice", "presence/+")
    for name, online in (("gateway", True), ("alice", rig.tells), ("bob", False)):
        await until(lambda: presence(alice).get(name) is online, f"{name} online: {online}")  # noqa: B023


async def test_presence_that_is_not_for_everybody_goes_to_the_others_alone(rig: Rig) -> None:
    alice, bob = await rig.join("alice", "presence/+"), await rig.join("bob", "presence/+", "chat/bob/#")
    rig.hub.presence.show_to("alice", Audience.GROUPS)  # she shares one with bob
    with rig.hub.attach("alice"):
        here = await bob.hears('"online":true', "chat/bob/presence/alice")
        assert here.retain is False
    await bob.hears('"online":false', "chat/bob/presence/alice")
    await until(lambda: presence(alice).get("alice") is False, "the others see her away")
    assert not [
        each for each in alice.heard if each.topic.value == "presence/alice" and b"true" in each.payload
    ]


async def test_presence_stands_right_at_a_broker_that_remembers_what_is_no_longer_true(
    tmp_path: Path,
) -> None:
    """It outlives the gateway: a robot is gone meanwhile, a user was removed, another went away unseen."""
    users = Users.load(tmp_path / "secrets", {"alice": Role.OPERATOR})
    bob = users.change("add", "bob", Role.VIEWER).token
    token = users.get("alice").token  # type: ignore[union-attr]
    async with hosted("mosquitto", tmp_path, [Login("alice", token), Login("bob", bob)]) as broker:
        async with gateway(tmp_path, users, broker) as door:
            door._hub.directory.register(
                "iot_bridge", Contact(address="rover", kind=Kind.ROBOT, online=True, state="ready")
            )
            door._hub.presence.publish("rover", online=True, state="ready")
            with door._hub.attach("bob"), door._hub.attach("alice"):
                await door.connected()
                async with person(broker.endpoint, "alice", "presence/+", token=token) as alice:
                    expected = dict.fromkeys(("gateway", "team", "rover", "bob", "alice"), True)
                    await until(lambda: presence(alice) == expected, "all are there")
                    with door._hub.attach("alice"):
                        pass
        users.change("remove", "bob")
        async with (
            gateway(tmp_path, users, broker) as door,
            person(broker.endpoint, "alice", "presence/+", token=token) as alice,
        ):
            await door.connected()
            expected = {"gateway": True, "team": True, "alice": False}
            await until(lambda: presence(alice) == expected, "only who is known")
        async with person(broker.endpoint, "alice", "presence/+", token=token) as alice:
            expected["gateway"] = False
            await until(lambda: presence(alice) == expected, "and so it stays")


@pytest.mark.parametrize("killed", [True, False])
async def test_who_left_while_more_happened_than_is_kept_for_a_broker_is_offline_there(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, killed: bool
) -> None:
    monkeypatch.setattr(sessions, "MAX_SESSION_EVENTS", 10)
    with rig.hub.attach("bob"):
        alice = await rig.join("alice", "presence/+")
        await until(lambda: presence(alice).get("bob") is True, "bob online")
        pid = rig.broker.pid
        if killed:
            os.kill(pid, signal.SIGKILL)
        for number in range(30):
            rig.hub.presence.publish("rover", online=True, state=f"{number}")
    if killed:
        await until(lambda: rig.broker.pid not in {pid, None}, "a new broker")
        async with Publisher(rig.broker.endpoint, "probe") as probe:
            await probe.connected()
    again = await rig.join("alice", "presence/+")
    await until(lambda: presence(again).get("gateway") is True, "gateway online")
    await until(lambda: presence(again).get("bob") is False, "bob offline")


def presence(person: Person) -> dict[str, bool]:
    """The last that was heard of each; nothing of whom nobody knows any more."""
    last = {
        message.topic.value.split("/")[1]: message.payload
        for message in person.heard
        if message.topic.value.startswith("presence/")
    }
    return {name: json.loads(payload)["online"] for name, payload in last.items() if payload}


# Who listens ----------------------------------------------------------------------------------

telling = pytest.mark.parametrize("rig", ["nats-server"], indirect=True)
"""The broker that tells who listens."""


@telling
async def test_who_is_away_gets_what_was_said_when_he_comes(rig: Rig) -> None:
    alice = await rig.join("alice")
    for number in range(3):
        await alice.says("chat/alice/out", envelope(to="bob", body=f"waits {number}", id=f"m{number}"))
    await alice.hears('"m2"', "/status")
    assert not [text for text in alice.texts if b'"done"' in text]
    bob = await rig.join("bob")
    await bob.hears("waits 2")
    assert [json.loads(text)["body"] for text in bob.texts] == ["waits 0", "waits 1", "waits 2"]
    await alice.says("chat/alice/out", "bob: now")
    await bob.hears("now")


@telling
async def test_what_nobody_listens_to_at_the_broker_waits_for_another_way(rig: Rig) -> None:
    alice = await rig.join("alice")
    async with rig.visit("bob", "chat/bob/#"):
        await until(lambda: rig.hub.directory.is_online("bob"), "bob is there")
    await until(lambda: not rig.hub.directory.is_online("bob"), "bob is away")
    await alice.says("chat/alice/out", envelope(to="bob", body="where are you?", id="m1"))
    await alice.hears('"accepted"', "/status")
    with rig.hub.attach("bob") as session:
        async for batch in session.events():
            if found := [event for event in batch if isinstance(event, Delivery)]:
                break
    assert [each.message.body for each in found] == ["where are you?"]


@telling
async def test_only_if_online_is_taken_at_its_word(rig: Rig) -> None:
    alice = await rig.join("alice")
    await alice.says("chat/alice/out", envelope(to="bob", body="1", to_online=True))
    await alice.hears("bob is not online")
    bob = await rig.join("bob")
    await until(lambda: rig.hub.directory.is_online("bob"), "bob is there")
    await alice.says("chat/alice/out", envelope(to="bob", body="2", to_online=True))
    await bob.hears('"2"')
    assert len(bob.texts) == 1


@telling
async def test_those_who_come_to_the_broker_and_leave_it_are_seen(rig: Rig) -> None:
    alice = await rig.join("alice", "presence/+")
    async with rig.visit("bob", "chat/bob/in"):
        await until(lambda: presence(alice).get("bob") is True, "bob online")
    await until(lambda: presence(alice).get("bob") is False, "bob offline")
    with rig.hub.attach("bob"):
        async with rig.visit("bob", "chat/bob/in"):
            await until(lambda: presence(alice).get("bob") is True, "bob online")
            await asyncio.sleep(1)
        await asyncio.sleep(1)
        assert presence(alice)["bob"] is True  # he is there by another way
    await until(lambda: presence(alice).get("bob") is False, "bob offline")


@telling
async def test_who_hears_only_how_his_messages_fare_is_not_there(rig: Rig) -> None:
    async with rig.visit("bob", "chat/bob/status"):
        await asyncio.sleep(1)
        assert not rig.hub.directory.is_online("bob")


@pytest.mark.parametrize("rig", ["mosquitto"], indirect=True)
async def test_where_the_broker_never_tells_everybody_may_be_there(rig: Rig) -> None:
    alice = await rig.join("alice")
    await alice.says("chat/alice/out", envelope(to="bob", body="hello", id="m1"))
    await alice.hears('"done"', "/status")


async def test_who_repeats_what_was_not_accepted_is_heard_after_the_broker_was_killed(rig: Rig) -> None:
    os.kill(rig.broker.pid, signal.SIGKILL)
    await until(lambda: rig.broker.pid, "a new broker")
    async with Publisher(rig.broker.endpoint, "probe") as probe:
        await probe.connected()
    alice, bob = await rig.join("alice"), await rig.join("bob")
    async with asyncio.timeout(5):
        while not alice.heard:
            await alice.says("chat/alice/out", envelope(to="bob", body="hello again", id="m1"))
            await asyncio.sleep(0.1)
    await alice.says("chat/alice/out", "bob: that is all")
    await bob.hears("that is all")
    assert [json.loads(text)["body"] for text in bob.texts] == ["hello again", "that is all"]


async def test_many_messages_with_ids_arrive_once_and_in_order(rig: Rig) -> None:
    alice, bob = await rig.join("alice"), await rig.join("bob")
    async with asyncio.TaskGroup() as tasks:
        for number in range(MESSAGES):
            text = envelope(to="bob", body=f"load {number}", id=f"m{number}")
            tasks.create_task(alice.says("chat/alice/out", text))
            if number % 500 == 0:
                await asyncio.sleep(0)
    await until(lambda: len(bob.heard) >= MESSAGES, "all have arrived", within=30)
    assert [json.loads(text)["body"] for text in bob.texts] == [f"load {n}" for n in range(MESSAGES)]


async def test_a_retained_command_is_not_acted_on_and_its_sender_is_told(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    users = Users.load(tmp_path / "secrets", {"alice": Role.OPERATOR, "bob": Role.OPERATOR})
    token = {account.address: account.token for account in users}
    async with (
        hosted("nats-server", tmp_path, [Login(*each) for each in token.items()]) as broker,
        person(broker.endpoint, "alice", "chat/alice/in", token=token["alice"]) as alice,
        person(broker.endpoint, "bob", "chat/bob/in", token=token["bob"]) as bob,
    ):
        await alice.says("chat/alice/out", "bob: kept", retain=True)
        await alice.says("chat/alice/stop", "stop", retain=True)
        async with gateway(tmp_path, users, broker):
            await alice.hears("a retained message is never acted on")
            await alice.says("chat/alice/out", "bob: live")
            await bob.hears("live")
            assert len(bob.heard) == 1
            assert not any(b"STOP" in text for text in alice.texts)


# ── a broker that hands something over twice ─────────────────────────────────────────────────────

REPEATED = (b"alice: plain", b'{"to":"alice","body":"with an id","id":"1"}', b"stop")


async def repeating(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, said: list[bytes]) -> None:
    """A broker that lets everybody in, hands over messages as repetitions, and notes what is said."""
    while head := await reader.read(1):
        size = shift = 0
        while (digit := (await reader.readexactly(1))[0]) >= 0x80:
            size |= (digit & 0x7F) << shift
            shift += 7
        body = await reader.readexactly(size | digit << shift)
        match head[0] & 0xF0:
            case 0x10:
                writer.write(b"\x20\x02\x00\x00")
            case 0x80:
                writer.write(b"\x90\x03\x00\x01\x01")
                for number, text in enumerate(REPEATED if b"chat/+/out" in body else (), 1):
                    writer.write(packets.again(packets.publish("chat/alice/out", text, number)))
            case 0x30:
                said.append(body)


async def test_plain_text_that_may_be_a_repetition_is_refused_an_envelope_or_a_stop_is_not(
    tmp_path: Path,
) -> None:
    users = Users.load(tmp_path / "secrets", {"alice": Role.OPERATOR})
    said: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await repeating(reader, writer, said)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        at = Endpoint("127.0.0.1", server.sockets[0].getsockname()[1], "u", "p")
        async with gateway(tmp_path, users, Elsewhere(at)):
            await until(lambda: b"may be a repetition" in b"".join(said), "plain text is refused")
            await until(lambda: b'"body":"with an id"' in b"".join(said), "the envelope is taken")
            await until(lambda: b"STOP NOT CARRIED OUT" in b"".join(said), "the stop is taken")
            assert b'"body":"plain"' not in b"".join(said)
