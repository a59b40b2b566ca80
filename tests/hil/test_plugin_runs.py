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

import pytest

from boardtalk.hil.board import EmulatedBoard
from tests.iot_bridge.servers import Rfc2217Server, tcp_server
from tests.scenarios.rig import environment, processes, until

OUR_OWN = ("-p", "no:cacheprovider", "-p", "no:asyncio")
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
        """Run pytest; what it printed."""
        done = subprocess.run(
            self.command(*arguments),
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


async def test_the_same_tests_run_on_a_real_port(project: Project, port: str) -> None:
    project.write(ROVER + LIMITS)
    said = await in_a_thread(project.run, "--board", port)
    assert "4 passed, 2 skipped" in said, said
    assert f"{port}: its power can't be cut by a test" in said
    assert f"{port}: it can't be reset by a test" in said
    assert project.is_clean()


async def test_they_run_over_a_network_too(project: Project, port: str) -> None:
    project.write(ROVER + LIMITS)
    async with tcp_server(port) as number:
        said = await in_a_thread(project.run, "--board", f"tcp://127.0.0.1:{number}")
    assert "4 passed, 2 skipped" in said, said
    with Rfc2217Server(port).serving() as server:
        said = await in_a_thread(project.run, "--board", f"rfc2217://127.0.0.1:{server.port}")
    assert "3 passed, 3 skipped" in said, said
    assert "nothing can be put between it and the gateway" in said


async def test_workers_take_turns_at_a_real_port(project: Project, port: str) -> None:
    project.write(ROVER)
    said = await in_a_thread(project.run, "--board", port, "-n", "2")
    assert "3 passed" in said, said


def test_workers_have_a_board_each(project: Project) -> None:
    project.write(ROVER)
    assert "3 passed" in project.run("-n", "2")
    until(project.is_clean, "nothing is left")


@pytest.mark.parametrize(
    ("board", "words"),
    [
        ("qemu-microbit", "can't run the firmware client yet"),
        ("ttyACM0", "there are emulated, /dev/… (a port)"),
        ("ftp://example", "there are emulated, /dev/… (a port)"),
    ],
)
def test_what_is_no_board_is_refused_in_words(project: Project, board: str, words: str) -> None:
    project.write("def test_it(board):\n    pass\n")
    said = project.run("--board", board)
    assert words in said
    assert "1 error" in said


FAILS = """
    import pytest

    def test_it(chat, line):
        line.lose(0.2)
        for _ in range(10):
            chat.send("rover", "battery")
        print("random", line.seed)
        assert chat.send("rover", "fowrard 20").state == "done"
"""


def test_a_failed_tests_report_tells_what_was_said_and_what_went_wrong_on_the_line(project: Project) -> None:
    project.write(FAILS)
    said = project.run("-n", "2")
    for wanted in (
        r"tester > rover: fowrard 20",
        r"tester < rover: .*did you mean forward",
        r"tester   accepted",
        r"tester   rejected",
        r"faults: .*lose \d+.*; the same again with --seed \d+",
        r"link process \d+ listens",
    ):
        assert re.search(wanted, said), (wanted, said)
    [seed] = re.findall(r"--seed (\d+)", said)
    [random] = re.findall(r"random (\d+)", said)
    assert f"random {random}" in project.run("--seed", seed)
    assert f"random {random}" not in project.run("--seed", "1")


@pytest.mark.parametrize(
    ("options", "mark"),
    [
        (("-p", "asyncio", "-o", "asyncio_mode=auto"), ""),
        (("-p", "asyncio", "-o", "asyncio_mode=strict"), "@pytest.mark.asyncio"),
        (("-p", "asyncio", "-o", "asyncio_mode=strict"), ""),
        ((), "@pytest.mark.anyio"),
        ((), ""),
    ],
    ids=["asyncio auto", "asyncio strict", "asyncio, but not for this one", "anyio", "none"],
)
def test_async_tests_run_with_whichever_plugin(project: Project, options: tuple[str, ...], mark: str) -> None:
    project.write(f"""
        import pytest

        @pytest.fixture
        def anyio_backend():
            return "asyncio"

        {mark}
        async def test_it(chat, board):
            await board.world(battery=7)
            assert (await chat.send("rover", "battery")).text == "7 V"
    """)
    if options:  # our own option to have none comes first
        shown = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", *options],
            cwd=project.folder,
            env=project.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        ).stdout
    else:
        shown = project.run()
    assert "1 passed" in shown, shown


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


def test_the_command_begins_a_project_whose_tests_pass(project: Project) -> None:
    lamp = project.folder / "lamp"
    command = [sys.executable, "-m", "boardtalk", "hil", "new", str(lamp)]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "robot/main.py" in told
    again = subprocess.run(command, check=False, capture_output=True, text=True)
    assert again.returncode == 2
    assert "there is something already" in again.stderr
    project.folder = lamp
    assert "6 passed" in project.run()


def test_the_command_starts_a_board_and_says_where(project: Project) -> None:
    robot = shutil.copytree(
        Path(__file__).parents[1] / "firmware" / "robots" / "ledger", project.folder / "r"
    )
    with subprocess.Popen(
        [sys.executable, "-m", "boardtalk", "hil", "board", "micropython", str(robot)],
        env=project.environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as run:
        assert run.stdout is not None
        word, port = run.stdout.readline().split()
        assert word == "ready"
        assert os.isatty(os.open(port, os.O_RDWR | os.O_NOCTTY))
        run.send_signal(signal.SIGINT)
        assert run.wait(20) == 130
    assert project.is_clean()


def test_the_command_knows_its_boards(project: Project) -> None:
    command = [sys.executable, "-m", "boardtalk", "hil", "board", "toaster"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=project.environment)
    assert done.returncode == 2
    assert "there is no board 'toaster'; there are micropython" in done.stderr
