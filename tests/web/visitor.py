"""People with a real Chromium, and a line that can be cut."""

from __future__ import annotations

import asyncio
import re
import shutil
import socket
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from boardtalk.events import Delivery
from boardtalk.frontends import control
from boardtalk.frontends.client import GatewayClient
from boardtalk.sdk import Role
from tests.scenarios.rig import Gateway, local_user, until

from .house import PASSWORD

T = TypeVar("T")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = ("--no-sandbox", "--disable-dev-shm-usage")
"""As root, and with little shared memory, as in containers."""
PATIENCE_MS = 15_000
"""On a busy machine."""
expect.set_options(timeout=PATIENCE_MS)
DESKTOP, PHONE = {"width": 1280, "height": 800}, {"width": 360, "height": 740}
OVERRUN_S = 0.8
"""The lease, what it takes to brake, and a busy machine."""
GROUP = "group team {\n  members = anna, ben\n}\n"
VIOLATIONS = """
window.violations = [];
document.addEventListener("securitypolicyviolation", event => {
  violations.push(`${event.violatedDirective} ${event.blockedURI}`);
});
"""


@contextmanager
def chromium() -> Iterator[Browser]:
    """One, headless."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


class Town(Gateway):
    """A gateway with the simulated rover and its web page, where three can log in."""

    def __init__(self, state: Path) -> None:
        super().__init__(state)
        (state / "conf.d").mkdir(parents=True)
        (state / "conf.d" / "team.conf").write_text(GROUP)

    @property
    def url(self) -> str:
        """Where the page is."""
        return re.findall(r"page=(\S+)", self.ready)[0]

    def settle(self, people: dict[str, Role]) -> None:
        """Add people, by their roles, who can log in."""

        async def add(client: GatewayClient) -> None:
            for name, role in people.items():
                for action in ("add", "passwd"):
                    change = control.ChangeUser(action, name, role, PASSWORD if action == "passwd" else "")
                    await client.ask(change, control.UserChanged)

        self.with_client(add)

    def pour(self, to: str, texts: Sequence[str]) -> None:
        """Say many things as the person at the terminal, as quickly as the gateway takes them."""

        async def say(client: GatewayClient) -> None:
            for text in texts:
                client.say(to, text)
            await client.ask(control.History(limit=1), control.Past)

        self.with_client(say)

    def hear(self, text: str) -> str:
        """What the rover answers to the person at the terminal."""

        async def ask(client: GatewayClient) -> str:
            message_id = client.say("rover", text)
            async for event in client.events():
                if isinstance(event, Delivery) and event.message.refid == message_id:
                    return event.message.body
            raise AssertionError("the gateway went away")

        return self.with_client(ask)

    def moved(self, before: str) -> None:
        """Wait until the rover is elsewhere: on a busy machine it begins late."""
        until(lambda: self.hear("position") != before, "it moves")

    def stopped(self, user: str, count: int) -> None:
        """Wait for so many stops of a user in all: a click goes two ways, and the later undoes a re-arm."""
        log = self.state / "link.log"
        until(lambda: log.read_text().count(f" stopped by {user}:") >= count, "both ways stop it")

    def stands(self) -> bool:
        """Whether the rover does not move any more, soon after whatever came."""
        time.sleep(OVERRUN_S)
        there = self.hear("position")
        time.sleep(0.3)
        return self.hear("position") == there

    def with_client(self, work: Callable[[GatewayClient], Coroutine[None, None, T]]) -> T:
        """Do something as the person at the terminal, without a process for it."""

        async def connected() -> T:
            async with asyncio.timeout(15), GatewayClient.connect(self.state, local_user()) as client:
                return await work(client)

        # Playwright's own loop runs in this thread.
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(asyncio.run, connected()).result()


class Visitor:
    """Somebody with a browser. His page must not have had errors, nor wanted what its policy forbids."""

    def __init__(self, browser: Browser, url: str, *, phone: bool = False, **options: object) -> None:
        self.url = url
        self.context: BrowserContext = browser.new_context(
            viewport=PHONE if phone else DESKTOP, has_touch=phone, locale="en-GB", **options
        )
        self.context.set_default_timeout(PATIENCE_MS)
        self.context.add_init_script(VIOLATIONS)
        self.page: Page = self.context.new_page()
        self.errors: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))

    def log_in(self, name: str, view: str = "chat", *, url: str = "") -> Page:
        """Log in, and open a view."""
        self.url = url or self.url
        headers = {"Origin": self.url}
        answer = self.context.request.post(
            f"{self.url}/login", data={"user": name, "password": PASSWORD}, headers=headers
        )
        assert answer.ok, answer.text()
        return self.open(view)

    def open(self, view: str) -> Page:
        """Load the page anew, with a view."""
        self.page.goto("about:blank")
        self.page.goto(f"{self.url}/#/{view}")
        self.page.locator("#line[data-state=open]").wait_for()
        return self.page

    def go(self, view: str) -> Page:
        """Change the view."""
        self.page.evaluate("view => { location.hash = `#/${view}`; }", view)
        return self.page

    def say(self, text: str) -> None:
        """Type a message and send it."""
        box = self.page.get_by_role("textbox", name="Message to")
        box.fill(text)
        box.press("Enter")

    def leave(self) -> None:
        """Close the browser's window, and see that nothing went wrong there."""
        violations = self.page.evaluate("window.violations ?? []")
        self.context.close()
        assert self.errors == []
        assert violations == []


class Cut:
    """A line to a port that can be cut: browsers' own `offline` leaves open WebSockets alone."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._pairs: list[socket.socket] = []
        self._stalled: list[socket.socket] = []
        self._up = self._flows = True
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._door.getsockname()[1]
        threading.Thread(target=self._accept, name="line", daemon=True).start()

    def cut(self) -> None:
        """From now on nothing passes."""
        self._up = False
        for each in self._pairs:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self._pairs.clear()
        for each in self._stalled:
            each.close()

    def mend(self) -> None:
        self._up = True

    def stall(self) -> None:
        """From now on who comes is let in, and nothing passes: a network that is there, and no use."""
        self.cut()
        self._up, self._flows = True, False

    def close(self) -> None:
        self.cut()
        with suppress(OSError):
            self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._door.accept()
            except OSError:
                return
            if not self._up:
                near.close()
                continue
            if not self._flows:
                self._stalled.append(near)
                continue
            far = socket.create_connection(("127.0.0.1", self._to))
            self._pairs += [near, far]
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=_pump, args=(source, sink), name="pump", daemon=True).start()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            sink.sendall(data)
    for each in (source, sink):
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
    source.close()
