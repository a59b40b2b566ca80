"""Chat in a real browser: nothing is lost and nothing doubled, whatever happens to the line or the page."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.scenarios.rig import local_user, until

from .conftest import Visit
from .visitor import Cut, Town


def said(page: Page) -> list[str]:
    """The texts in the open conversation."""
    return page.locator(".said .bubble").all_text_contents()


def through(line: Cut) -> str:
    return f"http://127.0.0.1:{line.port}"


def test_what_is_said_while_the_line_is_cut_arrives_once_on_both_sides(visit: Visit, line: Cut) -> None:
    anna, ben = visit("anna", "chat/ben"), visit("ben")
    ben.log_in("ben", "chat/anna", url=through(line))
    anna.say("before")
    ben.page.get_by_text("before", exact=True).last.wait_for()
    line.cut()
    expect(ben.page.locator("#line")).to_have_attribute("data-state", "waiting")
    ben.say("typed without a line")
    for number in range(5):
        anna.say(f"while you were away {number}")
    anna.page.locator(".said.own").nth(5).wait_for()
    line.mend()
    anna.page.get_by_text("typed without a line").last.wait_for()
    ben.page.get_by_text("while you were away 4").last.wait_for()
    ben.page.locator(".said.own .steps[data-state=done], .said.own .steps[data-state=read]").last.wait_for()
    ours = ["before", *(f"while you were away {number}" for number in range(5)), "typed without a line"]
    for page in (anna.page, ben.page):
        assert sorted(said(page)) == sorted(ours)
        page.reload()
        page.locator(".said").nth(6).wait_for()
        assert sorted(said(page)) == sorted(ours)


def test_the_page_opens_without_a_line_and_says_later_what_was_typed_then(visit: Visit, line: Cut) -> None:
    vera = visit("vera")
    page = vera.log_in("vera", "chat/ben", url=through(line))
    until(lambda: page.evaluate("caches.match('/').then(Boolean)"), "the page's files are kept")
    line.cut()
    vera.say("from a cellar")
    page.locator(".steps[data-state=waiting]").wait_for()
    page.reload()
    page.get_by_text("from a cellar").last.wait_for()
    line.mend()
    page.locator(".steps[data-state=accepted], .steps[data-state=done]").wait_for()
    assert said(page) == ["from a cellar"]


def test_a_command_that_waited_too_long_is_not_done_behind_ones_back(
    visit: Visit, line: Cut, town: Town
) -> None:
    town.hear("rearm")
    ben = visit("ben")
    ben.page.clock.install()
    page = ben.log_in("ben", "chat/rover", url=through(line))
    before = town.hear("position")
    line.cut()
    ben.say("forward 10")
    page.locator(".steps[data-state=waiting]").wait_for()
    page.clock.fast_forward(6000)
    page.locator(".steps[data-state=unsent]").wait_for()
    line.mend()
    page.clock.fast_forward(6000)
    page.locator("#line[data-state=open]").wait_for()
    assert town.hear("position") == before
    page.get_by_role("button", name="Say it again").click()
    page.locator(".steps[data-state=done]").last.wait_for()
    assert page.locator(".said.own").count() == 1
    assert town.hear("position") != before


def test_what_may_follow_is_offered_and_taken_by_keys_alone(visit: Visit, town: Town) -> None:
    town.hear("rearm")
    page = visit("ben", "chat/rover").page
    box = page.get_by_role("textbox", name="Message to")
    expect(box).to_be_focused()
    page.keyboard.type("ba")
    offered = page.get_by_role("listbox", name="What may follow").get_by_role("option")
    expect(offered).to_have_text(["backdrive backward", "batteryvoltage of the battery"])
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(offered.nth(1)).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Enter")
    expect(box).to_have_value("battery")
    page.keyboard.press("Escape")
    page.keyboard.press("Enter")
    page.locator(".said:not(.own)").get_by_text(re.compile(r"8\.\d+ V")).last.wait_for()
    page.keyboard.press("ArrowUp")
    expect(box).to_have_value("battery")
    box.fill("/")
    expect(offered.filter(has_text="modules")).to_be_visible()
    page.keyboard.type("mod")
    expect(offered).to_have_count(1)
    page.keyboard.press("Tab")
    expect(box).to_have_value("/modules")


def test_one_person_sees_the_same_in_two_windows_and_what_is_unread_in_one_place(visit: Visit) -> None:
    first, second, anna = visit("ben", "chat/team"), visit("ben", "robot"), visit("anna", "chat/team")
    first.say("hello team")
    anna.page.get_by_text("hello team").last.wait_for()
    anna.say("hello ben")
    first.page.get_by_text("hello ben").last.wait_for()
    second.go("chat/team")
    for text in ("hello team", "hello ben"):
        expect(second.page.locator(".said").get_by_text(text, exact=True)).to_have_count(1)
    expect(second.page.locator(".talk[href='#/chat/team'] .badge")).to_have_count(0)


def test_who_is_there_sees_that_somebody_types_and_who_is_away_is_no_matter(visit: Visit) -> None:
    anna = visit("anna", "chat/team")
    box = anna.page.get_by_role("textbox", name="Message to")
    box.press_sequentially("ben is away")
    ben = visit("ben", "chat/team")
    anna.page.clock.install()
    anna.page.clock.fast_forward(4000)  # it is told each 3 s
    box.press_sequentially(" no more")
    ben.page.get_by_text("anna is typing").wait_for()
    expect(anna.page.locator(".names")).not_to_contain_text("is not online")


def test_the_past_comes_as_one_scrolls_and_is_found_by_a_word(visit: Visit, town: Town) -> None:
    page = visit("vera", f"chat/{local_user()}").page
    town.pour("vera", ["the needle", *(f"hay {number}" for number in range(130))])
    page.locator(".said").get_by_text("hay 129", exact=True).wait_for()
    page.reload()
    page.locator(".said").get_by_text("hay 129", exact=True).wait_for()
    log = page.get_by_role("log", name="Messages with")
    page.locator(".said").nth(45).wait_for()
    assert page.locator(".said").count() < 60
    for shown in (60, 110):
        log.evaluate("log => { log.scrollTop = 0; }")
        page.locator(".said").nth(shown).wait_for()
    page.reload()
    page.locator(".said").get_by_text("hay 129", exact=True).wait_for()
    page.get_by_role("button", name="Search").click()
    page.get_by_role("searchbox", name="Search with").fill("NEEDLE")
    page.get_by_role("button", name="the needle").click()
    expect(page.locator(".found")).to_have_text(re.compile("the needle"))
    expect(page.locator(".found")).to_be_in_viewport()
