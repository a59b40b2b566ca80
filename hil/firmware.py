"""A robot's program on this machine: its files, and what it calls itself."""

from __future__ import annotations

import ast
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

MAIN: Final = "main.py"
NAMELESS: Final = "robot"


def example(name: str) -> Path:
    """The folder of an example that comes with boardtalk."""
    return Path(str(files("boardtalk.firmware").joinpath("boardtalk"))).parent / "examples" / name


def find(name: Path, folders: Sequence[Path]) -> Path | None:
    """A file or folder, in the first of these folders that has it; else the example of this name."""
    places = (*(folder / name for folder in folders), example(str(name)))
    return next((path.resolve() for path in places if path.exists()), None)


def assemble(paths: Sequence[Path], folder: Path) -> Path | str:
    """What an emulated board runs: the one folder or example there is, or `folder` with all files in it."""
    if len(paths) == 1 and paths[0].is_dir():
        return paths[0].name if _is_example(paths[0]) else paths[0]
    for path in paths:
        for each in path.iterdir() if path.is_dir() else (path,):
            (folder / each.name).symlink_to(each.resolve())
    return folder


def _is_example(folder: Path) -> bool:
    """Whether that is one, also in a checkout, whose files the installed ones lead to."""
    main, ours = folder / MAIN, example(folder.name) / MAIN
    return main.is_file() and ours.is_file() and main.samefile(ours)


def declared(paths: Sequence[Path]) -> str:
    """The name that a program gives its board: what `main.py` says in `Board("rover")`."""
    for path in paths:
        main = path / MAIN if path.is_dir() else path
        if main.name != MAIN or not main.is_file():
            continue
        for node in ast.walk(ast.parse(main.read_text())):
            match node:
                case ast.Call(func=ast.Name("Board"), args=[ast.Constant(str(name)), *_]):
                    return name
    return NAMELESS
