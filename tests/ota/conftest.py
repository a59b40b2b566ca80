"""A robot that is updated."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from .rig import Site, site


@pytest.fixture
async def lamp(tmp_path: Path) -> AsyncIterator[Site]:
    async with site(tmp_path) as found:
        yield found
