"""The whole story of a newcomer, in a real browser: from the token in his terminal to a rover that drives."""

from __future__ import annotations

import json
from pathlib import Path

from playwright.sync_api import Browser, expect

from .house import PASSWORD
from .visitor import Town, Visitor


def test_a_newcomer_sets_up_talks_to_the_rover_stops_it_and_lets_it_move_again(
    tmp_path: Path, chromium: Browser
) -> None:
    with Town(tmp_path / "state") as town:
        link = json.loads(town.cli("page", "--json").out)["link"]
        newcomer = Visitor(chromium, town.url)
        page = newcomer.page
        page.goto(link)
        page.get_by_label("Name").fill("nora")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Begin").click()
        page.get_by_role("link", name="rover").click()
        assert "setup" not in page.url

        newcomer.say("forward 20")
        page.locator(".said.own .steps[data-state=done]").wait_for()
        expect(page.locator(".said:not(.own) .bubble").last).to_contain_text("x 20")

        stop = page.get_by_role("button", name="Stop all")
        expect(stop).to_have_attribute("data-lane", "up")
        stop.click()
        expect(page.locator("#stop-says[data-how=good]")).to_contain_text("rover stopped, confirmed")
        expect(page.get_by_role("region", name="Stopped robots")).to_contain_text("rover is stopped")
        page.get_by_role("button", name="Re-arm rover").click()
        stop.click()  # a question does not bar the way to it
        town.stopped("nora", 4)
        page.get_by_role("button", name="Re-arm", exact=True).click()
        expect(page.get_by_role("region", name="Stopped robots")).to_be_empty()

        newcomer.go("drive")
        page.get_by_role("link", name="rover").click()
        pad = page.get_by_role("application")
        pad.focus()
        page.keyboard.down("ArrowUp")
        expect(page.get_by_role("status").filter(has_text="You")).to_contain_text("It is yours")
        town.moved(town.hear("position"))
        page.keyboard.up("ArrowUp")
        assert town.stands()
        newcomer.leave()
