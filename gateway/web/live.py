"""Live values of one browser, on a socket of their own: long texts must not hold them up."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import msgspec
from starlette.websockets import WebSocketDisconnect

from boardtalk.frontends import control
from boardtalk.frontends.client import Denied, NoGateway
from boardtalk.frontends.control import SetPoint
from boardtalk.web.messages import Join, LiveRequest
from boardtalk.web.rates import SET_POINTS_PER_S, Rates
from boardtalk.web.socket import HELLO_WITHIN_S, UNREADABLE, Page, pages

if TYPE_CHECKING:
    from starlette.websockets import WebSocket

    from boardtalk.events import Values

GONE: Final = 4404
"""The page that it belongs to is not open."""
MAX_WAITING: Final = 50
"""News that wait for a browser that is busy; of more, the oldest are dropped."""
READ_WITHIN_S: Final = 10.0

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[LiveRequest] = msgspec.json.Decoder(LiveRequest)
_rates = Rates(SET_POINTS_PER_S)


class Lane:
    """The way to one browser, for the values of one robot."""

    def __init__(self, websocket: WebSocket, robot: str) -> None:
        self._websocket = websocket
        self._robot = robot
        self._waiting: deque[Values] = deque(maxlen=MAX_WAITING)
        self._wake = asyncio.Event()

    def take(self, values: Values) -> None:
        """Queue news, if they are of this robot."""
        if values.address == self._robot:
            self._waiting.append(values)
            self._wake.set()

    async def run(self, page: Page) -> None:
        """Tell what is known, then what comes, on and on."""
        with suppress(Denied):  # nobody by that name: nothing comes
            await self._send(await page.client.ask(control.Watch(self._robot), control.Watching))
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                await self._send(self._waiting.popleft())

    async def _send(self, value: msgspec.Struct) -> None:
        async with asyncio.timeout(READ_WITHIN_S):
            await self._websocket.send_text(_encoder.encode(value).decode())


async def serve(websocket: WebSocket, user: str) -> None:
    """Serve the page of a user who is logged in, until it leaves; with it end its calls.

    Args:
        websocket: not yet accepted. Host, Origin and session have been checked.
        user: who it is.
    """
    await websocket.accept()
    code, reason = 1000, ""
    try:
        async with asyncio.timeout(HELLO_WITHIN_S):
            join = _decoder.decode(await websocket.receive_text())
        page = pages.get(join.page) if isinstance(join, Join) else None
        if isinstance(join, Join) and page is not None and page.user == user:
            await _converse(websocket, page, join.robot)
        else:
            code, reason = GONE, "no such page"
    except* (WebSocketDisconnect, TimeoutError):
        pass
    except* (NoGateway, msgspec.DecodeError, KeyError) as errors:
        code, reason = UNREADABLE, str(errors.exceptions[0])[:100]
    with suppress(RuntimeError, WebSocketDisconnect):  # it left by itself
        await websocket.close(code, reason)


async def _converse(websocket: WebSocket, page: Page, robot: str) -> None:
    lane = Lane(websocket, robot)
    page.sinks[lane.take] = robot
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(lane.run(page), name=f"live values for {page.user}")
            await _steer(websocket, page)
    finally:
        page.leave(lane.take)


async def _steer(websocket: WebSocket, page: Page) -> None:
    rate = _rates.of(page.user)
    while True:
        request = _decoder.decode(await websocket.receive_text())
        # One that comes too fast is left out: the next one says what counts by then.
        if isinstance(request, SetPoint) and rate.take():
            page.client.set_point(request.call, request.values)
