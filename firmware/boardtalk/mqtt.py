"""A message broker in place of the serial line: one message carries one frame.

Nothing here waits: a board that waits for a network does not stop its motors when their lease runs out.
"""

import asyncio
import json
import socket
from asyncio import core  # type: ignore[attr-defined]
from errno import EAGAIN, EINPROGRESS
from random import getrandbits
from time import ticks_diff, ticks_ms

from micropython import const

from boardtalk import wifi
from boardtalk.packets import Packets

_MAX_FRAME_BYTES = const(253)
_PING_MS = const(4000)
_DEAD_MS = const(10000)
_LOGIN_MS = const(5000)
_WIFI_MS = const(20000)
_LOOK_MS = const(200)
_PAUSE_MS = const(200)
_MAX_PAUSE_MS = const(1600)  # with a broker's own restart that stays below 5 s
_IPPROTO_TCP = const(6)
_TCP_NODELAY = const(1)


class MqttStream:
    """Frames to and from a broker, as a stream.

    Args:
        path: of the file with what `boardtalk boards credentials` printed.
    """

    interrupt_ms = 0

    def __init__(self, path):
        with open(path) as file:
            self._settings = settings = json.load(file)
        self.tasks = [self._keep]
        self._packets = Packets(settings)
        self._address: tuple | None = None
        self._socket: socket.socket | None = None
        self._heard = ticks_ms()
        self._up = asyncio.Event()
        self._reader = None
        self._told = ""

    # The stream -----------------------------------------------------------------------------------

    async def readable(self):
        """Wait until there is something to read."""
        if not self._socket:
            await self._up.wait()
            return
        if self._packets.first():
            return
        self._reader = core.cur_task
        try:
            await _readable(self._socket)
        except asyncio.CancelledError:
            if self._socket:
                raise
        finally:
            self._reader = None

    def readinto(self, view):
        """The next frame as it stands on a line, COBS and a zero; 0: there is none."""
        try:
            while self._socket:
                size = self._packets.first()
                if size:
                    frame = self._packets.take(size)
                    if frame and len(frame) <= _MAX_FRAME_BYTES:
                        return _stuff(frame, view)
                elif not self._fill(self._socket):
                    break
        except OSError as error:
            self._lose(error)
        return 0

    def write(self, buffer, size):
        """Send a frame as it stands on a line, between zeros; undoes its COBS in place. 0: no room."""
        if not self._socket or not self._flush(self._socket):
            return 0
        at = 1
        while at < size - 1:
            distance = buffer[at]
            buffer[at] = 0
            at += distance
        self._packets.frame(memoryview(buffer)[2 : size - 1])
        self._flush(self._socket)
        return size

    def close(self):
        """Leave without good-bye: the broker publishes the last will."""
        if self._socket:
            self._socket.close()
            self._socket = None

    # Staying connected ----------------------------------------------------------------------------

    async def _keep(self):
        pause = _PAUSE_MS
        while True:
            try:
                await self._join()
                address = self._address = self._address or self._look_up()
                self._socket = await asyncio.wait_for_ms(self._log_in(address), _LOGIN_MS)
                self._heard = ticks_ms()
                self._up.set()
                pause = _PAUSE_MS
                self._told = ""
                await self._stay()
            except (OSError, ValueError, asyncio.TimeoutError) as error:
                self._tell(error)
            if pause == _MAX_PAUSE_MS:
                self._address = None  # it may have another one now
            await asyncio.sleep_ms(pause + getrandbits(8))
            pause = min(2 * pause, _MAX_PAUSE_MS)

    async def _join(self):
        """Have Wi-Fi, if the settings name one."""
        network = self._settings.get("wifi", {})
        if not network.get("ssid") or wifi.joined():
            return
        wifi.join(network["ssid"], network["password"])
        begun = ticks_ms()
        while not wifi.joined():
            if ticks_diff(ticks_ms(), begun) > _WIFI_MS:
                raise OSError("no Wi-Fi %s" % network["ssid"])
            await asyncio.sleep_ms(_LOOK_MS)

    def _look_up(self):
        """Waits, if `host` is a name; at the start, or long after the last lease has run out."""
        return socket.getaddrinfo(self._settings["host"], self._settings.get("port", 1883))[0][-1]

    async def _log_in(self, address):
        connection = socket.socket()
        packets = self._packets
        try:
            connection.setblocking(False)
            try:
                connection.connect(address)
            except OSError as error:
                if error.errno != EINPROGRESS:
                    raise
            await _writable(connection)
            try:
                connection.setsockopt(_IPPROTO_TCP, _TCP_NODELAY, 1)
            except OSError:
                pass  # not everywhere
            if self._settings.get("tls"):
                connection = self._encrypted(connection)
            packets.login()
            while not packets.first():
                self._flush(connection)
                await _readable(connection)
                self._fill(connection)
            packets.welcome()
            for say in (packets.subscribe, packets.online):
                say()
                self._flush(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _encrypted(self, connection):
        """TLS on a connection. Shaking hands is part of reading and writing."""
        import ssl

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.verify_mode = ssl.CERT_REQUIRED  # type: ignore[attr-defined]
        with open(self._settings["ca"], "rb") as file:
            context.load_verify_locations(cadata=file.read())
        return context.wrap_socket(
            connection, server_hostname=self._settings["host"], do_handshake_on_connect=False
        )

    async def _stay(self):
        """Until the connection is lost."""
        pinged = ticks_ms()
        while self._socket:
            now = ticks_ms()
            if ticks_diff(now, self._heard) > _DEAD_MS:
                self._lose(OSError("the broker fell silent"))
                return
            if self._flush(self._socket) and ticks_diff(now, pinged) > _PING_MS:
                pinged = now
                self._packets.ping()
                self._flush(self._socket)
            await asyncio.sleep_ms(_LOOK_MS)

    def _lose(self, error):
        self._tell(error)
        self._up.clear()
        reader = self._reader
        self.close()
        if reader:
            reader.cancel()

    def _tell(self, error):
        text = str(error) or "no answer"
        if text != self._told:
            self._told = text
            print("broker %s: %s" % (self._settings["host"], text))

    # The socket -------------------------------------------------------------------------------------

    def _flush(self, connection):
        """Send what is to be sent; False: there is no room for all of it yet."""
        rest = self._packets.rest
        if rest:
            try:
                done = connection.write(rest) or 0
            except OSError as error:
                # What is wrong is told by reading.
                done = 0 if error.errno == EAGAIN else len(rest)
            self._packets.rest = rest[done:]
        return not self._packets.rest

    def _fill(self, connection):
        """Read what has come; False: nothing."""
        try:
            count = connection.readinto(self._packets.room())
        except OSError as error:
            if error.errno != EAGAIN:
                raise
            count = None
        if count is None:
            return False
        if not count:
            raise OSError("the broker hung up")
        self._packets.came(count)
        self._heard = ticks_ms()
        return True


def _readable(connection):
    yield core._io_queue.queue_read(connection)  # noqa: SLF001 - as asyncio's own streams do


def _writable(connection):
    yield core._io_queue.queue_write(connection)  # noqa: SLF001


def _stuff(frame, view):
    """COBS: each zero becomes the distance to the next one."""
    code = 0
    end = len(frame)
    view[1 : end + 1] = frame
    while (zero := frame.find(b"\0", code)) >= 0:
        view[code] = zero + 1 - code
        code = zero + 1
    view[code] = end + 1 - code
    view[end + 1] = 0
    return end + 2
