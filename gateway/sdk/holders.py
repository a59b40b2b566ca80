"""Which processes have a device open, as far as this user may see."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def holders(path: str) -> Iterator[tuple[int, str]]:
    """Process ids and command lines; those that have locked it come first."""
    for pid in (*_lockers(path), *_openers(path)):
        with suppress(OSError):
            command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")
            yield pid, command.decode(errors="replace").strip()[:80]


def _lockers(path: str) -> Iterator[int]:
    with suppress(OSError):
        inode = f":{Path(path).stat().st_ino}"
        for line in Path("/proc/locks").read_text().splitlines():
            match line.split():
                case [_, "FLOCK", _, _, pid, place, *_] if place.endswith(inode):
                    yield int(pid)


def _openers(path: str) -> Iterator[int]:
    device = str(Path(path).resolve())
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if any(str(entry.readlink()) == device for entry in (process / "fd").iterdir()):
                yield int(process.name)
