"""Campaigns that measure run by themselves; the others beside what else there is."""

from __future__ import annotations

from pathlib import Path

import pytest

BESIDE = {
    "test_broker.py",
    "test_delivery.py",
    "test_endurance.py",
    "test_epochs.py",
    "test_expiry.py",
    "test_files.py",
    "test_finite.py",
    "test_holder.py",
    "test_lies.py",
}
"""They count what happens; what they promise of times is seconds away."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent) and item.path.name not in BESIDE:
            item.add_marker(pytest.mark.alone)
