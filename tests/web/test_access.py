"""The page can be used by all: axe looks at every view, on a phone in the dark and a desktop in the light."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from .conftest import Visit
from .visitor import Town

VIEWS = (
    "chat",
    "chat/rover",
    "robot",
    "robot/rover",
    "drive",
    "drive/rover",
    "boards",
    "chain",
    "why/",
    "system",
)
RULES: dict[str, object] = {"runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"]}


COLOURS: dict[str, object] = {"runOnly": {"type": "rule", "values": ["color-contrast", "target-size"]}}
"""What the dark and a small screen change."""


def violations(page: Page, rules: dict[str, object] = RULES) -> list[str]:
    found = Axe().run(page, options=rules)
    return [f"{each['id']}: {each['nodes'][0]['html'][:200]}" for each in found.response["violations"]]


@pytest.mark.parametrize("phone", [False, True], ids=["desktop in the light", "phone in the dark"])
def test_axe_finds_nothing_in_any_view(visit: Visit, town: Town, phone: bool) -> None:
    town.cli("stop")
    anna = visit("anna", "chat/rover", phone=phone, color_scheme="dark" if phone else "light")
    for text in (
        "help",
        "forward 900",
        "**bold** `code` https://example.org\n\n| a | b |\n|---|---|\n| 1 | 2 |",
    ):
        anna.say(text)
    anna.page.locator(".said:not(.own)").nth(2).wait_for()
    for view in VIEWS:
        anna.go(view)
        anna.page.wait_for_timeout(250)
        assert violations(anna.page, COLOURS if phone else RULES) == [], view
        assert anna.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{view} is too wide"


def test_axe_finds_nothing_where_one_logs_in(visit: Visit) -> None:
    anna = visit("anna", "system")
    anna.page.get_by_role("button", name="Log out").click()
    anna.page.get_by_label("Password").wait_for()
    assert violations(anna.page) == []


def test_the_stop_button_can_be_reached_by_keys_and_is_large(visit: Visit) -> None:
    page = visit("anna", phone=True).page
    box = page.get_by_role("button", name="Stop all").bounding_box()
    assert box is not None
    assert min(box["width"], box["height"]) >= 44
    for _ in range(4):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "stop":
            return
    raise AssertionError("too far away")
