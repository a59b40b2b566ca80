"""`boardtalk ota`: a real gateway, a link process, real MicroPython."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from boardtalk.hil.gateway import GatewayProcess
from boardtalk.hil.janitor import kill_link
from boardtalk.hil.micropython.board import MicroPythonBoard
from boardtalk.hil.paced import PacedLine
from boardtalk.modules.iot_bridge.service import api
from boardtalk.sdk.channel import Channel
from tests.flash.bench import audit

from .rig import CONF, HEAP, UID, Site, program, site

HANG = "\nwhile True:\n    pass\n"
RAISE = "\n1 / 0\n"


async def test_a_release_is_sent_tried_and_kept_and_can_be_taken_back(lamp: Site, tmp_path: Path) -> None:
    """Of the next one goes what has changed."""
    more = '\n@lamp.command("action", height=Arg(int, "cm", 1, 9))\ndef hover(height):\n    pass\n'
    release = program(tmp_path / "new", "2", more=more, filler=20_000)
    said = await lamp.ota("push", "lamp", release, "--label", "two")
    assert "lamp is stopped for the update" in said
    before, after = said.split("two runs on trial")
    assert "two changes what lamp can do:\n  + command hover" in before
    assert "+ command hover" in after
    assert "two runs and stays" in said
    assert await lamp.runs() == ("two", False)
    assert "lamp runs two" in await lamp.ota("status", "lamp")
    [board] = (await lamp.link(api.ListBoards(re=1))).boards
    assert board.firmware.endswith(", 2")
    assert board.state is api.BoardState.LATCHED, "it moves again only when somebody re-arms it"
    assert await sent_bytes(lamp, release, "3") < 3000, "the large file is taken from the slot that runs"
    await lamp.ota("rollback", "lamp")
    while (await lamp.runs())[0] != "two":
        await asyncio.sleep(0.1)
    [_, pushed, _, _, _, back] = [
        row[3] for row in audit(lamp.state) if row[2] == "lamp" and row[1] != "stop"
    ]
    assert re.fullmatch(rf"{UID} at \S+, two\+\w+ sha256 \w{{64}}: updated; runs two\+\w+", pushed)
    assert back == f"{UID} at {board.port}: done"


@pytest.mark.soak
async def test_a_release_that_fails_or_hangs_is_tried_three_times_and_taken_back(
    lamp: Site, tmp_path: Path
) -> None:
    for number, fault in enumerate((RAISE, HANG)):
        bad = program(tmp_path / f"{number}", "2", more=fault)
        said = await lamp.ota("push", "lamp", bad, "--label", "bad", rc=1)
        assert "bad did not prove itself; the release before runs again" in said
        assert await lamp.runs() == ("1", False)
    said = await lamp.ota("push", "lamp", program(tmp_path / "new", "3"), "--label", "good")
    assert "good runs and stays" in said


async def test_what_people_may_miss_is_told_before_anything_is_sent(tmp_path: Path) -> None:
    release = program(tmp_path / "new", "2")
    text = (release / "main.py").read_text()
    (release / "main.py").write_text(text.replace("1, 500", "1, 300").replace("def version", "def release"))
    async with site(tmp_path) as lamp:
        said = await lamp.ota("push", "lamp", release, "--label", "two", "--dry-run")
        assert [line for line in said.splitlines() if line.startswith("  ")] == [
            "  ~ command forward: distance max 500.0 → 300.0",
            "  + command release",
            "  - command version",
            "  who uses forward, version, in chats or programs, will find it gone or changed",
        ]
        assert "1+" in said.splitlines()[-1]
        assert await lamp.runs() == ("1", False)
        (release / "main.py").write_text("1 / 0\n" + text)
        assert "can't be tried without its robot" in await lamp.ota("push", "lamp", release, "--dry-run")


@pytest.mark.soak
async def test_a_release_that_does_not_reach_the_gateway_is_taken_back(lamp: Site, tmp_path: Path) -> None:
    deaf = program(tmp_path / "new", "2")
    (deaf / "main.py").write_text(
        "import time, slots\nwhile True:\n    slots.tick(False)\n    time.sleep(.05)\n"
    )
    said = await lamp.ota("push", "lamp", deaf, "--label", "deaf", "--no-wait")
    assert "on trial" in said
    for _ in range(3):  # nobody hears it, and nothing ends it but people
        await asyncio.sleep(1)
        await lamp.board.reset()
    assert await lamp.runs() == ("1", False)


@pytest.mark.parametrize("by", ["mqtt", pytest.param("tcp", marks=pytest.mark.soak)])
async def test_a_release_goes_by_any_way_that_leads_to_the_board(tmp_path: Path, by: str) -> None:
    release = program(tmp_path / "new", "2", filler=5000)
    async with site(tmp_path, by) as lamp:
        assert "two runs and stays" in await lamp.ota("push", "lamp", release, "--label", "two")
        [board] = (await lamp.link(api.ListBoards(re=1))).boards
        assert board.firmware.endswith(", 2")


async def test_a_board_is_made_one_that_can_be_updated_by_its_cable(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    async with (
        MicroPythonBoard(program(tmp_path / "robot", "1"), uid=UID, heap=HEAP, flash="littlefs") as board,
        GatewayProcess(state, CONF.format(port=board.port)) as gateway,
    ):
        await gateway.online("lamp", "alice")
        lamp = Site(board, gateway)
        said = await lamp.ota("push", "lamp", tmp_path / "robot", rc=1)
        assert "lamp does not know updates: `boardtalk ota install lamp FOLDER`" in said
        said = await lamp.ota("install", "lamp", tmp_path / "robot", "--label", "one")
        assert "lamp runs; from now on `boardtalk ota push` updates it" in said
        assert await lamp.runs() == ("one", False)
        assert (state / "secrets" / "ota.key").stat().st_mode & 0o077 == 0


async def sent_bytes(lamp: Site, release: Path, version: str) -> int:
    """How many bytes go to the board while it gets another release."""
    (release / "part.py").write_text(f"VERSION = {version!r}\n")
    channel: Channel[api.AnyAnswer] = await Channel.connect(lamp.state / api.SOCKET, api.AnyAnswer)
    channel.send(api.Tap(board="lamp"))
    count = 0

    async def listen() -> None:
        nonlocal count
        async for event in channel:
            if isinstance(event, api.Traffic) and event.down:
                count += len(event.data)

    listener = asyncio.create_task(listen())
    await lamp.ota("push", "lamp", release, "--label", version)
    listener.cancel()
    channel.close()
    return count


async def test_after_a_kill_of_anybody_it_goes_on_where_it_was(tmp_path: Path) -> None:
    release = program(tmp_path / "new", "2", filler=30_000)
    async with site(tmp_path, line=PacedLine(115_200)) as lamp:
        push = await lamp.start("push", "lamp", release, "--label", "two")
        await written(lamp, push, "b/filler.bin", 5000)
        push.kill()
        await push.communicate()
        push = await lamp.start("push", "lamp", release, "--label", "two")
        had = await written(lamp, push, "b/filler.bin", 12_000)
        kill_link(lamp.state)  # the gateway starts it again
        await written(lamp, push, "b/filler.bin", had + 4000)
        await lamp.gateway.kill()
        await lamp.gateway.start()
        said = (await asyncio.wait_for(push.communicate(), 60))[0].decode()
        print(said)
        assert push.returncode == 0, said
        assert "two runs and stays" in said
        assert lamp.board.files.read("b/filler.bin") == (release / "filler.bin").read_bytes()


async def test_stop_is_answered_while_a_release_comes_and_nothing_moves(tmp_path: Path) -> None:
    release = program(tmp_path / "new", "2", filler=30_000)
    async with site(tmp_path, line=PacedLine(115_200)) as lamp:
        push = await lamp.start("push", "lamp", release, "--label", "two", "--no-wait")
        await written(lamp, push, "b/filler.bin", 1)
        for _ in range(5):
            [stopped] = (await lamp.link(api.Stop(boards=("lamp",), by="a test", re=1))).stopped
            assert stopped.confirmed
            await asyncio.sleep(0.2)
        while await lamp.link(api.Rearm(board="lamp", by="a test", re=1)) != api.Done(re=1):
            pass  # on a busy machine the board agrees later than anybody waits
        said = (await asyncio.wait_for(push.communicate(), 60))[0].decode()
        assert push.returncode == 1, "who re-arms a robot wants it to move, not to be updated"
        assert "stop the robot first" in said
        assert await lamp.runs() == ("1", False)
        said = await lamp.ota("push", "lamp", release, "--label", "two")
        assert "two runs and stays" in said


async def written(lamp: Site, push: asyncio.subprocess.Process, name: str, size: int) -> int:
    """Wait until a file on the board has so many bytes; how many it has."""
    async with asyncio.timeout(20):
        while True:
            try:
                have = len(lamp.board.files.read(name))
            except OSError:
                have = 0
            if have >= size:
                return have
            assert push.returncode is None, (await push.communicate())[0].decode()
            await asyncio.sleep(0.1)
