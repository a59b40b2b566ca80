"""A gateway, its link process and boards on faulty lines, in the hands of a saboteur."""

from __future__ import annotations

import asyncio
import json
import os
import random
import secrets
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from boardtalk.hil.board import EmulatedBoard
from tests.scenarios.rig import PROGRAM, Json, environment, nothing_runs, processes

T = TypeVar("T")

ROBOTS = Path(__file__).parents[1] / "firmware" / "robots"
START_S = 30.0
"""A gateway that takes longer to start, however busy the machine is, does not start."""
WAIT_S = 20.0
TERMINAL = frozenset({"done", "failed", "expired", "rejected", "cancelled", "unknown"})

CONF = """\
log_level = warning
{more}
module iot_bridge {{
    discover = no
}}
user alice {{
    role = operator
}}
"""
BOARD = """\
board {name} {{
    port = {port}
    uid = {uid}
    lease = {lease}
}}
"""


def seeded() -> random.Random:
    """Random numbers; the seed is printed, and taken from the environment if it is there."""
    seed = int(os.environ.get("SEED") or secrets.randbelow(1 << 32))
    print(f"seed {seed}: again with SEED={seed}")
    return random.Random(seed)


class Desk:
    """A program at `control.sock`, logged in as a user, until the gateway hangs up."""

    def __init__(self, state: Path, user: str = "alice") -> None:
        self.states: dict[str, list[str]] = {}
        """By message id, in the order of their arrival."""
        self.heard: dict[str, float] = {}
        """By message id, when the first news of it came."""
        self.wall: dict[str, float] = {}
        """By message id, what the gateway's wall clock showed then."""
        self.details: dict[str, str] = {}
        self.answers: dict[str, str] = {}
        """By the id of what they answer."""
        self.presence: list[tuple[float, str, str]] = []
        """When it came, whose, and which state."""
        self.online: dict[str, bool] = {}
        """Who is there, as far as it was told."""
        self.bodies: list[str] = []
        """Of all messages."""
        self.calls: list[Json] = []
        self.open = True
        self._path, self._user = state / "control.sock", user
        self._replies: list[Json] = []
        self._came = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_unix_connection(self._path)
        self._listener = asyncio.create_task(self._listen(), name=f"desk of {self._user}")
        try:
            self.send(op="login", user=self._user)
            await self.wait(lambda: self._replies or not self.open, "welcome")
            if not self._replies:
                raise ConnectionError("it hung up")
        except BaseException:  # the gateway was killed meanwhile
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cut()
        await self._listener

    def cut(self) -> None:
        """Close the connection, without a word."""
        self.open = False
        self._writer.transport.abort()

    def send(self, **request: object) -> None:
        """One request, unless the gateway has hung up."""
        if self.open:
            self._writer.write(json.dumps(request).encode() + b"\n")

    def say(self, to: str, body: str, name: str, **more: object) -> None:
        """A message with an id."""
        self.send(op="send", payload=json.dumps({"to": to, "body": body, "id": name, **more}))

    async def call(self, to: str) -> str:
        """Ask for live control; the id of the call."""
        call = await self.ring(to)
        assert call, self._replies[-1]
        return call

    async def ring(self, to: str) -> str:
        """Ask for live control; the id of the call, or "" if it is refused."""
        return str((await self.ask(op="call", to=to)).get("call", ""))

    async def ask(self, **request: object) -> Json:
        """The answer to a request that has one."""
        seen = len(self._replies)
        self.send(**request)
        await self.wait(lambda: len(self._replies) > seen, f"an answer to {request}")
        return self._replies[-1]

    async def do(self, to: str, body: str, name: str = "", **more: object) -> str:
        """Say something and wait for its end."""
        name = name or secrets.token_hex(8)
        self.say(to, body, name, **more)
        return await self.end_of(name)

    async def end_of(self, name: str, within: float = WAIT_S) -> str:
        """How a message ended."""
        await self.wait(lambda: self.state(name) in TERMINAL or not self.open, f"the end of {name}", within)
        return self.state(name)

    async def begun(self, name: str) -> None:
        """Wait until a command has started."""
        await self.wait(lambda: {"started", *TERMINAL} & {*self.states.get(name, ())}, f"{name} begun")
        assert self.state(name) == "started", (name, self.states[name], self.details.get(name))

    def state(self, name: str) -> str:
        """The last state of a message; "" if nothing is known."""
        return self.states.get(name, [""])[-1]

    async def wait(self, probe: Callable[[], T], what: str, within: float = WAIT_S) -> T:
        """The first true value of `probe`, tried after each arrival."""
        try:
            async with asyncio.timeout(within):
                while not (value := probe()):
                    self._came.clear()
                    await self._came.wait()
                return value
        except TimeoutError:
            last = {name: states[-1] for name, states in list(self.states.items())[-5:]}
            raise AssertionError(f"not within {within} s: {what}; {last}; {self._replies[-2:]}") from None

    async def _listen(self) -> None:
        try:
            async for line in self._reader:
                if line.endswith(b"\n"):
                    self._take(json.loads(line))
        except ConnectionError:
            pass
        finally:
            self.open = False
            self._came.set()

    def _take(self, event: Json) -> None:
        match event["type"]:
            case "status":
                status = event["status"]
                self.heard.setdefault(event["message_id"], time.monotonic())
                self.wall.setdefault(event["message_id"], event["at"])
                self.states.setdefault(event["message_id"], []).append(status["state"])
                self.details[event["message_id"]] = status.get("detail", "")
            case "presence":
                self.online[event["address"]] = event["online"]
                self.presence.append((time.monotonic(), event["address"], event.get("state", "")))
            case "call":
                self.calls.append(event | {"heard": time.monotonic()})
            case "message":
                message = event["message"]
                self.answers[message.get("refid", "")] = message["body"]
                self.bodies.append(message["body"])
            case _:
                self._replies.append(event)
        self._came.set()


class Rig:
    """Boards by their addresses, each an `EmulatedBoard` to be; and one gateway that knows them."""

    def __init__(
        self,
        folder: Path,
        boards: dict[str, EmulatedBoard],
        more: str = "",
        lease_ms: int = 500,
        env: dict[str, str] | None = None,
    ) -> None:
        self.boards = boards
        self.state = folder / "state"
        self._conf = folder / "gateway.conf"
        self._more = more
        self._lease_ms = lease_ms
        self._env = env or {}
        self._log = folder / "gateway.err"
        self._stack = AsyncExitStack()
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        try:
            for board in self.boards.values():
                await self._stack.enter_async_context(board)
            blocks = "".join(
                BOARD.format(name=name, port=board.port, uid=board.uid, lease=self._lease_ms)
                for name, board in self.boards.items()
            )
            self._conf.write_text(CONF.format(more=self._more) + blocks)
            await self.start()
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._end()
        if error is None:
            before, found, told = self.log.partition("Traceback")
            assert not found, f"{before[-500:]}{found}{told[:3000]}"

    @property
    def log(self) -> str:
        """What gateway and link process wrote, restarts included."""
        logs = (self._log, self.state / "link.log")
        return "\n".join(path.read_text(errors="replace") for path in logs if path.exists())

    @property
    def gateway(self) -> int:
        """Process id."""
        assert self._process is not None
        return self._process.pid

    def link(self) -> int | None:
        """Process id of the link process, if one runs."""
        found = [each.pid for each in processes(self.state) if "iot_bridge.service" in each.command]
        return found[-1] if found else None

    async def start(self) -> float:
        """Start the gateway; the seconds until it was ready."""
        began = time.monotonic()
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *PROGRAM, "run", "--conf", str(self._conf), "--state", str(self.state),
                stdout=asyncio.subprocess.PIPE, stderr=log,
                env={**environment(self.state), **self._env},
            )  # fmt: skip
        assert self._process.stdout is not None
        async with asyncio.timeout(START_S):
            line = await self._process.stdout.readline()
        assert line.startswith(b"ready"), self.log[-3000:]
        return time.monotonic() - began

    async def kill(self) -> None:
        """Kill the gateway; the link process stays."""
        assert self._process is not None
        self._process.kill()
        await self._process.wait()

    async def end(self) -> int:
        """End the gateway in an orderly way; its exit code."""
        assert self._process is not None
        self._process.terminate()
        return await self._process.wait()

    def kill_link(self) -> bool:
        """Kill the link process; whether one was there."""
        pid = self.link()
        with suppress(ProcessLookupError):
            if pid is not None:
                os.kill(pid, signal.SIGKILL)
                return True
        return False

    def desk(self, user: str = "alice") -> Desk:
        """A program at the local door."""
        return Desk(self.state, user)

    async def ready(self, *names: str) -> None:
        """Wait until boards (all, if none is named) answer and may move."""
        async with self.desk() as desk:
            await asyncio.gather(*(insist(desk, name, "rearm") for name in names or self.boards))

    async def _end(self) -> None:
        for process in processes(self.state):
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
        if self._process is not None:
            await self._process.wait()
        await self._stack.aclose()
        nothing_runs(self.state)


async def insist(desk: Desk, to: str, body: str, within: float = WAIT_S) -> float:
    """Say something until it is done, anew each time; the seconds that took."""
    began = time.monotonic()
    async with asyncio.timeout(within):
        while await desk.do(to, body) != "done":
            await asyncio.sleep(0.02)
    return time.monotonic() - began


def ids(prefix: str) -> Iterator[str]:
    """Message ids, one after the other."""
    number = 0
    while True:
        number += 1
        yield f"{prefix}-{number}"
