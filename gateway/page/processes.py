"""The processes of the web page: begun when somebody comes, and again whenever they end.

The gateway itself listens, and hands the listening sockets on. So a page that nobody opens costs nothing, a
port that is taken is known at the start, and who comes while a process starts waits instead of failing.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import os
import socket
import ssl
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Self

import msgspec
import structlog

from boardtalk.conf.blocks import is_loopback
from boardtalk.page.settings import PageSettings
from boardtalk.sdk.leash import leashed

if TYPE_CHECKING:
    from pathlib import Path

    from boardtalk.conf import Listen

BIND_EVERY_S: Final = 1.0
"""Between two attempts at a port that somebody else has."""
MIN_PAUSE_S: Final = 0.1
MAX_PAUSE_S: Final = 5.0
"""Longest pause before a process that ends at once is started again."""
STEADY_S: Final = 10.0
"""One that ran for so long may start again at once."""
STOP_TIMEOUT_S: Final = 3.0
PAGE: Final = "boardtalk.web"
STOP: Final = "boardtalk.web.stop"

log = structlog.get_logger()


class Pages:
    """The processes of the page, in service while the context lasts.

    Args:
        settings: the block `listen`.
        state: the state folder.
    """

    def __init__(self, settings: Listen, state: Path) -> None:
        self._settings = settings
        self._state = state
        self._certificate, self._key = "", ""
        self._tasks = asyncio.TaskGroup()
        self._doors: dict[str, socket.socket] = {}
        self._ports: dict[str, int] = {}
        self._running: dict[str, asyncio.subprocess.Process] = {}
        self._keepers: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        """Listen. What can't be is logged, and nobody else suffers from it."""
        await self._tasks.__aenter__()
        if self._settings.tls and not self._find_certificate():
            return self
        stop_port = self._settings.stop_port
        if stop_port is None:
            stop_port = self._settings.port and self._settings.port + 1
        for name, port in ((STOP, stop_port), (PAGE, self._settings.port)):
            self._ports[name] = port
            self._listen(name)
        self._keepers = [self._tasks.create_task(self._keep(name), name=name) for name in self._ports]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._keepers:
            task.cancel()
        await asyncio.gather(*map(_ended, self._running.values()))
        await self._tasks.__aexit__(None, None, None)  # an error of the body stays itself
        for door in self._doors.values():
            door.close()

    @property
    def url(self) -> str:
        """Where browsers find the page; "" while there is none."""
        if PAGE not in self._doors:
            return ""
        scheme = "https" if self._certificate else "http"
        return f"{scheme}://{self._name()}:{self._ports[PAGE]}"

    # Inside -----------------------------------------------------------------------------------

    def _name(self) -> str:
        """By which name or address others reach this machine."""
        if self._settings.names:
            return self._settings.names[0]
        host = self._settings.host
        with suppress(ValueError):
            address = ipaddress.ip_address(host)
            if address.is_unspecified:
                return _own_address()
            return f"[{host}]" if address.version == 6 else host
        return host

    def _find_certificate(self) -> bool:
        settings, made = self._settings, self._state / "secrets" / "tls"
        certificate, key = settings.certificate or made / "server.crt", settings.key or made / "server.key"
        missing = [str(path) for path in (certificate, key) if not os.access(path, os.R_OK)]
        if missing:
            cure = "see `certificate` and `key`" if settings.certificate else "`boardtalk tls` makes them"
            log.error("no web page: files for `tls` can't be read", files=missing, cure=cure)
            return False
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
        except (OSError, ssl.SSLError) as error:
            log.error("no web page: certificate and key can't be used", certificate=str(certificate),
                      key=str(key), reason=str(error))  # fmt: skip
            return False
        self._certificate, self._key = str(certificate), str(key)
        return True

    def _listen(self, name: str, *, quiet: bool = False) -> bool:
        """Listen for a process; whether that succeeded."""
        host, port = self._settings.host, self._ports[name]
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            door = socket.create_server((host, port), family=family, dualstack_ipv6=host == "::")
        except OSError as error:
            if not quiet:
                what = "no web page" if name == PAGE else "no stop button of its own on the web page"
                key = "port" if name == PAGE else "stop_port"
                cure = (
                    f"somebody else listens there: end that, or set another `{key}` in the block `listen`"
                    if error.errno == errno.EADDRINUSE
                    else "set another `host` or `port` in the block `listen`"
                )
                log.error(what, port=f"{host}:{port}", reason=error.strerror, cure=cure)
            return False
        door.setblocking(False)
        self._doors[name], self._ports[name] = door, door.getsockname()[1]
        return True

    async def _keep(self, name: str) -> None:
        """Start a process when somebody comes, and again when it has ended."""
        while name not in self._doors:
            await asyncio.sleep(BIND_EVERY_S)
            if self._listen(name, quiet=True):
                log.info("the port is free now", process=name, port=self._ports[name])
        loop = asyncio.get_running_loop()
        pause = MIN_PAUSE_S
        while True:
            await _knock(self._doors[name])
            began = loop.time()
            code = await self._run(name)
            pause = MIN_PAUSE_S if loop.time() - began > STEADY_S else min(2 * pause, MAX_PAUSE_S)
            log.warning("a process of the web page ended; it starts again when somebody comes",
                        process=name, code=code)  # fmt: skip
            await asyncio.sleep(pause)

    async def _run(self, name: str) -> int | None:
        """Run a process to its end; its exit code, None if it can't be started."""
        number = self._doors[name].fileno()
        settings = PageSettings(
            state=str(self._state.absolute()),
            fd=number,
            port=self._ports[PAGE],
            stop_port=self._ports[STOP],
            host=self._settings.host,
            names=self._settings.names,
            certificate=self._certificate,
            key=self._key,
        )
        command = leashed(sys.executable, "-P", "-m", name, msgspec.json.encode(settings).decode())
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                start_new_session=True,
                pass_fds=(number,),
            )
        except OSError as error:
            log.error("can't start a process of the web page", process=name, reason=error.strerror)
            return None
        self._running[name] = process
        return await process.wait()


def is_reachable_from_elsewhere(url: str) -> bool:
    """Whether an address of the page means anything to another machine."""
    return not is_loopback(url.partition("://")[2].rpartition(":")[0].strip("[]"))


async def _knock(door: socket.socket) -> None:
    """Wait until somebody connects; he is not accepted."""
    loop = asyncio.get_running_loop()
    came = asyncio.Event()
    loop.add_reader(door, came.set)
    try:
        await came.wait()
    finally:
        loop.remove_reader(door)


async def _ended(process: asyncio.subprocess.Process) -> None:
    """End a process, politely, then by force."""
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(STOP_TIMEOUT_S):
            await process.wait()
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _own_address() -> str:
    """This machine's address in the network that leads outside; else its name. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return socket.gethostname()
        return str(probe.getsockname()[0])
