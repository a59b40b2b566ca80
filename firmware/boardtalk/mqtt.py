"""A message broker in place of the serial line: one message carries one frame.

umqtt.simple makes and reads the packets. Getting them on and off the socket is done here and never
waits: a board that waits for a network does not stop its motors when their lease runs out.
"""

import asyncio
import socket
from asyncio import core  # type: ignore[attr-defined]
from errno import EAGAIN, EINPROGRESS
from random import getrandbits
from time import ticks_diff, ticks_ms

from micropython import const
from umqtt import simple

from boardtalk import hal

_PACKET_BYTES = const(400)  # longest: the login, or a frame with its topic
_MAX_FRAME_BYTES = const(253)
_KEEPALIVE_S = const(15)
_PING_MS = const(4000)
_DEAD_MS = const(10000)
_LOGIN_MS = const(5000)
_WIFI_MS = const(20000)
_LOOK_MS = const(200)
_PAUSE_MS = const(200)
_MAX_PAUSE_MS = const(1600)  # with a broker's own restart that stays below 5 s
_IPPROTO_TCP = const(6)
_TCP_NODELAY = const(1)
_TX, _RX, _STATUS = const(0), const(1), const(2)
_MESSAGE = const(0x30)
_CONNACK = const(0x20)
_SUBACK = const(0x90)
_KIND_BITS = const(0xF0)
_DUP_OR_RETAINED = const(9)
_REFUSED = const(0x80)


class MqttStream:
    """Frames to and from a broker, as a stream.

    Args:
        settings: what `boardtalk boards credentials` printed.
    """

    interrupt_ms = 0

    def __init__(self, settings):
        self.tasks = [self._keep]
        self._settings = settings
        topic = settings["topic"]
        self._topics = [(topic + leaf).encode() for leaf in ("/tx", "/rx", "/status")]
        self._packet = _Packet()  # in place of umqtt's own, which waits
        simple.socket = self._packet  # type: ignore[assignment]
        self._client = client = simple.MQTTClient(
            topic.replace("/", "-").encode(),
            settings["host"],
            settings.get("port", 1883),
            settings["user"].encode(),
            settings["password"].encode(),
            keepalive=_KEEPALIVE_S,
        )
        client.set_last_will(self._topics[_STATUS], b"offline", True, 1)
        client.set_callback(self._take)
        self._address: tuple | None = None
        self._socket: socket.socket | None = None
        self._in = bytearray(_PACKET_BYTES)
        self._view = memoryview(self._in)
        self._filled = 0
        self._rest = b""  # of a packet that found no room
        self._frame = None
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
        if self._first():
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
                size = self._first()
                if not size:
                    if not self._fill(self._socket):
                        return 0
                    continue
                self._frame = None
                self._obey(size)
                self._drop(size)
                if self._frame and len(self._frame) <= _MAX_FRAME_BYTES:
                    return _stuff(self._frame, view)
        except OSError as error:
            self._lose(error)
        return 0

    def write(self, buffer, size):
        """Send a frame as it stands on a line, between zeros; undoes its COBS in place."""
        if not self._socket or self._rest:
            self._flush()
            if not self._socket or self._rest:
                return 0
        at = 1
        while at < size - 1:
            distance = buffer[at]
            buffer[at] = 0
            at += distance
        self._client.publish(self._topics[_TX], memoryview(buffer)[2 : size - 1])
        self._send(self._socket)
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
                connection: socket.socket = await asyncio.wait_for_ms(self._log_in(address), _LOGIN_MS)
                pause = _PAUSE_MS
                self._told = ""
                self._begin(connection)
                await self._stay()
            except (OSError, asyncio.TimeoutError) as error:
                self._tell(error)
            if pause == _MAX_PAUSE_MS:
                self._address = None  # it may have another one now
            await asyncio.sleep_ms(pause + getrandbits(8))
            pause = min(2 * pause, _MAX_PAUSE_MS)

    async def _join(self):
        """Have Wi-Fi, if the settings name one."""
        wifi = self._settings.get("wifi", {})
        if not wifi.get("ssid") or hal.joined():
            return
        hal.join(wifi["ssid"], wifi["password"])
        begun = ticks_ms()
        while not hal.joined():
            if ticks_diff(ticks_ms(), begun) > _WIFI_MS:
                raise OSError("no Wi-Fi %s" % wifi["ssid"])
            await asyncio.sleep_ms(_LOOK_MS)

    def _look_up(self):
        """Waits for the answer, if `host` is a name; by then nothing moves: nobody has renewed a lease."""
        return socket.getaddrinfo(self._settings["host"], self._client.port)[0][-1]

    async def _log_in(self, address):
        connection = socket.socket()
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
            self._filled = 0
            self._rest = b""
            self._say(connection, self._client.connect)
            while not self._first():
                await _readable(connection)
                self._fill(connection)
            if self._in[0] != _CONNACK or self._in[3]:
                raise OSError("the broker refuses the login of boardtalk.json (code %d)" % self._in[3])
            self._drop(self._first())
            self._say(connection, self._client.subscribe, self._topics[_RX])
            self._say(connection, self._client.publish, self._topics[_STATUS], b"online", True)
        except BaseException:
            connection.close()
            raise
        return connection

    def _begin(self, connection):
        self._socket = connection
        self._heard = ticks_ms()
        self._up.set()

    async def _stay(self):
        """Until the connection is lost."""
        pinged = ticks_ms()
        while self._socket:
            await asyncio.sleep_ms(_LOOK_MS)
            now = ticks_ms()
            if self._socket and ticks_diff(now, self._heard) > _DEAD_MS:
                self._lose(OSError("the broker fell silent"))
            elif self._socket and ticks_diff(now, pinged) > _PING_MS and not self._rest:
                pinged = now
                self._say(self._socket, self._client.ping)
            self._flush()

    def _lose(self, error):
        self._tell(error)
        self._up.clear()
        reader = self._reader
        connection = self._socket
        self._socket = None
        if reader:
            reader.cancel()
        if connection:
            connection.close()

    def _tell(self, error):
        text = str(error) or "no answer"
        if text != self._told:
            self._told = text
            print("broker %s: %s" % (self._settings["host"], text))

    # Packets out ------------------------------------------------------------------------------------

    def _say(self, connection, make, *arguments):
        """Send what a method of umqtt makes; answers are seen when they come."""
        try:
            make(*arguments)
        except OSError as error:
            if error.errno != EAGAIN:
                raise
        self._send(connection)

    def _send(self, connection):
        packet = self._packet
        self._rest = bytes(packet.out[: packet.size])
        packet.size = 0
        self._flush(connection)

    def _flush(self, connection=None):
        connection = connection or self._socket
        if not connection or not self._rest:
            return
        try:
            done = connection.write(self._rest) or 0
        except OSError as error:
            if error.errno != EAGAIN:
                self._rest = b""  # reading tells the reason
                return
            done = 0
        self._rest = self._rest[done:]

    # Packets in -------------------------------------------------------------------------------------

    def _fill(self, connection):
        """Read what has come; False: nothing."""
        try:
            count = connection.readinto(self._view[self._filled :])
        except OSError as error:
            if error.errno != EAGAIN:
                raise
            count = None
        if count is None:
            return False
        if not count:
            raise OSError("the broker hung up")
        self._filled += count
        self._heard = ticks_ms()
        return True

    def _first(self):
        """Size of the first packet that has come; 0: it isn't all there."""
        length = 0
        at = 1
        while at < self._filled:
            digit = self._in[at]
            length |= (digit & 0x7F) << 7 * (at - 1)
            at += 1
            if digit < 0x80:
                if at + length > _PACKET_BYTES:
                    raise OSError("a packet of %d bytes" % length)
                return at + length if at + length <= self._filled else 0
        return 0

    def _obey(self, size):
        first = self._in[0]
        if (
            first & _KIND_BITS == _MESSAGE and not first & _DUP_OR_RETAINED
        ):  # a command is never acted on later
            self._packet.come = self._view[:size]
            self._packet.at = 0
            self._client.wait_msg()
        elif first == _SUBACK and self._in[size - 1] == _REFUSED:
            raise OSError("the broker refuses the topic of boardtalk.json")

    def _take(self, topic, frame):
        self._frame = frame

    def _drop(self, size):
        self._filled -= size
        self._in[: self._filled] = self._view[size : size + self._filled]


class _Packet:
    """What umqtt takes for the module `socket` and for its socket: a packet out, and one that has come."""

    def __init__(self):
        self.out = bytearray(_PACKET_BYTES)
        self.size = 0
        self.come = memoryview(b"")
        self.at = 0

    def socket(self):
        return self

    def getaddrinfo(self, host, port):
        return ((None,),)

    def connect(self, address):
        self.come = memoryview(b"")

    def settimeout(self, seconds):
        pass

    def setblocking(self, flag):
        pass

    def write(self, data, count=-1):
        end = self.size + (len(data) if count < 0 else count)
        self.out[self.size : end] = data if count < 0 else data[:count]
        self.size = end

    def read(self, count):
        at = self.at
        if at + count > len(self.come):
            raise OSError(EAGAIN)
        self.at = at + count
        return bytes(self.come[at : at + count])


def _readable(connection):
    yield core._io_queue.queue_read(connection)  # noqa: SLF001 - as asyncio's own streams do


def _writable(connection):
    yield core._io_queue.queue_write(connection)  # noqa: SLF001


def _stuff(frame, view):
    """COBS: each zero becomes the distance to the next one."""
    code = 0
    end = len(frame)
    view[1 : end + 1] = frame
    while True:
        zero = frame.find(b"\0", code)
        if zero < 0:
            break
        view[code] = zero + 1 - code
        code = zero + 1
    view[code] = end + 1 - code
    view[end + 1] = 0
    return end + 2
