"""Brokers that the gateway runs itself: start, death, restart, end, and what stands in the way."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from boardtalk import broker
from boardtalk.broker import BrokerError, Endpoint, embedded, mosquitto, supervisor
from boardtalk.broker import hosted as hosted_broker
from boardtalk.broker.client import Publisher, Subscriber
from boardtalk.broker.supervisor import Supervisor
from boardtalk.conf.blocks import EmbeddedBroker, MosquittoBroker
from tests.scenarios.rig import free_port

from .brokers import HOSTED, TOKENS, hosted, logins, person, until

BACK_S = 5.0
"""Within this time clients are back after the broker was killed."""

BLOCKS = {"nats-server": EmbeddedBroker, "mosquitto": MosquittoBroker}

pytestmark = pytest.mark.parametrize("kind", HOSTED)


async def test_clients_are_back_soon_after_the_broker_was_killed(kind: str, tmp_path: Path) -> None:
    async with (
        hosted(kind, tmp_path, logins("alice")) as running,
        Subscriber(running.endpoint, "chat", {"chat/+/out": 1}) as hearing,
        Publisher(running.endpoint, "hub") as saying,
    ):
        for _ in range(3):
            before = running.pid
            heard, said = await hearing.connected(), await saying.connected()
            assert before
            os.kill(before, signal.SIGKILL)
            async with asyncio.timeout(BACK_S):
                await hearing.connected(after=heard)
                await saying.connected(after=said)
            assert running.pid not in (None, before)
        async with person(running.endpoint, "alice", "chat/alice/in") as alice:
            await saying.publish("chat/alice/in", b"still here")
            await alice.hears("still here")


async def test_no_broker_outlives_a_killed_gateway(kind: str, tmp_path: Path) -> None:
    program = f"""
        import asyncio
        from pathlib import Path
        from boardtalk import broker
        from boardtalk.conf.blocks import EmbeddedBroker, MosquittoBroker

        async def main():
            folder = Path({str(tmp_path)!r})
            settings = {BLOCKS[kind].__name__}(port=0)
            async with broker.create(settings, folder, ()) as running:
                (folder / "pid").write_text(f"{{running.pid}}.")
                await asyncio.Event().wait()

        asyncio.run(main())
    """
    file = tmp_path / "pid"
    gateway = await asyncio.create_subprocess_exec(sys.executable, "-c", textwrap.dedent(program))
    try:
        await until(lambda: file.exists() and file.read_text().endswith("."), "the broker runs", within=20)
        pid = int(file.read_text().rstrip("."))
        assert is_running(pid)
    finally:
        gateway.kill()
        await gateway.wait()
    await until(lambda: not is_running(pid), "the broker is gone")


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


async def test_ctrl_c_in_the_terminal_does_not_reach_the_broker(kind: str, tmp_path: Path) -> None:
    async with hosted(kind, tmp_path) as running:
        assert running.pid
        assert os.getsid(running.pid) != os.getsid(0)


async def test_a_port_that_is_taken_is_named(kind: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(BrokerError, match=rf"{port}.*set another `port`.*url = mqtt://127.0.0.1:{port}"):
            async with broker.create(BLOCKS[kind](port=port), tmp_path, ()):
                pass


async def test_a_port_that_was_free_a_moment_ago_is_another_one_s_and_its_data_stay(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "broker" / kind
    store.mkdir(parents=True)
    (store / "old").touch()
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        drawn = [other.getsockname()[1]] * (2 if kind == "nats-server" else 1)  # it has a port of its own too
        monkeypatch.setattr(supervisor, "check_free", lambda *_: None)  # somebody comes right after it
        for where in (hosted_broker, embedded):
            monkeypatch.setattr(where, "free_port", lambda _: drawn.pop() if drawn else free_port())
        async with broker.create(BLOCKS[kind](port=0), tmp_path, ()) as running:
            assert not drawn
            assert running.endpoint.port == running.boards_endpoint.port != other.getsockname()[1]
    assert (store / "old").exists()


@pytest.mark.parametrize("place", ["broker", "secrets"])
async def test_a_folder_that_can_not_be_made_is_named(kind: str, tmp_path: Path, place: str) -> None:
    (tmp_path / place).write_text("something in its place")
    with pytest.raises(BrokerError, match=place):
        async with hosted(kind, tmp_path):
            pass


async def test_a_missing_program_is_named_with_the_way_to_get_it(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    with pytest.raises(BrokerError, match=rf"{kind} is not installed: .*install"):
        async with broker.create(BLOCKS[kind](port=0), tmp_path, ()):
            pass


async def test_a_damaged_store_is_set_aside(kind: str, tmp_path: Path) -> None:
    store = tmp_path / "broker" / kind
    store.mkdir(parents=True)
    (store / ("jetstream" if kind == "nats-server" else "mosquitto.db")).write_bytes(b"\x00garbage" * 100)
    async with hosted(kind, tmp_path) as running, Publisher(running.endpoint, "hub") as hub:
        await hub.connected()
    assert any((tmp_path / "broker" / f"{kind}.damaged").iterdir())


async def test_it_starts_again_with_the_state_that_it_left(kind: str, tmp_path: Path) -> None:
    for _ in range(2):
        async with hosted(kind, tmp_path) as running, Publisher(running.endpoint, "hub") as hub:
            await hub.publish("presence/rover", b"{}", retain=True)
    assert not (tmp_path / "broker" / f"{kind}.damaged").exists()


async def test_what_waits_for_somebody_absent_is_bounded(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "MAX_WAITING", 100)
    monkeypatch.setattr(mosquitto, "MAX_QUEUED", 100)
    async with hosted(kind, tmp_path, logins("alice", "bob")) as running:
        at = running.endpoint
        stay_subscribed(at, "alice")
        async with Publisher(at, "hub") as hub:
            for number in range(2000):
                await hub.publish("chat/alice/in", b"%d" % number)
            async with person(at, "bob", "chat/bob/in") as bob:
                await hub.publish("chat/bob/in", b"others are not held up")
                await bob.hears("others are not held up")
        assert 0 < waiting_for(at, "alice") <= 100 + 1024


def stay_subscribed(at: Endpoint, name: str) -> None:
    """Subscribe with a persistent session, and go."""
    run_sub(at, name, "-E")


def waiting_for(at: Endpoint, name: str) -> int:
    """Messages that a persistent session finds when it comes back."""
    return len(run_sub(at, name, "-W", "1").splitlines())


def run_sub(at: Endpoint, name: str, *more: str) -> str:
    if not shutil.which("mosquitto_sub"):
        pytest.skip("mosquitto_sub is not installed")
    command = ["mosquitto_sub", "-h", at.host, "-p", str(at.port), "-u", name, "-P", TOKENS[name]]
    command += ["-i", "phone", "-c", "-q", "1", "-t", f"chat/{name}/in", *more]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=20).stdout


# ── the supervisor alone ─────────────────────────────────────────────────────────────────────────


async def test_a_program_that_ends_at_once_is_quoted(kind: str, tmp_path: Path) -> None:
    command = ["/bin/sh", "-c", f"echo no {kind} today; exit 3"]
    with pytest.raises(BrokerError, match=f"no {kind} today"):
        async with Supervisor(command, Endpoint("127.0.0.1", 1, "x", "x"), (), tmp_path):
            pass


async def test_a_program_that_never_takes_a_login_is_given_up(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "START_TIMEOUT_S", 0.2)
    command = ["/bin/sh", "-c", f"exec sleep 60 # {kind}"]
    with pytest.raises(BrokerError, match="does not start"):
        async with Supervisor(command, Endpoint("127.0.0.1", 1, "x", "x"), (), tmp_path):
            pass


MOODY = """
import os, socket, sys

door = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    caller, _ = door.accept()
    if not os.listdir(sys.argv[2]):
        caller.recv(1000)
        caller.sendall(b"\\x20\\x02\\x00\\x00")
        caller.recv(1000)
    caller.close()
"""


async def test_c19_one_that_listens_but_lets_nobody_in_with_its_old_data_starts_without_them(
    kind: str, tmp_path: Path
) -> None:
    store, port = tmp_path / kind, free_port()
    store.mkdir()
    (store / "old").touch()
    command = [sys.executable, "-c", MOODY, str(port), str(store)]
    async with (
        asyncio.timeout(BACK_S),
        Supervisor(command, Endpoint("127.0.0.1", port, "x", "x"), (port,), store),
    ):
        assert [each.name for each in (tmp_path / f"{kind}.damaged").iterdir()] == ["old"]
