"""What a check of `boardtalk doctor` reports."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Severity(StrEnum):
    """How bad a finding is."""

    FINE = "fine"
    WARNING = "warning"
    PROBLEM = "problem"
    """It can't work like this."""


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at."""

    severity: Severity
    what: str
    cure: str = ""
    """What to do, as a command if there is one."""
