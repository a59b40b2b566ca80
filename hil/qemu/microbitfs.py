"""The file system of a micro:bit with MicroPython, as an image of its flash.

Chunks of 128 bytes are linked both ways by their numbers, from 1: marker or the chunk before, 126 bytes of
content, the chunk after. A file begins with where it ends in its last chunk, and its name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from boardtalk.sdk import BoardtalkError

if TYPE_CHECKING:
    from collections.abc import Mapping

AT: Final = 0x3BC00
"""Behind the firmware of Debian's package, up to a page for the compass."""
CHUNKS: Final = 120
PAGE: Final = 1024
CHUNK, CONTENT = 128, 126
FILE_BEGINS, ERASED, SPARE_PAGE = b"\xfe", b"\xff", b"\xfd"


class FlashFull(BoardtalkError):
    """The files do not fit."""


def image(files: Mapping[str, bytes]) -> bytes:
    """What is on the flash from `AT`.

    Raises:
        FlashFull: the files do not fit.
    """
    chunks: list[bytes] = []
    for name, content in files.items():
        head = bytes(((2 + len(name) + len(content)) % CONTENT, len(name))) + name.encode()
        data = head + content + ERASED
        pieces = [data[at : at + CONTENT] for at in range(0, len(data), CONTENT)]
        first = len(chunks) + 1
        if first + len(pieces) - 1 > CHUNKS:
            raise FlashFull(f"{name} does not fit: there are {CHUNKS * CONTENT // 1024} kB for all files")
        for number, piece in enumerate(pieces, first):
            before = FILE_BEGINS if number == first else bytes((number - 1,))
            after = ERASED if number == first + len(pieces) - 1 else bytes((number + 1,))
            chunks.append(before + piece.ljust(CONTENT, ERASED) + after)
    return b"".join(chunks).ljust(CHUNKS * CHUNK, ERASED) + SPARE_PAGE.ljust(PAGE, ERASED)
