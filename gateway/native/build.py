"""The C part of the process of native modules, compiled where it is used, or brought along.

It is looked for beside this package, as `python -m boardtalk.native.build FOLDER` makes it; otherwise the
machine's compiler makes it once, into the cache.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from boardtalk.sdk import ModuleError

HERE: Final = Path(__file__).resolve().parent
BESIDE: Final = HERE
"""Where it is looked for first."""
INCLUDE: Final = HERE / "include"
SOURCES: Final = (HERE / "shim.c", HERE / "json.c")
HEADERS: Final = (INCLUDE / "boardtalk_module.h", INCLUDE / "module.h")
COMPILERS: Final = ("cc", "gcc", "clang")
FLAGS: Final = ("-std=c11", "-O2", "-shared", "-fPIC", "-pthread", "-fno-omit-frame-pointer")
COMPILE_S: Final = 60.0


def helpers() -> Path:
    """The library with the helpers of native modules, made first if need be.

    Raises:
        ModuleError: this machine can't have native modules, or has neither the library nor a compiler.
    """
    if sys.maxsize < 1 << 32:
        raise ModuleError(
            "native modules need a 64-bit Python: their signature has 64 bits, and no module built for "
            "32 bits could ever compare it"
        )
    brought = BESIDE / _name()
    if brought.exists():
        return brought
    made = _cache() / _name()
    return made if made.exists() else compiled(made)


def compiled(target: Path) -> Path:
    """Have a compiler make it.

    Raises:
        ModuleError: there is none, or it fails.
    """
    compiler = next(filter(None, map(shutil.which, COMPILERS)), None)
    if compiler is None:
        raise ModuleError(
            "native modules need a C compiler here, once: `apt install gcc libc6-dev`; or in "
            f"{BESIDE} the file {target.name}, made by `python -m boardtalk.native.build FOLDER` "
            "on a machine with the same processor"
        )
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            new = Path(folder) / target.name
            done = subprocess.run(
                [compiler, *FLAGS, f"-I{INCLUDE}", "-o", str(new), *map(str, SOURCES)],
                capture_output=True,
                text=True,
                timeout=COMPILE_S,
                check=False,
            )
            if done.returncode:
                first = next(iter(done.stderr.strip().splitlines()), f"exit code {done.returncode}")
                raise ModuleError(
                    f"{compiler} can't compile what native modules need: {first}; `apt install libc6-dev`?"
                )
            new.replace(target)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ModuleError(f"what native modules need can't be compiled to {target}: {error}") from error
    return target


def _name() -> str:
    """Has what it was made of in it, so that none of another version is ever taken for it."""
    digest = hashlib.sha256(" ".join(FLAGS).encode())
    for path in (*SOURCES, *HEADERS):
        digest.update(path.read_bytes())
    return f"native-{platform.machine()}-{digest.hexdigest()[:16]}.so"


def _cache() -> Path:
    """Of a service it is its state folder: it has no other."""
    if service := os.environ.get("STATE_DIRECTORY"):
        return Path(service) / "native"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "boardtalk"


if __name__ == "__main__":
    sys.stdout.write(f"{compiled(Path(sys.argv[1]).absolute() / _name())}\n")
