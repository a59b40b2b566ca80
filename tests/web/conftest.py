"""Gateways with a web page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser as Chromium

from boardtalk.sdk import Role
from tests.scenarios.conftest import alice, demo, join  # noqa: F401 - fixtures of a gateway with a rover

from . import visitor
from .house import Browser, House
from .visitor import Cut, Town, Visitor

Visit = Callable[..., Visitor]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A gateway with a page, and an admin, eve; shared by the tests of a file."""
    with House(tmp_path_factory.mktemp("house")) as house:
        house.settled("eve")
        yield house


@pytest.fixture
def eve(house: House) -> Browser:
    """The browser of an admin who has just logged in."""
    browser = house.browser()
    assert browser.log_in("eve").status_code == 200
    return browser


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    """One for a file: as long as it is there, no test of this process can have an event loop of its own."""
    if not visitor.CHROMIUM:
        pytest.skip("chromium is not installed")
    with visitor.chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory, chromium: Chromium) -> Iterator[Town]:
    """A gateway with the simulated rover and a page; shared by the tests of a file."""
    with Town(tmp_path_factory.mktemp("town") / "state") as town:
        town.settle({"anna": Role.ADMIN, "ben": Role.OPERATOR, "vera": Role.VIEWER})
        yield town


@pytest.fixture
def line(town: Town) -> Iterator[Cut]:
    """To the page, for who comes by its port: it can be cut."""
    line = Cut(urlsplit(town.url).port or 0)
    yield line
    line.close()


@pytest.fixture
def visit(town: Town, chromium: Chromium) -> Iterator[Visit]:
    """Browsers of people: `visit("anna", "chat/rover")` logs one in."""
    visitors: list[Visitor] = []

    def enter(name: str, view: str = "chat", **options: object) -> Visitor:
        visitors.append(Visitor(chromium, town.url, **options))
        visitors[-1].log_in(name, view)
        return visitors[-1]

    yield enter
    for each in visitors:
        each.leave()
