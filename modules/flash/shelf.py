"""The only files that chat can name: those that somebody put into a folder of the gateway."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from boardtalk.sdk import Code, Refused
from boardtalk.sdk.hints import nearest

MAX_LISTED: Final = 10
NOTHING: Final = Path()
"""Where no file is meant."""


def names(folder: Path | None, kind: str) -> list[str]:
    """What there is of a kind; nothing, if there is no such folder."""
    try:
        found = (folder / kind).iterdir() if folder else ()
        return [each.name for each in found if not each.name.startswith(".")]
    except OSError:
        return []


def find(folder: Path | None, kind: str, name: str, what: str) -> Path:
    """A file, or a folder, by its name.

    Args:
        folder: of the configuration; None: it has none.
        kind: the folder in it.
        name: as it was typed; "": the only one.
        what: what it is, for people.

    Raises:
        Refused: there is none of this name, or several and none was named.
    """
    if folder is None:
        raise Refused(
            Code.DENIED, f"chat can name no {what}s: `{what}s = FOLDER` in `module flash` allows it"
        )
    here = {each: folder / kind / each for each in names(folder, kind)}
    if not name and len(here) == 1:
        return next(iter(here.values()))
    if name in here:  # never a path: only what stands in the list
        return here[name]
    known = sorted(here)
    if not known:
        raise Refused(Code.FAILED, f"there is no {what} for {kind}: put one into {folder / kind}")
    if not name:
        raise Refused(Code.FAILED, f"which {what}? There is: {', '.join(known[:MAX_LISTED])}")
    near = nearest(name, known)
    hint = f"did you mean {near}?" if near else f"there is: {', '.join(known[:MAX_LISTED])}"
    raise Refused(Code.FAILED, f"there is no {what} {name[: MAX_LISTED * 4]!r} for {kind}; {hint}")
