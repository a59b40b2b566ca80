"""Runs of pytest with the plugin, as somebody else's project has them, and what is left after them."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from boardtalk import hil
from boardtalk.hil.board import EmulatedBoard
from boardtalk.hil.plugin import kinds
from boardtalk.hil.plugin.story import Story
from boardtalk.hil.qemu import microbit, tiny
from boardtalk.modules.iot_bridge.sniff import sources
from boardtalk.modules.iot_bridge.sniff.decoder import Decoder
from tests.iot_bridge.servers import Rfc2217Server, tcp_server
from tests.scenarios.rig import environment, processes, until

OUR_OWN = ("-p", "no:cacheprovider", "-p", "no:asyncio", "-p", "no:hypothesispytest")
LAMP = Path(hil.__file__).parent / "examples" / "lamp" / "robot"
ROBOTS = Path(__file__).parents[1] / "firmware" / "robots"
EXAMPLES = Path(__file__).parents[2] / "firmware" / "examples"
pytestmark = pytest.mark.timeout(120)


class Project:
    """A folder with tests, and a place for temporary files that nobody else uses."""

    def __init__(self, folder: Path, temporary: Path) -> None:
        self.folder = folder
        self.temporary = temporary

    def write(self, code: str, name: str = "test_it.py") -> None:
        (self.folder / name).write_text(textwrap.dedent(code))

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "pytest", "-q", "-rs", *OUR_OWN, *arguments]

    @property
    def environment(self) -> dict[str, str]:
        return {**environment(self.temporary), "TMPDIR": str(self.temporary)}

    def run(self, *arguments: str) -> str:
        """Run pytest without other plugins for async tests; what it printed."""
        return self.pytest("-q", "-rs", *OUR_OWN, *arguments)

    def pytest(self, *arguments: str) -> str:
        """Run pytest; what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        return done.stdout + done.stderr

    def is_clean(self) -> bool:
        """Whether nothing of ours is left: processes, their ports with them, and files."""
        return not processes(self.temporary) and not [*self.temporary.glob("boardtalk-*")]


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    with tempfile.TemporaryDirectory() as temporary:  # short: it has sockets in it
        yield Project(tmp_path, Path(temporary))


@pytest.fixture
async def port() -> AsyncIterator[str]:
    """A board that is not the plugin's: for it, it is a real one."""
    async with EmulatedBoard("rover") as board:
        yield board.port


async def in_a_thread(work: Callable[..., str], *arguments: str) -> str:
    return await asyncio.to_thread(work, *arguments)


ROVER = """
    import pytest

    def test_battery(chat):
        assert "V" in chat.send("rover", "battery").text

    def test_stop(chat):
        motion = chat.begin("rover", "forward 300")
        chat.stop()
        assert motion.end().state == "cancelled"

    def test_a_new_start(chat):
        assert chat.send("rover", "forward 5").state == "done"
"""
LIMITS = """
    import pytest

    @pytest.mark.board_needs("power")
    def test_power(chat):
        raise AssertionError

    def test_reset(board):
        board.reset()

    def test_faults(chat, line):
        line.lose(0.1)
        assert chat.send("rover", "battery").state == "done"
        assert line.passed["to the board"]
        line.unplug()
        assert chat.send("rover", "battery").state != "done"
        line.plug()
        chat.insist("rover", "battery")
"""


async def test_the_same_tests_run_on_a_real_port_where_workers_take_turns(
    project: Project, port: str
) -> None:
    project.write(ROVER + LIMITS)
    said = await in_a_thread(project.run, f"--board={port}", "-n", "2")
    assert "4 passed, 2 skipped" in said, said
    assert f"{port}: its power can't be cut by a test" in said
    assert f"{port}: it can't be reset by a test" in said
    assert project.is_clean()


async def test_they_run_over_a_network_too(project: Project, port: str) -> None:
    project.write(LIMITS)
    async with tcp_server(port) as number:
        said = await in_a_thread(project.run, "--board", f"tcp://127.0.0.1:{number}")
    assert "1 passed, 2 skipped" in said, said
    project.write(ROVER.partition("    def test_stop")[0] + LIMITS)
    with Rfc2217Server(port).serving() as server:
        said = await in_a_thread(project.run, "--board", f"rfc2217://127.0.0.1:{server.port}")
    assert "1 passed, 3 skipped" in said, said
    assert "nothing can be put between it and the gateway" in said


MICROBIT = """
    import pytest

    def test_without_firmware_it_runs_ours(board):
        assert board.name == "tiny"

    @pytest.mark.board(ROBOT)
    def test_a_robot_beside_another_one(chat, board, line):
        line.lose(0.05)
        motion = chat.begin("twin", "drive 5000")
        chat.stop()
        assert motion.end().state == "cancelled"
        chat.send("twin", "rearm")
        board.reset()
        assert chat.insist("twin", "add 5 7").text == "sum 12"
        board.power_off()
        line.unplug()
        line.plug()
        assert chat.insist("twin", "add 5 8").text == "sum 13"

    def test_pins(board):
        board.pins[3]

    @pytest.mark.board_needs("repl")
    def test_files(board):
        raise AssertionError

    @pytest.mark.board("rover")
    def test_a_program_for_more_memory(board):
        raise AssertionError
"""


@pytest.mark.skipif(bool(microbit.missing_packages()), reason="QEMU or its firmware is not installed")
def test_a_micro_bit_in_qemu_is_a_board_too(project: Project) -> None:
    robot = shutil.copytree(tiny.TINY, project.folder / "twin", ignore=shutil.ignore_patterns("[clm]*.py"))
    dictionary = robot / "dictionary.json"
    dictionary.write_text(dictionary.read_text().replace('"tiny"', '"twin"'))
    (robot / "main.py").write_text("from boardtalk import Board\nBoard('twin').run()\n")
    project.write(MICROBIT.replace("ROBOT", repr(robot.name)))
    said = project.run("--board", "qemu-microbit")
    assert "2 passed, 3 skipped" in said, said
    for reason in ("its pins can't be seen", "there is no prompt", "rover has no robot.py"):
        assert reason in said, said
    until(project.is_clean, "nothing is left")


@pytest.mark.parametrize(
    ("board", "words"),
    [
        ("ttyACM0", "there are emulated, qemu-microbit, /dev/… (a port)"),
        ("ftp://example", "there are emulated"),
    ],
)
def test_what_is_no_board_is_refused_in_words(board: str, words: str) -> None:
    with pytest.raises(pytest.UsageError, match=re.escape(words)):
        kinds.kind(board)


def test_a_board_that_is_not_installed_is_refused_before_any_test(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write("def test_it(board):\n    pass\n")
    monkeypatch.setenv("PATH", str(project.folder))
    said = project.run("--board", "qemu-microbit")
    assert "--board qemu-microbit needs: apt install qemu-system-arm" in said
    assert "passed" not in said
    assert "Traceback" not in said


def test_a_port_that_hides_the_project_from_pytest_is_refused_with_what_to_write(project: Project) -> None:
    project.write("def test_it(board):\n    pass\n")
    assert "write --board=/dev/null" in project.run("--board", "/dev/null")


FAILS = """
    import pytest

    def test_a_typing_error(chat, line):
        line.lose(0.2)
        for _ in range(3):
            chat.send("rover", "forward 1")
        assert chat.send("rover", "fowrard 20").state == "done"

    @pytest.mark.board(LAMP)
    def test_too_dark(chat, board):
        chat.send("lamp", "shine 50")
        assert board.pins[25].duty == 65535

    def test_in_the_end(board, request):
        request.addfinalizer(lambda: 1 / 0)
"""


def test_a_failed_tests_report_shows_chat_frames_pins_outputs_and_faults(project: Project) -> None:
    """In the terminal, in junit XML and HTML, in files; workers have a board each."""
    project.write(FAILS.replace("LAMP", repr(str(LAMP))))
    said = project.run(
        "-n", "2", *("--boardtalk-report", "out"), *("--junitxml", "it.xml"), "--html", "it.html"
    )
    assert "2 failed, 1 passed, 1 error" in said, said
    for wanted in (
        r"tester > rover: fowrard 20",
        r"tester < rover: .*did you mean forward",
        r"tester   accepted",
        r"tester   rejected",
        r"← rover DATA .*: RESULT x .* cm.*outcome DONE",
        r"→ lamp DATA .*: COMMAND shine brightness 50 %",
        r"  25: pwm, 50 % of 1000 Hz",
        r"faults: .*lose \d+.*; the same again with --seed \d+",
        r"link process \d+ listens",
    ):
        assert re.search(wanted, said), (wanted, said)
    folders = {path.name.partition("--")[2]: path for path in (project.folder / "out").iterdir()}
    assert {*folders} == {"test_a_typing_error", "test_too_dark", "test_in_the_end"}
    picture = (folders["test_too_dark"] / "picture.svg").read_text()
    assert all(
        f">{word}</text>" in picture for word in ("frames to lamp", "pin 25, duty", "&gt; lamp: shine 50")
    )
    assert "fowrard 20" in (folders["test_a_typing_error"] / "report.txt").read_text()
    seen = list(sources.file(folders["test_a_typing_error"] / "frames.pcapng", Decoder()))
    assert any("COMMAND" in each.words for each in seen)
    cases = {case.attrib["name"]: case for case in ET.parse(project.folder / "it.xml").iter("testcase")}  # noqa: S314
    assert "tester > rover: fowrard 20" in (cases["test_a_typing_error"].findtext("failure") or "")
    for name, folder in folders.items():
        assert [each.attrib["value"] for each in cases[name].iter("property")] == [str(folder)]
    assert [path.name for path in folders["test_in_the_end"].iterdir()] == ["report.txt"], (
        "all there is to say"
    )
    assert (project.folder / "it.html").read_text().count("svg xmlns") == 2
    until(project.is_clean, "nothing is left")


def test_faults_come_again_with_the_seed_that_the_report_tells(project: Project) -> None:
    """And where the report can't be written, it says so."""
    project.write("""
        def test_it(pty_pair):
            print("random", pty_pair.line.seed)
            raise AssertionError
    """)
    (project.folder / "out").write_text("in the way")
    said = project.run("--boardtalk-report", "out")
    [seed] = map(int, re.findall(r"--seed (\d+)", said))
    [random] = map(int, re.findall(r"random (\d+)", said))
    test = "test_it.py::test_it"
    assert Story(seed, test).seed == random
    assert random not in {Story(seed + 1, test).seed, Story(seed, f"{test}_too").seed}
    assert re.search(r"its files can't be written to .*/out/test_it.py--test_it: Not a directory", said), said


@pytest.mark.parametrize(
    ("options", "marks"),
    [
        (("-p", "asyncio", "-o", "asyncio_mode=auto"), ("",)),
        (("-p", "asyncio", "-o", "asyncio_mode=strict"), ("@pytest.mark.asyncio", "")),
        (OUR_OWN, ("@pytest.mark.anyio", "")),
    ],
    ids=["asyncio auto", "asyncio strict, and not for all", "anyio, and none"],
)
def test_async_tests_run_with_whichever_plugin(
    project: Project, options: tuple[str, ...], marks: tuple[str, ...]
) -> None:
    code = """
        import pytest

        @pytest.fixture
        def anyio_backend():
            return "asyncio"
    """
    for number, mark in enumerate(marks):
        code += f"""
        {mark}
        async def test_{number}(board):
            await board.world(battery=7)
            assert (await board.until(battery=7)).at > 0
    """
    code += """
        async def test_chat(chat):
            assert (await chat.send("rover", "fly")).state == "rejected"
    """.replace("async def", f"{marks[0]}\n        async def")
    project.write(code)
    done = project.pytest("-q", *options)
    assert f"{len(marks) + 1} passed" in done, done


def test_a_test_whose_board_never_was_has_no_report_of_it(project: Project) -> None:
    project.write("""
        import pytest

        @pytest.mark.board("nobody")
        def test_it(board):
            pass
    """)
    said = project.run()
    assert "there is no firmware nobody in" in said
    assert "- boardtalk -" not in said


def test_a_project_without_boards_pays_nothing(project: Project) -> None:
    project.write("""
        import sys

        def test_it():
            ours = {name for name in sys.modules if name.startswith("boardtalk")}
            assert ours == {"boardtalk", "boardtalk.hil", "boardtalk.hil.plugin"}
    """)
    assert "1 passed" in project.run()
    assert project.is_clean()


HANGS = """
    import time

    def test_it(chat, line, board, pty_pair):
        chat.begin("rover", "forward 300")
        print("under way", flush=True)
        time.sleep(60)
"""


STARTS = """
    import pytest

    @pytest.fixture
    def gateway_conf():
        print("under way", flush=True)
        return ""

    def test_it(chat):
        raise AssertionError
"""


@pytest.mark.parametrize("code", [HANGS, STARTS], ids=["in a test", "while a gateway starts"])
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGKILL], ids=lambda each: each.name)
def test_nothing_is_left_of_a_run_that_is_ended(project: Project, signum: signal.Signals, code: str) -> None:
    project.write(code)
    with subprocess.Popen(
        project.command("-s"), cwd=project.folder, env=project.environment, stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        assert any("under way" in line for line in run.stdout)
        assert len(processes(project.temporary)) >= 2
        run.send_signal(signum)
        run.stdout.read()
    until(project.is_clean, "nothing is left")


def test_nothing_is_left_of_a_run_that_crashes(project: Project) -> None:
    project.write("""
        import os

        def test_it(gateway):
            os._exit(3)
    """)
    project.run()
    until(project.is_clean, "nothing is left")


def test_the_command_begins_a_project_but_not_where_there_is_something(project: Project) -> None:
    lamp = project.folder / "lamp"
    command = [sys.executable, "-m", "boardtalk", "hil", "new", str(lamp)]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "robot/main.py" in told
    again = subprocess.run(command, check=False, capture_output=True, text=True)
    assert again.returncode == 2
    assert "there is something already" in again.stderr


@pytest.mark.parametrize(
    ("arguments", "ends", "flash"),
    [
        (["micropython", str(ROBOTS / "ledger")], signal.SIGINT, {"main.py"}),
        (["micropython", str(EXAMPLES / "explorer")], signal.SIGTERM, {"main.py", "chassis.py", "arena.py"}),
        (["micropython", "explorer"], signal.SIGTERM, {"main.py", "chassis.py", "arena.py"}),
        (["stm32"], signal.SIGTERM, set()),
        (["uf2"], signal.SIGTERM, set()),
    ],
)
def test_the_command_starts_a_board_says_where_and_ends_with_nothing_left(
    arguments: list[str], ends: signal.Signals, flash: set[str], project: Project
) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "boardtalk", "hil", "board", *arguments],
        env=project.environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as run:
        assert run.stdout is not None
        word, where = run.stdout.readline().split()
        assert word == "ready"
        assert Path(where).is_dir() or os.isatty(os.open(where, os.O_RDWR | os.O_NOCTTY))
        assert all((Path(where).parent / "flash" / name).exists() for name in flash)
        run.send_signal(ends)
        assert run.wait(20) == 130
    assert project.is_clean()


def test_the_command_knows_its_boards(project: Project) -> None:
    command = [sys.executable, "-m", "boardtalk", "hil", "board", "toaster"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=project.environment)
    assert done.returncode == 2
    assert "there is no board 'toaster'; there are micropython" in done.stderr
