"""The module of docs/module-author.md does what stands there, and its test passes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from boardtalk import conf, finder, loader, sdk
from tests.scenarios.rig import environment

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "module-author.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
PYTHON = [code for kind, code in BLOCKS if kind == "python"]
CONF = next(code for kind, code in BLOCKS if not kind)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "polite.py").write_text(PYTHON[0])
    return tmp_path


def test_its_configuration_is_right(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    document = conf.parse(CONF.replace("~/modules", str(folder)))
    assert loader.problems(document) == []
    assert [instance.name for instance in loader.plan(document).instances] == ["polite", "iot_bridge"]
    for name in [name for name in sys.modules if name.startswith(finder.FOLDER_PREFIX)]:
        monkeypatch.delitem(sys.modules, name)


def test_its_test_passes(folder: Path) -> None:
    (folder / "test_polite.py").write_text(f"from polite import Polite\n{PYTHON[1]}")
    tested = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-o", "asyncio_mode=auto", "-o", "pythonpath=."],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "1 passed" in tested.stdout, tested.stdout


def test_the_names_of_ours_in_the_table_are_there() -> None:
    rows = re.findall(r"^\| .*? \| (.*) \|$", TEXT.split("## If you know")[1], re.MULTILINE)[2:]
    known = {*sdk.__all__, *dir(sdk.Module), *dir(sdk.Message), *sdk.Message.__struct_fields__}
    known |= {
        name for each in (sdk.Context, sdk.Flag, sdk.Code, sdk.User, sdk.Timeouts) for name in dir(each)
    }
    named = {
        word for row in rows for code in re.findall("`(.+?)`", row) for word in re.findall(r"\w{4,}", code)
    }
    prose = {
        "async",
        "chatbot",
        "filter",
        "verbosity",
        "with",
        "self",
        "context",
        "level",
        "text",
        "tcp",
        "from",
        "role",
        "config",
        "name",
    }
    arguments = {"body", "json", "headers", "etag", "modified_since", "keepalive", "verify"}
    assert named - known - prose - arguments == set()
