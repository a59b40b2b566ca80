"""`boardtalk boards`: the boards that the link process knows, and their adoption."""

from __future__ import annotations

import asyncio
from typing import Final

import msgspec
from cyclopts import App
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from boardtalk.modules.iot_bridge.service import api
from boardtalk.modules.iot_bridge.service.client import ask
from boardtalk.sdk import ServiceError
from boardtalk.sdk.folders import running_folder
from boardtalk.sdk.options import AsJson, StateFolder

STYLES: Final = {
    api.BoardState.READY: "green",
    api.BoardState.LATCHED: "yellow",
    api.BoardState.WAITING: "cyan",
    api.BoardState.OFFLINE: "red",
}

MAX_WIDTH: Final = 1000
"""Of the table. It is as wide as its cells: a uid is there to be copied, also out of a pipe."""

boards = App(name="boards", help="Boards: address, uid, port, firmware and state.")
boards.command("boardtalk.cli.boards:credentials", name="credentials")  # the gateway's: it has the logins
for _name, _command in (("list", "list_definitions"), ("show", "show"), ("validate", "validate")):
    boards.command(f"boardtalk.cli.definitions:{_command}", name=_name)


@boards.default
def list_boards(*, state: StateFolder = None, json: AsJson = False) -> int:
    """List the boards that are connected, and those that are missed.

    Example: boardtalk boards
    """
    answer = asyncio.run(ask(state or running_folder(), api.ListBoards(re=1)))
    if not isinstance(answer, api.Boards):
        raise ServiceError(f"the link process did not list its boards: {answer}")
    if json:
        rows = [_row(board) for board in answer.boards]
        print(msgspec.json.encode(rows).decode())  # noqa: T201 - the command's output
        return 0
    table = Table(box=None)
    for heading in ("address", "uid", "port", "firmware", "clock", "lost", "state"):
        table.add_column(heading, no_wrap=True, overflow="ignore")
    for board in answer.boards:
        name = board.name or f"({board.declared or 'unknown'})"
        state_text = f"[{STYLES[board.state]}]{board.state}[/]"
        cells = (name, board.uid, board.port, board.firmware, _clock(board.clock), _lost(board.lost))
        table.add_row(*map(escape, cells), state_text)
    console = Console(highlight=False, width=MAX_WIDTH)
    if not answer.boards:
        Console(stderr=True, highlight=False).print(
            "no boards: plug one in; `boardtalk doctor` says why one is not found"
        )
        return 0
    console.print(table)
    for board in answer.boards:
        if board.state is api.BoardState.WAITING:
            console.print(f"`boardtalk boards adopt {board.uid} NAME` gives that board an address")
        elif board.detail:
            name = f"{board.name or board.uid}: " if board.name or board.uid else ""
            console.print(f"{name}{board.detail}", markup=False, soft_wrap=True)
    return 0


def _row(board: api.BoardChanged) -> dict[str, object]:
    """What programs get."""
    return {
        "address": board.name,
        "uid": board.uid,
        "port": board.port,
        "firmware": board.firmware,
        "state": board.state,
        "detail": board.detail,
        "declared": board.declared,
        "clock": board.clock,
        "lost": board.lost,
    }


def _clock(clock: api.Clock | None) -> str:
    """How far a board's clock can be trusted: its drift, and the error of what is known of it."""
    if clock is None:
        return "–"
    drift = f"{clock.drift_ppm:+.0f} ppm " if clock.drift_ppm else ""
    return f"{drift}±{clock.error_ms:.1f} ms"


def _lost(lost: api.Lost | None) -> str:
    """What of the board's and what of the gateway's."""
    return f"{lost.from_board} in, {lost.to_board} out" if lost else "–"


@boards.command
def adopt(uid: str, name: str, /, *, state: StateFolder = None, json: AsJson = False) -> int:
    """Give a board that waits an address.

    Example: boardtalk boards adopt e6614c311b7e6f2c rover

    Args:
        uid: the board's unique id, as `boardtalk boards` shows it.
        name: its address from now on.
    """
    answer = asyncio.run(ask(state or running_folder(), api.Adopt(uid=uid, name=name, re=1)))
    if isinstance(answer, api.Refused):
        Console(stderr=True, highlight=False).print(f"boardtalk: {answer.reason}", markup=False)
        return 1
    if json:
        print(msgspec.json.encode({"uid": uid, "address": name}).decode())  # noqa: T201 - the command's output
    else:
        Console(highlight=False).print(f"{uid} is {name} from now on")
    return 0
