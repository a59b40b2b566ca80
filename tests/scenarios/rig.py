"""boardtalk's public doors, as a person, a program and a saboteur use them.

Nothing here imports boardtalk: commands are started, signals sent, and the local door is asked; `people.py`
speaks MQTT and `terminal.py` types. Texts are matched by the words that are promised, not by their layout.
"""

from __future__ import annotations

import getpass
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

STATE_MARK = "BOARDTALK_STATE_UNDER_TEST"
"""Environment variable that a gateway's processes inherit, by which a test finds them."""
START_S = 30.0
"""How long a gateway may take to be ready on a busy machine."""
END_S = 20.0
"""How long a gateway's processes may live after it was told to go."""
DEADLINE_S = 15.0
"""When waiting for something that comes at once on an idle machine is given up."""
PROGRAM = (sys.executable, "-m", "boardtalk")
"""How boardtalk is started: as this interpreter has it."""

Json = dict[str, Any]
T = TypeVar("T")


def until(probe: Callable[[], T], what: str, within: float = DEADLINE_S) -> T:
    """The first true value of `probe`; fails with `what` after `within` seconds."""
    deadline = time.monotonic() + within
    while not (value := probe()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within} s: {what}")
        time.sleep(0.02)
    return value


def environment(state: Path | None = None) -> dict[str, str]:
    """For a child process: marked with its state folder, no colours, no line breaks in messages."""
    marked = {} if state is None else {STATE_MARK: str(state)}
    return {**os.environ, "COLUMNS": "1000", "NO_COLOR": "1", "TERM": "dumb", **marked}


# ── the command line ──────────────────────────────────────────────────────────────────────────────
def nested(value: object) -> Iterator[Json]:
    """All objects in a JSON value, an outer one before those inside it."""
    parts: list[object] = []
    if isinstance(value, dict):
        yield value
        parts = list(value.values())
    elif isinstance(value, list):
        parts = value
    for part in parts:
        yield from nested(part)


@dataclass(frozen=True)
class Result:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        """Both outputs on one line."""
        return " ".join(f"{self.out} {self.err}".split())

    @property
    def rows(self) -> list[Json]:
        """All objects of an output that is JSON: one value, or one a line."""
        decoder, rest, found = json.JSONDecoder(), self.out.strip(), list[Json]()
        while rest:
            value, end = decoder.raw_decode(rest)
            found += nested(value)
            rest = rest[end:].lstrip()
        return found


def boardtalk(
    *arguments: str | bytes,
    state: Path | None = None,
    stdin: str = "",
    within: float = 60.0,
    program: Sequence[str] = PROGRAM,
    folder: Path | None = None,
    columns: int = 1000,
) -> Result:
    """Run a command to its end, in `folder`. No command may ever show a traceback."""
    where = () if state is None else ("--state", str(state))
    done = subprocess.run(
        [*program, *arguments, *where],
        input=stdin.encode(),
        cwd=folder,
        capture_output=True,
        timeout=within,
        env={**environment(), "COLUMNS": str(columns)},
        check=False,
    )
    result = Result(
        done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
    )
    if "Traceback" in result.text:
        raise AssertionError(f"{arguments} ends in a traceback:\n{result.out}{result.err}")
    return result


def pytested(folder: Path, *options: str, within: float = 60.0) -> str:
    """What pytest prints, run in `folder`."""
    program = [sys.executable, "-m", "pytest", "-q"]
    return boardtalk(*options, program=program, folder=folder, within=within).out


# ── processes ─────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True)
class Process:
    """A process as /proc shows it."""

    pid: int
    command: str


def processes(state: Path) -> list[Process]:
    """All live processes that were started, however indirectly, for a state folder."""
    mark, found = f"{STATE_MARK}={state}".encode(), []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            marked = mark in (entry / "environ").read_bytes().split(b"\0")
            if marked or (entry / "cwd").readlink().is_relative_to(state):  # isolated modules see no mark
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                found.append(Process(int(entry.name), line))
        except OSError:
            continue
    return found


def nothing_runs(state: Path) -> None:
    """Fails if processes of a state folder outlive their gateway, and ends them."""
    try:
        until(lambda: not processes(state), "all processes gone", within=END_S)
    except AssertionError:
        left = processes(state)
        for process in left:
            os.kill(process.pid, signal.SIGKILL)
        raise AssertionError(f"left running: {[process.command for process in left]}") from None


class Gateway:
    """`boardtalk demo --headless`, or another command that runs a gateway, as a child process."""

    def __init__(
        self,
        state: Path,
        *command: str,
        port: int = 0,
        program: Sequence[str] = PROGRAM,
        folder: Path | None = None,
    ) -> None:
        self.state, self.program, self.folder = state, program, folder
        self.command = command or ("demo", "--headless")
        self.host, self.port = "127.0.0.1", port
        self.ready = ""
        self._tokens: dict[str, str] = {}
        self._out, self._err = state.with_suffix(".out"), state.with_suffix(".err")
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        if self._child is not None:
            self.end()

    @property
    def child(self) -> subprocess.Popen[bytes]:
        """The process that was started; the gateway may be one of its children."""
        if self._child is None:
            raise AssertionError("the gateway was not started")
        return self._child

    @property
    def alive(self) -> bool:
        """Whether the process that was started still runs."""
        return self._child is not None and self._child.poll() is None

    @property
    def log(self) -> str:
        """What it wrote to standard error, restarts included."""
        return self._err.read_text(errors="replace") if self._err.exists() else ""

    def start(self) -> Self:
        """Start it, and wait until it is ready."""
        with self._out.open("wb") as out, self._err.open("ab") as err:
            self._child = subprocess.Popen(
                [*self.program, *self.command, "--state", str(self.state)],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=environment(self.state),
            )
        try:
            until(self._is_ready, "the gateway is ready", within=START_S)
        except AssertionError as error:
            self.kill()
            raise AssertionError(f"{error}; it said:\n{self.log[-3000:]}") from None
        return self

    def _is_ready(self) -> bool:
        if not self.alive:
            raise AssertionError(f"the gateway ended with {self.child.returncode}")
        for line in self._out.read_text(errors="replace").splitlines(keepends=True):
            if line.startswith("ready ") and line.endswith("\n"):
                self.ready = line
                for self.host, port in re.findall(r"mqtt=(\S+):(\d+)", line):
                    self.port = int(port)
                return True
        return False

    def end(self, signum: int = signal.SIGTERM, *, after_a_kill: bool = False) -> int:
        """End it in an orderly way; its exit code. Fails if it leaves a process or a traceback.

        After a kill the link process stays for a while, to be found by the next gateway.
        """
        child, self._child = self.child, None
        child.send_signal(signum)
        try:
            code = child.wait(timeout=END_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
            raise AssertionError(f"still runs {END_S} s after signal {signum}") from None
        finally:
            if not after_a_kill:
                nothing_runs(self.state)
        if "Traceback" in self.log:
            raise AssertionError(f"a traceback in the log:\n{self.log[-3000:]}")
        return code

    def load(self, name: str, code: str, options: str = "") -> None:
        """Have the demo load one more module, behind the others."""
        folder, more = self.state / "extra", self.state / "conf.d"
        for each in (folder, more):
            each.mkdir(exist_ok=True)
        (folder / f"{name}.py").write_text(code)
        (more / f"{name}.conf").write_text(f"module_folders = {folder}\nmodule {name} {{\n{options}\n}}\n")
        loaded = self.cli("reload")
        if loaded.code:
            raise AssertionError(loaded.text)

    def kill(self) -> None:
        """End all its processes with no chance to tidy up."""
        for process in processes(self.state):
            with suppress(ProcessLookupError):  # it may end because another one did
                os.kill(process.pid, signal.SIGKILL)
        if self._child is not None:
            self._child.wait()
            self._child = None

    def process(self, word: str) -> Process:
        """Its process with `word` in the command line, waiting for one to come."""
        found = until(
            lambda: [process for process in processes(self.state) if word in process.command],
            f"a process with {word!r}",
        )
        return found[0]

    def signal(self, word: str, signum: int) -> None:
        """Send a signal to its process with `word` in the command line."""
        os.kill(self.process(word).pid, signum)

    def cli(self, *arguments: str | bytes, stdin: str = "", within: float = 60.0) -> Result:
        """Run a command against this gateway."""
        return boardtalk(
            *arguments,
            state=self.state,
            stdin=stdin,
            within=within,
            program=self.program,
            folder=self.folder,
        )

    def chat(self, address: str, text: str | bytes, *options: str) -> Result:
        """Send one message as the person at the terminal."""
        return self.cli("chat", address, text, *options)

    def token(self, address: str, role: str = "operator") -> str:
        """The MQTT token of a user, who is added the first time."""
        if address not in self._tokens:
            added = self._ask(op="user", action="add", address=address, role=role)
            self._tokens[address] = added["token"]
        return self._tokens[address]

    def _ask(self, **request: str) -> Json:
        """What the gateway answers at its local door, as to a command: to start one takes longer."""
        with socket.socket(socket.AF_UNIX) as door:
            door.settimeout(DEADLINE_S)
            door.connect(str(self.state / "control.sock"))
            for each in ({"op": "login", "user": local_user()}, request):
                door.sendall(json.dumps(each).encode() + b"\n")
            for line in door.makefile():
                answer: Json = json.loads(line)
                if answer["type"] in (request["op"], "failure"):
                    return answer
        raise AssertionError("the gateway hung up")

    def board(self, address: str = "rover") -> Json:
        """A row of `boardtalk boards`; empty if there is none."""
        rows = self.cli("boards", "--json").rows
        return next((row for row in rows if row.get("address") == address), {})


GATEWAY, LINK, BROKER, BOARD = "boardtalk run", "iot_bridge.service", "nats-server", "micropython"
ISOLATED = "boardtalk.sandbox"
"""Words in the command lines of the demo's processes."""


def local_user() -> str:
    """The address of the person at this machine's terminal, as boardtalk makes it of the login."""
    return re.sub(r"[^a-z0-9_-]", "-", getpass.getuser().lower())[:32]


def free_port() -> int:
    """A TCP port that nobody uses at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
