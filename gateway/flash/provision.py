"""The client and a robot's program onto a board that runs MicroPython, or gets it first; journalled."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Final

import msgspec

from boardtalk.flash import journal, micropython, ports
from boardtalk.flash.errors import Code, FlashError
from boardtalk.flash.events import Ended, Progress, Step
from boardtalk.flash.session import Session
from boardtalk.sdk.errors import BoardtalkError
from boardtalk.sdk.provision import GROUP, Order, Provisioned, ProvisionError, Stage

if TYPE_CHECKING:
    from boardtalk.boards import Definition
    from boardtalk.flash.events import AnyEvent
    from boardtalk.flash.job import Job
    from boardtalk.sdk.provision import Installer

log = logging.getLogger(__name__)
WHAT: Final = "client"
JOURNALLED: Final = frozenset({"copy", "install", "start"})
CODES: Final = frozenset(Code)


@dataclass(frozen=True)
class ClientJob:
    """What a board shall get."""

    order: Order
    first: Job | None = None
    """What is done before: its firmware."""
    wait_s: float = 0.0
    """Then: how long to wait for MicroPython."""
    by: str = ""
    """Who wants it, for the audit; "": whoever had this done sees to that."""

    @property
    def port(self) -> str:
        """Whose it is."""
        return self.order.port


class Provision:
    """The steps of such a job, once.

    Args:
        job: what to do.
        events: steps and progress go there.
    """

    def __init__(self, job: ClientJob, events: asyncio.Queue[AnyEvent]) -> None:
        self._job = job
        self._order = job.order
        self._events = events
        self._journal = journal.Journal(job.order.state / "flash")
        self._ended = Ended(port=job.port, ok=True)
        self._uid = ""
        self._digest = ""

    async def run(self) -> Ended:
        """Do it; how it ended, whatever happens."""
        began = time.monotonic()
        if self._job.first is not None:
            self._ended = await Session(self._job.first, self._events).run()
            if not self._ended.ok:
                return self._ended
        try:
            await self._run()
            error = None
        except ProvisionError as caught:
            code = Code(caught.code) if caught.code in CODES else Code.FAULT
            error = FlashError(code, caught.reason, caught.cure)
        except FlashError as caught:
            error = caught
        except BoardtalkError as caught:
            error = FlashError(Code.LINK, str(caught))
        except OSError as caught:  # of the journal, or of a file that the board shall get
            error = FlashError(Code.DISK, str(caught))
        except Exception as caught:  # one that fails stops none of the others
            log.exception("a client for %s", self._job.port)
            error = FlashError(Code.FAULT, f"{self._job.port}: a fault in boardtalk: {caught!r}")
        if error is not None:
            self._failed(error)
        return msgspec.structs.replace(
            self._ended, seconds=round(self._ended.seconds + time.monotonic() - began, 2)
        )

    async def _run(self) -> None:
        if self._order.stop.is_set():
            raise FlashError(Code.CANCELLED, f"{self._job.port}: not begun")
        installer = _installer()
        async with ports.ours(await self._port(), self._order.state) as port:
            self._ended = msgspec.structs.replace(self._ended, device=port)
            order = replace(self._order, port=port)
            async with aclosing(installer.install(order)) as stages:
                async for each in stages:
                    if isinstance(each, Stage):
                        self._on_stage(each)
                    else:
                        board = each
                        self._on_board(each)
        self._step("welcome", "until the gateway knows it")
        self._on_board(await installer.welcome(order, board))
        self._note(journal.DONE, self._ended.program)

    async def _port(self) -> str:
        """Where MicroPython answers; a drive is none. Raises FlashError."""
        first, wait = self._job.first, self._job.wait_s
        if first is None or "://" in first.port:
            return self._order.port
        board = self._board(first)
        self._step("wait", "for MicroPython")
        with suppress(TimeoutError):
            async with asyncio.timeout(wait):
                while True:
                    known = micropython.candidates(first.port, board) if "/" in first.port else [first.port]
                    for each in known:
                        with suppress(FlashError):  # a gateway looks at a port that is new, too
                            async with ports.ours(each, self._order.state) as port:
                                if await micropython.ask(port, board.link.baud):
                                    return each
                    await asyncio.sleep(micropython.LOOK_S)
        raise FlashError(
            Code.NO_LOADER,
            f"{first.port}: the firmware is on it, but MicroPython did not answer within {wait:g} s",
            "`boardtalk flash client --port PORT`, when it does",
        )

    def _on_stage(self, stage: Stage) -> None:
        if stage.total:
            self._events.put_nowait(
                Progress(port=self._job.port, step=stage.step, done=stage.done, total=stage.total)
            )
            return
        if stage.uid:
            self._uid, self._digest = stage.uid, stage.sha256
            self._ended = msgspec.structs.replace(self._ended, sha256=self._ended.sha256 or stage.sha256)
            if self._journal.unfinished(self._uid, self._digest, WHAT):
                self._step("plan", "goes on with what did not end")
            self._note(journal.BEGUN)
        if stage.step in JOURNALLED:
            self._note(stage.step)
        self._step(stage.step, stage.detail)

    def _on_board(self, board: Provisioned) -> None:
        self._ended = msgspec.structs.replace(
            self._ended,
            id=board.uid,
            written=self._ended.written if self._job.first else board.copied,
            total=self._ended.total if self._job.first else board.total,
            firmware=board.micropython,
            program=board.program,
            dictionary=board.dictionary,
            note=board.note,
        )

    def _failed(self, error: FlashError) -> None:
        if self._uid:
            with suppress(OSError):
                self._note(f"failed: {error.code}")
        self._ended = msgspec.structs.replace(
            self._ended, ok=False, id=self._ended.id or self._uid, code=error.code, reason=error.reason,
            cure=error.cure or "the same command goes on from here", note="",
        )  # fmt: skip

    def _board(self, first: Job) -> Definition:
        return next((b for b in first.boards if b.id == self._ended.board), first.boards[0]).definition

    def _note(self, step: str, detail: str = "") -> None:
        self._journal.note(self._ended.board, self._uid, WHAT, step, sha256=self._digest, detail=detail)

    def _step(self, step: str, detail: str = "") -> None:
        self._events.put_nowait(Step(port=self._job.port, step=step, detail=detail))


def _installer() -> Installer:
    """Who knows the client. Raises FlashError."""
    for point in entry_points(group=GROUP):
        made: Installer = point.load()()
        return made
    raise FlashError(Code.UNSUPPORTED, "nothing here brings a client for boards", "install boardtalk anew")
