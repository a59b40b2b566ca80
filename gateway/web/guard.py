"""What every request must pass before anybody looks at it, and the headers of every answer. Pure ASGI."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from starlette.responses import JSONResponse

from boardtalk.web.places import Place, is_ours, is_same, own_names, place_of

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from boardtalk.page.settings import PageSettings
    from boardtalk.web.door import Door

MAX_BODY_BYTES: Final = 64 * 1024
BODY_WITHIN_S: Final = 10.0
"""Who takes longer to send what he asks is not waited for."""
SAFE: Final = frozenset({"GET", "HEAD"})
"""Methods that change nothing."""
HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=(), payment=(), usb=(), serial=()"),
)
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self' {lanes}; manifest-src 'self'; worker-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types boardtalk"
)
"""No script, style or address from elsewhere, nothing inline, and no text becomes a script or HTML."""


class Guard:
    """Lets requests through that are meant for this page, and come from it if they change anything.

    Args:
        app: what is behind it.
        settings: of the page.
        door: by which they come.
    """

    def __init__(self, app: ASGIApp, settings: PageSettings, door: Door) -> None:
        self._app = app
        self._door = door
        self._settings = settings
        self._names = own_names(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or one WebSocket."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = scope["headers"]
        place = place_of(_one(headers, b"host"))
        if place is None or not is_ours(place, self._names):
            await self._refuse(scope, receive, send, 421, "this page has another address")
            return
        changes = scope["type"] == "websocket" or scope["method"] not in SAFE
        if changes and not is_same(_one(headers, b"origin"), _one(headers, b"host")):
            await self._refuse(scope, receive, send, 403, "this comes from another page")
            return
        scope["headers"] = [each for each in headers if each[0] not in (b"range", b"if-range")]
        if scope["type"] == "websocket":
            await self._app(scope, receive, send)
            return
        if not await self._limited(scope, receive, self._dressed(send, place)):
            await self._refuse(scope, receive, send, 413, f"at most {MAX_BODY_BYTES} bytes, within 10 s")

    async def _limited(self, scope: Scope, receive: Receive, send: Send) -> bool:
        """Serve a request with its body, all of it; False if that is too long, or does not come."""
        body = bytearray()
        if scope["method"] not in SAFE:
            try:
                async with asyncio.timeout(BODY_WITHIN_S):
                    more = True
                    while more:
                        message = await receive()
                        body += message.get("body", b"")
                        more = message.get("more_body", False)
                        if len(body) > MAX_BODY_BYTES:
                            return False
            except TimeoutError:
                return False
        given = False

        async def take() -> Message:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": bytes(body), "more_body": False}

        with self._door.served(scope["client"]):
            await self._app(scope, take, send)
        return True

    def _dressed(self, send: Send, place: Place) -> Send:
        """`send`, with our headers in each answer."""
        scheme = "wss" if self._settings.certificate else "ws"
        lanes = f"{scheme}://{place.host}:{self._settings.stop_port}"
        policy = POLICY.format(lanes=lanes).encode()

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name for name, _ in message["headers"]}
                message["headers"] = [
                    *message["headers"],
                    *HEADERS,
                    (b"content-security-policy", policy),
                    *(() if b"cache-control" in given else ((b"cache-control", b"no-store"),)),
                ]
            await send(message)

        return dressed

    async def _refuse(self, scope: Scope, receive: Receive, send: Send, status: int, reason: str) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 4403, "reason": reason})  # the server says 403
            return
        dressed = self._dressed(send, Place("localhost", None))
        await JSONResponse({"reason": reason}, status, {"connection": "close"})(scope, receive, dressed)


def _one(headers: list[tuple[bytes, bytes]], name: bytes) -> str:
    """A header that must be there once; "" if it is not."""
    found = [value for key, value in headers if key == name]
    return found[0].decode("latin-1") if len(found) == 1 else ""
