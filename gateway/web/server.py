"""The page's server: which path leads where."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, JSONResponse
from starlette.routing import Route, WebSocketRoute

from boardtalk.sdk.tasks import cancel_and_wait
from boardtalk.web import accounts, bundle, live, socket, tls
from boardtalk.web.guard import Guard
from boardtalk.web.login import Login
from boardtalk.web.pages import index, static, worker
from boardtalk.web.sessions import Sessions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp
    from starlette.websockets import WebSocket

    from boardtalk.page.settings import PageSettings
    from boardtalk.web.door import Door

    Serve = Callable[[WebSocket, str], Coroutine[Any, Any, None]]

LOG_IN: Final = 4401
"""Close code of a WebSocket: log in, or log in again."""
LOOK_EVERY_S: Final = 1.0
"""Between two looks for sessions that must not go on."""


def application(settings: PageSettings, door: Door) -> ASGIApp:
    """The page of the gateway on a state folder, for those who come by a door."""
    folder = Path(settings.state)
    sessions = Sessions(folder / "secrets")
    login = Login(settings, folder, sessions)

    def lane(serve: Serve) -> Callable[[WebSocket], Awaitable[None]]:
        async def answer(websocket: WebSocket) -> None:
            await _while_logged_in(websocket, login, door, serve)

        return answer

    async def authority(_: Request) -> Response:
        """The authority of `boardtalk tls`, for phones that are to trust it; no secret."""
        path = folder / tls.FOLDER / tls.AUTHORITY
        if not path.is_file():
            raise HTTPException(404, "`boardtalk tls` has not been run here")
        return FileResponse(path, media_type="application/x-x509-ca-cert")

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as tasks:
            watch = tasks.create_task(accounts.watch(folder, sessions), name="accounts")
            sweep = tasks.create_task(_sweep(sessions, door), name="sessions")
            yield
            watch.cancel()
            sweep.cancel()

    app = Starlette(
        routes=[
            Route("/", index),
            Route("/sw.js", worker),
            Route("/ca.crt", authority),
            Route("/static/{path:path}", static),
            Route("/me", login.me),
            Route("/login", login.log_in, methods=["POST"]),
            Route("/logout", login.log_out, methods=["POST"]),
            Route("/setup", login.set_up, methods=["POST"]),
            Route("/password", login.change_password, methods=["POST"]),
            Route("/diagnosis", partial(bundle.download, folder, login)),
            Route("/sessions", login.list_sessions),
            Route("/sessions/end", login.end_sessions, methods=["POST"]),
            WebSocketRoute("/ws", lane(partial(socket.serve, folder))),
            WebSocketRoute("/live", lane(live.serve)),
        ],
        exception_handlers={HTTPException: _told},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    return Guard(app, settings, door)


async def _told(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - what it was registered for
    return JSONResponse({"reason": error.detail}, error.status_code, error.headers)


async def _while_logged_in(websocket: WebSocket, login: Login, door: Door, serve: Serve) -> None:
    """Serve a WebSocket as long as the session lasts with which it was opened."""
    session = login.session(websocket)
    if session is None:
        await websocket.accept()  # else the page can't tell this from a network that is away
        await websocket.close(LOG_IN, "log in")
        return
    session.sockets += 1
    serving = asyncio.create_task(serve(websocket, session.kept.user), name="websocket")
    ending = asyncio.create_task(session.ended.wait(), name="end of the session")
    try:
        with door.served(websocket.scope["client"]):
            await asyncio.wait((serving, ending), return_when=asyncio.FIRST_COMPLETED)
    finally:
        session.sockets -= 1
        await cancel_and_wait(serving, ending)
    if serving.done() and not serving.cancelled():
        serving.result()
    if session.ended.is_set():
        with suppress(RuntimeError):  # closed already
            await websocket.close(LOG_IN, "log in again")


async def _sweep(sessions: Sessions, door: Door) -> None:
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        sessions.sweep()
        door.sweep()
