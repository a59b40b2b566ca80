"""The arguments of a command as people type them: which word is which, and what value it is. Pure."""

from __future__ import annotations

import math
import re
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from boardtalk.modules.iot_bridge import units
from boardtalk.modules.iot_bridge.dictionary import INT_RANGE, MAX_STR_BYTES, Command, Value
from boardtalk.modules.iot_bridge.manual import example, usage
from boardtalk.modules.iot_bridge.words import exact, limits, line
from boardtalk.sdk import BoardtalkError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

MAX_ECHO_CHARS: Final = 40
"""Of what somebody typed, in an error."""
MAX_FLOAT: Final = 3.4e38
"""Largest float on the wire (32 bit)."""
NUMERIC: Final = frozenset({"int", "float"})
SWITCH: Final = {
    **dict.fromkeys(("on", "yes", "true", "1"), True),
    **dict.fromkeys(("off", "no", "false", "0"), False),
}
NUMBER: Final = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*(.*)", re.IGNORECASE | re.DOTALL)
"""A number and what follows it: its unit."""

_WORD: Final = re.compile(
    r"""\s*  (?:(?P<name>[^\W\d]\w*)\s*[=＝]\s*)?
    (?P<value> "(?P<quoted>(?:[^"\\]|\\.)*)"(?!\S) | “(?P<curly>[^”]*)”(?!\S) | \S*)  \s*""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPED: Final = re.compile(r'\\(["\\])')
_MINUS: Final = str.maketrans("−–—‐", "----")
"""What keyboards and word processors make of a minus."""


class CommandError(BoardtalkError):
    """A line can't be carried out; the text says why and what would do, for its author."""


class BadArgument(CommandError):
    """An argument is missing, too much, or does not fit."""


class Given(NamedTuple):
    """What was typed for an argument."""

    spec: Value
    text: str
    named: bool


def fold(text: str) -> str:
    """A word in one spelling, whatever keyboard it comes from; for all but free text."""
    return units.fold(text).translate(_MINUS)


def said(text: str) -> str:
    """What somebody typed, to be shown to him."""
    return f"'{line(text, MAX_ECHO_CHARS)}'"


def guess(word: str, known: Iterable[str]) -> str:
    """What may have been meant, as a question; or ""."""
    near = get_close_matches(word[:MAX_ECHO_CHARS].lower(), known, n=1)
    return f"did you mean {line(near[0])}?" if near else ""


def arguments(command: Command, text: str) -> dict[str, Any]:
    """All arguments as checked values, from what follows the command's name.

    Raises:
        BadArgument: one is missing, too much, or does not fit.
    """
    args = {given.spec.name: value(given.spec, given.text) for given in assigned(command, text)}
    return {spec.name: args[spec.name] if spec.name in args else _default(command, spec) for spec in command.args}


# Which word is which ----------------------------------------------------------------------------


def assigned(command: Command, text: str) -> Iterator[Given]:
    """Each argument that was given, with its text, in the order of typing.

    Raises:
        BadArgument: a word is too much, or names an argument that there is not, or one twice.
    """
    missing = {spec.name: spec for spec in command.args}
    named = False
    at = 0
    while at < len(text):
        word = _word(text, at)
        takes_rest = [spec.type for spec in missing.values()] == ["str"]
        if word["name"] and not (takes_rest and _key(word) not in _names(command)):
            named = True
            spec = _named(command, missing, word)
            at = word.start("value")
        else:
            spec = _next(command, missing, text[at : word.end()], named=named)
        del missing[spec.name]
        if takes_rest:
            yield Given(spec, _plain(_word(text, at)) if _is_one_quotation(text, at) else text[at:], named)
            return
        said_, at = ...
