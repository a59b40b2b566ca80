"""The keys of a block as a form shows them: what each takes, what it means, and what it is now."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import inspect

from boardtalk.conf.changes import Setting
from boardtalk.conf.document import shown
from boardtalk.conf.settings import fields
from boardtalk.conf.values import expected

if TYPE_CHECKING:
    from collections.abc import Iterator

    from boardtalk.conf.document import Block
    from boardtalk.sdk import Settings


def form(block: Block, *types: type[Settings]) -> list[Setting]:
    """All keys that a block may have, and those that it has, of which nothing more is known."""
    given = {item.key: item.value for item in reversed(block.items)}
    known = {key: _described(key, each) for type_ in types for key, each in fields(type_).items()}
    others = {key: Setting(key=key) for key in given if key not in known}
    return [_filled(each, given) for each in (known | others).values()]


def as_text(value: Any) -> str:
    """A value as a file would have it; "" if it can't have it."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case Enum():
            return str(value.value)
        case list() | tuple():
            return ", ".join(map(as_text, value))
        case _:
            return str(value)


def _filled(setting: Setting, given: dict[str, str]) -> Setting:
    if setting.key not in given:
        return setting
    return msgspec.structs.replace(setting, given=True, value=shown(setting.key, given[setting.key]))


def _described(key: str, field: msgspec.structs.FieldInfo) -> Setting:
    info = inspect.type_info(field.type)
    extra = info.extra_json_schema if isinstance(info, inspect.Metadata) else None
    plain = [each for each in _plain(info) if not isinstance(each, inspect.NoneType)]
    number = next((each for each in plain if isinstance(each, inspect.IntType | inspect.FloatType)), None)
    default = "" if field.required else _default(field)
    return Setting(
        key=key,
        expected=expected(info),
        help=str((extra or {}).get("description", "")),
        default=default,
        required=field.required,
        choices=_choices(plain[0]) if len(plain) == 1 else (),
        min=number.ge if number else None,
        max=number.le if number else None,
    )


def _plain(info: inspect.Type) -> Iterator[inspect.Type]:
    match info:
        case inspect.Metadata(type=inner):
            yield from _plain(inner)
        case inspect.UnionType(types=members):
            for each in members:
                yield from _plain(each)
        case _:
            yield info


def _choices(info: inspect.Type) -> tuple[str, ...]:
    match info:
        case inspect.BoolType():
            return ("yes", "no")
        case inspect.EnumType(cls=cls):
            return tuple(str(member.value) for member in cls)
        case inspect.LiteralType(values=values):
            return tuple(map(str, values))
        case _:
            return ()


def _default(field: msgspec.structs.FieldInfo) -> str:
    made = field.default_factory is not msgspec.NODEFAULT
    return as_text(field.default_factory() if made else field.default)
