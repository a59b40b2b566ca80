"""Take pictures of the web page's views: ``python -m docs.screens docs/screens`` (or ``make screens``).

They are of a real gateway with the simulated rover, and of one with boards to flash. Needs Debian's
``chromium``.
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from PIL import Image
from playwright.sync_api import sync_playwright

from docs.workshop import LONG, workshop

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Locator, Page

    from docs.workshop import Workshop

PASSWORD: Final = "only for pictures"  # noqa: S105 - of a gateway that ends with them
SIZES: Final = {"phone": (360, 740), "desktop": (1280, 800)}
TALL: Final = {"width": 1280, "height": 1740}
"""For a whole chain."""
COLOURS: Final = 128
"""Of a picture: few enough for 60 kB. Chosen by k-means, what is small, such as a dot, keeps its own."""
VIEWS: Final = {
    "chat": "chat/rover",
    "conversations": "chat",
    "robot": "robot/rover",
    "system": "system",
}
MANY: Final = (
    ("counter", "hello"),
    ("chatbot", "what can rover do?"),
    ("rover", "vorwärts 20"),
    ("ben", "you fool"),
    *(("ben", f"{number} degrees in the greenhouse") for number in range(14, 18)),
)
TALK: Final = ("help", "forward 20", "fowrard 20", "forward 900", "turn 90 deg", "battery")


@contextmanager
def demo(state: Path) -> Iterator[str]:
    """A gateway with the simulated rover; the address of its page, with the token."""
    program = [sys.executable, "-m", "boardtalk", "demo", "--headless", "--state", str(state)]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as gateway:
        assert gateway.stdout  # noqa: S101 - asked for
        try:
            url = re.findall(r"page=(\S+)", gateway.stdout.readline())[0]
            yield url
        finally:
            gateway.terminate()


def boardtalk(state: Path, *arguments: str, stdin: str = "") -> str:
    """What a command prints."""
    program = [sys.executable, "-m", "boardtalk", *arguments, "--state", str(state)]
    return subprocess.run(program, input=stdin, capture_output=True, text=True, check=False).stdout


def add(state: Path, name: str, role: str) -> None:
    """Somebody who can log in."""
    boardtalk(state, "user", "add", name, "--role", role)
    boardtalk(state, "user", "passwd", name, stdin=f"{PASSWORD}\n")


def take(page: Page, path: Path) -> None:
    """Take a picture, with few colours."""
    page.wait_for_timeout(500)
    picture = Image.open(io.BytesIO(page.screenshot(animations="disabled")))
    picture.convert("RGB").quantize(COLOURS, kmeans=1).save(path, optimize=True)


def show(part: Locator) -> None:
    """Scroll to it, with a little room above."""
    part.evaluate("each => { each.scrollIntoView(); document.getElementById('main').scrollBy(0, -16); }")


def window(browser: Browser, size: str, scheme: str = "light") -> Page:
    """A new browser's window."""
    width, height = SIZES[size]
    context = browser.new_context(
        viewport={"width": width, "height": height},
        has_touch=size == "phone",
        color_scheme="dark" if scheme == "dark" else "light",
        locale="en-GB",
    )
    return context.new_page()


def log_in(page: Page, url: str, name: str) -> None:
    """Log in, past the form."""
    fields = {"user": name, "password": PASSWORD}
    assert page.context.request.post(f"{url}/login", data=fields, headers={"Origin": url}).ok  # noqa: S101


def first_visit(browser: Browser, link: str, folder: Path) -> None:
    """From the token to the first conversation."""
    for size in SIZES:
        page = window(browser, size)
        page.goto(link)
        page.get_by_label("Name").wait_for()
        take(page, folder / f"setup-{size}.png")
    page.get_by_label("Name").fill("anna")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Begin").click()
    page.get_by_role("link", name="rover").click()
    ended = page.locator(".said.own .steps[data-how=good], .said.own .steps[data-how=bad]")
    for number, text in enumerate(TALK):
        page.get_by_role("textbox", name="Message to").fill(text)
        page.keyboard.press("Enter")
        ended.nth(number).wait_for()
        page.wait_for_timeout(1500)


def views(browser: Browser, url: str, folder: Path) -> None:
    """All views as they are when one looks."""
    for size, scheme in (("phone", "light"), ("desktop", "light"), ("phone", "dark")):
        page = window(browser, size, scheme)
        log_in(page, url, "anna")
        for name, view in VIEWS.items():
            if scheme == "dark" and name not in ("chat", "robot"):
                continue
            page.goto("about:blank")
            page.goto(f"{url}/#/{view}")
            page.locator("#line[data-state=open]").wait_for()
            page.wait_for_timeout(800)
            take(page, folder / f"{name}-{size}{'-dark' if scheme == 'dark' else ''}.png")


def driving(browser: Browser, url: str, folder: Path) -> None:
    """Somebody drives, somebody else looks on, and stops it."""
    for size, other in (("phone", "desktop"), ("desktop", "phone")):
        page, watcher = window(browser, size), window(browser, other)
        for each, name in ((page, "anna"), (watcher, "ben")):
            log_in(each, url, name)
            each.goto(f"{url}/#/drive/rover")
            each.locator("#line[data-state=open]").wait_for()
        box = page.get_by_role("application").bounding_box()
        assert box  # noqa: S101 - it is there
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * 0.62, box["y"] + box["height"] * 0.2)
        page.locator(".holder[data-how=mine]").wait_for()
        page.wait_for_timeout(1500)
        take(page, folder / f"drive-{size}.png")
        take(watcher, folder / f"drive-watched-{other}.png")
        page.mouse.up()
        page.get_by_role("button", name="Give it back").click()
        watcher.get_by_role("button", name="Stop all").click()
        watcher.get_by_text("rover is stopped and will not move").wait_for()
        take(watcher, folder / f"stopped-{other}.png")
        watcher.get_by_role("button", name="Re-arm rover").click()
        take(watcher, folder / f"rearm-{other}.png")
        watcher.get_by_role("button", name="Re-arm", exact=True).click()
        watcher.wait_for_timeout(800)


def open_at(browser: Browser, url: str, view: str, size: str, scheme: str = "light") -> Page:
    """A view, as an admin has it."""
    page = window(browser, size, scheme)
    log_in(page, url, "anna")
    page.goto(f"{url}/#/{view}")
    page.locator("#line[data-state=open]").wait_for()
    page.wait_for_timeout(800)
    return page


LOOKS: Final = {"phone": ("phone", "light"), "desktop": ("desktop", "light"), "phone-dark": ("phone", "dark")}
LAST: Final = "night-shift-of-the-greenhouse"
RULES: Final = {
    "drivers": {
        "users": "ben, crew",
        "robots": "rover-*, lamp-hall",
        "may": "query, motion, drive, rearm",
        "limits": "speed <= 20, x <= 50, x >= -50",
    },
    "horn": {"roles": "viewer", "robots": "*", "commands": "horn, lamp_*"},
    LAST: {"users": "*", "robots": LONG, "may": "query"},
}


def modules(browser: Browser, shop: Workshop, folder: Path) -> None:
    """What the modules of a chain did, one of which rests, and the way of a command through them."""
    pages = {look: open_at(browser, shop.url, "chain", *how) for look, how in LOOKS.items()}
    pages["desktop"].set_viewport_size(TALL)
    page = open_at(browser, shop.url, "chat", "desktop")
    for to, text in MANY:
        page.goto(f"{shop.url}/#/chat/{to}")
        say(page, text)
    for look, each in pages.items():
        each.locator(".toast").first.wait_for(state="detached")
        while not each.get_by_text("resting").is_visible():
            say(page, "and it does not rain")  # each time it fails again it rests for twice as long
        if look != "desktop":  # which shows all of it
            show(each.get_by_role("article", name="weather"))
        take(each, folder / f"chain-{look}.png")
    page.goto(f"{shop.url}/#/chat/rover")
    say(page, "vorwärts 20")
    for look, how in LOOKS.items():
        take(open_at(browser, shop.url, "why/", *how), folder / f"why-{look}.png")


def say(page: Page, text: str) -> None:
    """Say something, and wait for what becomes of it."""
    page.get_by_role("textbox", name="Message to").fill(text)
    page.keyboard.press("Enter")
    page.wait_for_timeout(400)


def boards(browser: Browser, shop: Workshop, folder: Path) -> None:
    """What is plugged in, a plan, how far it is, and how it ended: one board is bad."""
    pages = {look: open_at(browser, shop.url, "boards", *how) for look, how in LOOKS.items()}

    def all_of(name: str) -> None:
        for look, page in pages.items():
            page.locator("#main").evaluate("each => each.scrollTo(0, 0)")
            take(page, folder / f"{name}-{look}.png")

    all_of("boards")
    for look, page in pages.items():
        show(page.get_by_role("region", name="Plugged in, and no robot yet"))
        take(page, folder / f"boards-new-{look}.png")
        choose_firmware(page)
        take(page, folder / f"boards-choice-{look}.png")
        page.get_by_role("button", name="Cancel").click()
        page.get_by_role("article", name=shop.empty).get_by_role("button", name="Firmware…").click()
        take(page, folder / f"boards-empty-{look}.png")
        page.get_by_role("button", name="Cancel").click()
    page = pages["desktop"]
    choose_firmware(page)
    page.get_by_role("button", name="Make a plan").click()
    for each in pages.values():
        each.get_by_role("article", name="Plan").wait_for()
    all_of("boards-plan")
    shop.lamps[1].flash.faults.protected = True
    page.get_by_role("button", name="Flash these 2 boards").click()
    page.get_by_text(re.compile(r"writes · [1-9]\d %")).first.wait_for()
    all_of("boards-progress")
    page.get_by_text("over: 1 of 2 done").wait_for(timeout=90_000)
    all_of("boards-over")


def choose_firmware(page: Page) -> None:
    """Open the form for two boards."""
    page.get_by_role("article", name="lamp-hall").get_by_role("button", name="Firmware…").click()
    page.get_by_role("alertdialog").get_by_label("lamp-kitchen").check()


def rights(browser: Browser, shop: Workshop, folder: Path) -> None:
    """The rules who may what: one on trial, then all of them, and one that is edited."""
    page = open_at(browser, shop.url, "system", "desktop")
    for name, values in RULES.items():
        add_rule(page, name, values)
        if name == LAST:
            rights_from(browser, shop.url, folder, "rights-trial")
        page.get_by_role("button", name="Keep them").click()
        page.get_by_role("button", name="Keep them").wait_for(state="detached")
    rights_from(browser, shop.url, folder, "rights")
    for look, how in LOOKS.items():
        page = open_at(browser, shop.url, "system", *how)
        page.get_by_role("row", name="drivers").get_by_role("button", name="Edit").click()
        show(page.get_by_role("form", name="Rule drivers"))
        take(page, folder / f"rights-rule-{look}.png")


def rights_from(browser: Browser, url: str, folder: Path, name: str) -> None:
    """Take the rules as they are now."""
    for look, how in LOOKS.items():
        page = open_at(browser, url, "system", *how)
        show(page.get_by_role("region", name="Rights"))
        take(page, folder / f"{name}-{look}.png")


def add_rule(page: Page, name: str, values: dict[str, str]) -> None:
    """Put one on trial."""
    page.get_by_role("button", name="Add a rule").click()
    form = page.get_by_role("form", name="Add a rule")
    form.get_by_label("Rule").fill(name)
    for key, value in values.items():
        if key in ("roles", "may"):
            for each in value.split(", "):
                form.get_by_role("group", name=key).get_by_label(each, exact=True).check()
        else:
            form.get_by_label(key).fill(value)
    form.get_by_role("button", name="Try this rule").click()
    page.get_by_role("button", name="Keep them").wait_for()


def gallery(folder: Path) -> None:
    """One page with all of them, a row for each view."""
    lines = [
        "# All views",
        "",
        "Made by `make screens`.",
        "",
        "| | desktop | phone | phone, dark |",
        "|-|-|-|-|",
    ]
    for name in sorted(path.stem.removesuffix("-desktop") for path in folder.glob("*-desktop.png")):
        files = (f"{name}-{size}.png" for size in ("desktop", "phone", "phone-dark"))
        shown = (f"![{Path(file).stem}]({file})" * (folder / file).exists() for file in files)
        lines.append(f"| {name} | {' | '.join(shown)} |")
    (folder / "README.md").write_text("\n".join(lines) + "\n")


def main(folder: Path) -> None:
    """Take them all."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place, sync_playwright() as playwright:
        flags = ("--no-sandbox", "--disable-dev-shm-usage")
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=flags)
        state = Path(place) / "demo"
        with demo(state) as url:
            first_visit(browser, boardtalk(state, "page").split()[-1], folder)
            add(state, "ben", "operator")
            views(browser, url, folder)
            driving(browser, url, folder)
        with workshop(Path(place)) as shop:
            for name, role in (("anna", "admin"), ("ben", "operator")):
                add(shop.state, name, role)
            modules(browser, shop, folder)
            boards(browser, shop, folder)
            rights(browser, shop, folder)
        browser.close()
    gallery(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
