"""One board, from the check of the image to the answer of the new firmware: attempts, and how it ended."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from boardtalk.flash import match, micropython, ports
from boardtalk.flash.errors import RETRIED, Code, FlashError
from boardtalk.flash.events import Ended
from boardtalk.flash.job import Target
from boardtalk.flash.loader import entered
from boardtalk.flash.protocol import flasher
from boardtalk.flash.steps import Steps
from boardtalk.flash.telling import Telling

if TYPE_CHECKING:
    from collections.abc import Sequence

    from boardtalk.boards import BoardFile
    from boardtalk.flash.events import AnyEvent
    from boardtalk.flash.job import Job
    from boardtalk.flash.protocol import Flasher

log = logging.getLogger(__name__)
AGAIN_S: Final = 0.5
"""Before another attempt: what was on its way has gone by then."""
SINCE: Final = {Code.NO_LOADER: "no loader answers", Code.PORT_MISSING: "its port is gone"}
"""What another attempt may find."""


class Session:
    """A job, once.

    Args:
        job: what to do.
        events: steps and progress go there.
    """

    def __init__(self, job: Job, events: asyncio.Queue[AnyEvent]) -> None:
        self._job = job
        self._telling = Telling(job, events)
        self._steps = Steps(job, self._telling)
        self._target: Target | None = None
        self._firmware = ""
        self._device = ""
        self._note = ""

    async def run(self) -> Ended:
        """Do it; how it ended, whatever happens."""
        began = time.monotonic()
        error: FlashError | None = None
        try:
            await self._run()
            error = self._steps.mismatch
        except FlashError as caught:
            error = self._with_cure(caught)
        except Exception as caught:  # one that fails stops none of the others
            log.exception("flashing %s", self._job.port)
            error = FlashError(Code.FAULT, f"{self._job.port}: a fault in boardtalk: {caught!r}")
        return self._ended(error, time.monotonic() - began)

    def _ended(self, error: FlashError | None, seconds: float) -> Ended:
        target = self._target
        if error is not None and target is not None:
            with suppress(FlashError):
                self._telling.note(target, f"failed: {error.code}", error.reason)
        return Ended(
            port=self._job.port,
            ok=error is None,
            board=target.board.id if target else self._job.boards[0].id,
            id=target.found.id if target else "",
            device=self._device,
            sha256=self._job.firmware.sha256 if self._job.firmware else "",
            written=self._steps.written,
            total=target.total if target else 0,
            seconds=round(seconds, 2),
            firmware=self._firmware,
            code=error.code if error else None,
            reason=error.reason if error else "",
            cure=error.cure if error else "",
            note="" if error else self._note or self._steps.note,
        )

    async def _run(self) -> None:
        job = self._job
        if job.stop.is_set():
            raise FlashError(Code.CANCELLED, f"{job.port}: not begun")
        boards = match.fitting(job)
        if job.firmware is not None:
            self._telling.step("check", f"{job.firmware.name}, sha256 {job.firmware.sha256}")
        kind = flasher(boards[0].definition)
        rates = _rates(boards[0], kind)
        async with ports.ours(job.port, job.state) as port:
            self._device = port
            before: FlashError | None = None
            for number, baud in enumerate(rates):
                try:
                    await self._attempt(boards, port, baud)
                    break
                except FlashError as error:
                    if error.code not in RETRIED or number == len(rates) - 1 or job.stop.is_set():
                        raise _after(before, error) from error
                    before = error
                    how = f"at {rates[number + 1]} baud: " if kind.rated else ""
                    self._telling.step("again", how + error.reason)
                    await asyncio.sleep(AGAIN_S)
            await self._wait(port)

    async def _attempt(self, boards: Sequence[BoardFile], port: str, baud: int) -> None:
        self._telling.step("loader", f"{baud} baud" if flasher(boards[0].definition).rated else "")
        async with entered(boards[0].definition, port, baud, self._job.stop) as device:
            try:
                found = await device.probe()
                self._target = Target(boards[0], found, [])  # told also if it is another board
                self._target = target = match.matched(self._job, boards, found)
                device.board = target.board.definition
                self._telling.step("match", f"{target.board.id}: {found.told}")
                await self._steps.do(device, target)
            except FlashError:
                if not self._steps.changed:  # its program is whole: let it run
                    with suppress(FlashError):
                        await device.reset()
                raise
            await device.reset()

    async def _wait(self, port: str) -> None:
        job = self._job
        if job.what not in {"write", "restore", "probe"} or job.wait_s <= 0 or self._target is None:
            return
        self._telling.step("wait", "for MicroPython")
        self._firmware = await micropython.answers(port, self._target.board.definition, job.wait_s)
        if not self._firmware:
            silence = f"MicroPython did not answer within {job.wait_s:g} s"
            self._note = "; ".join(filter(None, (self._steps.note, silence)))

    def _with_cure(self, error: FlashError) -> FlashError:
        """What broke off in the middle says how it goes on."""
        if not self._steps.changed or error.code is Code.CANCELLED:
            return error
        cure = f"{error.cure + '; ' if error.cure else ''}the same command writes what is missing"
        return FlashError(error.code, error.reason, cure)


def _rates(board: BoardFile, kind: type[Flasher]) -> tuple[int, ...]:
    """Bits per second of the attempts; what nobody can look into gets one attempt."""
    how = board.definition.flash
    return (how.baud,) if kind.blind else (how.baud, how.retry_baud, how.retry_baud)


def _after(before: FlashError | None, error: FlashError) -> FlashError:
    """Of two attempts that failed the first one tells why, if the second one found nobody any more."""
    if before is None or error.code not in SINCE:
        return error
    return FlashError(before.code, f"{before.reason}; since then {SINCE[error.code]}", error.cure)
