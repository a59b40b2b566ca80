"""What has no way back asks first: which board, and what is lost."""

from __future__ import annotations

import asyncio
import os
import pty
import sys
from pathlib import Path

import pytest

from boardtalk.hil.loaders.esp import EspBoard
from tests.flash.bench import C3, Bench

BEFORE = b"precious" * 100


async def at_a_terminal(answer: str, *words: str | Path) -> tuple[int, str]:
    """Run a command where a person sits, who answers once; the exit code, and what was said."""
    ours, theirs = pty.openpty()
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "boardtalk", "flash", *map(str, words)),
            stdin=theirs,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        os.write(ours, answer.encode())
        said = (await process.communicate())[0].decode()
    finally:
        os.close(ours)
        os.close(theirs)
    assert process.returncode is not None
    return process.returncode, said


@pytest.mark.parametrize("answer", ["\n", "n\n", "\4"])
async def test_no_is_no(bench: Bench, answer: str) -> None:
    async with EspBoard("esp32c3", content=BEFORE) as board:
        rc, said = await at_a_terminal(answer, "erase", "--port", board.port, "--board", C3)
        assert rc == 1, said
        assert f"{board.port}, emulated ESP32-C3: firmware, programs and files on it are lost" in said
        assert "erase? [y/N]" in said
        assert "nothing was done" in said
        assert bytes(board.flash).startswith(BEFORE)


async def test_yes_at_the_terminal_and_as_an_option(bench: Bench) -> None:
    async with EspBoard("esp32c3", content=BEFORE) as board:
        words = ("erase", "--port", board.port, "--board", C3, "--state", bench.state)
        rc, said = await at_a_terminal("y\n", *words)
        assert rc == 0, said
        assert bytes(board.flash) == b"\xff" * len(board.flash)
    async with EspBoard("esp32c3", content=BEFORE) as board:
        rc, said = await at_a_terminal("", "erase", "--yes", *words[1:2], board.port, *words[3:])
        assert rc == 0, said
        assert "[y/N]" not in said
        assert bytes(board.flash) == b"\xff" * len(board.flash)


async def test_where_nobody_can_be_asked_nothing_is_done(bench: Bench) -> None:
    file = bench.folder / "backup.bin"
    file.write_bytes(bytes(1000))
    async with EspBoard("esp32c3", content=BEFORE) as board:
        where = ("--port", board.port, "--board", C3, "--state", str(bench.state))
        for words in (
            ("erase", *where),
            ("restore", str(file), *where),
            ("write", "--erase", "--image", str(bench.image(20_000)), *where),
        ):
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "boardtalk", "flash", *words),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
            said = (await process.communicate())[0].decode()
            assert process.returncode == 2, said
            assert "nobody can be asked here: --yes says that it is meant" in said
        assert board.events.named("sync") == []
