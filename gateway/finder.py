"""Where modules come from: installed packages, and folders that the configuration names.

In folders there may be native ones too, which are shared libraries.

A module is imported only when a configuration asks for it: code that nobody asked for does not run.
"""

from __future__ import annotations

import hashlib
import importlib
import logging
import sys
from contextlib import suppress
from importlib.machinery import ModuleSpec
from importlib.metadata import EntryPoint, entry_points
from importlib.util import cache_from_source, find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from threading import current_thread, main_thread
from typing import TYPE_CHECKING, ClassVar, Final

from boardtalk.native import build, elf
from boardtalk.sdk import API_VERSION, Module, ModuleError, check_address

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import ModuleType

GROUP: Final = "boardtalk.modules"
"""Entry-point group: the modules that come with boardtalk use the same door as everybody's."""
OURS: Final = "boardtalk."
"""What is imported under this name came with the gateway itself."""
OUR_MODULES: Final = "boardtalk.modules"
FOLDER_PREFIX: Final = "boardtalk_folder_"
"""Modules from folders are imported under this and their name: they can't stand in for a library."""
NATIVE_PREFIX: Final = "mesibo_mod_"
NATIVE_SUFFIX: Final = ".so"
NATIVE_MODULE: Final = "boardtalk.native.module"

log = logging.getLogger(__name__)


class Source:
    """One module that could be loaded; `name` is what a configuration calls it."""

    is_native: ClassVar[bool] = False
    """Whether it is a shared library, which never runs in the gateway's process."""

    def __init__(self, name: str, origin: str, package: str) -> None:
        self.name = name
        self.origin = origin
        """For people: the entry point, or the file."""
        self.package = package
        """What belongs to it in `sys.modules`: this name and all below it."""
        self.folder: Path | None = None
        """The folder of the configuration that it is in; None: it is installed."""

    @property
    def is_ours(self) -> bool:
        """Whether it came with the gateway."""
        return self.package.startswith(OURS)

    def load(self) -> type[Module]:
        """Import it.

        Raises:
            ModuleError: it can't be imported, or is no module for this gateway.
        """
        try:
            return _checked(self.name, self._import())
        except ModuleError:
            raise
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt) and current_thread() is main_thread():
                raise  # Ctrl-C; to other threads nobody but their own code says that
            raise ModuleError(
                f"module {self.name!r} ({self.origin}): {type(error).__name__}: {error}"
            ) from error

    def helpers(self) -> Path | None:
        """A library that its process needs beside it; None: it needs none.

        Raises:
            ModuleError: there is none, and it can't be made.
        """
        return None

    def forget(self) -> dict[str, ModuleType]:
        """Have the next `load` import it anew, from its files as they are then; what was imported."""
        for path in self.files():  # Python takes a cache for fresh whose source was changed within its second
            with suppress(OSError):
                Path(cache_from_source(str(path))).unlink()
        importlib.invalidate_caches()
        return {name: sys.modules.pop(name) for name in list(sys.modules) if self._owns(name)}

    def remember(self, forgotten: dict[str, ModuleType]) -> None:
        """Take a `forget` back."""
        self.forget()
        sys.modules.update(forgotten)

    def files(self) -> list[Path]:
        """The files of it that are imported by now."""
        found = [
            getattr(module, "__file__", None)
            for name, module in sys.modules.copy().items()
            if self._owns(name)
        ]
        return sorted(Path(file) for file in found if file)

    def digest(self) -> str:
        """SHA-256 over names and contents of its files, in hex; nothing is imported for that.

        Raises:
            ModuleError: there are no files to look at, or they can't be read.
        """
        root = self.root()
        files = [root]
        if root.name == "__init__.py":
            root = root.parent
            files = sorted(
                path for path in root.rglob("*") if path.is_file() and "__pycache__" not in path.parts
            )
        digest = hashlib.sha256()
        for path in files:
            try:
                data = path.read_bytes()
            except OSError as error:
                raise ModuleError(f"{path} can't be read: {error.strerror}") from error
            digest.update(f"{path.relative_to(root.parent)}\0{len(data)}\0".encode() + data)
        return digest.hexdigest()

    def root(self) -> Path:
        """Its file; of a package, the ``__init__.py``.

        Raises:
            ModuleError: there is none.
        """
        spec = self._spec()
        if spec is None or not spec.origin:
            raise ModuleError(f"module {self.name!r} ({self.origin}): no file of it can be found")
        return Path(spec.origin)

    def _owns(self, name: str) -> bool:
        return name == self.package or name.startswith(f"{self.package}.")

    def _spec(self) -> ModuleSpec | None:
        raise NotImplementedError

    def _import(self) -> object:
        raise NotImplementedError


class Installed(Source):
    """A module of an installed package."""

    def __init__(self, point: EntryPoint) -> None:
        parent = point.module.rpartition(".")[0]
        # "package.part:Class" belongs to "package", but "boardtalk.modules.part:Class" to itself
        package = parent if parent and parent != OUR_MODULES else point.module
        super().__init__(point.name, point.value, package)
        self._point = point

    def _spec(self) -> ModuleSpec | None:
        return find_spec(self.package.partition(".")[0])  # of the parent: a child's would import that

    def _import(self) -> object:
        return self._point.load()


class InFolder(Source):
    """A module in a folder of the configuration: ``NAME.py``, or ``NAME/__init__.py``."""

    def __init__(self, path: Path) -> None:
        super().__init__(path.stem, str(path), FOLDER_PREFIX + path.stem)
        self._file = path / "__init__.py" if path.is_dir() else path
        self._is_package = path.is_dir()
        self.folder = path.parent

    def _spec(self) -> ModuleSpec | None:
        inside = [str(self._file.parent)] if self._is_package else None
        return spec_from_file_location(self.package, self._file, submodule_search_locations=inside)

    def _import(self) -> object:
        known = sys.modules.get(self.package)
        if known and known.__file__ == str(self._file):
            return self._class_in(known)
        spec = self._spec()
        if spec is None or spec.loader is None:
            raise ModuleError(f"module {self.name!r}: {self._file} is no Python file")
        code = sys.modules[self.package] = module_from_spec(spec)
        try:
            spec.loader.exec_module(code)
        except BaseException:
            self.forget()
            raise
        return self._class_in(code)

    def _class_in(self, code: ModuleType) -> object:
        classes = [
            value
            for value in vars(code).values()
            if isinstance(value, type) and issubclass(value, Module) and self._owns(value.__module__)
        ]
        for found in classes:
            if getattr(found, "name", "") == self.name:
                return found
        names = ", ".join(repr(getattr(found, "name", found.__name__)) for found in classes)
        raise ModuleError(
            f"module {self.name!r}: {self._file} defines no Module with `name = {self.name!r}`"
            + (f", but {names}" if names else "")
        )


class Library(Source):
    """A native module in a folder of the configuration: ``mesibo_mod_NAME.so``."""

    is_native = True

    def __init__(self, path: Path) -> None:
        name = path.stem.removeprefix(NATIVE_PREFIX)
        super().__init__(name, str(path), FOLDER_PREFIX + name)
        self._file = path
        self.folder = path.parent

    def helpers(self) -> Path:
        """What is linked against it."""
        return build.helpers()

    def files(self) -> list[Path]:
        """Its library."""
        return [self._file]

    def forget(self) -> dict[str, ModuleType]:
        """Nothing: it is opened in processes of its own alone."""
        return {}

    def root(self) -> Path:
        """Its library."""
        if not self._file.is_file():  # of a pipe, reading it would never end
            raise ModuleError(f"{self._file} is no file")
        return self._file

    def _import(self) -> object:
        elf.entry(self._file, self.name)
        late = importlib.import_module(NATIVE_MODULE)  # for its process alone
        return late.native(self.name, self._file)


def find(folders: Iterable[Path] = ()) -> dict[str, Source]:
    """All modules that could be loaded, by name.

    Of several that have one name, that in the last folder counts, then the gateway's own; in a folder, the
    one in Python.

    Raises:
        ModuleError: a folder can't be read.
    """
    installed = sorted(
        (Installed(point) for point in entry_points(group=GROUP)), key=lambda each: each.is_ours
    )
    found: dict[str, Source] = {source.name: source for source in installed}
    for folder in folders:
        found |= {source.name: source for source in sorted(_in(folder), key=lambda each: not each.is_native)}
    return found


def _in(folder: Path) -> Iterator[Source]:
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        raise ModuleError(f"folder of modules {folder}: {error.strerror}") from error
    for path in paths:
        if (path.suffix == ".py" and path.stem != "__init__") or (path / "__init__.py").is_file():
            source: Source = InFolder(path)
        elif path.name.startswith(NATIVE_PREFIX) and path.suffix == NATIVE_SUFFIX:
            source = Library(path)
        else:
            continue
        try:
            check_address(source.name)
        except ValueError:
            log.warning("%s is no module: its name may have a-z, 0-9, '_' and '-'", path)
        else:
            yield source


def _checked(name: str, module: object) -> type[Module]:
    if not (isinstance(module, type) and issubclass(module, Module)):
        raise ModuleError(f"module {name!r}: its entry point is no subclass of boardtalk.sdk.Module")
    if module.api_version != API_VERSION:
        raise ModuleError(
            f"module {name!r} is written for module API {module.api_version}; this gateway has {API_VERSION}"
        )
    if module.name != name:
        raise ModuleError(f"module {name!r} calls itself {module.name!r}: entry point and `name` must agree")
    return module
