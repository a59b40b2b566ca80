"""What people said to a robot, said again to a board: a program that does something else is found."""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import boardtalk.hil
from boardtalk.hil.board import EmulatedBoard
from boardtalk.hil.firmware import example
from boardtalk.hil.record.compare import divergence
from boardtalk.hil.record.entries import AnyEntry, Gateway, Link, encode, read
from boardtalk.hil.record.player import play
from boardtalk.modules.iot_bridge.service import api
from boardtalk.witness import Steered, TurnedAway
from tests.scenarios import rig
from tests.scenarios.people import Person

SIM = Path(boardtalk.hil.__file__).parent / "sim"
SET_POINTS = 4
SLOWLY = "forward 40 speed=5"
"""How far it comes until the stop depends on how busy this machine is: that shall not be far."""
WIDE = 0.75
"""A tolerance for that: four times as far, or a quarter of it."""


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A chat with the rover: commands, mistakes, a stop in mid-motion, live control."""
    folder = tmp_path_factory.mktemp("recording")
    path = folder / "rover.jsonl"
    with rig.Gateway(folder / "state") as gateway:
        token = gateway.token("alice")
        command = [*rig.PROGRAM, "record", str(path), "--state", str(gateway.state)]
        with subprocess.Popen(command, stderr=subprocess.PIPE, env=rig.environment(), text=True) as recorder:
            assert recorder.stderr is not None
            assert "Ctrl-C ends it" in recorder.stderr.readline()
            with Person(gateway, "alice", token) as alice:
                talk(alice)
                steer(alice)
            rig.until(lambda: '"state":"ended"' in path.read_text(), "the recorder has it all")
            recorder.send_signal(signal.SIGINT)
            assert recorder.wait(20) == 0
    return path


def talk(alice: Person) -> None:
    alice.do("forward 5")
    alice.do("fowrard 5")
    alice.do("forward 900")
    alice.do("battery")
    heard = len(alice.inbox)
    alice.say("rover: battery")  # without id
    alice.hears("8.2 V", heard)
    alice.say('{"what": "is this"}')
    alice.hears("not understood", heard)
    alice.begin(SLOWLY)
    time.sleep(0.5)
    alice.do("stop")
    time.sleep(0.2)  # it stands
    alice.do("rearm")
    alice.do("turn 20")


def steer(alice: Person) -> None:
    alice.subscribe("chat/alice/calls")
    alice.say({"op": "open", "to": "rover"}, topic="call")
    call = alice.wait(
        lambda: [each["call"] for each in calls(alice) if each["state"] == "answered"], "a call"
    )
    for _ in range(SET_POINTS):
        alice.say({"op": "set", "call": call[0], "values": "x=10 y=0"}, topic="call")
        time.sleep(0.1)
    alice.say({"op": "end", "call": call[0]}, topic="call")
    alice.wait(lambda: [each for each in calls(alice) if each["state"] == "ended"], "the end of the call")


def calls(person: Person) -> list[rig.Json]:
    return [each for each in person.statuses if "call" in each]


@pytest.fixture
def rover(tmp_path: Path) -> Path:
    """The program of the rover and of its simulated chassis, to be changed."""
    folder = tmp_path / "robot"
    shutil.copytree(example("rover"), folder)
    for file in (SIM / "rover" / "chassis.py", SIM / "world.py"):
        shutil.copy(file, folder)
    return folder


def change(program: Path, old: str, new: str) -> Path:
    main = program / "main.py"
    text = main.read_text()
    assert old in text
    main.write_text(text.replace(old, new, 1))
    return program


@pytest.fixture
async def port() -> AsyncIterator[str]:
    """A board that is not the replay's: for it, it is a real one."""
    async with EmulatedBoard("rover") as board:
        yield board.port


def replay(recording: Path, *more: str) -> rig.Result:
    return rig.boardtalk("replay", str(recording), "--speed", "4", "--tolerance", f"{WIDE}", *more)


def set_points(entries: list[AnyEntry]) -> list[bytes]:
    """Those with values, as the link process got them."""
    return [
        entry.event.request.values
        for entry in entries
        if isinstance(entry, Link)
        and isinstance(entry.event, api.Asked)
        and isinstance(entry.event.request, api.SetPoint)
        and entry.event.request.values
    ]


# Live control ----------------------------------------------------------------------------------------


def test_what_was_steered_is_steered_again_to_the_byte_and_what_was_turned_away_again(
    recording: Path,
) -> None:
    entries = [*read(recording)]
    seen = [entry.seen for entry in entries if isinstance(entry, Gateway)]
    assert sum(isinstance(each, Steered) for each in seen) == SET_POINTS
    assert sum(isinstance(each, TurnedAway) for each in seen) == 1
    now = play(entries)
    assert divergence(entries, now) is None
    assert set_points(now) == set_points(entries) != []
    assert [*map(encode, play(entries))] == [*map(encode, now)]


def test_another_set_point_is_told_in_words_and_bytes(recording: Path) -> None:
    entries = [*read(recording)]
    found = divergence(entries, play(map(_steered_more, entries)))
    assert "drive x 10 %, y 0 %" in str(found)
    assert "drive x 20 %, y 0 %" in str(found)


def _steered_more(entry: AnyEntry) -> AnyEntry:
    match entry:
        case Gateway(Steered(at, call, _)):
            return Gateway(Steered(at, call, "x=20 y=0"))
    return entry


# A board ---------------------------------------------------------------------------------------------


def test_the_same_program_does_the_same_on_an_emulated_board(recording: Path, tmp_path: Path) -> None:
    now = tmp_path / "now.jsonl"
    done = replay(recording, "--against", "emulated", "--write", str(now))
    assert done.code == 0, done.text
    assert "as recorded: 8 messages to the robot" in done.out
    assert set_points([*read(now)]) == set_points([*read(recording)])


@pytest.mark.parametrize(
    ("edit", "recorded", "now"),
    [
        pytest.param(
            (
                "return chassis.position()\n\n\n@rover.command",
                "x, y, heading = chassis.position()\n    return x + 30, y, heading\n\n\n@rover.command",
            ),
            "forward distance 5 cm, speed 50 %; done: x 5",
            "forward distance 5 cm, speed 50 %; done: x 35",
            id="another answer",
        ),
        pytest.param(
            ('distance=Arg(int, "cm", 1, 500)', 'distance=Arg(int, "cm", 1, 50)'),
            "rejected: distance: 900 cm is more than the limit of 500 cm",
            "rejected: distance: 900 cm is more than the limit of 50 cm",
            id="another range",
        ),
    ],
)
def test_what_a_changed_program_does_otherwise_is_told_in_words(
    recording: Path, rover: Path, edit: tuple[str, str], recorded: str, now: str
) -> None:
    changed = change(rover, *edit)
    done = replay(recording, "--against", "emulated", "--firmware", str(changed))
    assert done.code == 1, done.text
    where, then, later = (line.strip() for line in done.out.splitlines())
    assert "alice → rover: 'forward " in where
    assert then.startswith(f"recorded: {recorded}")
    assert later.startswith(f"now:      {now}")


async def test_a_real_board_moves_only_if_that_is_wanted(recording: Path, port: str) -> None:
    refused = await asyncio.to_thread(replay, recording, "--against", port)
    assert refused.code == 2
    assert f"{port} would be told: forward 5, {SLOWLY}, turn 20, a call of alice" in refused.err
    done = await asyncio.to_thread(replay, recording, "--against", port, "--yes")
    assert done.code == 0, done.text


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--against", "ttyACM0"), "--against ttyACM0: there are emulated, /dev/… (a port)"),
        (("--against", "emulated", "--firmware", "/missing"), "/missing: there is no main.py in it"),
        (("--against", "emulated", "--robot", "arm"), "of robots there is in the recording: rover"),
        (("--against", "/dev/ttyACM0", "--firmware", "/"), "/dev/ttyACM0 runs its own"),
        (("--yes",), "--yes go with --against"),
    ],
)
def test_what_can_not_be_played_is_refused_by_the_option(
    recording: Path, options: tuple[str, ...], reason: str
) -> None:
    done = rig.boardtalk("replay", str(recording), *options)
    assert done.code == 2
    assert reason in done.err


def test_a_command_less_is_told_too_and_by_a_test_that_the_command_makes(
    recording: Path, rover: Path, tmp_path: Path
) -> None:
    change(rover, "async def forward", "async def ahead")
    test = tmp_path / "test_rover.py"
    done = replay(recording, "--against", "emulated", "--firmware", str(rover), "--make-test", str(test))
    assert done.code == 1
    assert "now:      rejected: there is no command 'forward'" in done.out
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:hypothesispytest", str(test)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path)
    assert "1 failed" in ran.stdout, ran.stdout
    assert "rejected: there is no command 'forward'" in ran.stdout
