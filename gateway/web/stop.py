"""The stop process: carries the page's stop button to the link process. Started as the page's process is.

It does nothing else, and needs neither that process nor the gateway: one may hang, the other too.
Wire, JSON in text frames: ``{"robot": "rover", "n": 1}`` (without robot: all) →
``{"n": 1, "text": "rover stopped, …", "confirmed": true, "robots": […]}``. Whatever else comes stops all.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import sys
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

from boardtalk import stop
from boardtalk.page.settings import PageSettings
from boardtalk.sdk import ServiceError
from boardtalk.web.cookies import values
from boardtalk.web.door import Door
from boardtalk.web.places import is_ours, own_names, place_of
from boardtalk.web.roll import Roll
from boardtalk.web.views import Views

if TYPE_CHECKING:
    from collections.abc import Callable

    from websockets.asyncio.server import ServerConnection
    from websockets.http11 import Request, Response

PATH: Final = "/stop"
MAX_WISH_BYTES: Final = 4096
MAX_UNDER_WAY: Final = 2
"""Stops of one user for one robot: the link process takes so many connections, and others' stops must find
one. Of those that come meanwhile the last one follows."""
MAX_TARGETS: Final = 4
"""Robots that one user stops at once; who stops more of them, one by one, while none answers stops all."""
MAX_BUTTONS: Final = 100
"""Of one user; with one more he loses his oldest. Others must find a place."""
LOOK_EVERY_S: Final = 0.5
"""Between two looks who has logged out."""
LOG_IN: Final = 4401
"""Close code: log in again."""
PING_EVERY_S: Final = 5.0


class Wish(msgspec.Struct):
    """What the button says."""

    robot: str = ""
    n: int = 0
    """By which the answer names it."""


class Answer(msgspec.Struct):
    """What it is told."""

    n: int
    text: str
    confirmed: bool
    """Whether all of them said that their outputs are off."""
    robots: tuple[stop.Stopped, ...] = ()
    """Those that he may know of."""


class Target(NamedTuple):
    """Whom somebody stops."""

    user: str
    robot: str
    """ "" = all."""


class StopLane:
    """Serves stop buttons.

    Args:
        settings: of the page.
        door: by which they come.
    """

    def __init__(self, settings: PageSettings, door: Door) -> None:
        self._settings = settings
        self._door = door
        self._state = Path(settings.state)
        self._names = own_names(settings)
        self._roll = Roll(self._state / "secrets")
        self._views = Views(self._state)
        self._buttons: dict[ServerConnection, str] = {}
        """Who presses each, as the roll has him."""
        self._under_way: dict[Target, int] = {}
        self._next: dict[Target, tuple[ServerConnection, int]] = {}
        """What is to follow: who is told, and the number by which."""
        self._tasks: set[asyncio.Task[None]] = set()

    def judge(self, connection: ServerConnection, request: Request) -> Response | None:
        """Refuse who does not come from our page, or has not logged in there."""
        headers = request.headers
        place = place_of(headers.get("Host", "")) if len(headers.get_all("Host")) == 1 else None
        if request.path != PATH:
            return connection.respond(HTTPStatus.NOT_FOUND, "nothing here\n")
        if place is None or not is_ours(place, self._names):
            return connection.respond(HTTPStatus.MISDIRECTED_REQUEST, "this page has another address\n")
        default = 443 if self._settings.certificate else 80
        origin = f"{self._settings.scheme}://{place.host}"
        page = self._settings.port
        if headers.get_all("Origin") not in ([f"{origin}:{page}"], [origin] if page == default else None):
            return connection.respond(HTTPStatus.FORBIDDEN, "this comes from another page\n")
        if not self._member(request):
            return connection.respond(HTTPStatus.UNAUTHORIZED, "log in first\n")
        return None

    async def attend(self, connection: ServerConnection) -> None:
        """Carry out what one button says, as long as it is there."""
        assert connection.request is not None  # noqa: S101 - it has been judged
        self._buttons[connection] = member = self._member(connection.request)
        try:
            self._make_room(self._roll.user(member))
            with suppress(ConnectionClosed), self._door.served(connection.remote_address[:2]):
                async for wish in connection:
                    self._hear(connection, wish)
        finally:
            self._buttons.pop(connection, None)

    def _make_room(self, user: str) -> None:
        his = [button for button, member in self._buttons.items() if self._roll.user(member) == user]
        if len(his) > MAX_BUTTONS:
            his[0].transport.abort()  # not politely: the new one may have something to say

    def _member(self, request: Request) -> str:
        """Who has logged in at the browser that asks; "" if nobody has."""
        cookies = values("; ".join(request.headers.get_all("Cookie")), self._settings.cookie)
        return next(filter(None, map(self._roll.member, cookies)), "")

    def _hear(self, connection: ServerConnection, said: str | bytes) -> None:
        """Stop before anything else is done."""
        try:
            wish = msgspec.json.decode(said, type=Wish)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            wish = Wish()
        target = Target(self._roll.user(self._buttons[connection]), wish.robot)
        if target not in self._under_way and self._others(target) >= MAX_TARGETS:
            target = Target(target.user, "")
        if self._under_way.get(target, 0) < MAX_UNDER_WAY:
            self._begin(target, connection, wish.n)
        else:
            self._next[target] = connection, wish.n

    def _others(self, target: Target) -> int:
        return sum(each.user == target.user for each in self._under_way)

    def _begin(self, target: Target, connection: ServerConnection, n: int) -> None:
        user, robot = target
        try:
            begun: socket.socket | ServiceError = stop.begin(self._state, (robot,) if robot else (), user)
        except ServiceError as error:
            begun = error
        self._under_way[target] = self._under_way.get(target, 0) + 1
        sees = partial(self._views.sees, user)
        task = asyncio.create_task(_tell(connection, n, begun, sees), name=f"stop by {user}")
        self._tasks.add(task)
        task.add_done_callback(lambda task: self._done(target, task))

    def _done(self, target: Target, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._under_way[target] -= 1
        if not self._under_way[target]:
            del self._under_way[target]
        if following := self._next.pop(target, None):
            self._begin(target, *following)

    async def part(self) -> None:
        """Cut off who has logged out since, and who says nothing, for ever."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            self._door.sweep()
            for connection, member in list(self._buttons.items()):
                if not self._roll.user(member):
                    await connection.close(LOG_IN, "log in again")


async def _tell(
    connection: ServerConnection,
    n: int,
    door: socket.socket | ServiceError,
    sees: Callable[[str], bool],
) -> None:
    try:
        if isinstance(door, ServiceError):
            raise door
        robots = await stop.answer(door)
        seen = tuple(each for each in robots if sees(each.board))
        answer = Answer(n, stop.describe(robots, sees), all(each.confirmed for each in robots), seen)
    except ServiceError as error:
        answer = Answer(n, f"STOP NOT CARRIED OUT: {error}. Use the hardware stop", confirmed=False)
    with suppress(ConnectionClosed):  # stopped it has anyway
        await connection.send(msgspec.json.encode(answer).decode())


async def main() -> None:
    """Serve until the gateway ends."""
    settings = msgspec.json.decode(sys.argv[1], type=PageSettings)
    logging.getLogger("websockets").setLevel(logging.CRITICAL)  # strangers must not fill the log
    door = Door(settings.fd)
    lane = StopLane(settings, door)
    context = None
    if settings.certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(settings.certificate, settings.key)
    async with serve(
        lane.attend,
        sock=door,
        process_request=lane.judge,
        ssl=context,
        compression=None,
        max_size=MAX_WISH_BYTES,
        server_header=None,
        ping_interval=PING_EVERY_S,
        ping_timeout=PING_EVERY_S,
        close_timeout=1,
    ):
        await lane.part()


if __name__ == "__main__":
    asyncio.run(main())
