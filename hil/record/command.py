"""The command `boardtalk record`."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from cyclopts.validators import Number
from rich.console import Console

from boardtalk.hil.record.capture import Capture
from boardtalk.hil.record.entries import open_for_writing
from boardtalk.sdk.folders import running_folder
from boardtalk.sdk.options import StateFolder

if TYPE_CHECKING:
    from collections import Counter

errors = Console(stderr=True, highlight=False)


def record(
    file: Path,
    /,
    *,
    seconds: Annotated[float | None, Parameter(validator=Number(gt=0))] = None,
    state: StateFolder = None,
) -> int:
    """Record what happens in a running gateway: chat, verdicts of modules, frames, what boards answer.

    Ctrl-C ends it. Secrets are left out; what people say is in it.

    Example: boardtalk record night.jsonl.gz

    Args:
        file: a new one; compressed if its name ends in .gz.
        seconds: end after so long.
    """
    with open_for_writing(file) as stream:
        capture = Capture(state or running_folder(), stream)
        errors.print(f"recording to {file}; Ctrl-C ends it", markup=False)
        with suppress(KeyboardInterrupt, TimeoutError):
            asyncio.run(_run(capture, seconds))
    errors.print(_summary(capture.counts, file.stat().st_size), markup=False)
    return 0


async def _run(capture: Capture, seconds: float | None) -> None:
    async with asyncio.timeout(seconds):
        await capture.run()


def _summary(counts: Counter[str], size: int) -> str:
    said = counts["said"] + counts["sent"]
    return (
        f"{said} messages, {counts['asked']} requests to boards, {counts['traffic']} frames: {size:,} bytes"
    )
