"""What all commands share: exit codes, options, output."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import msgspec
from cyclopts import Parameter
from rich.console import Console

from boardtalk.sdk.options import me as me  # noqa: PLC0414 - commands find it here

if TYPE_CHECKING:
    from collections.abc import Coroutine

T = TypeVar("T")

DONE: Final = 0
REFUSED: Final = 1
UNUSABLE: Final = 2
"""No gateway, wrong usage or configuration."""
INTERRUPTED: Final = 130

ConfFile = Annotated[Path | None, Parameter(name="--conf", help="Configuration file.")]
MoreBoards = Annotated[
    tuple[Path, ...],
    Parameter(name="--boards", help="A folder with more definitions; repeatable."),
]
AsUser = Annotated[str | None, Parameter(name="--user", help="Act as this user; default: you.")]

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)
tables = Console(highlight=False, width=1000)
"""For tables, as wide as their cells: nothing is cut off, also in a pipe, which counts as 80 columns."""


def await_(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's coroutine; Ctrl-C and SIGTERM cancel it, so that it cleans up."""

    async def terminable() -> T:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - this is one
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await work

    with asyncio.Runner() as runner:
        return runner.run(terminable())


def print_json(value: object) -> None:
    """Print something for programs."""
    print(msgspec.json.encode(value).decode(), flush=True)
