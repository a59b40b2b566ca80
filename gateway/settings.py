"""Items of a configuration → a typed struct, and what a struct takes, in words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec
from msgspec import inspect

from boardtalk.document import Block, Item
from boardtalk.sdk import Config, ConfigError, ModuleError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

T = TypeVar("T", bound=Config)

_BOOLEANS: Final[Mapping[str, bool]] = {
    "yes": True, "no": False, "on": True, "off": False,
    "true": True, "false": False, "1": True, "0": False,
}  # fmt: skip
_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,18}")
_DECIMAL: Final = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")

_LISTS: Final = (inspect.ListType, inspect.VarTupleType, inspect.SetType, inspect.FrozenSetType)


def settings(source: Block | Sequence[Item], type_: type[T]) -> T:
    """The settings that a block (or the global items) holds. Of a repeated key, the first counts.

    Raises:
        ConfigError: the first thing that is wrong: an unknown or missing key, a wrong value.
        ModuleError: `type_` has fields that no configuration can set.
    """
    (found,) = settings_of(source, type_)
    return found


def settings_of(source: Block | Sequence[Item], *types: type[Any]) -> list[Any]:
    """Several structs that share the keys of one block; raises as `settings` does."""
    values, errors = _read(source, types)
    if errors:
        raise errors[0]
    return [_made(source, type_, values) for type_ in types]


def problems(source: Block | Sequence[Item], *types: type[Config]) -> list[ConfigError]:
    """All that `settings_of` would raise, in the order of the file."""
    values, errors = _read(source, types)
    for type_ in types if not errors else ():
        try:
            _made(source, type_, values)
        except ConfigError as error:
            errors.append(error)
    return errors


def suggestion(word: str, known: Iterable[str], called: str) -> str:
    """Help with a word that isn't known: the nearest one that is, and all of them."""
    names = sorted(known)
    near = get_close_matches(word, names, n=1)
    guess = f"did you mean {near[0]!r}? " if near else ""
    return f"{guess}{called}: {', '.join(names) or 'none'}"


def fields(type_: type[Config]) -> dict[str, msgspec.structs.FieldInfo]:
    """The fields of a settings struct, by key.

    Raises:
        ModuleError: its annotations can't be resolved.
    """
    try:
        return {each.encode_name: each for each in msgspec.structs.fields(type_)}
    except NameError as error:
        raise ModuleError(
            f"settings {type_.__qualname__}: {error}; what annotations use must be imported at "
            "run time, not under TYPE_CHECKING"
        ) from error


def expected(type_: inspect.Type) -> str:
    """What a value must look like, in words."""
    match type_:
        case inspect.Metadata(extra_json_schema={"title": str(title)}):
            return title
        case inspect.Metadata(type=inner):
            return expected(inner)
        case inspect.UnionType(types=members):
            return " or ".join(expected(each) for each in members if not _is_none(each))
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
            return f"text matching {pattern}"
        case inspect.StrType():
            return "text"
        case _ if isinstance(type_, _LISTS):
            return f"comma-separated: {expected(type_.item_type)}"
        case inspect.CustomType(cls=cls):
            return cls.__name__.lower()
        case _:
            return "a value"


def _range(type_: inspect.IntType | inspect.FloatType) -> str:
    bounds = (
        (" from {:g}", type_.ge), (" above {:g}", type_.gt),
        (" to {:g}", type_.le), (" below {:g}", type_.lt),
    )  # fmt: skip
    return "".join(text.format(bound) for text, bound in bounds if bound is not None)


def _is_none(type_: inspect.Type) -> bool:
    return isinstance(type_, inspect.NoneType)


def _read(
    source: Block | Sequence[Item], types: Sequence[type[Config]]
) -> tuple[dict[str, Any], list[ConfigError]]:
    """Typed values by key, and all errors in the order of the file."""
    items = source.items if isinstance(source, Block) else source
    given = {item.key: item for item in reversed(items)}
    known = {key: each for type_ in types for key, each in fields(type_).items()}
    values: dict[str, Any] = {}
    errors = [
        _missing(source, key, each)
        for key, each in known.items()
        if each.required and key not in given
    ]
    for key, item in reversed(given.items()):
        if key not in known:
            errors.append(
                item.error(f"unknown key {key!r}; {suggestion(key, known, 'known keys')}")
            )
            continue
        try:
            values[key] = _value(known[key].type, item.value)
        except ValueError as error:
            errors.append(item.error(f"{key} = {item.value!r}: {error}"))
    return values, sorted(errors, key=lambda error: (error.line, error.column))


def _missing(
    source: Block | Sequence[Item], key: str, field: msgspec.structs.FieldInfo
) -> ConfigError:
    wanted = f"expected {key} = {expected(inspect.type_info(field.type))}"
    if isinstance(source, Block):
        return source.error(f"{source.title!r} lacks the key {key!r}: {wanted}")
    return ConfigError(f"the key {key!r} is missing: {wanted}")


def _made(source: Block | Sequence[Item], type_: type[T], values: Mapping[str, Any]) -> T:
    chosen = {each.name: values[key] for key, each in fields(type_).items() if key in values}
    try:
        return type_(**chosen)
    except ValueError as error:  # its __post_init__ doesn't like them together
        raise (source.error if isinstance(source, Block) else ConfigError)(str(error)) from error


def _value(annotation: Any, text: str) -> Any:
    """The value that a text stands for.

    Raises:
        ValueError: it is none of this type; says what is expected.
    """
    type_ = inspect.type_info(annotation)
    shaped = _shaped(type_, text)
    try:
        return msgspec.convert(shaped, annotation)
    except msgspec.ValidationError:
        raise ValueError(f"expected {expected(type_)}") from None


def _shaped(type_: inspect.Type, text: str) -> Any:
    """A text as what msgspec takes for a type; the text itself if it can't be that."""
    match type_:
        case inspect.Metadata(type=inner):
            return _shaped(inner, text)
        case inspect.UnionType(types=members):
            shapes = [_shaped(each, text) for each in members if not _is_none(each)]
            return next((shape for shape in shapes if shape is not text), text)
        case inspect.BoolType():
            return _BOOLEANS.get(text.lower(), text)
        case inspect.IntType() if _WHOLE.fullmatch(text):
            return int(text)
        case inspect.FloatType() if _DECIMAL.fullmatch(text) and isfinite(float(text)):
            return float(text)
        case inspect.EnumType(cls=cls):
            return next((each.value for each in cls if str(each.value) == text), text)
        case inspect.LiteralType(values=values):
            return next((value for value in values if str(value) == text), text)
        case _ if isinstance(type_, _LISTS):
            parts = (part.strip() for part in text.split(","))
            return [_shaped(type_.item_type, part) for part in parts if part]
        case inspect.CustomType(cls=cls):
            return cls(text)
        case _:
            return text
