"""The examples of docs/mqtt.md do what stands below them, and its tables leave nothing out."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from boardtalk.broker import Login
from boardtalk.broker.permissions import Grant, mosquitto_acl
from boardtalk.people.policy import GATEWAY_TOPICS, LINK_TOPICS, Topics, board_topics, user_topics
from boardtalk.sdk import Code
from tests.scenarios.rig import DEADLINE_S, Gateway, until

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "mqtt.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
PYTHON = [(code, BLOCKS[number + 1][1]) for number, (kind, code) in enumerate(BLOCKS) if kind == "python"]
SHELL = [(kind, text) for kind, text in BLOCKS if kind not in ("python", "acl")][: -len(PYTHON)]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with Gateway(tmp_path_factory.mktemp("docs") / "state") as gateway:
        yield gateway


def for_alice(gateway: Gateway, example: str) -> str:
    """An example with the real port and password."""
    return example.replace("1883", str(gateway.port)).replace("PASSWORD", gateway.token("alice"))


def shown(expected: str, text: str) -> bool:
    """Whether each expected line stands somewhere in a text; `…` is anything."""
    lines = [".*".join(map(re.escape, line.split("…"))) for line in expected.splitlines()]
    return all(re.search(f"^{line}$", text, re.MULTILINE) for line in lines)


def wait_for(expected: str, heard: Path, seen: int) -> None:
    """Wait until the listener has shown these lines after the first `seen` characters."""
    until(lambda: shown(expected, heard.read_text()[seen:]), f"{expected}in\n{heard.read_text()}")


def test_the_shell_examples_do_what_they_show(demo: Gateway, tmp_path: Path) -> None:
    if not shutil.which("mosquitto_sub"):
        pytest.skip("mosquitto_sub is not installed")
    heard = tmp_path / "heard"
    login, listen, *rest = SHELL
    begin = for_alice(demo, login[1])
    with heard.open("wb") as out:
        listener = subprocess.Popen(["bash", "-c", f"{begin}exec {listen[1]}"], stdout=out)
    try:
        seen = 0
        for kind, text in rest:
            if kind == "text":
                wait_for(text, heard, seen)
            else:
                seen = len(heard.read_text())
                subprocess.run(["bash", "-c", begin + text], check=True, timeout=DEADLINE_S)
    finally:
        listener.kill()
        listener.wait()


@pytest.mark.parametrize(("code", "expected"), PYTHON, ids=["paho", "aiomqtt"])
def test_a_python_example_prints_what_it_shows(demo: Gateway, code: str, expected: str) -> None:
    command = [sys.executable, "-c", for_alice(demo, code)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=DEADLINE_S)
    assert done.returncode == 0, done.stderr
    assert shown(expected, done.stdout), done.stdout


def test_the_rights_at_another_broker_are_those_at_ours() -> None:
    both = Topics(
        GATEWAY_TOPICS.publish + LINK_TOPICS.publish,
        tuple(dict.fromkeys(GATEWAY_TOPICS.subscribe + LINK_TOPICS.subscribe)),  # both hear stops
    )
    wanted = [
        Grant("gateway", "", both),
        Grant("alice", "", user_topics("alice")),
        Grant(Login("rover", "t" * 32, board=True).name, "", board_topics("rover")),
    ]
    assert dict(BLOCKS)["acl"] == mosquitto_acl(wanted)


def test_the_table_of_statuses_has_every_code() -> None:
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", TEXT, re.MULTILINE)} == {*Code}


def test_the_table_of_the_envelope_has_every_key() -> None:
    table = TEXT.partition("## The envelope")[2].partition("\n## ")[0]
    schema = json.loads((DOCS / "envelope.schema.json").read_text())
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == {
        *schema["$defs"]["Envelope"]["properties"]
    }
