"""The page over a line that is slow, or loses some of it."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from .conftest import Visit

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
