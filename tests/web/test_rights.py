"""Who may what, changed by an admin in a real browser, and seen by those whom it is about."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from .conftest import Visit
from .test_access import violations
from .visitor import Town


def rules(page: Page) -> str:
    """What the table of rules says."""
    return page.get_by_role("group", name="Rights").inner_text()


def keep(page: Page) -> None:
    page.get_by_role("button", name="Keep them").click()
    expect(page.locator(".toast").filter(has_text="Kept, in").last).to_be_visible()
    expect(page.get_by_role("button", name="Keep them")).to_have_count(0)


def test_an_admin_says_who_may_what_and_it_counts_at_once(visit: Visit, town: Town) -> None:
    anna, vera, ben = visit("anna", "system"), visit("vera", "robot/rover"), visit("ben", "robot/rover")
    page = anna.page
    expect(vera.page.get_by_role("article", name="forward").get_by_role("button")).to_be_disabled()
    expect(ben.page.get_by_role("article", name="forward").get_by_role("button")).to_be_enabled()

    # A rule adds to what roles carry.
    page.get_by_role("button", name="Add a rule").click()
    form = page.get_by_role("form", name="Add a rule")
    form.get_by_label("Rule").fill("slow")
    form.get_by_label("users").fill("vera")
    form.get_by_label("robots").fill("rov*")
    form.get_by_label("motion").check()
    form.get_by_label("limits").fill("distance < 5")
    form.get_by_role("button", name="Try this rule").click()
    expect(form.get_by_role("alert")).to_contain_text("'distance < 5' is no limit: write `speed <= 20`")
    assert violations(page) == []
    form.get_by_label("limits").fill("distance <= 5")
    form.get_by_role("button", name="Try this rule").click()
    expect(page.get_by_role("status").filter(has_text="grant slow is changed, on trial")).to_be_visible()
    keep(page)
    assert "distance <= 5" in rules(page)
    file = town.state / "gateway.conf"
    rule = (
        "grant slow {\n    users = vera\n    robots = rov*\n    may = motion\n    limits = distance <= 5\n}\n"
    )
    assert file.read_text().endswith(f"\npolicy {{\n    roles = yes\n}}\n\n{rule}")

    # Her page offers what she may, in the range that she may use.
    forward = vera.page.get_by_role("article", name="forward")
    expect(forward.get_by_role("button")).to_be_enabled()
    expect(forward.get_by_text("1 to 5")).to_be_visible()
    expect(vera.page.get_by_role("article", name="horn").get_by_role("button")).to_be_disabled()

    # Rules alone: an operator without one has no robot any more, until it is taken back.
    page.get_by_label("What roles are worth").select_option("no")
    expect(page.get_by_role("status").filter(has_text="policy is changed, on trial")).to_be_visible()
    ben.page.goto(f"{town.url}/#/chat")
    expect(ben.page.get_by_role("link", name="rover")).to_have_count(0)
    page.get_by_role("button", name="Take them back").click()
    expect(ben.page.get_by_role("link", name="rover")).to_be_visible()

    # Changed and removed.
    row = page.get_by_role("group", name="Rights").get_by_role("row", name="slow")
    row.get_by_role("button", name="Edit").click()
    edit = page.get_by_role("form", name="Rule slow")
    expect(edit.get_by_label("motion")).to_be_checked()
    edit.get_by_label("limits").fill("")
    edit.get_by_role("button", name="Try this rule").click()
    keep(page)
    assert "distance" not in rules(page)
    row.get_by_role("button", name="Remove").click()
    page.get_by_role("alertdialog").get_by_role("button", name="Remove").click()
    keep(page)
    expect(page.get_by_text("No rule yet: roles alone decide.")).to_be_visible()
    assert "grant" not in file.read_text()
    for each in (anna, vera, ben):
        assert each.errors == []


def test_nobody_else_sees_the_rules(visit: Visit) -> None:
    ben = visit("ben", "system")
    expect(ben.page.get_by_role("heading", name="System")).to_be_visible()
    expect(ben.page.get_by_role("heading", name="Rights")).to_have_count(0)
