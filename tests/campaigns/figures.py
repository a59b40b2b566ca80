"""What a campaign has measured: printed, and kept for the table in docs/contract.md if asked for.

`BOARDTALK_FIGURES` names the folder; there each test appends lines of JSON to a file of its process.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path


def note(clause: str, what: str, figure: str, **more: object) -> None:
    """Keep a figure of a clause, such as ("C9", "kill -9 of the gateway", "max 512 ms")."""
    test = os.environ.get("PYTEST_CURRENT_TEST", "").partition(" ")[0]
    print(f"{clause} {what}: {figure}")
    folder = os.environ.get("BOARDTALK_FIGURES")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        row = {"clause": clause, "what": what, "figure": figure, "test": test, **more}
        with (Path(folder) / f"{os.getpid()}.jsonl").open("a") as file:
            file.write(json.dumps(row) + "\n")


def quantile(samples: Sequence[float], share: float) -> float:
    """The sample below which so many are; of few samples, the largest."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def counted(what: Mapping[str, int]) -> str:
    """How often what was, such as "14 done, 4 expired"."""
    return ", ".join(f"{times} {name}" for name, times in what.items())


def spread(seconds: Sequence[float]) -> str:
    """Median, 99 % and the worst, in ms."""
    ms = [1000 * each for each in seconds]
    shares = " · ".join(
        f"{name} {value:.0f}"
        for name, value in (("p50", quantile(ms, 0.5)), ("p99", quantile(ms, 0.99)), ("max", max(ms)))
    )
    return f"{shares} ms ({len(ms)})"
