"""A board that lies: it acknowledges what it never does, or never says how it ended."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from boardtalk.hil.board import EmulatedBoard

from .figures import note
from .load import Echo
from .rig import ROBOTS, Desk, Rig

GRACE_S = 2.0
"""Promised: so long after its time, or after its limit if it has started, a command has an end."""
LIMIT_S = 2.0
"""Of `linger`."""
TTLS_S = (1, 2, 3)


async def ended(desk: Desk, body: str, states: list[str], **more: int) -> float:
    """Give the liar a command; the seconds until it had an end, that nobody knows."""
    began = time.monotonic()
    assert await desk.do("liar", body, body, **more) == "unknown"
    assert desk.states[body] == [*states, "unknown"], "never done"
    return time.monotonic() - began


@pytest.mark.contract
@pytest.mark.timeout(90)
async def test_c05_what_a_board_acknowledges_and_ignores_is_unknown_in_time_and_others_do_not_suffer(
    tmp_path: Path,
) -> None:
    boards = {"liar": EmulatedBoard(ROBOTS / "liar"), "bot": EmulatedBoard(ROBOTS / "ledger")}
    echo = Echo()
    async with echo.measured(), Rig(tmp_path, boards) as rig:
        await rig.ready()
        async with rig.desk() as desk:
            ignored = [
                await ended(desk, f"mark {ttl}", ["accepted", "sent"], expiry=ttl) - ttl for ttl in TTLS_S
            ]
            begun = [
                await ended(desk, f"linger {ttl}", ["accepted", "sent", "started"], expiry=ttl) - LIMIT_S
                for ttl in TTLS_S
            ]
            assert await desk.do("bot", "mark 2") == "done"
        told = [each.state["mark"] for each in rig.boards["liar"].outputs if "mark" in each.state]
        assert told == [*TTLS_S], "it began what it said to have begun, once each"
    for what, late in (("does nothing", ignored), ("begins and never ends", begun)):
        note("C5", f"a board that acknowledges and {what}", f"`unknown`, {max(late):.2f} s after its time")
        echo.judge(late, GRACE_S, what)
