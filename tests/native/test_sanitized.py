"""The C part of the gateway, and a module in it, under AddressSanitizer."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from boardtalk.native.build import INCLUDE, SOURCES

from .conftest import HERE, Workshop

ADDRESS = "-fsanitize=address"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("sanitized") / "program"
    sanitize = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    sources = [HERE / "sanitized.c", *SOURCES]
    subprocess.run(
        ["cc", "-g", "-O1", *sanitize, "-pthread", f"-I{INCLUDE}", "-o", made, *sources], check=True
    )
    return made


def run(*command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, **environment}, check=False
    )


def test_it_stays_inside_its_buffers(program: Path) -> None:
    done = run(program, "1", "20000")
    assert (done.returncode, done.stdout.split()[:2]) == (0, ["20000", "delivered,"]), done.stderr


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_it_stays_inside_its_buffers_for_long(program: Path) -> None:
    seed = str(os.getpid())
    done = run(program, seed, "2000000")
    assert done.returncode == 0, (seed, done.stderr)


def hosted(workshop: Workshop, rounds: int, *commands: str) -> subprocess.CompletedProcess[str]:
    """A module under the sanitizer, in a process that is not locked up: its shadow memory is too large."""
    library = workshop.make("puppet", ADDRESS, folder="sanitized") / "mesibo_mod_puppet.so"
    runtime = run("cc", "-print-file-name=libasan.so").stdout.strip()
    return run(
        *(sys.executable, HERE / "under_asan.py", library, "puppet", str(rounds), *commands),
        LD_PRELOAD=runtime,
        ASAN_OPTIONS="detect_leaks=0",
        PYTHONMALLOC="malloc",
    )


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_a_module_and_what_it_is_handed_stay_inside_theirs(workshop: Workshop) -> None:
    done = hosted(workshop, 20_000)
    assert (done.returncode, done.stderr) == (0, "")
    assert "heap-buffer-overflow" in hosted(workshop, 10, "overrun now").stderr
