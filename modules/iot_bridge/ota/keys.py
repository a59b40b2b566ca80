"""Keys: one of the gateway, from which each board's own follows."""

from __future__ import annotations

import hmac
import os
import secrets
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from boardtalk.sdk import ServiceError

if TYPE_CHECKING:
    from pathlib import Path

NAME: Final = "ota.key"
KEY_BYTES: Final = 32


def board_key(state: Path, uid: str) -> bytes:
    """The key of a board: whoever has it may update that board, and no other.

    Raises:
        ServiceError: this gateway has no key yet, or it can't be read.
    """
    path = state / "secrets" / NAME
    try:
        master = bytes.fromhex(path.read_text().strip())
    except FileNotFoundError as error:
        raise ServiceError(f"{path}: there is no key yet; `boardtalk ota install` makes it") from error
    except (OSError, ValueError) as error:
        raise ServiceError(f"{path}: is no key of {KEY_BYTES} bytes in hex ({error})") from error
    if len(master) != KEY_BYTES:
        raise ServiceError(f"{path}: is no key of {KEY_BYTES} bytes in hex")
    return signed(master, uid.encode())


def make_key(state: Path) -> None:
    """Make the gateway's key, unless it has one. Raises ServiceError."""
    path = state / "secrets" / NAME
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return
    except OSError as error:
        raise ServiceError(f"{path}: can't be written ({error.strerror})") from error
    with os.fdopen(file, "w") as opened:
        opened.write(secrets.token_hex(KEY_BYTES) + "\n")


def signed(key: bytes, data: bytes) -> bytes:
    """HMAC-SHA256."""
    return hmac.digest(key, data, sha256)
