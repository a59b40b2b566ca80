"""One board, from the check of the image to the answer of the new firmware: the order of the steps."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from boardtalk.flash import backup, journal, micropython, ports
from boardtalk.flash.errors import RETRIED, Code, FlashError
from boardtalk.flash.events import Ended, Progress, Step
from boardtalk.flash.loader import entered
from boardtalk.flash.protocol import Found, flasher

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from boardtalk.boards import BoardFile
    from boardtalk.flash.events import AnyEvent
    from boardtalk.flash.firmware import Firmware
    from boardtalk.flash.journal import Journal
    from boardtalk.flash.protocol import Flasher, Segment

log = logging.getLogger(__name__)
AGAIN_S: Final = 0.5
"""Before another attempt: what was on its way has gone by then."""
What = Literal["probe", "plan", "write", "verify", "erase", "backup", "restore"]


@dataclass(frozen=True)
class Job:
    """What shall be done to the board at a port."""

    what: What
    port: str
    boards: Sequence[BoardFile]
    """What it may be; the probe decides."""
    state: Path
    """The gateway's state folder: whose port it may be, and where journal and backups are."""
    firmware: Firmware | None = None
    erase: bool = False
    """Erase all of the flash before writing."""
    backup: bool = False
    """Save all of the flash before anything is changed."""
    file: Path | None = None
    """Of a backup; None: one with the date, in the state folder."""
    wait_s: float = 0.0
    """How long to wait for MicroPython afterwards."""
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    """Set: end after the piece that is being written."""

    @property
    def folder(self) -> Path:
        """Where journal and backups are."""
        return self.state / "flash"


class Session:
    """The steps of a job, once.

    Args:
        job: what to do.
        events: steps and progress go there.
    """

    def __init__(self, job: Job, events: asyncio.Queue[AnyEvent]) -> None:
        self._job = job
        self._events = events
        self._journal: Journal = journal.Journal(job.folder)
        self._board = job.boards[0]
        self._segments: list[Segment] = []
        self._found = Found("")
        self._saved = self._erased = False
        self._written = 0
        self._firmware = ""
        self._note = ""
        self._mismatch: FlashError | None = None
        self._changed = False
        """Something was erased or written."""

    async def run(self) -> Ended:
        """Do it; how it ended, whatever happens."""
        began = time.monotonic()
        error: FlashError | None = None
        try:
            await self._run()
            error = self._mismatch
        except FlashError as caught:
            error = self._with_cure(caught)
        except OSError as caught:  # of the journal
            error = FlashError(Code.DISK, f"{self._job.folder}: {caught}")
        except Exception as caught:  # one that fails stops none of the others
            log.exception("flashing %s", self._job.port)
            error = FlashError(Code.FAULT, f"{self._job.port}: a fault in boardtalk: {caught!r}")
        if error is not None and self._found.chip:
            with suppress(OSError):
                self._tell(f"failed: {error.code}", error.reason)
        return Ended(
            port=self._job.port,
            ok=error is None,
            board=self._board.id,
            id=self._found.id,
            written=self._written,
            total=self._total,
            seconds=round(time.monotonic() - began, 2),
            firmware=self._firmware,
            code=error.code if error else None,
            reason=error.reason if error else "",
            cure=error.cure if error else "",
            note="" if error else self._note,
        )

    async def _run(self) -> None:
        job = self._job
        if job.stop.is_set():
            raise FlashError(Code.CANCELLED, f"{job.port}: not begun")
        boards = self._checked()
        if job.firmware is not None:
            self._step("check", f"{job.firmware.name}, sha256 {job.firmware.sha256}")
        rates = _rates(boards[0])
        async with ports.ours(job.port, job.state) as port:
            before: FlashError | None = None
            for number, baud in enumerate(rates):
                try:
                    await self._attempt(boards, port, baud)
                    break
                except FlashError as error:
                    if error.code not in RETRIED or number == len(rates) - 1 or job.stop.is_set():
                        raise _after(before, error) from error
                    before = error
                    self._step("again", f"at {rates[number + 1]} baud: {error.reason}")
                    await asyncio.sleep(AGAIN_S)
            await self._wait(port)

    def _checked(self) -> list[BoardFile]:
        """The boards for which the image is right. Raises FlashError if it is for none."""
        job = self._job
        if job.firmware is None:
            return list(job.boards)
        fit, why = [], None
        for board in job.boards:
            try:
                self._cut(board)
            except FlashError as error:
                why = why or error
            else:
                fit.append(board)
        if not fit and why is not None:
            raise why
        return fit

    def _cut(self, board: BoardFile) -> list[Segment]:
        firmware = self._job.firmware
        if firmware is None:
            return []
        kind = flasher(board.definition)
        at = board.definition.flash.offset if firmware.offset is None else firmware.offset
        if self._job.what == "restore":
            return kind.restored(board.definition, firmware.data)
        return kind.checked(board.definition, firmware.data, at)

    async def _attempt(self, boards: Sequence[BoardFile], port: str, baud: int) -> None:
        self._step("loader", f"{baud} baud")
        async with entered(boards[0].definition, port, baud, self._job.stop) as device:
            try:
                self._found = await device.probe()
                self._board = self._matching(boards)
                self._segments = self._cut(self._board)
                self._fits()
                device.board = self._board.definition
                self._step("match", f"{self._board.id}: {_told(self._found)}")
                await self._steps(device)
            except FlashError:
                if not self._changed:  # its program is whole: let it run
                    with suppress(FlashError):
                        await device.reset()
                raise
            await device.reset()

    def _matching(self, boards: Sequence[BoardFile]) -> BoardFile:
        """The board that it is. Raises FlashError: none of these, or several."""
        fit = [board for board in boards if board.definition.mcu == self._found.chip]
        if not fit:
            expected = " or ".join(f"{board.definition.mcu} ({board.id})" for board in boards)
            raise FlashError(
                Code.WRONG_CHIP,
                f"{self._job.port}: there is a {self._found.chip}, and not {expected}; nothing was touched",
                "name the right --board; `boardtalk boards list` shows all",
            )
        if len(fit) > 1 and self._job.what not in {"probe", "backup"}:
            names = " or ".join(board.id for board in fit)
            raise FlashError(Code.WRONG_CHIP, f"{self._job.port}: is it {names}?", "say so with --board")
        return fit[0]

    def _fits(self) -> None:
        """Raises FlashError if the chip's flash is too small; loaders that tell its size count from 0."""
        end = max((each.at + len(each.data) for each in self._segments), default=0)
        if self._found.flash_bytes and end > self._found.flash_bytes:
            raise FlashError(
                Code.BAD_IMAGE,
                f"{self._job.port}: {end // 1024} kB are wanted, and the flash has "
                f"{self._found.flash_bytes // 1024} kB; nothing was touched",
                "download the firmware for a smaller flash",
            )

    async def _steps(self, device: Flasher) -> None:
        job = self._job
        if job.backup and not self._saved and job.what != "probe":
            size = self._found.flash_bytes or self._board.definition.flash_kb * 1024
            path = job.file if job.what == "backup" and job.file else None
            path = path or backup.path_for(job.folder / "backups", self._board.id, self._found)
            async with aclosing(backup.save(device, size, path)) as progress:
                async for done in progress:
                    self._progress("backup", done, size)
                    if job.stop.is_set():
                        raise FlashError(Code.CANCELLED, f"{job.port}: stopped; nothing was changed")
            self._step("backup", f"{path}")
            self._tell("saved", f"{path}")
            self._saved = True
        match job.what:
            case "plan" if device.blind:
                self._note = f"all of {self._total} bytes would be written: its loader lets nobody read"
            case "plan" | "verify":
                self._compared([each async for each in self._missing(device)])
            case "erase":
                self._tell(journal.BEGUN)
                self._step("erase", "all of the flash, with the files on it")
                self._changed = True
                await device.erase()
                self._tell(journal.DONE)
            case "write" | "restore":
                await self._write(device)

    async def _missing(self, device: Flasher) -> AsyncIterator[Segment]:
        """What is not on the flash yet."""
        for segment in self._segments:
            if not await device.holds(segment):
                yield segment

    def _compared(self, missing: list[Segment]) -> None:
        differs = sum(len(each.data) for each in missing)
        self._note = (
            f"{differs} of {self._total} bytes differ" if differs else f"all of {self._total} bytes are on it"
        )
        if missing and self._job.what == "verify":
            self._mismatch = FlashError(
                Code.VERIFY, f"{self._job.port}: {self._note}", "`boardtalk flash write` writes what differs"
            )

    async def _write(self, device: Flasher) -> None:
        job = self._job
        before = self._journal.unfinished(self._who, self._digest) if job.what == "write" else set()
        if before and not self._erased:
            self._step("plan", "goes on with a write that did not end")
        self._tell(journal.BEGUN)
        if job.erase and not self._erased and journal.ERASED not in before:
            self._step("erase", "all of the flash, with the files on it")
            self._changed = True
            await device.erase()
            self._tell(journal.ERASED)
        self._erased = True
        missing = self._segments if device.blind else [each async for each in self._missing(device)]
        total = sum(len(each.data) for each in missing)
        self._step("write", f"{total} of {self._total} bytes")
        done = 0
        for segment in missing:
            self._stop_here(done, total)
            self._changed = True
            async with aclosing(device.write(segment)) as progress:
                async for part in progress:
                    self._progress("write", done + part, total)
            done += len(segment.data)
            self._written += len(segment.data)
        self._tell(journal.WRITTEN)
        if not device.blind:
            self._step("verify")
            if wrong := [each async for each in self._missing(device)]:
                raise FlashError(
                    Code.VERIFY,
                    f"{job.port}: what is on the flash at {wrong[0].at:#x} is not what was written",
                    "again; if it stays so, the flash is protected or worn out",
                )
        self._tell(journal.DONE)

    def _stop_here(self, done: int, total: int) -> None:
        if self._job.stop.is_set() and not self._changed:
            raise FlashError(Code.CANCELLED, f"{self._job.port}: stopped; nothing was changed")
        if self._job.stop.is_set():
            raise FlashError(
                Code.CANCELLED,
                f"{self._job.port}: stopped after {done} of {total} bytes; the board does not start as it is",
                "the same command goes on from here",
            )

    async def _wait(self, port: str) -> None:
        job = self._job
        if job.what not in {"write", "restore"} or job.wait_s <= 0:
            return
        self._step("wait", "for MicroPython")
        self._firmware = await micropython.answers(port, self._board.definition, job.wait_s)
        if not self._firmware:
            self._note = f"MicroPython did not answer within {job.wait_s:g} s"

    def _with_cure(self, error: FlashError) -> FlashError:
        """What broke off in the middle says how it goes on."""
        if not self._changed or error.code is Code.CANCELLED:
            return error
        cure = f"{error.cure + '; ' if error.cure else ''}the same command writes what is missing"
        return FlashError(error.code, error.reason, cure)

    @property
    def _total(self) -> int:
        return sum(len(each.data) for each in self._segments)

    @property
    def _who(self) -> str:
        return self._found.id or self._job.port

    @property
    def _digest(self) -> str:
        return self._job.firmware.sha256 if self._job.firmware else ""

    def _tell(self, step: str, detail: str = "") -> None:
        what = self._job.what
        if what in {"write", "restore", "erase"}:
            self._journal.note(self._board.id, self._who, what, step, sha256=self._digest, detail=detail)

    def _step(self, step: str, detail: str = "") -> None:
        self._events.put_nowait(Step(port=self._job.port, step=step, detail=detail))

    def _progress(self, step: str, done: int, total: int) -> None:
        self._events.put_nowait(Progress(port=self._job.port, step=step, done=done, total=total))


def _rates(board: BoardFile) -> tuple[int, ...]:
    """Bits per second of the attempts; a drive has none, and gets one attempt."""
    how = board.definition.flash
    return (how.baud,) if flasher(board.definition).blind else (how.baud, how.retry_baud, how.retry_baud)


def _after(before: FlashError | None, error: FlashError) -> FlashError:
    """Of two attempts that failed the first one tells why, if afterwards nobody was there any more."""
    if before is None or error.code is not Code.NO_LOADER:
        return error
    return FlashError(before.code, f"{before.reason}; since then no loader answers", error.cure)


def _told(found: Found) -> str:
    parts = (found.chip, found.id, f"{found.flash_bytes // 1024} kB" if found.flash_bytes else "")
    return ", ".join(part for part in parts if part)
