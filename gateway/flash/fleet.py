"""Many boards at once: one that fails stops none of the others."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from boardtalk.flash import audit
from boardtalk.flash.events import Ended
from boardtalk.flash.provision import ClientJob, Provision
from boardtalk.flash.session import Session

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from boardtalk.flash.events import AnyEvent
    from boardtalk.flash.job import Job


def default_jobs() -> int:
    """How many at a time: flashing mostly waits for lines."""
    return 2 * (os.cpu_count() or 1)


async def run(jobs: Sequence[Job | ClientJob], at_once: int) -> AsyncGenerator[AnyEvent, None]:
    """Do them all; each ends with an `Ended` of its own.

    Args:
        jobs: one for each port.
        at_once: at most so many at a time.
    """
    events: asyncio.Queue[AnyEvent] = asyncio.Queue()
    slots = asyncio.Semaphore(at_once)

    async def one(job: Job | ClientJob) -> None:
        work = Provision(job, events) if isinstance(job, ClientJob) else Session(job, events)
        async with slots:
            events.put_nowait(await audit.kept(job, work.run))

    left = len(jobs)
    async with asyncio.TaskGroup() as tasks:
        for job in jobs:
            tasks.create_task(one(job), name=f"flash {job.port}")
        while left:
            event = await events.get()
            left -= isinstance(event, Ended)
            yield event
