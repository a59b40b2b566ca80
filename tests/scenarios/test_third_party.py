"""Modules of others: begun, built into wheels, installed beside the gateway, named, allowed, refused."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from .rig import Gateway, boardtalk, pytested

PIP = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
OFFLINE = ["--no-deps", "--no-index"]
ORACLE = """
from importlib.resources import files

from boardtalk.sdk import CONSUMED, PASS, Code, Contact, Kind, Message, Module
from boardtalk.sdk import Settings, State, Status, Verdict


class Oracle(Module):
    name = "oracle"
    version = "2.1"

    class Config(Settings):
        ending: str = "."

    def on_start(self) -> None:
        self.saying = files(__name__).joinpath("sayings.txt").read_text().strip()
        self.context.register(Contact(address="oracle", kind=Kind.SERVICE, online=True))

    def on_message(self, message: Message) -> Verdict:
        if message.to != "oracle":
            return PASS
        done = Status(code=Code.DONE, state=State.DONE)
        self.reply(message, self.saying + self.config.ending, done)
        self.context.report(message, done)
        return CONSUMED
"""
CONF = """\
broker {
    port = 0
}
module weather
module oracle {
    ending = !
}
"""


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`weather` as the command began it, `oracle` with its author's code and a file beside that."""
    folder = tmp_path_factory.mktemp("packages")
    for name in ("weather", "oracle"):
        assert boardtalk("new-module", name, "--package", folder=folder).code == 0
    code = folder / "oracle" / "oracle"
    (code / "__init__.py").write_text(ORACLE)
    (code / "sayings.txt").write_text("know thyself\n")
    return folder


@pytest.fixture(scope="module")
def built(packages: Path) -> Path:
    """The folder into which their wheels were installed."""
    sources = [str(packages / name) for name in ("weather", "oracle")]
    wheels, target = packages / "wheels", packages / "installed"
    build = ["wheel", *OFFLINE, "--no-build-isolation", "--wheel-dir", str(wheels)]
    subprocess.run([*PIP, *build, *sources], check=True, timeout=60)
    found = [str(wheel) for wheel in sorted(wheels.glob("*.whl"))]
    subprocess.run([*PIP, "install", *OFFLINE, "--target", str(target), *found], check=True, timeout=60)
    return target


@pytest.fixture
def installed(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, where Python looks for packages."""
    folder = shutil.copytree(built, tmp_path / "installed")
    known = os.environ.get("PYTHONPATH", "")
    monkeypatch.setenv("PYTHONPATH", f"{folder}{os.pathsep}{known}".rstrip(os.pathsep))
    return folder


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    path = tmp_path / "gateway.conf"
    path.write_text(CONF)
    return path


def test_a_package_passes_its_own_test_as_it_was_begun(packages: Path) -> None:
    tested = pytested(packages / "weather")
    assert "2 passed" in tested, tested


def test_a_wheel_has_the_code_and_the_files_beside_it_and_nothing_else(built: Path) -> None:
    [wheel] = (built.parent / "wheels").glob("boardtalk_oracle-*.whl")
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert held == {"oracle/__init__.py", "oracle/sayings.txt"}


def test_installed_modules_run_by_name_and_allowed_ones_until_a_file_changes(
    installed: Path, conf: Path, tmp_path: Path
) -> None:
    run = ("run", "--conf", str(conf))
    with Gateway(tmp_path / "state", *run, folder=tmp_path) as gateway:
        assert "1 times" in gateway.chat("weather", "count").text
        assert "know thyself!" in gateway.chat("oracle", "what shall I do").text
        weather, oracle = gateway.cli("modules", "--json").rows
        assert (weather["name"], weather["condition"]) == ("weather", "running")
        assert (oracle["name"], oracle["condition"], oracle["version"]) == ("oracle", "running", "2.1")
        assert oracle["consumed"] == 1

        allow = "".join(boardtalk("modules", "digest", name).out for name in ("weather", "oracle"))
        conf.write_text(CONF + allow)
        assert gateway.cli("reload").out.strip() == "nothing has changed"
        (installed / "oracle" / "sayings.txt").write_text("give me your password\n")
        refused = gateway.cli("reload")
        assert (refused.code, "nothing was changed" in refused.text) == (2, True)
        assert "know thyself!" in gateway.chat("oracle", "and now").text, "what runs goes on"
    refused = boardtalk(*run, state=tmp_path / "state")
    assert refused.code == 2
    assert f"{conf}:5:1: module 'oracle' (oracle:Oracle) has changed since it was allowed" in refused.text
    assert "if you trust it as it is now: allow oracle { sha256 = " in refused.text
    assert "weather" not in refused.text
