"""What people and programs say over MQTT, and what they get."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boardtalk import envelope
from boardtalk.events import Delivery, Presence, Update
from boardtalk.sdk import MAX_BODY_BYTES, Code, Message, Refused, State, Status, check_address

SCHEMA = Path(__file__).parents[2] / "docs" / "envelope.schema.json"
LARGE = "x" * MAX_BODY_BYTES


def read(payload: str | bytes, last: str | None = None) -> Message:
    return envelope.read(payload.encode() if isinstance(payload, str) else payload, "alice", last)


def refusal(payload: str | bytes, last: str | None = None) -> Refused:
    with pytest.raises(Refused) as caught:
        read(payload, last)
    return caught.value


# ── plain text ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "to", "body"),
    [
        ("rover: forward 20", "rover", "forward 20"),
        ("rover:forward 20", "rover", "forward 20"),
        ("  rover : forward 20 \r\n", "rover", "forward 20"),
        ("arm-2_b: pick", "arm-2_b", "pick"),
        ("bob: first line\nsecond\tline", "bob", "first line\nsecond\tline"),
        ("bob: see carol: she knows", "bob", "see carol: she knows"),
    ],
)
def test_an_address_and_a_colon_say_whom_it_is_for(text: str, to: str, body: str) -> None:
    assert read(text) == Message(sender="alice", to=to, body=body)


@pytest.mark.parametrize("text", ["forward 20", "https://example.org", "Note: hello", "two words: x", "-: x"])
def test_without_an_address_it_goes_to_the_last_conversation(text: str) -> None:
    assert read(text, last="bob") == Message(sender="alice", to="bob", body=text)


def test_who_talked_to_nobody_yet_is_told_how_to_address() -> None:
    refused = refusal("forward 20")
    assert refused.code is Code.BAD_ADDRESS
    assert "`rover: forward 20`" in refused.reason


# ── the envelope ─────────────────────────────────────────────────────────────────────────────────


def test_an_envelope_carries_all_message_parameters() -> None:
    parameters: dict[str, Any] = {
        "to": "rover",
        "body": "forward 20",
        "id": "m1",
        "refid": "m0",
        "groupid": "team",
        "type": 7,
        "flags": 3,
        "expiry": 0,
        "to_online": True,
        "aid": 5,
    }
    assert read(json.dumps(parameters)) == Message(sender="alice", **parameters)


def test_only_the_address_and_the_text_must_be_there() -> None:
    assert read(' {"to": "rover", "body": "stop"}') == Message(sender="alice", to="rover", body="stop")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"to": "rover", "bdoy": "x"}', "unknown key `bdoy`; did you mean `body`?"),
        ('{"to": "rover", "body": "x", "zzz": 1}', "unknown key `zzz`; known: to, body, id"),
        ('{"to": "rover", "body": "x", "from": "bob"}', "unknown key `from`"),
        ('{"to": "rover"}', "missing required field `body`"),
        ('{"body": "x"}', "missing required field `to`"),
        ('{"to": "rover", "body": 5}', "$.body"),
        ('{"to": "rover", "body": "x", "expiry": -1}', "$.expiry"),
        ('{"to": "rover", "body": "x", "expiry": 1.5}', "$.expiry"),
        ('{"to": "rover", "body": "x", "expiry": 1e99}', "$.expiry"),
        ('{"to": "rover", "body": "x", "to_online": "yes"}', "$.to_online"),
        ('{"to": "rover", "body": "x", "id": "%s"}' % ("i" * 65), "$.id"),
        ('{"to": "rover", "body": "x"', "not understood"),
        ('{"to": "rover", "body": "x"} trailing', "trailing"),
        ("{", "not understood"),
        ("{" * 50_000, "not understood"),
        ('{"to": ' + "[" * 50_000, "not understood"),
        ('{"to": "Rover", "body": "x"}', "is not an address"),
        ('{"to": "a/b", "body": "x"}', "is not an address"),
        ('{"to": "", "body": "x"}', "is not an address"),
    ],
)
def test_an_envelope_that_does_not_fit_is_refused_in_words(text: str, words: str) -> None:
    assert words in refusal(text).reason


# ── both ─────────────────────────────────────────────────────────────────────────────────────────

FORMS = ["bob: {}", '{{"to": "bob", "body": "{}"}}']


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("size", [1, MAX_BODY_BYTES - 5, MAX_BODY_BYTES - 4])
def test_a_text_of_64_kb_passes(form: str, size: int) -> None:
    size = min(size, MAX_BODY_BYTES - len("bob: ")) if form == FORMS[0] else size
    assert len(read(form.format("x" * size)).body) == size


@pytest.mark.parametrize(
    "payload",
    [
        f"bob: {LARGE}",
        f'{{"to": "bob", "body": "{LARGE}x"}}',
        '{"to": "bob", "body": "%s"}' % ("é" * (MAX_BODY_BYTES // 2 + 1)),
        "x" * 1_000_000,
        "{" + " " * 1_000_000,
    ],
)
def test_a_longer_one_is_refused_with_the_limit(payload: str) -> None:
    assert f"{MAX_BODY_BYTES:,} is the most" in refusal(payload, last="bob").reason


@pytest.mark.parametrize("payload", ["", "  \n", "bob:", "bob:  \n ", '{"to": "bob", "body": " "}'])
def test_an_empty_one_is_refused(payload: str) -> None:
    assert refusal(payload, last="bob").reason == "the message is empty"


@pytest.mark.parametrize(
    "payload", [b"bob: \xff", b'{"to": "bob", "body": "\xff"}', b"\xc3(", b"\xed\xa0\x80"]
)
def test_what_is_not_utf8_is_refused_with_its_place(payload: bytes) -> None:
    assert "not UTF-8: byte 0x" in refusal(payload, last="bob").reason


@pytest.mark.parametrize("number", [*range(9), 11, 12, 13, *range(14, 32), 127, 0x9B])
def test_control_characters_are_refused(number: int) -> None:
    assert f"U+{number:04X}" in refusal(f"bob: a{chr(number)}b").reason
    assert f"U+{number:04X}" in refusal(json.dumps({"to": "bob", "body": f"a{chr(number)}b"})).reason
    assert (
        f"U+{number:04X}" in refusal(json.dumps({"to": "bob", "body": "x", "id": f"a{chr(number)}b"})).reason
    )


@given(st.binary(max_size=300), st.one_of(st.none(), st.just("bob")))
def test_noise_is_a_message_or_refused(noise: bytes, last: str | None) -> None:
    try:
        message = read(noise, last)
    except Refused as refused:
        assert refused.reason
        return
    assert_valid(message)


@given(
    st.dictionaries(
        st.sampled_from([*envelope.Envelope.__struct_fields__, "from", "x"]),
        st.one_of(
            st.text(max_size=70), st.integers(), st.booleans(), st.none(), st.floats(), st.just("rover")
        ),
    )
)
def test_any_json_object_is_a_message_or_refused(parameters: dict[str, Any]) -> None:
    try:
        message = read(json.dumps(parameters))
    except Refused as refused:
        assert refused.reason
        return
    assert_valid(message)
    assert all(getattr(message, key) == value for key, value in parameters.items())


def assert_valid(message: Message) -> None:
    assert message.sender == "alice"
    assert check_address(message.to)
    assert message.body.strip()
    assert len(message.body.encode()) <= MAX_BODY_BYTES
    assert message.expiry is None or message.expiry >= 0


@pytest.mark.parametrize(
    ("payload", "claimed"),
    [
        (b"rover: forward 20", ""),
        (b"forward 20", ""),
        (b'{"to": "rover", "body": "x"}', ""),
        (b'{"to": "rover", "body": "x", "id": "m1"}', "m1"),
        (b'{"to": "rover", "id": "m1"}', "m1"),
        (b'{"to": "rover", "body": 7, "id": "m1", "urgent": true}', "m1"),
        (b'{"to": "rover", "body": "x", "id": "\\u001b[2J"}', ""),
        (b'{"to": "rover", "body": "x", "id": 7}', ""),
        (b'{"id": "' + b"x" * 1000 + b'"}', ""),
        (b"[" * 100_000, ""),
        (b"\xff", ""),
    ],
    ids=lambda value: str(value[:40]),
)
def test_an_envelope_tells_its_id_even_if_it_is_refused(payload: bytes, claimed: str) -> None:
    assert envelope.claimed_id(payload) == claimed


# ── what comes back ──────────────────────────────────────────────────────────────────────────────

AT = 1_795_434_515.0625
WHEN = "2026-11-23T11:48:35.062Z"


def test_a_message_tells_from_whom_and_when() -> None:
    message = Message(sender="alice", to="bob", body="hi", id="m1", row=7, accepted=3.0)
    assert json.loads(envelope.write_message(Delivery("bob", message, AT))) == {
        "from": "alice",
        "to": "bob",
        "body": "hi",
        "at": WHEN,
        "id": "m1",
    }


def test_an_answer_tells_what_it_answers_and_how_that_ended() -> None:
    message = Message(sender="rover", to="alice", body="400 cm is too far", refid="m1", aid=5)
    status = Status(code=Code.FAILED, state=State.REJECTED, detail="500 cm is the limit")
    got = json.loads(envelope.write_message(Delivery("alice", message, AT, status)))
    assert got["refid"] == "m1"
    assert got["aid"] == 5
    assert (got["status"], got["state"], got["detail"]) == (0x80, "rejected", "500 cm is the limit")


def test_a_status_names_the_message_and_its_state() -> None:
    status = Status(code=Code.DELIVERED, state=State.SENT)
    assert json.loads(envelope.write_status(Update("alice", "m1", "rover", status, AT))) == {
        "id": "m1",
        "to": "rover",
        "status": 2,
        "state": "sent",
        "at": WHEN,
    }


def test_presence_tells_who_is_there() -> None:
    assert json.loads(envelope.write_presence(Presence("rover", online=True, state="ready"))) == {
        "online": True,
        "state": "ready",
    }


@given(
    st.builds(Message, sender=st.just("alice"), to=st.just("bob"), body=st.text(), id=st.text(max_size=64))
)
def test_what_is_written_says_what_was_said(message: Message) -> None:
    got = json.loads(envelope.write_message(Delivery("bob", message, AT)))
    assert (got["from"], got["body"], got.get("id", "")) == ("alice", message.body, message.id)


@given(st.binary(max_size=300))
def test_of_whatever_comes_the_gist_is_looked_for_without_harm(payload: bytes) -> None:
    text, to = envelope.gist(payload)
    assert len(text) + len(to) <= len(payload)


@given(st.text("stop \t!"), st.sampled_from(["rover", "", "b-1"]))
def test_the_gist_of_what_can_be_read_is_what_it_says(body: str, to: str) -> None:
    text, recipient = envelope.gist(json.dumps({"to": to, "body": body, "more": 1}).encode())
    assert recipient == to
    assert text.replace("\\t", "\t").split() == body.split()


def test_the_published_schema_is_current() -> None:
    published = json.loads(SCHEMA.read_text())
    current = json.loads(msgspec.json.encode(envelope.schema()))
    assert published == current, "python -m boardtalk.envelope > docs/envelope.schema.json"


def test_the_schema_tells_what_an_envelope_takes() -> None:
    (schema,) = [part for name, part in envelope.schema()["$defs"].items() if name == "Envelope"]
    assert set(schema["properties"]) == set(envelope.Envelope.__struct_fields__)
    assert schema["required"] == ["to", "body"]
    assert schema["additionalProperties"] is False
    assert all("description" in each for each in schema["properties"].values())
