"""The built wheel works by itself, away from the checkout."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from .people import VOLTS
from .rig import Gateway

ROOT = Path(__file__).parents[2]
PIP = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
DEPENDENCY_COMMANDS = ("nats-server", "micropython")


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
    """An environment with only the wheel, which borrows libraries and their commands from ours."""
    folder = tmp_path_factory.mktemp("venv")
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    install = ["--python", str(python), "install", "--no-deps", "--no-index", str(wheel)]
    subprocess.run([*PIP, *install], check=True, timeout=120)
    site = next((folder / "lib").glob("python*/site-packages"))
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    for command in DEPENDENCY_COMMANDS:
        theirs = Path(sysconfig.get_path("scripts")) / command
        if theirs.exists():
            (folder / "bin" / command).symlink_to(theirs)
    return folder / "bin"


def test_the_wheel_holds_boards_firmware_configuration_and_no_tests(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for wanted in (
        "boardtalk/sdk/__init__.py",
        "boardtalk/py.typed",
        "boardtalk/modules/iot_bridge/__init__.py",
        "boardtalk/hil/__init__.py",
        "boardtalk/firmware/boardtalk/__init__.py",
        "boardtalk/defaults/gateway.conf",
    ):
        assert wanted in names
    assert any(name.startswith("boardtalk/firmware/examples/rover") for name in names)
    assert any(name.startswith("boardtalk/boards/") and name.endswith(".toml") for name in names)
    assert all(name.startswith(("boardtalk/", "boardtalk-")) for name in names)
    assert not any("test_" in name or "__pycache__" in name for name in names)


@pytest.mark.timeout(120)
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
