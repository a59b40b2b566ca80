"""Boards in a real browser: planned, confirmed, written; by real esptool, on emulated boards."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Page, expect

from boardtalk.frontends import control
from boardtalk.frontends.client import Denied, GatewayClient
from tests.flash.bench import audit
from tests.flash.test_from_chat import begins, put_image
from tests.flash.test_new_boards import KIND, Place

from .visitor import Visitor
from .workshop import WAITING, Workshop

WATCH = """() => {
  window.seen = [];
  setInterval(() => document.querySelectorAll(".change").forEach(each => seen.push(each.textContent)), 100);
}"""
"""Notes what the lines of boards show: a board is written in a second or two."""
Visit = Callable[..., Visitor]

pytestmark = pytest.mark.alone
"""The boards share a process with the browser's driver: beside others they answer too late."""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, chromium: Chromium) -> Iterator[Workshop]:
    folder = tmp_path_factory.mktemp("shop")
    with pytest.MonkeyPatch.context() as patch, Workshop(folder) as shop:
        Place(folder, patch).plug(shop.waiting.port, shop.empty.port)
        shop.open()
        yield shop


@pytest.fixture
def visit(shop: Workshop, chromium: Chromium) -> Iterator[Visit]:
    visitors: list[Visitor] = []

    def enter(name: str, view: str = "boards", **options: object) -> Visitor:
        visitors.append(Visitor(chromium, shop.house.url, **options))
        visitors[-1].log_in(name, view)
        return visitors[-1]

    yield enter
    for each in visitors:
        each.leave()


def plan(page: Page, robot: str, *more: str, button: str = "Firmware…") -> None:
    """Have a plan made for a robot, and more of them."""
    page.get_by_role("article", name=robot).get_by_role("button", name=button).click()
    dialog = page.get_by_role("alertdialog")
    for each in more:
        dialog.get_by_label(each).check()
    dialog.get_by_role("button", name="Make a plan").click()


def test_two_boards_are_flashed_at_once_by_one_plan_with_progress_and_an_end(
    visit: Visit, shop: Workshop
) -> None:
    page, vera = visit("ana").page, visit("vera").page
    expect(page.get_by_role("article", name="lamp0").get_by_text("emulated-esp32c3")).to_be_visible()
    plan(page, "lamp0", "lamp1")
    shown = page.get_by_role("article", name="Plan")
    for words in ("lamp0", "lamp1", "new-1.27.bin", "200 kB", "sha256 ", "the firmware that is on it"):
        expect(shown).to_contain_text(words)
    assert all(bytes(lamp.flash)[:1] == b"\xff" for lamp in shop.lamps), "a plan touches nothing"
    for lamp in shop.lamps:
        lamp.flash.faults.erase_s = 0.5
    for each in (page, vera):
        each.evaluate(WATCH)
    shown.get_by_role("button", name="Flash these 2 boards").click()
    for each in (page, vera):
        run = each.get_by_role("article", name="ana flashes")
        expect(run.get_by_role("progressbar")).to_have_count(2)
    assert vera.get_by_role("button", name=re.compile("Firmware|Program|Cancel|Adopt")).count() == 0
    run = page.get_by_role("article", name="ana flashes")
    expect(run).to_contain_text("over: 2 of 2 done", timeout=40_000)
    expect(run.get_by_role("status").filter(has_text="unknown → new-1.27.bin")).to_have_count(2)
    assert all(begins(lamp, shop.image) for lamp in shop.lamps)
    expect(vera.get_by_role("article", name="ana flashes")).to_contain_text("over: 2 of 2 done")
    for each in (page, vera):
        seen = "\n".join(each.evaluate("window.seen"))
        for robot in ("lamp0", "lamp1"):
            assert re.search(rf"^{robot}.*writes · \d+ % of 200 kB · [\d.]+ kB/s · \d+ s", seen, re.M), seen


def test_a_plan_that_is_not_true_any_more_is_refused_and_another_one_is_cancelled(
    visit: Visit, shop: Workshop
) -> None:
    page = visit("ana").page
    plan(page, "lamp1")
    shown = page.get_by_role("article", name="Plan")
    expect(shown).to_contain_text("lamp1")
    data = put_image(shop.folder, size=210_000)
    shown.get_by_role("button", name="Flash this board").click()
    expect(page.get_by_role("alert").filter(has_text="the plan is void")).to_contain_text(
        "is not what it was"
    )
    assert not begins(shop.lamps[1], data)
    shop.lamps[1].flash.faults.erase_s = 0.5
    plan(page, "lamp1")
    shown.get_by_role("button", name="Flash this board").click()
    run = page.get_by_role("article", name="ana flashes").first
    run.get_by_role("progressbar").wait_for()
    page.reload()
    run.get_by_role("button", name="Cancel").click()
    expect(run).to_contain_text(re.compile("Cancelled: (stopped|cancelled|not begun)"))
    assert not begins(shop.lamps[1], data)


def test_who_may_not_gets_no_button_and_is_refused_at_the_door_too(visit: Visit, shop: Workshop) -> None:
    vera = visit("vera")
    expect(vera.page.get_by_role("article", name="lamp0")).to_be_visible()
    assert vera.page.get_by_role("button", name=re.compile("Firmware|Program|Adopt")).count() == 0
    vera.go("chat/flash")
    vera.say("/flash lamp0 plan")
    expect(vera.page.locator(".said .bubble").last).to_contain_text("vera may not ")

    async def what_is_plugged_in() -> None:
        async with GatewayClient.connect(shop.house.state, "vera", as_person=True) as client:
            assert (await client.ask(control.Show("flash"), control.Shown)).value["offers"] == {}
            assert (await client.ask(control.Show("iot_bridge"), control.Shown)).value == {}
            await client.ask(control.Plugged(), control.Devices)

    with pytest.raises(Denied, match="may not "):
        shop.wait(what_is_plugged_in())


def test_a_board_that_waits_is_adopted_by_an_admin(visit: Visit, shop: Workshop) -> None:
    ana, page = visit("ana").page, visit("adam").page
    waits = f"Board {WAITING} waits for an address"
    expect(ana.get_by_role("article", name=waits)).to_contain_text("An admin can give it an address.")
    board = page.get_by_role("article", name=waits)
    expect(board).to_contain_text(shop.waiting.port)
    board.get_by_label("Address, for good").fill("vera")
    board.get_by_role("button", name="Adopt").click()
    expect(board.get_by_role("alert")).to_contain_text("is the address of a user")
    board.get_by_label("Address, for good").fill("rex")
    board.get_by_role("button", name="Adopt").click()
    expect(page.get_by_role("article", name="rex")).to_contain_text(WAITING)
    expect(board).to_have_count(0)


def test_an_empty_board_becomes_a_robot_from_its_port_on(visit: Visit, shop: Workshop) -> None:
    page = visit("adam").page
    board = page.get_by_role("article", name=shop.empty.port)
    expect(board).to_contain_text("a bridge")
    assert board.get_by_role("button").count() == 0, "no admin who is not named may"
    page = visit("ana").page
    board = page.get_by_role("article", name=shop.empty.port)
    board.get_by_role("button", name="Firmware…").click()
    dialog = page.get_by_role("alertdialog")
    dialog.get_by_label("Program").select_option("lamps/1.0")
    dialog.get_by_role("button", name="Make a plan").click()
    shown = page.get_by_role("article", name="Plan")
    for words in (shop.empty.port, KIND, "unknown → new-1.27.bin + lamps/1.0", "200 kB"):
        expect(shown).to_contain_text(words)
    expect(shown).not_to_contain_text("it is stopped")
    shown.get_by_role("button", name="Flash this board").click()
    run = page.get_by_role("article", name="ana flashes").first
    expect(run).to_contain_text("waits for MicroPython", timeout=40_000)
    shop.wait(shop.empty.power_on(loader=False))  # it has no control lines
    expect(run).to_contain_text(
        re.compile(r"unknown → lamp .*it needs an address: `/adopt \w+ NAME`"), timeout=40_000
    )
    page = visit("adam").page
    waits = page.get_by_role("article", name=re.compile("waits for an address")).filter(
        has_text=shop.empty.port
    )
    waits.get_by_label("Address, for good").fill("desk")
    waits.get_by_role("button", name="Adopt").click()
    expect(page.get_by_role("article", name="desk")).to_contain_text("ready")
    shop.wait(shop.empty.micropython.power_cut())
    rows = [row for row in audit(shop.house.state) if row[1:3] == ("/flash write", shop.empty.port)]
    assert [row[0] for row in rows] == ["ana", "ana"], "that it began, and how it ended"
    assert all("new-1.27.bin sha256 " in row[3] and "program lamps/1.0 digest " in row[3] for row in rows)


def test_a_program_goes_over_the_line_and_is_there_after_its_trial(visit: Visit) -> None:
    page = visit("ana", phone=True).page
    torch = page.get_by_role("article", name="torch")
    expect(torch).to_contain_text("ready")
    plan(page, "torch", button="Program…")
    shown = page.get_by_role("article", name="Plan")
    expect(shown).to_contain_text("2.0")
    shown.get_by_role("button", name="Update this board").click()
    run = page.get_by_role("article", name="ana updates")
    expect(run.get_by_role("status").filter(has_text=re.compile(r"1\+\w+ → 2\.0\+\w+"))).to_be_visible(
        timeout=40_000
    )
