"""What a check of `boardtalk doctor` reports."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Severity(StrEnum):
    """How bad a finding is."""

    FINE = "fine"
    """Nothing to do."""
    WARNING = "warning"
    """It works, but not as well as it could."""
    PROBLEM = "problem"
    """It can't work like this."""


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at."""

    severity: Severity
    """How bad it is."""
    what: str
    """What was found, in words."""
    cure: str = ""
    """What to do, as a command if there is one."""
