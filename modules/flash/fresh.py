"""Boards that have no address yet: which ports can be named, and as which kind of board. Pure."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from boardtalk.sdk import Code, Refused

if TYPE_CHECKING:
    from collections.abc import Iterable

    from boardtalk.modules.flash.workers import Device, Row

ANY: Final = ""
"""The address of what has none: only a right for all robots is one for it."""
MAX_SHOWN: Final = 60
WAITING: Final = "waiting"
"""The state of a board that runs the client, and lacks an address only."""


def device(port: str, plugged: Iterable[Device], known: Iterable[Row]) -> Device:
    """What is at a port that is plugged in and where no board of ours is.

    Args:
        port: as it was said.
        plugged: all that is plugged in: nothing else can be named.
        known: the boards that the link process knows.

    Raises:
        Refused: there is no such port, or it is somebody's.
    """
    found = next((each for each in plugged if each.port == port), None)
    if found is None:
        raise Refused(Code.BAD_ADDRESS, f"nothing is plugged in at {port[:MAX_SHOWN]} that could be a board")
    for row in known:
        if not row.port.startswith("/") or os.path.realpath(row.port) != os.path.realpath(port):
            continue
        if row.address:
            raise Refused(Code.DENIED, f"{port} is the port of a robot: it is flashed by its address")
        if row.state == WAITING:
            raise Refused(
                Code.DENIED, f"the board at {port} runs the client already: `/adopt {row.uid} NAME`"
            )
    return found


def kind(name: str, there: Device, allowed: Iterable[str]) -> str:
    """Which kind of board it is taken for.

    Args:
        name: what was said, ``KIND/IMAGE``; without a kind it is the only one that it can be.
        there: what is plugged in.
        allowed: what may be taken for new boards.

    Raises:
        Refused: it may be none of these, or it has to be said which.
    """
    said, slash, _ = name.rpartition("/")
    may_be = [each for each in allowed if each in there.boards]
    if slash and said in may_be:
        return said
    ids = f"what is plugged in at {there.port} ({there.usb or there.name})"
    if not may_be or slash:
        cure = "`new = …` in `module flash` allows kinds of boards, whose definitions know their USB ids"
        what = f"is no {said[:MAX_SHOWN]} that may be flashed" if slash else "is no kind that may be flashed"
        raise Refused(Code.DENIED, f"{ids} {what} from here; {cure}")
    if len(may_be) > 1:
        raise Refused(Code.FAILED, f"which kind is it? Say KIND/IMAGE, with one of {', '.join(may_be)}")
    return may_be[0]
