"""Files in `boards` → definitions. An error says where it is, what was given, and what was probably meant."""

from __future__ import annotations

import os
import re
import tomllib
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import inspect

from boardtalk.boards.definition import Definition
from boardtalk.sdk.errors import BoardtalkError
from boardtalk.sdk.hints import nearest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from boardtalk.boards.definition import UsbId

ENDING: Final = ".toml"
SYSTEM: Final = Path("/etc/boardtalk/boards")
_AT: Final = re.compile(r"(?s)(?P<reason>.*?)(?: - at `\$(?P<path>[^`]*)`)?\Z")
_STEP: Final = re.compile(r"\.?([^.\[\]]+)|\[(\d+)\]")
_TABLE: Final = re.compile(r"\s*\[(\[)?\s*([^\[\]]+?)\s*\]")

Place = tuple[str | int, ...]
"""Keys and indexes that lead to a value."""


class DefinitionError(BoardtalkError):
    """A file is not a board definition, or there is no definition of this name."""


class BoardFile(msgspec.Struct, frozen=True):
    """A definition, and where it stands."""

    id: str
    definition: Definition
    path: Path


def user_folder() -> Path:
    """Where people put definitions of their own: `$XDG_CONFIG_HOME/boardtalk/boards`."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "boardtalk" / "boards"


def folders() -> list[Path]:
    """Where definitions are looked for; the last one that has an id counts."""
    return [Path(str(resources.files("boardtalk.boards"))), SYSTEM, user_folder()]


def definitions(among: Sequence[Path] | None = None) -> dict[str, BoardFile]:
    """All definitions, by id.

    Args:
        among: folders; a later one overrides those before. Default: `folders()`.

    Raises:
        DefinitionError: a file that counts is not one.
    """
    return {id_: read(path) for id_, path in sorted(paths(among).items())}


def paths(among: Sequence[Path] | None = None) -> dict[str, Path]:
    """The files that count, by id; none is read."""
    return {
        path.name.removesuffix(ENDING): path
        for folder in (folders() if among is None else among)
        for path in sorted(folder.glob(f"*{ENDING}"))
    }


def definition(id_: str, among: Sequence[Path] | None = None) -> BoardFile:
    """One definition.

    Raises:
        DefinitionError: there is none of this id, or its file is wrong.
    """
    known = paths(among)
    if id_ in known:
        return read(known[id_])
    near = nearest(id_, known)
    guess = f"did you mean {near}? " if near else ""
    raise DefinitionError(f"no board {id_!r}; {guess}`boardtalk boards list` shows all")


def usb_ids() -> set[UsbId]:
    """Vendor and product of all USB devices that may be boards: their ports may be opened to look.

    Raises:
        DefinitionError: a file is not a definition.
    """
    return set().union(*(each.definition.may_be_opened for each in definitions().values()))


def read(path: Path) -> BoardFile:
    """The definition in a file.

    Raises:
        DefinitionError: it has none.
    """
    try:
        text = path.read_text()
        data = tomllib.loads(text)
    except (OSError, UnicodeDecodeError) as error:
        raise DefinitionError(f"{path}: can't be read ({error})") from error
    except tomllib.TOMLDecodeError as error:
        raise DefinitionError(f"{path}: {error}") from error
    for at, key, known in _unknown(data, inspect.type_info(Definition), ()):
        near = nearest(key, known)
        hint = f"did you mean {near!r}?" if near else f"known: {', '.join(known)}"
        raise _error(path, text, (*at, key), f"unknown key {key!r}; {hint}")
    try:
        return BoardFile(path.name.removesuffix(ENDING), msgspec.convert(data, Definition), path)
    except msgspec.ValidationError as error:
        found = _AT.match(str(error))
        assert found is not None  # noqa: S101 - it matches anything
        steps = _STEP.findall(found["path"] or "")
        at = tuple(int(index) if index else key for key, index in steps)
        raise _error(path, text, at, found["reason"]) from error


def _error(path: Path, text: str, at: Place, reason: str) -> DefinitionError:
    line = _line(text, at)
    where = f"{path}:{line}" if line else f"{path}"
    name = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in at).lstrip(".")
    return DefinitionError(f"{where}: {name + ': ' if name else ''}{reason}")


def _unknown(data: Any, type_: inspect.Type, at: Place) -> Iterator[tuple[Place, str, list[str]]]:
    """Keys that nobody reads: where, which, and those that there are."""
    match type_:
        case inspect.Metadata(type=inner):
            yield from _unknown(data, inner, at)
        case inspect.StructType(fields=fields) if isinstance(data, dict):
            known = {field.encode_name: field.type for field in fields}
            for key, value in data.items():
                if key not in known:
                    yield at, key, list(known)
                else:
                    yield from _unknown(value, known[key], (*at, key))
        case inspect.VarTupleType(item_type=item) if isinstance(data, list):
            for index, value in enumerate(data):
                yield from _unknown(value, item, (*at, index))


def _line(text: str, at: Place) -> int:
    """The line, from 1, in which the last key of a path that has a line of its own stands; 0: none."""
    places: dict[Place, int] = {}
    counts: dict[str, int] = {}
    table: Place = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := _TABLE.match(line):
            name = header[2]
            table = tuple(part.strip() for part in name.split("."))
            if header[1]:
                table = (*table, counts.setdefault(name, 0))
                counts[name] += 1
            places.setdefault(table, number)
        elif "=" in line and not line.lstrip().startswith("#"):
            key = line.partition("=")[0].strip().strip("\"'")
            places.setdefault((*table, key), number)
    return next((places[at[:end]] for end in range(len(at), 0, -1) if at[:end] in places), 0)
