"""Draws the curves of the documents.

    make curves                                        # docs/link.svg, on the virtual clock
    python docs/plots.py stops FIGURES docs/stop.svg   # part of `make contract`; FIGURES as in contract.py

The same figures make the same file, byte for byte.
"""

from __future__ import annotations

import json
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Final

import matplotlib as mpl

from boardtalk.hil.virtual import bulk, plain
from boardtalk.hil.virtual.wire import Line

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

mpl.use("svg")
mpl.rcParams.update(
    {
        "svg.fonttype": "none",
        "svg.hashsalt": "boardtalk",
        "font.size": 9,
        "font.family": "sans-serif",
        "axes.grid": True,
        "grid.color": "#dddddd",
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "lines.linewidth": 1.8,
        "legend.frameon": False,
        "figure.facecolor": "white",  # a card of its own: legible on dark pages too
    }
)
from matplotlib import pyplot as plt  # noqa: E402 - after the choice of what draws

OURS, PLAIN, WEAK, LIMIT = "#0b6e99", "#b5521b", "#7fb3c8", "#a02040"
COUNT: Final = 1000
"""Frames of a transfer."""
LOSSES: Final = (0.0, 0.01, 0.02, 0.03, 0.05, 0.075, 0.10)
BAUDS: Final = (38_400, 57_600, 115_200, 230_400, 460_800, 1_000_000, 2_000_000)
WINDOWS: Final = {16: (OURS, "o"), 4: (WEAK, "s"), 1: (WEAK, "^")}
LOSS: Final = 0.05
MAX_MS: Final = 250
"""Promised of every stop."""
BARS_MS: Final = 2
TITLE_CHARS: Final = 90


def link(target: Path) -> None:
    """How much of a line is made use of, over loss and over speed; beside it one request at a time."""
    figure, places = plt.subplots(1, 3, figsize=(9.6, 3.6), sharey=True, layout="constrained")
    for axes, baud in zip(places, (115_200, 1_000_000), strict=False):
        for window, (color, marker) in WINDOWS.items():
            used = [bulk.to_board(Line(baud=baud, loss=loss), COUNT, window=window) for loss in LOSSES]
            label = f"link, window {window}"
            axes.plot(_percent(LOSSES), _percent(each.efficiency for each in used), color=color,
                      marker=marker, markersize=4, label=label)  # fmt: skip
        base = [plain.efficiency(Line(baud=baud, loss=loss), COUNT) for loss in LOSSES]
        axes.plot(_percent(LOSSES), _percent(base), color=PLAIN, linestyle="--", label="request and response")
        axes.set(title=f"{baud:,} baud", xlabel="frames lost, %", ylim=(0, 103))
    places[0].set_ylabel("of the line made use of, %")
    figure.legend(*places[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    ours = [bulk.to_board(Line(baud=baud, loss=LOSS), COUNT).efficiency for baud in BAUDS]
    base = [plain.efficiency(Line(baud=baud, loss=LOSS), COUNT) for baud in BAUDS]
    places[2].semilogx(BAUDS, _percent(ours), color=OURS, marker="o", markersize=4)
    places[2].semilogx(BAUDS, _percent(base), color=PLAIN, linestyle="--")
    places[2].set(title=f"{LOSS:.0%} of the frames lost", xlabel="baud")
    places[2].set_xticks(BAUDS[::2], [f"{baud:,}" for baud in BAUDS[::2]], rotation=20)
    places[2].minorticks_off()
    _save(figure, target)


def stops(folder: Path, target: Path) -> None:
    """How long stops took, from receipt to outputs off: idle, and under load."""
    found = _samples(folder)
    if not found:
        sys.exit(f"{folder}: no samples of stops there")
    figure, places = plt.subplots(len(found), 1, figsize=(8, 2.1 * len(found)), sharex=True,
                                  squeeze=False, layout="constrained")  # fmt: skip
    longest = max(MAX_MS, *(max(times) for times in found.values()))
    for axes, (what, times) in zip(places[:, 0], found.items(), strict=True):
        bars = [BARS_MS * bar for bar in range(int(longest / BARS_MS) + 2)]
        axes.hist(times, bins=bars, histtype="stepfilled", color=OURS)
        axes.yaxis.get_major_locator().set_params(integer=True)
        p99 = 100 if "hogs" in what else 20
        _limit(axes, p99, f"p99 ≤ {p99}")
        _limit(axes, MAX_MS, f"max ≤ {MAX_MS}")
        axes.set(title=_title(what, len(times)), ylabel="stops", xlim=(0, longest * 1.04))
    places[-1, 0].set_xlabel("from a stop's receipt to outputs off, ms")
    _save(figure, target)


def _limit(axes: Axes, at: float, word: str) -> None:
    axes.axvline(at, color=LIMIT, linestyle=":", linewidth=1.4)
    side = -1 if at == MAX_MS else 1
    axes.annotate(
        word,
        (at, 0.85),
        xytext=(4 * side, 0),
        textcoords="offset points",
        xycoords=("data", "axes fraction"),
        ha="right" if side < 0 else "left",
        color=LIMIT,
    )


def _samples(folder: Path) -> dict[str, list[float]]:
    """What was measured last, in ms, by what was going on."""
    found = {}
    for path in sorted(folder.glob("*.jsonl"), key=lambda path: path.stat().st_mtime):
        for line in path.read_text().splitlines():
            row = json.loads(line)
            if "samples_ms" in row:
                found[row["what"].partition(", ")[2]] = row["samples_ms"]
    return dict(sorted(found.items(), key=lambda each: each[0] != "idle"))


def _title(what: str, count: int) -> str:
    return textwrap.fill(f"{what.partition(';')[0]} ({count} stops)", TITLE_CHARS)


def _percent(shares: object) -> list[float]:
    return [100 * share for share in shares]  # type: ignore[attr-defined]


def _save(figure: Figure, target: Path) -> None:
    figure.savefig(target, metadata={"Date": None})
    print(f"written: {target.resolve()}, {target.stat().st_size // 1024} kB")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["link", target]:
            link(Path(target))
        case ["stops", folder, target]:
            stops(Path(folder), Path(target))
        case _:
            sys.exit(__doc__)
