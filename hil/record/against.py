"""Plays what was said to a robot against a board: an emulated one, or the real one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, NamedTuple

from boardtalk.hil.firmware import declared
from boardtalk.hil.record.actors import Actors
from boardtalk.hil.record.capture import captured
from boardtalk.hil.record.entries import AnyEntry, Head, Link, RecordingError
from boardtalk.hil.record.meaning import Meaning
from boardtalk.hil.record.outcomes import Outcomes
from boardtalk.hil.record.stage import Board, set_back, stage
from boardtalk.hil.record.steps import moving, script
from boardtalk.modules.iot_bridge.dictionary import parse
from boardtalk.modules.iot_bridge.service import api
from boardtalk.modules.iot_bridge.service.client import ask

if TYPE_CHECKING:
    from collections.abc import Callable

    from boardtalk.hil.record.compare import Divergence

AFTER_S: Final = 0.5
"""How long it goes on after the last step."""


class Played(NamedTuple):
    """What came of it."""

    entries: list[AnyEntry]
    """A recording of it."""
    said: int
    """Messages to the robot."""
    left_out: int
    """Those that modules had changed, or not let through."""
    divergence: Divergence | None


async def play_against(
    entries: list[AnyEntry],
    board: Board,
    *,
    robot: str = "",
    speed: float = 1.0,
    tolerance: float = 0.1,
    may_move: bool = False,
    passed: Callable[[float], object] = lambda _: None,
) -> Played:
    """Have the people of a recording say to a board what they said, and compare what becomes of it.

    Args:
        entries: of the recording.
        board: which one.
        robot: whose part it has; "": the only one of the recording, or the one that its program names.
        speed: how much faster pauses pass in which nothing is under way.
        tolerance: of measured numbers, as a fraction.
        may_move: whether a real one may be told what could hurt somebody, and may be re-armed.
        passed: is told how many seconds of the recording have passed.

    Raises:
        RecordingError: the recording has no such robot, or a real one is not to move.
        GatewayError: the board does not answer.
    """
    head = entries[0]
    assert isinstance(head, Head)  # noqa: S101 - `read` has seen to it
    robot = _robot(entries, board, robot)
    then, now = Outcomes(robot, entries), Outcomes(robot)
    play = script(entries, then)
    needs_leave = board.is_real and not may_move
    if needs_leave:
        _require_leave(board, moving(play, then.names.dictionary(robot)))
    taken: list[AnyEntry] = []

    def keep(entry: AnyEntry) -> None:
        taken.append(entry)
        now.feed(entry)

    async with stage(head, robot, board, play.users) as folder:
        if needs_leave:  # what only asked may have another meaning to its program of now
            answer = await ask(folder, api.GetDictionary(board=robot, re=1))
            known = parse(answer.data) if isinstance(answer, api.DictionaryText) else None
            _require_leave(board, moving(play, known))
        else:
            await set_back(folder, robot, latched=_was_latched(entries, robot))
        meaning = Meaning(then, now, head.clock, tolerance)
        began = asyncio.get_running_loop().time()
        async with captured(folder, keep), Actors(folder, play.users, now, speed) as actors:
            try:
                found = await actors.play(play, meaning, lambda at: passed(at - head.clock))
                await asyncio.sleep(0 if found else AFTER_S)
            finally:
                await actors.stop(robot)
        elapsed = asyncio.get_running_loop().time() - began
    found = found or meaning.rest(play, actors.calls, elapsed)
    return Played(taken, len(play.said), play.left_out, found)


def _robot(entries: list[AnyEntry], board: Board, wanted: str) -> str:
    """Whose part the board has."""
    robots = {
        heard.event.name
        for heard in (entry.event for entry in entries if isinstance(entry, Link))
        if isinstance(heard, api.Heard) and isinstance(heard.event, api.BoardChanged)
    } - {""}
    there = ", ".join(sorted(robots)) or "none"
    if wanted in robots:
        return wanted
    if wanted:
        raise RecordingError(f"--robot {wanted}: of robots there is in the recording: {there}")
    if len(robots) == 1:
        return robots.pop()
    if not board.is_real and (named := declared([board.program])) in robots:
        return named
    raise RecordingError(f"which robot is it? In the recording there is {there}; choose by --robot")


def _was_latched(entries: list[AnyEntry], robot: str) -> bool:
    """Whether it was stopped when the recording began."""
    for entry in entries:
        match entry:
            case Link(api.Heard(event=api.BoardChanged(name=name, state=state))) if name == robot:
                return state is api.BoardState.LATCHED
    return False


def _require_leave(board: Board, what: list[str]) -> None:
    if what:
        raise RecordingError(
            f"the board at {board.port} would be told: {', '.join(what)}. If that can hurt nobody and "
            "nothing, and somebody is at its switch: --yes"
        )
