"""What can be told of a shared library without opening it: opening it runs code of its own."""

from __future__ import annotations

import platform
import re
import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from boardtalk.sdk import ModuleError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAGIC: Final = b"\x7fELF"
CLASS_64: Final = 2
LITTLE_ENDIAN: Final = 1
SHARED: Final = 3
DYNAMIC_SYMBOLS: Final = 11
UNDEFINED: Final = 0
MACHINES: Final = {"x86_64": 62, "aarch64": 183}
IDENTITY: Final = struct.Struct("<4sBB10xHH")
SECTIONS: Final = struct.Struct("<40xQ10xHH")
"""Of the file's header: where the table of sections is, the size of an entry, and how many there are."""
SECTION: Final = struct.Struct("<4xI16xQQI")
"""Kind, place, size, and the number of the section with its strings."""
SYMBOL: Final = struct.Struct("<IBBHQQ")


class _Section(NamedTuple):
    kind: int
    place: int
    size: int
    strings: int


def entry(path: Path, name: str) -> str:
    """The symbol by which a module begins.

    Raises:
        ModuleError: the file is no native module of this name for this machine.
    """
    data = path.read_bytes()
    _require_fit(path, data)
    plain = f"mesibo_module_{name}_init"
    # Without `MESIBO_EXPORT`, a C++ compiler puts the types of the arguments into the name.
    mangled = re.compile(rf"_Z{len(plain)}{plain}lP15mesibo_module_s[lm]")
    try:
        symbols = set(_defined(data))
    except (struct.error, IndexError, ValueError) as error:
        raise ModuleError(f"{path} is damaged") from error
    found = [each for each in symbols if each == plain] or [
        each for each in symbols if mangled.fullmatch(each)
    ]
    if not found:
        begins = [each[14:-5] for each in symbols if re.fullmatch("mesibo_module_.+_init", each)]
        hint = f"; it calls itself {begins[0]}: rename the file" if begins else ""
        raise ModuleError(f"{path} has no function {plain}{hint}")
    return found[0]


def _require_fit(path: Path, data: bytes) -> None:
    if len(data) < SECTIONS.size or not data.startswith(MAGIC):
        raise ModuleError(f"{path} is no shared library")
    _, bits, order, kind, machine = IDENTITY.unpack_from(data)
    if bits != CLASS_64:
        raise ModuleError(f"{path} is built for 32 bits: native modules have 64")
    ours = platform.machine()
    if order != LITTLE_ENDIAN or machine != MACHINES.get(ours):
        raise ModuleError(f"{path} is built for another processor; this is {ours}")
    if kind != SHARED:
        raise ModuleError(f"{path} is no shared library: link it with -shared")


def _defined(data: bytes) -> Iterator[str]:
    """The names that a library offers."""
    place, size, count = SECTIONS.unpack_from(data)
    sections = [_Section(*SECTION.unpack_from(data, place + size * index)) for index in range(count)]
    for table in sections:
        if table.kind != DYNAMIC_SYMBOLS:
            continue
        strings = sections[table.strings].place
        for at in range(table.place, table.place + table.size, SYMBOL.size):
            name, _, _, where, _, _ = SYMBOL.unpack_from(data, at)
            if where != UNDEFINED:
                yield data[strings + name : data.index(b"\0", strings + name)].decode(errors="replace")
