"""`GET /diagnosis`: one file for whoever helps from afar. The gateway judges who may have it."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from starlette.exceptions import HTTPException
from starlette.responses import Response

from boardtalk.frontends.client import Denied, GatewayClient, NoGateway

if TYPE_CHECKING:
    from starlette.requests import Request

    from boardtalk.web.login import Login

AT_ONCE: Final = asyncio.Semaphore(1)
"""It takes two processes for a second: who asks again and again waits for himself."""


async def download(folder: Path, login: Login, request: Request) -> Response:
    """A diagnosis of the gateway on this state folder."""
    from boardtalk import diagnosis  # noqa: PLC0415 - loaded when somebody wants one: who only looks pays nothing

    session = login.session(request)
    if session is None:
        raise HTTPException(401, "log in first")
    try:
        async with AT_ONCE, GatewayClient.connect(folder, session.kept.user, as_person=True) as client:
            data = await diagnosis.bundle(folder, client)
    except Denied as error:
        raise HTTPException(403, str(error)) from error
    except (NoGateway, TimeoutError) as error:
        raise HTTPException(
            503, "the gateway does not answer: `boardtalk diagnose FILE` on its machine"
        ) from error
    name = time.strftime("boardtalk-%Y%m%d-%H%M%S.zip", time.gmtime())
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return Response(data, media_type="application/zip", headers=headers)
