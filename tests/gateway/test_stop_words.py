"""Stop words are recognised as people type them, and nothing else is."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boardtalk.sdk import stopwords


@pytest.mark.parametrize(
    "line",
    [
        "stop", "stop all", "STOP", " stop ", "stop!", "Stop all!!!", "rover: stop all", "Halt!",
        "\uff53\uff54\uff4f\uff50", "st\u00adop", "\ufeffstop\u200b", "stop" + "!" * 200,
    ],
)  # fmt: skip
def test_stop_without_a_robot_stops_all(line: str) -> None:
    assert stopwords.target(line) == stopwords.ALL


@pytest.mark.parametrize("line", ["rover: stop", "rover:stop", "Rover: STOP!", "  rover :  stop"])
def test_stop_to_a_robot_names_it(line: str) -> None:
    assert stopwords.target(line) == "rover"


@pytest.mark.parametrize(
    "line", ["", "stopp", "don't stop", "stop it", "rover: stop 5", "rover: forward 20", "stop:"]
)
def test_other_lines_are_no_stop_words(line: str) -> None:
    assert stopwords.target(line) is None


ROBOTS = {"rover", "arm"}


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("stop", "rover"),
        ("stop now", "rover"),
        ("stop 5", "rover"),
        ("please stop!", "rover"),
        ("Halt!!", "rover"),
        ("stopppp", "rover"),
        ("\uff33\uff54\uff4f\uff50\uff01", "rover"),
        ("STOP " * 50, "rover"),
        ("rover stop", "rover"),
        ("rover, stop it now", "rover"),
        ("stop the arm", "arm"),
        ("STOP ARM PLEASE", "arm"),
        ("stop all", stopwords.ALL),
        ("everything stop", stopwords.ALL),
        ("stop rover and arm", stopwords.ALL),
    ],
)
def test_said_to_a_robot_a_stop_may_be_put_in_many_ways(text: str, target: str) -> None:
    assert stopwords.meant(text, "rover", ROBOTS.__contains__) == target


@pytest.mark.parametrize("text", ["", "forward 20", "don't stop", "say stop", "nonstop", "belt stop"])
def test_other_texts_to_a_robot_stop_nothing(text: str) -> None:
    assert stopwords.meant(text, "rover", ROBOTS.__contains__) is None


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("stop rover", "rover"),
        ("rover stop!", "rover"),
        ("stop: rover", "rover"),
        ("Please stop the ARM now", "arm"),
        ("rover and arm: stop", stopwords.ALL),
        ("stop rover, arm", stopwords.ALL),
        ("stop everything", stopwords.ALL),
        ("stop the robot", stopwords.ALL),
        ("please stop", None),
        ("stop it, bob", None),
        ("stop 5", None),
        ("bob: stop rover", None),
        ("will rover stop?", None),
    ],
)
def test_said_to_nobody_in_particular_a_stop_says_whom_and_no_more(text: str, target: str | None) -> None:
    assert stopwords.meant(text, None, ROBOTS.__contains__) == target


@given(st.text(max_size=80))
def test_any_text_text_is_looked_at_without_harm(line: str) -> None:
    target = stopwords.target(line)
    folded = unicodedata.normalize("NFKC", line).lower()
    assert target is None or "stop" in folded or "halt" in folded


def test_a_long_line_is_no_stop_and_is_not_looked_through() -> None:
    assert stopwords.target(" " * 1_000_000 + "stop") is None
