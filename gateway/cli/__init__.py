"""The command line. A command is imported when it runs, all of a group are for its overview."""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from functools import reduce
from importlib.metadata import entry_points, version
from io import TextIOWrapper
from typing import Final

from cyclopts import App, CycloptsError, CycloptsPanel, Parameter, UnknownCommandError, UnusedCliTokensError
from rich.markup import escape

from boardtalk.cli.common import DONE, INTERRUPTED, REFUSED, UNUSABLE, errors
from boardtalk.runtime import logs
from boardtalk.sdk import BoardtalkError

COMMANDS: Final = "boardtalk.commands"
"""The entry-point group; commands of other packages join there too."""


def command_line() -> App:
    """All commands, those of other packages among them."""
    app = App(
        name="boardtalk",
        help="Talk to your boards: chat with robots and microcontrollers.\n\n"
        "Exit codes: 0 done; 1 refused, failed or different; 2 wrong usage or no gateway; 130 Ctrl-C.",
        version=lambda: version("boardtalk"),
        version_flags=["--version"],
        version_format="plaintext",
        default_parameter=Parameter(negative="", show_default=lambda value: value or None),
    )
    for point in entry_points(group=COMMANDS):
        app.command(point.value, name=point.name)
    return app


def run_command(arguments: list[str]) -> int:
    """Run one command line; its exit code."""
    logs.configure("warning")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that can't show everything shows the rest
    app = command_line()
    if arguments[-1:] in ([], ["--help"], ["-h"]):  # only a command that is loaded can say what it is for
        with suppress(KeyError):
            reduce(App.__getitem__, arguments[:-1], app).resolved_commands()
    try:
        result = app(
            arguments or ["--help"], exit_on_error=False, print_error=False, result_action="return_value"
        )
    except CycloptsError as error:
        _show(error)
        return UNUSABLE
    except BoardtalkError as error:
        errors.print(f"[red]boardtalk:[/] {escape(str(error))}", soft_wrap=True)
        return UNUSABLE
    except (KeyboardInterrupt, asyncio.CancelledError):
        return INTERRUPTED
    except BrokenPipeError:
        return REFUSED
    except OSError as error:  # above all a disk that has no room for what is said
        where = f"{error.filename}: " if error.filename else ""
        errors.print(f"[red]boardtalk:[/] {escape(f'{where}{error.strerror or error}')}", soft_wrap=True)
        return REFUSED
    return result if isinstance(result, int) else DONE


def _show(error: CycloptsError) -> None:
    """Say what is wrong with a command line, and which help tells what is right."""
    group = error.app  # one that does something by itself takes a mistyped command for an argument too many
    if isinstance(error, UnusedCliTokensError) and group and any(not name.startswith("-") for name in group):
        error = UnknownCommandError(
            app=group, command_chain=error.command_chain, unused_tokens=error.unused_tokens, verbose=False
        )
    errors.print(CycloptsPanel(error))
    command = " ".join(["boardtalk", *(error.command_chain or ())])
    errors.print(f"`{command} --help` shows what it takes.")
