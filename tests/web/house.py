"""A gateway with its web page, as browsers and strangers meet it."""

from __future__ import annotations

import asyncio
import re
import subprocess
from pathlib import Path
from typing import Any, Self

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from boardtalk.frontends import control
from boardtalk.frontends.client import GatewayClient, ask_unnamed
from boardtalk.sdk import Role
from tests.scenarios.rig import (
    PROGRAM,
    Process,
    Result,
    boardtalk,
    environment,
    local_user,
    nothing_runs,
    processes,
    until,
)

PASSWORD = "correct horse"
CONF = "log_level = info\nlisten {\n  port = 0\n}\n"


class House:
    """`boardtalk run` on a state folder, with a page.

    Args:
        folder: where state and configuration lie.
        conf: the configuration.
    """

    def __init__(self, folder: Path, conf: str = CONF) -> None:
        self.state = folder / "state"
        self.conf = folder / "gateway.conf"
        self.conf.write_text(conf)
        self._out = (folder / "out").open("w+")
        self._log = folder / "log"
        self._child: subprocess.Popen[bytes] | None = None
        self._browsers: list[Browser] = []

    def __enter__(self) -> Self:
        with self._log.open("ab") as log:
            self._child = subprocess.Popen(
                [*PROGRAM, "run", "--conf", str(self.conf), "--state", str(self.state)],
                stdin=subprocess.DEVNULL,
                stdout=self._out,
                stderr=log,
                env=environment(self.state),
            )
        until(lambda: "ready " in self.said or self._child.poll() is not None, "it is ready", within=30)
        assert "ready " in self.said, self.log
        return self

    def __exit__(self, *_: object) -> None:
        for browser in self._browsers:
            browser.close()
        if self._child is not None:
            self._child.terminate()
            try:
                self._child.wait(20)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait()
                raise
            finally:
                self._out.close()
                nothing_runs(self.state)
        assert "Traceback" not in self.log, self.log

    @property
    def pid(self) -> int:
        assert self._child is not None
        return self._child.pid

    @property
    def said(self) -> str:
        """What it printed."""
        return Path(self._out.name).read_text()

    @property
    def log(self) -> str:
        return self._log.read_text()

    @property
    def url(self) -> str:
        """Where the page is."""
        return re.findall(r"page=(\S+)", self.said)[0]

    def token(self) -> str:
        """A fresh one for the first visit."""
        page = asyncio.run(ask_unnamed(self.state, control.AskPage()))
        assert isinstance(page, control.Page)
        return page.token

    def cli(self, *arguments: str, stdin: str = "") -> Result:
        return boardtalk(*arguments, state=self.state, stdin=stdin)

    def process(self, word: str) -> Process:
        """The one process with this module's name."""
        return until(
            lambda: [each for each in processes(self.state) if f"-m {word} " in each.command],
            f"a process {word}",
        )[0]

    def browser(self, **headers: str) -> Browser:
        self._browsers.append(Browser(self.url, headers))
        return self._browsers[-1]

    def settled(self, name: str = "eve") -> Browser:
        """The browser of the first admin, who has just been made."""
        browser = self.browser()
        made = browser.post("/setup", token=self.token(), user=name, password=PASSWORD)
        assert made.status_code == 200, made.text
        return browser

    def add(self, name: str, role: Role) -> None:
        """A user with a password."""
        asyncio.run(self.add_with_password(name, role))

    async def add_with_password(self, name: str, role: Role) -> None:
        """The same for who has a loop."""
        await self.change(control.ChangeUser("add", name, role))
        await self.change(control.ChangeUser("passwd", name, password=PASSWORD))

    async def change(self, request: control.ChangeUser) -> None:
        """Do what `boardtalk user` does."""
        async with GatewayClient.connect(self.state, local_user()) as client:
            await client.ask(request, control.UserChanged)


class Browser(httpx.Client):
    """An HTTP client that behaves like the page: it says where it is from, and sends JSON."""

    def __init__(self, url: str, headers: dict[str, str], **options: Any) -> None:
        self.origin = url
        self._context = options.get("verify")
        super().__init__(
            base_url=url, headers={"Origin": url, **headers}, timeout=20, trust_env=False, **options
        )

    def post(self, path: str, **fields: Any) -> httpx.Response:  # type: ignore[override]
        return super().post(path, json=fields)

    def log_in(self, name: str, password: str = PASSWORD) -> httpx.Response:
        return self.post("/login", user=name, password=password)

    @property
    def cookie(self) -> str:
        """The `Cookie` header that it sends."""
        return "; ".join(f"{each.name}={each.value}" for each in self.cookies.jar)

    def socket(self, path: str = "/ws", port: int = 0, **changed: str) -> connect:
        """A WebSocket to the page, or to its stop lane at `port`."""
        url = httpx.URL(self.origin)
        place = f"{url.host}:{port or url.port}"
        headers = {"Origin": self.origin, "Cookie": self.cookie, **changed}
        return connect(
            f"{'wss' if url.scheme == 'https' else 'ws'}://{place}{path}",
            origin=headers.pop("Origin") or None,
            additional_headers=headers,
            ssl=self._context,
            proxy=None,
        )


async def closed(socket: ClientConnection, within: float = 10.0) -> int:
    """The code with which a WebSocket is closed."""
    try:
        async with asyncio.timeout(within):
            while True:
                await socket.recv()
    except ConnectionClosed as end:
        assert end.rcvd is not None, "the connection broke"
        return end.rcvd.code
