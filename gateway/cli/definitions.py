"""`boardtalk boards list|show|validate`: the kinds of boards that are known."""

from __future__ import annotations

from pathlib import Path

import msgspec
from rich.markup import escape
from rich.table import Table

from boardtalk import boards
from boardtalk.cli.common import DONE, REFUSED, MoreBoards, console, errors, print_json, tables
from boardtalk.sdk.options import AsJson


def list_definitions(*, folder: MoreBoards = (), json: AsJson = False) -> int:
    """List the kinds of boards that can be flashed: those that come with boardtalk, and yours.

    Example: boardtalk boards list
    """
    known = boards.definitions([*boards.folders(), *folder])
    if json:
        print_json({id_: each.definition for id_, each in known.items()})
        return DONE
    table = Table(box=None)
    for heading in ("id", "board", "chip", "MicroPython", "flashed by", "file"):
        table.add_column(heading, no_wrap=True, overflow="ignore")
    for id_, each in known.items():
        it = each.definition
        shipped = each.path.parent == boards.folders()[0]
        cells = (id_, it.name, it.mcu, it.port, it.flash.protocol, "" if shipped else str(each.path))
        table.add_row(*map(escape, cells))
    tables.print(table)
    return DONE


def show(board: str, /, *, folder: MoreBoards = (), json: AsJson = False) -> int:
    """Show a definition, and where it stands: a copy of it in your folder is where to change it.

    Example: boardtalk boards show pico

    Args:
        board: its id, as `boardtalk boards list` shows it.
    """
    found = boards.definition(board, [*boards.folders(), *folder])
    if json:
        print_json(found.definition)
        return DONE
    console.print(found.path.read_text().rstrip(), markup=False, soft_wrap=True)
    errors.print(
        f"\nfrom {found.path}\nyours would be {boards.user_folder() / found.path.name}",
        markup=False,
        soft_wrap=True,
    )
    return DONE


def validate(*files: Path, folder: MoreBoards = (), json: AsJson = False) -> int:
    """Check definitions: the given files, or all that count.

    Exits with 1 if one is wrong. Editors check and complete them too, with docs/board.schema.json.

    Example: boardtalk boards validate my-board.toml

    Args:
        files: files to check.
    """
    wrong = []
    checked = list(files) or list(boards.paths([*boards.folders(), *folder]).values())
    for path in checked:
        try:
            boards.read(path)
        except boards.DefinitionError as error:
            wrong.append(str(error))
    if json:
        print(msgspec.json.encode({"checked": checked, "wrong": wrong}, enc_hook=str).decode())
        return REFUSED if wrong else DONE
    for text in wrong:
        errors.print(f"[red]wrong:[/] {escape(text)}", soft_wrap=True)
    if not wrong:
        console.print(f"{len(checked)} definitions, all right")
    return REFUSED if wrong else DONE
