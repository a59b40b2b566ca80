"""The SPI bus: its pin selects a device, which hears what is sent and says what the test lets it say."""

from struct import pack_into, unpack_from

from machine import wires
from machine.wires import registers


class SPI:
    """A bus. All buses of a board are the same one; speed and format make no difference."""

    CONTROLLER = 0
    MASTER = 0
    MSB = 0
    LSB = 1

    def __init__(self, id=-1, baudrate=1_000_000, **settings):
        pass

    def init(self, baudrate=1_000_000, **settings):
        pass

    def deinit(self):
        pass

    def write(self, buf):
        self.write_readinto(buf, bytearray(len(buf)))

    def read(self, nbytes, write=0):
        buf = bytearray(nbytes)
        self.readinto(buf, write)
        return bytes(buf)

    def readinto(self, buf, write=0):
        self.write_readinto(bytes([write]) * len(buf), buf)

    def write_readinto(self, write_buf, read_buf):
        if len(write_buf) != len(read_buf):
            raise ValueError("buffers must be the same length")
        device = self._selected()
        for at, byte in enumerate(write_buf):
            read_buf[at] = self._clock(device, byte) if device else 0xFF

    def _selected(self):
        """Where the device is whose pin is low; 0: there is none, and nothing drives the line."""
        for pin in range(wires.PINS):
            device = wires.SELECTED + pin * wires.SELECTED_BYTES
            if registers[device] and wires.is_low(pin):
                return device
        return 0

    def _clock(self, device, byte):
        """One byte each way; what is more than it holds is lost."""
        (count,) = unpack_from("<H", registers, device + wires.SHIFTED)
        if count == wires.SHIFTED_MOST:
            return 0xFF
        registers[device + wires.HEARD + count] = byte
        pack_into("<H", registers, device + wires.SHIFTED, count + 1)
        return registers[device + wires.SAYS + count]


SoftSPI = SPI
