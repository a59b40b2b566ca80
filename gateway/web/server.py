"""The page's server: which path leads where."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.routing import Route, WebSocketRoute

from boardtalk.web import live, socket
from boardtalk.web.pages import index, static

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.websockets import WebSocket


def application(folder: Path, user: str) -> Starlette:
    """The page of the gateway on a state folder."""

    async def talk(websocket: WebSocket) -> None:
        await socket.serve(websocket, folder, user)

    async def steer(websocket: WebSocket) -> None:
        await live.serve(websocket, folder, user)

    return Starlette(
        routes=[
            Route("/", index),
            Route("/static/{path:path}", static),
            WebSocketRoute("/ws", talk),
            WebSocketRoute("/live", steer),
        ]
    )
