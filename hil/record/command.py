"""The commands `boardtalk record` and `boardtalk replay`."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number
from rich.console import Console

from boardtalk.hil.record.capture import Capture
from boardtalk.hil.record.entries import encode, open_for_writing, read, summary
from boardtalk.sdk.folders import running_folder
from boardtalk.sdk.options import StateFolder

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
    errors.print(f"{capture.entries} entries: {file.stat().st_size:,} bytes", markup=False)
    return 0


def replay(file: Path, /, *, write: Path | None = None, make_test: Path | None = None) -> int:
    """Play a recording to the gateway's code as it is now, and say where it first does something else.

    People, boards, times and answers from outside are those of the recording; the clock is virtual, so that
    an hour takes seconds.

    Example: boardtalk replay night.jsonl.gz

    Args:
        file: made by `boardtalk record`.
        write: put what happens now into this file, a recording too.
        make_test: write this test of pytest, which plays it, and put a copy of it beside.
    """
    from boardtalk.hil.record.compare import divergence  # noqa: PLC0415 - half a gateway; not to record
    from boardtalk.hil.record.player import play  # noqa: PLC0415
    from boardtalk.hil.record.regression import write_test  # noqa: PLC0415

    entries = list(read(file))
    now = play(entries)
    if make_test is not None:
        write_test(make_test, file)
        errors.print(f"{make_test} plays it from now on", markup=False)
    if write is not None:
        with open_for_writing(write) as stream:
            for entry in now:
                stream.write(encode(entry))
    found = divergence(entries, now)
    if found is not None:
        Console(highlight=False, soft_wrap=True).print(f"not as recorded, {found}", markup=False)
        return 1
    Console(highlight=False).print(f"as recorded: {summary(now)}", markup=False)
    return 0


async def _run(capture: Capture, seconds: float | None) -> None:
    async with asyncio.timeout(seconds):
        await capture.run()
