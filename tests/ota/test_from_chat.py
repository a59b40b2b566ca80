"""`/ota`: a release from the gateway's folder onto a robot, stopped for it, and back."""

from __future__ import annotations

import re
from pathlib import Path

from boardtalk.hil.micropython.board import MicroPythonBoard
from boardtalk.hil.paced import PacedLine
from boardtalk.sdk import State
from tests.flash.talk import Town
from tests.ota.rig import HEAP, UID, flash, program


async def test_a_release_is_planned_confirmed_and_taken_back(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    program(tmp_path / "releases" / "lamps" / "2.0", "2", filler=20_000)
    robot = flash(tmp_path / "flash", state)
    line = PacedLine(115_200)
    async with MicroPythonBoard(robot, uid=UID, heap=HEAP, flash="littlefs", line=line) as board:
        town = Town(tmp_path, "", {"lamp": board.port}, programs="lamp: lamps")
        async with town, town.people("ana", "ben") as [ana, ben]:
            await ana.online("lamp")
            assert re.fullmatch(r"lamp runs 1\+\w{8}", (await ana.say("/ota lamp status"))[1])
            assert (await ana.say("/ota lamp rollback"))[0] is State.REJECTED

            told, confirm = await ana.plan("/ota lamp plan")
            assert "lamp: runs 1" in told
            assert "gets 2.0, " in told
            (tmp_path / "releases" / "lamps" / "2.0" / "part.py").write_text("VERSION = 'two'\n")
            assert "the plan is void" in (await ana.say(confirm))[1]

            _, confirm = await ana.plan("/ota lamp plan 2.0")
            name = ana.begin(confirm)
            await ana.sees(name, "lamp: transfer ")
            state_, said = await ben.say("forward 20", "lamp")
            assert state_ is State.REJECTED
            assert said.startswith("lamp is being updated by ana, ")
            heard = len(ben.events)
            ben.stop("lamp")
            await ben.until(lambda: any("confirmed" in str(each) for each in ben.events[heard:]), "a stop")
            state_, said = await ana.over(name)
            assert (state_, bool(re.search(r"lamp: done: 1\+\w+ → 2\.0\+", said))) == (State.DONE, True)
            assert (await ben.say("version", "lamp"))[1].endswith("two")
            assert (await ben.say("forward 20", "lamp"))[0] is State.REJECTED, "it stays stopped"

            told, confirm = await ana.plan("/ota lamp rollback")
            assert re.search(r"lamp: 2\.0\+\w+ → 1\+", told)
            state_, said = await ana.say(confirm)
            assert (state_, bool(re.search(r"lamp: done: 2\.0\+\w+ → 1\+", said))) == (State.DONE, True)
            await ana.online("lamp")
            assert (await ana.say("/ota lamp status"))[1].startswith("lamp runs 1")
