"""The keys of configuration blocks, as Markdown tables: made from the code that reads them."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import inspect

from boardtalk import loader
from boardtalk.conf.blocks import (
    BROKERS,
    KINDS,
    AllowBlock,
    Gateway,
    GrantBlock,
    Listen,
    ModuleOptions,
    PolicyBlock,
    RemoteBroker,
)
from boardtalk.conf.settings import fields
from boardtalk.conf.values import expected

if TYPE_CHECKING:
    from collections.abc import Mapping

    from boardtalk.sdk import Settings

OWN: Final[Mapping[str, type[Settings]]] = {
    "global": Gateway,
    "module": ModuleOptions,
    **{f"broker {name}": type_ for name, type_ in BROKERS.items()},
    "broker url": RemoteBroker,
    "listen": Listen,
    "allow": AllowBlock,
    "policy": PolicyBlock,
    "grant": GrantBlock,
    **KINDS,
}
"""The settings that the gateway itself reads, by the name of their table."""


def known_tables() -> dict[str, type[Settings]]:
    """All settings, by the name of their table: the gateway's, those of its modules and of their blocks."""
    tables = dict(OWN)
    for name, source in loader.find().items():
        if source.is_ours:
            module = source.load()
            tables |= {f"module {name}": module.Config, **module.blocks}
    return tables


def table(type_: type[Settings]) -> str:
    """The keys of some settings, as a Markdown table."""
    rows = ["| key | value | default | meaning |", "|---|---|---|---|"]
    for key, field in fields(type_).items():
        info = inspect.type_info(field.type)
        extra = info.extra_json_schema if isinstance(info, inspect.Metadata) else None
        meaning = str((extra or {}).get("description", ""))
        cells = (f"`{key}`", expected(info), _default(field), meaning)
        rows.append("| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |")
    return "\n".join(rows) + "\n"


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "required"
    if field.default_factory is not msgspec.NODEFAULT:
        return _as_text(field.default_factory())
    return _as_text(field.default)


def _as_text(value: Any) -> str:
    """A value as the file would have it."""
    match value:
        case None | "" | () | []:
            return "none"
        case bool():
            return "`yes`" if value else "`no`"
        case Enum():
            return f"`{value.value}`"
        case list() | tuple():
            return f"`{', '.join(map(str, value))}`"
        case _:
            return f"`{value}`"
