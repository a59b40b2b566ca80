"""Native modules for tests: compiled from C and C++ beside them, once for each test session."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from boardtalk import conf, loader
from boardtalk.native.build import INCLUDE
from boardtalk.testing import Bench, bench

HERE = Path(__file__).parent
WARNINGS = ("-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter")
PEOPLE = {"alice": "admin", "bob": "operator", "carol": "viewer"}


class Workshop:
    """Makes modules, each in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.made: set[str] = set()

    def make(self, name: str, source: str = "", *flags: str) -> Path:
        """The folder with module `name`, compiled from a file of that name, or from `source`."""
        folder = self.folder / name
        library = folder / f"mesibo_mod_{name}.so"
        if library.exists():
            return folder
        folder.mkdir(exist_ok=True)
        path = HERE / (source or f"{name}.c")
        compiler = "c++" if path.suffix == ".cpp" else "cc"
        subprocess.run(
            [compiler, "-shared", "-fPIC", "-g", f"-I{INCLUDE}", *WARNINGS, *flags, "-o", library, path],
            check=True,
        )
        return folder

    @asynccontextmanager
    async def run(self, name: str, settings: str = "", folder: Path | None = None) -> AsyncIterator[Bench]:
        """A gateway around an instance of it."""
        async with bench(self.planned(name, settings, folder), users=PEOPLE, groups={"crew": ["bob", "carol"]}) as made:
            yield made

    def planned(self, name: str, settings: str = "", folder: Path | None = None) -> loader.Instance:
        [instance] = loader.plan(self.document(name, settings, folder)).instances
        return instance

    def document(self, name: str, settings: str = "", folder: Path | None = None) -> conf.Document:
        text = f"module_folders = {folder or self.make(name)}\nmodule {name} {{\nrequired = yes\n{settings}\n}}"
        return conf.parse(text, "gateway.conf")


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return Workshop(tmp_path_factory.mktemp("native"))


async def until(probe: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not probe():
            await asyncio.sleep(0.01)
