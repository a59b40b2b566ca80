"""Any ordinary MQTT client is a full member of the chat."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess

import aiomqtt
import pytest

from .people import VOLTS, Join, Person
from .rig import DEADLINE_S, Gateway, Json, until

MESSAGES = 10_000


def test_plain_text_reaches_the_board_and_its_answer_comes_back(alice: Person) -> None:
    alice.say("rover: battery")
    assert alice.hears(VOLTS.pattern)["from"] == "rover"


def test_text_without_address_goes_to_the_last_conversation(alice: Person) -> None:
    alice.say("rover: battery")
    alice.hears(VOLTS.pattern)
    since = len(alice.inbox)
    alice.say("battery")
    assert alice.hears(VOLTS.pattern, since)["from"] == "rover"


def test_an_envelope_is_answered_with_its_id_as_refid(alice: Person) -> None:
    alice.say({"to": "rover", "body": "battery", "id": "question 1"})
    assert VOLTS.search(alice.outcome("question 1").body)
    answer = next(m for m in alice.inbox if m.get("refid") == "question 1")
    assert answer["from"] == "rover"
    assert answer["at"]


def test_all_message_parameters_reach_the_recipient(demo: Gateway, join: Join, alice: Person) -> None:
    bob = join(demo, "bob")
    sent: Json = {
        "to": "bob",
        "body": "Grüße 👋",
        "id": "m-1",
        "refid": "m-0",
        "type": 7,
        "flags": 3,
    }
    alice.say(sent)
    got = bob.hears("Grüße")
    assert got["from"] == "alice"
    assert {key: got.get(key) for key in sent} == sent


def test_people_hear_of_each_other_when_somebody_answers(demo: Gateway, join: Join, alice: Person) -> None:
    bob = join(demo, "bob")
    alice.say("bob: are you there?")
    bob.hears("are you there")
    bob.say("alice: yes")
    assert alice.hears("^yes$")["from"] == "bob"


def test_mosquitto_clients_take_part(demo: Gateway) -> None:
    if not shutil.which("mosquitto_sub"):
        pytest.skip("mosquitto_sub is not installed")
    at = ["-h", demo.host, "-p", str(demo.port), "-u", "mia", "-P", demo.token("mia")]
    envelope = {"to": "rover", "body": "battery", "id": "by mosquitto"}
    reader = subprocess.Popen(
        ["mosquitto_sub", *at, "-t", "chat/mia/in", "-C", "1", "-W", str(int(DEADLINE_S))],
        stdout=subprocess.PIPE,
    )

    def answered() -> bool:
        """The reader does not tell when it has subscribed; asking again with one id is harmless."""
        line = ["-q", "1", "-t", "chat/mia/out", "-m", json.dumps(envelope)]
        subprocess.run(["mosquitto_pub", *at, *line], check=True, timeout=10)
        return reader.poll() is not None

    until(answered, "mosquitto_sub got the answer", within=DEADLINE_S + 5)
    answer = json.loads(reader.communicate()[0])
    assert answer["from"] == "rover"
    assert answer["refid"] == "by mosquitto"
    assert VOLTS.search(answer["body"])


async def test_aiomqtt_clients_take_part(demo: Gateway) -> None:
    token = await asyncio.to_thread(demo.token, "ada")
    async with (
        asyncio.timeout(DEADLINE_S),
        aiomqtt.Client(demo.host, demo.port, username="ada", password=token) as client,
    ):
        await client.subscribe("chat/ada/in", qos=1)
        await client.publish("chat/ada/out", "rover: battery", qos=1)
        async for message in client.messages:
            assert isinstance(message.payload, bytes)
            answer = json.loads(message.payload)
            if VOLTS.search(answer["body"]):
                break
    assert answer["from"] == "rover"


def test_ten_thousand_messages_arrive_once_each_and_in_order(
    demo: Gateway, join: Join, alice: Person
) -> None:
    bob = join(demo, "bob")
    for number in range(MESSAGES):
        alice.say({"to": "bob", "body": f"load {number}", "id": f"load {number}"})
    alice.say("bob: that is all")
    bob.hears("that is all", within=40)
    bodies = [str(message["body"]) for message in bob.inbox]
    assert [b for b in bodies if b.startswith("load")] == [f"load {n}" for n in range(MESSAGES)]
