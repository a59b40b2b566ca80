"""The gateway stands still, and its page is there: it says so, stops, and loses and doubles nothing."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.scenarios.test_stop import GATEWAY

from .conftest import Visit
from .visitor import Town

NO_ANSWER = "The gateway does not answer"
PAGE = "-m boardtalk.web {"


class Still:
    """One of the processes, which can be frozen."""

    def __init__(self, town: Town, word: str) -> None:
        self._town, self.word = town, word

    def begin(self) -> None:
        self._town.signal(self.word, signal.SIGSTOP)

    def go_on(self) -> None:
        self._town.signal(self.word, signal.SIGCONT)


@pytest.fixture(params=[GATEWAY])
def still(town: Town, request: pytest.FixtureRequest) -> Iterator[Still]:
    """What stands still; its end is the end of the test at the latest."""
    still = Still(town, request.param)
    yield still
    still.go_on()


@pytest.mark.parametrize("still", [GATEWAY, PAGE], ids=["gateway", "page"], indirect=True)
def test_a_frozen_gateway_is_told_stop_works_and_what_is_said_arrives_once(
    visit: Visit, town: Town, still: Still
) -> None:
    town.hear("rearm")
    ben, anna = visit("ben", "chat/anna", phone=True), visit("anna", "chat/ben")
    texts = [f"{still.word}: {each}" for each in ("goes", "nobody has noticed yet", "stands still")]
    ben.say(texts[0])
    anna.page.get_by_text(texts[0], exact=True).last.wait_for()
    still.begin()
    ben.say(texts[1])
    told = ben.page.get_by_role("alert").get_by_text(NO_ANSWER)
    told.wait_for()
    expect(ben.page.locator("#line")).to_have_text("no answer")
    ben.go("chain")
    expect(told).to_be_in_viewport()
    ben.page.get_by_role("button", name="Stop all").click()
    expect(ben.page.locator("#stop-says")).to_contain_text("rover stopped")
    ben.go("chat/anna")
    ben.say(texts[2])
    still.go_on()
    expect(told).to_have_count(0)
    for page in (anna.page, ben.page):
        for _ in range(2):
            expect(page.locator(".said .bubble").get_by_text(still.word)).to_have_text(texts)
            page.reload()


def test_a_command_on_the_line_to_a_frozen_gateway_is_not_offered_again(
    visit: Visit, town: Town, still: Still
) -> None:
    town.hear("rearm")
    ben = visit("ben", "chat/rover")
    still.begin()
    ben.say("battery")
    ben.page.get_by_role("alert").get_by_text(NO_ANSWER).wait_for()
    ben.say("position")
    row = ben.page.locator(".said.own")
    expect(row.nth(1)).to_contain_text("not sent")
    expect(row.nth(0)).to_contain_text("waiting for the gateway")
    ben.page.reload()
    expect(row.nth(1)).to_contain_text("not sent")
    expect(row.nth(0)).to_contain_text("waiting for the gateway")
    still.go_on()
    ben.page.locator("#line[data-state=open]").wait_for()
    expect(row.nth(0)).to_contain_text(re.compile("too late|not sent"))
    ben.page.wait_for_timeout(1500)  # so long all that is read counts as old
    row.nth(1).get_by_role("button", name="Say it again").click()
    expect(row.nth(1).locator(".steps")).to_have_attribute("data-state", "done")
    expect(row).to_have_count(2)


def test_who_drives_is_told_and_has_no_call_any_more(visit: Visit, town: Town, still: Still) -> None:
    town.hear("rearm")
    page = visit("ben", "drive/rover").page
    pad = page.get_by_role("application")
    pad.and_(page.locator("[aria-disabled=false]")).wait_for()
    box = pad.bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 3)
    page.mouse.down()
    page.get_by_text("It is yours").wait_for()
    still.begin()
    page.get_by_text("The line is gone: the robot stops.").wait_for()
    expect(page.get_by_text("It is yours")).to_have_count(0)
    page.mouse.up()
    still.go_on()
    page.locator("#line[data-state=open]").wait_for()
    assert town.stands()
