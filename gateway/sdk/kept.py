"""Small files that must not be believed when they are damaged: JSON with a checksum, and a copy beside it.

The copy is written first, so it is never older than the file. Whichever of the two is damaged, the other
one knows all that anybody was told is done: nothing that was taken back comes back with it.
"""

from __future__ import annotations

import hashlib
import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Generic, NamedTuple, TypeVar

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

T = TypeVar("T")

COPY: Final = ".copy"
ASIDE: Final = ".damaged"
"""Stands in the names of damaged files that were set aside."""


class Loaded(NamedTuple, Generic[T]):
    """What was found."""

    content: T | None
    """None: nothing, or nothing that is whole."""
    damage: str = ""
    """What was damaged, in words."""


class _Sealed(msgspec.Struct, forbid_unknown_fields=True):
    sha256: str
    """Of the content without its blanks, in hex."""
    content: msgspec.Raw


def load(path: Path, kind: type[T]) -> Loaded[T]:
    """Read what `save` wrote; what is damaged is set aside, and what is whole takes its place.

    Files of older versions have no checksum, and get one.

    Raises:
        OSError: it can't be read for want of rights, or not be set aside.
    """
    content, damage = _whole(path, kind)
    copy, copy_damage = _whole(path.with_name(path.name + COPY), kind)
    told = list(filter(None, (damage, copy_damage)))
    if content is None and copy is not None:
        told += [f"{path.name}{COPY} counts"] if told else [f"{path} is missing: {path.name}{COPY} counts"]
        content, copy = copy, None
    if content is not None and content != copy:
        with suppress(OSError):  # a full disk: at the next start it is read as now
            save(path, content)
    return Loaded(content, "; ".join(told))


def peek(path: Path, kind: type[T]) -> T | None:
    """What another process wrote with `save`: what of file and copy is whole. It changes nothing."""
    for each in (path, path.with_name(path.name + COPY)):
        with suppress(OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return _read(each, kind)
    return None


class Watched(Generic[T]):
    """A file that another process writes with `save`: read again whenever it has changed."""

    def __init__(self, path: Path, kind: type[T]) -> None:
        self._path, self._kind = path, kind
        self._seen: tuple[int, int] | None = None

    def news(self) -> T | None:
        """What stands there, if that is new; None also if it can't be read: what was read last counts."""
        try:
            status = self._path.stat()
        except OSError:
            return None
        seen = status.st_mtime_ns, status.st_ino
        if seen == self._seen or (found := peek(self._path, self._kind)) is None:
            return None
        self._seen = seen
        return found


def save(path: Path, content: object) -> None:
    """Write a file that only its owner can read, all of it or nothing, and its copy before it.

    Raises:
        OSError: the disk refuses; what was there is still there.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    raw = msgspec.json.encode(content)
    sealed = _Sealed(hashlib.sha256(raw).hexdigest(), msgspec.Raw(raw))
    data = msgspec.json.format(msgspec.json.encode(sealed), indent=1)
    for each in (path.with_name(path.name + COPY), path):
        passing = each.with_name(each.name + ".new")
        with os.fdopen(os.open(passing, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        passing.replace(each)
        sync_folder(path.parent)


def set_aside(path: Path) -> Path:
    """Rename a damaged file; its new name."""
    aside = path.with_name(f"{path.name}{ASIDE}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}")
    path.rename(aside)
    return aside


def those_set_aside(state: Path) -> Iterator[Path]:
    """All that were set aside in a state folder, and nobody has cleared away."""
    for folder in (state, state / "secrets", state / "link", state / "broker"):
        yield from sorted(folder.glob(f"*{ASIDE}*"))


def sync_folder(folder: Path) -> None:
    """Have it on disk which files are there. Raises OSError."""
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _whole(path: Path, kind: type[T]) -> tuple[T | None, str]:
    """The content of one file if it is there and whole; if not, what is wrong with it."""
    try:
        return _read(path, kind), ""
    except FileNotFoundError:
        return None, ""
    except PermissionError:
        raise
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return None, f"{path}: damaged ({error}), set aside as {set_aside(path).name}"


def _read(path: Path, kind: type[T]) -> T:
    data = path.read_bytes()
    try:
        sealed = msgspec.json.decode(data, type=_Sealed)
    except msgspec.DecodeError:
        return msgspec.json.decode(data, type=kind)
    raw = msgspec.json.format(sealed.content, indent=-1)
    if hashlib.sha256(raw).hexdigest() != sealed.sha256:
        raise msgspec.DecodeError("the checksum does not fit")
    return msgspec.json.decode(raw, type=kind)
