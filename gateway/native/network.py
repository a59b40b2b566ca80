"""The network of native modules: HTTP, FastCGI, sockets.

What a module asks for is copied before its call returns, since it may free it then. It is done in the event
loop, by the helpers that all modules have, and so are its callbacks called.
"""

from __future__ import annotations

import asyncio
import ctypes
import itertools
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from boardtalk.native import fcgi, layouts
from boardtalk.native.layouts import text
from boardtalk.sdk import OutsideError, Timeouts
from boardtalk.sdk.tasks import first_of

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from boardtalk.sdk import Connection, Context, Response

OK: Final = 0
FAIL: Final = -1
RESPONSE_BODY: Final = 3
COMPLETE: Final = 100
AT_ONCE: Final = 100
"""Requests and connections of one module; more are refused."""
UNWRITTEN_BYTES: Final = 1 << 20
"""A connection that has more to write takes no more."""
MILLISECONDS: Final = 1000
"""From this on, a timeout is taken for milliseconds: nobody waits for a thousand seconds."""
FORM: Final = "application/x-www-form-urlencoded"
HEADERS: Final = {
    2: "Content-Type",
    4: "User-Agent",
    5: "Referer",
    6: "Origin",
    7: "Cookie",
    8: "Accept-Encoding",
    9: "Cache-Control",
    10: "Accept",
}
"""By the place of their field, in words."""
URL, POST, EXTRA_HEADER, ETAG, MODIFIED_SINCE, TIMEOUTS, ON_DATA, ON_STATUS, ON_CLOSE = (
    0,
    1,
    3,
    11,
    12,
    13,
    17,
    18,
    19,
)
HTTP_WORDS: Final = 20
KEEPALIVE, VERIFY, SOCKET_CALLBACKS = 2, 3, 5
MAX_KEEPALIVE_S: Final = 32767.0
"""The kernel takes no more. A negative number is one of the longest here."""
UNUSED: Final = {1: "ws_protocol", 4: "ssl_ctx"}
"""Of a socket, by place: nobody says what the one is for; the other is OpenSSL's, which is not used here."""
SOCKET_WORDS: Final = 9
FCGI_WORDS: Final = 25
SCHEMES: Final = {"sock": "tcp", "socks": "tls", "http": "ws", "https": "wss"}

Data = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_char_p, ctypes.c_int64
)
StatusOf = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int64, ctypes.c_char_p)
Closed = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)
Answered = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int64, ctypes.c_char_p, ctypes.c_int64)
Connected = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
Written = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
Came = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int64)


class Request(NamedTuple):
    """An HTTP request, and whom to tell. A callback that is None is not wanted."""

    url: str
    options: dict[str, Any]
    cbdata: int | None
    on_data: Any
    on_status: Any
    on_close: Any


class Socket:
    """A connection, and what is still to be written to it; None: it is to be closed."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.unwritten = 0

    def take(self, data: bytes | None) -> None:
        """Have something written, in its turn."""
        self.unwritten += len(data or b"")
        self.queue.put_nowait(data)


class Network:
    """Those of one module. Its methods are called from any thread.

    Args:
        context: the module's.
        complain: tells the operator that something went wrong.
    """

    def __init__(self, context: Context, complain: Callable[[str], None]) -> None:
        self._context = context
        self._complain = complain
        self._loop = asyncio.get_running_loop()
        self._handles = itertools.count(1)
        self._sockets: dict[int, Socket] = {}
        self._free = threading.Semaphore(AT_ONCE)

    def http(self, address: int, cbdata: int | None) -> int:
        """``mesibo_util_http``."""
        words = list(layouts.words(address, HTTP_WORDS))
        headers = {name: text(words[place]) for place, name in HEADERS.items() if words[place]}
        headers |= _lines(text(words[EXTRA_HEADER]))
        options: dict[str, Any] = {"headers": headers, "timeouts": _timeouts(words)}
        if words[POST]:
            options["body"] = ctypes.string_at(words[POST])
            headers.setdefault("Content-Type", FORM)
        if words[ETAG]:
            options["etag"] = text(words[ETAG])
        if words[MODIFIED_SINCE]:
            options["modified_since"] = float(words[MODIFIED_SINCE])
        request = Request(
            text(words[URL]),
            options,
            cbdata,
            Data(words[ON_DATA]) if words[ON_DATA] else None,
            StatusOf(words[ON_STATUS]) if words[ON_STATUS] else None,
            Closed(words[ON_CLOSE]) if words[ON_CLOSE] else None,
        )
        return self._begin(lambda: self._ask(request), "http")

    def fetch(self, url: bytes, post: bytes | None, callback: int | None, cbdata: int | None) -> int:
        """``mesibo_http`` of the first release: it has one callback, which a failure is told too."""
        options: dict[str, Any] = {} if post is None else {"body": post, "headers": {"Content-Type": FORM}}
        on_data = Data(callback) if callback else None

        def failed(_: int | None, result: int) -> None:
            if result and on_data:
                on_data(cbdata, RESPONSE_BODY, FAIL, None, 0)

        request = Request(url.decode(errors="replace"), options, cbdata, on_data, None, failed)
        return self._begin(lambda: self._ask(request), "http")

    def fcgi(self, address: int, host: bytes, port: int, callback: int | None, cbdata: int | None) -> int:
        """``mesibo_util_fcgi``."""
        words = list(layouts.words(address, FCGI_WORDS))
        named = {
            name: ctypes.string_at(word) for name, word in zip(fcgi.PARAMETERS, words, strict=False) if word
        }
        place, length = words[len(fcgi.PARAMETERS) :]
        body = ctypes.string_at(place, length) if place else b""
        answered = Answered(callback) if callback else None
        url = f"tcp://{host.decode(errors='replace')}:{port}"
        return self._begin(lambda: self._run(url, fcgi.request(named, body), answered, cbdata), "fcgi")

    def connect(self, address: int, cbdata: int | None) -> int:
        """``mesibo_util_socket_connect``."""
        words = list(layouts.words(address, SOCKET_WORDS))
        scheme, colon, rest = text(words[0]).partition(":")
        for place, name in UNUSED.items():
            if words[place]:
                self._complain(f"{name} of a socket is not used here")
        options = {"verify": bool(words[VERIFY]), "keepalive": min(words[KEEPALIVE] or 30.0, MAX_KEEPALIVE_S)}
        kinds = (Connected, Written, Came, Closed)
        callbacks = [
            kind(word) if word else None for kind, word in zip(kinds, words[SOCKET_CALLBACKS:], strict=True)
        ]
        url = f"{SCHEMES.get(scheme, scheme)}{colon}{rest}"
        return self._begin(lambda: self._talk(url, options, callbacks, cbdata), "socket")

    def write(self, handle: int, address: int | None, length: int) -> int:
        """``mesibo_util_socket_write``."""
        socket = self._sockets.get(handle)
        if socket is None or socket.unwritten + length > UNWRITTEN_BYTES:
            return FAIL
        data = ctypes.string_at(address, length) if address else b""
        self._loop.call_soon_threadsafe(socket.take, data)
        return OK

    def close(self, handle: int) -> None:
        """``mesibo_util_socket_close``: what was written before is still sent."""
        if socket := self._sockets.get(handle):
            self._loop.call_soon_threadsafe(socket.take, None)

    def _begin(self, work: Callable[[], Coroutine[Any, Any, None]], name: str) -> int:
        if not self._free.acquire(blocking=False):
            self._complain(f"{name}: {AT_ONCE} are under way already")
            return FAIL
        self._loop.call_soon_threadsafe(lambda: self._context.spawn(self._counted(work), name))
        return OK

    async def _counted(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await work()
        finally:
            self._free.release()

    async def _ask(self, request: Request) -> None:
        """Callbacks in the order of the API: status, data, and close once, which alone tells of a failure."""
        result = FAIL
        try:
            async with self._context.http(request.url, **request.options) as response:
                if request.on_status:
                    kind = response.headers.get("Content-Type")
                    request.on_status(request.cbdata, response.status, kind and kind.encode())
                if await _handed_over(response, request):
                    result = OK
        except Exception as error:  # noqa: BLE001 - whatever it is, the module waits for its end
            self._complain(str(error))
        if request.on_close:
            request.on_close(request.cbdata, result)

    async def _run(self, url: str, request: bytes, answered: Any, cbdata: int | None) -> None:
        answer = fcgi.Answer()
        try:
            async with self._context.connect(url) as connection:
                await connection.send(request)
                async for data in connection:
                    answer.take(data if isinstance(data, bytes) else data.encode())
                    if answer.complete:
                        break
            if not answer.complete:
                raise OutsideError(f"{url}: the answer is not complete")
        except Exception as error:  # noqa: BLE001 - whatever it is, the module waits for its end
            self._complain(str(error))
            if answered:
                answered(cbdata, FAIL, None, 0)
            return
        if answered:
            answered(cbdata, OK, answer.body, len(answer.body))

    async def _talk(
        self, url: str, options: dict[str, Any], callbacks: list[Any], cbdata: int | None
    ) -> None:
        on_connect, on_write, on_data, on_close = callbacks
        handle, result = next(self._handles), FAIL
        try:
            async with self._context.connect(url, **options) as connection:
                socket = self._sockets[handle] = Socket()
                if on_connect:
                    on_connect(cbdata, handle, -1)
                await first_of(
                    _read(connection, on_data, cbdata), _write(connection, socket, on_write, cbdata)
                )
                result = OK
        except Exception as error:  # noqa: BLE001 - whatever it is, the module waits for its end
            self._complain(str(error))
        finally:
            self._sockets.pop(handle, None)
        if on_close:
            on_close(cbdata, result)


async def _handed_over(response: Response, request: Request) -> bool:
    """Hand over the body; whether all of it was taken. The last piece, or an empty one, is complete."""
    held = b""
    async for piece in response:
        if held and _refused(request, _share(response), held):
            return False
        held = piece
    return not _refused(request, COMPLETE, held)


def _refused(request: Request, progress: int, piece: bytes) -> bool:
    if request.on_data is None:
        return False
    return bool(request.on_data(request.cbdata, RESPONSE_BODY, progress, piece, len(piece)) < 0)


def _share(response: Response) -> int:
    return min(COMPLETE - 1, response.received * COMPLETE // response.length) if response.length else 0


async def _read(connection: Connection, on_data: Any, cbdata: int | None) -> None:
    async for data in connection:
        piece = data.encode() if isinstance(data, str) else data
        if on_data and on_data(cbdata, piece, len(piece)) < 0:
            return


async def _write(connection: Connection, socket: Socket, on_write: Any, cbdata: int | None) -> None:
    while (data := await socket.queue.get()) is not None:
        await connection.send(_as_text(data))
        socket.unwritten -= len(data)
        if on_write:
            on_write(cbdata)


def _as_text(data: bytes) -> bytes | str:
    """A WebSocket has messages of text and others; to a stream it is all the same."""
    with suppress(UnicodeDecodeError):
        return data.decode()
    return data


def _timeouts(words: list[int]) -> Timeouts:
    named = zip(("connect", "header", "body", "total"), words[TIMEOUTS:ON_DATA], strict=True)
    return Timeouts(
        **{name: value / 1000 if value >= MILLISECONDS else float(value) for name, value in named if value}
    )


def _lines(headers: str) -> dict[str, str]:
    """Header lines, by name."""
    pairs = (line.partition(":") for line in headers.splitlines())
    return {name.strip(): value.strip() for name, colon, value in pairs if colon}
