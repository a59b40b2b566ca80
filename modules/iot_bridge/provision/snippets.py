"""What is run at a board's prompt; it prints a line of JSON behind a mark for each thing it has to tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MARK: Final = "boardtalk: "
STAGING: Final = "/boardtalk.new"
"""What is copied lies there until all of it is, and is right."""

ASK: Final = f"""\
import gc, json, os, sys
from binascii import hexlify
def there(path):
    try:
        os.stat(path)
    except OSError:
        return False
    return True
def has(name):
    try:
        __import__(name)
    except ImportError:
        return False
    return True
def room():
    try:
        found = os.statvfs("/")
    except (AttributeError, OSError):
        return 0, 0
    return found[1], found[3]
gc.collect()
import machine
print({MARK!r} + json.dumps({{
    "name": sys.implementation.name,
    "version": sys.implementation.version[:3],
    "bytecode": getattr(sys.implementation, "_mpy", 0) & 255,
    "platform": sys.platform,
    "uid": hexlify(machine.unique_id()).decode(),
    "wide": sys.maxsize > 1 << 31,
    "memory": gc.mem_free(),
    "room": room(),
    "loader": there("/slots.py"),
    "program": there("/main.py"),
    "settings": there("/boardtalk.json"),
    "umqtt": has("umqtt.simple"),
}}))
"""

_DIGESTS: Final = f"""\
import json
from binascii import hexlify
from hashlib import sha256
def tell(path):
    told = ""
    hash_ = sha256()
    view = memoryview(bytearray(512))
    try:
        with open(path, "rb") as file:
            while count := file.readinto(view):
                hash_.update(view[:count])
        told = hexlify(hash_.digest()).decode()
    except OSError:
        pass
    print({MARK!r} + json.dumps([path, told]))
"""

_INSTALL: Final = """\
import os
def remove(path):
    try:
        os.remove(path)
    except OSError:
        pass
def folders(path):
    at = path.find("/", 1)
    while at > 0:
        try:
            os.mkdir(path[:at])
        except OSError:
            pass
        at = path.find("/", at + 1)
def tidy(folder, wanted):
    try:
        entries = list(os.ilistdir(folder))
    except OSError:
        return
    for entry in entries:
        path = folder + "/" + entry[0]
        if entry[1] == 0x4000:
            tidy(path, wanted)
        elif path not in wanted:
            os.remove(path)
    try:
        os.rmdir(folder)
    except OSError:
        pass
"""


def look(paths: Sequence[str]) -> str:
    """Tells path and digest of each, and makes the folder for what will be copied."""
    return f"{digests(paths)}import os\ntry:\n    os.mkdir({STAGING!r})\nexcept OSError:\n    pass\n"


def digests(paths: Sequence[str]) -> str:
    """Tells path and digest of each; "" for what is not there."""
    return f"{_DIGESTS}for path in {list(paths)!r}:\n    tell(path)\n"


def install(
    staged: Mapping[str, str], forgotten: Sequence[str], owned: Sequence[str], wanted: Sequence[str]
) -> str:
    """Puts what is staged in its places, and tells the digests of all that shall be there.

    Args:
        staged: where each is, and its place.
        forgotten: files that go before.
        owned: folders in which nothing else stays.
        wanted: all that shall be there.
    """
    return (
        f"{_INSTALL}wanted = {list(wanted)!r}\n"
        f"for path in {list(forgotten)!r}:\n    remove(path)\n"
        f"for new, path in {list(staged.items())!r}:\n    folders(path)\n    os.rename(new, path)\n"
        f"for folder in {list(owned)!r}:\n    tidy(folder, wanted)\n"
        f"tidy({STAGING!r}, ())\n"
        f"{_DIGESTS}for path in wanted:\n    tell(path)\n"
    )
