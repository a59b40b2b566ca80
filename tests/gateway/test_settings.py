"""How the texts of a configuration become typed settings, and what is said about wrong ones."""

from enum import StrEnum
from ipaddress import IPv4Address
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boardtalk.conf.document import Block
from boardtalk.conf.grammar import parse
from boardtalk.conf.settings import fields, problems, settings, shared_settings
from boardtalk.conf.values import value
from boardtalk.sdk import ConfigError, ModuleError, Settings


class Tone(StrEnum):
    SOFT = "soft"
    LOUD = "loud"


class Full(Settings):
    text: str = ""
    count: int = 0
    ratio: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.5
    on: bool = False
    tone: Tone = Tone.SOFT
    level: Literal[1, 2] = 1
    path: Path = Path("/")
    peer: IPv4Address | None = None
    words: list[str] = msgspec.field(default_factory=list)
    ports: tuple[Annotated[int, msgspec.Meta(ge=1)], ...] = ()
    code: Annotated[str, msgspec.Meta(pattern="^[a-f]+$")] = "a"
    shown: Annotated[str, msgspec.Meta(pattern="^x", title="something with x")] = "x"
    class_: str = msgspec.field(name="class", default="")


def block_of(*lines: str) -> Block:
    return parse("\n".join(["module full {", *(f"  {line}" for line in lines), "}"]), "f.conf").blocks[0]


def errors(block: Block, *types: type[Settings]) -> list[str]:
    return [str(error) for error in problems(block, *types)]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("text = two words", "two words"),
        ("text =", ""),
        ("text = null", "null"),
        ("count = -12", -12),
        ("ratio = 1", 1.0),
        ("ratio = .25", 0.25),
        ("ratio = 2.5e-1", 0.25),
        *((f"on = {word}", True) for word in ("yes", "on", "true", "1", "Yes", "TRUE")),
        *((f"on = {word}", False) for word in ("no", "off", "false", "0", "Off")),
        ("tone = loud", Tone.LOUD),
        ("level = 2", 2),
        ("path = a b/c", Path("a b/c")),
        ("peer = 10.0.0.7", IPv4Address("10.0.0.7")),
        ("words = a, b c ,, d,", ["a", "b c", "d"]),
        ("words =", []),
        ("ports = 1,2", (1, 2)),
        ("class = x", "x"),
    ],
)  # fmt: skip
def test_a_text_becomes_a_value_of_the_fields_type(line: str, expected: Any) -> None:
    block = block_of(line)
    field = fields(Full)[block.items[0].key].name
    assert getattr(settings(block, Full), field) == expected


def test_what_is_not_given_has_its_default() -> None:
    assert settings(block_of(), Full) == Full()
    assert settings((), Full) == Full()


def test_of_a_repeated_key_the_first_counts() -> None:
    assert settings(block_of("count = 1", "count = 2", "count = x"), Full).count == 1


def test_global_items_can_be_read_without_a_block() -> None:
    assert settings(parse("count = 3").globals, Full).count == 3


KEYS = "known keys: class, code, count, level, on, path, peer, ports, ratio, shown, text, tone, words"


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("count = many", "count = 'many': expected a whole number"),
        ("count = 1.5", "count = '1.5': expected a whole number"),
        ("count = 1_000", "count = '1_000': expected a whole number"),
        ("count = ٣", "count = '٣': expected a whole number"),
        ("count =", "count = '': expected a whole number"),
        ("count = " + "9" * 19, f"count = '{'9' * 19}': expected a whole number"),
        ("ratio = 0", "ratio = '0': expected a number above 0 to 1"),
        ("ratio = nan", "ratio = 'nan': expected a number above 0 to 1"),
        ("ratio = 1e999", "ratio = '1e999': expected a number above 0 to 1"),
        ("on = maybe", "on = 'maybe': expected yes or no"),
        ("tone = LOUD", "tone = 'LOUD': expected one of soft, loud"),
        ("level = 3", "level = '3': expected one of 1, 2"),
        ("ports = 8,0", "ports = '8,0': expected a list with commas, each a whole number from 1"),
        ("code = xyz", "code = 'xyz': expected text that matches ^[a-f]+$"),
        ("shown = y", "shown = 'y': expected something with x"),
        ("peer = here", "peer = 'here': Expected 4 octets in 'here'"),
        ("\tcont = 1", f"unknown key 'cont'; did you mean 'count'? {KEYS}"),
        ("class_ = 1", f"unknown key 'class_'; did you mean 'class'? {KEYS}"),
    ],
)  # fmt: skip
def test_an_error_says_where_what_was_given_and_what_is_expected(line: str, error: str) -> None:
    with pytest.raises(ConfigError) as caught:
        settings(block_of("text = a", line), Full)
    column = 3 + len(line) - len(line.lstrip())
    assert str(caught.value) == f"f.conf:3:{column}: {error}"


class Needs(Settings, rename="kebab"):
    board_id: str
    retries: Annotated[int, msgspec.Meta(ge=1)]
    max_speed: int = 3

    def __post_init__(self) -> None:
        if self.retries > self.max_speed:
            raise ValueError("retries must not exceed max-speed")


def test_a_missing_key_is_reported_where_its_block_begins() -> None:
    assert errors(block_of("board-id = a"), Needs) == [
        "f.conf:1:1: 'module full' lacks the key 'retries': expected a whole number from 1"
    ]


def test_hyphen_and_underscore_are_not_the_same() -> None:
    (error,) = errors(block_of("board-id = a", "retries = 1", "max_speed = 2"), Needs)
    assert error == (
        "f.conf:4:3: unknown key 'max_speed'; did you mean 'max-speed'? "
        "known keys: board-id, max-speed, retries"
    )


def test_values_that_do_not_go_together_are_reported_where_their_block_begins() -> None:
    assert errors(block_of("board-id = a", "retries = 4"), Needs) == [
        "f.conf:1:1: retries must not exceed max-speed"
    ]


def test_all_errors_of_a_block_are_found_at_once_in_the_order_of_the_file() -> None:
    found = problems(block_of("max-speed = fast", "speed = 1", "retries = 0"), Needs)
    assert [(error.line, error.column) for error in found] == [(1, 1), (2, 3), (3, 3), (4, 3)]


def test_two_parties_share_a_block() -> None:
    class Other(Settings):
        extra: bool = False

    block = block_of("extra = yes", "board-id = a", "retries = 1")
    assert shared_settings(block, Other, Needs) == (
        Other(extra=True),
        Needs(board_id="a", retries=1),
    )
    (error,) = errors(block_of("exta = yes", "board-id = a", "retries = 1"), Other, Needs)
    assert error == (
        "f.conf:2:3: unknown key 'exta'; did you mean 'extra'? "
        "known keys: board-id, extra, max-speed, retries"
    )


def test_settings_without_keys_say_so() -> None:
    assert errors(block_of("a = 1"), Settings) == ["f.conf:2:3: unknown key 'a'; known keys: none"]


def test_settings_that_python_cannot_resolve_are_the_modules_fault() -> None:
    class Broken(Settings):
        path: "OnlyForTheTypeChecker"  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(ModuleError, match="'OnlyForTheTypeChecker' is not defined"):
        settings(block_of(), Broken)


@given(st.sampled_from([each.type for each in fields(Full).values()]), st.text())
def test_any_text_is_a_value_or_a_value_error(annotation: Any, text: str) -> None:
    try:
        value(annotation, text)
    except ValueError:
        return
