"""HTTP for modules, against real servers on loopback that behave well, badly, or not at all."""

from __future__ import annotations

import asyncio
import base64
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from boardtalk.instance.outside.http import Client
from boardtalk.sdk import OutsideError, Timeouts
from boardtalk.sdk.tasks import cancel_and_wait

Handler = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]
FAST = Timeouts(connect=0.3, header=0.2, body=0.2, total=1)


@asynccontextmanager
async def server(handler: Handler) -> AsyncIterator[str]:
    """A server that gives each request to `handler`; its URL."""
    tasks: set[asyncio.Task[Any]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        tasks.add(task)
        try:
            while True:
                request = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    (
                        int(line[15:])
                        for line in request.split(b"\r\n")
                        if line.lower().startswith(b"content-length:")
                    ),
                    0,
                )
                await handler(request + await reader.readexactly(length), writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    finally:
        listening.close()
        await cancel_and_wait(*tasks)


def answer(body: bytes = b"", status: str = "200 OK", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def always(data: bytes) -> Handler:
    async def handler(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(data)

    return handler


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    client = Client()
    yield client
    await client.close()


async def test_an_answer_has_status_headers_and_body(client: Client) -> None:
    async with (
        server(always(answer(b"gr\xc3\xbc\xc3\x9fe", X_Kind="greeting"))) as url,
        client.request(url) as response,
    ):
        assert (response.status, response.headers["x-kind"], response.length) == (200, "greeting", 8 - 1)
        assert await response.text() == "grüße"


async def test_what_is_sent_arrives_as_it_was_given(client: Client) -> None:
    asked: list[bytes] = []

    async def note(request: bytes, writer: asyncio.StreamWriter) -> None:
        asked.append(request)
        writer.write(answer())

    async with server(note) as url:
        async with client.request(url, json={"a": 1}, headers={"X-Mine": "yes"}):
            pass
        async with client.request(f"{url}/put", method="PUT", body="text"):
            pass
        async with client.request(url.replace("//", "//anna:s%40cret@")):
            pass
    first, second, third = asked
    assert first.startswith(b"POST / ")
    assert first.endswith(b'\r\n\r\n{"a":1}')
    assert b"x-mine: yes" in first.lower()
    assert b"content-type: application/json" in first.lower()
    assert second.startswith(b"PUT /put ")
    assert base64.b64encode(b"anna:s@cret") in third


async def test_the_body_comes_in_pieces_whose_progress_is_known(client: Client) -> None:
    go_on = asyncio.Event()

    async def in_two(_: bytes, writer: asyncio.StreamWriter) -> None:
        data = answer(b"x" * 1000)
        writer.write(data[:-500])
        await writer.drain()
        await go_on.wait()
        writer.write(data[-500:])

    async with server(in_two) as url, client.request(url) as response:
        progress = []
        async for _ in response:
            progress.append((response.received, response.length))
            go_on.set()
    assert progress == [(500, 1000), (1000, 1000)]


async def test_chunks_and_compression_are_undone(client: Client) -> None:
    packed = gzip.compress(b"hello " * 100)
    chunked = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Encoding: gzip\r\n\r\n"
        + b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (packed[:10], packed[10:]))
        + b"0\r\n\r\n"
    )
    async with server(always(chunked)) as url, client.request(url) as response:
        assert response.length is None
        assert await response.read() == b"hello " * 100


async def test_what_has_not_changed_is_not_sent_again(client: Client) -> None:
    async def conditional(request: bytes, writer: asyncio.StreamWriter) -> None:
        known = (
            b'if-none-match: "v1"' in request.lower()
            and b"if-modified-since: thu, 01 jan 1970" in request.lower()
        )
        writer.write(answer(status="304 Not Modified") if known else answer(b"new", ETag='"v1"'))

    async with server(conditional) as url:
        async with client.request(url) as response:
            assert (response.not_modified, response.etag) == (False, '"v1"')
        async with client.request(url, etag=response.etag, modified_since=0) as response:
            assert response.not_modified


async def test_json_is_read_and_what_is_none_is_an_error(client: Client) -> None:
    async with server(always(answer(b'{"a": [1]}'))) as url, client.request(url) as response:
        assert await response.json() == {"a": [1]}
    for nonsense in (b"<html>", b"\xff", b'{"a":'):
        async with server(always(answer(nonsense))) as url, client.request(url) as response:
            with pytest.raises(OutsideError, match="answers no JSON"):
                await response.json()


async def test_a_status_that_is_no_success_is_named(client: Client) -> None:
    async with (
        server(always(answer(status="503 Service Unavailable"))) as url,
        client.request(url) as response,
    ):
        with pytest.raises(OutsideError, match="503 Service Unavailable") as refused:
            response.require_ok()
        assert refused.value.status == 503


# What goes wrong ------------------------------------------------------------------------------


async def hang(_: bytes, writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def stall(_: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(answer(b"x" * 100)[:-50])
    await writer.drain()
    await asyncio.Event().wait()


async def drip(_: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(answer(b"x" * 1000)[:-999])
    for _ in range(999):
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.05)


async def vanish(_: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(answer(b"x" * 100)[:-50])
    await writer.drain()
    writer.close()


async def lead_astray(request: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(answer(status="302 Found", Location="/again"))


@pytest.mark.parametrize(
    ("handler", "reason"),
    [
        (hang, r"no answer within 0\.2 s"),
        (stall, r"nothing came for 0\.2 s"),
        (drip, "not done within 1 s"),
        (vanish, "127.0.0.1"),
        (lead_astray, "redirect"),
        (always(b"SSH-2.0-OpenSSH\r\n\r\n"), "127.0.0.1"),
        (always(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"), "127.0.0.1"),
        (always(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 200_000), "127.0.0.1"),
    ],
    ids=[
        "hangs",
        "stalls",
        "drips",
        "vanishes",
        "redirects for ever",
        "another protocol",
        "bad length",
        "long header",
    ],
)
async def test_a_server_that_misbehaves_is_an_error_in_words_and_in_time(
    client: Client, handler: Handler, reason: str
) -> None:
    async with server(handler) as url:
        with pytest.raises(OutsideError, match=reason):
            async with client.request(
                f"{url}/path?key=secret".replace("//", "//anna:hush@", 1), timeouts=FAST
            ) as response:
                await response.read()
        with pytest.raises(OutsideError) as told:
            async with client.request(
                f"{url}/path?key=secret".replace("//", "//anna:hush@", 1), timeouts=FAST
            ) as response:
                await response.read()
    assert "hush" not in str(told.value)
    assert "secret" not in str(told.value)


async def test_nobody_there_is_an_error(client: Client) -> None:
    with pytest.raises(OutsideError, match="127.0.0.1:1"):
        async with client.request("http://127.0.0.1:1/"):
            pass


async def test_an_endless_body_is_cut_off(client: Client) -> None:
    async def endless(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 1000)
            await writer.drain()

    async with server(endless) as url, client.request(url, max_bytes=5000) as response:
        with pytest.raises(OutsideError, match="more than 5000 bytes"):
            await response.read()


@pytest.mark.parametrize(
    "url", ["", "no url", "ftp://host/", "http://", "http://[::1", "http://a\nb/", "file:///etc/passwd"]
)
async def test_what_is_no_url_is_an_error(client: Client, url: str) -> None:
    with pytest.raises(OutsideError):
        async with client.request(url, timeouts=FAST):
            pass


@pytest.mark.parametrize("headers", [{"X": "a\r\nEvil: yes"}, {"X\r\nEvil": "a"}, {"X": "ü\u20ac"}])
async def test_headers_can_t_be_smuggled_in(client: Client, headers: dict[str, str]) -> None:
    asked: list[bytes] = []

    async def note(request: bytes, writer: asyncio.StreamWriter) -> None:
        asked.append(request)
        writer.write(answer())

    async with server(note) as url:
        with pytest.raises(OutsideError):
            async with client.request(url, headers=headers, timeouts=FAST):
                pass
    assert not any(b"\nEvil" in request for request in asked)


async def test_a_login_does_not_follow_to_another_server(client: Client) -> None:
    asked: list[bytes] = []

    async def note(request: bytes, writer: asyncio.StreamWriter) -> None:
        asked.append(request)
        writer.write(answer(b"there"))

    async with server(note) as other:

        async def redirect(_: bytes, writer: asyncio.StreamWriter) -> None:
            writer.write(answer(status="302 Found", Location=f"{other}/x"))

        async with server(redirect) as url, client.request(url.replace("//", "//anna:hush@")) as response:
            assert await response.text() == "there"
    assert b"authorization" not in asked[0].lower()


async def test_a_module_s_own_timeout_stays_its_own(client: Client) -> None:
    async with server(always(answer(b"x"))) as url:
        with pytest.raises(TimeoutError):
            async with client.request(url), asyncio.timeout(0.01):
                await asyncio.Event().wait()


async def test_what_is_cancelled_lets_go_of_its_connection(client: Client) -> None:
    async with server(stall) as url:

        async def ask() -> None:
            async with client.request(url) as response:
                await response.read()

        asking = asyncio.create_task(ask())
        await asyncio.sleep(0.05)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
