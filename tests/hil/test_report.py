"""The picture of a failed test: legible however much happened."""

from __future__ import annotations

import re
import time
from itertools import pairwise
from types import SimpleNamespace
from typing import cast
from xml.etree import ElementTree as ET

import pytest

from boardtalk.hil.plugin import lanes, picture
from boardtalk.hil.plugin.gateways import Gateway
from boardtalk.hil.plugin.picture import BLUE, ORANGE, RED, Curve, Lane, Marks, Span, Words
from boardtalk.hil.plugin.report import folder_name
from boardtalk.hil.plugin.story import Story
from boardtalk.hil.plugin.talk import Note

SVG = "{http://www.w3.org/2000/svg}"


def drawn(*rows: Lane, end: float = 10.0) -> ET.Element:
    return ET.fromstring(picture.draw("a & <b>", rows, Span(0, end), "failed"))  # noqa: S314 - our own


def texts(root: ET.Element) -> list[str]:
    return [each.text or "" for each in root.iter(f"{SVG}text")]


def paths(root: ET.Element) -> list[str]:
    return [each.attrib["d"] for each in root.iter(f"{SVG}path")]


def test_a_curve_has_its_name_its_range_and_what_it_was_last() -> None:
    root = drawn(Curve("position x", [(1, 0), (2, 40.25)], " cm", holds=False))
    assert {"a & <b>", "failed", "position x", "0", "40.25", "40.25 cm"} <= {*texts(root)}
    assert len(list(root.iter(f"{SVG}circle"))) == 2, "few values have a point each"


def test_what_holds_until_it_changes_has_steps_to_the_end() -> None:
    [path] = paths(drawn(Curve("pin 3", [(1, 0), (5, 1)], is_level=True)))
    assert re.fullmatch(r"M[\d. ]+H[\d.]+V[\d.]+H\d+", path)
    assert "on" in texts(drawn(Curve("pin 3", [(1, 0), (5, 1)], is_level=True)))


def test_a_hundred_thousand_changes_are_drawn_as_wide_as_the_picture_is() -> None:
    [path] = paths(drawn(Curve("pin 3", [(number / 10_000, number % 2) for number in range(100_000)])))
    assert path.count("V") < 4 * 2 * picture.PLOT
    lines = list(drawn(Marks("frames", [(number / 10_000, BLUE) for number in range(100_000)], "")).iter())
    assert len(lines) < 11 * picture.PLOT


def test_words_never_hide_each_other_and_the_last_ones_are_all_there() -> None:
    said = [(number / 50, f"> rover: forward {number}", BLUE) for number in range(500)]
    root = drawn(Words("chat", said))
    shown = [each for each in root.iter(f"{SVG}text") if "forward" in (each.text or "")]
    rows: dict[str, list[tuple[float, float]]] = {}
    for each in shown:
        x, width = float(each.attrib["x"]), len(each.text or "") * picture.CHAR
        begin = x - width if each.attrib.get("text-anchor") == "end" else x
        rows.setdefault(each.attrib["y"], []).append((begin, begin + width))
    assert all(before[1] <= after[0] for row in rows.values() for before, after in pairwise(sorted(row)))
    assert {f"> rover: forward {number}" for number in range(491, 500)} <= {each.text for each in shown}
    assert len(list(root.iter(f"{SVG}circle"))) > 400, "the others have a point"
    many = drawn(Words("chat", [(number / 10_000, "hi", BLUE) for number in range(100_000)]))
    assert len(list(many.iter())) < 4 * picture.PLOT


def test_a_terminals_control_characters_do_not_spoil_it() -> None:
    assert "> bob: [2J red" in texts(drawn(Words("chat", [(1, "> bob: \x1b[2J\udcff red", BLUE)])))


def test_what_has_no_room_is_named_below() -> None:
    rows = [Curve(f"pin {number}", [(1, 1)]) for number in range(30)]
    assert "not shown: pin 24, pin 25, pin 26, pin 27, pin 28, pin 29" in texts(drawn(*rows))


@pytest.mark.parametrize("end", [0.0, 1e-6, 0.3, 7.5, 3600.0, 1e6])
def test_the_axis_has_a_legible_number_of_marks(end: float) -> None:
    marks = [text for text in texts(drawn(end=end)) if text.endswith(" s")]
    assert 1 <= len(marks) <= 1 + picture.MAX_STEPS


def test_a_picture_begins_where_something_happens() -> None:
    rows = [Marks("frames", [(7.0, BLUE)], "1"), Curve("x", [(8.0, 1)]), Words("chat", [(9.0, "hi", BLUE)])]
    assert lanes.span(rows, 10.0) == Span(pytest.approx(6.94), 10.0)
    assert lanes.span([], 10.0) == Span(10.0, 10.0)


def test_the_chat_says_who_speaks_and_which_is_a_stop() -> None:
    notes = [
        Note(1.0, "tester", ">", "rover: forward 5"),
        Note(1.5, "tester", " ", "accepted"),
        Note(2.0, "tester", ">", "stop rover"),
        Note(3.0, "tester", "<", "rover: stopped\nnow"),
    ]
    [chat] = lanes.of_test(0.5, notes, [], [])
    assert isinstance(chat, Words)
    assert chat.said == [
        (0.5, "> rover: forward 5", BLUE),
        (1.5, "> stop rover", RED),
        (2.5, "< rover: stopped now", ORANGE),
    ]


def test_what_was_said_again_and_again_in_vain_is_told_once() -> None:
    story = Story(1, "test_it.py::test_it")
    began = time.monotonic()
    told = [Note(began, "bob", "<", "hi")]
    for attempt in range(47):
        told += [
            Note(began + attempt, "tester", ">", "rover: battery"),
            Note(began + attempt, "tester", " ", "failed: it does not answer"),
        ]
    told.append(Note(began + 50, "tester", ">", "rover: forward 5"))
    story.gateway = cast(Gateway, SimpleNamespace(told=told, log=""))
    _, *lines = story.told([]).splitlines()
    assert [line[10:] for line in lines] == [
        "bob < hi",
        "tester > rover: battery",
        "tester   failed: it does not answer",
        "… and so again, 46 times",
        "tester > rover: forward 5",
        "",
    ]
    assert lines[3].startswith("   46.")


def test_each_test_has_a_folder_of_its_own() -> None:
    assert folder_name("a/test_b.py::TestC::test_d") == "a-test_b.py--TestC--test_d"
    names = {folder_name(f"test_a.py::test_b[{each}]") for each in ("1 2", "1-2", "1/2", "../2", "x" * 300)}
    assert len(names) == 5
    assert all(re.fullmatch(r"[\w.-]{1,110}", name) for name in names)
