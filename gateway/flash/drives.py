"""Loaders that are a drive: where it is mounted, and how a file gets onto it for certain."""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from boardtalk.flash.errors import Code, FlashError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from contextlib import ExitStack

MOUNTS: Final = Path("/proc/self/mounts")
LABELS: Final = Path("/dev/disk/by-label")
PIECE: Final = 4096
LOOK_S: Final = 0.1
APPEARS_S: Final = 8.0


def mounted(volume: str) -> list[Path]:
    """Where drives of this name are mounted."""
    found = []
    for line in MOUNTS.read_text().splitlines():
        place = line.split()[1]
        where = Path(re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), place))
        if where.name == volume or where.name.startswith(f"{volume}1"):  # desktops number the second one
            found.append(where)
    return found


async def claimed(port: str, volume: str, stack: ExitStack) -> Path:
    """The folder of a board's drive: the port itself, or where one is mounted within seconds.

    Of several boards it can't be told which drive is whose; each flasher takes one that no other has.

    Raises:
        FlashError: there is none.
    """
    if Path(port).is_dir():
        stack.enter_context(locked(Path(port)))
        return Path(port)
    for _ in range(round(APPEARS_S / LOOK_S)):
        for folder in mounted(volume):
            with suppress(FlashError):
                stack.enter_context(locked(folder))
                return folder
        await asyncio.sleep(LOOK_S)
    if (LABELS / volume).exists():
        raise FlashError(
            Code.NO_LOADER, f"the drive {volume} is not mounted", f"`udisksctl mount -b {LABELS / volume}`"
        )
    raise FlashError(Code.NO_LOADER, f"{port}: there is no drive {volume}")


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """A drive that no other flasher of ours uses. Raises FlashError."""
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise FlashError(Code.PORT_MISSING, f"{folder}: {error.strerror}") from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise FlashError(Code.PORT_BUSY, f"{folder}: another `boardtalk flash` has it") from error
    finally:
        os.close(fd)


async def copied(folder: Path, name: str, data: bytes) -> AsyncIterator[int]:
    """Copy a file in small pieces, each synced: what is counted is with the board. The bytes so far.

    Raises:
        FlashError: the drive vanished too early, or takes no more.
    """
    target = folder / name
    done = 0
    try:
        fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        try:
            for at in range(0, len(data), PIECE):
                piece = data[at : at + PIECE]
                await asyncio.to_thread(_write, fd, piece)
                done += len(piece)
                if done < len(data) and not folder.is_dir():
                    raise _vanished(folder, done, len(data))
                yield done
        finally:
            os.close(fd)
    except OSError as error:
        if done < len(data):
            raise _vanished(folder, done, len(data)) from error


async def gone(folder: Path, within: float) -> bool:
    """Whether a drive vanishes in time: its board has what it needs and starts."""
    for _ in range(round(within / LOOK_S)):
        if not folder.is_dir():
            return True
        await asyncio.sleep(LOOK_S)
    return False


async def back(folder: Path, within: float) -> bool:
    """Whether a drive is there in time."""
    for _ in range(round(within / LOOK_S)):
        if folder.is_dir():
            return True
        await asyncio.sleep(LOOK_S)
    return False


def _write(fd: int, data: bytes) -> None:
    os.write(fd, data)
    os.fsync(fd)


def _vanished(folder: Path, done: int, size: int) -> FlashError:
    return FlashError(Code.LINK, f"{folder}: vanished after {done} of {size} bytes")
