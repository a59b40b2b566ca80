"""The form in which every benchmark reports."""

from __future__ import annotations

from pathlib import Path

import msgspec


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One measured figure."""

    name: str
    value: float
    unit: str
    n: int
    """Samples behind it."""
    baseline: float | None = None
    """What it is compared with, measured in the same run; None: with nothing."""
    ratio: float | None = None
    """`value / baseline`."""

    @classmethod
    def against(cls, name: str, value: float, unit: str, n: int, baseline: float) -> Row:
        """A figure beside its baseline."""
        return cls(name=name, value=value, unit=unit, n=n, baseline=baseline, ratio=value / baseline)


def resident_kb() -> int:
    """Memory of this process that is in RAM."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])
