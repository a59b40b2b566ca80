"""What is wrong gets a clear answer, and the gateway goes on."""

from __future__ import annotations

import json

import pytest

from .people import Join, Person
from .rig import Gateway

MEGABYTE = 1_000_000
TOO_LONG = "64|long|large|big"


@pytest.mark.parametrize(
    ("payload", "hint"),
    [
        pytest.param('{"to": "rover"', "JSON|envelope", id="cut off"),
        pytest.param('{"to": "rover"}', "body", id="without body"),
        pytest.param('{"body": "battery"}', r"\bto\b", id="without recipient"),
        pytest.param('{"to": "rover", "body": "battery", "colour": 1}', "colour", id="unknown key"),
        pytest.param('{"to": "rover", "body": "battery", "from": "bob"}', "from", id="another's name"),
        pytest.param('{"to": "rover", "body": 5}', "body", id="body is no text"),
        pytest.param('{"to": 5, "body": "battery"}', r"\bto\b", id="recipient is no text"),
        pytest.param('{"to": "rover", "body": "battery", "expiry": "soon"}', "expiry", id="expiry"),
        pytest.param('{"to": "rover", "body": "battery", "expiry": -1}', "expiry", id="in the past"),
        pytest.param('{"to": "rover", "body": "battery", "type": 1e400}', "type|number", id="inf"),
        pytest.param(json.dumps({"to": "rover", "body": "x", "id": "x" * 65}), r"\bid\b", id="long id"),
        pytest.param('{"to": "rover", "body": "x", "id": 7}', r"\bid\b", id="id is a number"),
        pytest.param('{"to": "Ro/ver #", "body": "battery"}', "address|Ro/ver", id="no address"),
        pytest.param('{"to": "nobody", "body": "battery"}', "nobody", id="unknown recipient"),
        pytest.param("nobody: battery", "nobody", id="unknown recipient, plain"),
        pytest.param("{" * 10_000, "JSON|envelope", id="deeply nested"),
        pytest.param(b"rover: \xff\xfe\xfd", "UTF-8", id="no UTF-8"),
        pytest.param(b'{"to": "rover", "body": "\xff"}', "UTF-8", id="no UTF-8 in an envelope"),
        pytest.param("rover: forward\0 20", "", id="NUL"),
        pytest.param("rover: \x1b[2Jforward 20", "", id="escape sequence"),
        pytest.param("rover: " + "forward " * 1000, "", id="many words"),
        pytest.param("rover: forward " + "9" * 5000, "", id="many digits"),
        pytest.param("rover: " + "x" * 65_537, TOO_LONG, id="over 64 kB"),
        pytest.param("rover: " + "x" * MEGABYTE, TOO_LONG, id="1 MB"),
        pytest.param(
            json.dumps({"to": "rover", "body": "x" * 65_537, "id": "big"}),
            TOO_LONG,
            id="big envelope",
        ),
    ],
)
def test_bad_messages_are_answered(alice: Person, payload: str | bytes, hint: str) -> None:
    since = len(alice.inbox)
    alice.say(payload)
    answer = alice.hears(hint, since)
    assert "Traceback" not in answer["body"]
    assert len(answer["body"]) < 2000, "an answer does not repeat what was too long"
    assert alice.do("battery").state == "done"


def test_bad_messages_are_never_executed(alice: Person) -> None:
    answer = alice.do("forward\0 20")
    assert "started" not in answer.states


def test_an_empty_message_is_no_harm(alice: Person) -> None:
    for payload in ("", " ", "\n", "rover:", ":", "{}", "[]", "null", "0"):
        alice.say(payload)
    assert alice.do("battery").state == "done"


def test_noise_on_the_stop_lane_is_no_harm(alice: Person) -> None:
    for payload in (b"", b"\xff\xfe", b"{", b"x" * 65_537, b"rover: forward 20"):
        alice.say(payload, topic="stop")
    alice.insist("battery")  # what one of these stops overtakes is rejected


@pytest.mark.parametrize(
    "text",
    [b"", b" ", b"\xff\xfe", b"x" * 100_000, "🤖".encode(), b"{}", b"\x1b[31m"],
    ids=lambda text: repr(text)[:24],
)
def test_the_terminal_refuses_what_is_wrong(demo: Gateway, text: bytes) -> None:
    answer = demo.cli("chat", "rover", text)
    assert answer.code in (1, 2)
    assert answer.text
    assert len(answer.text) < 2000


@pytest.mark.parametrize("address", ["", "Ro ver", "a/b", "#", "x" * 33, "ä", "nobody"])
def test_the_terminal_refuses_what_is_no_recipient(demo: Gateway, address: str) -> None:
    answer = demo.chat(address, "battery")
    assert answer.code in (1, 2)
    assert answer.text


def test_hostile_texts_pass_unchanged_between_people(demo: Gateway, join: Join, alice: Person) -> None:
    bob = join(demo, "bob")
    texts = [
        "<script>alert(1)</script>",
        "'; DROP TABLE messages; --",
        "a: b: c",
        "{not json}",
        "line one\nline two\ttab",
        "\u202eright to left",
        "%s %n {0} ${HOME} $(id) `id`",
        "x" * 60_000,
    ]
    for text in texts:
        alice.say({"to": "bob", "body": text})
    alice.say("bob: the end")
    bob.hears("the end")
    assert [message["body"] for message in bob.inbox if message["from"] == "alice"][-9:-1] == texts
