"""One value of a configuration: text → a type's value, and what the type takes, in words.

Types are those that `boardtalk.sdk.Settings` names, and any class that is made from one text and
raises ValueError at a bad one (`pathlib.Path`, `ipaddress.IPv4Address`, …).
"""

from __future__ import annotations

import re
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import inspect

if TYPE_CHECKING:
    from collections.abc import Mapping

_BOOLEANS: Final[Mapping[str, bool]] = {
    "yes": True, "no": False, "on": True, "off": False,
    "true": True, "false": False, "1": True, "0": False,
}  # fmt: skip
_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,18}")
"""What surely fits 64 bit."""
_DECIMAL: Final = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_LISTS: Final = (inspect.ListType, inspect.VarTupleType, inspect.SetType, inspect.FrozenSetType)


def value(annotation: Any, text: str) -> Any:
    """The value that a text stands for.

    Raises:
        ValueError: it is none of this type; the error says what is.
    """
    type_ = inspect.type_info(annotation)
    try:
        return msgspec.convert(_shaped(type_, text), annotation)
    except msgspec.ValidationError:
        raise ValueError(f"expected {expected(type_)}") from None


def expected(type_: inspect.Type) -> str:
    """What a value must look like, in words: the `title` of its `msgspec.Meta`, or as follows."""
    match type_:
        case inspect.Metadata(extra_json_schema={"title": str(title)}):
            return title
        case inspect.Metadata(type=inner):
            return expected(inner)
        case inspect.UnionType(types=members):
            return " or ".join(expected(each) for each in members if not _is_none(each))
        case _ if isinstance(type_, _LISTS):
            return f"a list with commas, each {expected(type_.item_type)}"
        case _:
            return _expected_one(type_)


def _expected_one(type_: inspect.Type) -> str:
    match type_:
        case inspect.BoolType():
            return "yes or no"
        case inspect.IntType():
            return f"a whole number{_range(type_)}"
        case inspect.FloatType():
            return f"a number{_range(type_)}"
        case inspect.EnumType(cls=cls):
            return f"one of {', '.join(str(member.value) for member in cls)}"
        case inspect.LiteralType(values=values):
            return f"one of {', '.join(map(str, values))}"
        case inspect.StrType(pattern=str(pattern)):
            return f"text that matches {pattern}"
        case inspect.CustomType(cls=cls):
            name = cls.__name__.lower()
            return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"
        case _:
            return "text"


def _range(type_: inspect.IntType | inspect.FloatType) -> str:
    bounds = (("from", type_.ge), ("above", type_.gt), ("to", type_.le), ("below", type_.lt))
    return "".join(f" {word} {bound:.15g}" for word, bound in bounds if bound is not None)


def _is_none(type_: inspect.Type) -> bool:
    return isinstance(type_, inspect.NoneType)


def _shaped(type_: inspect.Type, text: str) -> Any:
    """A text as what msgspec takes for a type; the text itself if it can't be that."""
    match type_:
        case inspect.Metadata(type=inner):
            return _shaped(inner, text)
        case inspect.UnionType(types=members):
            shapes = (_shaped(each, text) for each in members if not _is_none(each))
            return next((shape for shape in shapes if shape is not text), text)
        case _ if isinstance(type_, _LISTS):
            parts = (part.strip() for part in text.split(","))
            return [_shaped(type_.item_type, part) for part in parts if part]
        case _:
            return _shaped_one(type_, text)


def _shaped_one(type_: inspect.Type, text: str) -> Any:
    match type_:
        case inspect.BoolType():
            return _BOOLEANS.get(text.lower(), text)
        case inspect.IntType() if _WHOLE.fullmatch(text):
            return int(text)
        case inspect.FloatType() if _DECIMAL.fullmatch(text) and isfinite(float(text)):
            return float(text)
        case inspect.EnumType(cls=cls):
            return next((each.value for each in cls if str(each.value) == text), text)
        case inspect.LiteralType(values=values):
            return next((each for each in values if str(each) == text), text)
        case inspect.CustomType(cls=cls):
            return _from_home(cls(text))
        case _:
            return text


def _from_home(made: Any) -> Any:
    """A path that begins with ``~`` as the one that is meant."""
    try:
        return made.expanduser() if isinstance(made, Path) else made
    except RuntimeError as error:
        raise ValueError(str(error)) from error
