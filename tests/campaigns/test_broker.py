"""The broker dies, again and again, and its files are damaged: chat with the robot goes on."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.scenarios.people import Person
from tests.scenarios.rig import BROKER, Gateway, until

from .figures import note, spread
from .rig import seeded

BACK_S = 5.0
"""Promised."""
SHORT = pytest.param(4, id="short", marks=pytest.mark.timeout(120))
LONG = pytest.param(50, id="long", marks=[pytest.mark.soak, pytest.mark.timeout(3600)])


@pytest.mark.parametrize("times", [SHORT, LONG])
def test_c20_a_killed_broker_with_damaged_files_is_back_in_time_and_local_chat_goes_on(
    tmp_path: Path, times: int
) -> None:
    chance, fired, back = seeded(), Counter[str](), list[float]()
    with Gateway(tmp_path / "state") as demo, Person(demo, "alice", demo.token("alice")) as alice:
        for number in range(times):
            alice.do("battery")  # the broker has something to keep
            sessions, killed = alice.sessions, demo.process(BROKER)
            if number % 2:
                damage(demo.state, chance, fired)
            demo.signal(BROKER, signal.SIGKILL)
            began = time.monotonic()
            assert demo.chat("rover", "battery").code == 0, "the terminal needs no broker"
            alice.wait(lambda sessions=sessions: alice.sessions > sessions, "connected again", 30)
            back.append(time.monotonic() - began)
            alice.insist("battery")
            until(lambda killed=killed: demo.process(BROKER).pid != killed.pid, "another broker")
    note("C20", f"{times} kills, {fired['files']} damaged files: clients back", spread(back))
    assert max(back) <= BACK_S
    assert fired["files"]


def damage(state: Path, chance: random.Random, fired: Counter[str]) -> None:
    """Overwrite the middle of what the broker keeps."""
    for path in state.rglob("*"):
        if path.is_file() and "jetstream" in path.parts and path.stat().st_size:
            if chance.random() < 0.5:
                continue
            data = bytearray(path.read_bytes())
            at = chance.randrange(len(data))
            data[at : at + 16] = chance.randbytes(16)
            path.write_bytes(data)
            fired["files"] += 1
