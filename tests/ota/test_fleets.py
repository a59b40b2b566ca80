"""`boardtalk ota push` to many: real MicroPython boards in one group."""

from __future__ import annotations

import asyncio
import json
import re
import signal
from pathlib import Path
from typing import Any

import pytest

from boardtalk.sdk import ServiceError
from boardtalk.sdk.groups import members
from tests.flash.bench import audit

from .fleet import Fleet, fleet
from .rig import program

RAISE = "\n1 / 0\n"
A_THIRD = 60_000
"""Bytes of flash that are written or erased when a third of 30 kB has come: a cut so counted is not late."""
STAGES = ("--canary", "1", "--then", "1", "--then", "all")


async def events(lamps: Fleet, *words: str | Path, rc: int = 0) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (await lamps.ota(*words, "--json", rc=rc)).splitlines()]


def ends(told: list[dict[str, Any]]) -> dict[str, str]:
    return {each["robot"]: each["outcome"] for each in told if each["event"] == "ended"}


async def test_a_release_goes_to_a_group_in_stages_and_who_has_it_is_passed_over(tmp_path: Path) -> None:
    release = program(tmp_path / "new", "2", filler=3000)
    async with fleet(tmp_path, "one", "two", "three", absent="gone") as lamps:
        told = await events(lamps, "push", "crew", release, "--label", "two", "--dry-run", rc=1)
        assert ends(told) == {
            "one": "to be updated",
            "two": "to be updated",
            "three": "to be updated",
            "gone": "unreachable",
        }
        assert not lamps.label("one"), "nothing was begun"
        told = await events(lamps, "push", "one", release, "--label", "two")
        assert ends(told) == {"one": "updated"}
        told = await events(lamps, "push", "crew", release, "--label", "two", *STAGES, rc=1)
        stages = [each["robots"] for each in told if each["event"] == "stage"]
        assert stages == [["one"], ["two"], ["three"]], "who is not there is not counted"
        assert ends(told) == {"one": "has it", "two": "updated", "three": "updated", "gone": "unreachable"}
        [ended] = [each for each in told if each["event"] == "ended" and each["robot"] == "gone"]
        assert "offline" in ended["reason"]
        said = await lamps.ota("push", "one,two", release, "--label", "two")
        assert "has it" in said
        said = await lamps.ota("status", "crew", rc=1)
        assert "one runs two" in said
        assert "three runs two" in said
        assert "gone is offline" in said
        said = await lamps.ota("rollback", "one,two")
        assert "two: starts the release before" in said


async def test_the_first_unhealthy_robot_keeps_the_release_from_all_others(tmp_path: Path) -> None:
    async with fleet(tmp_path, "one", "two", "three") as lamps:
        bad = program(tmp_path / "bad", "2", more=RAISE)
        said = await lamps.ota("push", "crew", bad, "--label", "bad", *STAGES, rc=1)
        assert "one: rolled back: bad did not prove itself; the release before runs again" in said
        assert [
            line.split()[:3] for line in said.splitlines() if "not begun" in line and ":" not in line
        ] == [
            ["two", "not", "begun"],
            ["three", "not", "begun"],
        ]
        assert "the same command goes on" in said
        assert not lamps.label("two")
        assert not lamps.label("three")
        assert re.search(r"bad\+\w+ sha256 \w+: FAILED: .* did not prove itself", audit(lamps.state)[-1][3])
        good = program(tmp_path / "good", "3", filler=3000)
        told = await events(lamps, "push", "one,two,three", good, "--label", "good", "--jobs", "1")
        assert set(ends(told).values()) == {"updated"}


@pytest.mark.soak
async def test_ctrl_c_leaves_what_the_same_command_goes_on_with(tmp_path: Path) -> None:
    release = program(tmp_path / "new", "2", filler=3000)
    async with fleet(tmp_path, "one", "two") as lamps:
        push = await lamps.start("push", "crew", release, "--label", "new", "--canary", "1", "--json")
        assert push.stdout is not None
        async for line in push.stdout:
            if b"on trial" in line:
                push.send_signal(signal.SIGINT)
                break
        told = [json.loads(line) for line in (await push.communicate())[0].splitlines()]
        assert push.returncode == 130
        assert ends(told) == {"one": "on trial", "two": "not begun"}
        told = await events(lamps, "push", "crew", release, "--label", "new", "--canary", "1")
        assert ends(told) in (
            {"one": "updated", "two": "updated"},
            {"one": "has it", "two": "updated"},
        )
        assert lamps.label("one") == lamps.label("two") == "new"


@pytest.mark.soak
@pytest.mark.timeout(300)
async def test_a_power_cut_and_a_lost_robot_in_the_middle(tmp_path: Path) -> None:
    """The first is back soon, and gets the rest; the second does not come back."""
    release = program(tmp_path / "new", "2", filler=30_000)
    async with fleet(tmp_path, "one", "two", "three", baud=115_200) as lamps:
        words = ("push", "crew", release, "--label", "new", "--canary", "1", "--then", "1", "--then", "all")
        for name in ("one", "two"):
            lamps.boards[name].power_cut_after(A_THIRD)
        push = asyncio.create_task(lamps.ota(*words, rc=1, within=250))
        for name in ("one", "two"):
            cut = asyncio.create_task(lamps.boards[name].ended())
            await asyncio.wait({cut, push}, return_when=asyncio.FIRST_COMPLETED)
            assert cut.done(), push.result()
            if name == "one":
                await lamps.boards[name].power_on()
        said = await push
        assert "one: updated" in said
        assert "two: lost" in said
        assert "three: not begun" in said
        await lamps.boards["two"].power_on()
        await lamps.gateway.online("two", "alice")
        told = await events(lamps, *words)
        assert ends(told) == {"one": "has it", "two": "updated", "three": "updated"}
        [sent] = [each["sent"] for each in told if each["event"] == "ended" and each["robot"] == "two"]
        assert sent < 27_000, "it had the beginning"


async def test_what_makes_no_sense_is_refused_before_anything_begins(tmp_path: Path) -> None:
    release = program(tmp_path / "new", "2")
    async with fleet(tmp_path, "one") as lamps:
        assert "no board 'nobody', and no group" in await lamps.ota("push", "nobody", release, rc=2)
        assert "--then also `all`" in await lamps.ota("push", "crew", release, "--then", "some", rc=2)
        words = ("push", "crew", release, "--canary", "1", "--no-wait")
        assert "a stage waits for the proof" in await lamps.ota(*words, rc=2)
        assert "--jobs takes a number from 1 on" in await lamps.ota(
            "push", "one", release, "--jobs", "0", rc=2
        )
        assert await members(lamps.state, "crew") == ("alice", "one")
        assert await members(lamps.state, "nobody") == ()
    with pytest.raises(ServiceError, match="no gateway runs"):
        await asyncio.wait_for(members(tmp_path, "crew"), 5)
