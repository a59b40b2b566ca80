"""The built wheel works by itself, away from the checkout, with what the lock file names and no more."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from .people import VOLTS
from .rig import Gateway

ROOT = Path(__file__).parents[2]
PIP = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
PLACES = {
    "gateway": "",
    "modules": "modules/",
    "hil": "hil/",
    "firmware": "firmware/",
    "boards": "boards/",
    "conf": "defaults/",
}
"""Where the folders of the repository are in the package."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy: setuptools writes into the tree it builds from."""
    folder = tmp_path_factory.mktemp("wheel")
    unwanted = shutil.ignore_patterns(".*", "build", "dist", "tests", "docs", "__pycache__", "*.egg-info")
    shutil.copytree(ROOT, folder / "source", ignore=unwanted)
    build = ["wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder)]
    subprocess.run([*PIP, *build, str(folder / "source")], check=True, timeout=120)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The commands of an empty environment into which lock file and wheel were installed."""
    folder = tmp_path_factory.mktemp("venv")
    venv.create(folder, symlinks=True)
    install = [*PIP, "--python", str(folder / "bin" / "python"), "install", "--no-compile"]
    lock = ["--require-hashes", "-r", str(ROOT / "requirements.lock")]
    subprocess.run([*install, *lock], check=True, timeout=240)
    subprocess.run([*install, "--no-deps", "--no-index", str(wheel)], check=True, timeout=60)
    return folder / "bin"


def test_the_wheel_holds_every_file_of_the_packages_and_nothing_else(wheel: Path) -> None:
    source = wheel.parent / "source"
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert held == {
        f"boardtalk/{place}{path.relative_to(source / folder)}"
        for folder, place in PLACES.items()
        for path in (source / folder).rglob("*")
        if path.is_file() and path.suffix != ".ini"  # of the developers' tools
    }


@pytest.mark.timeout(300)
def test_the_lock_file_names_all_that_the_wheel_needs(installed: Path) -> None:
    subprocess.run([*PIP, "--python", str(installed / "python"), "check"], check=True, timeout=60)


@pytest.mark.timeout(300)
def test_a_strangers_project_is_tested_without_hardware(installed: Path, tmp_path: Path) -> None:
    project = tmp_path / "lamp"
    subprocess.run([installed / "boardtalk", "hil", "new", project], check=True, capture_output=True)
    assert "6 passed" in outcome(installed, project)


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_a_strangers_project_is_tested_by_two_workers(installed: Path, tmp_path: Path) -> None:
    project = tmp_path / "lamp"
    subprocess.run([installed / "boardtalk", "hil", "new", project], check=True, capture_output=True)
    wanted = ("pytest-xdist==", "execnet==")
    lock = re.split(r"^(?=\S)", (ROOT / "requirements-dev.lock").read_text(), flags=re.MULTILINE)
    (tmp_path / "lock").write_text("".join(block for block in lock if block.startswith(wanted)))
    install = [*PIP, "--python", str(installed / "python"), "install", "--require-hashes", "--no-deps"]
    subprocess.run([*install, "-r", str(tmp_path / "lock")], check=True, timeout=60)
    assert "6 passed" in outcome(installed, project, "-n", "2")


def outcome(installed: Path, project: Path, *options: str) -> str:
    """What his pytest prints."""
    command = [str(installed / "pytest"), "-q", *options]
    return subprocess.run(
        command, cwd=project, check=False, capture_output=True, text=True, timeout=120
    ).stdout


@pytest.mark.timeout(300)
def test_the_demo_runs_from_the_wheel_in_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    where = [str(installed / "python"), "-c", "import boardtalk; print(boardtalk.__file__)"]
    imported = subprocess.run(where, cwd=empty, check=True, capture_output=True, text=True).stdout
    assert imported.startswith(str(installed.parent)), "the wheel's code, not the checkout's"
    program = [str(installed / "boardtalk")]
    with Gateway(tmp_path / "state", program=program, folder=empty) as gateway:
        assert VOLTS.search(gateway.chat("rover", "battery").text)
        assert gateway.chat("rover", "forward 20").code == 0
        assert gateway.board()["firmware"]
    assert not [*empty.iterdir()]
