"""The files of the page. There is nothing secret in them: they are the same everywhere."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Final

from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, Response

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


async def index(_: Request) -> Response:
    """The page itself, one for all views, with the addresses of its files as they are now."""
    text = files()["index.html"].read_text().replace("/static/", f"/static/~{stamp()}/")
    return Response(text, media_type=TYPES[".html"], headers=ASK_AGAIN)


async def worker(_: Request) -> Response:
    """The service worker, whose reach is the folder that it comes from."""
    return _file("sw.js", ASK_AGAIN)


async def static(request: Request) -> Response:
    """A file of the page, as ``/static/NAME`` or ``/static/~STAMP/NAME``."""
    name: str = request.path_params["path"]
    if not name.startswith("~"):
        return _file(name, ASK_AGAIN)
    given, _, name = name[1:].partition("/")
    return _file(name, FOREVER if given == stamp() else ASK_AGAIN)


def _file(name: str, headers: Mapping[str, str]) -> Response:
    path = files().get(name)
    if path is None:
        raise HTTPException(404, "there is no such file")
    return FileResponse(path, media_type=TYPES[path.suffix], headers=headers)
