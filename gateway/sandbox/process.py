"""The gateway's end of an isolated module's process."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

import msgspec

from boardtalk.sandbox import api
from boardtalk.sandbox.lines import Lines
from boardtalk.sdk import BoardtalkError, Code, Refused, ServiceError, State, Status
from boardtalk.sdk.channel import MAX_LINE_BYTES, Channel
from boardtalk.sdk.leash import leashed
from boardtalk.sdk.tasks import cancel_and_wait

if TYPE_CHECKING:
    from pathlib import Path

    from boardtalk.sdk import Context, Message

PROGRAM: Final = ("-P", "-m", "boardtalk.sandbox")
END_S: Final = 1.0
"""How long a process may take to end once the gateway has hung up."""
MAX_PRINTED_CHARS: Final = 1000
SUSPICIOUS_S: Final = 0.05
"""Whoever waits longer for an answer wants to know whether the process is still with us."""
LOG_RATE: Final = 100
"""Lines a second that a module may log; the others are counted."""
ASK_RATE: Final = 2000
"""Asks a second; then the module waits."""
SEE_RATE: Final = 2000
"""What a module sees of the world in a second, as far as it is recorded."""
LOST: Final = Status(
    code=Code.FAILED, state=State.UNKNOWN, detail="a module took it, and its process ended before it answered"
)
KEPT: Final = ("PATH", "LANG", "LC_ALL", "TZ", "PYTHONPATH", "SSL_CERT_FILE", "SSL_CERT_DIR")
"""What the process sees of the gateway's environment: there may be secrets in the rest."""


class ProcessEnded(BoardtalkError):
    """The process of an isolated module is not there any more."""

    def __init__(self) -> None:
        super().__init__("its process has ended, and is started again")


class NoReaction(BoardtalkError):
    """The process of an isolated module computes without end, or hangs."""

    def __init__(self) -> None:
        super().__init__("its process does not react")


class Quota:
    """So many a second."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._left = rate
        self._since = time.monotonic()

    def take(self) -> float:
        """Use one; 0.0, or seconds until there is one again."""
        elapsed = time.monotonic() - self._since
        if elapsed >= 1.0:
            self._since += elapsed
            self._left = self._rate
        if not self._left:
            return 1.0 - elapsed
        self._left -= 1
        return 0.0


class Onlooker(Protocol):
    """What the gateway's own contexts have beside those of the SDK."""

    @property
    def watched(self) -> bool:
        """Whether somebody wants to know what modules see of the world."""

    def saw(self, what: str, value: Any) -> Any:
        """Tell it."""


class Process:
    """A running process, made by `start`."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        lines: Lines[api.AnyAnswer],
        asks: Channel[api.AnyAsk],
        context: Context,
    ) -> None:
        self._process = process
        self._lines = lines
        self._asks = asks
        self._context = context
        self._number = 0
        self._waiting: dict[int, asyncio.Future[api.AnyAnswer]] = {}
        self._requests: dict[int, api.AnyRequest] = {}
        """Those that nothing has answered yet, as far as somebody waits, in their order."""
        self._stuck_on: api.AnyRequest | None = None
        self._last: Message | None = None
        """The last message that it was asked about."""
        self._over = asyncio.Event()
        """Set when it has said its last word."""
        self._loop = asyncio.get_running_loop()
        self.suspicious = asyncio.Event()
        """Set when an answer is late, or nobody waits for it any more."""
        self._stalled = False
        self._logs = Quota(LOG_RATE)
        self._unlogged = 0
        self._onlooker = cast("Onlooker", context)
        self._seen = Quota(SEE_RATE)
        self.addresses: set[str] = set()
        """Those that the module answers for."""
        self.calls: set[str] = set()
        """Ids of the calls that it answered."""
        self.taken: dict[int, Message] = {}
        """Of a native module: messages that it is asked about, or took and has not reported the end of."""
        self._tasks = [
            asyncio.create_task(work, name=f"{context.instance}: {name}")
            for name, work in (("asks", self._serve()), ("output", self._hear()))
        ]
        lines.listen(self._take, self._end)

    @classmethod
    async def start(cls, begin: api.Begin, context: Context) -> Process:
        """Start a process that will be the module as soon as it is sent `api.Start`.

        Raises:
            OSError: it can't be started.
        """
        requests, its_requests = socket.socketpair()
        asks, its_asks = socket.socketpair()
        with its_requests, its_asks:
            process = await asyncio.create_subprocess_exec(
                *leashed(sys.executable, *PROGRAM, str(its_requests.fileno()), str(its_asks.fileno())),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                pass_fds=(its_requests.fileno(), its_asks.fileno()),
                start_new_session=True,
                env=environment(context.folder),
                cwd=context.folder,
            )
        assert process.stdin is not None  # noqa: S101 - it is a pipe
        process.stdin.write(msgspec.json.encode(begin))
        process.stdin.close()
        reader, writer = await asyncio.open_unix_connection(sock=asks, limit=MAX_LINE_BYTES)
        lines: Lines[api.AnyAnswer] = await Lines.connect(requests, api.AnyAnswer)
        return cls(process, lines, Channel(reader, writer, api.AnyAsk), context)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    async def call(self, request: api.AnyRequest) -> api.AnyAnswer:
        """Have a request carried out. Who stops waiting has it cancelled.

        Raises:
            ProcessEnded: the process is gone, or goes before it answers.
            NoReaction: it does not react.
        """
        if self._stalled:
            raise NoReaction
        number, answer = self._request(request)
        late = self._loop.call_later(SUSPICIOUS_S, self.suspicious.set)
        try:
            return await answer
        except asyncio.CancelledError:
            self.suspicious.set()
            with suppress(ServiceError):
                self._lines.send(api.Cancel(request=number))
            raise
        finally:
            late.cancel()
            self._forget(number)

    async def reacts(self, verbosity: int, *, patience: float, within: float) -> bool:
        """Whether it does, in time. For calls that last longer than `patience`, it has failed meanwhile.

        Raises:
            ProcessEnded: it is gone.
        """
        number, pong = self._request(api.Ping(verbosity=verbosity))
        try:
            await asyncio.wait({pong}, timeout=patience)
            if not pong.done():
                self._stalled = True
                self._stuck()
                for answer in self._waiting.values():
                    if answer is not pong and not answer.done():
                        answer.set_exception(NoReaction())
                await asyncio.wait({pong}, timeout=within - patience)
            if pong.done():
                self._stalled = False
                pong.result()
                if not self._over.is_set():
                    self._stuck_on = None
            return pong.done()
        finally:
            pong.cancel()
            self._forget(number)

    def _request(self, request: api.AnyRequest) -> tuple[int, asyncio.Future[api.AnyAnswer]]:
        self._number += 1
        request.re, request.watched = self._number, self._onlooker.watched
        try:
            self._lines.send(request)
        except ServiceError as error:
            self.suspicious.set()
            raise ProcessEnded from error
        if isinstance(request, api.OnMessage):
            self._last = request.message
        answer = self._waiting[request.re] = self._loop.create_future()
        self._requests[request.re] = request
        return request.re, answer

    def _forget(self, number: int) -> None:
        del self._waiting[number]
        self._requests.pop(number, None)

    def _stuck(self) -> None:
        """Note what it was busy with: one that answers at once, answers in the order of the requests."""
        self._stuck_on = self._stuck_on or next(
            (each for each in self._requests.values() if not isinstance(each, api.Ping)), None
        )

    def kill(self) -> None:
        """End it now, with all that it started."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    async def close(self) -> str:
        """Hang up, and see that it ends; how it did, in words, and what it had in hand."""
        self._lines.close()
        self._asks.close()
        try:
            async with asyncio.timeout(END_S):
                await self._process.wait()
        except TimeoutError:
            pass
        finally:
            self.kill()
        code = await self._process.wait()
        await self._over.wait()
        await asyncio.wait(self._tasks, timeout=END_S)
        await cancel_and_wait(*self._tasks)  # without seccomp, what it started may hold its sockets
        for address in self.addresses:
            self._context.unregister(address)
        for call in self.calls:
            self._context.end_call(call, "the module that answered has ended")
        for message in self.taken.values():
            self._context.report(message, LOST)
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        return f"{how}{_in_hand(self._stuck_on, self._last)}"

    def _take(self, answer: api.AnyAnswer) -> None:
        if isinstance(answer, api.Logged):
            self._log(answer)
        elif isinstance(answer, api.Saw):
            self._note(answer)
        elif (waiting := self._waiting.get(answer.re)) and not waiting.done():
            self._requests.pop(answer.re, None)
            waiting.set_result(answer)

    def _end(self, error: str) -> None:
        if error:
            self._context.log.error("process of a module speaks nonsense: ended", error=error)
            self.kill()
        self.suspicious.set()
        self._over.set()
        self._stuck()
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(ProcessEnded())

    def _note(self, saw: api.Saw) -> None:
        if self._onlooker.watched and not self._seen.take():
            self._onlooker.saw(saw.what, saw.value)

    def _log(self, logged: api.Logged) -> None:
        if self._logs.take():
            self._unlogged += 1
            return
        if self._unlogged:
            self._context.log.warning("module logs too much", left_out=self._unlogged)
            self._unlogged = 0
        reserved = {"event", "exc_info", "level", "module", "stack_info", "timestamp"}
        values = {f"{key}_" if key in reserved else key: value for key, value in logged.values.items()}
        getattr(self._context.log, logged.level)(logged.event, **values)

    async def _hear(self) -> None:
        """What it prints is logged: a terminal is not for it to write to."""
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        while True:
            try:
                line = await self._process.stdout.readline()
            except ValueError:  # longer than the reader's limit
                continue
            if not line:
                return
            text = line.decode(errors="replace").rstrip()[:MAX_PRINTED_CHARS]
            self._log(api.Logged(level="warning", event="printed", values={"text": text}))

    async def _serve(self) -> None:
        quota = Quota(ASK_RATE)
        with suppress(ServiceError):
            async for ask in self._asks:
                if pause := quota.take():
                    await asyncio.sleep(pause)
                self._asks.send(self._replied(ask))

    def _replied(self, ask: api.AnyAsk) -> api.AnyReply:
        try:
            return api.Returned(msgspec.Raw(msgspec.json.encode(self._asked(ask))))
        except Refused as refused:
            return api.Refusal(refused.code, refused.reason)
        except KeyError as error:
            return api.Wrong("KeyError", str(error.args[0]))
        except (ValueError, TypeError) as error:
            return api.Wrong("ValueError", str(error))

    def _asked(self, ask: api.AnyAsk) -> Any:
        notes = self._context.notes
        match ask:
            case api.NoteKeys():
                return list(notes)
            case api.ReadNote(key=key):
                return notes[key]
            case api.WriteNote(key=key, value=value):
                notes[key] = value
                return None
            case api.DeleteNote(key=key):
                del notes[key]
                return None
            case api.Register(contact=contact):
                self._context.register(contact)
                self.addresses.add(contact.address)
                return None
            case api.Unregister(address=address):
                self.addresses.discard(address)
            case api.Report(message=message, status=status) if status.state.terminal:
                self.taken.pop(message.row, None)
        arguments = (getattr(ask, field) for field in ask.__struct_fields__)
        return getattr(self._context, str(ask.__struct_config__.tag))(*arguments)


def environment(folder: Path) -> dict[str, str]:
    """What the process sees of the gateway's environment."""
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    return {
        **kept,
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "MALLOC_ARENA_MAX": "2",
        "PYTHONUNBUFFERED": "1",
    }


def _in_hand(request: api.AnyRequest | None, last: Message | None) -> str:
    """What a process was busy with when it ended, for the log."""
    if request is None:
        return f"; its last message was {_described(last)}" if last else ""
    what = request.__struct_config__.tag
    if isinstance(request, api.OnMessage | api.OnMessageStatus):
        return f" in {what} of message {_described(request.message)}"
    return f" in {what}"


def _described(message: Message) -> str:
    return f"{message.id or message.row} from {message.sender} to {message.to}"
