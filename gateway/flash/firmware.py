"""What shall be written: a file, its digest, and which release that is."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from boardtalk.flash import download
from boardtalk.flash.errors import Code, FlashError

if TYPE_CHECKING:
    from boardtalk.boards import BoardFile


class Firmware(NamedTuple):
    """A file that was read once, so that nobody can change it between the check and the writing."""

    name: str
    data: bytes
    sha256: str
    version: str = ""
    """"": it is not pinned in the definition."""
    offset: int | None = None
    """None: where the definition says."""


def from_file(path: Path, board: BoardFile, sha256: str = "") -> Firmware:
    """Read a file that somebody named.

    Args:
        path: the file.
        board: whose it shall be; its pinned images tell the version.
        sha256: what its digest must be; "": any.

    Raises:
        FlashError: it can't be read, or its digest is another one.
    """
    data = _read(path)
    digest = hashlib.sha256(data).hexdigest()
    if sha256 and digest != sha256.lower():
        raise FlashError(
            Code.BAD_IMAGE, f"{path}: its sha256 is {digest}, not {sha256.lower()}", "download it again"
        )
    pinned = next((image for image in board.definition.image if image.sha256 == digest), None)
    if pinned is None:
        return Firmware(path.name, data, digest)
    return Firmware(path.name, data, digest, pinned.version, pinned.offset)


def pinned(board: BoardFile) -> Firmware:
    """The first image of the definition: its file, else what was downloaded before, else a download.

    Raises:
        FlashError: it has none, can't be had, or is another one.
    """
    if not board.definition.image:
        raise FlashError(
            Code.BAD_IMAGE,
            f"{board.id}: no firmware was named, and its definition pins none",
            f"download one from {board.definition.url or 'its maker'}, then --image FILE",
        )
    image = board.definition.image[0]
    path = board.path.parent / image.file if image.file else None
    if path is not None and path.is_file():
        made = from_file(path, board, image.sha256)
    elif image.url:
        path = download.cached(image)
        made = from_file(path, board, image.sha256)
    else:
        where = f"{path}: not here" if path else f"{board.id}: its image {image.version} has no file"
        raise FlashError(Code.BAD_IMAGE, where, f"download it from {board.definition.url}, then --image FILE")
    if image.size and len(made.data) != image.size:
        raise FlashError(Code.BAD_IMAGE, f"{path}: {len(made.data)} bytes instead of {image.size}")
    return made._replace(version=image.version, offset=image.offset)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise FlashError(Code.BAD_IMAGE, f"{path}: can't be read ({error.strerror})") from error
