"""The flash of an emulated board: a folder, or a file with a real LittleFS in it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from boardtalk.hil.board import BoardError
from boardtalk.hil.interpreter import SIM

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SIZE: Final = 1 << 20
TIMEOUT_S: Final = 30
_TOOL: Final = SIM / "rom" / "_image.py"


class FolderFlash:
    """A folder of this machine. It never tears, and its files may be changed while the board runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = self.volume = folder
        folder.mkdir()

    def install(self, files: Mapping[str, Path]) -> None:
        """Copy files and folders to the top."""
        for name, path in files.items():
            if path.is_dir():
                ignore = shutil.ignore_patterns("__pycache__")
                shutil.copytree(path, self.folder / name, ignore=ignore, dirs_exist_ok=True)
            else:
                shutil.copyfile(path, self.folder / name)

    def names(self) -> list[str]:
        """All files, with their folders."""
        return sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file())

    def read(self, name: str) -> bytes:
        """What is in a file.

        Raises:
            FileNotFoundError: there is none.
        """
        return (self.folder / name).read_bytes()

    def write(self, name: str, data: bytes) -> None:
        """Put a file there."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


class LittleFsFlash:
    """An image with LittleFS, as MicroPython makes it. Its power may fail in the middle of a write.

    Files are written only while the board does not run: it would not know. They are read at any time.
    """

    def __init__(self, folder: Path, in_use: Callable[[], bool]) -> None:
        folder.mkdir()
        self._in_use = in_use
        self.volume = folder / "flash.lfs"
        with self.volume.open("wb") as image:
            image.truncate(SIZE)

    def install(self, files: Mapping[str, Path]) -> None:
        """Copy files and folders to the top."""
        with tempfile.TemporaryDirectory(prefix="boardtalk-flash-") as name:
            staged = FolderFlash(Path(name) / "files")
            staged.install(files)
            self._run("fill", staged.folder)

    def names(self) -> list[str]:
        """All files, with their folders."""
        with tempfile.TemporaryDirectory(prefix="boardtalk-flash-") as name:
            return self._copy(name).names()

    def read(self, name: str) -> bytes:
        """What is in a file.

        Raises:
            FileNotFoundError: there is none.
        """
        with tempfile.TemporaryDirectory(prefix="boardtalk-flash-") as folder:
            return self._copy(folder).read(name)

    def write(self, name: str, data: bytes) -> None:
        """Put a file there.

        Raises:
            BoardError: the board runs.
        """
        if self._in_use():
            raise BoardError("the flash is in use: power_cut the board first, or copy the file with mpremote")
        with tempfile.TemporaryDirectory(prefix="boardtalk-flash-") as folder:
            staged = FolderFlash(Path(folder) / "files")
            staged.write(name, data)
            self._run("fill", staged.folder)

    def _copy(self, folder: str) -> FolderFlash:
        copy = FolderFlash(Path(folder) / "files")
        self._run("drain", copy.folder)
        return copy

    def _run(self, what: str, folder: Path) -> None:
        command = ("-I", "-m", "micropython", "-X", "heapsize=16m", _TOOL, what, self.volume, folder)
        done = subprocess.run([sys.executable, *command], capture_output=True, timeout=TIMEOUT_S, check=False)
        if done.returncode or done.stderr or done.stdout:
            raise OSError(f"the image of the flash: {(done.stdout + done.stderr).decode(errors='replace')}")
