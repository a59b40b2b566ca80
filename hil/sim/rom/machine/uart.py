"""Serial ports: each leads to a pseudo-terminal that the test opens."""

import io
import select

from machine import wires


class UART(io.IOBase):
    """A port, by its number. Speed and format make no difference."""

    INV_TX = 1
    INV_RX = 2

    def __init__(self, id, baudrate=115_200, *arguments, **settings):
        if not 0 <= id < len(wires.UARTS):
            raise ValueError("UART(%d) doesn't exist" % id)
        self._descriptor = wires.UARTS[id]
        self._file = open(self._descriptor, "r+b", 0)
        self._poll = select.poll()
        self._poll.register(self._file, select.POLLIN)
        self.write = self._file.write
        self.init(baudrate, *arguments, **settings)

    def init(self, baudrate=115_200, *arguments, timeout=0, timeout_char=0, **settings):
        self._timeout = timeout
        self._between = timeout_char

    def deinit(self):
        pass

    def any(self):
        """Whether there is something, 1 or 0, which is all that `any` promises."""
        return len(self._poll.poll(0))

    def read(self, nbytes=1 << 16):
        data = b""
        wait = self._timeout
        while len(data) < nbytes and self._poll.poll(wait):
            data += self._file.read(nbytes - len(data)) or b""
            wait = self._between
        return data or None

    def readinto(self, buf, nbytes=1 << 16):
        data = self.read(min(nbytes, len(buf)))
        if not data:
            return None
        buf[: len(data)] = data
        return len(data)

    def readline(self):
        data = b""
        while not data.endswith(b"\n") and self._poll.poll(self._timeout):
            data += self._file.read(1)
        return data or None

    def flush(self):
        pass

    def txdone(self):
        return True

    def ioctl(self, request, argument):
        return self._descriptor if request == wires.GET_FILENO else 0
