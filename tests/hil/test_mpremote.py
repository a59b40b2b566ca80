"""Unmodified mpremote takes an emulated board for a real one."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from boardtalk.hil.interpreter import SIM
from boardtalk.hil.line import FaultyLine
from boardtalk.hil.micropython.board import FlashKind, MicroPythonBoard
from tests.firmware.conftest import ROBOTS
from tests.firmware.peer import Peer

from .typist import Typist

BYTES = bytes(range(256))
"""Each of them, so that none gets lost or changed on the way."""


def mpremote(board: MicroPythonBoard, *words: str | Path, rc: int = 0) -> str:
    """What it prints. The test waits for it with all its event loop: the board must do without."""
    done = subprocess.run(
        [sys.executable, "-m", "mpremote", "connect", board.port, *words],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == rc, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(params=["folder", "littlefs"])
async def board(request: pytest.FixtureRequest) -> AsyncIterator[MicroPythonBoard]:
    async with MicroPythonBoard(flash=request.param) as board:
        yield board


@pytest.fixture
async def program(tmp_path: Path) -> AsyncIterator[MicroPythonBoard]:
    """A board whose main.py never ends."""
    (tmp_path / "main.py").write_text(
        "import machine\nprint('begun', machine.reset_cause())\ncount = 0\nwhile True:\n    count += 1\n"
    )
    async with MicroPythonBoard(tmp_path) as board:
        yield board


async def test_it_executes_code(board: MicroPythonBoard) -> None:
    assert mpremote(board, "exec", "import sys; print(sys.platform, 6 * 7)") == "rp2 42\n"


async def test_an_exception_is_an_error(board: MicroPythonBoard) -> None:
    mpremote(board, "exec", "1 / 0", rc=1)


async def test_it_runs_a_file_of_this_machine(board: MicroPythonBoard, tmp_path: Path) -> None:
    (tmp_path / "hello.py").write_text("print('hello')\n")
    assert mpremote(board, "run", tmp_path / "hello.py") == "hello\n"
    assert not board.files.names()


@pytest.mark.parametrize(("kind", "size"), [("folder", 20_000), ("littlefs", 20_000)])
async def test_files_are_copied_to_the_board_and_back(kind: FlashKind, size: int, tmp_path: Path) -> None:
    data = BYTES + os.urandom(size - len(BYTES))
    (tmp_path / "there").write_bytes(data)
    async with MicroPythonBoard(flash=kind) as board:
        mpremote(board, "fs", "cp", tmp_path / "there", ":data")
        assert board.files.read("data") == data
        mpremote(board, "fs", "cp", ":data", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == data


async def test_folders_and_files_come_and_go(board: MicroPythonBoard, tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "helper.py").write_text("answer = 42\n")
    mpremote(board, "fs", "mkdir", ":data", "+", "fs", "cp", "-r", tmp_path / "lib", ":")
    assert board.files.names() == ["lib/helper.py"]
    assert mpremote(board, "exec", "import helper; print(helper.answer)") == "42\n"
    listed = mpremote(board, "fs", "ls", ":").splitlines()[1:]
    assert sorted(line.split()[-1] for line in listed) == ["data/", "lib/"]
    mpremote(board, "fs", "rm", ":lib/helper.py", "+", "fs", "rmdir", ":lib", "+", "fs", "rmdir", ":data")
    assert mpremote(board, "fs", "ls", ":").splitlines()[1:] == []


async def test_a_folder_of_this_machine_is_mounted(board: MicroPythonBoard, tmp_path: Path) -> None:
    (tmp_path / "data.bin").write_bytes(BYTES * 10)
    code = "f = open('data.bin', 'rb'); open('copy.bin', 'wb').write(f.read())"
    mpremote(board, "mount", tmp_path, "exec", code)
    assert (tmp_path / "copy.bin").read_bytes() == BYTES * 10


async def test_it_interrupts_a_running_main(program: MicroPythonBoard) -> None:
    assert mpremote(program, "resume", "exec", "print(count > 0)") == "True\n"


async def test_a_soft_reset_forgets_all_names_and_a_resume_does_not(board: MicroPythonBoard) -> None:
    mpremote(board, "exec", "kept = 1")
    assert mpremote(board, "resume", "exec", "print(kept)") == "1\n"
    mpremote(board, "soft-reset")
    mpremote(board, "resume", "exec", "print(kept)", rc=1)


async def test_a_reset_runs_main_again(program: MicroPythonBoard) -> None:
    mpremote(program, "fs", "cp", "/dev/null", ":stay", "+", "reset")
    with Typist(program.port) as typist:
        typist.until(b"begun 2")


async def test_our_client_shares_its_port() -> None:
    async with MicroPythonBoard("rover", uid="c0ffee") as board:
        async with Peer(board.port) as peer:
            before = await peer.hello()
            await peer.learn()
            there = await peer.do("forward", distance=5)
            assert 4 < there["x"] < 6
        assert "main.py" in mpremote(board, "fs", "ls", ":")
        with Typist(board.port) as typist:
            typist.type(b"\x04")
            typist.until(b"soft reboot\r\n")
        async with Peer(board.port) as peer:
            after = await peer.hello()
            await peer.learn()
            await peer.do("position")
        assert (before.uid, after.uid) == ("c0ffee", "c0ffee")
        assert before.boot != after.boot
        mpremote(board, "reset")
        async with Peer(board.port) as peer:
            assert (await peer.hello()).boot not in {before.boot, after.boot}


async def test_ctrl_c_within_a_frame_is_data_and_outside_of_one_it_interrupts(tmp_path: Path) -> None:
    for source in (ROBOTS / "bench" / "main.py", SIM / "world.py"):
        (tmp_path / source.name).write_bytes(source.read_bytes())
    async with MicroPythonBoard(tmp_path) as board:
        async with Peer(board.port) as peer:
            await peer.learn()
            word = "\x03" * 40
            echoed = await peer.do("echo", number=3, ratio=0, yes=True, word=word, pick="red")
            assert echoed["word"] == word
            peer.hush()
        with Typist(board.port) as typist:
            typist.type(b"\x03")
            typist.until(b">>> ")
        await board.until(stopped=True)


async def test_a_line_with_faults_may_be_between() -> None:
    async with MicroPythonBoard("rover", line=FaultyLine(1, split=True)) as board:
        async with Peer(board.port) as peer:
            before = await peer.hello()
        await board.unplug()
        await board.replug()
        async with Peer(board.port) as peer:
            assert (await peer.hello()).boot == before.boot
        listed = await asyncio.to_thread(mpremote, board, "fs", "ls", ":")  # the line is ours to carry
        assert "main.py" in listed
