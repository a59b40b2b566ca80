"""`boardtalk run` and `boardtalk check`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape

from boardtalk.cli import invitation
from boardtalk.cli.common import (
    DONE,
    UNUSABLE,
    ConfFile,
    await_,
    console,
    errors,
    me,
    print_json,
)
from boardtalk.runtime.heap import give_back_large_pieces
from boardtalk.runtime.precedence import go_first
from boardtalk.sdk import ConfigError
from boardtalk.sdk.folders import default_folder
from boardtalk.sdk.options import AsJson, StateFolder

if TYPE_CHECKING:
    from collections.abc import Iterable

    from boardtalk.app import Endpoints
    from boardtalk.frontends.control import Page


def run(
    *,
    conf: ConfFile = None,
    state: StateFolder = None,
    watch: bool = False,
) -> int:
    """Run the gateway with the boards that are plugged in.

    Example: boardtalk run --conf gateway.conf

    Args:
        watch: start a module anew whenever its code changes; for whoever writes one.
    """
    from boardtalk import app, loader
    from boardtalk import conf as configuration

    go_first()
    give_back_large_pieces()
    source = partial(configuration.load, app.find_conf(conf))
    if found := loader.problems(source()):
        _show_errors(found)
        return UNUSABLE
    return await_(
        app.serve(source, state or default_folder(), local_user=me(), watch=watch, ready=_say_ready)
    )


def _say_ready(endpoints: Endpoints, page: Page) -> None:
    where = f"mqtt={endpoints.mqtt} " if endpoints.mqtt else ""
    served = f"page={endpoints.page} " if endpoints.page else ""
    lines = (f"ready {where}{served}modules={','.join(endpoints.modules)}", *invitation.lines(page))
    print("\n".join(lines), flush=True)


def check(file: Path, /, *, json: AsJson = False) -> int:
    """Check a configuration file and say what is wrong with it, and where.

    Example: boardtalk check conf/gateway.conf
    """
    from boardtalk import conf as configuration
    from boardtalk import loader

    try:
        document = configuration.load(file)
        found = loader.problems(document)
        warnings = [*document.warnings, *configuration.unknown_members(document, [me()])]
    except ConfigError as error:  # what can't be read can't be looked at further
        found, warnings = [error], []
    if json:
        print_json({"errors": list(map(_row, found)), "warnings": list(map(_row, warnings))})
        return UNUSABLE if found else DONE
    for warning in warnings:
        errors.print(f"[yellow]warning:[/] {escape(str(warning))}", soft_wrap=True)
    _show_errors(found)
    if not found:
        count = len(document.blocks)
        blocks = f"{count} block{'' if count == 1 else 's'}"
        console.print(f"{file}: fine, {blocks}", markup=False, soft_wrap=True)
    return UNUSABLE if found else DONE


def _row(error: ConfigError) -> dict[str, object]:
    return {"file": error.path, "line": error.line, "column": error.column, "reason": error.reason}


def _show_errors(found: Iterable[ConfigError]) -> None:
    for error in found:
        errors.print(f"[red]error:[/] {escape(str(error))}", soft_wrap=True)
