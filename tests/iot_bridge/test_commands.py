"""Lines that people type, as typed commands; and what boards say, as text."""

from __future__ import annotations

import math
import string
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from boardtalk.modules.iot_bridge.dictionary import Command, Dictionary, Value
from boardtalk.modules.iot_bridge.language import commands, units, words
from boardtalk.modules.iot_bridge.language.commands import BadArgument, CommandError, UnknownCommand

DISTANCE = Value(name="distance", type="int", unit="cm", min=1, max=500, help="how far")
SPEED = Value(name="speed", type="int", unit="%", min=1, max=100, default=50)
ROVER = Dictionary(
    name="rover",
    about="a small rover",
    commands=(
        Command(
            name="forward",
            cls="motion",
            help="drive straight",
            args=(DISTANCE, SPEED),
            returns=(
                Value(name="x", type="float", unit="cm"),
                Value(name="y", type="float", unit="cm"),
                Value(name="heading", type="float", unit="deg"),
            ),
        ),
        Command(
            name="turn",
            cls="motion",
            args=(Value(name="angle", type="float", unit="deg", min=-360, max=360),),
        ),
        Command(name="led", args=(Value(name="state", type="bool"),)),
        Command(
            name="mode",
            cls="config",
            args=(Value(name="which", type="choice", choices=("slow", "Fast", "very fast")),),
        ),
        Command(name="say", args=(Value(name="text", type="str"),)),
        Command(
            name="label",
            args=(
                Value(name="line", type="int", min=1, max=4),
                Value(name="text", type="str"),
                Value(name="size", type="int", default=12),
            ),
        ),
        Command(name="step", args=(Value(name="count", type="int", unit="steps", min=0),)),
        Command(
            name="heat",
            args=(
                Value(name="to", type="float", unit="C", max=90),
                Value(name="ramp", type="choice", choices=("soft", "hard"), default="soft"),
            ),
        ),
        Command(name="count", args=(Value(name="to", type="int"),)),
        Command(name="battery", cls="query", returns=(Value(name="battery", type="float", unit="V"),)),
    ),
)


def args(line: str, dictionary: Dictionary = ROVER) -> dict[str, Any]:
    return commands.read(line, dictionary).args


def complaint(line: str, dictionary: Dictionary = ROVER) -> str:
    with pytest.raises(CommandError) as caught:
        commands.read(line, dictionary)
    return str(caught.value)


# Reading ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        "forward 20",
        "forward 20 cm",
        "forward 20cm",
        "forward 20 CM",
        "forward 20 centimeters",
        "forward 0.2 m",
        "forward 0.2m",
        "forward .2 m",
        "forward 2e1",
        "forward 200 mm",
        "forward 20.0",
        "forward 20 50",
        "forward 20 50 %",
        "forward 20 cm 50%",
        "forward 20 speed=50%",
        "forward 20 speed = 50 %",
        "forward distance=20 speed=50",
        "forward speed=50 % distance=0.2 m",
        "forward SPEED=50 Distance=20cm",
        'forward "20 cm" "50"',
        "FORWARD 20",
        "/forward 20",
        "  forward   20  ",
        "forward\t20\n",
        "forward\N{NO-BREAK SPACE}20\N{NO-BREAK SPACE}cm",
        "forward +20",
        "ｆｏｒｗａｒｄ ２０ ㎝",
        "forward ٢٠",
    ],
)
def test_one_order_has_many_spellings(line: str) -> None:
    assert args(line) == {"distance": 20, "speed": 50}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("forward 20 80", {"distance": 20, "speed": 80}),
        ("turn -90 deg", {"angle": -90.0}),
        ("turn 90°", {"angle": 90.0}),
        ("turn 90 degrees", {"angle": 90.0}),
        ("turn −90°", {"angle": -90.0}),
        ("turn –90", {"angle": -90.0}),
        ("turn 0.25 turn", {"angle": 90.0}),
        ("turn 1.5707963267949 rad", {"angle": 90.0}),
        ("led on", {"state": True}),
        ("led Yes", {"state": True}),
        ("led TRUE", {"state": True}),
        ("led 1", {"state": True}),
        ("led off", {"state": False}),
        ("led no", {"state": False}),
        ("led false", {"state": False}),
        ("led state=0", {"state": False}),
        ("mode fast", {"which": "Fast"}),
        ("mode SLOW", {"which": "slow"}),
        ('mode "very fast"', {"which": "very fast"}),
        ('mode which="Very Fast"', {"which": "very fast"}),
        ("step 3 steps", {"count": 3}),
        ("step 3Steps", {"count": 3}),
        ("heat 68 °F", {"to": 20.0, "ramp": "soft"}),
        ("heat 20 ℃ hard", {"to": 20.0, "ramp": "hard"}),
        ("heat 20 hard", {"to": 20.0, "ramp": "hard"}),
        ("battery", {}),
    ],
)
def test_each_type_reads_what_people_type(line: str, expected: dict[str, Any]) -> None:
    found = args(line)
    assert found == expected
    assert list(map(type, found.values())) == list(map(type, expected.values()))


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("say hello", "hello"),
        ("say hello  there", "hello  there"),
        ('say "hello  there "', "hello  there "),
        ("say “hello”", "hello"),
        ('say ""', ""),
        ("say it's Bob's", "it's Bob's"),
        ('say he said "hi"', 'he said "hi"'),
        ('say "a" and "b"', '"a" and "b"'),
        (r'say "a \"quoted\" word and a \\"', r'a "quoted" word and a \ '.rstrip()),
        (r"say C:\temp", r"C:\temp"),
        ('say "unfinished', '"unfinished'),
        ("say x = 5", "x = 5"),
        ("say ½ – it’s “fine”", "½ – it’s “fine”"),
        ("say text=hello there", "hello there"),
        ('say "text=hello"', "text=hello"),
        ("say one\ntwo", "one\ntwo"),
    ],
)
def test_a_text_that_comes_last_is_the_rest_of_the_line_as_it_was_typed(line: str, text: str) -> None:
    assert args(line) == {"text": text}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("label 1 hello 20", {"line": 1, "text": "hello", "size": 20}),
        ('label 1 "hello there" 20', {"line": 1, "text": "hello there", "size": 20}),
        ("label 1 size=20 text=hello there", {"line": 1, "text": "hello there", "size": 20}),
        ("label text=hello line=1", {"line": 1, "text": "hello", "size": 12}),
    ],
)
def test_a_text_before_other_arguments_is_one_word(line: str, expected: dict[str, Any]) -> None:
    assert args(line) == expected


USAGE = "usage: forward DISTANCE(1 to 500 cm) [SPEED(1 to 100 %, 50)]\nexample: forward 50 cm speed=50 %"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("fowrard 20", "there is no command 'fowrard'; did you mean forward?"),
        ("xyzzy", "there is no command 'xyzzy'; `rover: help` lists what it knows"),
        ("", "nothing to do; `rover: help` lists what it knows"),
        ("/", "nothing to do; `rover: help` lists what it knows"),
        ("forward", f"distance is missing\n{USAGE}"),
        ("forward speed=5", f"distance is missing\n{USAGE}"),
        ("forward 20 50 1", f"'1' is too much\n{USAGE}"),
        ("battery now", "'now' is too much\nusage: battery\nexample: battery"),
        ("forward distance=20 50", f"'50' follows a named argument: name it too\n{USAGE}"),
        ("forward 20 distance=30", f"distance is given twice\n{USAGE}"),
        ("forward speed=1 20 speed=2", f"'20' follows a named argument: name it too\n{USAGE}"),
        ("forward 20 sped=3", f"forward has no argument 'sped'; did you mean speed?\n{USAGE}"),
        ("forward 20 speed 40", f"write speed=40\n{USAGE}"),
        ("forward 20 cm Speed 40 %", f"write speed=40\n{USAGE}"),
        ("forward distance 20", f"write distance=20\n{USAGE}"),
        ("forward 20 colour=red", f"forward has no argument 'colour'\n{USAGE}"),
    ],
)
def test_a_misuse_is_explained_with_usage_and_example(line: str, words: str) -> None:
    assert complaint(line) == words


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("forward 900", "distance: 900 cm is more than the limit of 500 cm (1 to 500 cm)"),
        ("forward 9 m", "distance: 900 cm is more than the limit of 500 cm (1 to 500 cm)"),
        ("forward 0", "distance: 0 cm is less than the limit of 1 cm (1 to 500 cm)"),
        ("forward 20 101%", "speed: 101 % is more than the limit of 100 % (1 to 100 %)"),
        ("turn 360.00001", "angle: 360.00001° is more than the limit of 360° (-360 to 360°)"),
        ("heat 90.5", "to: 90.5 C is more than the limit of 90 C (up to 90 C)"),
        ("step -1", "count: -1 steps is less than the limit of 0 steps (from 0 steps)"),
        ("forward ten", "distance: 'ten' is not a number of cm"),
        ("count ten", "to: 'ten' is not a number"),
        ("forward distance=", "distance: '' is not a number of cm"),
        ("forward 20.5", "distance: 20.5 cm is not a whole number"),
        ("forward 0.205 m", "distance: 20.5 cm is not a whole number"),
        ("forward nan", "distance: 'nan' is not a number of cm"),
        ("turn inf", "angle: 'inf' is not a number of deg"),
        ("turn 1_000", "`_000` is no unit that I know; angle takes deg (or rad, turn)"),
        ("forward 1e999", "distance: 1e999 is too large for a board"),
        ("count 2147483648", "to: 2147483648 is too large for a board"),
        ("turn -1e39", "angle: -1e39 is too large for a board"),
        ("forward 20 s", "`s` is a time; distance takes cm (or m, mm, km, in, ft)"),
        ("forward 20 rad", "`rad` is an angle; distance takes cm (or m, mm, km, in, ft)"),
        ("forward 20 parsecs", "`parsecs` is no unit that I know; distance takes cm (or m, mm, km, in, ft)"),
        ("forward 20 speed=5 V", "`V` is a voltage; speed takes %"),
        ("step 3 cm", "`cm` is a length; count takes steps"),
        ("count 3 cm", "`cm` is a length; to has no unit"),
        ("led maybe", "state: 'maybe' is neither on nor off"),
        ("mode fsat", "which: there is no 'fsat'; did you mean fast?"),
        ("mode warp", "which: there is no 'warp'; it is one of slow, Fast, very fast"),
        ("say " + "ü" * 61, "text: 122 bytes are more than the limit of 120 bytes"),
        ("say \x1b[2J", "text: there is a control character in it; send plain text"),
        ("say \ud800", "text: there is a control character in it; send plain text"),
        ("x" * 2000, "too long: 2000 characters are more than the limit of 1000"),
    ],
)
def test_a_value_that_does_not_fit_is_explained(line: str, words: str) -> None:
    assert complaint(line) == words


def test_errors_tell_unknown_commands_from_bad_arguments() -> None:
    with pytest.raises(UnknownCommand):
        args("fly")
    with pytest.raises(BadArgument):
        args("forward")


@pytest.mark.parametrize(
    "spec",
    [
        Value(name="a", type="int", max=5, default=6),
        Value(name="a", type="int", default=1.5),
        Value(name="a", type="int", default=True),
        Value(name="a", type="bool", default="maybe"),
        Value(name="a", type="choice", choices=("x",), default="y"),
        Value(name="a", type="str", default="x" * 121),
    ],
)
def test_a_default_that_its_own_board_would_refuse_is_never_sent(spec: Value) -> None:
    dictionary = Dictionary(name="d", commands=(Command(name="c", args=(spec,)),))
    assert complaint("c", dictionary).startswith(
        "a is missing, and the board's own default does not fit\nusage:"
    )


def test_an_order_knows_its_place_in_the_dictionary() -> None:
    order = commands.read("turn 5", ROVER)
    assert ROVER.commands[order.index] is order.command


# Promises for all input -------------------------------------------------------------------------

UNITS = sorted({unit.symbol for unit in units.UNITS} | {"steps"})
SANE = st.text(st.characters(exclude_categories=["C", "Z"], include_characters=" "), max_size=20)
NAMES = st.text(string.ascii_lowercase, min_size=1, max_size=8)
SCRAPS = st.sampled_from(
    ["forward", "turn", "say", "label", "heat", "20", "-", "0.5", "1e9", "cm", "%", "°", "m", "=", "speed",
     "distance=", '"', "“", "\\", " ", "  ", "\t", "\n", "?", "/", "on", "soft", "\0", "\ud800", "é"]
)  # fmt: skip


def sane_number(draw: st.DrawFn, spec: Value) -> float:
    low = -1000.0 if spec.min is None else spec.min
    high = 1000.0 if spec.max is None else spec.max
    if spec.type == "int":
        return draw(st.integers(math.ceil(low), math.floor(high)))
    return draw(
        st.floats(low, high).map(lambda value: float(f"{value:.6g}")).filter(lambda v: low <= v <= high)
    )


@st.composite
def arguments(draw: st.DrawFn, name: str) -> tuple[Value, Any]:
    """An argument as a board may declare it, and a value that it takes."""
    kind = draw(st.sampled_from(["int", "float", "bool", "choice", "str"]))
    if kind == "bool":
        return Value(name=name, type="bool"), draw(st.booleans())
    if kind == "str":
        return Value(name=name, type="str"), draw(SANE.filter(lambda text: len(text.encode()) <= 120))
    if kind == "choice":
        choices = draw(st.lists(SANE.filter(str.strip), min_size=1, max_size=4, unique=True))
        return Value(name=name, type="choice", choices=tuple(choices)), draw(st.sampled_from(choices))
    low = draw(st.none() | st.integers(-1000, 0))
    high = draw(st.none() | st.integers(1, 1000))
    unit = draw(st.sampled_from(["", *UNITS]))
    spec = Value(name=name, type=kind, unit=unit, min=low, max=high)
    return spec, sane_number(draw, spec)


@st.composite
def orders(draw: st.DrawFn) -> tuple[Command, dict[str, Any]]:
    names = draw(st.lists(NAMES, max_size=4, unique=True))
    pairs = [draw(arguments(name)) for name in names]
    name = draw(NAMES.filter(lambda text: text != "help"))
    command = Command(name=name, args=tuple(spec for spec, _ in pairs))
    return command, {spec.name: value for spec, value in pairs}


def fits(spec: Value, value: float | None) -> bool:
    if value is None or (spec.type == "int" and not float(value).is_integer()):
        return False
    return (spec.min is None or spec.min <= value) and (spec.max is None or value <= spec.max)


def spelled(draw: st.DrawFn, spec: Value, value: Any) -> str:
    """One of the ways to type a value."""
    if isinstance(value, bool):
        return draw(st.sampled_from([word for word, meaning in {**ON, **OFF}.items() if meaning is value]))
    if isinstance(value, str):
        quoted = words.quoted(value)
        return (
            quoted
            if quoted != value
            else draw(st.sampled_from([value, f'"{words.quoted(value + " ")[1:-2]}"']))
        )
    unit = draw(st.sampled_from(["", spec.unit, *units.alternatives(spec.unit)]))
    there = units.convert(value, spec.unit, unit) if unit else value
    back = units.convert(there, unit, spec.unit) if unit else value
    if not fits(spec, back):
        there, unit = value, spec.unit  # 26 cm in inches has too many digits
    shown = repr(there)
    return (
        shown.replace("-", draw(st.sampled_from("-−–")))
        + draw(st.sampled_from(["", " "])) * bool(unit)
        + unit
    )


ON = dict.fromkeys(["on", "ON", "yes", "true", "1"], True)
OFF = dict.fromkeys(["off", "no", "False", "0"], False)


@st.composite
def lines(draw: st.DrawFn) -> tuple[str, Command, dict[str, Any]]:
    """An order in one of its spellings."""
    command, values = draw(orders())
    positional = draw(st.integers(0, len(command.args)))
    typed = []
    for spec in command.args[:positional]:
        text = spelled(draw, spec, values[spec.name])
        # A word after a number could be its unit, and a text could begin like an argument's name.
        typed.append(f'"{text}"' if spec.type == "choice" and not text.startswith('"') else text)
    for spec in draw(st.permutations(command.args[positional:])):
        equals = draw(st.sampled_from(["=", " = "]))
        typed.append(spec.name + equals + spelled(draw, spec, values[spec.name]))
    gap = draw(st.sampled_from([" ", "  ", "\t", "\N{NO-BREAK SPACE}"]))
    name = draw(st.sampled_from([command.name, command.name.upper(), "/" + command.name]))
    return gap.join([name, *typed]), command, values


@given(lines())
def test_every_spelling_of_an_order_reads_back_the_same(case: tuple[str, Command, dict[str, Any]]) -> None:
    line, command, values = case
    found = args(line, Dictionary(name="d", commands=(command,)))
    for spec in command.args:
        if spec.type == "float":
            assert found[spec.name] == pytest.approx(values[spec.name], rel=1e-9, abs=1e-9)
        else:
            assert found[spec.name] == values[spec.name]


@given(
    st.text(st.characters(exclude_categories=[]), max_size=60) | st.lists(SCRAPS, max_size=12).map("".join)
)
@example("forward " + "9" * 900)
@example("say " + "\\" * 900)
@example('say "' + '\\"' * 400)
def test_any_text_becomes_an_order_that_fits_or_is_refused_in_plain_words(line: str) -> None:
    try:
        order = commands.read(line, ROVER)
    except CommandError as error:
        assert harmless(str(error)), line
        assert len(str(error)) < 500
        return
    order.command.args_format.pack(order.args)
    for spec in order.command.args:
        value = order.args[spec.name]
        assert spec.type not in ("int", "float") or fits(spec, value)


@given(
    st.text(st.characters(exclude_categories=[]), max_size=60) | st.lists(SCRAPS, max_size=12).map("".join)
)
def test_help_and_completion_stand_any_text(line: str) -> None:
    commands.complete(line, ROVER)
    if commands.is_help(line):
        try:
            assert harmless(commands.help_for(line, ROVER))
        except UnknownCommand as error:
            assert harmless(str(error))


# Units ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "unit", "wanted", "expected"),
    [
        (1, "in", "mm", 25.4),
        (1, "ft", "cm", 30.48),
        (0.29, "m", "cm", 29),
        (1, "km", "m", 1000),
        (180, "deg", "rad", 3.14159265359),
        (0.5, "turn", "°", 180),
        (1.5, "h", "min", 90),
        (250, "µs", "ms", 0.25),
        (36, "km/h", "m/s", 10),
        (100, "cm/s", "m/s", 1),
        (1, "rpm", "deg/s", 6),
        (9.81, "m/s2", "cm/s²", 981),
        (12, "V", "mV", 12000),
        (5, "mW", "W", 0.005),
        (20, "ma", "A", 0.02),
        (212, "F", "C", 100),
        (-40, "°F", "°C", -40),
        (0, "K", "C", -273.15),
        (0, "C", "F", 32),
        (32, "F", "C", 0),
        (-17.7777777777778, "C", "F", 0),
        (2, "kHz", "Hz", 2000),
        (1, "MHZ", "kHz", 1000),
        (500, "g", "kg", 0.5),
        (1013.25, "hPa", "bar", 1.01325),
        (50, "percent", "%", 50),
    ],
)
def test_units_convert_as_the_books_say(value: float, unit: str, wanted: str, expected: float) -> None:
    assert units.convert(value, unit, wanted) == pytest.approx(expected, rel=1e-11, abs=0)


@pytest.mark.parametrize(
    ("unit", "wanted"), [("s", "cm"), ("MV", "mV"), ("MW", "W"), ("steps", "cm"), ("cm", "steps"), ("", "cm")]
)
def test_units_of_different_quantities_do_not_convert(unit: str, wanted: str) -> None:
    assert units.convert(1, unit, wanted) is None


@given(st.sampled_from(units.UNITS), st.sampled_from(units.UNITS), st.floats(-1e6, 1e6))
def test_a_conversion_undoes_its_reverse(one: units.Unit, other: units.Unit, value: float) -> None:
    there = units.convert(value, one.symbol, other.symbol)
    assert (there is None) == (one.quantity != other.quantity)
    if there is not None:
        back = units.convert(there, other.symbol, one.symbol)
        assert back == pytest.approx(value, rel=1e-9, abs=1e-6)


def test_each_name_means_one_unit() -> None:
    names = [name for unit in units.UNITS for name in (unit.symbol, *unit.words.split())]
    assert len(names) == len(set(map(units.fold, names)))


# Help -------------------------------------------------------------------------------------------


def test_help_lists_commands_by_class_in_columns() -> None:
    assert commands.help_text(ROVER).splitlines()[:8] == [
        "a small rover",
        "motion:",
        "  forward distance [speed]  drive straight",
        "  turn angle",
        "action:",
        "  led state",
        "  say text",
        "  label line text [size]",
    ]


def test_help_on_a_command_shows_ranges_units_defaults_answer_and_example() -> None:
    assert commands.help_text(ROVER, "forward").splitlines() == [
        "forward: drive straight",
        "usage: forward DISTANCE(1 to 500 cm) [SPEED(1 to 100 %, 50)]",
        "  distance  how far; 1 to 500 cm; also in m, mm, km, in, ft",
        "  speed     1 to 100 %; default 50 %",
        "answers: x in cm, y in cm, heading in deg",
        "example: forward 50 cm speed=50 %",
    ]


@pytest.mark.parametrize(
    ("line", "asks"),
    [
        ("help", "a small rover"),
        ("/help", "a small rover"),
        ("?", "a small rover"),
        ("？", "a small rover"),
        ("HELP Forward", "forward: drive straight"),
        ("forward ?", "forward: drive straight"),
        ("forward?", "forward: drive straight"),
        ("? forward", "forward: drive straight"),
    ],
)
def test_asking_for_help_is_recognised(line: str, asks: str) -> None:
    assert commands.is_help(line)
    assert commands.help_for(line, ROVER).startswith(asks)


@pytest.mark.parametrize("line", ["helper", "forward 2", "say how are you?", "say help", "", " "])
def test_what_only_looks_like_asking_for_help_is_a_command(line: str) -> None:
    assert not commands.is_help(line)


def test_help_on_what_is_not_there_suggests_what_is() -> None:
    with pytest.raises(UnknownCommand, match="did you mean forward"):
        commands.help_for("help fowrard", ROVER)


@given(orders(), st.data())
def test_the_example_in_help_works(order: tuple[Command, dict[str, Any]], data: st.DataObject) -> None:
    command, values = order
    optional = data.draw(st.sets(st.sampled_from(sorted(values)))) if values else set()
    specs = [
        with_default(spec, values[spec.name]) if spec.name in optional else spec for spec in command.args
    ]
    dictionary = Dictionary(name="d", commands=(Command(name=command.name, args=tuple(specs)),))
    text = commands.help_text(dictionary, command.name)
    args(" ".join(text.rpartition("example: ")[2].split("\n")).replace("  ", " "), dictionary)


def with_default(spec: Value, default: Any) -> Value:
    return Value(
        name=spec.name,
        type=spec.type,
        unit=spec.unit,
        min=spec.min,
        max=spec.max,
        default=default,
        choices=spec.choices,
    )


# Completion -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "texts"),
    [
        ("fo", ["forward"]),
        ("/FO", ["forward"]),
        ("help fo", ["forward"]),
        ("forward ", ["distance=", "speed="]),
        ("forward 20", []),
        ("forward 20 ", ["speed=", "cm", "m", "mm", "km", "in", "ft"]),
        ("forward 20 c", ["cm"]),
        ("forward 20c", ["20cm"]),
        ("forward distance=20c", ["distance=20cm"]),
        ("forward 20 cm ", ["speed="]),
        ("forward 20 s", ["speed="]),
        ("forward speed=5% ", ["distance="]),
        ("forward 20 30 1 ", []),
        ("led ", ["on", "off", "state="]),
        ("led o", ["on", "off"]),
        ("led state=o", ["state=on", "state=off"]),
        ("mode ", ["slow", "Fast", '"very fast"', "which="]),
        ("mode f", ["Fast"]),
        ("step 3 ", ["steps"]),
        ("say hello ", []),
        ("unknown ", []),
    ],
)
def test_completion_offers_what_may_follow(line: str, texts: list[str]) -> None:
    assert [completion.text for completion in commands.complete(line, ROVER)] == texts


def test_an_empty_line_offers_all_commands_with_their_help() -> None:
    found = commands.complete("", ROVER)
    assert [each.text for each in found] == [command.name for command in ROVER.commands]
    assert found[0].hint == "drive straight"


def test_hints_tell_help_range_and_default() -> None:
    hints = {each.text: each.hint for each in commands.complete("forward ", ROVER)}
    assert hints == {"distance=": "how far; 1 to 500 cm", "speed=": "1 to 100 %; default 50 %"}


# Showing ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"x": 20.0, "y": -0.0, "heading": 0.0}, "x 20 cm, y 0 cm, heading 0°"),
        (
            {"x": 0.30000001192, "y": None, "heading": math.nan},
            "x 0.3 cm, y not available, heading not available",
        ),
        ({"x": 123456.7, "y": 1234567.0, "heading": -1e-9}, "x 123457 cm, y 1234570 cm, heading -1e-09°"),
    ],
)
def test_returned_values_read_like_a_sentence(values: dict[str, Any], text: str) -> None:
    assert commands.show(values, ROVER.by_name["forward"][1].returns, "forward") == text


@pytest.mark.parametrize(
    ("spec", "value", "text"),
    [
        (Value(name="battery", type="float", unit="V"), 7.9000000954, "7.9 V"),
        (Value(name="value", type="int"), 2147483647, "2147483647"),
        (Value(name="value", type="bool"), True, "on"),
        (Value(name="value", type="str"), "two\nlines\x1b[0m", "two\nlines[0m"),
        (Value(name="value", type="choice", choices=("a",)), None, "not available"),
        (Value(name="room", type="float", unit="°C"), 21.5, "room 21.5 °C"),
    ],
)
def test_a_single_value_is_named_only_if_its_name_tells_something(spec: Value, value: Any, text: str) -> None:
    assert commands.show({spec.name: value}, (spec,), "battery") == text


def test_nothing_returned_is_shown_as_nothing() -> None:
    assert commands.show({}, ()) == ""


# Hostile boards ---------------------------------------------------------------------------------

HOSTILE = st.text(st.characters(exclude_categories=["Cs"]), max_size=30) | st.sampled_from(
    ["\x1b[2J\x07" + "A" * 10_000, "\x9b31m", "\u202eevil", "\u2028", "a\r\nexample: stop", "\x00", '"', "="]
)


def harmless(text: str) -> bool:
    """Nothing in it but what can be printed, and newlines."""
    return all(part.isprintable() for part in text.split("\n"))


@st.composite
def hostile_dictionaries(draw: st.DrawFn) -> Dictionary:
    specs = []
    for name in draw(st.lists(NAMES, max_size=3, unique=True)):
        kind = draw(st.sampled_from(["int", "float", "bool", "choice", "str"]))
        low, high = sorted(draw(st.tuples(*[st.floats(allow_nan=False, allow_infinity=False)] * 2)))
        specs.append(
            Value(
                name=name,
                type=kind,
                unit=draw(HOSTILE),
                min=draw(st.sampled_from([None, low])),
                max=draw(st.sampled_from([None, high])),
                default=draw(st.none() | st.booleans() | st.integers(-9, 9) | HOSTILE),
                choices=tuple(draw(st.lists(HOSTILE, min_size=1, max_size=3))) if kind == "choice" else (),
                help=draw(HOSTILE),
            )
        )
    command = Command(name="act", help=draw(HOSTILE), args=tuple(specs), returns=tuple(specs))
    return Dictionary(name=draw(HOSTILE), about=draw(HOSTILE), commands=(command,))


@given(hostile_dictionaries(), HOSTILE)
def test_no_control_character_of_a_board_reaches_people(dictionary: Dictionary, typed: str) -> None:
    told = [commands.help_text(dictionary), commands.help_text(dictionary, "act")]
    assert max(len(row) for text in told for row in text.split("\n")) <= 80
    command = dictionary.commands[0]
    told += [commands.show({spec.name: typed for spec in command.args}, command.returns)]
    for line in ("", "act ", "act 5 ", *(f"act {spec.name}=" for spec in command.args)):
        told += [part for each in commands.complete(line, dictionary) for part in (each.text, each.hint)]
    for line in (
        typed,
        "act",
        f"act {typed}",
        f"act 5 {typed}",
        *(f"act {s.name}={typed}" for s in command.args),
    ):
        try:
            commands.read(line, dictionary)
        except CommandError as error:
            told.append(str(error))
    for info in commands.infos(dictionary):
        told += [info.name, info.help]
        for arg in info.args:
            told += [arg.name, arg.unit, str(arg.default), *arg.choices]
    assert all(map(harmless, told))
    assert max(map(len, told)) < 4000


def test_the_directory_gets_all_that_a_form_needs() -> None:
    forward = commands.infos(ROVER)[0]
    assert (forward.name, forward.cls, forward.help) == ("forward", "motion", "drive straight")
    speed = forward.args[1]
    assert (speed.name, speed.type, speed.unit, speed.min, speed.max, speed.default) == (
        "speed",
        "int",
        "%",
        1,
        100,
        50,
    )
