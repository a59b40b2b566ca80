"""The files of the page. There is nothing secret in them: they are the same everywhere."""

from __future__ import annotations

import gzip
import hashlib
from functools import cache, lru_cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Final

from starlette.exceptions import HTTPException
from starlette.responses import Response

from boardtalk.web.imports import modules

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

FOLDER: Final = Path(str(resources.files("boardtalk.web") / "static"))
TYPES: Final[Mapping[str, str]] = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".json": "application/json",
    ".md": "text/plain",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
    ".webmanifest": "application/manifest+json",
}
"""What is served, and as what: not as the system's tables have it."""
FOREVER: Final = {"cache-control": "public, max-age=31536000, immutable"}
ASK_AGAIN: Final = {"cache-control": "no-cache"}


@cache
def files() -> Mapping[str, Path]:
    """All files by their paths below ``/static/``. What is not among them can't be asked for."""
    found = (path for path in FOLDER.rglob("*") if path.is_file() and path.suffix in TYPES)
    return {path.relative_to(FOLDER).as_posix(): path for path in sorted(found)}


def stamp() -> str:
    """What changes with any of the files: part of their addresses, so that browsers may keep them."""
    seen = hashlib.sha256()
    for name, path in files().items():
        found = path.stat()
        seen.update(f"{name} {found.st_mtime_ns} {found.st_size}\n".encode())
    return seen.hexdigest()[:12]


async def index(request: Request) -> Response:
    """The page itself, one for all views, with the addresses of its files as they are now."""
    return _answer(request, _index(stamp()), ".html", ASK_AGAIN)


async def worker(request: Request) -> Response:
    """The service worker, whose reach is the folder that it comes from."""
    return _file(request, "sw.js", ASK_AGAIN)


async def static(request: Request) -> Response:
    """A file of the page, as ``/static/NAME`` or ``/static/~STAMP/NAME``."""
    name: str = request.path_params["path"]
    if not name.startswith("~"):
        return _file(request, name, ASK_AGAIN)
    given, _, name = name[1:].partition("/")
    return _file(request, name, FOREVER if given == stamp() else ASK_AGAIN)


def _file(request: Request, name: str, headers: Mapping[str, str]) -> Response:
    path = files().get(name)
    if path is None:
        raise HTTPException(404, "there is no such file")
    return _answer(request, path.read_bytes(), path.suffix, headers)


def _answer(request: Request, content: bytes, suffix: str, headers: Mapping[str, str]) -> Response:
    headers = {**headers, "vary": "Accept-Encoding"}
    if suffix != ".png" and "gzip" in request.headers.get("accept-encoding", ""):
        content, headers["content-encoding"] = _packed(content), "gzip"
    return Response(content, media_type=TYPES[suffix], headers=headers)


@lru_cache(maxsize=1)
def _index(stamp: str) -> bytes:
    """Names all modules at once: else a browser finds them one behind another, a round trip each time."""
    html = files()["index.html"].read_text()
    first, later = modules(html, lambda address: files()[address.removeprefix("/static/")].read_text())
    links = "".join(
        [f'<link rel="modulepreload" href="{each}">\n' for each in first]
        + [f'<link rel="modulepreload" href="{each}" fetchpriority="low">\n' for each in later]
    )
    return html.replace("</head>", f"{links}</head>").replace("/static/", f"/static/~{stamp}/").encode()


@lru_cache(maxsize=64)
def _packed(content: bytes) -> bytes:
    """Once for each file: others' set-points wait meanwhile."""
    return gzip.compress(content)
