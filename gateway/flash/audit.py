"""What the gateway's audit has of flashing: who changes which board, where, with what, and how it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from boardtalk.flash.provision import ClientJob
from boardtalk.flash.telling import CHANGING
from boardtalk.sdk.audit import Attempt, audited

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from boardtalk.flash.events import Ended
    from boardtalk.flash.job import Job


async def kept(job: Job | ClientJob, run: Callable[[], Awaitable[Ended]]) -> Ended:
    """Do a job; if it changes a board, the audit has it."""
    if not job.by or (not isinstance(job, ClientJob) and job.what not in CHANGING):
        return await run()
    state, first = (job.order.state, job.first) if isinstance(job, ClientJob) else (job.state, job)
    async with audited(state, Attempt(job.by, _what(job), job.port, _about(first, job.port))) as entry:
        ended = await run()
        entry.result = _result(ended)
        return ended


def _what(job: Job | ClientJob) -> str:
    if not isinstance(job, ClientJob):
        return f"flash {job.what}"
    return "flash write --client" if job.first else "flash client"


def _about(job: Job | None, port: str) -> str:
    """As far as it is known before the loader is asked."""
    if job is None:
        return f"client and program, at {port}"
    kinds = " or ".join(board.id for board in job.boards)
    image = f", {job.firmware.name} sha256 {job.firmware.sha256}" if job.firmware else ""
    return f"{kinds} at {port}{image}{', erased first' if job.erase else ''}"


def _result(ended: Ended) -> str:
    who = " ".join(filter(None, (ended.board, ended.id))) or "a board"
    digest = f", sha256 {ended.sha256}" if ended.sha256 else ""
    how = f"done, {ended.written} bytes written" if ended.ok else f"FAILED ({ended.code}): {ended.reason}"
    now = "; ".join(filter(None, (ended.firmware, ended.program, ended.note)))
    return f"{who} at {ended.device or ended.port}{digest}: {how}{f'; {now}' if now else ''}"
