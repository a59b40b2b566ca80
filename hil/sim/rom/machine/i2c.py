"""The I2C bus: its devices are 256 registers each, which the test reads and sets.

The first byte that is written is the number of a register; what follows goes there and behind.
"""

from errno import EIO

from machine import wires
from machine.wires import registers


class I2C:
    """A bus. All buses of a board are the same one."""

    def __init__(self, id=-1, scl=None, sda=None, *, freq=400_000, timeout=50_000):
        self._pointers = {}

    def init(self, *arguments, **settings):
        pass

    def deinit(self):
        pass

    def scan(self):
        return [address for address in range(8, 120) if registers[wires.DEVICES + address]]

    def writeto(self, addr, buf, stop=True):
        base = self._base(addr)
        for count, byte in enumerate(buf):
            if count == 0:
                self._pointers[addr] = byte
            else:
                registers[base + self._next(addr)] = byte
        return len(buf) + 1

    def writevto(self, addr, vector, stop=True):
        return self.writeto(addr, b"".join(vector), stop)

    def readfrom_into(self, addr, buf, stop=True):
        base = self._base(addr)
        for count in range(len(buf)):
            buf[count] = registers[base + self._next(addr)]

    def readfrom(self, addr, nbytes, stop=True):
        buf = bytearray(nbytes)
        self.readfrom_into(addr, buf)
        return bytes(buf)

    def writeto_mem(self, addr, memaddr, buf, *, addrsize=8):
        self.writeto(addr, bytes([memaddr]) + buf)

    def readfrom_mem_into(self, addr, memaddr, buf, *, addrsize=8):
        self.writeto(addr, bytes([memaddr]))
        self.readfrom_into(addr, buf)

    def readfrom_mem(self, addr, memaddr, nbytes, *, addrsize=8):
        self.writeto(addr, bytes([memaddr]))
        return self.readfrom(addr, nbytes)

    def _base(self, addr):
        if not 0 <= addr < 128 or not registers[wires.DEVICES + addr]:
            raise OSError(EIO)
        return wires.DEVICE_REGISTERS + addr * 256

    def _next(self, addr):
        pointer = self._pointers.get(addr, 0)
        self._pointers[addr] = (pointer + 1) & 0xFF
        return pointer


SoftI2C = I2C
