"""`boardtalk new-module`: a module of your own, to begin with."""

from __future__ import annotations

import keyword
import re
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

from boardtalk import sdk
from boardtalk.cli import new_native
from boardtalk.cli.common import DONE, console
from boardtalk.finder import find
from boardtalk.sdk import AddressError, ModuleError, check_name

if TYPE_CHECKING:
    from collections.abc import Mapping

SKELETON: Final = "skeleton"

TEST: Final = '''"""What {name} does, tried on a gateway in a temporary folder."""

from boardtalk.testing import bench
from {name} import {cls}


async def test_it_answers() -> None:
    async with bench({cls}) as gateway:
        gateway.say("alice", "{name}", "hello")
        assert "Ask me" in (await gateway.hears("alice", "You are operator")).body


async def test_what_is_not_for_it_goes_on() -> None:
    async with bench({cls}) as gateway:
        gateway.say("alice", "bob", "hello")
        await gateway.hears("bob", "hello")
'''
CONF: Final = """\
# Tries {name}: boardtalk run --watch --conf {name}.conf
module_folders = {folder}

broker {{
    port = 0
}}

module {name} {{
    {own}
}}
"""
PYTEST: Final = """\
[pytest]
pythonpath = .
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
"""
PROJECT: Final = """\
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "boardtalk-{dashed}"
version = "1"
description = "The module {name} for boardtalk"
readme = "README.md"
requires-python = ">=3.11"
# What it needs besides boardtalk: it is installed where a gateway is.
dependencies = []

[project.entry-points."boardtalk.modules"]
{name} = "{name}:{cls}"

[tool.setuptools.packages.find]
include = ["{name}*"]

[tool.setuptools.package-data]
# Other files beside the code go along; it reads one by importlib.resources.files(__name__).
"*" = ["*"]
"""
README: Final = """\
# {name}

A module for boardtalk. To install it, use the `pip` of the environment that the gateway runs in:
`pip install .`; then write `module {name}` into the gateway's configuration.
Who changes it: `pytest` tests it, `boardtalk run --watch --conf {name}.conf` runs it as it is here.
"""


def new_module(
    name: str,
    /,
    *,
    package: Annotated[bool, Parameter(help="Make a package that others can install.")] = False,
    c: Annotated[bool, Parameter(name="--c", help="In C, with a Makefile.")] = False,
    folder: Annotated[Path | None, Parameter(help="Where; default: ./NAME.")] = None,
) -> int:
    """Begin a module of your own: its code, a test that passes, and a configuration to try it.

    Example: boardtalk new-module weather
    """
    _check(name)
    if package and c:
        raise ModuleError("a module in C is a library, no package of Python's: leave out --package")
    if package:
        _check_import_name(name)
    target = (folder or Path(name)).absolute()
    _check_folder(target)
    code, files = _native(name) if c else _package(name) if package else _single(name)
    own = f"address = {name}" if c else "verbosity = 1"
    files[f"{name}.conf"] = CONF.format(name=name, folder=target, own=own)
    files["pytest.ini"] = PYTEST
    _write(target, files)
    test = "make test" if c else "pytest"
    told = [
        f"{target}: {', '.join(files)}",
        "next:",
        f"  1. cd {quote(str(target))} && {test}   # needs pytest and pytest-asyncio",
        f"  2. boardtalk run --watch --conf {quote(f'{target / name}.conf')}   # in another terminal",
        f"  3. boardtalk chat {name} hello; then change {code}, {'`make`, ' if c else ''}and say it again",
    ]
    if package:
        told.append(
            f"  4. pip install {quote(str(target))}   # where a gateway is: then `module {name}` is enough"
        )
    for line in told:
        console.print(line, markup=False, soft_wrap=True)
    return DONE


def _native(name: str) -> tuple[str, dict[str, str]]:
    """The file with a module's code, and all of it: a library in C."""
    return f"{name}.c", new_native.files(name)


def _single(name: str) -> tuple[str, dict[str, str]]:
    """A module in one file, for a folder that a configuration names."""
    cls, code = _class_name(name), f"{name}.py"
    return code, {code: _code(name, cls), f"test_{name}.py": TEST.format(name=name, cls=cls)}


def _package(name: str) -> tuple[str, dict[str, str]]:
    """A package with an entry point. Its folder serves as a folder of modules too, to try it."""
    names = {"name": name, "cls": _class_name(name), "dashed": name.replace("_", "-")}
    code = f"{name}/__init__.py"
    return code, {
        code: _code(name, names["cls"]),
        f"tests/test_{name}.py": TEST.format(**names),
        "pyproject.toml": PROJECT.format(**names),
        "README.md": README.format(**names),
    }


def _write(target: Path, files: Mapping[str, str]) -> None:
    try:
        for file, text in files.items():
            path = target / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    except OSError as error:
        raise ModuleError(f"{target}: can't be written: {error.strerror}") from error


def _check(name: str) -> None:
    try:
        check_name(name)
    except AddressError as error:
        raise ModuleError(str(error)) from error
    if not name.isidentifier():
        raise ModuleError(f"{name!r}: a module's name begins with a letter and has a-z, 0-9 and '_' in it")
    if keyword.iskeyword(name) or name in {*sys.stdlib_module_names, "boardtalk"}:
        raise ModuleError(f"{name!r} means something in Python: choose another name")
    if _class_name(name) in sdk.__all__:
        raise ModuleError(f"{_class_name(name)} means something in boardtalk: choose another name")
    if name in find():
        raise ModuleError(f"there is a module {name!r} already: choose another name")


def _check_import_name(name: str) -> None:
    """Two packages of one name can't be installed side by side."""
    found = find_spec(name)
    if found and found.origin:  # a mere folder of that name has none
        raise ModuleError(f"there is a Python package {name!r} already: choose another name")


def _check_folder(target: Path) -> None:
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ModuleError(f"{target}: there is something already; choose another --folder")
    if "," in str(target) or " #" in str(target):
        raise ModuleError(f"{target}: a configuration can't name a folder with ',' or ' #'; choose another")


def _class_name(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def _code(name: str, cls: str) -> str:
    """The skeleton under another name."""
    source = find()[SKELETON]
    source.load()
    text = Path(str(import_module(source.package).__file__)).read_text()
    text = re.sub(r"\bSkeleton\b", cls, text)
    return re.sub(r"\bskeleton\b", name, text)
