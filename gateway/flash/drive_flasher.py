"""Boards whose loader is a drive: a file is copied to it, and nothing can be read back."""

from __future__ import annotations

from contextlib import ExitStack
from typing import ClassVar, Self

from boardtalk.flash import drives
from boardtalk.flash.errors import Code, FlashError
from boardtalk.flash.protocol import Flasher


class DriveFlasher(Flasher):
    """A board behind a drive that is ours while the context lasts."""

    blind: ClassVar[bool] = True
    rated: ClassVar[bool] = False
    kind: ClassVar[str]
    """Of drive, for people."""
    info: ClassVar[str]
    """The file in which the drive tells what it is."""

    async def __aenter__(self) -> Self:
        """See `Flasher`."""
        with ExitStack() as stack:
            self._folder = await drives.claimed(self.port, self.board.bootloader.volume, stack)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        """See `Flasher`."""
        self._stack.close()

    async def reset(self) -> None:
        """See `Flasher`: after a write it has started by itself; else it waits for firmware on and on."""

    def told(self) -> dict[str, str]:
        """What the drive tells of itself. Raises FlashError: it is no such drive."""
        try:
            text = (self._folder / self.info).read_text(errors="replace")
        except OSError as error:
            raise FlashError(
                Code.NO_LOADER,
                f"{self._folder}: no {self.kind} drive ({self.info}: {error.strerror})",
                self.board.bootloader.hint,
            ) from error
        return dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)
