"""`boardtalk bench`: all figures come in one form, for programs too."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from boardtalk.hil.bench.peers.__main__ import Pass, rate, work
from boardtalk.hil.bench.peers.belay import Side, Task, by_gateway, by_link
from boardtalk.hil.bench.peers.features import FEATURES, tried
from boardtalk.hil.bench.rows import Row
from boardtalk.hil.micropython.board import MicroPythonBoard
from boardtalk.hil.qemu.microbit import missing_packages
from boardtalk.modules.filter import Filter
from boardtalk.sdk import Flag

LONG = [pytest.mark.soak, pytest.mark.timeout(400)]
"""They take minutes; what they measure has quick tests of its own."""


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("name", "figures"),
    [
        pytest.param(
            "chain",
            {"chain, 1 modules", "chain, 5 modules", "chain, 10 modules", "chain, memory growth"},
            marks=LONG,
        ),
        pytest.param(
            "isolated",
            {"isolated hop, one after the other, p99", "isolated, 20 modules, 100 conversations"},
            marks=LONG,
        ),
        pytest.param(
            "native",
            {"Python, inline: hop, p99", "Python, isolated: hop, p99", "native: 100 conversations"},
            marks=LONG,
        ),
        pytest.param(
            "conversations",
            {
                "conversations, throughput",
                "conversations, in the module at once",
                "conversations, out of order",
            },
            marks=LONG,
        ),
        ("codec", {"encode 8 B, hand / interpreted", "encode and decode 128 B, hand / compiled"}),
        pytest.param(
            "command",
            {"bare echo on a pty, p50", "board hop alone, p50", "through the broker, p99"},
            marks=LONG,
        ),
        pytest.param(
            "broker",
            {"MQTT door, QoS 1 in and out", "MQTT door, lost", "MQTT door, doubled"},
            marks=LONG,
        ),
        pytest.param(
            "link",
            {
                "virtual, 1000000 baud, 5% lost, to the board, window 16",
                "paced pty, 115200 baud, to the gateway",
                "CPU of a reliable round trip",
            },
            marks=LONG,
        ),
        pytest.param(
            "boards",
            {
                "start to prompt, folder, median",
                "20 boards at the prompt, CPU of the machine",
                "round trip through the port, p99",
                "stream to the host",
            },
            marks=LONG,
        ),
        pytest.param(
            "page",
            {
                "the first answer: its process starts",
                "memory with 50 pages, together",
                "… to the last of 50, p99",
            },
            marks=LONG,
        ),
        ("startup", {"start to ready, median", "resident memory, gateway"}),
    ],
)
def test_it_reports_rows(name: str, figures: set[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "boardtalk", "bench", name, "--json"], capture_output=True, check=True
    )
    rows = {row.name: row for row in msgspec.json.decode(done.stdout, type=list[Row])}
    assert figures <= rows.keys()
    for row in rows.values():
        assert row.n > 0
        assert row.unit
        assert (row.baseline is None) is (row.ratio is None)
        assert row.ratio is None or row.ratio == pytest.approx(row.value / (row.baseline or 1))


@pytest.mark.parametrize("flags", [Flag(0), Flag.TRANSIENT])
async def test_our_side_of_the_comparison_passes_on_and_keeps_back(flags: Flag) -> None:
    task = work()
    assert await rate(Pass, "", task.texts[:50], flags) > 0
    assert await rate(Filter, f"blocked_words = {', '.join(task.blocked)}", task.texts[:50], flags) > 0


@pytest.mark.parametrize("side", [by_link, by_gateway])
async def test_our_side_of_the_comparison_with_belay_adds_on_an_emulated_board(side: Side) -> None:
    figures = await side(Task(5))
    assert len(figures.times) == 5
    assert figures.together_s > 0


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["belay", sys.executable], "has no Belay"),
        (["belay", "/nowhere"], "No such file"),
        (["features", sys.executable, sys.executable], "has no pytest-embedded"),
    ],
)
def test_without_the_other_side_it_says_what_is_missing(arguments: list[str], why: str) -> None:
    module, *pythons = arguments
    done = subprocess.run(
        [sys.executable, "-m", f"boardtalk.hil.bench.peers.{module}", *pythons],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert why in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.soak
@pytest.mark.timeout(200)
@pytest.mark.skipif(bool(missing_packages()), reason="QEMU or its firmware is not installed")
async def test_our_column_of_the_table_beside_other_test_tools_is_true() -> None:
    async with MicroPythonBoard() as board:
        told = await tried(sys.executable, "boardtalk", board.port)
    assert told.keys() == FEATURES.keys()
    documented = (Path(__file__).parents[2] / "docs" / "hil.md").read_text()
    for feature, cell in told.items():
        assert f"| {FEATURES[feature]} | {cell} |" in documented


def test_an_unknown_one_is_refused_with_the_known_ones() -> None:
    refused = subprocess.run(
        [sys.executable, "-m", "boardtalk", "bench", "chian"], capture_output=True, text=True, check=False
    )
    assert refused.returncode == 2
    assert "chain" in refused.stdout + refused.stderr
