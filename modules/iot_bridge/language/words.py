"""A board's values as text, and foreign text made harmless. Pure.

A dictionary comes from a board and may be hostile. Its texts, and what people typed, get into ours
only through `clean` or `line`.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, Final

from boardtalk.modules.iot_bridge.language import units

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from boardtalk.modules.iot_bridge.dictionary import Value

MAX_TEXT_CHARS: Final = 2000
"""Of one text that a board sends; the rest is cut off."""
MAX_LINE_CHARS: Final = 200
"""Of one help text, unit or word that a board declares."""

_SHOWN_DIGITS: Final = 6
"""A board's floats have 24 bits: about 7 digits."""
_EXACT_DIGITS: Final = 12
"""For limits and what people typed: a refused value must look different from its limit."""
_MAX_PLAIN: Final = 1e15
"""From here on, numbers have an exponent."""
_NEEDS_QUOTES: Final = re.compile(r'[\s"“”=＝]|^$')


def clean(text: str, most: int = MAX_TEXT_CHARS) -> str:
    """Text without control characters except newlines, and at most `most` characters of it."""
    head = text[: 2 * most]
    kept = "".join(c if c.isprintable() or c == "\n" else " " if c.isspace() else "" for c in head)
    return kept if len(kept) <= most else kept[: most - 1] + "…"


def line(text: str, most: int = MAX_LINE_CHARS) -> str:
    """Clean text in one line."""
    return clean(text.replace("\n", " "), most)


def quoted(text: str) -> str:
    """Text as it must be typed to be read as one word."""
    if not _NEEDS_QUOTES.search(text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def show(values: Mapping[str, Any], specs: Iterable[Value], of: str = "") -> str:
    """Values that a board sent: ``x 20 cm, heading 0°``.

    One alone goes without its name if that is "value" or `of`, the command's or channel's: ``7.9 V``.
    """
    rows = [(spec.name, value_text(spec, values.get(spec.name))) for spec in specs]
    if len(rows) == 1 and rows[0][0] in ("value", of):
        return rows[0][1]
    return clean(", ".join(f"{name} {text}" for name, text in rows))


def value_text(spec: Value, value: Any, digits: int = _SHOWN_DIGITS) -> str:
    """One value with its unit; None, or what is no number: ``not available``."""
    match value:
        case None:
            return "not available"
        case bool():
            return "on" if value else "off"
        case int() | float():
            return number(value, digits) + unit_suffix(spec) if math.isfinite(value) else "not available"
        case _:
            return clean(str(value))


def exact(spec: Value, value: float) -> str:
    """A limit, or a value that somebody typed, with its unit."""
    return value_text(spec, value, _EXACT_DIGITS)


def number(value: float, digits: int = _EXACT_DIGITS) -> str:
    """At most so many significant digits of a float; no ``-0``, no needless zeros."""
    if isinstance(value, int):
        return str(value)
    rounded = float(f"{value:.{digits}g}")
    if rounded.is_integer() and abs(rounded) < _MAX_PLAIN:
        return str(int(rounded))
    return f"{rounded:.{digits}g}"


def unit_suffix(spec: Value) -> str:
    """A unit as it follows a number: `` cm``, ``°``."""
    known = units.find(spec.unit)
    if known and known.symbol == "deg":
        return "°"
    return f" {line(spec.unit)}" if spec.unit else ""


def limits(spec: Value) -> str:
    """What is allowed: ``1 to 500 cm``, ``slow|fast``, ``on|off``; without limits the unit, or ""."""
    match spec.type:
        case "choice":
            return line("|".join(map(quoted, spec.choices)))
        case "bool":
            return "on|off"
        case "str":
            return ""
    if spec.min is not None and spec.max is not None:
        return f"{number(spec.min)} to {exact(spec, spec.max)}"
    if spec.min is not None:
        return f"from {exact(spec, spec.min)}"
    return f"up to {exact(spec, spec.max)}" if spec.max is not None else unit_suffix(spec).strip()
