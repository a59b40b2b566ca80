"""Boards that run real MicroPython, never anything else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from boardtalk.hil.board import EmulatedBoard

from .peer import Peer

ROBOTS = Path(__file__).parent / "robots"


@pytest.fixture
async def board() -> AsyncIterator[EmulatedBoard]:
    """A robot whose commands do what tests need."""
    async with EmulatedBoard(ROBOTS / "bench", uid="c0ffee01") as board:
        yield board


@pytest.fixture
async def peer(board: EmulatedBoard) -> AsyncIterator[Peer]:
    """A session with it."""
    async with Peer(board.port) as peer:
        await peer.learn()
        yield peer
