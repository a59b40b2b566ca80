"""The files of the slot that an update goes into."""

import asyncio
import os
from binascii import crc32, hexlify
from hashlib import sha256

from micropython import const

_BLOCK_BYTES = const(512)
_SPARE_BLOCKS = const(4)
_FOLDER = const(0x4000)


class Slot:
    """A folder that a release is put together in, while the release in another one runs.

    What takes its time lets other tasks run in between: a stop does not wait for it.
    """

    def __init__(self, folder, running):
        self._folder = folder + "/"
        self._running = running + "/"
        self._view = memoryview(bytearray(_BLOCK_BYTES))
        self._crc = 0

    def open(self, path, offset):
        """Open a file to go on with it, or anew. Raises ValueError: the board has another part of it."""
        path = self._folder + path
        if offset not in (0, _size(path)):
            raise ValueError("the board has another part of %s" % path)
        _make_folders(path)
        return open(path, "ab" if offset else "wb")

    def clear(self, files):
        """Remove what a release does not have. Raises ValueError: there is no room for the rest."""
        _make_folders(self._folder)
        _clear(self._folder, {path for _, _, path in files()})
        _, block, _, free = os.statvfs(self._folder)[:4]
        needed = _SPARE_BLOCKS
        for size, _, path in files():
            have = min(size, max(0, _size(self._folder + path)))
            needed += -(-size // block) - -(-have // block)
        if needed > free:
            raise ValueError("it needs %d bytes, and %d are free" % (needed * block, free * block))

    async def has(self, size, digest, path):
        """Whether a file is there, and right."""
        return await self._is(self._folder + path, size, digest)

    async def gather(self, size, digest, path):
        """How much of a file is here, and its CRC; taken from the running slot, if that has it."""
        ours = self._folder + path
        theirs = self._running + path
        if size and await self._is(ours, size, digest):
            return size, 0
        if not size or await self._is(theirs, size, digest):
            _make_folders(ours)
            with open(ours, "wb") as file:
                if size:
                    await self._each(theirs, file.write)
            return size, 0
        have = _size(ours)
        if not 0 < have < size:
            return 0, 0
        self._crc = 0
        await self._each(ours, self._add_crc)
        return have, self._crc

    async def _is(self, path, size, digest):
        if _size(path) != size:
            return False
        hash_ = sha256()
        await self._each(path, hash_.update)
        return hexlify(hash_.digest()) == digest

    def _add_crc(self, piece):
        self._crc = crc32(piece, self._crc)

    async def _each(self, path, use):
        with open(path, "rb") as file:
            while count := file.readinto(self._view):
                use(self._view[:count])
                await asyncio.sleep_ms(0)


def _size(path):
    """Of a file; -1: there is none."""
    try:
        return os.stat(path)[6]
    except OSError:
        return -1


def _make_folders(path):
    at = path.find("/", 1)
    while at > 0:
        try:
            os.mkdir(path[:at])
        except OSError:
            pass  # it is there
        at = path.find("/", at + 1)


def _clear(folder, wanted, inside=""):
    for entry in list(os.ilistdir(folder[:-1])):
        path = inside + entry[0]
        if entry[1] == _FOLDER:
            _clear(folder + entry[0] + "/", wanted, path + "/")
            try:
                os.rmdir(folder + entry[0])
            except OSError:
                pass  # some files in it stay
        elif path not in wanted:
            os.remove(folder + entry[0])
