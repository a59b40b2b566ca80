"""The port of an emulated board, for whoever types on it: as on a real one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from boardtalk.hil.board import BoardError
from boardtalk.hil.micropython.board import MicroPythonBoard

from .typist import PROMPT, Typist

CTRL_A, CTRL_B, CTRL_C, CTRL_D = b"\x01", b"\x02", b"\x03", b"\x04"


async def test_boot_and_main_run_before_the_prompt_and_leave_their_names(tmp_path: Path) -> None:
    (tmp_path / "boot.py").write_text("print('boot')\nfirst = 1\n")
    (tmp_path / "main.py").write_text("print('main', first, __name__)\nsecond = 2\n")
    async with MicroPythonBoard(tmp_path) as board:
        with Typist(board.port) as typist:
            assert typist.until(PROMPT).startswith(b"boot\r\nmain 1 __main__\r\nMicroPython ")
            assert typist.says("first + second") == "3"


async def test_ctrl_d_is_a_soft_reset(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("import machine\nprint('cause', machine.reset_cause())\n")
    async with MicroPythonBoard(tmp_path) as board:
        with Typist(board.port) as typist:
            typist.until(b"cause 1\r\n")
            typist.until(PROMPT)
            typist.type(CTRL_D)
            assert typist.until(b">>> ").startswith(b"\r\nMPY: soft reboot\r\ncause 5\r\nMicroPython ")
            await board.reset()
            typist.until(b"cause 2\r\n")


async def test_a_soft_reset_of_the_raw_prompt_comes_back_to_it_without_main(tmp_path: Path) -> None:
    (tmp_path / "boot.py").write_text("print('boot')\n")
    (tmp_path / "main.py").write_text("print('main')\n")
    async with MicroPythonBoard(tmp_path) as board:
        with Typist(board.port) as typist:
            typist.until(PROMPT)
            typist.type(CTRL_A)
            typist.until(b"raw REPL; CTRL-B to exit\r\n>")
            typist.type(CTRL_D)
            assert typist.until(b"\n>") == b"OK\r\nMPY: soft reboot\r\nboot\r\nraw REPL; CTRL-B to exit\r\n>"
            typist.type(b"print(1)" + CTRL_D)
            assert typist.until(b"\x04>") == b"OK1\r\n\x04\x04>"
            typist.type(CTRL_B)
            typist.until(PROMPT)


@pytest.mark.parametrize(
    "line", ["while True: pass\r", "time.sleep(60)", "input()", "asyncio.run(asyncio.Event().wait())"]
)
async def test_ctrl_c_interrupts_whatever_runs(line: str) -> None:
    async with MicroPythonBoard() as board:
        with Typist(board.port) as typist:
            typist.says("import asyncio, time")
            typist.type(line.encode() + b"\r")
            typist.until(b"\r\n")
            time.sleep(0.05)
            typist.type(CTRL_C + CTRL_C)
            typist.until(b"KeyboardInterrupt")
            assert typist.says("1 + 1") == "2"


async def test_ctrl_c_at_the_prompt_begins_a_new_line() -> None:
    async with MicroPythonBoard() as board:
        with Typist(board.port) as typist:
            typist.until(PROMPT)
            typist.type(b"half a line" + CTRL_C)
            typist.until(PROMPT)
            assert typist.says("1 + 1") == "2"


async def test_ctrl_c_that_comes_while_it_starts_interrupts_main(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("while True:\n    pass\n")
    async with MicroPythonBoard(tmp_path) as board:
        with Typist(board.port) as typist:
            typist.type(CTRL_C)
            typist.until(b"KeyboardInterrupt")
            typist.until(PROMPT)


async def test_ctrl_c_is_a_byte_if_the_program_wants_that() -> None:
    async with MicroPythonBoard() as board:
        with Typist(board.port) as typist:
            typist.says("import micropython, sys")
            typist.type(b"micropython.kbd_intr(-1); sys.stdin.buffer.read(3)\r")
            typist.until(b"read(3)\r\n")
            typist.type(b"a" + CTRL_C + b"b")
            typist.until(b"b'a\\x03b'")
            assert typist.says("1 + 1") == "2"


async def test_what_is_typed_ahead_is_not_lost() -> None:
    async with MicroPythonBoard() as board:
        with Typist(board.port) as typist:
            typist.until(PROMPT)
            typist.type(b"import time\rtime.sleep(0.2)\rx = 42\rprint('it is', x)\r")
            typist.until(b"\r\nit is 42\r\n")


async def test_text_has_the_line_ends_of_a_board_and_bytes_stay_as_they_are() -> None:
    every = bytes(range(256))
    async with MicroPythonBoard() as board:
        with Typist(board.port) as typist:
            typist.says("import sys")
            assert typist.says("print('a\\nb\\r\\nc')") == "a\r\nb\r\nc"
            typist.type(b"_ = sys.stdout.buffer.write(bytes(range(256))); print('end')\r")
            typist.until(b"print('end')\r\n")
            assert typist.until(b"end\r\n") == every + b"end\r\n"


async def test_the_end_of_main_by_sys_exit_is_a_soft_reset(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(
        "import os, sys\nif 'once' not in os.listdir():\n    open('once', 'w').close()\n    sys.exit()\n"
    )
    async with MicroPythonBoard(tmp_path) as board:
        with Typist(board.port) as typist:
            typist.until(b"MPY: soft reboot\r\nMicroPython")


async def test_a_failing_main_shows_its_traceback_and_leaves_the_prompt(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("def fail():\n    1 / 0\n\nfail()\n")
    async with MicroPythonBoard(tmp_path) as board:
        with Typist(board.port) as typist:
            assert typist.until(b"MicroPython").startswith(
                b'Traceback (most recent call last):\r\n  File "main.py", line 4, in <module>\r\n'
                b'  File "main.py", line 2, in fail\r\nZeroDivisionError: divide by zero\r\n'
            )


async def test_the_limit_of_memory_is_real() -> None:
    async with MicroPythonBoard(heap="64k") as board:
        with Typist(board.port) as typist:
            typist.until(PROMPT)
            typist.says("import gc")
            assert 30_000 < int(typist.says("gc.mem_free()")) < 64 * 1024
            assert "MemoryError" in typist.says("bytearray(60_000)")
            assert typist.says("len(bytearray(20_000))") == "20000"


async def test_a_board_that_can_not_start_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("boardtalk.hil.micropython.board.START_S", 0.3)
    with pytest.raises(BoardError, match="heap a lot"):
        await MicroPythonBoard(heap="a lot").__aenter__()


async def test_programs_see_their_flash_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("import os\nprint(os.getcwd(), os.listdir(), os.listdir('/'))\n")
    async with MicroPythonBoard(tmp_path, flash="littlefs") as board:
        with Typist(board.port) as typist:
            shown = typist.until(b"\r\n")
    assert shown == b"/ ['boardtalk', 'main.py', 'umqtt'] ['boardtalk', 'main.py', 'umqtt']\r\n"


async def test_a_host_that_does_not_read_does_not_hold_up_the_board_for_long() -> None:
    async with MicroPythonBoard() as board:
        with Typist(board.port) as typist:
            typist.until(PROMPT)
            typist.type(b"from machine import Pin\r")
            typist.type(b"for _ in range(2000): print('x' * 40)\r\r\r")
            typist.type(b"_ = Pin(7, Pin.OUT, value=1)\r")
            await board.pins[7].until(1)


async def test_a_frozen_board_says_nothing_until_it_thaws() -> None:
    async with MicroPythonBoard() as board:
        with Typist(board.port) as typist:
            typist.until(PROMPT)
            board.freeze()
            typist.type(b"6 * 7\r")
            with pytest.raises(AssertionError, match="did not come"):
                typist.until(b"42", 0.2)
            board.thaw()
            typist.until(b"42")


async def test_nothing_is_left_of_it() -> None:
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    async with MicroPythonBoard() as board:
        folder = Path(board.port).parent
        pid = board.pid
    assert not folder.exists()
    assert not Path(f"/proc/{pid}").exists()
    assert len(list(Path("/proc/self/fd").iterdir())) == descriptors


KILLED = """
    import asyncio
    from boardtalk.hil.micropython.board import MicroPythonBoard

    async def main():
        async with MicroPythonBoard() as board:
            print(board.pid, board._program, flush=True)
            await asyncio.sleep(60)

    asyncio.run(main())
"""


@pytest.mark.parametrize("frozen", [False, True])
def test_it_dies_with_the_process_that_emulates_it(frozen: bool) -> None:
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(KILLED)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        supervisor, program = map(int, process.stdout.readline().split())
        if frozen:
            os.kill(program, signal.SIGSTOP)
        process.kill()
    deadline = time.monotonic() + 5
    while alive(supervisor, program) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not alive(supervisor, program)


def alive(*pids: int) -> list[int]:
    """Those that run; one that nobody has waited for does not."""
    return [pid for pid in pids if _command(pid)]


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
