"""boardtalk's public doors, as a person, a program and a saboteur use them.

Nothing here imports boardtalk: commands are started, MQTT is spoken, signals are sent. Texts for
people are matched by the words that are promised, not by their layout.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import paho.mqtt.client as paho

STATE_MARK = "BOARDTALK_STATE_UNDER_TEST"
"""Environment variable that a gateway's processes inherit, by which a test finds them."""
START_S = 30.0
"""How long a gateway may take to be ready on a busy machine."""
END_S = 20.0
"""How long a gateway's processes may live after it was told to go, or after it was killed."""
DEADLINE_S = 15.0
"""When waiting for something that comes at once on an idle machine is given up."""
TERMINAL = {"done", "failed", "expired", "rejected", "cancelled", "unknown"}
"""The states after which nothing comes."""
VOLTS = re.compile(r"\d+(\.\d+)? ?V\b")
"""A voltage as a person reads it."""

Json = dict[str, Any]


def until[T](probe: Callable[[], T], what: str, within: float = DEADLINE_S) -> T:
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
    if isinstance(value, dict):
        yield value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
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
    *arguments: str | bytes, state: Path | None = None, stdin: str = "", within: float = 60.0
) -> Result:
    """Run a command to its end. No command may ever show a traceback."""
    folder = () if state is None else ("--state", str(state))
    done = subprocess.run(
        [sys.executable, "-m", "boardtalk", *arguments, *folder],
        input=stdin.encode(),
        capture_output=True,
        timeout=within,
        env=environment(),
        check=False,
    )
    result = Result(
        done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
    )
    if "Traceback" in result.text:
        raise AssertionError(f"{arguments} ends in a traceback:\n{result.out}{result.err}")
    return result


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
            if mark in (entry / "environ").read_bytes().split(b"\0"):
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

    def __init__(self, state: Path, *command: str, port: int = 0) -> None:
        self.state = state
        self.command = command or ("demo", "--headless")
        self.host, self.port = "127.0.0.1", port
        self.ready = ""
        self._out, self._err = state.with_suffix(".out"), state.with_suffix(".err")
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
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
                [sys.executable, "-m", "boardtalk", *self.command, "--state", str(self.state)],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=environment(self.state),
            )
        try:
            until(lambda: not self.alive or self._is_ready(), "the gateway is ready", within=START_S)
            if not self.alive:
                raise AssertionError(f"the gateway ended with {self._child.returncode}")
        except AssertionError as error:
            self.kill()
            raise AssertionError(f"{error}; it said:\n{self.log[-3000:]}") from None
        return self

    def _is_ready(self) -> bool:
        if self.command[0] == "run":
            return self.cli("boards").code == 0
        for line in self._out.read_text(errors="replace").splitlines(keepends=True):
            if line.startswith("ready ") and line.endswith("\n"):
                self.ready = line
                self.host, port = re.findall(r"mqtt=(\S+):(\d+)", line)[0]
                self.port = int(port)
                return True
        return False

    def end(self, signum: int = signal.SIGTERM) -> int:
        """End it in an orderly way; its exit code. Fails if it leaves a process or a traceback."""
        child, self._child = self.child, None
        child.send_signal(signum)
        try:
            code = child.wait(timeout=END_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
            raise AssertionError(f"still runs {END_S} s after signal {signum}") from None
        finally:
            nothing_runs(self.state)
        if "Traceback" in self.log:
            raise AssertionError(f"a traceback in the log:\n{self.log[-3000:]}")
        return code

    def kill(self) -> None:
        """End all its processes with no chance to tidy up."""
        for process in processes(self.state):
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
        return boardtalk(*arguments, state=self.state, stdin=stdin, within=within)

    def chat(self, address: str, text: str | bytes, *options: str) -> Result:
        """Send one message as the person at the terminal."""
        return self.cli("chat", address, text, *options)

    def token(self, address: str, role: str = "operator") -> str:
        """An MQTT token for a user, who is added if need be."""
        added = self.cli("user", "add", address, "--role", role, "--json")
        if added.code:
            added = self.cli("user", "token", address, "--json")
        return str(added.rows[0]["token"])

    def board(self, address: str = "rover") -> Json:
        """A row of `boardtalk boards`; empty if there is none."""
        rows = self.cli("boards", "--json").rows
        return next((row for row in rows if row.get("address") == address), {})


GATEWAY, LINK, BROKER, BOARD = "boardtalk run", "iot_bridge.service", "nats-server", "micropython"
"""Words in the command lines of the demo's processes."""


def free_port() -> int:
    """A TCP port that nobody uses at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# ── MQTT ──────────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True)
class Outcome:
    """What became of a command."""

    states: tuple[str, ...]
    body: str

    @property
    def state(self) -> str:
        """The last one."""
        return self.states[-1]


def login_works(gateway: Gateway, username: str | None, password: str | None = None) -> bool:
    """Whether the broker lets a client in with these credentials."""
    client = paho.Client(paho.CallbackAPIVersion.VERSION2)
    answers: list[bool] = []
    client.on_connect = lambda _c, _u, _f, reason, _p: answers.append(not reason.is_failure)
    if username is not None:
        client.username_pw_set(username, password)
    client.connect(gateway.host, gateway.port)
    client.loop_start()
    try:
        until(lambda: bool(answers), "an answer to CONNECT")
    finally:
        client.disconnect()
        client.loop_stop()
    return answers[0]


class Person:
    """A user at an ordinary MQTT client: publishes to `out`, reads `in` and `status`."""

    def __init__(self, gateway: Gateway, address: str, token: str) -> None:
        self.address = address
        self.inbox: list[Json] = []
        self.statuses: list[Json] = []
        self.sessions = 0
        self._news = threading.Condition()
        self._client = paho.Client(paho.CallbackAPIVersion.VERSION2)
        self._client.username_pw_set(address, token)
        self._client.reconnect_delay_set(1, 1)
        self._client.max_inflight_messages_set(1000)
        self._client.on_connect = self._connected
        self._client.on_subscribe = self._subscribed
        self._client.on_message = self._received
        self._client.on_socket_open = lambda _c, _u, sock: sock.setsockopt(
            socket.IPPROTO_TCP, socket.TCP_NODELAY, 1
        )
        self._host, self._port = gateway.host, gateway.port

    def __enter__(self) -> Self:
        self._client.connect(self._host, self._port)
        self._client.loop_start()
        self.wait(lambda: self.sessions, "subscribed")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _connected(self, client: paho.Client, *_: object) -> None:
        client.subscribe([(f"chat/{self.address}/in", 1), (f"chat/{self.address}/status", 1)])

    def _subscribed(self, *_: object) -> None:
        with self._news:
            self.sessions += 1
            self._news.notify_all()

    def _received(self, _client: paho.Client, _userdata: object, message: paho.MQTTMessage) -> None:
        with self._news:
            (self.inbox if message.topic.endswith("/in") else self.statuses).append(
                json.loads(message.payload)
            )
            self._news.notify_all()

    def wait[T](self, probe: Callable[[], T], what: str, within: float = DEADLINE_S) -> T:
        """The first true value of `probe`, tried after each arrival; fails with `what`."""
        with self._news:
            if value := self._news.wait_for(probe, within):
                return value
        raise AssertionError(
            f"{self.address} waited {within} s in vain: {what};"
            f" last messages {self.inbox[-3:]}, last statuses {self.statuses[-5:]}"
        )

    def publish(self, topic: str, payload: str | bytes, *, retain: bool = False) -> None:
        """Publish anywhere with QoS 1, without waiting."""
        self._client.publish(topic, payload, qos=1, retain=retain)

    def say(self, message: str | bytes | Json, *, topic: str = "out", retain: bool = False) -> None:
        """Publish plain text or an envelope to the own `out` (or `stop`) topic."""
        payload = json.dumps(message) if isinstance(message, dict) else message
        self.publish(f"chat/{self.address}/{topic}", payload, retain=retain)

    def hears(self, pattern: str, since: int = 0, within: float = DEADLINE_S) -> Json:
        """The first message in the inbox, from number `since` on, whose text fits a pattern."""
        fits = re.compile(pattern, re.IGNORECASE | re.DOTALL).search
        return self.wait(
            lambda: next((m for m in self.inbox[since:] if fits(str(m.get("body")))), None),
            f"a message like {pattern!r}",
            within,
        )

    def states(self, name: str, since: int = 0) -> list[str]:
        """States of the message `name` so far, reasons cut off."""
        return [
            str(status.get("state")).partition("(")[0]
            for status in self.statuses[since:]
            if name in (status.get("id"), status.get("refid"))
        ]

    def outcome(
        self, name: str, since: tuple[int, int] = (0, 0), within: float = DEADLINE_S
    ) -> Outcome:
        """Wait for the end of message `name` and its answer; `since` counts inbox and statuses."""

        def ended() -> Outcome | None:
            states = self.states(name, since[1])
            bodies = [str(m.get("body")) for m in self.inbox[since[0] :] if m.get("refid") == name]
            return Outcome(tuple(states), bodies[-1]) if bodies and TERMINAL & {*states} else None

        return self.wait(ended, f"the end of {name}", within)

    def do(
        self, body: str, *, to: str = "rover", name: str = "", within: float = DEADLINE_S, **more: object
    ) -> Outcome:
        """Send a command in an envelope and wait for its end; `more` are message parameters."""
        name = name or uuid.uuid4().hex
        since = len(self.inbox), len(self.statuses)
        self.say({"to": to, "body": body, "id": name, **more})
        return self.outcome(name, since, within)

    def begin(self, body: str, *, to: str = "rover", name: str = "") -> str:
        """Send a command and wait until the board has started it; its id."""
        name = name or uuid.uuid4().hex
        self.say({"to": to, "body": body, "id": name})
        self.wait(lambda: "started" in self.states(name), f"{body!r} started")
        return name


def odometer(person: Person) -> float:
    """Where the rover is, cm plus a constant, after driving 1 cm to make it tell.

    The wording of the answer is not promised, so all its numbers are added up: between two such
    answers only the position differs, as long as the rover goes straight on.
    """
    answer = person.do("forward 1")
    if answer.state != "done":
        raise AssertionError(f"the rover does not drive: {answer}")
    return sum(map(float, re.findall(r"-?\d+(?:\.\d+)?", answer.body)))
