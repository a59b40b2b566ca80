"""The structures of the C API, as words of 8 bytes: all their fields have one.

Three layouts call themselves version 1; only the size that a module expects tells them apart.
"""

from __future__ import annotations

import ctypes
from typing import Any, Final, NamedTuple

Word = ctypes.c_uint64
WORD_BYTES: Final = 8
SIGNATURE: Final = 0xAA55773388FF1100
VERSION: Final = 1
MODULE_WORDS: Final = 64
"""More than any layout has: a module that does not look at the size writes nowhere else."""
SHARED_WORDS: Final = 8
"""Of the message parameters, those that are alike in all layouts."""

ON_CLEANUP: Final = 6
ON_CALL: Final = 9
ON_CALL_STATUS: Final = 10
ON_LOGIN: Final = 11
ON_CONFIG: Final = 12
NAME: Final = 2
CONFIG: Final = 5


class Layout(NamedTuple):
    """One of them. Places are in words."""

    size: int
    """Of the module's structure, in bytes."""
    signature: int
    to: int
    """In the message parameters; `sender` too."""
    sender: int
    online: int
    """In the user; `address` too."""
    address: int
    has_on_config: bool
    json_has_length: bool


LAYOUTS: Final = (
    Layout(192, 14, 15, 16, 1, 2, has_on_config=True, json_has_length=True),  # the newest header, and ours
    Layout(176, 12, 12, 13, 1, 2, has_on_config=False, json_has_length=False),  # the first release
    Layout(112, 12, 8, 9, 2, 1, has_on_config=False, json_has_length=False),  # as the documentation prints it
)


class ConfigItem(ctypes.Structure):
    """One key and its value, which a module may write over."""

    _fields_ = (("name", ctypes.c_void_p), ("value", ctypes.c_void_p))


MESSAGE: Final = ctypes.CFUNCTYPE(
    ctypes.c_int, *[Word] * SHARED_WORDS, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p, Word
)
LOG: Final = ctypes.CFUNCTYPE(None, Word, ctypes.c_void_p, Word)
HTTP: Final = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
FETCH: Final = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_void_p
)
FCGI: Final = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p
)
CONNECT: Final = HTTP
WRITE: Final = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64)
CLOSE: Final = ctypes.CFUNCTYPE(None, ctypes.c_int64)


class Helpers(ctypes.Structure):
    """What the C part calls: ``struct boardtalk_helpers`` in ``shim.c``."""

    _fields_ = (
        ("message", MESSAGE),
        ("log", LOG),
        ("http", HTTP),
        ("fetch", FETCH),
        ("fcgi", FCGI),
        ("connect", CONNECT),
        ("write", WRITE),
        ("close", CLOSE),
    )


CALLBACK: Final = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)
ON_USER: Final = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
ON_SETTINGS: Final = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, Word, ctypes.c_void_p)


def words(address: int, count: int) -> Any:
    """The words at an address of the module's. One that is wrong ends this process, and nothing else."""
    return (Word * count).from_address(address)


def text(address: int) -> str:
    """The string at an address of the module's; "" at none."""
    return ctypes.string_at(address).decode(errors="replace") if address else ""
