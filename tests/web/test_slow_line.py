"""The page over a line that is slow, or loses some of it."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from tests.scenarios.rig import until

from .conftest import Visit
from .visitor import Cut, Town

FOUND_LATE = """() => {
  const all = [...document.querySelectorAll("link[href], script[src]")];
  const named = new Set(all.map(each => each.href ?? each.src));
  return performance.getEntriesByType("resource").map(each => each.name)
    .filter(name => name.includes("/static/") && !named.has(name));
}"""


def test_whatever_a_view_needs_is_named_by_the_page_itself_once(visit: Visit) -> None:
    vera = visit("vera")
    for view in ("robot/rover", "drive/rover", "boards", "chain", "system", "why/1"):
        vera.go(view)
        vera.page.locator("main h1, main .empty").first.wait_for()
    assert vera.page.evaluate(FOUND_LATE) == []
    names = vera.page.evaluate("performance.getEntriesByType('resource').map(each => each.name)")
    scripts = [name for name in names if name.endswith(".js")]
    assert len(scripts) == len(set(scripts)), "none is asked for twice"


def test_what_is_text_comes_packed(visit: Visit) -> None:
    page = visit("vera").page
    sizes = page.evaluate(
        """performance.getEntriesByType("resource").filter(each => /\\.(js|css)$/.test(each.name))
           .map(each => [each.name, each.encodedBodySize, each.decodedBodySize])"""
    )
    assert len(sizes) > 40
    assert [name for name, packed, whole in sizes if packed >= whole > 150] == []


@pytest.mark.parametrize(
    ("part", "told"),
    [
        ("chat/row.js", "A part of this page did not come"),
        ("drive/pad.js", "This part of the page did not come"),
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


@pytest.mark.parametrize(
    ("to", "text", "told"),
    [
        ("anna", "lots of words " * 8000, "Too long: 112 kB of at most 60 kB"),
        ("n" * 65, "hello", "such a long name"),
    ],
)
def test_what_nobody_could_take_is_told_and_the_line_stays(
    visit: Visit, to: str, text: str, told: str
) -> None:
    ben = visit("ben", f"chat/{to}")
    ben.say(text)
    ben.page.get_by_text(told).wait_for()
    expect(ben.page.get_by_role("textbox", name="Message to")).to_have_value(text)
    ben.go("chat/anna")
    ben.say(f"but this comes, {told}")
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
    for view in ("chat", "robot", "drive"):
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
