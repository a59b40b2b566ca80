"""The example in Rust that the documentation has, where there is a compiler for it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from .conftest import HERE, Workshop, ask

EXAMPLE = HERE.parents[1] / "docs/modules/shout.rs"


@pytest.mark.soak
@pytest.mark.skipif(not shutil.which("rustc"), reason="no rustc, 1.77 or newer")
async def test_the_example_in_rust_answers_and_lets_go_on(workshop: Workshop, tmp_path: Path) -> None:
    subprocess.run(
        [
            *("rustc", "--edition", "2021", "--crate-type", "cdylib", "-O", "-D", "warnings"),
            *("-o", tmp_path / "mesibo_mod_shout.so", EXAMPLE),
        ],
        check=True,
    )
    async with workshop.run("shout", "address = shout", tmp_path) as gateway:
        assert await ask(gateway, "hällo", "shout") == "HÄLLO"
        gateway.say("bob", "carol", "hello")
        await gateway.hears("carol", "^hello$")
