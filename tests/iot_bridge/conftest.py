"""The board that most of these tests talk to."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.iot_bridge.fake_board import FakeBoard


@pytest.fixture
async def board() -> AsyncIterator[FakeBoard]:
    async with FakeBoard() as board:
        yield board
