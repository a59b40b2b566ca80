"""A board that lies, and one that never did what it acknowledged."""

from __future__ import annotations

from pathlib import Path

import pytest

from boardtalk.hil.board import EmulatedBoard

from .figures import note
from .rig import ROBOTS, Rig


@pytest.mark.timeout(90)
async def test_c05_a_command_that_a_board_acknowledges_and_ignores_is_unknown_and_others_do_not_suffer(
    tmp_path: Path,
) -> None:
    boards = {"liar": EmulatedBoard(ROBOTS / "liar"), "bot": EmulatedBoard(ROBOTS / "ledger")}
    async with Rig(tmp_path, boards) as rig:
        await rig.ready()
        async with rig.desk() as desk:
            desk.say("liar", "mark 1", "ignored", expiry=1)
            assert await desk.do("bot", "mark 1") == "done"
            assert await desk.end_of("ignored", 30) == "unknown"
            assert desk.states["ignored"] == ["accepted", "sent", "unknown"], "never done, never started"
            assert await desk.do("bot", "mark 2") == "done"
        assert not [each for each in rig.boards["liar"].outputs if "mark" in each.state]
    note("C5", "a board that acknowledges and does nothing", "`unknown`, after what the command may take")
