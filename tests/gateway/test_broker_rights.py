"""What each broker lets whom do: nats-server, mosquitto, and one that is reached by its address."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import aiomqtt
import pytest

from boardtalk.broker import Broker, BrokerError, Login
from boardtalk.broker.client import Publisher, Subscriber

from .brokers import ALL, HOSTED, TOKENS, Person, client, hosted, logins, person, service, until

FENCE = b"the fence"


@pytest.fixture(params=ALL)
async def running(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Broker]:
    async with service(request.param, tmp_path) as made:
        yield made


async def fence(running: Broker, name: str) -> None:
    """Put something into an inbox that only the gateway can, behind all that came before."""
    async with Publisher(running.endpoint, "fence") as gateway:
        await gateway.publish(f"chat/{name}/in", FENCE)


async def next_out(running_subscriber: Subscriber) -> list[str]:
    async for batch in running_subscriber.messages():
        return [message.topic for message in batch]
    return []


@pytest.mark.parametrize("topic", ["chat/bob/in", "chat/bob/status", "chat/bob/out", "chat/alice/in"])
async def test_nobody_but_the_gateway_puts_anything_into_an_inbox(running: Broker, topic: str) -> None:
    async with (
        Subscriber(running.endpoint, "chat", {"chat/+/out": 1}) as gateway,
        person(running.endpoint, "bob", "chat/bob/in", "chat/bob/status") as bob,
        person(running.endpoint, "alice", "chat/alice/in") as alice,
    ):
        await gateway.connected()
        await alice.says(topic, "forged")
        await alice.says("chat/alice/out", "the broker has seen both")
        assert await next_out(gateway) == ["chat/alice/out"]
        await fence(running, "bob")
        await fence(running, "alice")
        await bob.hears(FENCE)
        await alice.hears(FENCE)
        assert bob.texts == alice.texts == [FENCE]


@pytest.mark.parametrize("topic", ["chat/bob/in", "chat/bob/#", "chat/+/in", "+/+/+", "#", "$MQTT/sub/#"])
async def test_nobody_hears_what_is_for_others(running: Broker, topic: str) -> None:
    async with (
        client(running.endpoint, "mallory", TOKENS["mallory"]) as curious,
        person(running.endpoint, "bob", "chat/bob/in") as bob,
    ):
        granted = await curious.subscribe([(topic, 1), ("chat/mallory/in", 1)])
        assert len(granted) == 2
        await fence(running, "bob")
        await bob.hears(FENCE)
        await fence(running, "mallory")
        async for message in curious.messages:
            assert message.topic.value == "chat/mallory/in"
            break


async def test_a_user_hears_and_says_what_is_his(running: Broker) -> None:
    async with (
        Subscriber(running.endpoint, "chat", {"chat/+/out": 1, "chat/+/stop": 0}) as gateway,
        Publisher(running.endpoint, "hub") as hub,
        person(running.endpoint, "alice", "chat/alice/#", "presence/+") as alice,
    ):
        await gateway.connected()
        await alice.says("chat/alice/out", "hello")
        assert await next_out(gateway) == ["chat/alice/out"]
        await alice.says("chat/alice/stop", "stop")
        assert await next_out(gateway) == ["chat/alice/stop"]
        for topic in ("chat/alice/in", "chat/alice/status", "presence/rover"):
            await hub.publish(topic, topic.encode())
            await alice.hears(topic)


@pytest.mark.parametrize("kind", HOSTED)
async def test_only_the_link_process_speaks_to_boards_and_says_how_they_are(
    kind: str, tmp_path: Path
) -> None:
    board = Login("rover", "rover" * 6, board=True)
    async with (
        hosted(kind, tmp_path, [*logins("alice"), board]) as running,
        Publisher(running.boards_endpoint, "link") as link,
        Publisher(running.endpoint, "hub") as hub,
        person(running.endpoint, "alice", "boards/#", "boards/+/state", "boards/rover/rx") as alice,
        person(running.endpoint, board.name, "boards/rover/rx", "boards/+/rx", token=board.token) as rover,
    ):
        await alice.says("boards/rover/rx", "forged")
        await hub.publish("boards/rover/rx", b"forged")
        await link.publish("boards/arm/rx", b"for another")
        await link.publish("boards/rover/rx", b"a frame")
        await link.publish("boards/rover/state", b"ready")
        await rover.hears("a frame")
        await alice.hears("ready")
        assert (set(rover.texts), set(alice.texts)) == ({b"a frame"}, {b"ready"})  # twice: filters overlap


@pytest.mark.parametrize(
    ("name", "token"),
    [
        (None, None),
        ("alice", None),
        ("alice", ""),
        ("alice", "wrong" * 8),
        ("alice", TOKENS["bob"]),
        ("nobody", TOKENS["bob"]),
        ("_gateway", TOKENS["bob"]),
        ("_link", TOKENS["bob"]),
        ("_board_alice", TOKENS["alice"]),
        ("", ""),
    ],
)
async def test_without_the_right_token_nobody_gets_in(
    running: Broker, name: str | None, token: str | None
) -> None:
    with pytest.raises(aiomqtt.MqttError):
        async with client(running.endpoint, name, token):
            pass


async def test_a_retained_message_is_told_apart_from_a_live_one(running: Broker) -> None:
    async with person(running.endpoint, "alice") as alice:
        await alice.says("chat/alice/out", "rover: forward 20", retain=True)
    async with Subscriber(running.endpoint, "chat", {"chat/+/out": 1}) as gateway:
        async for (message,) in gateway.messages():
            assert message.retain
            break


@pytest.mark.parametrize("kind", HOSTED)
async def test_s11_the_state_of_robots_that_one_may_not_see_is_nothing_to_be_read(
    kind: str, tmp_path: Path
) -> None:
    async with hosted(kind, tmp_path, logins("alice", "bob")) as running:
        async with person(running.endpoint, "alice", "chat/alice/in", "boards/arm/state") as alice:
            running.reload([Login("alice", TOKENS["alice"], robots=("rover",)), *logins("bob")])
            async with asyncio.timeout(10):  # also who listened before hears nothing more
                while await _still_hears(running, alice):
                    pass
        async with asyncio.timeout(10):  # she may come again
            while not await _may_come(running, "alice"):
                await asyncio.sleep(0.01)
        topics = ("boards/+/state", "boards/arm/state", "boards/rover/state", "chat/alice/in")
        async with (
            person(running.endpoint, "alice", *topics) as alice,
            person(running.endpoint, "bob", "boards/+/state") as bob,
        ):
            await _states_said(running)
            await alice.hears(b"rover")
            await bob.hears(b"arm")
            await fence(running, "alice")
            await alice.hears(FENCE)
            assert b"arm" not in alice.texts


async def test_a_disk_that_refuses_just_then_keeps_nobody_out_for_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """nats-server: who may read less is shut out for a moment, and let in again by a second file."""
    async with hosted("nats-server", tmp_path, logins("alice")) as running:
        running.reload([Login("alice", TOKENS["alice"], robots=())])
        refused = []

        def refuse(*_: object) -> None:
            refused.append(1)
            monkeypatch.undo()
            raise BrokerError("no space left on device")

        monkeypatch.setattr(running, "_write", refuse)
        async with asyncio.timeout(20):
            while not (refused and await _may_come(running, "alice")):
                await asyncio.sleep(0.05)


async def _still_hears(running: Broker, alice: Person) -> bool:
    """Whether states still come to her; a broker takes a moment to read its logins again."""
    heard = len(alice.texts)
    await _states_said(running)
    await asyncio.sleep(0.2)
    return len(alice.texts) > heard


async def _may_come(running: Broker, name: str) -> bool:
    with contextlib.suppress(aiomqtt.MqttError):
        async with client(running.endpoint, name, TOKENS[name]):
            return True
    return False


async def _states_said(running: Broker) -> None:
    """Have the process that talks to boards tell of two."""
    async with Publisher(running.boards_endpoint, "link") as link:
        for robot in ("arm", "rover"):
            await link.publish(f"boards/{robot}/state", robot.encode())


# ── users come and go ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", HOSTED)
async def test_a_removed_user_loses_access_and_the_others_stay(kind: str, tmp_path: Path) -> None:
    async with (
        hosted(kind, tmp_path, logins("alice", "bob")) as running,
        person(running.endpoint, "alice", "chat/alice/in") as alice,
        person(running.endpoint, "bob", "chat/bob/in") as bob,
    ):
        running.reload(logins("bob"))
        await until(lambda: alice.cut_off, "alice is cut off")
        with pytest.raises(aiomqtt.MqttError):
            async with client(running.endpoint, "alice", TOKENS["alice"]):
                pass
        await fence(running, "bob")
        await bob.hears(FENCE)
        assert not bob.cut_off


async def test_s04_who_has_another_role_is_cut_off_within_2_s_and_may_come_again(tmp_path: Path) -> None:
    before, after = (Login("alice", TOKENS["alice"], role=role) for role in ("operator", "viewer"))
    async with (
        hosted("nats-server", tmp_path, [before, *logins("bob")]) as running,
        person(running.endpoint, "alice", "chat/alice/in") as alice,
        person(running.endpoint, "bob", "chat/bob/in") as bob,
    ):
        running.reload([after, *logins("bob")])
        async with asyncio.timeout(2):
            await until(lambda: alice.cut_off, "alice is cut off")
        async with asyncio.timeout(10):
            while not await _may_come(running, "alice"):
                await asyncio.sleep(0.01)
        assert not bob.cut_off


@pytest.mark.parametrize("kind", HOSTED)
async def test_a_renewed_token_replaces_the_old_one(kind: str, tmp_path: Path) -> None:
    fresh = "fresh" * 6
    async with (
        hosted(kind, tmp_path, logins("alice")) as running,
        person(running.endpoint, "alice", "chat/alice/in") as alice,
    ):
        running.reload([Login("alice", fresh)])
        await until(lambda: alice.cut_off, "the old token no longer counts")
        async with person(running.endpoint, "alice", "chat/alice/in", token=fresh) as again:
            await fence(running, "alice")
            await again.hears(FENCE)


@pytest.mark.parametrize("kind", HOSTED)
async def test_an_added_user_gets_in(kind: str, tmp_path: Path) -> None:
    async with hosted(kind, tmp_path) as running:
        running.reload(logins("alice"))

        async def gets_in() -> bool:
            try:
                async with client(running.endpoint, "alice", TOKENS["alice"]):
                    return True
            except aiomqtt.MqttError:
                return False

        async with asyncio.timeout(5):
            while not await gets_in():
                await asyncio.sleep(0.02)


# ── what a broker shows to the outside ───────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", HOSTED)
async def test_it_listens_on_this_machine_only(kind: str, tmp_path: Path) -> None:
    async with hosted(kind, tmp_path, websocket_port=0) as running:
        assert running.pid
        found = listening(running.pid)
        assert {running.endpoint.port, running.websocket_port} <= {port for _, port in found}
        assert {address for address, _ in found} == {"127.0.0.1"}
        # nats-server insists on a port for its own protocol, where no login is good
        assert len(found) == (3 if kind == "nats-server" else 2)


def listening(pid: int) -> set[tuple[str, int]]:
    """Addresses that a process listens on, IPv4 as usual, IPv6 as the kernel writes it."""
    inodes = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            inodes.add(str(entry.readlink()).removeprefix("socket:[").removesuffix("]"))
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            host, port = fields[1].split(":")
            if fields[3] == "0A" and fields[9] in inodes:
                address = (
                    ".".join(str(int(host[i : i + 2], 16)) for i in (6, 4, 2, 0)) if table == "tcp" else host
                )
                found.add((address, int(port, 16)))
    return found


@pytest.mark.parametrize("kind", HOSTED)
async def test_clients_may_come_by_websocket(kind: str, tmp_path: Path) -> None:
    async with hosted(kind, tmp_path, logins("alice"), websocket_port=0) as running:
        assert running.websocket_port
        at = running.endpoint
        browser = aiomqtt.Client(
            at.host,
            running.websocket_port,
            username="alice",
            password=TOKENS["alice"],
            transport="websockets",
        )
        async with browser:
            await browser.subscribe("chat/alice/in", qos=1)
            await fence(running, "alice")
            async for message in browser.messages:
                assert message.payload == FENCE
                break


@pytest.mark.parametrize("kind", HOSTED)
async def test_its_files_are_for_their_owner_only(kind: str, tmp_path: Path) -> None:
    async with hosted(kind, tmp_path, logins("alice")) as running:
        running.reload(logins("alice", "bob"))
        files = list((tmp_path / "secrets").iterdir())
        assert files
        assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
        assert {(tmp_path / name).stat().st_mode & 0o777 for name in ("secrets", f"broker/{kind}")} == {0o700}
