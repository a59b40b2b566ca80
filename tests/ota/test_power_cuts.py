"""The power fails in the middle of an update: the board runs the old release or the new one, never none.

Real MicroPython, its LittleFS and its FAT, and the firmware's own code: `cuts.py`. A seeded slice here; in
the soak all writes and erases, each with the block torn in four ways.
"""

from __future__ import annotations

import json
import os
import subprocess
import zlib
from pathlib import Path
from typing import Any

import pytest

from boardtalk.hil.interpreter import SIM, find_interpreter
from tests.campaigns.figures import note

FIRMWARE = Path(__file__).parents[2] / "firmware"
SHARE = 9
SEED = zlib.crc32(b"power cuts of an update") % SHARE
SYSTEMS = {"lfs": "LittleFS", "fat": "FAT"}


@pytest.mark.parametrize(
    "slices", [(SEED,), pytest.param(range(SHARE), marks=pytest.mark.soak)], ids=["slice", "all"]
)
@pytest.mark.parametrize("system", SYSTEMS)
def test_wherever_the_power_fails_the_board_starts_and_the_next_try_finishes(system: str, slices) -> None:
    found = [cuts(system, each) for each in slices]
    done, writes, whole = sum(each["cuts"] for each in found), found[0]["writes"], found[0]["whole"]
    faults = [fault for each in found for fault in each["faults"]]
    again = sum(each["sent"] for each in found) / done
    note(
        "OTA",
        f"power cut in {done} of {4 * writes} ways at an update's {writes} writes and erases, "
        f"{SYSTEMS[system]}",
        f"{len(faults)} boards that do not start, or do not finish then; sent again {again:.0f} of "
        f"{whole} bytes on average",
        seed=SEED,
    )
    assert not faults
    assert done >= 4 * writes * len(slices) // SHARE
    assert 0 < again < whole


def cuts(system: str, first: int) -> dict[str, Any]:
    """What a share of the cuts led to."""
    command = find_interpreter("rover", "256m", fallback=False).command[:-2]
    done = subprocess.run(
        [
            *command,
            Path(__file__).with_name("board") / "cuts.py",
            system,
            f"{first}",
            f"{SHARE}",
            FIRMWARE / "ota",
        ],
        env={**os.environ, "MICROPYPATH": f"{SIM}:{FIRMWARE}:.frozen"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])
