"""The command line. A command is imported when it runs, all are for the overview."""

from __future__ import annotations

import asyncio
from importlib.metadata import entry_points, version
from typing import Final

from cyclopts import App, CycloptsError
from rich.markup import escape

from boardtalk import logs
from boardtalk.cli.common import DONE, INTERRUPTED, REFUSED, UNUSABLE, errors
from boardtalk.sdk import BoardtalkError

COMMANDS: Final = "boardtalk.commands"
"""The entry-point group; commands of other packages join there too."""

app = App(
    name="boardtalk",
    help="Talk to your boards: chat with robots and microcontrollers.",
    version=lambda: version("boardtalk"),
    version_flags=["--version"],
)


def run_command(arguments: list[str]) -> int:
    """Run one command line; its exit code."""
    logs.configure("warning")
    overview = arguments[:1] in ([], ["--help"], ["-h"])
    for point in entry_points(group=COMMANDS):
        app.command(point.load() if overview else point.value, name=point.name)
    try:
        result = app(arguments or ["--help"], exit_on_error=False, result_action="return_value")
    except CycloptsError:
        errors.print("`boardtalk COMMAND --help` shows what it takes, with an example.")
        return UNUSABLE
    except BoardtalkError as error:
        errors.print(f"[red]boardtalk:[/] {escape(str(error))}", soft_wrap=True)
        return UNUSABLE
    except (KeyboardInterrupt, asyncio.CancelledError):
        return INTERRUPTED
    except BrokenPipeError:
        return REFUSED
    return result if isinstance(result, int) else DONE
