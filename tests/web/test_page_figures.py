"""How quick the page is, in a real browser: from a click to the robot, from the hub to the eye."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser

from tests.campaigns.figures import note, spread
from tests.campaigns.load import HOG, TALK, Echo, running
from tests.campaigns.rig import Rig, ids, insist, seeded
from tests.campaigns.test_stop_latency import HOGS, HOGS_S, IDLE_S, MESSAGES_PER_S, measured, spare

from . import visitor
from .screen import Screen, address, chromium, gateway, logged_in, paint_s, screen, slow_s

pytestmark = pytest.mark.skipif(not visitor.CHROMIUM, reason="chromium is not installed")
SHORT = pytest.param(20, id="short", marks=[pytest.mark.contract, pytest.mark.timeout(300)])
LONG = pytest.param(500, id="long", marks=[pytest.mark.soak, pytest.mark.timeout(3600)])
LOAD = f"{HOGS} hogs, {MESSAGES_PER_S} messages/s, a hung module"


async def clicks(on: Screen, count: int) -> list[float]:
    """Stop a running motion so often: from the pointer's event to outputs off."""
    names, times, chance = ids(secrets.token_hex(4)), list[float](), seeded()
    await on.go("chat/bot")
    button, begun = await on.middle("#stop"), on.stops
    async with on.rig.desk() as desk:
        for number in range(count):
            await insist(desk, "bot", "rearm")
            name = next(names)
            desk.say("bot", f"move {number} 9", name, expiry=10)
            await desk.begun(name)
            await asyncio.sleep(chance.uniform(0, 0.1))
            seen = len(on.board.outputs)
            await on.page.mouse.click(*button)
            off = await on.done(seen, lambda power: power == 0)
            times.append(off.at - await on.last("presses"))
            await on.stopped(begun + 2 * (number + 1))
    return times


async def moves(on: Screen, count: int) -> list[float]:
    """Hold the joystick and move it so often: from the pointer's event to the robot's record of the value."""
    times, chance = list[float](), seeded()
    await on.rig.ready()
    await on.go("drive/bot")
    pad = on.page.get_by_role("application")
    await pad.and_(on.page.locator("[aria-disabled=false]")).wait_for()
    x, y = await on.middle("[role=application]")
    await on.page.mouse.move(x, y)
    await on.page.mouse.down()
    await on.page.get_by_text("It is yours").wait_for()
    for number in range(count):
        await asyncio.sleep(chance.uniform(0.03, 0.13))
        seen = len(on.board.outputs)
        await on.page.mouse.move(x + (40 if number % 2 else -40) + number % 7, y)
        side = (lambda power: (power or 0) > 0) if number % 2 else (lambda power: (power or 0) < 0)
        there = await on.done(seen, side)
        times.append(there.at - await on.last("moves"))
    await on.page.mouse.up()
    return times


async def messages(on: Screen, count: int) -> list[float]:
    """Hear so many messages: from the time that the hub gave each to its text painted."""
    chance, prefix = seeded(), secrets.token_hex(4)
    await on.go("chat/alice")
    texts = [f"{prefix} {number}" for number in range(count)]
    async with on.rig.desk() as desk:
        for text in texts:
            await asyncio.sleep(chance.uniform(0.02, 0.1))
            desk.say("anna", text, text)
            await on.page.wait_for_function("text => shown.has(text)", arg=text)
            await desk.wait(lambda text=text: text in desk.wall, "it is accepted")
        painted = await on.page.evaluate("Object.fromEntries(shown)")
        return [painted[text] / 1000 - desk.wall[text] for text in texts]


@asynccontextmanager
async def load(on: Screen) -> AsyncIterator[None]:
    """On the machine and on the gateway, but not on browser, line and robot: these are elsewhere in truth."""
    async with on.rig.desk("carol") as desk:
        for number in range(5):
            desk.say("bob", "hang", f"hang {number}")
    spare(on.board.pid, on.line.pid)
    talk = (TALK, str(on.rig.state / "control.sock"), str(MESSAGES_PER_S))
    async with running(*((HOG,) for _ in range(HOGS)), talk):
        yield


async def noted(what: str, measure: Callable[[], Awaitable[list[float]]]) -> None:
    """A figure that is no clause of the contract, beside what the machine itself needs for an echo."""
    echo = Echo()
    async with echo.measured():
        times = await measure()
    note("page", what, spread(times), echo=spread(echo.times_s))
    print(f"bare echo meanwhile: {spread(echo.times_s)}")


async def test_a_click_a_move_and_a_message_arrive(tmp_path: Path) -> None:
    async with screen(tmp_path) as on:
        for measure in (clicks, moves, messages):
            times = await measure(on, 2)
            assert len(times) == 2
            assert min(times) > 0, measure


@pytest.mark.parametrize("count", [SHORT, LONG])
async def test_c07_a_click_stops_a_robot_within_20_ms(tmp_path: Path, count: int) -> None:
    async with screen(tmp_path) as on:
        await measured("from the click in a browser", lambda: clicks(on, count), 0.020, 0.250, IDLE_S)


@pytest.mark.parametrize("count", [SHORT, LONG])
async def test_c07_a_click_preempts_hogs_floods_and_a_hung_module(tmp_path: Path, count: int) -> None:
    async with screen(tmp_path) as on, load(on):
        what = f"from the click in a browser, {LOAD}"
        await measured(what, lambda: clicks(on, count), 0.100, 0.250, HOGS_S)


@pytest.mark.parametrize("count", [SHORT, LONG])
async def test_how_long_set_points_and_messages_take(tmp_path: Path, count: int) -> None:
    async with screen(tmp_path) as on:
        await noted("a move of the joystick to the robot", lambda: moves(on, count))
        await noted("a message, from the hub to its text painted", lambda: messages(on, count))
        async with load(on):
            await noted(f"a message, from the hub to its text painted, {LOAD}", lambda: messages(on, count))


@pytest.mark.parametrize("count", [SHORT, LONG])
async def test_how_long_until_something_is_painted(tmp_path: Path, count: int) -> None:
    """Each time by a browser's window that has nothing of it yet."""
    async with gateway(tmp_path) as rig, chromium() as browser:
        first = await paint_s(await browser.new_context(), rig)
        note("page", "first paint, with the start of the page's process", f"{1000 * first:.0f} ms")
        await noted("first paint", lambda: _paints(browser, rig, min(count, 50)))


@pytest.mark.parametrize("count", [SHORT, LONG])
async def test_how_long_a_slow_phone_waits_for_the_page(tmp_path: Path, count: int) -> None:
    """400 kbit/s and 400 ms, as Chromium emulates them; a phone that has nothing of it yet."""
    async with gateway(tmp_path) as rig, chromium() as browser:
        await paint_s(await browser.new_context(), rig)  # the page's process has started
        found = [await slow_s(await logged_in(browser, address(rig)), rig) for _ in range(min(count, 5))]
        _, requests, size = found[0]
        note(
            "page",
            "requests and bytes, headers too, at 400 kbit/s, 400 ms",
            f"{requests}, {size / 1000:.0f} kB",
        )
        note("page", "until one can talk, at 400 kbit/s, 400 ms", spread([seconds for seconds, *_ in found]))


async def _paints(browser: Browser, rig: Rig, count: int) -> list[float]:
    return [await paint_s(await browser.new_context(), rig) for _ in range(count)]
