"""Wireshark's view of a frame: a Lua dissector with tables made from the wire format."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from boardtalk.modules.iot_bridge import frames
from boardtalk.modules.iot_bridge.codegen import snake, wire_name
from boardtalk.modules.iot_bridge.trace import BY_KIND

if TYPE_CHECKING:
    from collections.abc import Iterable

    from construct import Construct, Struct

PLACE: Final = "-- generated\n"
MAKERS: Final = {
    "u8": ("uint8", 1),
    "u16": ("uint16", 2),
    "u32": ("uint32", 4),
    "u8: 0 or 1": ("bool", 1),
    "length u8, then text": ("string", '"text"'),
    "the rest": ("bytes", '"rest"'),
}
"""How Wireshark calls a format, and its size."""


def lua() -> str:
    """The dissector."""
    template = (resources.files(__package__) / "dissector.lua").read_text()
    head, tail = template.split(PLACE)
    return head + "".join(_tables()) + tail


def _tables() -> Iterable[str]:
    numbers = {
        "VERSION_MASK": frames.CTL_VERSION_MASK,
        "KIND_MASK": frames.CTL_KIND_MASK,
        "KIND_SHIFT": frames.CTL_KIND_SHIFT,
        "MORE": frames.CTL_MORE,
        "RETRY": frames.CTL_RETRY,
        "HEADER_BYTES": frames.HEADER_BYTES,
        "CRC_BYTES": frames.CRC_BYTES,
        "SETPOINT": int(frames.Type.SETPOINT),
        "COMMAND": int(frames.Type.COMMAND),
        "DATA": int(frames.Kind.DATA),
    }
    for name, number in numbers.items():
        yield f"local {name} = {number}\n"
    yield _names("KINDS", frames.Kind)
    yield _names("TYPES", frames.Type)
    for name, bodies in (
        ("FROM_HOST", frames.FROM_HOST),
        ("FROM_BOARD", frames.FROM_BOARD),
        ("BY_KIND", BY_KIND),
    ):
        yield _bodies(name, bodies)


def _names(name: str, members: Any) -> str:
    rows = ", ".join(f'[{int(member)}] = "{member.name}"' for member in members)
    return f"local {name} = {{ {rows} }}\n"


def _bodies(name: str, bodies: dict[int, Struct]) -> str:
    rows = []
    for number, body in bodies.items():
        fields = "".join(f"\n        {_field(field)}," for field in body.subcons)
        called = next(known for known, value in vars(frames).items() if value is body)
        rows.append(f'    [{int(number)}] = {{ name = "{snake(called)}",{fields}\n    }},\n')
    return f"local {name} = {{\n{''.join(rows)}}}\n"


def _field(field: Construct[Any, Any]) -> str:
    format_ = wire_name(field)
    count, is_bytes, _ = format_.partition(" bytes")
    maker, size = ("bytes", count) if is_bytes else MAKERS[format_]
    return f'{{ name = "{field.name}", make = ProtoField.{maker}, size = {size} }}'
