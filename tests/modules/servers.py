"""A real HTTP server that answers as a test says: what modules ask services with."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple


class Request(NamedTuple):
    """What the service was asked."""

    path: str
    headers: dict[str, str]
    body: Any


Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


class Service:
    """The server; answers as it is told, and notes what it was asked."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.answers: list[Answer] = []
        """The next ones; the last is repeated."""
        self.open = self.most = 0
        self.tasks: set[asyncio.Task[Any]] = set()
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self.tasks.add(task)
        self.open += 1
        self.most = max(self.most, self.open)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = {name.lower(): value for name, _, value in (each.partition(": ") for each in head[1:])}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            assert head[0].startswith("POST ")
            self.requests.append(Request(head[0].split()[1], headers, json.loads(body)))
            await (self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])(writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open -= 1
            self.tasks.discard(task)
            writer.close()


@asynccontextmanager
async def service(*answers: Answer) -> AsyncIterator[Service]:
    made = Service()
    made.answers = list(answers)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield made
    finally:
        server.close()
        for task in made.tasks:
            task.cancel()


def raw(status: str, body: bytes, *headers: str) -> Answer:
    """An answer in one piece."""

    async def send(writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {status}", "Content-Type: application/json", f"Content-Length: {len(body)}"]
        writer.write("\r\n".join([*lines, *headers, "Connection: close", "", ""]).encode() + body)
        await writer.drain()

    return send


def chunked(body: bytes) -> Answer:
    """An answer in pieces of three bytes, which cut characters in two."""

    async def send(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n")
        for at in range(0, len(body), 3):
            piece = body[at : at + 3]
            writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            await writer.drain()
        writer.write(b"0\r\n\r\n")
        await writer.drain()

    return send


def after(event: asyncio.Event, answer: Answer) -> Answer:
    """An answer that waits for something."""

    async def send(writer: asyncio.StreamWriter) -> None:
        await event.wait()
        await answer(writer)

    return send


async def never(writer: asyncio.StreamWriter) -> None:
    """Headers and half a body, then nothing more until the other side gives up."""
    writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"choi')
    await writer.drain()
    await asyncio.Event().wait()


async def silent(writer: asyncio.StreamWriter) -> None:
    """Nothing at all."""
    await asyncio.Event().wait()


async def asked(server: Service, count: int) -> None:
    """Until the service was asked so often."""
    async with asyncio.timeout(5):
        while len(server.requests) < count:
            await asyncio.sleep(0.005)
