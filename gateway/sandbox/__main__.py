"""Starts the process of an isolated module: ``python -m boardtalk.sandbox [REQUESTS ASKS]``.

On standard input comes a `Begin`. Without the numbers of two sockets, the module is only described, on
standard output.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys

import msgspec

from boardtalk.sandbox import jail
from boardtalk.sandbox.api import Begin
from boardtalk.sandbox.child import describe, serve


def main() -> None:
    """Lock up, then work."""
    begin = msgspec.json.decode(sys.stdin.buffer.read(), type=Begin)
    sockets = [socket.socket(fileno=int(each)) for each in sys.argv[1:]]
    answers = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what the module prints is no answer
    missing = jail.enter(begin.jail)
    if sockets:
        requests, asks = sockets
        asyncio.run(serve(begin, requests, asks))
        return
    with os.fdopen(answers, "wb") as file:
        file.write(msgspec.json.encode(describe(begin, missing)))


if __name__ == "__main__":
    main()
