"""`boardtalk bench`: measures, and compares with a baseline of the same run."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final, Literal

import msgspec
from rich.console import Console
from rich.table import Table

from boardtalk.sdk.options import AsJson

if TYPE_CHECKING:
    from boardtalk.hil.bench.rows import Row

Name = Literal[
    "chain",
    "isolated",
    "native",
    "conversations",
    "codec",
    "command",
    "broker",
    "link",
    "startup",
    "villains",
    "boards",
    "flashing",
    "ota",
    "page",
]
ELSEWHERE: Final[dict[Name, str]] = {"command": "round_trip"}
"""Modules that are not called like what they measure."""


def bench(
    name: Name,
    /,
    *,
    json: AsJson = False,
) -> int:
    """Measure a part and print the figures.

    Example: boardtalk bench chain

    Args:
        name: the part; `flashing` needs `boardtalk[esp]`.
    """
    rows: list[Row] = list(import_module(f"boardtalk.hil.bench.{ELSEWHERE.get(name, name)}").rows())
    if json:
        print(msgspec.json.encode(rows).decode())
        return 0
    table = Table("figure", "value", "unit", "n", "baseline", "ratio", title=f"boardtalk bench {name}")
    for row in rows:
        table.add_row(
            row.name,
            _short(row.value),
            row.unit,
            f"{row.n}",
            _short(row.baseline),
            _short(row.ratio),
        )
    Console().print(table)
    return 0


def _short(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
