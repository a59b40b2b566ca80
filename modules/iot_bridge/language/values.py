"""One value as people type it: text to number, switch, choice or text, checked against its declaration. Pure.

::

    CommandError
    ├─ UnknownCommand        the robot has no such command (raised in `commands`)
    └─ BadArgument           an argument is missing, too much, or does not fit
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Final

from boardtalk.modules.iot_bridge.dictionary import INT_RANGE, MAX_FLOAT, MAX_STR_BYTES, Value
from boardtalk.modules.iot_bridge.language import units
from boardtalk.modules.iot_bridge.language.words import exact, limits, line
from boardtalk.sdk import BoardtalkError
from boardtalk.sdk.hints import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable

ROUNDING: Final = 0.01
"""A value in another unit may be rounded to a whole number by so much of it: 1 rad is 57°."""
MAX_ECHO_CHARS: Final = 40
"""Of what somebody typed, in an error."""
SWITCH: Final = {
    **dict.fromkeys(("on", "yes", "true", "1"), True),
    **dict.fromkeys(("off", "no", "false", "0"), False),
}
NUMBER: Final = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*(.*)", re.IGNORECASE | re.DOTALL)
"""A number, and its unit if any."""

_MINUS: Final = str.maketrans("−–—‐", "----")
"""What keyboards and word processors make of a minus."""
_CONTROL: Final = re.compile(r"[^\t\n\r -~\xa0-\ud7ff\ue000-\U0010ffff]")


class CommandError(BoardtalkError):
    """A line can't be carried out; the text says why and what would do, for its author."""


class UnknownCommand(CommandError):
    """The robot has no such command."""


class BadArgument(CommandError):
    """An argument is missing, too much, or does not fit."""


def fold(text: str) -> str:
    """A word in one spelling, whatever keyboard it comes from; for all but free text."""
    return units.fold(text).translate(_MINUS)


def said(text: str) -> str:
    """What somebody typed, to be shown to him."""
    return f"'{line(text, MAX_ECHO_CHARS)}'"


def guess(word: str, known: Iterable[str]) -> str:
    """What may have been meant, as a question; or ""."""
    near = nearest(word, known)
    return f"did you mean {line(near)}?" if near else ""


def read_value(spec: Value, text: str) -> int | float | bool | str:
    """The value of an argument, in its declared unit.

    Raises:
        BadArgument: it is no such value, in no such unit, or beyond the limits.
    """
    match spec.type:
        case "int" | "float":
            return _number(spec, text)
        case "bool":
            return _switch(spec, text)
        case "choice":
            return _choice(spec, text)
        case "str":
            return _text(spec, text)


def _switch(spec: Value, text: str) -> bool:
    word = fold(text).lower()
    if word not in SWITCH:
        raise BadArgument(f"{spec.name}: {said(text)} is neither on nor off")
    return SWITCH[word]


def _choice(spec: Value, text: str) -> str:
    if text in spec.choices:
        return text
    folded = {fold(choice).lower(): choice for choice in reversed(spec.choices)}
    word = fold(text).lower()
    if word in folded:
        return folded[word]
    hint = guess(word, folded) or f"it is one of {', '.join(map(line, spec.choices))}"
    raise BadArgument(f"{spec.name}: there is no {said(text)}; {line(hint)}")


def _text(spec: Value, text: str) -> str:
    if _CONTROL.search(text):
        raise BadArgument(f"{spec.name}: there is a control character in it; send plain text")
    size = len(text.encode())
    if size > MAX_STR_BYTES:
        raise BadArgument(f"{spec.name}: {size} bytes are more than the limit of {MAX_STR_BYTES} bytes")
    return text


def _number(spec: Value, text: str) -> int | float:
    found = NUMBER.fullmatch(fold(text))
    if found is None:
        what = f"number of {line(spec.unit)}" if spec.unit else "number"
        raise BadArgument(f"{spec.name}: {said(text)} is not a {what}")
    value = _converted(spec, float(found[1]), found[2])
    lowest, highest = INT_RANGE if spec.type == "int" else (-MAX_FLOAT, MAX_FLOAT)
    if not lowest <= value <= highest:
        raise BadArgument(f"{spec.name}: {line(text, MAX_ECHO_CHARS)} is too large for a board")
    converted = value != float(found[1])
    if spec.type == "int" and converted and math.isclose(value, round(value), rel_tol=ROUNDING):
        value = float(round(value))
    if spec.type == "int" and not value.is_integer():
        raise BadArgument(f"{spec.name}: {exact(spec, value)} is not a whole number")
    _check_limits(spec, value)
    return int(value) if spec.type == "int" else value + 0.0  # no -0.0


def _converted(spec: Value, value: float, unit: str) -> float:
    """A value in the declared unit."""
    if not unit:
        return value
    converted = units.convert(value, unit, spec.unit)
    if converted is not None:
        return converted
    known = units.find(unit)
    what = f"is {_article(known.quantity)}" if known else "is no unit that I know"
    others = ", ".join(units.alternatives(spec.unit))
    takes = f"takes {line(spec.unit)}" + (f" (or {others})" if others else "") if spec.unit else "has no unit"
    raise BadArgument(f"`{line(unit, MAX_ECHO_CHARS)}` {what}; {spec.name} {takes}")


def _article(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def _check_limits(spec: Value, value: float) -> None:
    if spec.max is not None and value > spec.max:
        limit, word = spec.max, "more"
    elif spec.min is not None and value < spec.min:
        limit, word = spec.min, "less"
    else:
        return
    raise BadArgument(
        f"{spec.name}: {exact(spec, value)} is {word} than the limit of {exact(spec, limit)} ({limits(spec)})"
    )
