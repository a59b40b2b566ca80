"""`/ota`: a release from the gateway's folder onto a robot, stopped for it, and back."""

from __future__ import annotations

import json
import re
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from boardtalk.hil.micropython.board import MicroPythonBoard
from boardtalk.hil.paced import PacedLine
from boardtalk.sdk import State
from tests.flash.bench import audit
from tests.flash.talk import PATIENCE_S, Town
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


@pytest.mark.soak
async def test_an_update_is_cancelled_and_goes_on_later(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    program(tmp_path / "releases" / "lamps" / "2.0", "2", filler=40_000)
    robot, line = flash(tmp_path / "flash", state), PacedLine(115_200)
    async with MicroPythonBoard(robot, uid=UID, heap=HEAP, flash="littlefs", line=line) as board:
        town = Town(tmp_path, "", {"lamp": board.port}, programs="lamp: lamps")
        async with town, town.people("ana") as [ana]:
            await ana.online("lamp")
            _, confirm = await ana.plan("/ota lamp plan")
            name = ana.begin(confirm)
            await ana.sees(name, "lamp: transfer ")
            assert (await ana.say("/ota lamp cancel"))[0] is State.DONE
            state_, told = await ana.over(name)
            assert (state_, "lamp: cancelled: " in told) == (State.CANCELLED, True), told
            assert re.fullmatch(r"lamp runs 1\+\w{8}", (await ana.say("/ota lamp status"))[1])
            _, confirm = await ana.plan("/ota lamp plan")
            state_, told = await ana.over(ana.begin(confirm))
            assert (state_, "lamp: done: 1+" in told) == (State.DONE, True), told


async def test_a_group_is_updated_with_one_code_by_a_person_at_an_mqtt_client(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    program(tmp_path / "releases" / "lamps" / "2.0", "2")
    uids = {f"lamp{number}": f"{number:016x}" for number in range(2)}
    async with AsyncExitStack() as stack:
        ports = {}
        for name, uid in uids.items():
            board = MicroPythonBoard(flash(tmp_path / name, state, uid), uid=uid, heap=HEAP, flash="littlefs")
            ports[name] = (await stack.enter_async_context(board)).port
        group = f"group lamps {{\n    members = ana, {', '.join(ports)}\n}}\n"
        programs = ", ".join(f"{name}: lamps" for name in ports)
        town = await stack.enter_async_context(Town(tmp_path, group, ports, programs=programs))
        [ben] = await stack.enter_async_context(town.people("ben"))
        for name in ports:
            await ben.online(name)
        ana = await stack.enter_async_context(town.by_mqtt("ana"))
        await ana.says("chat/ana/out", "/ota lamps plan")
        told = json.loads(bytes((await ana.hears(" confirm ", "/in", PATIENCE_S)).payload))
        [confirm] = [line.strip() for line in told["body"].splitlines() if " confirm " in line]
        await ana.says("chat/ana/out", json.dumps({"to": "gateway", "body": confirm, "id": "go"}))
        end = json.loads(bytes((await ana.hears("2 of 2 done", "/in", PATIENCE_S)).payload))
        assert (end["from"], end["state"]) == ("flash", "done")
        assert len(re.findall(r"lamp\d: done: 1\+\w+ → 2\.0\+", end["body"])) == 2
        shown = [json.loads(text) for text in ana.texts if b"0 of 2 done" in text]
        assert shown[0]["refid"] == "go"
        assert {end["refid"], *(each["refid"] for each in shown[1:])} == {shown[0]["id"]}, "one message"
        await ben.say("help", "lamp0")  # until it is accepted, all that came before is written
        outcomes = [row[3] for row in audit(state) if row[:2] == ("ana", "/ota push")]
        assert sum(": done: 1+" in each for each in outcomes) == 2
