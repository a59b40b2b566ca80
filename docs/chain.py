"""A chain of several modules, for its pictures: one in C, one in a jail, and one that fails each time."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

WEATHER: Final = """\
from boardtalk.sdk import Module


class Weather(Module):
    name = "weather"
    description = "says whether it is going to rain"
    version = "0.3"
    api_version = 1

    def on_message(self, message):
        raise ConnectionError("the station at the greenhouse does not answer")
"""
CONF: Final = """\
module_folders = {folder}, {folder}/counter
module filter {{
    blocked_words = fool, good for nothing
    on_fail = drop
}}
module weather {{
}}
module translate {{
    languages = anna: de
    words = vorwärts: forward
}}
{native}module skeleton {{
    isolate = yes
}}
module chatbot {{
}}
"""
NATIVE: Final = "module counter {\n    address = counter\n}\n"


def chain(folder: Path) -> str:
    """Make the modules that do not come with boardtalk; the blocks of all of them."""
    folder.mkdir()
    (folder / "weather.py").write_text(WEATHER)
    has_compiler = shutil.which("cc") and shutil.which("make")
    if has_compiler:
        program = [sys.executable, "-m", "boardtalk", "new-module", "counter", "--c"]
        subprocess.run(program, cwd=folder, check=True, capture_output=True)
        subprocess.run(["make"], cwd=folder / "counter", check=True, capture_output=True)
    return CONF.format(folder=folder, native=NATIVE if has_compiler else "")
