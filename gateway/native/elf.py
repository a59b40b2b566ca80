"""What can be told of a shared library without opening it: opening it runs code of its own."""

from __future__ import annotations

import platform
import re
import struct
from typing import TYPE_CHECKING, Final

from boardtalk.sdk import ModuleError

if TYPE_CHECKING:
    from pathlib import Path

MAGIC: Final = b"\x7fELF"
CLASS_64: Final = 2
LITTLE_ENDIAN: Final = 1
SHARED: Final = 3
HEADER: Final = struct.Struct("<4sBB10xHH")
MACHINES: Final = {"x86_64": 62, "aarch64": 183}


def entry(path: Path, name: str) -> str:
    """The symbol by which a module begins.

    Raises:
        ModuleError: the file is no native module of this name for this machine.
    """
    data = path.read_bytes()
    if len(data) < HEADER.size or not data.startswith(MAGIC):
        raise ModuleError(f"{path} is no shared library")
    _, bits, order, kind, machine = HEADER.unpack_from(data)
    if bits != CLASS_64:
        raise ModuleError(f"{path} is built for 32 bits: native modules have 64")
    ours = platform.machine()
    if order != LITTLE_ENDIAN or machine != MACHINES.get(ours):
        raise ModuleError(f"{path} is built for another processor; this is {ours}")
    if kind != SHARED:
        raise ModuleError(f"{path} is no shared library: link it with -shared")
    plain = f"mesibo_module_{name}_init"
    # Without `MESIBO_EXPORT`, a C++ compiler puts the types of the arguments into the name.
    pattern = rf"(?<=\0)({plain}|_Z{len(plain)}{plain}lP15mesibo_module_s[lm])(?=\0)"
    found = sorted({match[0].decode() for match in re.finditer(pattern.encode(), data)})
    if not found:
        raise ModuleError(f"{path} has no function {plain}: is the module called otherwise?")
    return found[-1]  # the plain one, if there are both: "m" is behind "_"
