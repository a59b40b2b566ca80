"""Gateways with a web page."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.scenarios.conftest import alice, demo, join  # noqa: F401 - fixtures of a gateway with a rover

from .house import Browser, House


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
