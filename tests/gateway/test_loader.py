"""Which modules there are, and which of them a configuration may have."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from boardtalk import conf, finder, loader
from boardtalk.sdk import ConfigError, Module, ModuleError

GREETER = """
from boardtalk.sdk import Settings, Message, Module, Verdict

class Greeter(Module):
    name = "greeter"

    class Config(Settings):
        word: str = "hello"

    def on_message(self, message: Message) -> Verdict:
        return message.with_(body=self.config.word)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "modules"
    folder.mkdir()
    yield folder
    for name in [name for name in sys.modules if name.startswith(finder.FOLDER_PREFIX)]:
        del sys.modules[name]


class Diary(Module):
    name = "diary"


class Elsewhere(Module):
    name = "somebody"


class Ancient(Module):
    name = "ancient"
    api_version = 0


DIARIES = (Diary,)


@pytest.mark.parametrize(
    ("name", "place", "reason"),
    [
        ("ancient", "Ancient", "is written for module API 0"),
        ("elsewhere", "Elsewhere", "calls itself 'somebody'"),
        ("text", "DIARIES", "is no subclass of boardtalk.sdk.Module"),
        ("gone", "Gone", "has no attribute 'Gone'"),
    ],
)
def test_a_module_that_does_not_fit_says_why(
    monkeypatch: pytest.MonkeyPatch, name: str, place: str, reason: str
) -> None:
    points = [
        EntryPoint(each, f"{__name__}:{at}", finder.GROUP) for each, at in (("diary", "Diary"), (name, place))
    ]
    monkeypatch.setattr(finder, "entry_points", lambda **_: points)
    sources = loader.find()
    assert sources["diary"].load() is Diary
    with pytest.raises(ModuleError, match=reason):
        sources[name].load()
    error = only_problem(f"module diary {{ }}\nmodule {name} {{ }}")
    assert (error.line, reason in error.reason) == (2, True)


def only_problem(text: str) -> ConfigError:
    [error] = loader.problems(conf.parse(text, "gateway.conf"))
    return error


def test_a_folder_of_the_configuration_holds_files_and_packages(folder: Path) -> None:
    (folder / "greeter.py").write_text(GREETER)
    package = folder / "polite"
    package.mkdir()
    (package / "words.py").write_text("WORD = 'good day'\n")
    polite = GREETER.replace('"greeter"', '"polite"').replace('"hello"', "WORD")
    (package / "__init__.py").write_text(f"from .words import WORD\n{polite}")
    text = f"module_folders = {folder}\nmodule greeter {{ }}\nmodule polite {{ }}"
    document = conf.parse(text)
    assert loader.problems(document) == []
    greeter, other = loader.plan(document).instances
    assert (greeter.name, other.name) == ("greeter", "polite")
    assert other.settings.word == "good day"  # type: ignore[attr-defined]
    assert {path.name for path in other.source.files()} == {"__init__.py", "words.py"}


def test_a_folder_may_be_named_from_home(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder.parent))
    (folder / "greeter.py").write_text(GREETER)
    assert loader.problems(conf.parse("module_folders = ~/modules\nmodule greeter { }")) == []


def test_a_module_of_a_folder_can_t_stand_in_for_a_library(folder: Path) -> None:
    (folder / "json.py").write_text(GREETER.replace('"greeter"', '"json"'))
    loader.plan(conf.parse(f"module_folders = {folder}\nmodule json {{ }}"))
    import json

    assert json.loads("1") == 1


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("raise RuntimeError('boom')", "RuntimeError: boom"),
        ("def x(:", "SyntaxError"),
        ("import no_such_library", "No module named 'no_such_library'"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        ("import asyncio; raise asyncio.CancelledError('enough')", "CancelledError: enough"),
        ("def again(): again()\nagain()", "RecursionError: maximum recursion depth exceeded"),
        ("x = 1", "defines no Module with `name = 'greeter'`"),
        (GREETER.replace('"greeter"', '"other"'), "but 'other'"),
    ],
)
def test_code_that_can_t_be_loaded_is_named_with_its_place_in_the_configuration(
    folder: Path, code: str, reason: str
) -> None:
    (folder / "greeter.py").write_text(code)
    error = only_problem(f"module_folders = {folder}\nmodule greeter {{ }}")
    assert error.line == 2
    assert reason in error.reason
    assert "greeter.py" in error.reason


def test_what_looks_like_ctrl_c_to_a_thread_is_the_codes_own(folder: Path) -> None:
    (folder / "greeter.py").write_text("raise KeyboardInterrupt('enough')")
    text = f"module_folders = {folder}\nmodule greeter {{ }}"
    with ThreadPoolExecutor(1) as threads:
        error = threads.submit(only_problem, text).result()
    assert (error.line, "KeyboardInterrupt: enough" in error.reason) == (2, True)
    with pytest.raises(KeyboardInterrupt):
        only_problem(text)


@pytest.mark.parametrize(
    "reads", ["import sys; sys.exit(3)", "raise RuntimeError('boom')", "self.word = no_such_name"]
)
def test_code_that_fails_as_it_reads_its_settings_is_named_with_its_place(folder: Path, reads: str) -> None:
    config = f"class Config(Settings):\n        def __post_init__(self):\n            {reads}\n"
    (folder / "greeter.py").write_text(GREETER.replace("class Config(Settings):", config))
    error = only_problem(f"module_folders = {folder}\nmodule greeter {{ }}")
    assert error.line == 2
    assert re.search("SystemExit: 3|RuntimeError: boom|NameError: .*no_such_name", error.reason)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    error = only_problem(f"module_folders = {tmp_path / 'nowhere'}")
    assert (error.line, "nowhere: No such file" in error.reason) == (1, True)


def test_code_that_nobody_asked_for_does_not_run(folder: Path) -> None:
    (folder / "greeter.py").write_text("raise SystemExit('it ran')")
    (folder / "not a module.py").write_text("raise SystemExit('it ran')")
    assert loader.problems(conf.parse(f"module_folders = {folder}")) == []
    assert "greeter" in loader.find([folder])


def test_an_allow_list_lets_in_what_it_has_as_long_as_that_stays_the_same(folder: Path) -> None:
    module = folder / "greeter.py"
    module.write_text(GREETER)
    text = f"module_folders = {folder}\nmodule greeter {{ }}\nmodule iot_bridge {{ }}\n"
    digest = loader.find([folder])["greeter"].digest()
    allowed = f"{text}allow greeter {{ sha256 = {digest} }}"
    assert loader.problems(conf.parse(allowed)) == []
    assert "is not on the allow-list" in only_problem(f"{text}allow other {{ sha256 = {'0' * 64} }}").reason
    module.write_text(GREETER + "# harmless\n")
    changed = only_problem(allowed).reason
    assert "has changed since it was allowed" in changed
    assert loader.find([folder])["greeter"].digest() in changed


def test_settings_of_a_module_that_is_switched_off_are_still_checked() -> None:
    assert loader.problems(conf.parse("board rover { }")) == []
    assert "unknown key" in only_problem("board rover { colour = red }").reason
