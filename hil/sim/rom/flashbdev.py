"""The flash of an emulated board: a folder, or a file with LittleFS in it."""

import vfs

BLOCK_BYTES = 4096


def volume(path, power=None):
    """What is mounted as /. `power` is the board's, which may be cut."""
    if not path.endswith(".lfs"):
        return vfs.VfsPosix(path)
    flash = Flash(path, power)
    try:
        return vfs.VfsLfs2(flash)
    except OSError:  # it is empty
        vfs.VfsLfs2.mkfs(flash)
        return vfs.VfsLfs2(flash)


class Flash:
    """A block device that loses its power in the middle of a write, if so wanted."""

    def __init__(self, path, power):
        self._power = power
        self._file = open(path, "r+b", 0)
        self._erased = b"\xff" * BLOCK_BYTES
        self._count = self._file.seek(0, 2) // BLOCK_BYTES

    def readblocks(self, block, data, offset=0):
        self._file.seek(block * BLOCK_BYTES + offset)
        self._file.readinto(data)

    def writeblocks(self, block, data, offset=0):
        self._file.seek(block * BLOCK_BYTES + offset)
        powered = self._power.flash(len(data)) if self._power else len(data)
        self._file.write(data, powered)
        if powered < len(data):
            self._power.halt("off")

    def ioctl(self, request, argument):
        if request == 4:
            return self._count
        if request == 5:
            return BLOCK_BYTES
        if request == 6:
            self.writeblocks(argument, self._erased)
        return 0
