"""Gateways and people for the scenarios."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from .people import Join, Person
from .rig import Gateway


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway with the simulated rover, shared by the tests of a file."""
    with Gateway(tmp_path_factory.mktemp("demo") / "state") as gateway:
        yield gateway


@pytest.fixture
def own_demo(tmp_path: Path) -> Iterator[Gateway]:
    """A gateway with the simulated rover that a test may ruin."""
    with Gateway(tmp_path / "state") as gateway:
        yield gateway


@pytest.fixture
def join() -> Iterator[Join]:
    with ExitStack() as people:

        def enter(gateway: Gateway, address: str, role: str = "operator") -> Person:
            return people.enter_context(Person(gateway, address, gateway.token(address, role)))

        yield enter


@pytest.fixture
def alice(demo: Gateway, join: Join) -> Person:
    """An operator on the shared gateway, whose rover may drive."""
    operator = join(demo, "alice")
    operator.do("rearm")
    return operator
