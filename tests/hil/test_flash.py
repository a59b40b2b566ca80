"""The flash of an emulated board: a real LittleFS, whose power may fail at any byte."""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path

import pytest

from boardtalk.hil.board import BoardError
from boardtalk.hil.micropython.board import FlashKind, MicroPythonBoard
from boardtalk.hil.micropython.flash import SIZE

from .typist import PROMPT, Typist

OLD, NEW = b"old settings " * 40, b"new settings " * 300
SEED = int(os.environ.get("BOARDTALK_SEED", "1"))
CUTS = 12
WRITE = "f = open('settings', 'wb'); f.write(b'new settings ' * 300); f.close(); print('kept')"


@pytest.mark.parametrize("kind", ["folder", "littlefs"])
async def test_files_are_put_there_and_read_back(kind: FlashKind, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("import helper\n")
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "helper.py").write_text("print('helped')\n")
    async with MicroPythonBoard(tmp_path, flash=kind) as board:
        with Typist(board.port) as typist:
            typist.until(b"helped")
            typist.until(PROMPT)
            typist.says("f = open('made', 'w'); f.write('on the board'); f.close()")
        assert {"main.py", "lib/helper.py", "made"} <= set(board.files.names())
        assert board.files.read("made") == b"on the board"
        await board.power_cut()
        board.files.write("main.py", b"print('replaced')\n")
        await board.power_on()
        with Typist(board.port) as typist:
            typist.until(b"replaced")
    assert (tmp_path / "main.py").read_text() == "import helper\n", "the board has copies"


async def test_an_image_is_not_written_under_a_running_board() -> None:
    async with MicroPythonBoard(flash="littlefs") as board:
        with pytest.raises(BoardError, match="power_cut"):
            board.files.write("main.py", b"")


async def test_a_folder_does_not_tear() -> None:
    async with MicroPythonBoard() as board:
        with pytest.raises(BoardError, match="littlefs"):
            board.power_cut_after(1)


async def test_a_forgotten_file_is_closed_when_garbage_is_collected() -> None:
    async with MicroPythonBoard(flash="littlefs") as board:
        with Typist(board.port) as typist:
            typist.until(PROMPT)
            typist.says("import gc; open('forgotten', 'w').write('kept'); _ = None; gc.collect()")
            assert typist.says("open('forgotten').read()") == "'kept'"


async def test_a_full_flash_is_an_error_and_the_rest_stays() -> None:
    async with MicroPythonBoard(flash="littlefs") as board:
        with Typist(board.port) as typist:
            typist.until(PROMPT)
            typist.says("f = open('kept', 'w'); f.write('kept'); f.close()")
            typist.says("f = open('big', 'wb')")
            typist.type(b"for _ in range(%d): f.write(bytes(4096))\r\r\r" % (SIZE // 4096))
            typist.until(b"OSError: 28")
            assert typist.says("open('kept').read()") == "'kept'"


async def written(board: MicroPythonBoard, after: int | None) -> bool:
    """Write new settings and cut the power on the way. Returns whether the board said that it has them."""
    with Typist(board.port) as typist:
        typist.until(PROMPT)
        if after is not None:
            board.power_cut_after(after)
        typist.type(WRITE.encode() + b"\r")
        typist.until(b"print('kept')\r\n")
        if after is None:
            typist.until(b"kept\r\n")
            return True
        async with asyncio.timeout(5):
            await board.ended()
        with pytest.raises(AssertionError):
            typist.until(b"kept\r\n", 0.01)
        return False


async def test_whenever_the_power_fails_a_file_is_the_old_one_or_the_new_one() -> None:
    chance = random.Random(SEED)
    print(f"seed {SEED}")
    async with MicroPythonBoard(flash="littlefs") as board:
        await board.power_cut()
        board.files.write("settings", OLD)
        board.files.write("other", b"untouched")
        image = board.files.volume.read_bytes()
        await board.power_on()
        before = board.flash_written
        await written(board, None)
        total = board.flash_written - before
        assert total > len(NEW)
        seen = set()
        for after in [0, 1, total - 1, *(chance.randrange(total) for _ in range(CUTS))]:
            await board.power_cut()
            board.files.volume.write_bytes(image)
            await board.power_on()
            before = board.flash_written
            await written(board, after)
            assert board.flash_written - before == after
            await board.power_on()
            with Typist(board.port) as typist:
                typist.until(PROMPT)
                assert typist.says("open('other').read()") == "'untouched'"
                found = typist.says("s = open('settings', 'rb').read(); len(s)")
            content = board.files.read("settings")
            assert content in (OLD, NEW), after
            assert found == str(len(content))
            seen.add(content)
        assert seen == {OLD, NEW}
