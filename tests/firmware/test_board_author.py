"""The board author's document does what it says, and so does the chassis for real hardware."""

from __future__ import annotations

import ast
import asyncio
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from boardtalk.hil.board import EmulatedBoard
from boardtalk.hil.interpreter import SIM, find_interpreter
from boardtalk.modules.iot_bridge.dictionary import parse
from boardtalk.modules.iot_bridge.frames import Outcome, Type

from .peer import Peer

ROOT = Path(__file__).parents[2]
ROVER = ROOT / "firmware" / "examples" / "rover"
HARDWARE = Path(__file__).parent / "hardware" / "machine.py"


def fenced(document: str) -> list[tuple[str, str]]:
    """Blocks of a document, each with what stands behind its opening fence."""
    text = (ROOT / "docs" / document).read_text()
    return re.findall(r"^```([^\n]*)\n(.*?)^```$", text, re.M | re.S)


BLOCKS = fenced("board-author.md")


def blocks(kind: str) -> list[str]:
    return [text for name, text in BLOCKS if name == kind]


def robot(folder: Path, program: str) -> Path:
    (folder / "main.py").write_text(program)
    (folder / "machine.py").write_text(HARDWARE.read_text())
    return folder


def test_no_block_is_left_out() -> None:
    assert {name for name, _ in BLOCKS} == {
        "console",
        "python",
        "python uart",
        "python watchdog",
        "python pc",
        "python pins",
        "json",
    }


async def test_the_program_in_parts_is_one_that_works(tmp_path: Path) -> None:
    program = robot(tmp_path, "\n".join(blocks("python")))
    async with EmulatedBoard(program) as board, Peer(board.port) as peer:
        dictionary = await peer.learn()
        assert {command.name for command in dictionary.commands} == {
            "shine", "turn", "warm", "brightness", "motor_state",
        }  # fmt: skip
        await peer.do("shine", brightness=50)
        assert await peer.do("brightness") == {"brightness": 49}
        assert (await peer.do("turn", seconds=0.1, side="left"))["turned"] == pytest.approx(0.1)
        warming = peer.command("warm", minutes=60, lease_ms=200)
        assert await peer.result(warming) == (Outcome.FAILED, b"the lease ran out")
        assert await peer.do("brightness") == {"brightness": 0}
        turning = peer.command("turn", seconds=4, side="right")
        await peer.started(turning)
        async with asyncio.timeout(3):  # "started" is said before its first line runs
            while await peer.do("motor_state") == {"on": False}:
                pass
        peer.stop(1)
        assert await peer.result(turning) == (Outcome.CANCELLED, b"stopped")
        assert await peer.do("motor_state", epoch=1) == {"on": False}
        assert await peer.refused("shine", epoch=1, brightness=1) == "stopped: rearm first"
        assert dictionary.events[0].name == "tilted"
        assert dictionary.controls[0].lease == 500


async def test_the_program_on_a_uart_answers(tmp_path: Path) -> None:
    async with EmulatedBoard(robot(tmp_path, *blocks("python uart"))) as board, Peer(board.port) as peer:
        assert (await peer.hello()).name == "lamp"
        peer.stop(1)
        await peer.frame(Type.STOPPED)


async def test_the_watchdog_is_fed(tmp_path: Path) -> None:
    async with EmulatedBoard(robot(tmp_path, *blocks("python watchdog"))) as board, Peer(board.port) as peer:
        await peer.hello()
        await peer.text("fed")


async def test_the_program_for_the_pc_runs_a_board(tmp_path: Path) -> None:
    (tmp_path / "robot").mkdir()
    robot(tmp_path / "robot", *blocks("python watchdog"))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", *blocks("python pc"), cwd=tmp_path, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    assert out.startswith(b"plugged in at ")


async def test_the_program_that_looks_at_pins_sees_them(tmp_path: Path) -> None:
    (tmp_path / "robot").mkdir()
    (tmp_path / "robot" / "main.py").write_text(
        "from machine import ADC, PWM, Pin\n"
        "button = Pin(4, Pin.IN, Pin.PULL_UP)\n"
        "while button() or ADC(26).read_u16() != 52000: pass\n"
        "PWM(Pin(15), freq=50, duty_u16=4321)\n"
        "Pin(25, Pin.OUT, value=1)\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", *blocks("python pins"), cwd=tmp_path, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    assert out.splitlines()[1].startswith(b"4321 [Change(")


def test_the_commands_are_real(tmp_path: Path) -> None:
    lines = [line.removeprefix("$ ") for text in blocks("console") for line in text.splitlines()]
    assert lines
    for line in lines:
        words = shlex.split(line)
        local = [word for word in words if word.startswith("firmware/")]
        assert all((ROOT / word).exists() for word in local), line
        if words[0] == "python":
            done = subprocess.run(
                [sys.executable, *words[1:-1], ROOT / words[-1]], cwd=tmp_path, check=False, timeout=30
            )
            assert done.returncode == 0, line
        elif words[0] == "mpremote":
            assert words[1:3] == ["fs", "cp"] or words[1:] == ["reset"], line
        else:
            assert words == ["boardtalk", "demo"] or words[1:3] == ["boards", "credentials"], line


def test_the_protocols_dictionary_is_one() -> None:
    [text] = [text for name, text in fenced("protocol.md") if name == "json"]
    assert [command.name for command in parse(text.encode()).commands] == ["forward"]


def interface(path: Path) -> dict[str, list[str]]:
    """Public names of a piece of hardware: constants, and methods with their parameters."""
    body = ast.parse(path.read_text()).body
    names: dict[str, list[str]] = {
        target.id: []
        for node in body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    hardware = next(
        node for node in body if isinstance(node, ast.ClassDef) and node.name == path.stem.capitalize()
    )
    names |= {
        node.name: [argument.arg for argument in node.args.args]
        for node in hardware.body
        if isinstance(node, ast.FunctionDef)
    }
    return {name: what for name, what in names.items() if not name.startswith("_")}


@pytest.mark.parametrize("path", ["rover/chassis.py", "arm/joints.py", "station/sensor.py"])
def test_simulated_hardware_is_used_like_the_real_one(path: str) -> None:
    assert interface(SIM / path).items() <= interface(ROVER.parent / path).items()


CHASSIS = """
from machine import pins
from chassis import *

def pulses(wheel, count):
    for _ in range(count):
        pins[wheel[2]].handler(None)

rover = Chassis()
rover.drive(100, 50.5)
assert (pins[LEFT[0]].duty, pins[LEFT[1]].duty) == (65535, 0)
assert pins[RIGHT[0]].duty == 33095
pulses(LEFT, 200)
pulses(RIGHT, 200)
assert rover.position() == (10.0, 0.0, 0.0), rover.position()
rover.drive(-40, 40)
assert (pins[LEFT[0]].duty, pins[LEFT[1]].duty) == (0, 26214)
pulses(LEFT, 10)
pulses(RIGHT, 10)
assert rover.position()[2] > 0
assert round(rover.odometer(), 2) == 10.5
rover.stop()
assert [pins[pin].duty for wheel in (LEFT, RIGHT) for pin in wheel[:2]] == [65535] * 4
rover.horn(True)
assert pins[HORN].level
assert 7 < rover.battery() < 8.4
assert not rover.bumper()
pins[BUMPER].level = 0
assert rover.bumper()
"""


@pytest.mark.parametrize("platform", ["rp2", "esp32"])
def test_the_real_chassis_moves_its_pins(platform: str, tmp_path: Path) -> None:
    source = (ROVER / "chassis.py").read_text()
    robot(tmp_path, CHASSIS)
    (tmp_path / "chassis.py").write_text(source.replace("[sys.platform]", f'["{platform}"]'))
    done = subprocess.run(
        find_interpreter(tmp_path, "64k", fallback=False).command,
        cwd=tmp_path,
        env={**os.environ, "MICROPYPATH": ".frozen"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Error" not in done.stdout + done.stderr
