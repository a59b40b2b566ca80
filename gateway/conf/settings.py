"""The items of a block → a typed struct. An error says where, what was given, what is expected."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from msgspec import inspect

from boardtalk.conf.document import Block, Item, quoted, shown
from boardtalk.conf.values import expected, value
from boardtalk.sdk import ConfigError, ModuleError, Settings
from boardtalk.sdk.hints import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

T = TypeVar("T", bound=Settings)
U = TypeVar("U", bound=Settings)


def settings(source: Block | Sequence[Item], type_: type[T]) -> T:
    """The settings that a block (or the global items) holds. Of a repeated key, the first counts.

    Raises:
        ConfigError: the first thing that is wrong: an unknown or missing key, a wrong value.
        ModuleError: `type_` has annotations that can't be resolved.
    """
    block = _as_block(source)
    values, errors = _read(block, (type_,))
    if errors:
        raise errors[0]
    return _made(block, type_, values)


def shared_settings(block: Block, first: type[T], second: type[U]) -> tuple[T, U]:
    """The settings of two parties that share the keys of one block; raises as `settings` does."""
    values, errors = _read(block, (first, second))
    if errors:
        raise errors[0]
    return _made(block, first, values), _made(block, second, values)


def problems(source: Block | Sequence[Item], *types: type[Settings]) -> list[ConfigError]:
    """All that is wrong with a block whose keys belong to these types, in the order of the file."""
    block = _as_block(source)
    values, errors = _read(block, types)
    for type_ in () if errors else types:
        try:
            _made(block, type_, values)
        except ConfigError as error:
            errors.append(error)
    return errors


def suggestion(word: str, known: Iterable[str], what: str) -> str:
    """Help with an unknown word: the nearest known one, and all of them."""
    names = sorted(known)
    near = nearest(word, names)
    guess = f"did you mean {near!r}? " if near else ""
    return f"{guess}{what}: {', '.join(names) or 'none'}"


def fields(type_: type[Settings]) -> dict[str, msgspec.structs.FieldInfo]:
    """The fields of a settings struct, by key.

    Raises:
        ModuleError: its annotations can't be resolved.
    """
    try:
        return {each.encode_name: each for each in msgspec.structs.fields(type_)}
    except NameError as error:
        raise ModuleError(
            f"settings {type_.__qualname__}: {error}; what an annotation uses must be imported at "
            "run time, not under TYPE_CHECKING"
        ) from error


def _as_block(source: Block | Sequence[Item]) -> Block:
    return source if isinstance(source, Block) else Block("", items=tuple(source))


def _read(block: Block, types: Sequence[type[Settings]]) -> tuple[dict[str, Any], list[ConfigError]]:
    """Typed values by key, and all errors in the order of the file."""
    given: dict[str, Item] = {}
    for item in block.items:
        given.setdefault(item.key, item)
    known = {key: each for type_ in types for key, each in fields(type_).items()}
    values: dict[str, Any] = {}
    errors = [
        block.error(f"{quoted(block.title or 'the file')} lacks the key {key!r}: {_wanted(each)}")
        for key, each in known.items()
        if each.required and key not in given
    ]
    for key, item in given.items():
        if key not in known:
            hint = suggestion(key, known, "known keys")
            errors.append(item.error(f"unknown key {quoted(key)}; {hint}"))
            continue
        try:
            values[key] = value(known[key].type, item.value)
        except ValueError as error:
            errors.append(item.error(f"{key} = {quoted(shown(key, item.value))}: {error}"))
    return values, errors


def _wanted(field: msgspec.structs.FieldInfo) -> str:
    return f"expected {expected(inspect.type_info(field.type))}"


def _made(block: Block, type_: type[T], values: Mapping[str, Any]) -> T:
    chosen = {each.name: values[key] for key, each in fields(type_).items() if key in values}
    try:
        return type_(**chosen)
    except ValueError as error:  # of its __post_init__: values that don't go together
        raise block.error(str(error)) from error
