"""Lines that people type, as typed commands; and what boards say, as text."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boardtalk.modules.iot_bridge import commands, units
from boardtalk.modules.iot_bridge.commands import BadArgument, CommandError, UnknownCommand
from boardtalk.modules.iot_bridge.dictionary import Dictionary, parse

ROVER = parse(
    json.dumps(
        {
            "name": "rover",
            "about": "a small rover",
            "commands": [
                {
                    "name": "forward",
                    "class": "motion",
                    "help": "drive straight",
                    "args": [
                        {"name": "distance", "type": "int", "unit": "cm", "min": 1, "max": 500},
                        {"name": "speed", "type": "int", "unit": "%", "min": 1, "max": 100, "default": 50},
                    ],
                    "returns": [
                        {"name": "x", "type": "float", "unit": "cm"},
                        {"name": "heading", "type": "float", "unit": "deg"},
                    ],
                },
                {
                    "name": "turn",
                    "class": "motion",
                    "args": [{"name": "angle", "type": "float", "unit": "deg", "min": -360, "max": 360}],
                },
                {"name": "led", "args": [{"name": "state", "type": "bool"}]},
                {
                    "name": "mode",
                    "class": "config",
                    "args": [{"name": "which", "type": "choice", "choices": ["slow", "fast"]}],
                },
                {"name": "say", "args": [{"name": "text", "type": "str"}]},
                {"name": "step", "args": [{"name": "count", "type": "int", "unit": "steps"}]},
                {
                    "name": "battery",
                    "class": "query",
                    "returns": [{"name": "battery", "type": "float", "unit": "V"}],
                },
            ],
        }
    ).encode()
)


def args(line: str) -> dict[str, Any]:
    return commands.read(line, ROVER).args


def complaint(line: str) -> str:
    with pytest.raises(CommandError) as caught:
        commands.read(line, ROVER)
    return str(caught.value)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("forward 20", {"distance": 20, "speed": 50}),
        ("forward 20 cm", {"distance": 20, "speed": 50}),
        ("forward 20cm", {"distance": 20, "speed": 50}),
        ("forward 0.2 m", {"distance": 20, "speed": 50}),
        ("FORWARD  20   80", {"distance": 20, "speed": 80}),
        ("forward distance=20 speed=80", {"distance": 20, "speed": 80}),
        ("forward speed=80% distance=20", {"distance": 20, "speed": 80}),
        ("forward 20 speed=80 %", {"distance": 20, "speed": 80}),
        ("forward 20.0", {"distance": 20, "speed": 50}),
        ("/forward 20", {"distance": 20, "speed": 50}),
        ("forward\u00a020", {"distance": 20, "speed": 50}),
        ("turn -90 deg", {"angle": -90.0}),
        ("turn −90°", {"angle": -90.0}),
        ("turn 0.25 turn", {"angle": 90.0}),
        ("led on", {"state": True}),
        ("led OFF", {"state": False}),
        ("mode Fast", {"which": "fast"}),
        ("say hello there", {"text": "hello there"}),
        ('say "hello  there"', {"text": "hello  there"}),
        ("step 3 steps", {"count": 3}),
        ("battery", {}),
    ],
)
def test_what_people_type_is_understood(line: str, expected: dict[str, Any]) -> None:
    assert args(line) == expected


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("forward 900", "distance: 900 cm is more than the limit of 500 cm (1 to 500 cm)"),
        ("forward 0", "0 cm is less than the limit of 1 cm"),
        ("fowrard 20", "rover knows no 'fowrard'; did you mean forward?"),
        ("xyzzy", "`rover: help` lists what it knows"),
        (
            "forward",
            "distance is missing; usage: forward DISTANCE(1 to 500 cm) [SPEED(1 to 100 %, else 50 %)]",
        ),
        ("forward ten", "'ten' is not a number of cm"),
        ("forward 20.5", "20.5 cm is not a whole number"),
        ("forward 0.205 m", "20.5 cm is not a whole number"),
        ("forward 20 s", "'s' is a time; distance takes cm (or mm, m, km, in, ft)"),
        ("forward 20 parsec", "'parsec' is not a number of %"),
        ("forward 20parsec", "'parsec' is no unit that I know"),
        ("forward 20 50 1", "'1' is too much"),
        ("forward distance=20 50", "name it too"),
        ("forward 20 distance=30", "given twice"),
        ("forward 20 sped=3", "did you mean speed?"),
        ("forward 1e999", "too large"),
        ("forward nan", "not a number"),
        ("turn inf", "not a number"),
        ("turn 1e39", "too large"),
        ("led maybe", "neither on nor off"),
        ("mode fsat", "did you mean fast?"),
        ("mode warp", "it is one of: slow, fast"),
        ("say " + "x" * 200, "longer than 120 bytes"),
        ("", "nothing to do"),
        ("x" * 2000, "too long"),
    ],
)
def test_what_does_not_fit_is_explained(line: str, words: str) -> None:
    assert words in complaint(line)


def test_errors_tell_unknown_commands_from_bad_arguments() -> None:
    with pytest.raises(UnknownCommand):
        args("fly")
    with pytest.raises(BadArgument):
        args("forward")


@given(st.text(max_size=60) | st.builds("forward {}".format, st.text(max_size=30)))
def test_any_text_is_understood_or_refused(line: str) -> None:
    try:
        order = commands.read(line, ROVER)
    except CommandError as error:
        assert str(error).isprintable()
        return
    assert order.command.args_format.unpack(order.command.args_format.pack(order.args)) is not None
    for spec in order.command.args:
        value = order.args[spec.name]
        if spec.min is not None:
            assert spec.min <= value <= spec.max  # type: ignore[operator]


@given(
    st.integers(1, 500),
    st.integers(1, 100),
    st.sampled_from(
        [
            "forward {d} {s}",
            "forward {d} cm {s} %",
            "forward speed={s} distance={d}",
            "forward {d}cm speed={s}%",
        ]
    ),
)
def test_every_spelling_of_an_order_reads_the_same(distance: int, speed: int, spelling: str) -> None:
    assert args(spelling.format(d=distance, s=speed)) == {"distance": distance, "speed": speed}


@pytest.mark.parametrize(
    ("value", "given_", "wanted", "expected"),
    [
        (1, "in", "mm", 25.4),
        (1, "ft", "cm", 30.48),
        (36, "km/h", "m/s", 10),
        (180, "deg", "rad", 3.14159265359),
        (212, "F", "C", 100),
        (-40, "°F", "°C", -40),
        (0, "K", "C", -273.15),
        (1.5, "h", "min", 90),
        (2, "kHz", "Hz", 2000),
        (5, "mW", "W", 0.005),
    ],
)
def test_units_convert_as_the_books_say(value: float, given_: str, wanted: str, expected: float) -> None:
    assert units.convert(value, given_, wanted) == pytest.approx(expected, abs=1e-9)


def test_units_of_different_quantities_do_not_convert() -> None:
    assert units.convert(1, "s", "cm") is None


def test_help_lists_every_command_within_a_terminal_line() -> None:
    text = commands.help_for("help", ROVER)
    assert all(command.name in text for command in ROVER.commands)
    assert max(map(len, text.splitlines())) <= 80


def test_help_on_a_command_shows_ranges_defaults_and_an_example_that_works() -> None:
    text = commands.help_for("help forward", ROVER)
    assert "1 to 500 cm" in text
    example = text.rpartition("example: ")[2]
    assert args(example)["speed"] == 50
    for command in ROVER.commands:
        example = commands.help_for(f"{command.name} ?", ROVER).rpartition("example: ")[2]
        commands.read(example, ROVER)


@pytest.mark.parametrize(
    ("line", "asks"),
    [
        ("help", True),
        ("?", True),
        ("forward ?", True),
        ("/help", True),
        ("helper", False),
        ("forward 2", False),
    ],
)
def test_asking_for_help_is_recognised(line: str, *, asks: bool) -> None:
    assert commands.is_help(line) is asks


def texts(line: str) -> list[str]:
    return [completion.text for completion in commands.complete(line, ROVER)]


def test_completion_offers_commands_arguments_and_choices() -> None:
    assert texts("fo") == ["forward"]
    assert texts("forward ") == ["distance=", "speed="]
    assert texts("forward 20 ") == ["speed="]
    assert texts("mode ") == ["slow", "fast", "which="]
    assert texts("mode f") == ["fast"]
    assert "1 to 500 cm" in commands.complete("forward ", ROVER)[0].hint


def test_answers_read_like_sentences() -> None:
    forward, battery = ROVER.by_name["forward"][1], ROVER.by_name["battery"][1]
    assert commands.show({"x": 20.0, "heading": -0.0}, forward.returns) == "x 20 cm, heading 0°"
    assert commands.show({"battery": 7.93}, battery.returns) == "7.93 V"
    assert commands.show({"battery": None}, battery.returns) == "not available"


def test_a_hostile_dictionary_reaches_nobody_unfiltered() -> None:
    evil = "\x1b[2J\x07" + "A" * 100_000
    dictionary = parse(
        json.dumps(
            {
                "name": evil,
                "about": evil,
                "commands": [
                    {"name": "c", "help": evil, "args": [{"name": "a", "type": "choice", "choices": [evil]}]}
                ],
            }
        ).encode()
    )
    shown = (
        commands.help_text(dictionary)
        + commands.help_for("help c", dictionary)
        + str(commands.infos(dictionary))
    )
    assert "\x1b" not in shown
    assert len(shown) < 5000
    assert isinstance(dictionary, Dictionary)
