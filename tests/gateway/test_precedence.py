"""Who goes first where processors are short."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from boardtalk.runtime import precedence

TELL = """
import os
from boardtalk.runtime.precedence import fall_back, go_first
go_first()
first = os.nice(0)
fall_back()
fall_back()
ordinary = os.nice(0)
fall_back(5)
print(first, ordinary, os.nice(0))
"""


def test_a_gateway_goes_first_if_it_may_and_its_workers_are_ordinary_processes() -> None:
    told = subprocess.run([sys.executable, "-c", TELL], capture_output=True, text=True, check=True).stdout
    first, ordinary, behind = map(int, told.split())
    assert first in {precedence.FIRST, os.nice(0)}
    assert ordinary == max(0, min(first, os.nice(0)))
    assert behind == ordinary + 5


def test_who_may_not_go_first_starts_nevertheless(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "setpriority", refuse)
    precedence.go_first()
