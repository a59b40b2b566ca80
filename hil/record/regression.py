"""A recording as a test: what happened in the field must not happen again, or must happen again."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING, Final

from boardtalk.hil.record.compare import divergence
from boardtalk.hil.record.entries import RecordingError, read
from boardtalk.hil.record.player import play

if TYPE_CHECKING:
    from pathlib import Path

TEST: Final = '''\
"""Plays {recording}: people and boards as recorded, the gateway as it is now."""

from pathlib import Path

from boardtalk.hil.record.regression import assert_as_recorded


def test_{name}() -> None:
    assert_as_recorded(Path(__file__).with_name("{recording}"))
'''


def assert_as_recorded(path: Path) -> None:
    """Play a recording; AssertionError says where the gateway first does something else."""
    entries = list(read(path))
    found = divergence(entries, play(entries))
    assert found is None, f"not as recorded, {found}"  # noqa: S101 - it is for tests


def write_test(path: Path, recording: Path) -> None:
    """A test that plays a recording, of which a copy is put beside it.

    Raises:
        RecordingError: they can't be written.
    """
    name = re.sub(r"\W+", "_", recording.name.partition(".")[0]).strip("_") or "recording"
    beside = path.with_name(recording.name)
    try:
        if not (beside.exists() and beside.samefile(recording)):
            shutil.copyfile(recording, beside)
        path.write_text(TEST.format(recording=recording.name, name=name))
    except OSError as error:
        raise RecordingError(f"{path}: can't be written: {error.strerror or error}") from error
