"""Connections of modules: TCP, TLS with and without proof, WebSocket."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection, serve

from boardtalk.instance.outside import sockets, websocket
from boardtalk.sdk import OutsideError


async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Says each line again, in capitals, until `bye`."""
    try:
        while (line := await reader.readline()) and line != b"bye\n":
            writer.write(line.upper())
            await writer.drain()
    except (ConnectionError, ValueError):
        pass
    finally:
        writer.close()


@asynccontextmanager
async def listening(encrypted: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    async with await asyncio.start_server(shout, "127.0.0.1", 0, ssl=encrypted) as server:
        yield server.sockets[0].getsockname()[1]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """A server's, signed by nobody that anybody trusts."""
    folder: Path = tmp_path_factory.mktemp("tls")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "2",
         "-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


async def test_what_is_said_is_answered_until_the_server_hangs_up() -> None:
    async with listening() as port, sockets.connect(f"tcp://127.0.0.1:{port}") as connection:
        await connection.send("one\n")
        await connection.send(b"two\nbye\n")
        assert (
            b"".join([bytes(piece) async for piece in connection if isinstance(piece, bytes)])
            == b"ONE\nTWO\n"
        )


async def test_a_connection_that_has_ended_takes_no_more() -> None:
    async with listening() as port, sockets.connect(f"tcp://127.0.0.1:{port}") as connection:
        await connection.send("bye\n")
        assert [piece async for piece in connection] == []
        with pytest.raises(OutsideError, match="has ended"):
            for _ in range(100):
                await connection.send(b"x" * 100_000)
                await asyncio.sleep(0.001)


async def test_a_server_that_can_t_prove_who_it_is_is_refused_unless_that_is_allowed(
    certificate: ssl.SSLContext,
) -> None:
    async with listening(certificate) as port:
        with pytest.raises(OutsideError, match="(?i)certificate"):
            async with sockets.connect(f"tls://127.0.0.1:{port}"):
                pass
        async with sockets.connect(f"tls://127.0.0.1:{port}", verify=False) as connection:
            await connection.send("hush\n")
            assert await anext(aiter(connection)) == b"HUSH\n"


async def test_a_server_that_does_not_speak_tls_is_an_error() -> None:
    async with listening() as port:
        with pytest.raises(OutsideError, match=f"tls://127.0.0.1:{port}"):
            async with sockets.connect(f"tls://127.0.0.1:{port}", within=0.5):
                pass


@asynccontextmanager
async def web() -> AsyncIterator[str]:
    async def talk(connection: ServerConnection) -> None:
        async for message in connection:
            if message == "bye":
                return
            if message == "die":
                connection.transport.abort()
                return
            await connection.send(message)

    async with serve(talk, "127.0.0.1", 0) as server:
        yield f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}/path"


async def test_a_web_socket_carries_text_as_text_and_bytes_as_bytes() -> None:
    async with web() as url, websocket.connect(url) as connection:
        for message in ("grüße", b"\x00\xff", "x" * 100_000, "bye"):
            await connection.send(message)
        assert [message async for message in connection] == ["grüße", b"\x00\xff", "x" * 100_000]


async def test_a_web_socket_that_breaks_off_is_an_error() -> None:
    async with web() as url, websocket.connect(url) as connection:
        await connection.send("die")
        with pytest.raises(OutsideError, match="broke"):
            async for _ in connection:
                pass
        with pytest.raises(OutsideError, match="has ended"):
            await connection.send("x")


@pytest.mark.parametrize(
    "url",
    ["", "tcp://127.0.0.1", "tcp://:1", "http://127.0.0.1:1", "tcp://127.0.0.1:x", "tcp://[::1", "nonsense"],
)
async def test_what_can_t_be_connected_to_is_an_error(url: str) -> None:
    with pytest.raises(OutsideError):
        async with sockets.connect(url):
            pass


@pytest.mark.parametrize("connect", [sockets.connect, websocket.connect])
async def test_nobody_there_is_an_error_without_the_login(connect) -> None:
    scheme = "tcp" if connect is sockets.connect else "ws"
    with pytest.raises(OutsideError, match="127.0.0.1:1") as told:
        async with connect(f"{scheme}://anna:hush@127.0.0.1:1/?key=secret"):
            pass
    assert "hush" not in str(told.value)
    assert "secret" not in str(told.value)


async def test_a_web_server_that_says_no_is_an_error() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(OutsideError, match="403"):
            async with websocket.connect(f"ws://127.0.0.1:{port}/"):
                pass
