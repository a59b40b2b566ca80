"""Native modules for tests: compiled from C and C++ beside them, once for each test session."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from boardtalk import conf, loader
from boardtalk.native.build import INCLUDE
from boardtalk.testing import Bench, bench

HERE = Path(__file__).parent
WARNINGS = ("-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter", "-Wno-infinite-recursion")
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
PEOPLE = {"alice": "admin", "bob": "operator", "carol": "viewer"}


class Workshop:
    """Makes modules, each in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def make(self, name: str, *flags: str, folder: str = "") -> Path:
        """The folder with module `name`, compiled from the file of that name."""
        made = self.folder / (folder or name)
        library = made / f"mesibo_mod_{name}.so"
        if library.exists():
            return made
        made.mkdir()
        [source] = [path for path in HERE.glob(f"{name}.c*") if path.suffix in (".c", ".cpp")]
        compiler = "c++" if source.suffix == ".cpp" else "cc"
        subprocess.run(
            [compiler, "-shared", "-fPIC", "-g", f"-I{INCLUDE}", *WARNINGS, *flags, "-o", library, source],
            check=True,
        )
        return made

    @asynccontextmanager
    async def run(self, name: str, settings: str = "", folder: Path | None = None) -> AsyncIterator[Bench]:
        """A gateway around an instance of it."""
        instance = self.planned(name, settings, folder)
        async with bench(instance, users=PEOPLE, groups={"crew": ["bob", "carol"]}) as gateway:
            yield gateway

    def planned(self, name: str, settings: str = "", folder: Path | None = None) -> loader.Instance:
        [instance] = loader.plan(self.document(name, settings, folder)).instances
        return instance

    def document(self, name: str, settings: str = "", folder: Path | None = None) -> conf.Document:
        folder = folder or self.make(name)
        return conf.parse(
            f"module_folders = {folder}\nmodule {name} {{\nrequired = yes\n{settings}\n}}", "gateway.conf"
        )


COMPILER = pytest.mark.skipif(
    not (shutil.which("cc") and shutil.which("c++")), reason="no C and C++ compiler: apt install g++"
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == HERE:
            item.add_marker(COMPILER)


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return Workshop(tmp_path_factory.mktemp("native"))


async def until(probe: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not probe():
            await asyncio.sleep(0.01)


async def ask(gateway: Bench, text: str, to: str = "puppet") -> str:
    """What a module answers."""
    number = gateway.say("bob", to, text)
    async with asyncio.timeout(10):
        while True:
            for message in gateway.inbox("bob"):
                if message.refid == number:
                    return message.body
            await asyncio.sleep(0.005)


@asynccontextmanager
async def server(handler: Handler) -> AsyncIterator[int]:
    """A real server on a port of its own."""

    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handler(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    made = await asyncio.start_server(served, "127.0.0.1", 0)
    async with made:
        yield made.sockets[0].getsockname()[1]


def answers(*pieces: bytes, pause: float = 0.0, told: list[bytes] | None = None) -> Handler:
    """Says these, with pauses between them, once it has been asked."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.readuntil(b"\r\n\r\n")
        if length := re.search(rb"Content-Length: (\d+)", asked, re.IGNORECASE):
            asked += await reader.readexactly(int(length[1]))
        if told is not None:
            told.append(asked)
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)

    return handler
