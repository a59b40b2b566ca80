"""The page with more of everything than fits: stopped robots, long names, messages; and a small screen."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.scenarios.rig import local_user

from .conftest import Visit
from .test_access import RULES, violations
from .visitor import Town

LONG = "w" * 32
CROWD = """
from boardtalk.sdk import CONSUMED, PASS, ArgumentInfo, CommandInfo, Contact, Kind, Module, SeriesInfo

LONG = "w" * 32
WORDS = "what it is, and what it does in its field, at length " * 5


class Crowd(Module):
    name = "crowd"
    version = "1"
    api_version = 1

    def on_start(self):
        names = [each * 20 for each in "xyz"]
        axes = tuple(ArgumentInfo(name=each, type="float", unit="%", min=-9, max=9) for each in names)
        self.context.register(Contact(
            address=LONG, kind=Kind.ROBOT, online=True, state="quarantined-by-somebody", about=WORDS,
            commands=(CommandInfo(name="c" * 60, help=WORDS, args=axes),),
            controls=(CommandInfo(name="arm", args=axes),), holder="n" * 32,
            series=(SeriesInfo(name="t" * 60, unit="degrees_celsius_absolute", help=WORDS),
                    *(SeriesInfo(name=f"wheel.{each}", unit="rpm") for each in range(8)),
                    SeriesInfo(name="event.bump", text=True)),
            details={"port": "/dev/serial/by-id/" + "e" * 90}))
        for number in range(8):
            address = f"bot-{number}-{LONG}"[:32]
            self.context.register(Contact(address=address, kind=Kind.ROBOT, online=True, state="latched"))
        self.context.every(0.2, self.measure)

    def on_message(self, message):
        if message.to != LONG:
            return PASS
        self.context.publish(LONG, {"event.bump": message.body})
        return CONSUMED

    def measure(self):
        self.context.publish(LONG, {"t" * 60: 21.5, **{f"wheel.{each}": each * -120.0 for each in range(8)}})
"""
VIEWS = (f"chat/{LONG}", "robot", f"robot/{LONG}", "drive", f"drive/{LONG}", "boards", "chain", "system")
CUT_OFF = """[...document.querySelectorAll("main button")].filter(each => each.scrollWidth > each.clientWidth)
  .map(each => each.textContent)"""
"""Buttons that do not hold their words."""
KEYBOARD = {"width": 360, "height": 380}
"""A phone whose keyboard is shown."""
OUTSIDE = ("landmark-one-main", "page-has-heading-one")
ASKED: dict[str, object] = {**RULES, "rules": {rule: {"enabled": False} for rule in OUTSIDE}}
"""While a question is open all but the bar and the question is not there."""


@pytest.fixture(scope="module", autouse=True)
def crowd(town: Town) -> None:
    town.load("crowd", CROWD)


def stop_is_there(page: Page) -> None:
    """Stop all is on the screen as a whole, and nothing is on top of it."""
    assert page.evaluate(
        """() => {
            const {x, y, width, height} = document.getElementById("stop").getBoundingClientRect();
            const on = document.elementFromPoint(x + width / 2, y + height / 2);
            return on?.id === "stop" && width >= 100 && height >= 44 && y >= 0 && x + width <= innerWidth;
        }"""
    )


def test_stop_is_on_every_view_however_many_robots_are_stopped_and_however_long_their_names(
    visit: Visit, town: Town
) -> None:
    anna = visit("anna", phone=True)
    page = anna.page
    for view in VIEWS:
        anna.go(view)
        page.wait_for_timeout(200)
        stop_is_there(page)
        wide = page.evaluate(
            "[document.documentElement, document.getElementById('main')].map(each => each.scrollWidth)"
        )
        assert max(wide) <= 360, view
        assert page.evaluate(CUT_OFF) == [], view
    stopped = page.get_by_role("region", name="Stopped robots")
    expect(stopped).to_contain_text("8 robots are stopped and will not move")
    stopped.get_by_text("8 robots").click()
    stopped.get_by_role("button", name="Re-arm bot-7").scroll_into_view_if_needed()
    for button in stopped.get_by_role("button").all():
        assert button.evaluate("button => button.scrollWidth <= button.clientWidth"), "its words fit into it"
    stop_is_there(page)
    assert violations(page) == []
    town.pour("anna", [f"news {number}" for number in range(120)])
    badge = page.locator("#nav .badge")
    expect(badge).to_have_text("99+")
    assert badge.evaluate("badge => badge.offsetHeight < 30"), "on one line"


def test_stop_is_there_with_the_keyboard_shown_a_question_open_and_the_line_down(visit: Visit) -> None:
    anna = visit("anna", "system", phone=True)
    page = anna.page
    page.set_viewport_size(KEYBOARD)
    page.get_by_role("button", name="Change your password").click()
    page.get_by_label("New password").focus()
    expect(page.get_by_label("New password")).to_be_in_viewport()
    stop_is_there(page)
    assert violations(page, ASKED) == []
    page.keyboard.press("Escape")
    anna.go(f"chat/{LONG}")
    box = page.get_by_role("textbox", name="Message to")
    box.press_sequentially("b")
    expect(box).to_be_in_viewport()
    page.evaluate("document.getElementById('line').dataset.state = 'waiting'")
    page.evaluate("document.getElementById('line').textContent = 'connecting…'")
    stop_is_there(page)


def test_plots_show_all_or_the_last_seconds_by_keys_alone(visit: Visit) -> None:
    page = visit("ben", f"robot/{LONG}").page
    plot = page.get_by_role("article", name="wheel")
    expect(plot).to_contain_text("rpm")
    span = page.get_by_label("Show")
    span.focus()
    page.keyboard.press("End")
    expect(span).to_have_value("10")
    with page.expect_download() as saved:
        plot.get_by_role("button", name="Save wheel as CSV").press("Enter")
    lines = saved.value.path().read_text().splitlines()
    assert lines[0].startswith("time,wheel.0 [rpm],wheel.1 [rpm]")
    assert lines[-1].endswith(",-840")


def test_an_event_is_told_once(visit: Visit, town: Town) -> None:
    page = visit("ben", f"robot/{LONG}").page
    expect(page.get_by_role("article", name="wheel")).to_contain_text("rpm")
    town.pour(LONG, ["left"])
    expect(page.locator(".toast")).to_have_text([f"{LONG}: bump left"])
    expect(page.get_by_role("log", name="Log of")).to_contain_text("bump left")


def test_a_conversation_is_as_long_as_it_likes_and_400_messages_are_in_the_document(
    visit: Visit, town: Town
) -> None:
    vera = visit("vera", f"chat/{local_user()}")
    page, said = vera.page, vera.page.locator(".said")
    town.pour("vera", ["the needle", *(f"hay {number}" for number in range(1200))])
    expect(said.last).to_contain_text("hay 1199")
    page.reload()
    expect(said.last).to_contain_text("hay 1199")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("searchbox", name="Search with").fill("needle")
    page.get_by_role("button", name="the needle").click()
    expect(page.locator(".found")).to_be_in_viewport()
    assert said.count() <= 400
    town.pour("vera", ["and one more"])
    expect(page.locator(".found")).to_be_in_viewport()
    page.get_by_role("button", name="Newest").click()
    expect(said.last).to_contain_text("and one more")
    expect(said.last).to_be_in_viewport()
