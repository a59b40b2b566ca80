"""What an admin sees and changes in a real browser."""

from __future__ import annotations

import re
import zipfile

from playwright.sync_api import expect

from .conftest import Visit
from .house import PASSWORD
from .visitor import Town

MODULE = """
from boardtalk.sdk import PASS, Module, Settings


class Shout(Module):
    name = "shout"
    version = "1.0"
    api_version = 1

    class Config(Settings):
        end: str = "!"

    def on_message(self, message):
        return message.with_(body=message.body.upper() + self.config.end) if message.to == "ben" else PASS
"""


def test_settings_are_tried_taken_back_and_kept(visit: Visit, town: Town) -> None:
    town.load("shout", MODULE)
    page = visit("anna", "chain").page
    shout = page.get_by_role("article", name="shout")

    def change(text: str) -> None:
        if not shout.get_by_label("end").is_visible():
            shout.get_by_text("Settings", exact=True).click()
        shout.get_by_label("end").fill(text)
        shout.get_by_role("button", name="Try these settings").click()

    change("?")
    expect(page.get_by_role("status").filter(has_text="on trial")).to_contain_text("anna changed end")
    page.get_by_role("button", name="Take them back").click()
    expect(page.get_by_text("on trial")).to_have_count(0)
    shout.get_by_text("Settings", exact=True).click()
    expect(shout.get_by_label("end")).to_have_value("")
    change("?!")
    page.get_by_role("button", name="Keep them").click()
    expect(page.locator(".toast").filter(has_text="Kept, in")).to_be_visible()
    assert "?!" in (town.state / "conf.d" / "shout.conf").read_text()


def test_a_diagnosis_is_downloaded_by_an_admin_only(visit: Visit) -> None:
    page = visit("anna", "system").page
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Download").click()
    assert re.fullmatch(r"boardtalk-\d{8}-\d{6}\.zip", waiting.value.suggested_filename)
    with zipfile.ZipFile(waiting.value.path()) as packed:
        assert "rover" in packed.read("boards.json").decode()
        assert packed.read("log.txt")
    ben = visit("ben", "system").page
    ben.get_by_role("heading", name="Gateway").wait_for()
    expect(ben.get_by_role("button", name="Download")).to_have_count(0)


def test_somebody_is_added_may_log_in_and_is_removed_with_all_his_sessions(visit: Visit, town: Town) -> None:
    anna = visit("anna", "system")
    page = anna.page
    page.get_by_label("Name", exact=True).fill("carl")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("Role of vera").focus()
    visit("ben")
    people = page.get_by_role("group", name="People")
    expect(people.get_by_role("row", name="ben")).to_contain_text("online")
    expect(page.get_by_label("Role of vera")).to_be_focused()  # nothing is lost by what is drawn anew
    page.get_by_role("button", name="Add somebody").click()
    page.get_by_role("row", name="carl").wait_for()
    carl = visit("carl")
    page.get_by_role("row", name="carl").get_by_role("button", name="Remove").click()
    page.get_by_role("alertdialog").get_by_role("button", name="Remove").click()
    carl.page.get_by_text("You were logged out").wait_for()
    expect(page.get_by_role("group", name="Audit log")).to_be_visible()
    page.get_by_role("searchbox", name="Find in the audit log").fill("carl")
    expect(page.get_by_role("group", name="Audit log")).to_contain_text("carl")
