"""Into the boot loader out of a running program: with real MicroPython, and a port that is touched."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from boardtalk import boards
from boardtalk.flash import drives, loader, micropython
from boardtalk.hil.loaders.touch import touched
from boardtalk.hil.loaders.uf2 import Uf2Drive
from boardtalk.hil.loaders.wire import PtyWire
from boardtalk.hil.micropython.board import MicroPythonBoard
from boardtalk.hil.micropython.flash import FolderFlash
from boardtalk.hil.port import Port
from tests.flash.bench import Bench
from tests.flash.test_drives import uf2
from tests.hil.flashing import payload

PROGRAM = """\
import machine, time
def bootloader():
    open("/entered", "w").close()
machine.bootloader = bootloader
with open("/starts", "a") as file:
    file.write("x")
while True:
    time.sleep(0.01)
"""


async def programmed(folder: Path) -> Path:
    robot = folder / "robot"
    robot.mkdir()
    (robot / "main.py").write_text(PROGRAM)
    return robot


async def until(board: MicroPythonBoard, name: str, content: str) -> None:
    """Wait until the board has written a file."""
    assert isinstance(board.files, FolderFlash)
    path = board.files.folder / name
    async with asyncio.timeout(10):
        while not path.exists() or path.read_text() != content:
            await asyncio.sleep(0.02)


async def test_a_running_program_is_asked_to_enter_the_loader(tmp_path: Path) -> None:
    async with MicroPythonBoard(await programmed(tmp_path)) as board:
        await until(board, "starts", "x")
        await loader.enter("machine", board.port)
        await until(board, "entered", "")


async def test_micropython_says_its_version_and_its_program_runs_again(tmp_path: Path) -> None:
    definition = boards.definition("emulated-micropython").definition
    async with MicroPythonBoard(await programmed(tmp_path)) as board:
        await until(board, "starts", "x")
        told = await micropython.answers(board.port, definition, 10)
        assert told.startswith("MicroPython ")
        await until(board, "starts", "xx")


async def test_a_touched_port_gives_way_to_a_drive(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    image = bench.file(uf2(payload(50_000)), "firmware.uf2")
    mounts = bench.folder / "mounts"
    monkeypatch.setattr(drives, "MOUNTS", mounts)
    monkeypatch.setattr(drives, "APPEARS_S", 1.0)
    port = Port(bench.folder / "port")
    port.plug()
    async with Uf2Drive() as drive:
        drive.power_off()
        mounts.write_text("")

        async def board() -> None:
            await touched(str(port.path))
            port.unplug()
            drive.power_on()
            mounts.write_text(f"/dev/sdz1 {drive.folder} vfat rw 0 0\n")

        running = asyncio.create_task(board())
        told = await bench.do("write", str(port.path), image, "pico")
        assert told.end.ok, told.end
        await running
        assert bytes(drive.flash).startswith(payload(50_000))


async def test_without_a_drive_a_person_reads_what_to_do(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drives, "APPEARS_S", 0.2)
    async with PtyWire() as wire:
        told = await bench.do("probe", wire.port, None, "pico")
    assert told.end.reason.endswith("there is no drive RPI-RP2")
    assert told.end.cure == "hold BOOTSEL while you plug it in"


async def test_what_is_flashed_by_hand_says_how(bench: Bench) -> None:
    folder = bench.folder / "config/boardtalk/boards"
    folder.mkdir(parents=True)
    text = Path(boards.definition("pico").path).read_text().replace('protocol = "uf2"', 'protocol = "manual"')
    (folder / "by-hand.toml").write_text(text)
    told = await bench.do("probe", "/dev/null", None, "by-hand")
    assert told.end.reason.endswith("is flashed by hand")
    assert told.end.cure == "hold BOOTSEL while you plug it in"
