"""The power fails in the middle of an update: the board runs the old release or the new one, never none.

In the middle of an installation, by cable, the same command finishes it.

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
from cryptography.hazmat.primitives.asymmetric import rsa

from boardtalk.hil.interpreter import SIM, find_interpreter
from tests.campaigns.figures import note

FIRMWARE = Path(__file__).parents[2] / "firmware"
SHARE = 9
SEED = zlib.crc32(b"power cuts of an update") % SHARE
SYSTEMS = {"lfs": "LittleFS", "fat": "FAT"}


STORIES = {
    "update": ("boards that do not start, or do not finish then", "an update's"),
    "install": ("boards that the same command does not install then", "an installation's"),
}
SLICES = [(SEED,), pytest.param(range(SHARE), marks=pytest.mark.soak)]


@pytest.mark.parametrize("slices", SLICES, ids=["slice", "all"])
@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("story", STORIES)
def test_wherever_the_power_fails_the_board_starts_and_the_next_try_finishes(
    story: str, system: str, slices, key: Path
) -> None:
    """Releases are signed, and the board has a public key."""
    found = [cuts(story, system, each, key) for each in slices]
    done, writes, whole = sum(each["cuts"] for each in found), found[0]["writes"], found[0]["whole"]
    faults = [fault for each in found for fault in each["faults"]]
    again = sum(each["sent"] for each in found) / done
    bad, whose = STORIES[story]
    more = f"; sent again {again:.0f} of {whole} bytes on average" if whole else ""
    note(
        "OTA",
        f"power cut in {done} of {4 * writes} ways at {whose} {writes} writes and erases, {SYSTEMS[system]}",
        f"{len(faults)} {bad}{more}",
        seed=SEED,
    )
    assert not faults
    assert done >= 4 * writes * len(slices) // SHARE
    assert story == "install" or 0 < again < whole


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with modulus and private exponent of an RSA key, in hex."""
    numbers = rsa.generate_private_key(public_exponent=65537, key_size=3072).private_numbers()
    path = tmp_path_factory.mktemp("key") / "key"
    path.write_text(f"{numbers.public_numbers.n:x} {numbers.d:x}")
    return path


def cuts(story: str, system: str, first: int, key: Path) -> dict[str, Any]:
    """What a share of the cuts led to."""
    command = find_interpreter("rover", "256m", fallback=False).command[:-2]
    script = Path(__file__).with_name("board") / "cuts.py"
    done = subprocess.run(
        [*command, script, story, system, f"{first}", f"{SHARE}", FIRMWARE / "ota", key],
        env={**os.environ, "MICROPYPATH": f"{SIM}:{FIRMWARE}:.frozen"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])
