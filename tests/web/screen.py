"""A gateway, a robot that records what it does, and a person before a real Chromium: what timings need.

All clocks are of this machine: what the page notes in wall time is turned into the monotonic time of the
robot's record.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from boardtalk.frontends import control
from boardtalk.frontends.client import GatewayClient
from boardtalk.hil.board import EmulatedBoard
from boardtalk.hil.paced import PacedLine
from boardtalk.hil.world import Record
from boardtalk.sdk import Role
from tests.campaigns.load import HANGING
from tests.campaigns.rig import ROBOTS, Rig
from tests.scenarios.rig import local_user

from .house import PASSWORD
from .visitor import CHROMIUM, DESKTOP, FLAGS

NAME = "anna"
CONF = """\
listen {{
    port = 0
}}
module_folders = {folder}
module hanging {{
}}
user bob {{
}}
user carol {{
}}
"""
SLOW = {"offline": False, "latency": 400, "downloadThroughput": 50_000, "uploadThroughput": 50_000}
"""400 kbit/s and 400 ms, in Chromium's units: bytes a second, ms."""
LEASE_MS = 2000
"""Long, so that a busy machine does not stop the robot."""
NOTES = """
window.presses = []; window.moves = []; window.shown = new Map();
const wall = stamp => performance.timeOrigin + stamp;
addEventListener("pointerdown", event => presses.push(wall(event.timeStamp)), {capture: true});
addEventListener("pointermove", event => moves.push(wall(event.timeStamp)), {capture: true});
// What is in the document when a frame is made is painted with it: its end is when the next task runs.
const channel = new MessageChannel();
let waiting = [];
channel.port1.onmessage = () => {
  const now = wall(performance.now());
  for (const text of waiting) shown.set(text, now);
  waiting = [];
};
new MutationObserver(() => requestAnimationFrame(() => {
  const found = [...document.querySelectorAll(".said .bubble")].slice(-50).map(each => each.textContent);
  waiting.push(...found.filter(text => !shown.has(text)));
  channel.port2.postMessage(0);
})).observe(document, {subtree: true, childList: true});
"""
"""When the pointer was pressed and moved, and when which message was painted; in ms of wall time."""


class Screen:
    """A rig with the robot `bot`, and a browser in which `anna` has logged in."""

    def __init__(self, rig: Rig, line: PacedLine, page: Page) -> None:
        self.rig, self.line, self.page = rig, line, page
        self.url = address(rig)

    @property
    def board(self) -> EmulatedBoard:
        return self.rig.boards["bot"]

    async def go(self, view: str) -> None:
        """Show a view, until it can be used: the stop button has a way of its own, which opens by itself."""
        await self.page.goto(f"{self.url}/#/{view}")
        await self.page.locator("#line[data-state=open]").wait_for()
        await self.page.locator("#stop[data-lane=up]").wait_for()

    async def middle(self, place: str) -> tuple[float, float]:
        """Where something is, by its selector."""
        box = await self.page.locator(place).bounding_box()
        assert box
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    async def last(self, notes: str) -> float:
        """Of the presses or moves the last one, by the monotonic clock."""
        return monotonic(await self.page.evaluate(f"{notes}.at(-1)"))

    @property
    def stops(self) -> int:
        """How many stops the link process has carried out for her."""
        return self.rig.log.count(f" stopped by {NAME}:")

    async def stopped(self, count: int) -> None:
        """Wait for so many in all: a click goes two ways, and the later one would end the next motion."""
        async with asyncio.timeout(15):
            while self.stops < count:
                await asyncio.sleep(0.02)

    async def done(self, seen: int, wanted: Callable[[Any], bool], within: float = 15.0) -> Record:
        """The first record behind so many in which the robot's power is as wanted."""
        async with asyncio.timeout(within):
            while True:
                for each in self.board.outputs[seen:]:
                    if wanted(each.state.get("power")):
                        return each
                await asyncio.sleep(0.005)


def address(rig: Rig) -> str:
    """Of the page."""
    return str(msgspec.json.decode((rig.state / "endpoints.json").read_bytes())["page"])


def monotonic(wall_ms: float) -> float:
    """A time that the page noted, in seconds of the monotonic clock."""
    return wall_ms / 1000 - time.time() + time.monotonic()


async def logged_in(browser: Browser, url: str) -> BrowserContext:
    """A browser's window of somebody who has logged in."""
    context = await browser.new_context(viewport=DESKTOP, locale="en-GB")
    headers = {"Origin": url}
    answer = await context.request.post(
        f"{url}/login", data={"user": NAME, "password": PASSWORD}, headers=headers
    )
    assert answer.ok, await answer.text()
    await context.add_init_script(NOTES)
    return context


@asynccontextmanager
async def gateway(folder: Path, line: PacedLine | None = None) -> AsyncIterator[Rig]:
    """With the robot, the page, and somebody who may log in."""
    (folder / "modules").mkdir()
    (folder / "modules" / "hanging.py").write_text(HANGING)
    board = EmulatedBoard(ROBOTS / "ledger", line=line)
    async with Rig(folder, {"bot": board}, CONF.format(folder=folder / "modules"), LEASE_MS) as rig:
        async with GatewayClient.connect(rig.state, local_user()) as client:
            for change in (
                control.ChangeUser("add", NAME, Role.OPERATOR),
                control.ChangeUser("passwd", NAME, password=PASSWORD),
            ):
                await client.ask(change, control.UserChanged)
        await rig.ready()
        yield rig


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """A browser that is spared by the load: a person has it on a machine of his own."""
    async with AsyncExitStack() as stack:
        with _foremost():  # its many threads and processes inherit it
            playwright = await stack.enter_async_context(async_playwright())
            browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        stack.push_async_callback(browser.close)
        yield browser


@asynccontextmanager
async def screen(folder: Path) -> AsyncIterator[Screen]:
    """All together."""
    line = PacedLine(115_200)
    async with gateway(folder, line) as rig, chromium() as browser:
        context = await logged_in(browser, address(rig))
        yield Screen(rig, line, await context.new_page())


async def paint_s(context: BrowserContext, rig: Rig) -> float:
    """Open the page in a window; the seconds until the first content is painted. Closes the window."""
    page = await context.new_page()
    await page.goto(f"{address(rig)}/")
    found = await page.wait_for_function(
        "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
    )
    ms = await found.json_value()
    await context.close()
    return float(ms) / 1000


async def slow_s(context: BrowserContext, rig: Rig) -> tuple[float, int, int]:
    """Open the chat over a slow line: seconds until it is connected, requests, bytes. Closes the window."""
    page, sizes = await context.new_page(), list[int]()
    session = await context.new_cdp_session(page)
    session.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    await session.send("Network.enable")
    await session.send("Network.emulateNetworkConditions", SLOW)
    began = time.monotonic()
    await page.goto(f"{address(rig)}/#/chat/bot", wait_until="commit")
    await page.locator("#line[data-state=open]").wait_for()
    took = time.monotonic() - began
    await page.wait_for_load_state("networkidle")
    await context.close()
    return took, len(sizes), int(sum(sizes))


@contextmanager
def _foremost() -> Iterator[None]:
    before = os.getpriority(os.PRIO_PROCESS, 0)
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, -15)
    yield
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, before)
