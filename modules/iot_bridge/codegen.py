"""Writes what follows from the wire format: run it after each change of `frames`.

::

    python -m boardtalk.modules.iot_bridge.codegen [--check]

It writes the firmware's constants, the tables of the protocol document, and golden bytes that
both ends are tested with. `--check` writes nothing and fails if a file is stale.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
import sys
from binascii import crc32
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from construct import Bytes, Construct, Flag, FormatField, GreedyBytes, Renamed, StringEncoded, Struct

from boardtalk.modules.iot_bridge import frames
from boardtalk.modules.iot_bridge.frames import AckBody, CommandHead, HelloHost, Kind, Stop, Type
from boardtalk.sdk import BoardtalkError

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).resolve().parents[2]
"""The repository; this is a tool for developers, who have it."""

NOTE: Final = "Generated from modules/iot_bridge/frames.py by codegen; do not edit."

PREFIXES: Final = {"Kind": "KIND", "Type": "TYPE", "Outcome": "OUTCOME", "ResetCause": "RESET"}
"""Enumerations that the firmware needs, and how their members are called there."""

FIRMWARE_CODES: Final = {**{f"<{code}": code for code in "bBhHiIfdqQ"}, "<l": "i", "<L": "I"}
"""construct's format strings → MicroPython's `struct` codes."""


class CodegenError(BoardtalkError):
    """The wire format uses something that the generator can't translate."""


def main(arguments: list[str]) -> int:
    """Write the generated files, or check them; returns the exit code."""
    stale = [path for path, text in outputs().items() if not path.exists() or path.read_text() != text]
    if "--check" in arguments:
        for path in stale:
            sys.stderr.write(f"{path.relative_to(ROOT)} is stale: run `make generate`\n")
        return 1 if stale else 0
    for path in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(outputs()[path])
        sys.stdout.write(f"wrote {path.relative_to(ROOT)}\n")
    return 0


def outputs() -> dict[Path, str]:
    """Every generated file with what it should hold."""
    protocol = ROOT / "docs/protocol.md"
    return {
        ROOT / "firmware/boardtalk/frames.py": firmware_constants(),
        ROOT / "tests/vectors/frames.json": json.dumps(vectors(), indent=1) + "\n",
        protocol: fill_in(protocol.read_text(), tables()),
    }


# The firmware's constants -----------------------------------------------------------------------


def firmware_constants() -> str:
    """The source of `firmware/boardtalk/frames.py`."""
    lines = [f'"""The wire format\'s constants. {NOTE}"""', "", "from micropython import const", ""]
    lines += [f"{name} = const({value})" for name, value in _integers()]
    for enum in _members(IntEnum):
        width = 4 if enum is Type else 1
        prefix = PREFIXES[enum.__name__]
        lines += ["", *(f"{prefix}_{member.name} = const(0x{member:0{width}x})" for member in enum)]
    lines += ["", "# Bodies up to their first field of variable length."]
    for name, struct in _structs():
        if struct is frames.Frame:
            continue
        code, size = _fixed_part(struct)
        lines += [f'{_upper(name)} = "<{code}"', f"{_upper(name)}_BYTES = const({size})"]
    formats = {kind: _code(value) for kind, value in frames.VALUE_FORMATS.items()}
    lines += ["", "VALUE_FORMATS = {"]
    lines += [f'    "{kind}": {f'"<{code}"' if code else None},' if False else _entry(kind, code) for kind, code in formats.items()]
    lines += ["}", ""]
    return "\n".join(lines)
