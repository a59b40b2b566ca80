"""Live values of one browser: set-points in, telemetry out."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.websockets import WebSocket


async def serve(websocket: WebSocket, folder: Path, user: str) -> None:
    """Serve the page of a user who is logged in, until it leaves.

    Args:
        websocket: not yet accepted. Host, Origin and session have been checked.
        folder: the state folder of the gateway.
        user: who it is.
    """
    del folder, user  # of the skeleton
    await websocket.accept()
    async for _ in websocket.iter_text():
        pass
