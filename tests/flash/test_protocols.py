"""Protocols of other packages: the example of the documents, really installed, and what can be wrong."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from boardtalk.flash.errors import Code
from boardtalk.hil.loaders.esp import EspBoard
from tests.flash.bench import Bench
from tests.hil.flashing import payload

DOCUMENT = Path(__file__).parents[2] / "docs/flashing.md"
DEFINITION = """\
name = "a clock with an EEPROM"
mcu = "at24c512"
port = "none"

[bootloader]
entry = ["none"]

[flash]
protocol = "{protocol}"
"""


def example() -> tuple[str, dict[str, dict[str, dict[str, str]]]]:
    """The program of the document, and what its pyproject.toml says."""
    section = DOCUMENT.read_text().partition("## A protocol of your own")[2]
    (program,) = re.findall(r"(?s)```python\n(.*?)```", section)
    (project,) = re.findall(r"(?s)```toml\n(.*?)```", section)
    return program, tomllib.loads(project)


def wheel(folder: Path, program: str, name: str, points: dict[str, str]) -> Path:
    """A package as an index has it."""
    file = folder / f"{name}-1.0-py3-none-any.whl"
    about = f"{name}-1.0.dist-info"
    entries = "".join(f"{key} = {value}\n" for key, value in points.items())
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(f"{name}.py", program)
        archive.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}/entry_points.txt", f"[boardtalk.flashers]\n{entries}")
        archive.writestr(f"{about}/RECORD", "")
    return file


def define(bench: Bench, protocol: str, name: str = "clock") -> None:
    folder = bench.folder / "config/boardtalk/boards"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.toml").write_text(DEFINITION.format(protocol=protocol))


async def run(*words: str | Path, **more: str) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", *map(str, words)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, **more},
    )
    said = (await process.communicate())[0].decode()
    return process.returncode, said


async def test_the_example_is_installed_and_flashes(bench: Bench) -> None:
    program, project = example()
    name = str(project["project"]["name"]).replace("-", "_")
    package = wheel(bench.folder, program, name, project["project"]["entry-points"]["boardtalk.flashers"])  # type: ignore[arg-type]
    site = bench.folder / "site"
    rc, said = await run(
        *("pip", "install", "--quiet", "--no-deps", "--no-index", "--disable-pip-version-check"),
        *("--target", site, package),
    )
    assert rc == 0, said
    define(bench, "eeprom")
    chip, image = bench.folder / "eeprom", bench.folder / "image.bin"
    chip.write_bytes(bytes(65536))
    image.write_bytes(payload(20_000))
    words = ("boardtalk", "flash", "write", "--port", chip, "--board", "clock", "--image", image)
    rc, said = await run(*words, "--wait", "0", "--state", bench.state, PYTHONPATH=str(site))
    assert rc == 0, said
    assert "20 of 20 kB" in said
    assert chip.read_bytes().startswith(image.read_bytes())
    rc, said = await run(*words, "--wait", "0", "--state", bench.state)
    assert rc == 1, said
    assert "nothing here flashes by 'eeprom'" in said
    assert "there are daplink, dfu, esp, pyocd, stm32-uart, uf2; packages add more" in said


def installed(bench: Bench, name: str, program: str, points: dict[str, str]) -> None:
    """Unpacked onto the path, where `importlib.metadata` finds it as what is installed."""
    site = bench.folder / name
    with zipfile.ZipFile(wheel(bench.folder, program, name, points)) as archive:
        archive.extractall(site)
    sys.path.append(str(site))


@pytest.fixture(autouse=True)
def path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))


@pytest.mark.parametrize(
    ("program", "says"),
    [
        ("import nothing_of_this_name", "can't be imported: ModuleNotFoundError"),
        ("raise SystemError('out of order')", "can't be imported: SystemError('out of order')"),
        ("Made = 'no class'", "is no class that derives from boardtalk.flash.protocol.Flasher"),
        ("class Made: pass", "is no class that derives from boardtalk.flash.protocol.Flasher"),
        (
            "from boardtalk.flash.protocol import Flasher\nclass Made(Flasher): pass",
            "lacks __aenter__, __aexit__, checked, probe, reset, write",
        ),
    ],
)
async def test_one_that_can_not_be_used_is_named_and_the_others_go_on(
    bench: Bench, program: str, says: str
) -> None:
    name = f"broken{abs(hash(program))}"
    installed(bench, name, program, {"broken": f"{name}:Made"})
    define(bench, "broken")
    image = bench.image(20_000)
    async with EspBoard("esp32c3") as board:
        jobs = [bench.job("write", str(image), image, "clock"), bench.job("write", board.port, image)]
        broken, good = await bench.all(jobs)
        assert broken.end.code is Code.UNSUPPORTED
        assert broken.end.reason.startswith(f"the protocol 'broken' of the package {name} 1.0 ")
        assert says in broken.end.reason
        assert good.end.ok, good.end


async def test_two_packages_that_claim_one_name_are_both_named(bench: Bench) -> None:
    program = example()[0]
    for name in ("first_of_two", "second_of_two"):
        installed(bench, name, program, {"twice": f"{name}:EepromFlasher"})
    installed(bench, "usurper", program, {"esp": "usurper:EepromFlasher"})
    define(bench, "twice")
    image = bench.image(20_000)
    told = await bench.do("write", str(image), image, "clock")
    assert told.end.code is Code.UNSUPPORTED
    assert "claim the protocol 'twice': first_of_two 1.0, second_of_two 1.0" in told.end.reason
    assert told.end.cure == "uninstall all but one of them"
    told = await bench.do("write", "/dev/null", image)
    assert "several packages claim the protocol 'esp': boardtalk" in told.end.reason
    assert told.end.reason.endswith("usurper 1.0")
