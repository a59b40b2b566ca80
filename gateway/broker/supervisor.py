"""Keeps a broker process running: starts it, sees that it takes logins, restarts it when it ends."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import signal
import socket
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import structlog

from boardtalk.sdk.leash import leashed
from boardtalk.sdk.mqtt.connection import open_connection
from boardtalk.sdk.mqtt.endpoint import BrokerError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from boardtalk.sdk.mqtt.connection import Connection
    from boardtalk.sdk.mqtt.endpoint import Endpoint

START_TIMEOUT_S: Final = 10.0
"""nats-server needs 50 ms here; a Pi with a slow card a few seconds."""
RESTART_TIMEOUT_S: Final = 2.0
"""One that ran before and does not come up with its data within this will not: clients wait."""
REFUSING_S: Final = 1.0
"""One that listens but lets nobody in for so long will not: with damaged data nats-server is like that."""
STOP_TIMEOUT_S: Final = 3.0
SAYS_S: Final = 2.0
"""Longest that something is waited for that it is to say."""
PROBE_INTERVAL_S: Final = 0.02
MIN_BACKOFF_S: Final = 0.1
MAX_BACKOFF_S: Final = 2.0
"""Longest pause before the next start."""
TAIL_BYTES: Final = 2000
"""Last words of the process that an error text may quote."""

_TAKEN: Final = os.strerror(errno.EADDRINUSE).lower()
"""Part of a broker's last words when it can't listen."""

log = structlog.get_logger()


class PortTaken(BrokerError):
    """Somebody else listens where the broker is to."""


class Supervisor:
    """A broker process in service while the context lasts.

    Args:
        command: program (absolute path) and arguments.
        endpoint: where it takes MQTT, and the login that it must take to count as ready.
        ports: all that it listens on.
        store: its data folder; set aside if it does not start with it.
        greeting: packets that are sent to it after each start.
    """

    def __init__(
        self,
        command: Sequence[str],
        endpoint: Endpoint,
        ports: Sequence[int],
        store: Path,
        greeting: bytes = b"",
    ) -> None:
        self.name = Path(command[0]).name
        self._command = leashed(*command)
        self._endpoint = endpoint
        self._ports = ports
        self._store = store
        self._greeting = greeting
        self._process: asyncio.subprocess.Process | None = None
        self._tail = bytearray()
        self._more = asyncio.Event()
        self._tasks = asyncio.TaskGroup()

    async def __aenter__(self) -> Self:
        """Start the process and wait until it takes a login.

        Raises:
            BrokerError: it does not start; the text quotes its last words.
        """
        await self._tasks.__aenter__()
        try:
            await self._start(START_TIMEOUT_S)
        except BaseException:
            await self._tasks.__aexit__(None, None, None)
            raise
        self._keeper = self._tasks.create_task(self._keep(), name=f"{self.name} supervisor")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._keeper.cancel()
        await self._end()
        await self._tasks.__aexit__(None, None, None)  # an error of the body stays itself

    @property
    def pid(self) -> int | None:
        """Process id of the broker; None while there is none."""
        return self._process.pid if self._process and self._process.returncode is None else None

    def reload(self) -> None:
        """Let it read its files again. If it is being restarted just now it will anyway."""
        if self._process and self._process.returncode is None:
            self._process.send_signal(signal.SIGHUP)

    async def says(self, text: bytes) -> None:
        """Wait until it says this, from now on; or does not, because it has just been started again."""
        self._tail.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(SAYS_S):
                while text not in self._tail:
                    self._more.clear()
                    await self._more.wait()

    # Inside -----------------------------------------------------------------------------------

    async def _keep(self) -> None:
        """Start the process again whenever it ends."""
        while self._process:
            code = await self._process.wait()
            log.warning("broker ended, starting it again", broker=self.name, code=code, words=self._words())
            await self._restart()
            log.info("broker runs again", broker=self.name, pid=self.pid)

    async def _restart(self) -> None:
        backoff_s, told = MIN_BACKOFF_S, ""
        while True:
            await asyncio.sleep(backoff_s)
            try:
                return await self._start(RESTART_TIMEOUT_S)
            except BrokerError as error:
                if str(error) != told:
                    log.error("broker does not start", broker=self.name, reason=str(error))
                told = str(error)
                backoff_s = min(backoff_s * 2, MAX_BACKOFF_S)

    async def _start(self, patience_s: float) -> None:
        """Start the process; if it does not come up with its old data, without them."""
        for port in self._ports:
            check_free(self._endpoint.host, port)
        try:
            await self._start_once(patience_s)
        except PortTaken:  # which says nothing of its data
            raise
        except BrokerError as error:
            if not self._set_store_aside():
                raise
            folder = str(_aside(self._store))
            log.error("broker does not start with its old data: set aside", folder=folder, reason=str(error))
            await self._start_once(START_TIMEOUT_S)

    async def _start_once(self, patience_s: float) -> None:
        self._tail.clear()
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self._command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise BrokerError(f"can't start {self.name}: {error.strerror}") from error
        self._listener = self._tasks.create_task(self._listen(self._process), name=f"{self.name} output")
        try:
            connection = await self._ready(self._process, patience_s)
            connection.send(self._greeting)
            await connection.close()
        except BaseException:
            await self._end()
            raise

    async def _ready(self, process: asyncio.subprocess.Process, patience_s: float) -> Connection:
        """A connection to the process, as soon as it takes one."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + patience_s
        with suppress(TimeoutError):
            async with asyncio.timeout_at(deadline) as patience:
                while process.returncode is None:
                    try:
                        return await open_connection(self._endpoint, "probe")
                    except BrokerError:  # it is there
                        deadline = min(deadline, loop.time() + REFUSING_S)
                        patience.reschedule(deadline)
                    except OSError:
                        pass
                    await asyncio.sleep(PROBE_INTERVAL_S)
        with suppress(ProcessLookupError):
            process.kill()  # it has nothing to finish
        await self._end()
        words = self._words() or "it says nothing"
        kind = PortTaken if _TAKEN in words.lower() else BrokerError
        raise kind(f"{self.name} does not start on {self._endpoint}: {words}")

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        """Keep the last words of a process."""
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        while data := await process.stdout.read(1 << 16):
            log.debug("broker says", broker=self.name, text=data.decode(errors="replace").rstrip())
            self._tail += data
            del self._tail[:-TAIL_BYTES]
            self._more.set()

    def _words(self) -> str:
        return self._tail.decode(errors="replace").strip()

    def _set_store_aside(self) -> bool:
        """Rename the data folder, if there is anything in it. The broker is no store of record."""
        if not any(self._store.iterdir()):
            return False
        shutil.rmtree(_aside(self._store), ignore_errors=True)
        self._store.rename(_aside(self._store))
        self._store.mkdir(mode=0o700)
        return True

    async def _end(self) -> None:
        """End the process, politely, then by force, and hear its last words."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            self._process.terminate()
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        await self._listener


def check_free(host: str, port: int) -> None:
    """See that nobody else listens there.

    Raises:
        PortTaken: somebody does.
        BrokerError: the address is not ours.
    """
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            kind = PortTaken if error.errno == errno.EADDRINUSE else BrokerError
            raise kind(
                f"can't listen on {host}:{port} ({error.strerror}); set another `port` in the block "
                f"`broker`, or, to use the broker that runs there, `url = mqtt://{host}:{port}`"
            ) from error


def free_port(host: str) -> int:
    """A port that nobody listens on just now."""
    with socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        port: int = probe.getsockname()[1]
        return port


def _aside(store: Path) -> Path:
    return store.with_name(f"{store.name}.damaged")
