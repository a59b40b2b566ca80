"""A person talks, the board acts and answers."""

from __future__ import annotations

import re

import pytest

from .people import VOLTS, Join, Person, odometer
from .rig import Gateway


def test_help_lists_the_commands_that_the_board_declared(demo: Gateway) -> None:
    answer = demo.chat("rover", "help")
    assert answer.code == 0
    for command in ("forward", "back", "turn", "battery", "horn"):
        assert re.search(rf"\b{command}\b", answer.text), command


def test_a_motion_is_accepted_then_started_then_done_and_tells_the_new_position(
    demo: Gateway, alice: Person
) -> None:
    answer = demo.chat("rover", "forward 20")
    assert answer.code == 0
    assert re.search(r"accepted.*started.*done.*\d", answer.text), answer.text


def test_statuses_carry_the_codes_and_states_in_order(alice: Person) -> None:
    name = alice.begin("forward 20")
    states = alice.outcome(name).states
    order = [states.index(state) for state in ("accepted", "started", "done")]
    assert order == sorted(order)
    assert len(states) == len(set(states)), "each state comes once"
    codes = {s["state"]: s["status"] for s in alice.statuses if name in (s.get("id"), s.get("refid"))}
    assert codes["accepted"] == 1
    assert codes["done"] == 3


@pytest.mark.parametrize(
    "line",
    [
        "forward 20",
        "forward 20 cm",
        "forward 0.2 m",
        "forward 20 80",
        "forward distance=20",
        "forward speed=80 distance=20",
        "forward distance=0.2m",
    ],
)
def test_the_same_distance_in_all_its_spellings(alice: Person, line: str) -> None:
    before = odometer(alice)
    assert alice.do(line).state == "done"
    assert odometer(alice) - before == pytest.approx(21, abs=0.5)


def test_back_undoes_forward(alice: Person) -> None:
    before = odometer(alice)
    assert alice.do("back 1").state == "done"
    assert odometer(alice) == pytest.approx(before, abs=0.5)


def test_a_query_answers_a_value_with_its_unit(demo: Gateway, alice: Person) -> None:
    assert VOLTS.search(alice.do("battery").body)
    answer = demo.chat("rover", "battery")
    assert answer.code == 0
    assert VOLTS.search(answer.text)


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        pytest.param("forward 900", r"500 ?cm", id="beyond the limit"),
        pytest.param("forward 9 m", r"500 ?cm|5 ?m", id="beyond the limit in another unit"),
        pytest.param("forward 0", r"\b1\b", id="below the limit"),
        pytest.param("forward -5", r"\b1\b", id="negative"),
        pytest.param("fowrard 20", r"did you mean .?forward\b", id="misspelt command"),
        pytest.param("dance", r"dance", id="unknown command"),
        pytest.param("forward", r"distance", id="missing argument"),
        pytest.param("forward twenty", r"twenty|number", id="not a number"),
        pytest.param("forward nan", r"nan|number", id="nan"),
        pytest.param("forward 1e999", r"1e999|inf|500 ?cm", id="overflow"),
        pytest.param("forward 20 parsecs", r"parsecs", id="unknown unit"),
        pytest.param("forward 20 V", r"\bV\b", id="unit of another quantity"),
        pytest.param("forward 20 50 70", r"70|too many|at most", id="too many arguments"),
        pytest.param("forward distance=20 colour=red", r"colour", id="unknown argument"),
        pytest.param("forward 20 distance=30", r"distance", id="argument given twice"),
        pytest.param("forward 20 speed=101", r"100 ?%", id="second argument beyond its limit"),
    ],
)
def test_what_does_not_fit_the_declaration_is_refused_with_a_hint(
    alice: Person, line: str, hint: str
) -> None:
    answer = alice.do(line)
    assert answer.state == "rejected"
    assert "started" not in answer.states
    assert re.search(hint, answer.body, re.IGNORECASE), answer.body


def test_a_refusal_at_the_terminal_says_why(demo: Gateway) -> None:
    answer = demo.chat("rover", "forward 900")
    assert answer.code == 1
    assert re.search(r"500 ?cm", answer.text), answer.text


def test_a_misspelt_address_is_named(demo: Gateway) -> None:
    answer = demo.chat("rovr", "battery")
    assert answer.code == 1
    assert "rovr" in answer.text
    assert re.search(r"\brover\b", answer.text), "the nearest address is suggested"


def test_what_is_said_to_a_person_is_no_command(demo: Gateway, join: Join, alice: Person) -> None:
    bob = join(demo, "bob")
    alice.say("bob: forward 20 pages, please")
    assert bob.hears("20 pages")["from"] == "alice"
