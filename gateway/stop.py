"""Stop: carried straight to the link process, before store and chain see anything of it.

Nothing that may be slow or broken stands on this path: no disk, no module, no broker beyond the one
that brought the word. The door is the link process's socket, the same for the gateway's front-ends
and for `boardtalk stop` in a process of its own.
"""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Final

import msgspec

from boardtalk.sdk import ServiceError
from boardtalk.sdk.channel import MAX_LINE_BYTES, Channel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ANSWER_TIMEOUT_S: Final = 2.0
"""Longest wait for the boards' own confirmation; the link process goes on repeating after that."""


class StopRequest(msgspec.Struct, tag_field="op", tag="stop"):
    """What goes to the link process."""

    boards: tuple[str, ...]
    """Empty, or with one that nobody knows: all."""
    by: str
    """Who stopped, for the audit."""
    re: int = 1
    """Number of this request; the answer carries it."""


class Stopped(msgspec.Struct, frozen=True):
    """How one board took it."""

    board: str
    confirmed: bool
    """The board said that its outputs are off."""
    ms: float
    """Milliseconds until it said so, or until the wait ended."""
    lent: str = ""
    """Who has its line, such as `boardtalk flash`, so that no program of ours hears it."""


class StopAnswer(msgspec.Struct, frozen=True, tag_field="ev", tag="stopped"):
    """What the link process answers."""

    stopped: tuple[Stopped, ...]


def door() -> socket.socket:
    """What a stop goes through. Whoever keeps one can stop when no descriptors are left.

    Raises:
        ServiceError: there are none.
    """
    try:
        return socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    except OSError as error:
        raise ServiceError(f"link.sock: {error.strerror}") from error


def begin(
    state: Path, boards: tuple[str, ...], by: str, through: socket.socket | None = None
) -> socket.socket:
    """Hand a stop to the link process before this returns; `answer` waits for the confirmations.

    It does not wait for its turn in an event loop that has much to do.

    Args:
        state: the state folder.
        boards: which ones; none, or one that nobody knows: all.
        by: who stops.
        through: a `door` that was kept for this; None: a new one.

    Raises:
        ServiceError: there is no link process on this state folder, or it takes nothing.
    """
    through = through or door()
    try:
        through.connect(str(state / "link.sock"))
        through.send(msgspec.json.encode(StopRequest(boards, by)) + b"\n")
    except OSError as error:
        through.close()
        raise ServiceError(
            f"no gateway runs on {state}; `boardtalk run` or `boardtalk demo` starts one "
            f"(link.sock: {error.strerror or error})"
        ) from error
    return through


async def answer(begun: socket.socket) -> tuple[Stopped, ...]:
    """The confirmations of a stop that was begun.

    Raises:
        ServiceError: the link process does not answer.
    """
    reader, writer = await asyncio.open_unix_connection(sock=begun, limit=MAX_LINE_BYTES)
    channel: Channel[StopAnswer] = Channel(reader, writer, StopAnswer)
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            answer = await channel.receive()
    except TimeoutError as error:
        raise ServiceError("link.sock: the link process does not answer") from error
    finally:
        channel.close()
    if answer is None:
        raise ServiceError("link.sock: the link process hung up")
    return answer.stopped


async def stop(state: Path, boards: tuple[str, ...], by: str) -> tuple[Stopped, ...]:
    """Stop these boards (all, if there are none) and wait for their confirmations.

    Raises:
        ServiceError: there is no link process on this state folder, or it does not answer.
    """
    return await answer(begin(state, boards, by))


def describe(stopped: tuple[Stopped, ...], sees: Callable[[str], bool] | None = None) -> str:
    """The result in words, for a person.

    Args:
        stopped: of each robot.
        sees: whether the person may know of a robot: of the others it is told how many. None: of all.
    """
    if not stopped:
        return "no robot is connected: nothing to stop"
    seen: list[Stopped] = []
    others: list[Stopped] = []
    for one in stopped:
        (seen if sees is None or sees(one.board) else others).append(one)
    return "; ".join((*map(_described, seen), *_counted(others, "and " if seen else "")))


def _counted(others: list[Stopped], link: str) -> Iterator[str]:
    if fine := [one for one in others if one.confirmed]:
        yield f"{link}{_number(fine)} stopped, confirmed in {max(one.ms for one in fine):.0f} ms"
    if bad := [one for one in others if not one.confirmed]:
        has = "HAS" if len(bad) == 1 else "HAVE"
        yield f"{link}{_number(bad)} {has} NOT CONFIRMED the stop: use the hardware stop"


def _number(others: list[Stopped]) -> str:
    return f"{len(others)} other{'s' if len(others) > 1 else ''}"


def _described(one: Stopped) -> str:
    if one.confirmed:
        return f"{one.board} stopped, confirmed in {one.ms:.0f} ms; `{one.board}: rearm` lets it move again"
    if one.lent:
        return (
            f"{one.board} CAN'T CONFIRM the stop: {one.lent} is at work on it, and no program of ours runs "
            "there. If anything moves, cut its power; when it is back it is stopped, until `rearm`"
        )
    return f"{one.board} HAS NOT CONFIRMED the stop: use the hardware stop"
