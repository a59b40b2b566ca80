"""The manifest of an update: what its files are, and whether it may be trusted."""

import sys
from binascii import hexlify, unhexlify
from errno import ENOENT
from hashlib import sha256

import slots
from micropython import const

from boardtalk import hal

_KEY = "/ota.key"
_PUBLIC = "/ota.pub"
_OWN = (b"board", b"release", b"rsa", b"mac")
_FORMAT = b"boardtalk-ota 1\n"
_LOADER = ("boot", "slots")
_MAX_PATH = const(64)


class Manifest:
    """Lines of text in a file: board, release, version, `file SIZE DIGEST PATH`; their HMAC at the end."""

    def __init__(self, path):
        self._path = path

    async def check(self, before):
        """See that it is whole, signed, for this board, and newer than `before`. Raises ValueError."""
        first = last = b""
        for last in self._lines(b""):
            first = first or last
        if first != _FORMAT or not last.startswith(b"mac "):
            raise ValueError("the manifest is not whole, or of another format")
        if not same(last[4:-1], hexlify(mac(self._but((b"mac",))))):
            raise ValueError("the manifest is not signed with this board's key")
        if self._fact(b"board ") != hal.uid().encode():
            raise ValueError("the manifest is for another board")
        floor = slots.load()[-1]
        if self.release() <= floor:
            raise ValueError("release %d is not newer than %d, which was here" % (self.release(), floor))
        for size, _, path in self.files():
            if size < 0 or not _is_safe(path):
                raise ValueError("the path %r is not allowed" % path)
        await self._check_signature(before)

    async def _check_signature(self, before):
        """If the board has a public key: see that the release is signed with it, and not before the other."""
        try:
            with open(_PUBLIC) as file:
                modulus = int(file.read(), 16)
        except OSError as error:
            if error.errno == ENOENT:
                return
            raise
        import ota_rsa  # what it needs is there as long as it is needed

        del sys.modules["ota_rsa"]
        digest = sha256()
        for line in self._but(_OWN):
            digest.update(line)
        signature = int(self._fact(b"rsa ").decode() or "0", 16)
        if not await ota_rsa.is_signed(digest.digest(), signature, modulus):
            raise ValueError("the release is not signed with the key that this board asks for")
        if self.signed() < before.signed():
            raise ValueError("the release was signed before the one that runs")

    def files(self):
        """Size, digest in hex, and path of each file."""
        for line in self._lines(b"file "):
            _, size, digest, path = line[:-1].split(b" ", 3)
            yield int(size), digest, path.decode()

    def release(self):
        """Its number: each release of a board has a higher one."""
        return int(self._fact(b"release ") or 0)

    def signed(self):
        """When it was signed, Unix time; 0: it is not."""
        return int(self._fact(b"signed ") or 0)

    def version(self):
        """What people call it; b"": there is no manifest."""
        return self._fact(b"version ")

    def _fact(self, name):
        try:
            for line in self._lines(name):
                return line[len(name) : -1]
        except OSError:
            pass  # there is no manifest
        return b""

    def _but(self, names):
        """The lines that do not begin with these words."""
        for line in self._lines(b""):
            if line.split(b" ", 1)[0] not in names:
                yield line

    def _lines(self, start):
        with open(self._path, "rb") as file:
            while line := file.readline():
                if line.startswith(start):
                    yield line


def mac(pieces):
    """HMAC-SHA256 of bytes in pieces, with this board's key. Raises ValueError: it has none."""
    try:
        with open(_KEY) as file:
            key = unhexlify(file.read().strip()) + bytes(32)
    except OSError:
        raise ValueError("the board has no key: boardtalk ota install") from None
    inner = sha256(bytes(byte ^ 0x36 for byte in key))
    for piece in pieces:
        inner.update(piece)
    outer = sha256(bytes(byte ^ 0x5C for byte in key))
    outer.update(inner.digest())
    return outer.digest()


def same(one, other):
    """Whether bytes are equal; it takes the same time wherever they differ."""
    different = len(one) ^ len(other)
    for a, b in zip(one, other):
        different |= a ^ b
    return not different


def _is_safe(path):
    """Whether a path stays in its slot, and hides none of the files that an update relies on."""
    parts = path.split("/")
    stem = parts[0].split(".")[0].lower()
    if len(path.encode()) > _MAX_PATH or stem in _LOADER or stem.startswith("ota"):
        return False
    for part in parts:
        if part in ("", ".", ".."):
            return False
        for char in part:
            if char < " " or char in '\\:*?"<>|':
                return False
    return True
