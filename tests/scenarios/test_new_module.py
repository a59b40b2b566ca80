"""Somebody who has only the command begins a module: its test passes, and a gateway runs it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .people import Join
from .rig import Gateway, boardtalk, environment, pytested


def test_a_new_module_passes_its_test_and_answers_in_a_gateway(tmp_path: Path, join: Join) -> None:
    made = boardtalk("new-module", "weather", folder=tmp_path)
    assert made.code == 0
    folder = tmp_path / "weather"
    assert [line.split()[0] for line in made.out.splitlines()[2:]] == ["1.", "2.", "3."]
    tested = pytested(folder)
    assert "2 passed" in tested, tested
    with Gateway(tmp_path / "state", "run", "--conf", str(folder / "weather.conf")) as gateway:
        gateway.port = int(
            json.loads((gateway.state / "endpoints.json").read_text())["mqtt"].rpartition(":")[2]
        )
        alice = join(gateway, "alice")
        assert alice.do("count", to="weather").body == "1 times"


@pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler: apt install gcc libc6-dev make")
def test_one_in_c_is_compiled_passes_its_test_and_says_what_to_do(tmp_path: Path) -> None:
    tmp_path /= "my modules"
    tmp_path.mkdir()
    made = boardtalk("new-module", "counter", "--c", folder=tmp_path)
    folder = tmp_path / "counter"
    assert f"1. cd '{folder}' && make test" in made.out
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    tested = subprocess.run(
        ["make", "test"],
        cwd=folder,
        env=environment() | {"PATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "2 passed" in tested.stdout, tested.stdout + tested.stderr
    assert "warning" not in tested.stderr
    answer = boardtalk("new-module", "other", "--c", "--package", folder=tmp_path)
    assert (answer.code, "leave out --package" in answer.text) == (2, True)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("9x", "begins with a letter"),
        ("my-module", "begins with a letter and has a-z"),
        ("Weather", "is not an address"),
        ("iot_bridge", "there is a module 'iot_bridge' already"),
        ("help", "means something else"),
        ("class", "means something in Python"),
        ("json", "means something in Python"),
        ("message", "Message means something in boardtalk"),
    ],
)
def test_a_name_that_can_t_be_is_refused(tmp_path: Path, name: str, reason: str) -> None:
    answer = boardtalk("new-module", name, folder=tmp_path)
    assert (answer.code, reason in answer.text) == (2, True), answer.text
    assert list(tmp_path.iterdir()) == []


def test_a_package_can_t_have_the_name_of_an_installed_one(tmp_path: Path) -> None:
    answer = boardtalk("new-module", "msgspec", "--package", folder=tmp_path)
    assert (answer.code, "there is a Python package 'msgspec' already" in answer.text) == (2, True)
    assert boardtalk("new-module", "msgspec", folder=tmp_path).code == 0, (
        "in a folder it stands in nobody's way"
    )


def test_what_is_there_already_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "weather").mkdir()
    (tmp_path / "weather" / "mine.txt").write_text("mine")
    answer = boardtalk("new-module", "weather", folder=tmp_path)
    assert (answer.code, "there is something already" in answer.text) == (2, True)
    assert [path.name for path in (tmp_path / "weather").iterdir()] == ["mine.txt"]
    for wrong in ("weather/mine.txt", "a, b"):
        answer = boardtalk("new-module", "weather", "--folder", wrong, folder=tmp_path)
        assert (answer.code, "choose another" in answer.text) == (2, True)
