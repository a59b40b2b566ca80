"""Nothing that anybody says or is called ever runs in the page: point 7 of what is promised of security."""

from __future__ import annotations

from playwright.sync_api import Page

from tests.scenarios.rig import local_user

from .conftest import Visit
from .hostile import CORPUS, MODULE, SCRIPTS, TRAP
from .visitor import Town

ALIEN = """() => [...document.querySelectorAll("iframe, object, embed, base, img, form[action], [onerror]")]
  .concat([...document.querySelectorAll("script")].filter(each => !each.src.startsWith(location.origin)))
  .concat([...document.links].filter(each => !["http:", "https:", "mailto:"].includes(each.protocol)))
  .map(each => each.outerHTML)"""
VIEWS = ("chat", "chat/evil", "robot", "robot/evil", "drive", "boards", "chain", "why/", "system")


def nothing_ran(page: Page) -> None:
    assert page.evaluate("window.pwned") == []
    assert page.evaluate(ALIEN) == []


def test_s07_what_is_said_never_runs(visit: Visit, town: Town) -> None:
    assert len(CORPUS) >= 200
    anna = visit("anna", f"chat/{local_user()}")
    anna.context.add_init_script(TRAP)
    page = anna.open(f"chat/{local_user()}")
    town.pour("anna", CORPUS)
    page.locator(".said").nth(len(CORPUS) - 1).wait_for()
    shown = page.locator(".said .bubble").all_text_contents()
    assert sum("pwn()" in text for text in shown) == len([each for each in CORPUS if "pwn()" in each])
    for link in page.locator(".bubble a").all()[:20]:
        link.hover()
    nothing_ran(page)


def test_s07_names_helps_units_states_steps_and_errors_never_run(visit: Visit, town: Town) -> None:
    anna = visit("anna")
    anna.context.add_init_script(TRAP)
    for evil in SCRIPTS[7::40]:
        town.load("hostile", MODULE.format(evil=evil))
        page = anna.open("chat/evil")
        page.get_by_role("textbox", name="Message to").press_sequentially("x")
        anna.say("hello")
        page.locator(".said.own").first.wait_for()
        for view in VIEWS:
            anna.go(view)
            page.locator(
                f"#nav a[aria-current][data-tab={view.split('/')[0].replace('why', 'chain')}]"
            ).wait_for()
            page.wait_for_timeout(100)
            nothing_ran(page)
