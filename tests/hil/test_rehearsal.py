"""What a program declares is found out without its robot, and without harm to this machine."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from boardtalk.hil.rehearsal import declared
from tests.scenarios.rig import environment, processes, until

EXAMPLES = Path(__file__).parents[2] / "firmware" / "examples"
NOSY = """\
import socket
from boardtalk import Board

found = []
for path in ({secret!r}, "/etc/passwd"):
    try:
        found.append(open(path).read())
    except OSError:
        pass
try:
    found.append(str(socket.socket()))
except OSError:
    pass
try:
    open({secret!r}, "w")
    found.append("written")
except OSError:
    pass
Board("nosy", about=repr(found)).run()
"""


@pytest.mark.parametrize("name", ["arm", "rover", "station"])
def test_a_program_for_hardware_that_is_not_here_tells_what_it_declares(name: str) -> None:
    text = declared({path.name: path.read_bytes() for path in (EXAMPLES / name).glob("*.py")})
    assert text is not None
    assert json.loads(text)["name"] == name
    assert json.loads(text)["commands"]


def test_it_sees_nothing_of_this_machine(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    text = declared({"main.py": NOSY.format(secret=str(secret)).encode()})
    assert text is not None
    assert json.loads(text)["about"] == "[]"
    assert secret.read_text() == "secret"


@pytest.mark.parametrize("program", [b"1 / 0\n", b"print('{}')\n", b"import sys\nsys.exit(0)\n"])
def test_a_program_that_does_not_get_so_far_declares_nothing(program: bytes) -> None:
    assert not declared({"main.py": program})


def test_it_ends_with_whoever_asked(tmp_path: Path) -> None:
    code = "from boardtalk.hil.rehearsal import declared\ndeclared({'main.py': b'while True: pass'})"
    with subprocess.Popen([sys.executable, "-c", code], env=environment(tmp_path)) as asking:
        until(lambda: any("declare.py" in each.command for each in processes(tmp_path)), "the program runs")
        asking.kill()
    until(lambda: not processes(tmp_path), "it has ended", within=5)
