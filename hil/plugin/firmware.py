"""Which files a test's board runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from boardtalk.hil.firmware import MAIN, example, find

if TYPE_CHECKING:
    from collections.abc import Sequence

INI: Final = "boardtalk_firmware"
USUAL: Final = "robot"
"""A folder with a `main.py` of this name, in the project's root, needs not be named."""
EXAMPLE: Final = "rover"
"""Runs where a project has no firmware."""
ROBOT, DICTIONARY = "robot.py", "dictionary.json"
"""What makes a folder one for the tiny client."""


def chosen(
    request: pytest.FixtureRequest, given: Sequence[str], otherwise: Path | None = None
) -> tuple[Path, ...]:
    """The files or folders of a marker; else of the ini file; else the usual folder; else the example.

    Args:
        request: of the fixture.
        given: by the marker.
        otherwise: another example.

    Raises:
        pytest.UsageError: there is no such file.
    """
    root = request.config.rootpath
    if given:
        return tuple(_found(Path(name), (request.path.parent, root)) for name in given)
    paths: list[Path] = request.config.getini(INI)
    if paths:
        return tuple(_found(path, (root,)) for path in paths)
    usual = root / USUAL
    is_there = any((usual / name).is_file() for name in (MAIN, ROBOT))
    return (usual if is_there else otherwise or example(EXAMPLE),)


def for_tiny(paths: Sequence[Path]) -> Path | None:
    """The folder among them that a board with the tiny client can run."""
    return next(
        (each for each in paths if all((each / name).is_file() for name in (ROBOT, DICTIONARY))), None
    )


def _found(name: Path, folders: Sequence[Path]) -> Path:
    if found := find(name, folders):
        return found
    raise pytest.UsageError(f"there is no firmware {name} in {folders[0]}")
