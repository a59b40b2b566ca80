"""Memory that is needed for a moment goes back to the system."""

from __future__ import annotations

import ctypes
from contextlib import suppress
from typing import Final

M_MMAP_THRESHOLD: Final = -3
"""mallopt(3)."""
LARGE_BYTES: Final = 256 * 1024


def give_back_large_pieces() -> None:
    """Have what is larger than 256 kB mapped by itself, and so unmapped when it is free.

    glibc raises that limit whenever such a piece is freed, up to 32 MB. What scrypt takes for a password,
    16 MB, then stays with each thread that has ever looked at one. A limit that is set is not raised.
    """
    with suppress(AttributeError):  # another libc, without the habit
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)
