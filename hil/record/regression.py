"""A recording as a test: what happened in the field must not happen again, or must happen again."""

from __future__ import annotations

import asyncio
import json
import os
import re
from typing import TYPE_CHECKING, Any, Final

from boardtalk.hil.record.compare import divergence
from boardtalk.hil.record.entries import RecordingError, read, writing
from boardtalk.hil.record.player import play

if TYPE_CHECKING:
    from pathlib import Path

USUAL: Final = {"robot": "", "speed": 1.0, "tolerance": 0.1}
"""Options of a replay with a board that need not be given."""
TEST: Final = '''\
"""Plays {recording}: people as recorded, {what}."""

from pathlib import Path

from boardtalk.hil.record.regression import {check}


def test_{name}() -> None:
    {check}(Path(__file__).with_name("{recording}"){more})
'''


def assert_as_recorded(path: Path) -> None:
    """Play a recording; AssertionError says where the gateway first does something else."""
    entries = list(read(path))
    found = divergence(entries, play(entries))
    assert found is None, f"not as recorded, {found}"  # noqa: S101 - it is for tests


def assert_does_the_same(
    path: Path, firmware: Path | None = None, *, robot: str = "", speed: float = 1.0, tolerance: float = 0.1
) -> None:
    """Say to an emulated board what was said; AssertionError says what it first does otherwise.

    Args:
        path: of the recording.
        firmware: a folder with a `main.py`; None: the rover that comes with boardtalk.
        robot: see `boardtalk replay --help`, as for `speed` and `tolerance`.
        speed: of pauses.
        tolerance: of measured numbers.
    """
    from boardtalk.hil.record.against import play_against  # noqa: PLC0415 - the other needs no boards
    from boardtalk.hil.record.stage import Board  # noqa: PLC0415

    playing = play_against(
        list(read(path)), Board(firmware=firmware), robot=robot, speed=speed, tolerance=tolerance
    )
    found = asyncio.run(playing).divergence
    assert found is None, f"not as recorded, {found}"  # noqa: S101 - it is for tests


def write_test(path: Path, recording: Path) -> None:
    """A test that plays a recording, of which a copy is put beside it.

    Raises:
        RecordingError: they can't be written.
    """
    _write(path, recording, "assert_as_recorded", "boards too, the gateway as it is now")


def write_board_test(path: Path, recording: Path, firmware: Path | None, **options: Any) -> None:
    """The same with an emulated board; options are those of `assert_does_the_same`.

    Raises:
        RecordingError: they can't be written.
    """
    given = [f"{name}={json.dumps(value)}" for name, value in options.items() if value != USUAL[name]]
    if firmware is not None:
        given[:0] = [f"Path(__file__).parent / {json.dumps(os.path.relpath(firmware, path.parent))}"]
    more = "".join(f",\n        {each}" for each in given)
    _write(path, recording, "assert_does_the_same", "an emulated board", more)


def _write(path: Path, recording: Path, check: str, what: str, more: str = "") -> None:
    """Write a test.

    Raises:
        RecordingError: they can't be written.
    """
    name = re.sub(r"\W+", "_", recording.name.partition(".")[0]).strip("_") or "recording"
    beside = path.with_name(recording.name)
    try:
        if not (beside.exists() and beside.samefile(recording)):
            with writing(beside) as write:  # whole, even if the other one is not
                for entry in read(recording, lambda _: None):
                    write(entry)
        text = TEST.format(recording=recording.name, name=name, check=check, what=what, more=more)
        path.write_text(text)
    except OSError as error:
        raise RecordingError(f"{path}: can't be written: {error.strerror or error}") from error
