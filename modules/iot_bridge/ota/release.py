"""What goes to a board: files, and the signed manifest of them."""

from __future__ import annotations

import re
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from boardtalk.modules.iot_bridge.errors import LinkError
from boardtalk.modules.iot_bridge.ota.keys import signed
from boardtalk.modules.iot_bridge.workbench.push import RESERVED

if TYPE_CHECKING:
    from collections.abc import Iterable

FORMAT: Final = "boardtalk-ota 1"
RSA: Final = "rsa"
MAIN: Final = ("main.py", "main.mpy")
MAX_PATH_BYTES: Final = 64
MAX_MANIFEST_BYTES: Final = 0xFFFF
MAX_LABEL: Final = 32
SKIPPED: Final = frozenset({"__pycache__"})


class File(msgspec.Struct, frozen=True):
    """One file of a release."""

    path: str
    """In the slot, with slashes."""
    data: bytes


class Signature(msgspec.Struct, frozen=True):
    """Of a release, by the owner of a private key."""

    at: int
    """When, Unix time."""
    rsa: str
    """In hex."""


class Release(msgspec.Struct, frozen=True, dict=True):
    """All files of a robot's program, in the order of their paths."""

    files: tuple[File, ...]
    label: str = ""
    """What people call it; "": by its digest."""
    signature: Signature | None = None

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(len(file.data) for file in self.files)

    @cached_property
    def digest(self) -> str:
        """The beginning of that of all files: other contents have another one."""
        pairs = (sha256(file.path.encode() + b"\0" + file.data).digest() for file in self.files)
        return sha256(b"".join(pairs)).hexdigest()[:8]

    @property
    def sha256(self) -> str:
        """Of what is the same for all boards."""
        return sha256(self.text()).hexdigest()

    @property
    def version(self) -> str:
        """Its label and its digest: what boards say that they run."""
        return f"{self.label}+{self.digest}" if self.label else self.digest

    @property
    def name(self) -> str:
        """For people."""
        return self.label or self.digest

    def text(self, signed_at: int = 0) -> bytes:
        """What is the same for all boards, and is signed."""
        lines = [FORMAT, f"version {self.version}", *([f"signed {signed_at}"] if signed_at else [])]
        lines += [f"file {len(file.data)} {sha256(file.data).hexdigest()} {file.path}" for file in self.files]
        return "".join(f"{line}\n" for line in lines).encode()

    def manifest(self, uid: str, number: int, key: bytes) -> bytes:
        """What a board checks: its uid, the number of the release, and each file's digest.

        Raises:
            LinkError: there are too many files.
        """
        signature = self.signature
        first, rest = self.text(signature.at if signature else 0).split(b"\n", 1)
        text = first + f"\nboard {uid}\nrelease {number}\n".encode() + rest
        text += f"{RSA} {signature.rsa}\n".encode() if signature else b""
        text += b"mac " + signed(key, text).hex().encode() + b"\n"
        if len(text) > MAX_MANIFEST_BYTES:
            raise LinkError(
                f"{len(self.files)} files: their manifest has more than {MAX_MANIFEST_BYTES} bytes"
            )
        return text


def collect(paths: Iterable[Path], label: str = "") -> Release:
    """The files of a program: files, and what is in folders, with their folders in it.

    Hidden files are left out.

    Args:
        paths: on this machine.
        label: what people call it; "": its digest.

    Raises:
        LinkError: one is not there, has a name that a board does not take, or there is no main.py.
    """
    found: dict[str, bytes] = {}
    for path in paths:
        if not path.exists():
            raise LinkError(f"{path}: no such file")
        inside = sorted(path.rglob("*")) if path.is_dir() else [path]
        for each in inside:
            name = each.relative_to(path).as_posix() if path.is_dir() else each.name
            parts = name.split("/")
            if (
                each.is_file()
                and not SKIPPED.intersection(parts)
                and not any(p.startswith(".") for p in parts)
            ):
                _check(each, name, found)
                found[name] = each.read_bytes()
    if not any(name in found for name in MAIN):
        raise LinkError("there is no main.py among the files: a release is the robot's whole program")
    if len(label) > MAX_LABEL or not label.isprintable():
        raise LinkError(f"--label has up to {MAX_LABEL} characters on one line")
    return Release(tuple(File(name, data) for name, data in sorted(found.items())), label)


def _check(path: Path, name: str, found: dict[str, bytes]) -> None:
    """Whether the board would take it: it says so too, but only after the robot was stopped."""
    if name.lower() in {other.lower() for other in found}:
        raise LinkError(f"{path}: {name} is among the files already")
    if RESERVED.match(name):
        raise LinkError(f"{path}: the loader on the board has that name; call it otherwise")
    if len(name.encode()) > MAX_PATH_BYTES or re.search(r'[\x00-\x1f\\:*?"<>|]', name):
        raise LinkError(
            f'{path}: a board takes names of {MAX_PATH_BYTES} bytes without any of \\ : * ? " < > |'
        )
