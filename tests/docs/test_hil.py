"""The tests in docs/hil.md pass, and its tables leave nothing out."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from boardtalk.hil import plugin
from boardtalk.hil.line import FaultyLine
from boardtalk.hil.plugin.kinds import CAPABILITIES
from tests.scenarios.rig import pytested

TEXT = (Path(__file__).parents[2] / "docs" / "hil.md").read_text()
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
OF_THE_RIG = {"join", "spoiler", "plugged_into"}
"""What a line is made to work with; not for tests."""


def rows(heading: str) -> str:
    """The first column of the table below a heading."""
    below = TEXT.partition(f"# {heading}\n")[2].partition("\n#")[0]
    return " ".join(re.findall(r"^\| (.*?) \|", below, re.MULTILINE))


@pytest.mark.timeout(200)
def test_its_tests_pass(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\nasyncio_mode = auto\n")
    for number, code in enumerate(EXAMPLES):
        (tmp_path / f"test_{number}.py").write_text(code)
    done = pytested(tmp_path, "-p", "no:cacheprovider", "-p", "no:hypothesispytest", within=180)
    assert f"{TEXT.count('def test_')} passed" in done, done


def test_the_first_one_has_five_lines() -> None:
    assert len(EXAMPLES[0].splitlines()) == 5


def test_the_table_of_fixtures_has_them_all() -> None:
    fixtures = {
        name
        for name, each in vars(plugin).items()
        if type(each).__name__ == "FixtureFunctionDefinition" and not name.startswith("_")
    }
    assert set(re.findall(r"`(\w+)`", rows("Fixtures"))) == fixtures


def test_the_table_of_faults_has_them_all() -> None:
    public = {name for name, _ in inspect.getmembers(FaultyLine, inspect.isfunction) if name[0] != "_"}
    assert set(re.findall(r"`(\w+)\(", rows("The line"))) == public - OF_THE_RIG


def test_the_table_of_capabilities_has_them_all() -> None:
    assert set(re.findall(r"`(\w+)`", rows("What not every board can do"))) - {"board_needs"} == {
        *CAPABILITIES
    }
