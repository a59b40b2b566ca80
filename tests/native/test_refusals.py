"""What is no native module, or can't be one here, is refused with the reason, and without running it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from boardtalk import loader
from boardtalk.native import build
from boardtalk.sdk import ConfigError, ModuleError

from .conftest import Workshop


def problem(workshop: Workshop, name: str, folder: Path, settings: str = "") -> str:
    [found] = loader.problems(workshop.document(name, settings, folder))
    return str(found)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda data: b"#!/bin/sh\n", "is no shared library"),
        (lambda data: data[:4] + b"\x01" + data[5:], "is built for 32 bits: native modules have 64"),
        (lambda data: data[:18] + b"\x08\x00" + data[20:], "is built for another processor; this is"),
        (lambda data: data[:16] + b"\x02\x00" + data[18:], "link it with -shared"),
        (lambda data: data[: len(data) // 2], "is damaged"),
    ],
    ids=["a script", "32 bits", "another processor", "a program", "half of it"],
)
def test_a_file_that_is_none_is_refused(
    workshop: Workshop, tmp_path: Path, change: object, reason: str
) -> None:
    data = (workshop.make("mangled") / "mesibo_mod_mangled.so").read_bytes()
    (tmp_path / "mesibo_mod_mangled.so").write_bytes(change(data))  # type: ignore[operator]
    assert reason in problem(workshop, "mangled", tmp_path)


@pytest.mark.parametrize(
    "make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("nowhere")], ids=["folder", "pipe", "link"]
)
def test_what_is_no_file_is_refused(workshop: Workshop, tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "mesibo_mod_mangled.so")
    assert "mesibo_mod_mangled.so is no file" in problem(workshop, "mangled", tmp_path)


def test_a_file_with_another_name_says_what_it_is_called(workshop: Workshop, tmp_path: Path) -> None:
    shutil.copy(workshop.make("censor") / "mesibo_mod_censor.so", tmp_path / "mesibo_mod_other.so")
    assert "it calls itself censor: rename the file" in problem(workshop, "other", tmp_path)


LOUD = """
#include <stdio.h>
#include <stdlib.h>
__attribute__((constructor)) static void begin(void) { fclose(fopen(PLACE, "w")); exit(7); }
extern int mesibo_of_the_future(void);
int mesibo_module_loud_init(long version, void *mod, long len) { return mesibo_of_the_future(); }
"""


def made_loud(folder: Path) -> Path:
    source = folder / "loud.c"
    source.write_text(LOUD)
    library = folder / "mesibo_mod_loud.so"
    subprocess.run(
        ["cc", "-shared", "-fPIC", f'-DPLACE="{folder / "ran"}"', "-o", library, source], check=True
    )
    return folder


async def test_no_code_of_it_runs_before_it_starts(workshop: Workshop, tmp_path: Path) -> None:
    instance = workshop.planned("loud", f"devices = {tmp_path}", made_loud(tmp_path))
    assert instance.module.description == "native module mesibo_mod_loud.so"
    assert not (tmp_path / "ran").exists()


async def test_a_helper_that_there_is_not_is_named(workshop: Workshop, tmp_path: Path) -> None:
    with pytest.raises(ModuleError, match="undefined symbol: mesibo_of_the_future"):
        async with workshop.run("loud", f"devices = {tmp_path}", made_loud(tmp_path)):
            pass


def test_it_is_always_isolated(workshop: Workshop) -> None:
    folder = workshop.make("mangled")
    assert "always runs in a process of its own: leave out `isolate = no`" in problem(
        workshop, "mangled", folder, "isolate = no"
    )
    assert loader.plan(workshop.document("mangled", "isolate = yes\nnetwork = yes", folder))
    with pytest.raises(ConfigError, match="memory_mb"):
        loader.plan(workshop.document("mangled", "memory_mb = few", folder))


def test_the_one_in_python_of_the_same_folder_goes_first(workshop: Workshop, tmp_path: Path) -> None:
    shutil.copy(workshop.make("censor") / "mesibo_mod_censor.so", tmp_path)
    assert loader.find([tmp_path])["censor"].is_native
    (tmp_path / "censor.py").write_text("")
    assert not loader.find([tmp_path])["censor"].is_native


# The library with the helpers -------------------------------------------------------------------


def test_it_is_compiled_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    made = build.helpers()
    assert made.parent == tmp_path / "boardtalk"
    written = made.stat().st_mtime_ns
    assert build.helpers().stat().st_mtime_ns == written
    assert [path.name for path in made.parent.iterdir()] == [made.name]


def test_without_a_compiler_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        ModuleError, match="`apt install gcc libc6-dev`; or in .* the file native-.*so, made by"
    ):
        build.helpers()


def test_a_compiler_that_fails_is_quoted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(build, "FLAGS", ("-no-such-flag",))
    with pytest.raises(ModuleError, match="no-such-flag"):
        build.helpers()


def test_one_that_was_brought_along_needs_no_compiler(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made = subprocess.run(
        [sys.executable, "-m", "boardtalk.native.build", str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "none"))
    monkeypatch.setattr(build, "BESIDE", tmp_path)
    assert build.helpers() == Path(made.stdout.strip())


def test_a_machine_of_32_bits_is_told_why_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "maxsize", 2**31 - 1)
    with pytest.raises(ModuleError, match="64-bit Python: their signature has 64 bits"):
        build.helpers()


# The header -------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["gnu90", "c99", "c11", "gnu++98", "c++11", "c++17"])
@pytest.mark.parametrize("define", ["-UBOARDTALK_AS_DOCUMENTED", "-DBOARDTALK_AS_DOCUMENTED"])
def test_the_header_has_the_layouts_that_it_promises(language: str, define: str) -> None:
    strict = [] if language.startswith("gnu") else ["-pedantic"]
    compiler = ["c++", "-x", "c++"] if "++" in language else ["cc", "-x", "c"]
    warnings = ["-Wall", "-Wextra", "-Werror", *strict, f"-std={language}"]
    header = '#include "boardtalk_module.h"\n#include "module.h"\n'
    arguments = [*compiler, *warnings, define, f"-I{build.INCLUDE}", "-fsyntax-only", "-"]
    subprocess.run(arguments, input=header, text=True, check=True)
