"""`boardtalk new-module`: a module of your own, to begin with."""

from __future__ import annotations

import keyword
import re
import sys
from importlib import import_module
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter

from boardtalk import sdk
from boardtalk.cli.common import DONE, console
from boardtalk.loader import find
from boardtalk.sdk import AddressError, ModuleError, check_name

SKELETON: Final = "skeleton"

TEST: Final = '''"""What {name} does, tried on a gateway in a temporary folder."""

import sys
from pathlib import Path

from boardtalk.testing import bench

sys.path.insert(0, str(Path(__file__).parent))
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
    verbosity = 1
}}
"""
PYTEST: Final = "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n"


def new_module(
    name: str, /, *, folder: Annotated[Path | None, Parameter(help="Where; default: ./NAME.")] = None
) -> int:
    """Begin a module of your own: its code, a test that passes, and a configuration to try it.

    Example: boardtalk new-module weather
    """
    _check(name)
    target = (folder or Path(name)).absolute()
    _check_folder(target)
    cls = _class_name(name)
    files = {
        f"{name}.py": _code(name, cls),
        f"test_{name}.py": TEST.format(name=name, cls=cls),
        f"{name}.conf": CONF.format(name=name, folder=target),
        "pytest.ini": PYTEST,
    }
    try:
        target.mkdir(parents=True, exist_ok=True)
        for file, text in files.items():
            (target / file).write_text(text)
    except OSError as error:
        raise ModuleError(f"{target}: can't be written: {error.strerror}") from error
    told = (
        f"{target}: {', '.join(files)}",
        "next:",
        f"  1. cd {target} && pytest   # needs pytest and pytest-asyncio",
        f"  2. boardtalk run --watch --conf {target / name}.conf   # in another terminal",
        f"  3. boardtalk chat {name} hello; then change {name}.py, and say it again",
    )
    for line in told:
        console.print(line, markup=False, soft_wrap=True)
    return DONE


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
