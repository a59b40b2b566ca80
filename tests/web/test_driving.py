"""Driving in a real browser: one at a time, and only as long as somebody holds."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from .conftest import Visit
from .visitor import Cut, Town, Visitor


@pytest.fixture(autouse=True)
def armed(town: Town) -> None:
    town.hear("rearm")


def hold(page: Page) -> None:
    """Hold the pad forward until the rover is ours."""
    pad = page.get_by_role("application")
    expect(pad).to_have_attribute("aria-disabled", "false")
    pad.focus()
    page.keyboard.down("ArrowUp")
    expect(page.locator(".holder")).to_contain_text("It is yours")


def test_who_only_watches_can_stop_but_not_drive(visit: Visit, town: Town) -> None:
    page = visit("vera", "drive/rover").page
    expect(page.get_by_role("application")).to_have_attribute("aria-disabled", "true")
    expect(page.locator(".holder")).to_contain_text("lets you watch")
    expect(page.locator(".pad-box")).to_contain_text("rolls on by itself: up to 1.09 m; keep 1.1 m clear")
    page.locator("#stop[data-lane=up]").wait_for()
    page.get_by_role("button", name="Stop rover").click()
    expect(page.locator("#stop-says[data-how=good]")).to_contain_text("stopped")
    town.stopped("vera", 2)
    expect(page.get_by_role("button", name="Re-arm")).to_have_count(0)


def hide(visitor: Visitor, line: Cut) -> None:
    """The page goes into the background: headless browsers have none, so it is told so."""
    visitor.page.evaluate(
        """() => {
            Object.defineProperty(document, "hidden", {get: () => true, configurable: true});
            document.dispatchEvent(new Event("visibilitychange"));
        }"""
    )


def cut(visitor: Visitor, line: Cut) -> None:
    line.cut()


def leave(visitor: Visitor, line: Cut) -> None:
    visitor.page.goto("about:blank")


@pytest.mark.parametrize("end", [hide, cut, leave])
def test_the_rover_stops_when(visit: Visit, town: Town, line: Cut, end: object) -> None:
    ben = visit("ben")
    page = ben.log_in("ben", "drive/rover", url=f"http://127.0.0.1:{line.port}")
    before = town.hear("position")
    hold(page)
    town.moved(before)
    assert callable(end)
    end(ben, line)
    assert town.stands()


def test_two_who_want_the_rover_see_who_has_it_ask_hand_over_and_take_over(visit: Visit, town: Town) -> None:
    anna, ben = visit("anna", "drive/rover"), visit("ben", "drive/rover")
    hold(anna.page)
    expect(ben.page.locator(".holder")).to_contain_text("anna drives rover")
    expect(ben.page.get_by_role("application")).to_have_attribute("aria-disabled", "true")

    ben.page.get_by_role("button", name="Ask anna for it").click()
    asked = anna.page.get_by_role("alertdialog", name="Hand over rover?")
    expect(asked).to_contain_text("ben asks to drive rover")
    asked.get_by_role("button", name="Hand over").click()
    expect(ben.page.locator(".holder")).to_contain_text("It is yours")
    expect(anna.page.locator(".holder")).to_contain_text("ben drives rover")
    anna.page.keyboard.up("ArrowUp")
    assert town.stands()

    anna.page.get_by_role("button", name="Take over and stop it").click()
    expect(ben.page.get_by_role("region", name="Stopped robots")).to_contain_text("rover is stopped")
    expect(ben.page.locator(".holder")).not_to_contain_text("It is yours")
    anna.page.get_by_role("button", name="Re-arm rover").click()
    anna.page.get_by_role("button", name="Re-arm", exact=True).click()
    hold(anna.page)
    anna.page.keyboard.up("ArrowUp")
    anna.page.get_by_role("button", name="Give it back").click()
    expect(ben.page.locator(".holder")).not_to_contain_text("anna drives")
