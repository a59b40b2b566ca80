"""What a job does to a board in its loader: the order, and what is done only once."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from boardtalk.flash import backup, journal
from boardtalk.flash.errors import Code, FlashError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from boardtalk.flash.job import Job, Target
    from boardtalk.flash.protocol import Flasher, Segment
    from boardtalk.flash.telling import Telling


class Steps:
    """The steps of a job. Another attempt goes on with what the one before has done.

    Args:
        job: what to do.
        telling: who is told.
    """

    def __init__(self, job: Job, telling: Telling) -> None:
        self.written = 0
        """Bytes that differed, and were written."""
        self.changed = False
        """Something was erased or written."""
        self.note = ""
        """What there is to say of the success."""
        self.mismatch: FlashError | None = None
        """What a comparison found."""
        self._job = job
        self._telling = telling
        self._saved = self._erased = False

    async def do(self, device: Flasher, target: Target) -> None:
        """Do it.

        Raises:
            FlashError: it failed, or was stopped.
        """
        job = self._job
        if job.backup and not self._saved and job.what != "probe":
            await self._save(device, target)
        match job.what:
            case "probe":
                self.note = target.found.told
            case "plan" if device.blind:
                self.note = f"all of {target.total} bytes would be written: its loader lets nobody read"
            case "plan" | "verify":
                self._compared(target, [each async for each in _missing(device, target)])
            case "erase":
                self._telling.note(target, journal.BEGUN)
                await self._erase(device)
                self._telling.note(target, journal.DONE)
            case "write" | "restore":
                await self._write(device, target)

    async def _save(self, device: Flasher, target: Target) -> None:
        job = self._job
        size = target.found.flash_bytes or target.board.definition.flash_kb * 1024
        path = job.file if job.what == "backup" and job.file else None
        path = path or backup.path_for(job.folder / "backups", target.board.id, target.found)
        async with aclosing(backup.save(device, size, path)) as progress:
            async for done in progress:
                self._telling.progress("backup", done, size)
                if job.stop.is_set():
                    raise FlashError(Code.CANCELLED, f"{job.port}: stopped; nothing was changed")
        self._telling.step("backup", f"{path}")
        self._telling.note(target, "saved", f"{path}")
        self._saved = True

    def _compared(self, target: Target, missing: list[Segment]) -> None:
        differs = sum(len(each.data) for each in missing)
        self.note = (
            f"{differs} of {target.total} bytes differ"
            if differs
            else f"all of {target.total} bytes are on it"
        )
        if missing and self._job.what == "verify":
            self.mismatch = FlashError(
                Code.VERIFY, f"{self._job.port}: {self.note}", "`boardtalk flash write` writes what differs"
            )

    async def _erase(self, device: Flasher) -> None:
        self._telling.step("erase", "all of the flash, with the files on it")
        self.changed = True
        await device.erase()

    async def _write(self, device: Flasher, target: Target) -> None:
        job, telling = self._job, self._telling
        before = telling.unfinished(target)
        if before and not self._erased:
            telling.step("plan", "goes on with a write that did not end")
        telling.note(target, journal.BEGUN)
        if job.erase and not self._erased and journal.ERASED not in before:
            await self._erase(device)
            telling.note(target, journal.ERASED)
        self._erased = True
        missing = target.segments if device.blind else [each async for each in _missing(device, target)]
        telling.step("write", f"{sum(len(each.data) for each in missing)} of {target.total} bytes")
        await self._pieces(device, missing)
        telling.note(target, journal.WRITTEN)
        if not device.blind:
            telling.step("verify")
            if wrong := [each async for each in _missing(device, target)]:
                raise FlashError(
                    Code.VERIFY,
                    f"{job.port}: what is on the flash at {wrong[0].at:#x} is not what was written",
                    "again; if it stays so, the flash is protected or worn out",
                )
        telling.note(target, journal.DONE)

    async def _pieces(self, device: Flasher, pieces: list[Segment]) -> None:
        total, done = sum(len(each.data) for each in pieces), 0
        for piece in pieces:
            self._stop_here(done, total)
            self.changed = True
            async with aclosing(device.write(piece)) as progress:
                async for part in progress:
                    self._telling.progress("write", done + part, total)
            done += len(piece.data)
            self.written += len(piece.data)

    def _stop_here(self, done: int, total: int) -> None:
        if not self._job.stop.is_set():
            return
        if not self.changed:
            raise FlashError(Code.CANCELLED, f"{self._job.port}: stopped; nothing was changed")
        raise FlashError(
            Code.CANCELLED,
            f"{self._job.port}: stopped after {done} of {total} bytes; the board does not start as it is",
            "the same command goes on from here",
        )


async def _missing(device: Flasher, target: Target) -> AsyncIterator[Segment]:
    """What is not on the flash yet."""
    for segment in target.segments:
        if not await device.holds(segment):
            yield segment
