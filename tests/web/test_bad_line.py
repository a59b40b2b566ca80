"""The page over a line that is slow, loses some of it, or leads to a gateway that stands still."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from tests.scenarios.rig import GATEWAY, until

from .conftest import Visit
from .visitor import Cut, Town

NO_ANSWER = "The gateway does not answer"
SIZES = """performance.getEntriesByType("resource").filter(each => /\\.(js|css)$/.test(each.name))
  .map(each => [each.name, each.encodedBodySize, each.decodedBodySize])"""
PAGE = "-m boardtalk.web {"
FOUND_LATE = """() => {
  const all = [...document.querySelectorAll("link[href], script[src]")];
  const named = new Set(all.map(each => each.href ?? each.src));
  return performance.getEntriesByType("resource").map(each => each.name)
    .filter(name => name.includes("/static/") && !named.has(name));
}"""


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


def test_whatever_a_view_needs_is_named_by_the_page_itself_and_comes_packed_and_once(visit: Visit) -> None:
    vera = visit("vera")
    for view in ("robot/rover", "drive/rover", "boards", "chain", "system", "why/1"):
        vera.go(view)
        vera.page.locator("main h1, main .empty").first.wait_for()
    assert vera.page.evaluate(FOUND_LATE) == []
    names = vera.page.evaluate("performance.getEntriesByType('resource').map(each => each.name)")
    scripts = [name for name in names if name.endswith(".js")]
    assert len(scripts) == len(set(scripts)), "none is asked for twice"
    for name, packed, whole in vera.page.evaluate(SIZES):
        assert packed < whole or whole < 150, f"{name} comes packed"


@pytest.mark.parametrize(
    ("part", "told"),
    [
        ("chat/row.js", "A part of this page did not come"),
        pytest.param("drive/pad.js", "This part of the page did not come", marks=pytest.mark.soak),
    ],
)
def test_a_part_that_does_not_come_is_told_and_stop_is_there(visit: Visit, part: str, told: str) -> None:
    ben = visit("ben", "chat/rover", phone=True, service_workers="block")
    page = ben.page
    page.route(f"**/js/{part}", lambda route: route.abort())
    page.goto("about:blank")
    page.goto(f"{ben.url}/#/drive/rover")
    page.get_by_text(told).wait_for()
    expect(page.locator("#stop[data-lane=up]")).to_be_in_viewport()
    page.get_by_role("button", name="Stop all").click()
    expect(page.locator("#stop-says")).to_contain_text("rover stopped")
    page.unroute_all()
    page.get_by_text(re.compile("Load (it|the page) again")).click()
    page.locator("#line[data-state=open]").wait_for()


def test_the_page_opens_where_a_network_is_there_and_nothing_comes_through(visit: Visit, town: Town) -> None:
    line = Cut(urlsplit(town.url).port or 0)
    vera = visit("vera")
    page = vera.log_in("vera", "chat/ben", url=f"http://127.0.0.1:{line.port}")
    until(lambda: page.evaluate("caches.match('/').then(Boolean)"), "the page's files are kept")
    line.stall()
    page.reload()
    vera.say("from the edge of the network")
    expect(page.locator(".steps")).to_contain_text("waiting for the gateway")
    line.close()


def test_what_nobody_could_take_is_told_and_kept_and_the_line_stays(visit: Visit) -> None:
    ben, text = visit("ben", "chat/anna"), "lots of words " * 8000
    ben.say(text)
    ben.page.get_by_text("Too long: 112 kB of at most 60 kB").wait_for()
    box = ben.page.get_by_role("textbox", name="Message to")
    expect(box).to_have_value(text)
    ben.say("but this comes")
    ben.page.locator(".steps[data-state=done], .steps[data-state=accepted]").last.wait_for()


def test_an_unfit_message_that_an_older_page_left_behind_holds_up_nothing(visit: Visit) -> None:
    ben = visit("ben")
    entry = '{id: "old", to: "n".repeat(65), body: "x", at: Date.now(), command: false, flags: 0}'
    ben.page.evaluate(f"localStorage.setItem('said:ben:old', JSON.stringify({entry}))")
    ben.open("chat/anna")
    ben.say("and on it goes")
    ben.page.locator(".steps[data-state=done], .steps[data-state=accepted]").last.wait_for()
    assert ben.page.evaluate("localStorage.getItem('said:ben:old')") is None


def test_who_is_there_is_not_denied_before_it_is_known(visit: Visit) -> None:
    vera = visit("vera", service_workers="block")
    vera.page.route_web_socket("**/ws", lambda _: None)
    for view in ("chat", "robot", "drive", "robot/rover", "drive/rover"):
        vera.page.goto("about:blank")
        vera.page.goto(f"{vera.url}/#/{view}")
        expect(vera.page.locator("main .empty").first).to_have_text("loading…")


def test_who_could_not_be_logged_out_is_not_told_that_he_is(visit: Visit) -> None:
    page = visit("vera", "system", service_workers="block").page
    page.route("**/logout", lambda route: route.abort())
    page.get_by_role("button", name="Log out").click()
    expect(page.locator(".toast")).to_have_text("The gateway does not answer. Is it running?")
    expect(page.get_by_role("heading", name="System")).to_be_visible()
    page.unroute_all()
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    page.wait_for_timeout(200)  # its line ends without a word


@pytest.mark.parametrize("still", [GATEWAY, pytest.param(PAGE, marks=pytest.mark.soak)], indirect=True)
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
