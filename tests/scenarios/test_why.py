"""What became of a message, step by step, from every front-end."""

from __future__ import annotations

import re
import signal

from .people import Join, Person
from .rig import BOARD, Gateway


def test_a_command_is_followed_from_its_author_to_its_result(demo: Gateway, alice: Person) -> None:
    alice.do("forward 0.1 m", name="why-1")
    told = demo.cli("why", "why-1", "--user", "alice")
    assert told.code == 0
    first, *steps = told.out.splitlines()
    assert "alice → rover: forward 0.1 m" in first
    words = [
        "mqtt: came in",
        "iot_bridge: allowed: motion for alice",
        "iot_bridge: understood: forward distance 10 cm, speed 50 %",
        "= DATA ",
        "gateway: started",
        "gateway: done",
        "rover answered: x ",
    ]
    [frame] = [line for line in steps if "iot_bridge: frame: " in line]
    assert re.search(
        r"frame: 00 [0-9a-f ]+ 00 = DATA \d+: COMMAND forward distance 10 cm, speed 50 % ", frame
    )
    head = r"\(deadline \d+, id \d+, epoch \d+, lease \d+\)"
    assert re.search(head + r"; sent once, acknowledged after \d+\.\d ms$", frame)
    places = [next(number for number, line in enumerate(steps) if word in line) for word in words]
    assert places == sorted(places)
    milliseconds = [float(line.split()[0]) for line in steps]
    assert milliseconds[:-1] == sorted(milliseconds[:-1])


def test_whoever_asks_in_chat_gets_the_same_about_his_last_message(demo: Gateway, alice: Person) -> None:
    refused = alice.do("fowrard 20")
    assert refused.state == "rejected"
    alice.say("gateway: why")
    body = str(alice.hears("rover: fowrard 20")["body"])
    assert "gateway: rejected: there is no command 'fowrard'; did you mean forward?" in body
    alice.say("gateway: why nonesuch")
    assert alice.hears("no message 'nonesuch'")


def test_a_program_gets_json(demo: Gateway, alice: Person) -> None:
    alice.do("battery", name="why-2")
    told = demo.cli("why", "why-2", "--user", "alice", "--json").rows[0]
    assert told["message"]["id"] == "why-2"
    assert next(step for step in told["steps"] if step["what"] == "consumed")["who"] == "iot_bridge"


def test_a_viewer_learns_nothing_of_others_messages(demo: Gateway, alice: Person, join: Join) -> None:
    alice.do("battery", name="why-3")
    join(demo, "victor", "viewer")
    told = demo.cli("why", "why-3", "--user", "victor")
    assert told.code == 1
    assert "you have sent or got no message 'why-3'" in told.text


def test_ids_for_it_are_in_the_history(demo: Gateway, alice: Person) -> None:
    alice.do("battery", name="why-4")
    assert "why-4 alice → rover: battery" in demo.cli("history", "--ids", "--user", "alice").out


def test_a_command_that_the_board_never_acknowledged_is_shown_as_it_was_sent(
    demo: Gateway, alice: Person
) -> None:
    demo.signal(BOARD, signal.SIGSTOP)
    try:
        alice.say({"to": "rover", "body": "battery", "id": "why-5", "expiry": 1})
        assert alice.outcome("why-5").state in {"unknown", "expired"}
    finally:
        demo.signal(BOARD, signal.SIGCONT)
    told = demo.cli("why", "why-5", "--user", "alice").out
    assert re.search(r"iot_bridge: frame: 00 .* COMMAND battery .*; sent \d+ times, not acknowledged", told)
    alice.insist("battery")
