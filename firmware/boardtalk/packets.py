"""MQTT packets, made and read by umqtt.simple, in buffers made once.

umqtt works on a socket and waits for it; here it gets one that is made of these buffers.
"""

from errno import EAGAIN

from micropython import const
from umqtt import simple

_PACKET_BYTES = const(400)  # longest: the login, or a frame with its topic
_KEEPALIVE_S = const(15)
_TX, _RX, _STATUS = const(0), const(1), const(2)
_MESSAGE = const(0x30)
_CONNACK = const(0x20)
_SUBACK = const(0x90)
_KIND_BITS = const(0xF0)
_DUP_OR_RETAINED = const(9)
_REFUSED = const(0x80)


class Packets:
    """A board's conversation with a broker, without I/O."""

    def __init__(self, settings):
        topic = settings["topic"]
        self._topics = [(topic + leaf).encode() for leaf in ("/tx", "/rx", "/status")]
        self.rest = b""
        """What is to be sent."""
        self._out = bytearray(_PACKET_BYTES)
        self._size = 0
        self._in = bytearray(_PACKET_BYTES)
        self._view = memoryview(self._in)
        self._filled = 0
        self._come = self._view  # what umqtt may read
        self._at = 0
        self._frame = None
        simple.socket = self  # type: ignore[assignment]
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

    # Out: each call leaves a packet in `rest` ------------------------------------------------------

    def login(self):
        """Begin a connection."""
        self._filled = 0
        self._make(self._client.connect)

    def subscribe(self):
        """Ask for what is sent to this board."""
        self._make(self._client.subscribe, self._topics[_RX])

    def online(self):
        """Say that this board is there; the last will says that it is not."""
        self._make(self._client.publish, self._topics[_STATUS], b"online", True)

    def ping(self):
        """Ask whether the broker is there."""
        self._make(self._client.ping)

    def frame(self, frame):
        """Say something to the gateway."""
        self._make(self._client.publish, self._topics[_TX], frame)

    def _make(self, make, *arguments):
        self._size = 0
        self._come = self._view[:0]  # answers come later
        self._at = 0
        try:
            make(*arguments)
        except OSError as error:
            if error.errno != EAGAIN:
                raise
        self.rest = bytes(self._out[: self._size])

    # In ---------------------------------------------------------------------------------------------

    def room(self):
        """Where to put what comes next."""
        return self._view[self._filled :]

    def came(self, count):
        """So many bytes were put there."""
        self._filled += count

    def first(self):
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

    def welcome(self):
        """See that the first packet is the answer to the login."""
        if self._in[0] != _CONNACK or self._in[3]:
            raise OSError("the broker refuses the login of boardtalk.json (code %d)" % self._in[3])
        self._drop(self.first())

    def take(self, size):
        """Take the first packet; returns the frame in it, or None.

        A message that the broker has kept, or repeats, is of another time and not acted on.
        """
        first = self._in[0]
        self._frame = None
        if first & _KIND_BITS == _MESSAGE and not first & _DUP_OR_RETAINED:
            self._come = self._view[:size]
            self._at = 0
            self._client.wait_msg()
        elif first == _SUBACK and self._in[size - 1] == _REFUSED:
            raise OSError("the broker refuses the topic of boardtalk.json")
        self._drop(size)
        return self._frame

    def _take(self, topic, frame):
        self._frame = frame

    def _drop(self, size):
        self._filled -= size
        self._in[: self._filled] = self._view[size : size + self._filled]

    # What umqtt takes for the module `socket`, and for a socket ---------------------------------------

    def socket(self):
        """Itself."""
        return self

    def getaddrinfo(self, host, port):
        """Nothing is looked up here."""
        return ((None,),)

    def connect(self, address):
        """It was connected before."""

    def settimeout(self, seconds):
        """It never waits."""

    def setblocking(self, flag):
        """It never waits."""

    def write(self, data, count=-1):
        """Add to the packet that goes out."""
        end = self._size + (len(data) if count < 0 else count)
        self._out[self._size : end] = data if count < 0 else data[:count]
        self._size = end

    def read(self, count):
        """Take from the packet that has come."""
        at = self._at
        if at + count > len(self._come):
            raise OSError(EAGAIN)
        self._at = at + count
        return bytes(self._come[at : at + count])
