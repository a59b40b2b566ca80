"""What was begun can be ended, by who began it or by an operator, without a stop."""

from __future__ import annotations

import uuid

from .people import Join, Person
from .rig import Gateway


def ask(person: Person, body: str) -> str:
    """Say something to the rover; how it ended, and the answer."""
    answer = person.do(body)
    return f"{answer.state}: {answer.body}"


def test_a_motion_is_cancelled_and_the_next_one_needs_no_rearm(alice: Person) -> None:
    name = alice.begin("forward 300")
    assert ask(alice, "cancel") == "done: to be cancelled: forward 300"
    assert alice.outcome(name).state == "cancelled"
    assert alice.do("forward 1").state == "done"


def test_another_operator_cancels_by_id(demo: Gateway, alice: Person, join: Join) -> None:
    oscar = join(demo, "oscar", "operator")
    name = alice.begin("forward 300", name=f"Way-{uuid.uuid4().hex}")
    assert ask(oscar, "cancel").startswith("rejected: nothing that you began is under way")
    assert ask(oscar, f"cancel {name}").startswith("done")
    assert alice.outcome(name).state == "cancelled"


def test_a_viewer_cancels_nobody_else_s(demo: Gateway, alice: Person, join: Join) -> None:
    viola = join(demo, "viola", "viewer")
    name = alice.begin("forward 20")
    assert "needs the role operator" in ask(viola, f"cancel {name}")
    assert alice.outcome(name).state == "done"


def test_there_may_be_nothing_to_cancel(alice: Person) -> None:
    assert "nothing that you began is under way at rover" in ask(alice, "cancel")
    assert "no command 'nonesuch' is under way at rover" in ask(alice, "cancel nonesuch")


def test_of_two_with_the_same_id_each_cancels_his_own(demo: Gateway, alice: Person, join: Join) -> None:
    oscar = join(demo, "oscar", "operator")
    name = uuid.uuid4().hex
    honking = alice.begin("horn 5", name=name)
    oscar.begin("horn 5", name=name)
    assert ask(oscar, f"cancel {name}").startswith("done")
    assert oscar.outcome(name).state == "cancelled"
    assert "cancelled" not in alice.states(honking)
    assert ask(alice, f"cancel {name}").startswith("done")
    assert alice.outcome(name).state == "cancelled"
