"""What a board declares is checked, and its values survive packing whatever it sends."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boardtalk.modules.iot_bridge.dictionary import (
    INT_RANGE,
    MAX_STR_BYTES,
    Packing,
    Value,
    digest,
    parse,
)
from boardtalk.modules.iot_bridge.errors import DictionaryError

WORDS = ("slow", "fast", "très vite")
TEXTS = st.text(max_size=40).filter(lambda text: len(text.encode()) <= MAX_STR_BYTES)
OF_TYPE: dict[str, st.SearchStrategy[Any]] = {
    "int": st.integers(*INT_RANGE),
    "float": st.floats(width=32, allow_nan=False, allow_infinity=False),
    "bool": st.booleans(),
    "choice": st.sampled_from(WORDS),
    "str": TEXTS,
}
rows = st.lists(st.sampled_from(sorted(OF_TYPE)), max_size=6).map(
    lambda types: tuple(
        Value(name=f"v{n}", type=type_, choices=WORDS if type_ == "choice" else ())  # type: ignore[arg-type]
        for n, type_ in enumerate(types)
    )
)


def a_dictionary(**changes: Any) -> bytes:
    command = {"name": "forward", "class": "motion", "args": [{"name": "distance", "type": "int"}]}
    return json.dumps({"name": "rover", "commands": [command], **changes}).encode()


def test_a_dictionary_is_read_as_declared() -> None:
    dictionary = parse(a_dictionary())
    index, command = dictionary.by_name["forward"]
    assert (index, command.cls, command.args[0].type) == (0, "motion", "int")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"commands": [{"name": "Forward!"}]}, "name"),
        ({"commands": [{"name": "go\n"}]}, "name"),
        ({"commands": [{"name": "go"}, {"name": "go"}]}, "'go' is there twice"),
        ({"commands": [{"name": "go"}] * 257}, "256"),
        ({"commands": [{"name": "go", "class": "magic"}]}, "magic"),
        ({"commands": [{"name": "go", "args": [{"name": "a", "type": "choice"}]}]}, "choices"),
        (
            {"commands": [{"name": "go", "args": [{"name": "a", "type": "int"}] * 2}]},
            "'a' is there twice",
        ),
        (
            {"telemetry": [{"name": "t", "values": [{"name": "v", "type": "int", "min": 2, "max": 1}]}]},
            "nothing is between",
        ),
        ({"controls": [{"name": "drive", "lease": 60_000}]}, "lease"),
    ],
)
def test_a_senseless_dictionary_is_refused_with_the_place(changes: Any, reason: str) -> None:
    with pytest.raises(DictionaryError, match=reason):
        parse(a_dictionary(**changes))


def test_c10_a_motion_that_may_go_on_for_longer_than_10_s_is_refused_by_name() -> None:
    longest = {"name": "go", "class": "motion", "limit": 10}
    assert parse(a_dictionary(commands=[longest])).commands[0].limit == 10
    for limit in (10.001, 20, 3600):
        with pytest.raises(DictionaryError, match=f"motion 'go' may run {limit:g} s: .* within 10 s"):
            parse(a_dictionary(commands=[longest | {"limit": limit}]))


def test_c10_an_action_that_may_take_longer_than_10_s_is_unattended() -> None:
    commands = [
        {"name": "heat", "limit": 11},
        {"name": "blink"},
        {"name": "scan", "class": "query", "limit": 60},
    ]
    assert [command.unattended for command in parse(a_dictionary(commands=commands)).commands] == [
        True,
        False,
        False,
    ]


@given(st.binary(max_size=500))
def test_any_bytes_are_a_dictionary_or_a_clear_error(data: bytes) -> None:
    with pytest.raises(DictionaryError):
        parse(data)


def test_an_error_does_nothing_to_a_terminal() -> None:
    with pytest.raises(DictionaryError) as caught:
        parse(
            json.dumps({"name": "x", "commands": [{"name": "a", "class": "\x1b[2J" + 9999 * "x"}]}).encode()
        )
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 500


def test_deep_nesting_is_a_clear_error() -> None:
    with pytest.raises(DictionaryError):
        parse(b'{"name": "x", "other": ' + b"[" * 30_000)


def test_a_dictionary_is_known_by_its_hash() -> None:
    assert digest(b"abc").hex() == "ba7816bf8f01cfea"


@given(rows, st.data())
def test_every_row_survives_packing(values: tuple[Value, ...], data: st.DataObject) -> None:
    row = {value.name: data.draw(OF_TYPE[value.type]) for value in values}
    packing = Packing(values)
    got = packing.unpack(packing.pack(row))
    for value in values:
        if value.type == "float":
            assert math.isclose(got[value.name], row[value.name], rel_tol=1e-5)
        else:
            assert got[value.name] == row[value.name]


@given(rows, st.binary(max_size=200))
def test_values_of_any_bytes_are_unpacked_or_refused(values: tuple[Value, ...], data: bytes) -> None:
    try:
        row = Packing(values).unpack(data)
    except DictionaryError:
        return
    assert list(row) == [value.name for value in values]


@given(rows.filter(bool), st.data())
def test_truncated_or_longer_values_are_refused(values: tuple[Value, ...], data: st.DataObject) -> None:
    packing = Packing(values)
    whole = packing.pack({value.name: data.draw(OF_TYPE[value.type]) for value in values})
    for wrong in (whole[:-1], whole + b"\0"):
        with pytest.raises(DictionaryError):
            packing.unpack(wrong)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_none_comes_as_nothing(number: float) -> None:
    packing = Packing((Value(name="v", type="float"),))
    assert packing.unpack(packing.pack({"v": number})) == {"v": None}


def test_an_unknown_choice_comes_as_nothing() -> None:
    assert Packing((Value(name="v", type="choice", choices=WORDS),)).unpack(b"\xff") == {"v": None}


@pytest.mark.parametrize(
    ("type_", "given"),
    [("int", 2**31), ("int", "five"), ("str", "x" * 300), ("choice", "sideways"), ("float", None)],
)
def test_what_does_not_fit_is_a_clear_error(type_: Any, given: Any) -> None:
    packing = Packing((Value(name="v", type=type_, choices=WORDS if type_ == "choice" else ()),))
    with pytest.raises(DictionaryError):
        packing.pack({"v": given})
    with pytest.raises(DictionaryError, match="v is missing"):
        packing.pack({})
