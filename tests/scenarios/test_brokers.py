"""The same chat over mosquitto, and over a broker that somebody else runs."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from .people import Join, Person, login_works
from .rig import Gateway, boardtalk, free_port

CONFIGURATION = """\
broker mosquitto {{
  port = {port}
}}
group team {{
  members = alice, bob
}}
"""


@pytest.fixture(scope="module")
def mosquitto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    if not shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin"):
        pytest.skip("mosquitto is not installed")
    folder = tmp_path_factory.mktemp("brokers")
    port = free_port()
    conf: Path = folder / "gateway.conf"
    conf.write_text(CONFIGURATION.format(port=port))
    with Gateway(folder / "state", "run", "--conf", str(conf), port=port) as gateway:
        yield gateway


def test_a_taken_port_is_refused_in_words(mosquitto: Gateway, tmp_path: Path) -> None:
    conf = tmp_path / "gateway.conf"
    conf.write_text(f"broker {{\n  port = {mosquitto.port}\n}}\nmodule iot_bridge {{\n}}\n")
    refused = boardtalk("run", "--conf", str(conf), state=tmp_path / "state")
    assert refused.code == 2
    assert f"127.0.0.1:{mosquitto.port}" in refused.err
    assert "Warning" not in refused.err
    assert mosquitto.alive


def test_people_talk_over_mosquitto(mosquitto: Gateway, join: Join) -> None:
    alice, bob = join(mosquitto, "alice"), join(mosquitto, "bob")
    for number in range(200):
        alice.say({"to": "bob", "body": f"{number}", "id": f"m{number}"})
    bob.wait(lambda: len(bob.inbox) >= 200, "all messages")
    assert [message["body"] for message in bob.inbox] == [f"{n}" for n in range(200)]


def test_a_message_to_a_group_reaches_its_members(mosquitto: Gateway, join: Join) -> None:
    alice, bob = join(mosquitto, "alice"), join(mosquitto, "bob")
    alice.say("team: coffee?")
    assert bob.hears("coffee")["from"] == "alice"


def test_mosquitto_lets_nobody_in_without_a_token(mosquitto: Gateway) -> None:
    mosquitto.token("alice")
    assert not login_works(mosquitto, None)
    assert not login_works(mosquitto, "alice", "wrong")
    assert login_works(mosquitto, "alice", mosquitto.token("alice"))


def test_mosquitto_refuses_forged_and_foreign_messages(mosquitto: Gateway, join: Join) -> None:
    alice, bob = join(mosquitto, "alice"), join(mosquitto, "bob")
    alice.publish("chat/bob/in", '{"from": "rover", "to": "bob", "body": "forged"}')
    alice.subscribe("chat/#")
    bob.say({"to": "bob", "body": "note to myself"})
    bob.hears("note to myself")
    assert [message["body"] for message in bob.inbox] == ["note to myself"]
    assert not [message for message in alice.inbox if "note" in str(message)]


def test_clients_are_back_after_mosquitto_was_killed(mosquitto: Gateway, join: Join) -> None:
    alice: Person = join(mosquitto, "alice")
    sessions = alice.sessions
    mosquitto.signal("mosquitto", signal.SIGKILL)
    alice.wait(lambda: alice.sessions > sessions, "connected and subscribed again", within=5)
