"""Which robots are meant, how they are, and what is decided about their releases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from boardtalk.modules.iot_bridge.errors import LinkError
from boardtalk.modules.iot_bridge.frames import Ota
from boardtalk.modules.iot_bridge.language.words import clean
from boardtalk.modules.iot_bridge.ota.conversation import converse
from boardtalk.modules.iot_bridge.ota.keys import board_key
from boardtalk.modules.iot_bridge.ota.push import label
from boardtalk.modules.iot_bridge.service import api
from boardtalk.modules.iot_bridge.service.client import ask
from boardtalk.sdk.groups import members

if TYPE_CHECKING:
    from pathlib import Path

SLOTS: Final = ("a", "b")


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """How a robot is."""

    runs: str
    """The release; "": it has no name."""
    trial: bool
    """Whether it has yet to prove itself."""
    slot: str
    before: str | None
    """What a rollback would run; "": it has no name; None: there is none."""
    newest: int
    """Number of the newest release that the board ever began."""


async def meant(state: Path, names: str) -> list[str]:
    """The robots behind addresses with commas between, of robots and of groups.

    Raises:
        LinkError: there is no such robot or group, or no robot in it.
        ServiceError: no gateway runs.
    """
    answer = await ask(state, api.ListBoards(re=1))
    boards = {board.name for board in answer.boards} if isinstance(answer, api.Boards) else set()
    found: dict[str, None] = {}
    for name in names.split(","):
        robots = [name] if name in boards else [each for each in await members(state, name) if each in boards]
        if not robots:
            raise LinkError(f"there is no board {name!r}, and no group with boards in it: `boardtalk boards`")
        found |= dict.fromkeys(robots)
    return list(found)


async def uid(state: Path, robot: str) -> str:
    """A robot's unique id, from which its key follows. Raises LinkError: it is not known."""
    board = await _board(state, robot)
    if board is None or not board.uid:
        raise LinkError(f"there is no board {robot!r} that was met: `boardtalk boards` lists them")
    return board.uid


async def where(state: Path, robot: str) -> str:
    """Which board a robot is, and at which port, for the audit."""
    board = await _board(state, robot)
    return f"{board.uid or 'a board'} at {board.port or 'no port yet'}" if board else "no board"


async def _board(state: Path, robot: str) -> api.BoardChanged | None:
    answer = await ask(state, api.ListBoards(re=1))
    boards = answer.boards if isinstance(answer, api.Boards) else ()
    return next((board for board in boards if board.name == robot), None)


async def status(state: Path, robot: str) -> Status:
    """Which release a robot runs, and whether it can go back.

    Raises:
        UpdateRefused: it can't be updated over its link.
        LinkError: it is not there.
    """
    async with converse(state, robot, "its status") as talk:
        told = await talk.status()
    other = 1 - told.running
    return Status(
        runs=clean(label(told, told.running)),
        trial=bool(told.trial),
        slot=SLOTS[told.running],
        before=clean(label(told, other)) if told.good & 1 << other else None,
        newest=told.floor,
    )


async def confirm(state: Path, robot: str) -> None:
    """Keep the release that is on trial. Raises UpdateRefused, LinkError."""
    async with converse(state, robot, "ota confirm") as talk:
        await talk.decide(Ota.CONFIRM, board_key(state, talk.uid))


async def roll_back(state: Path, robot: str, by: str = "ota rollback") -> None:
    """Stop a robot, and start the release before. Raises UpdateRefused: there is none. LinkError."""
    async with converse(state, robot, by) as talk:
        if not talk.latched:
            await talk.stop(by)
        await talk.decide(Ota.ROLLBACK, board_key(state, talk.uid))
