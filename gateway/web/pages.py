"""The files of the page."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Final

from starlette.exceptions import HTTPException
from starlette.responses import FileResponse

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

FILES: Final = Path(str(resources.files("boardtalk.web") / "static"))


async def index(_: Request) -> Response:
    """The page itself: one for all views."""
    return FileResponse(FILES / "index.html")


async def static(request: Request) -> Response:
    """A file of the page."""
    path = FILES / request.path_params["path"]
    if ".." in path.parts or not path.is_file():
        raise HTTPException(404)
    return FileResponse(path)
