"""Firmware that a definition pins by its digest, downloaded once; kept only if size and digest are right."""

from __future__ import annotations

import os
import sys
import time
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from boardtalk.flash.errors import Code, FlashError
from boardtalk.sdk import kept

if TYPE_CHECKING:
    from boardtalk.boards import Image

MAX_BYTES: Final = 32 << 20
"""Of an image whose definition does not say its size."""
SILENT_S: Final = 15.0
"""For connecting, and between two pieces."""
WITHIN_S: Final = 600.0
"""For all of it: a server that gives a byte now and then holds nobody up for ever."""
REDIRECTS: Final = 5
TOLD_S: Final = 1.0
"""How often progress is told."""


def folder() -> Path:
    """Where downloads are kept, each under its digest."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "boardtalk" / "images"


def cached(image: Image, silent_s: float = SILENT_S, within_s: float = WITHIN_S) -> Path:
    """The file of a pinned image; downloaded, if it is not here.

    Args:
        image: what its definition says; it has a `url`.
        silent_s: longest silence of the server.
        within_s: for all of it.

    Raises:
        FlashError: it can't be downloaded, or is something else; nothing is kept then.
    """
    path = folder() / f"{image.sha256}-{PurePosixPath(urlsplit(image.url).path).name or 'image'}"
    if path.is_file() and sha256(path.read_bytes()).hexdigest() == image.sha256:
        return path
    data = _checked(image, _fetch(image, silent_s, within_s))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        passing = path.with_name(f"{path.name}.{os.getpid()}")
        with passing.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        passing.replace(path)
        kept.sync_folder(path.parent)
    except OSError as error:
        raise FlashError(Code.DISK, f"{path}: can't be written ({error.strerror})") from error
    return path


def _fetch(image: Image, silent_s: float, within_s: float) -> bytes:
    """What the server gives, of the right size as far as that is known. Raises FlashError."""
    import httpx  # noqa: PLC0415 - 10 MB and 0.1 s, for what is seldom done

    limit = image.size or MAX_BYTES
    began = told = time.monotonic()
    data = bytearray()
    try:
        with (
            httpx.Client(follow_redirects=True, max_redirects=REDIRECTS, timeout=silent_s) as client,
            client.stream("GET", image.url, headers={"Accept-Encoding": "identity"}) as answer,
        ):
            answer.raise_for_status()
            if (promised := int(answer.headers.get("Content-Length", 0))) > limit:
                raise _wrong(image, f"{promised} bytes are offered instead of {_expected(image)}")
            for piece in answer.iter_bytes():
                data += piece
                now = time.monotonic()
                if len(data) > limit:
                    raise _wrong(image, f"more than {_expected(image)} bytes come")
                if now - began > within_s:
                    raise _failed(image, f"only {len(data)} bytes came within {within_s:g} s")
                if now - told > TOLD_S:
                    told = now
                    _tell(image, len(data), now - began)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise _failed(image, str(error) or type(error).__name__) from error
    return bytes(data)


def _checked(image: Image, data: bytes) -> bytes:
    """The data, if it is what is pinned. Raises FlashError."""
    if image.size and len(data) != image.size:
        raise _wrong(image, f"{len(data)} bytes came instead of {image.size}")
    if (digest := sha256(data).hexdigest()) != image.sha256:
        raise _wrong(image, f"its sha256 is {digest}, not {image.sha256}")
    return data


def _tell(image: Image, size: int, seconds: float) -> None:
    rate = size / seconds
    left = f", {(image.size - size) / rate:.0f} s left" if image.size else ""
    text = f"{image.url}: {size // 1024} kB, {rate / 1024:.0f} kB/s{left}"
    print(text, file=sys.stderr)  # noqa: T201 - whoever waits sees for what


def _expected(image: Image) -> str:
    return str(image.size) if image.size else f"at most {MAX_BYTES}"


def _wrong(image: Image, why: str) -> FlashError:
    return FlashError(
        Code.BAD_IMAGE, f"{image.url}: {why}; it is not kept", "is the definition that of this version?"
    )


def _failed(image: Image, why: str) -> FlashError:
    return FlashError(
        Code.BAD_IMAGE,
        f"{image.url}: can't be downloaded ({why})",
        f"the same command tries again; or bring the file: --image FILE --sha256 {image.sha256}",
    )
