"""FastCGI: the records of one request, and of its answer."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from boardtalk.sdk import OutsideError

if TYPE_CHECKING:
    from collections.abc import Mapping

HEADER: Final = struct.Struct(">BBHHBx")
VERSION: Final = 1
REQUEST: Final = 1
BEGIN, END, PARAMS, STDIN, STDOUT = 1, 3, 4, 5, 6
RESPONDER: Final = struct.pack(">HB5x", 1, 0)
MOST: Final = 0xFFFF
"""Bytes in one record."""
MAX_ANSWER_BYTES: Final = 16 << 20

PARAMETERS: Final = (
    "USER",
    "SCRIPT_FILENAME",
    "QUERY_STRING",
    "CONTENT_TYPE",
    "SCRIPT_NAME",
    "REQUEST_URI",
    "DOCUMENT_URI",
    "DOCUMENT_ROOT",
    "SERVER_PROTOCOL",
    "REQUEST_SCHEME",
    "REMOTE_ADDR",
    "REMOTE_PORT",
    "SERVER_ADDR",
    "SERVER_PORT",
    "SERVER_NAME",
    "HTTP_HOST",
    "HTTP_CONNECTION",
    "HTTP_CACHE_CONTROL",
    "HTTP_UPGRADE_INSECURE_REQUESTS",
    "HTTP_USER_AGENT",
    "HTTP_ACCEPT",
    "HTTP_ACCEPT_ENCODING",
    "HTTP_ACCEPT_LANGUAGE",
)
"""In the order of the structure of the C API."""


def request(parameters: Mapping[str, bytes], body: bytes) -> bytes:
    """All records of a request."""
    named = {
        "GATEWAY_INTERFACE": b"CGI/1.1",
        "REQUEST_METHOD": b"POST" if body else b"GET",
        "CONTENT_LENGTH": str(len(body)).encode(),
        **parameters,
    }
    pairs = b"".join(
        _length(len(name)) + _length(len(value)) + name.encode() + value for name, value in named.items()
    )
    return _record(BEGIN, RESPONDER) + _stream(PARAMS, pairs) + _stream(STDIN, body)


class Answer:
    """What comes back, piece by piece."""

    def __init__(self) -> None:
        self._unread = b""
        self._printed = b""
        self.complete = False

    def take(self, data: bytes) -> None:
        """Read some more of it.

        Raises:
            OutsideError: it is no FastCGI, or too long.
        """
        self._unread += data
        while len(self._unread) >= HEADER.size and not self.complete:
            version, kind, _, length, padding = HEADER.unpack_from(self._unread)
            if version != VERSION:
                raise OutsideError("the server does not speak FastCGI")
            end = HEADER.size + length
            if len(self._unread) < end + padding:
                return
            content, self._unread = self._unread[HEADER.size : end], self._unread[end + padding :]
            self.complete = kind == END
            if kind == STDOUT:
                self._printed += content
            if len(self._printed) > MAX_ANSWER_BYTES:
                raise OutsideError(f"the server answers more than {MAX_ANSWER_BYTES} bytes")

    @property
    def body(self) -> bytes:
        """What the script printed, without its headers."""
        for blank in (b"\r\n\r\n", b"\n\n"):
            head, found, body = self._printed.partition(blank)
            if found and b":" in head:
                return body
        return self._printed


def _length(count: int) -> bytes:
    return bytes([count]) if count < 128 else struct.pack(">I", count | 1 << 31)


def _record(kind: int, content: bytes) -> bytes:
    return HEADER.pack(VERSION, kind, REQUEST, len(content), 0) + content


def _stream(kind: int, content: bytes) -> bytes:
    pieces = [content[start : start + MOST] for start in range(0, len(content), MOST)]
    return b"".join(_record(kind, piece) for piece in (*pieces, b""))
