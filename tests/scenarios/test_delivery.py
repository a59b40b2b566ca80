"""Ids, duplicates, expiry and retained messages: what is executed, and how often."""

from __future__ import annotations

import signal

import pytest

from .people import Join, Person, odometer
from .rig import BOARD, Gateway, local_user


def test_c03_a_repeated_envelope_is_answered_alike_and_executed_once(alice: Person) -> None:
    before = odometer(alice)
    first = alice.do("forward 7", name="once")
    second = alice.do("forward 7", name="once")
    third = alice.do("forward 7", name="once")
    assert first.state == "done"
    assert (second.state, second.body) == (third.state, third.body) == (first.state, first.body)
    assert odometer(alice) - before == pytest.approx(8, abs=0.5)


def test_c03_repetitions_while_it_runs_are_executed_once(alice: Person) -> None:
    before = odometer(alice)
    envelope = {"to": "rover", "body": "forward 7", "id": "hasty"}
    for _ in range(10):
        alice.say(envelope)
    assert alice.outcome("hasty").state == "done"
    assert odometer(alice) - before == pytest.approx(8, abs=0.5)


def test_c03_the_same_id_with_another_body_is_rejected(alice: Person) -> None:
    before = odometer(alice)
    assert alice.do("forward 7", name="two-faced").state == "done"
    assert alice.do("forward 8", name="two-faced").state == "rejected"
    assert odometer(alice) - before == pytest.approx(8, abs=0.5)


def test_c03_ids_are_each_senders_own(demo: Gateway, join: Join, alice: Person) -> None:
    bob = join(demo, "bob")
    before = odometer(alice)
    assert alice.do("forward 7", name="shared").state == "done"
    assert bob.do("forward 7", name="shared").state == "done"
    assert odometer(alice) - before == pytest.approx(15, abs=0.5)


def test_c04_what_expires_before_the_board_has_it_is_never_executed(demo: Gateway, alice: Person) -> None:
    before = odometer(alice)
    demo.signal(BOARD, signal.SIGSTOP)
    try:
        late = alice.do("forward 7", expiry=1)
    finally:
        demo.signal(BOARD, signal.SIGCONT)
    assert late.state in {"expired", "failed", "rejected", "unknown"}
    assert "started" not in late.states
    _back(alice)
    assert odometer(alice) - before == pytest.approx(1, abs=0.5)


def test_expiry_0_is_executed_now_or_never(demo: Gateway, alice: Person) -> None:
    before = odometer(alice)
    assert alice.do("forward 7", expiry=0).state == "done"
    demo.signal(BOARD, signal.SIGSTOP)
    try:
        never = alice.do("forward 7", expiry=0)
    finally:
        demo.signal(BOARD, signal.SIGCONT)
    assert "done" not in never.states
    _back(alice)
    assert odometer(alice) - before == pytest.approx(8, abs=0.5)


def test_whom_the_broker_remembers_gets_what_was_kept_and_not_what_was_for_now(
    demo: Gateway, alice: Person
) -> None:
    token = demo.token("zoe")
    with Person(demo, "zoe", token, remembered=True):
        pass
    alice.say({"to": "zoe", "body": "for now only", "expiry": 0})
    alice.say({"to": "zoe", "body": "for later", "id": "later"})
    alice.wait(lambda: "accepted" in alice.states("later"), "accepted")
    with Person(demo, "zoe", token, remembered=True) as zoe:
        zoe.hears("for later")
        alice.wait(lambda: "done" in alice.states("later"), "handed over")
        alice.say("zoe: welcome")
        zoe.hears("welcome")
        assert [message["body"] for message in zoe.inbox] == ["for later", "welcome"]


def test_what_was_said_to_the_person_at_the_terminal_is_in_his_history(demo: Gateway, alice: Person) -> None:
    alice.say({"to": local_user(), "body": "see you at noon", "id": "noon"})
    alice.wait(lambda: "accepted" in alice.states("noon"), "accepted")
    assert "see you at noon" in demo.cli("history", "alice").text


def _back(person: Person) -> None:
    """The rover answers and may drive again."""
    person.insist("battery")
    person.do("rearm")
