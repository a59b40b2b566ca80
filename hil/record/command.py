"""The commands `boardtalk record` and `boardtalk replay`."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import Parameter
from cyclopts.validators import Number
from rich.console import Console

from boardtalk.cli.common import await_
from boardtalk.hil.record.capture import Capture
from boardtalk.hil.record.entries import (
    AnyEntry,
    Gateway,
    Head,
    Link,
    RecordingError,
    read,
    summary,
    writing,
)
from boardtalk.sdk.folders import running_folder
from boardtalk.sdk.options import StateFolder

if TYPE_CHECKING:
    from boardtalk.hil.record.compare import Divergence
    from boardtalk.hil.record.stage import Board

BEGINS_S: Final = 2.0
"""A gateway whose link process does not show up for so long is recorded without it."""

errors = Console(stderr=True, highlight=False)


def record(
    file: Path,
    /,
    *,
    seconds: Annotated[float | None, Parameter(validator=Number(gt=0))] = None,
    state: StateFolder = None,
) -> int:
    """Record what happens in a running gateway: chat, verdicts of modules, frames, what boards answer.

    Ctrl-C or SIGTERM ends it. Secrets are left out; what people say is in it.

    Example: boardtalk record night.jsonl.gz

    Args:
        file: a new one; compressed if its name ends in .gz.
        seconds: end after so long.
    """
    with writing(file) as write:
        capture = Capture(state or running_folder(), write)
        with suppress(KeyboardInterrupt, asyncio.CancelledError, TimeoutError):
            await_(_run(capture, file, seconds))
    errors.print(f"{capture.entries} entries: {file.stat().st_size:,} bytes", markup=False)
    return 0


def replay(
    file: Path,
    /,
    *,
    write: Path | None = None,
    make_test: Path | None = None,
    against: str = "",
    firmware: Path | None = None,
    robot: str = "",
    speed: Annotated[float, Parameter(validator=Number(gt=0))] = 1.0,
    tolerance: Annotated[float, Parameter(validator=Number(gte=0))] = 0.1,
    yes: bool = False,
) -> int:
    """Play a recording to the gateway's code as it is now, and say where it first does something else.

    People, boards, times and answers from outside are those of the recording; the clock is virtual, so that
    an hour takes seconds. With `--against` people say to a board, in real time, what they said to the robot,
    and what becomes of it is compared.

    Example: boardtalk replay night.jsonl.gz

    Example: boardtalk replay night.jsonl.gz --against emulated --firmware robot

    Args:
        file: made by `boardtalk record`.
        write: put what happens now into this file, a recording too.
        make_test: write this test of pytest, which plays it, and put a copy of it beside.
        against: `emulated`, or the port of a real board: /dev/ttyACM0, tcp://HOST:PORT, rfc2217://HOST:PORT.
        firmware: a folder with the program of the emulated board; default: the rover that comes with it.
        robot: whose part the board has, if several are in the recording.
        speed: how much faster pauses pass in which nothing is under way.
        tolerance: how much measured numbers may differ, as a fraction.
        yes: the real board may be told what can hurt somebody, and re-armed.
    """
    entries = list(read(file, lambda why: errors.print(why, markup=False, soft_wrap=True)))
    if against:
        from boardtalk.hil.record.stage import Board  # noqa: PLC0415 - half a gateway; not to record

        board = Board(port=against, firmware=firmware)
        options = {"robot": robot, "speed": speed, "tolerance": tolerance}
        if make_test is not None:
            _make_board_test(make_test, file, board, options)
        return _play_against(entries, board, write, may_move=yes, **options)
    if firmware or robot or yes:
        raise RecordingError("--firmware, --robot and --yes go with --against")
    from boardtalk.hil.record.compare import divergence  # noqa: PLC0415
    from boardtalk.hil.record.player import play  # noqa: PLC0415
    from boardtalk.hil.record.regression import write_test  # noqa: PLC0415

    now = play(entries)
    if make_test is not None:
        write_test(make_test, file)
        errors.print(f"{make_test} plays it from now on", markup=False)
    _write(write, now)
    return _tell(divergence(entries, now), f"as recorded: {summary(now)}")


def _make_board_test(path: Path, recording: Path, board: Board, options: dict[str, Any]) -> None:
    if board.is_real:
        raise RecordingError("--make-test makes tests for emulated boards: --against emulated")
    from boardtalk.hil.record.regression import write_board_test  # noqa: PLC0415 - not to record

    write_board_test(path, recording, board.firmware, **options)
    errors.print(f"{path} plays it from now on", markup=False)


def _play_against(entries: list[AnyEntry], board: Board, write: Path | None, **options: Any) -> int:
    from rich.progress import Progress  # noqa: PLC0415 - not to record

    from boardtalk.hil.record.against import play_against  # noqa: PLC0415

    last = max((entry.at for entry in entries if isinstance(entry, Gateway | Link)), default=0.0)
    began = next(entry.clock for entry in entries if isinstance(entry, Head))
    with Progress(console=errors, transient=True, disable=not errors.is_terminal) as progress:
        bar = progress.add_task("playing", total=last - began)
        passed = partial(progress.update, bar)
        played = await_(
            play_against(entries, board, passed=lambda seconds: passed(completed=seconds), **options)
        )
    _write(write, played.entries)
    if played.left_out:
        why = "because modules had changed them or not let them through"
        errors.print(f"{_said(played.left_out)} left out, {why}", markup=False)
    return _tell(played.divergence, f"as recorded: {_said(played.said)} to the robot")


def _said(count: int) -> str:
    return "1 message" if count == 1 else f"{count} messages"


def _write(path: Path | None, entries: list[AnyEntry]) -> None:
    if path is None:
        return
    with writing(path) as write:
        for entry in entries:
            write(entry)


def _tell(found: Divergence | None, good: str) -> int:
    if found is not None:
        Console(highlight=False, soft_wrap=True).print(f"not as recorded, {found}", markup=False)
        return 1
    Console(highlight=False).print(good, markup=False)
    return 0


async def _run(capture: Capture, file: Path, seconds: float | None) -> None:
    async with asyncio.timeout(seconds):
        running = asyncio.create_task(capture.run(), name="recorder")
        complete = asyncio.create_task(capture.complete.wait(), name="recording")
        await asyncio.wait({running, complete}, timeout=BEGINS_S, return_when=asyncio.FIRST_COMPLETED)
        complete.cancel()
        if not running.done():
            errors.print(f"recording to {file}; Ctrl-C ends it", markup=False)
        await running
