"""A board's whole flash as a file."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from boardtalk.flash.errors import Code, FlashError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from boardtalk.flash.protocol import Flasher, Found

PART: Final = ".part"


def path_for(folder: Path, board: str, found: Found) -> Path:
    """Where the next backup of a board goes."""
    who = found.id.replace(":", "") or "board"
    return folder / f"{board}-{who}-{time.strftime('%Y%m%d-%H%M%S')}.bin"


async def save(flasher: Flasher, size: int, path: Path) -> AsyncGenerator[int, None]:
    """Read the flash into a file, which is there when it is whole. The bytes so far.

    Raises:
        FlashError: it can't be read, or the file can't be written: nothing was done to the board.
    """
    part = path.with_name(path.name + PART)
    done = 0
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            async for data in flasher.read(size):
                file.write(data)
                done += len(data)
                yield done
            file.flush()
            os.fsync(file.fileno())
        part.rename(path)
    except OSError as error:
        raise FlashError(
            Code.DISK,
            f"{path}: the backup can't be written ({error.strerror})",
            "nothing was erased; make room",
        ) from error
    finally:
        with suppress(OSError):
            part.unlink()
