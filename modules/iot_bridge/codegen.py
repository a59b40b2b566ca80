"""Writes what follows from the wire format: run it after each change of `frames`.

::

    python -m boardtalk.modules.iot_bridge.codegen [--check]

It writes the firmware's constants, the tables of the protocol document, and golden bytes that
both ends are tested with. `--check` writes nothing and fails if a file is stale. For developers:
it works on the repository that this file lies in.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
import struct
import sys
from binascii import crc32
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from construct import Bytes, Construct, Flag, FormatField, Renamed, Struct

from boardtalk.modules.iot_bridge import frames
from boardtalk.modules.iot_bridge.frames import Kind, Type
from boardtalk.sdk import BoardtalkError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from enum import IntEnum

ROOT: Final = Path(__file__).resolve().parents[2]
NOTE: Final = "Generated from modules/iot_bridge/frames.py by codegen; do not edit."

ENUMS: Final[dict[str, type[IntEnum]]] = {
    "KIND": Kind,
    "TYPE": Type,
    "OUTCOME": frames.Outcome,
    "RESET": frames.ResetCause,
}
"""By what the firmware puts before their members' names."""


class CodegenError(BoardtalkError):
    """The wire format uses something that the generator can't translate."""


def main(arguments: list[str]) -> int:
    """Write the generated files, or check them; returns the exit code."""
    stale = {path: text for path, text in outputs().items() if _read(path) != text}
    for path, text in stale.items():
        if "--check" in arguments:
            sys.stderr.write(f"{path.relative_to(ROOT)} is stale: run codegen without --check\n")
            continue
        path.write_text(text)
        sys.stdout.write(f"wrote {path.relative_to(ROOT)}\n")
    return 1 if stale and "--check" in arguments else 0


def outputs() -> dict[Path, str]:
    """Every generated file, with what it should hold."""
    protocol = ROOT / "docs/protocol.md"
    return {
        ROOT / "firmware/boardtalk/frames.py": firmware_constants(),
        ROOT / "tests/vectors/frames.json": json.dumps(vectors(), indent=1) + "\n",
        protocol: fill_in(_read(protocol), tables()),
    }


def firmware_constants() -> str:
    """The source of the firmware's `frames`."""
    lines = [f'"""The wire format. {NOTE}"""', "", "from micropython import const", ""]
    lines += [f"{name} = const({value})" for name, value in _integers()]
    for prefix, enum in ENUMS.items():
        lines += ["", *(f"{prefix}_{member.name} = const(0x{member:02X})" for member in enum)]
    lines += [
        "",
        "# Bodies: `struct` format and bytes of the fields before the first of variable length.",
    ]
    for name, body in _bodies():
        codes = _codes(body)
        constant = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).upper()
        lines.append(f'{constant} = "<{codes}"')
        if body is not frames.Header:  # its size is among the constants above
            lines.append(f"{constant}_BYTES = const({struct.calcsize('<' + codes)})")
    lines += [
        "",
        "# Values by their dictionary type; None: a length byte, then UTF-8.",
        "VALUES = {",
    ]
    for kind, value in frames.VALUE_FORMATS.items():
        code = _code(value)
        lines.append(f'    "{kind}": ' + (f'"<{code}",' if code else "None,"))
    return "\n".join([*lines, "}", ""])


def tables() -> dict[str, str]:
    """The tables of the protocol document, by the name of their place."""
    docs = _member_docs()
    result = {}
    for enum in ENUMS.values():
        rows = [
            (f"0x{member:02x}", member.name, docs[enum.__name__, member.name]) for member in enum
        ]
        result[enum.__name__] = _table(("value", "name", "meaning"), rows)
    bodies = []
    for name, body in _bodies():
        rows = [(field.name, _wire_name(field), field.docs) for field in body.subcons]
        bodies += [f"**{name}**", "", _table(("field", "format", "meaning"), rows), ""]
    result["bodies"] = "\n".join(bodies).rstrip()
    values = [(kind, _wire_name(value)) for kind, value in frames.VALUE_FORMATS.items()]
    result["values"] = _table(("type", "format"), values)
    return result


def fill_in(document: str, contents: dict[str, str]) -> str:
    """The document with its places, `<!-- generated: NAME -->` … `<!-- end -->`, filled in."""

    def content(place: re.Match[str]) -> str:
        return f"<!-- generated: {place[1]} -->\n\n{contents[place[1]]}\n\n<!-- end -->"

    return re.sub(r"<!-- generated: (\w+) -->.*?<!-- end -->", content, document, flags=re.DOTALL)


def vectors() -> list[dict[str, Any]]:
    """Golden frames: fields, and the bytes on MQTT (`raw`) and on a serial line (`wire`)."""
    seed = frames.session_seed(0x01020304, 0xA0B0C0D0, bytes(range(8)))
    hello = frames.HelloHost.build({"oldest": 1, "newest": 1, "nonce": 0x01020304})
    ack = frames.AckBody.build({"sack": 0b101, "credit": 1024})
    head = {"ttl_ms": 1000, "id": 77, "epoch": 2, "lease_ms": 500}
    command = frames.CommandHead.build(head) + bytes([20, 0, 0, 0, 50, 0, 0, 0])
    longest = bytes(range(1, frames.MAX_PAYLOAD + 1))
    return [
        _vector("hello", Kind.HELLO, Type.HELLO, hello),
        _vector("ack of nothing", Kind.ACK, Type.NONE, bytes(6), seed),
        _vector("ack with holes", Kind.ACK, Type.NONE, ack, seed, ack_=5),
        _vector("command", Kind.DATA, Type.COMMAND + 3, command, seed, seq=200, ack_=17),
        _vector("repeated command", Kind.DATA, Type.COMMAND, command, seed, flags=frames.CTL_RETRY),
        _vector("stop", Kind.URGENT, Type.STOP, frames.Stop.build({"epoch": 3}), seed),
        _vector("empty", Kind.DATA, Type.NONE, b"", seed, seq=255, ack_=255),
        _vector("longest, no zero", Kind.DATA, Type.EVENT, longest, seed, seq=1, ack_=1),
        _vector("longest, all zero", Kind.DGRAM, Type.TELEMETRY, bytes(frames.MAX_PAYLOAD), seed),
    ]


def _vector(
    name: str,
    kind: Kind,
    type_: int,
    payload: bytes,
    seed: int = 0,
    *,
    seq: int = 0,
    ack_: int = 0,
    flags: int = 0,
) -> dict[str, Any]:
    ctl = frames.VERSION | kind << frames.CTL_KIND_SHIFT | flags
    header = {"ctl": ctl, "seq": seq, "ack": ack_, "node": 0, "type": type_}
    covered = frames.Frame.build({"header": header, "payload": payload})
    raw = covered + crc32(covered, seed).to_bytes(frames.CRC_BYTES, "little")
    stuffed = b"".join(bytes([len(run) + 1]) + run for run in raw.split(b"\0"))
    fields = {"name": name, "seed": seed, **header, "payload": payload.hex()}
    return {**fields, "raw": raw.hex(), "wire": f"00{stuffed.hex()}00"}


def _integers() -> Iterator[tuple[str, int]]:
    """The module's constants, in the order of its source."""
    return (
        (name, value)
        for name, value in vars(frames).items()
        if name.isupper() and type(value) is int
    )


def _bodies() -> Iterator[tuple[str, Struct]]:
    """Header and bodies."""
    for name, value in vars(frames).items():
        if isinstance(value, Struct) and value is not frames.Frame:
            yield name, value


def _codes(body: Struct) -> str:
    """`struct` codes of a body's leading fields of fixed length."""
    codes = ""
    for code in map(_code, body.subcons):
        if code is None:
            break
        codes += code
    return codes


def _code(field: Construct[Any, Any]) -> str | None:
    """The `struct` code of a field that both Pythons know; None: its length varies."""
    inner = _plain(field)
    if isinstance(inner, FormatField):
        if not inner.fmtstr.startswith("<"):
            raise CodegenError(f"{field.name}: not little-endian")
        return inner.fmtstr[1:].replace("L", "I").replace("l", "i")
    if inner is Flag:
        return "B"
    return f"{inner.length}s" if isinstance(inner, Bytes) else None


def _wire_name(field: Construct[Any, Any]) -> str:
    """A field's format for people: `u16`, `8 bytes`, `the rest`."""
    code = _code(field)
    if code is None:
        sized = hasattr(_plain(field), "subcon") and "Prefixed" in str(_plain(field))
        return "length u8, then text" if sized else "the rest"
    if code.endswith("s"):
        return f"{code[:-1]} bytes"
    if _plain(field) is Flag:
        return "u8: 0 or 1"
    size = 8 * struct.calcsize("<" + code)
    return f"f{size}" if code in "fd" else f"{'u' if code.isupper() else 'i'}{size}"


def _plain(field: Construct[Any, Any]) -> Construct[Any, Any]:
    while isinstance(field, Renamed):
        field = field.subcon
    return field


def _member_docs() -> dict[tuple[str, str], str]:
    """The docstrings below the members of the module's enumerations."""
    docs: dict[tuple[str, str], str] = {}
    for cls in ast.parse(inspect.getsource(frames)).body:
        if not isinstance(cls, ast.ClassDef):
            continue
        name = ""
        for line in cls.body:
            if isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Name):
                name = line.targets[0].id
                docs[cls.name, name] = ""
            elif name and isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant):
                docs[cls.name, name] = " ".join(str(line.value.value).split())
    return docs


def _table(head: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    lines = [head, ("-",) * len(head), *rows]
    return "\n".join(
        "| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines
    )


def _read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
