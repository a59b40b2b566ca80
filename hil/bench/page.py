"""The web page as browsers meet it, but without one: memory with many pages open, and its sockets' times."""

from __future__ import annotations

import asyncio
import json
import re
import statistics
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import httpx
from websockets.asyncio.client import connect

from boardtalk import stop
from boardtalk.cli.common import me
from boardtalk.events import Update
from boardtalk.frontends import control
from boardtalk.frontends.client import GatewayClient
from boardtalk.hil.bench.rows import Row
from boardtalk.hil.board import EmulatedBoard
from boardtalk.hil.demo import CONF
from boardtalk.hil.gateway import GatewayProcess
from boardtalk.sdk import Role

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from websockets.asyncio.client import ClientConnection

PAGES: Final = 50
ROUNDS: Final = 100
MOVE_EVERY_S: Final = 0.05
SETTLE_S: Final = 2.0
WITHIN_S: Final = 10.0
USER: Final = "bench"
PASSWORD: Final = "only for this bench"  # noqa: S105 - of a gateway that ends with it
PROCESSES: Final = {"gateway": "boardtalk run", "page": "boardtalk.web {", "stop": "boardtalk.web.stop {"}
"""How each is recognised by its command line."""


class _Page(NamedTuple):
    """What an open page has that shows a robot."""

    chat: ClientConnection
    live: ClientConnection
    stop: ClientConnection


def rows() -> Iterator[Row]:
    """First answer, memory by its proportional share (PSS), and times of messages, set-points and stops."""
    yield from asyncio.run(_measure())


async def _measure() -> list[Row]:
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="boardtalk-bench-")))
        board = await stack.enter_async_context(EmulatedBoard("rover"))
        gateway = await stack.enter_async_context(GatewayProcess(folder, CONF.format(port=board.port)))
        await gateway.online("rover", me())
        client = await stack.enter_async_context(GatewayClient.connect(folder, me()))
        await client.ask(control.ChangeUser("add", USER, Role.OPERATOR), control.UserChanged)
        await client.ask(control.ChangeUser("passwd", USER, password=PASSWORD), control.UserChanged)
        url = re.findall(r"page=(\S+)", gateway.ready)[0]
        browser = await stack.enter_async_context(httpx.AsyncClient(base_url=url, headers={"Origin": url}))

        found = await _answers(browser)
        await browser.post("/login", json={"user": USER, "password": PASSWORD})
        pages = [await _open(stack, browser)]
        await asyncio.sleep(SETTLE_S)
        found += _memory(folder, "1 page")
        found += _spread("a set-point to the robot", await _moves(pages[0], board))
        pages += [await _open(stack, browser) for _ in range(PAGES - 1)]
        await asyncio.sleep(SETTLE_S)
        found += _memory(folder, f"{PAGES} pages")
        one, all_ = await _messages(client, pages)
        found += _spread("a message from the hub to a page", one)
        found += _spread(f"… to the last of {PAGES}", all_)
        base = await _bare_stops(folder)
        return found + _spread("a stop to its confirmation", await _stops(pages[0]), base)


async def _answers(browser: httpx.AsyncClient) -> list[Row]:
    began = time.perf_counter()
    await browser.get("/", timeout=WITHIN_S)
    first, times = time.perf_counter() - began, []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        await browser.get("/")
        times.append(time.perf_counter() - began)
    starting = Row(name="the first answer: its process starts", value=first * 1000, unit="ms", n=1)
    return [starting, *_spread("an answer later", times)]


async def _open(stack: AsyncExitStack, browser: httpx.AsyncClient) -> _Page:
    """Open a page with the rover's view, as its scripts do."""
    cookie = "; ".join(f"{each.name}={each.value}" for each in browser.cookies.jar)
    url = browser.base_url
    port = (await browser.get("/me")).json()["stop_port"]

    async def lane(path: str, port: int | None) -> ClientConnection:
        return await stack.enter_async_context(
            connect(
                f"ws://{url.host}:{port}{path}",
                origin=browser.headers["Origin"],  # type: ignore[arg-type]
                additional_headers={"Cookie": cookie},
                proxy=None,
                max_queue=None,
            )
        )

    chat, live, button = await lane("/ws", url.port), await lane("/live", url.port), await lane("/stop", port)
    await _say(chat, op="hello")
    page = (await _heard(chat, type="welcome"))["page"]
    await _say(live, op="hello", page=page, robot="rover")
    return _Page(chat, live, button)


async def _messages(client: GatewayClient, pages: Sequence[_Page]) -> tuple[list[float], list[float]]:
    """Seconds from acceptance until a page has a message, the first one and the last of all."""
    events = aiter(client.events())
    first, last = [], []
    for number in range(ROUNDS):
        text = f"message {number}"
        client.say(USER, text)
        times = await asyncio.gather(*(_when(page.chat, text) for page in pages))
        while not (isinstance(event := await anext(events), Update) and event.status.state == "accepted"):
            pass
        first.append(times[0] - event.at)
        last.append(max(times) - event.at)
    return first, last


async def _when(chat: ClientConnection, text: str) -> float:
    while (await _heard(chat, type="message"))["message"]["body"] != text:
        pass
    return time.time()


async def _moves(page: _Page, board: EmulatedBoard) -> list[float]:
    """Seconds from a set-point's way out to the robot's own record of it."""
    await _say(page.chat, op="ask", n=1, request={"op": "call", "to": "rover"})
    call = (await _heard(page.chat, type="answer"))["value"]["call"]
    times = []
    for number in range(ROUNDS):
        await asyncio.sleep(MOVE_EVERY_S)
        seen, power = len(board.outputs), 1 + number % 50
        began = time.monotonic()
        await _say(page.live, op="set", call=call, values=f"x=0 y={power}")
        async with asyncio.timeout(WITHIN_S):
            times.append(await _recorded(board, seen, power) - began)
    await _say(page.chat, op="hang up", call=call)
    return times


async def _recorded(board: EmulatedBoard, seen: int, power: int) -> float:
    """When the robot, by its own record, had this power."""
    while True:
        for each in board.outputs[seen:]:
            if each.state.get("left") == power:
                return each.at
        await asyncio.sleep(0.001)


async def _stops(page: _Page) -> list[float]:
    times = []
    for number in range(ROUNDS):
        began = time.perf_counter()
        await _say(page.stop, robot="rover", n=number)
        await _heard(page.stop, n=number)
        times.append(time.perf_counter() - began)
    return times


async def _bare_stops(folder: Path) -> list[float]:
    """The same by the link process's own socket."""
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        await stop.stop(folder, ("rover",), me())
        times.append(time.perf_counter() - began)
    return times


async def _say(lane: ClientConnection, **words: object) -> None:
    await lane.send(json.dumps(words))


async def _heard(lane: ClientConnection, **wanted: object) -> dict[str, Any]:
    """The next thing that is said there with these words in it."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            said: dict[str, Any] = json.loads(await lane.recv())
            if all(said.get(key) == value for key, value in wanted.items()):
                return said


def _spread(name: str, times: Sequence[float], base: Sequence[float] = ()) -> list[Row]:
    ordered, count = sorted(times), len(times)
    median = statistics.median(ordered) * 1000
    p99 = Row(name=f"{name}, p99", value=ordered[count * 99 // 100] * 1000, unit="ms", n=count)
    if not base:
        return [Row(name=f"{name}, p50", value=median, unit="ms", n=count), p99]
    return [Row.against(f"{name}, p50", median, "ms", count, statistics.median(base) * 1000), p99]


def _memory(folder: Path, when: str) -> list[Row]:
    """What each process takes with so many pages, and all of them."""
    shares = {name: _share_kb(mark, folder) / 1024 for name, mark in PROCESSES.items()}
    shares["together"] = sum(shares.values())
    return [Row(name=f"memory with {when}, {name}", value=mb, unit="MB", n=1) for name, mb in shares.items()]


def _share_kb(mark: str, folder: Path) -> int:
    """Proportional share of the process whose command line has these two; 0 if there is none."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if mark in line and str(folder) in line:
                return int((entry / "smaps_rollup").read_text().split("\nPss:")[1].split()[0])
        except (OSError, IndexError):
            continue
    return 0
