"""What a native module asks of its helpers: HTTP, FastCGI, sockets, threads, JSON."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from websockets.asyncio.server import ServerConnection, serve

from boardtalk.testing import Bench

from .conftest import Workshop, answers, ask, server, until

PUPPET = "address = puppet\nnetwork = yes\nverbosity = 1\non_fail = drop"
"""With `drop`, nothing goes past it while its process waits for a busy processor."""


@pytest.fixture
async def puppet(workshop: Workshop) -> AsyncIterator[Bench]:
    async with workshop.run("puppet", PUPPET) as gateway:
        yield gateway


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"


async def test_a_chatbot_asks_a_service_and_answers(puppet: Bench, capfd: pytest.CaptureFixture[str]) -> None:
    told: list[bytes] = []
    pieces = (
        chunk(b'{"result": [{"fulfill'),
        chunk(b'mentText": "caf\\u00e9 \\"open\\""}'),
        chunk(b"]}"),
        b"0\r\n\r\n",
    )
    async with server(answers(CHUNKED, *pieces, pause=0.05, told=told)) as port:
        answer = await ask(puppet, f'post http://127.0.0.1:{port}/v2/ask {{"q": 1}}')
    assert answer == '0 200 100 café "open"'
    [asked] = told
    assert asked.startswith(b"POST /v2/ask HTTP/1.1\r\n")
    assert asked.endswith(b'\r\n\r\n{"q": 1}'), "what the module has freed meanwhile was copied"
    for header in (
        b"x-puppet: yes",
        b"x-more: too",
        b"content-type: application/json",
        b"user-agent: puppet",
    ):
        assert header in asked.lower()
    assert "type application/json" in capfd.readouterr().out


async def test_a_slow_service_is_given_up_a_broken_one_told_once(puppet: Bench) -> None:
    begun = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly the beginning"
    async with server(answers(begun, pause=0.0)) as port:
        assert await ask(puppet, f"get http://127.0.0.1:{port}/") == "-1 200 0 "
    async with server(answers(b"", pause=5)) as port:
        assert await ask(puppet, f"get http://127.0.0.1:{port}/") == "-1 0 0 "
    assert await ask(puppet, "get http://127.0.0.1:1/") == "-1 0 0 "
    assert await ask(puppet, "get no-url") == "-1 0 0 "
    assert await ask(puppet, "never http://127.0.0.1:1/") == "-1 0 0 "
    async with server(answers(b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy")) as port:
        assert await ask(puppet, f"get http://127.0.0.1:{port}/") == "0 503 100 busy"
    async with server(answers(b"HTTP/1.1 204 Nothing\r\n\r\n")) as port:
        assert await ask(puppet, f"get http://127.0.0.1:{port}/") == "0 204 100 "


async def test_a_hundred_are_under_way_at_once_also_of_one_callback(puppet: Bench) -> None:
    assert await ask(puppet, "flood") == "100 of 120"


async def test_a_module_that_can_t_take_more_ends_the_transfer(puppet: Bench) -> None:
    async with server(answers(b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n", b"x" * 200_000)) as port:
        assert (await ask(puppet, f"get http://127.0.0.1:{port}/")).startswith("-1 200 ")


async def test_the_http_of_the_first_release_tells_its_one_callback_of_a_failure_too(
    workshop: Workshop, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = workshop.make("layout", "-DSIZE=176", folder="layout176")
    told: list[bytes] = []
    said = ""

    def logged(line: str) -> bool:
        nonlocal said
        said += capfd.readouterr().out
        return line in said

    answer = answers(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", told=told)
    async with (
        server(answer) as port,
        workshop.run("layout", "network = yes\na = 1\nb = 2", folder) as gateway,
    ):
        gateway.say("bob", "carol", f"http://127.0.0.1:{port}/")
        await until(lambda: logged("got 100: ok"))
        gateway.say("bob", "carol", "http://127.0.0.1:1/")
        await until(lambda: logged("got -1: "))
    assert told[0].startswith(b"POST / ")
    assert told[0].endswith(b"\r\n\r\nq=1")


async def test_without_network_it_is_refused_and_says_so(
    workshop: Workshop, capfd: pytest.CaptureFixture[str]
) -> None:
    async with workshop.run("puppet", "address = puppet") as gateway:
        assert await ask(gateway, "get http://127.0.0.1:1/") == "-1 0 0 "
    assert "`network = yes` in `module puppet` grants it" in capfd.readouterr().out


async def test_it_talks_over_tcp(puppet: Bench) -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100):
            writer.write(data)

    async with server(echo) as port:
        assert await ask(puppet, f"talk sock://127.0.0.1:{port}") == "connected"
        await puppet.hears("bob", "closed 0, 2 written, got hello there")
    await ask_until_closed(puppet, "talk sock://127.0.0.1:1", "closed -1, 0 written")


async def test_it_talks_over_a_websocket_and_hears_what_of_its_request_is_not_used(
    puppet: Bench, capfd: pytest.CaptureFixture[str]
) -> None:
    async def echo(connection: ServerConnection) -> None:
        async for message in connection:
            assert isinstance(message, str)
            await connection.send(message)

    async with serve(echo, "127.0.0.1", 0) as made:
        port = next(iter(made.sockets)).getsockname()[1]
        assert await ask(puppet, f"talk ws://127.0.0.1:{port}/") == "connected"
        await puppet.hears("bob", "closed 0, 2 written, got hello there")
    said = capfd.readouterr().out
    assert all(f"{name} of a socket is not used" in said for name in ("ws_protocol", "ssl_ctx"))


async def ask_until_closed(gateway: Bench, text: str, pattern: str) -> None:
    gateway.say("bob", "puppet", text)
    await gateway.hears("bob", pattern)


def record(kind: int, content: bytes) -> bytes:
    return bytes([1, kind, 0, 1, *len(content).to_bytes(2, "big"), 3, 0]) + content + b"\0\0\0"


async def test_it_runs_scripts_by_fastcgi(puppet: Bench) -> None:
    told: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = b""
        while not asked.endswith(b"\1\5\0\1\0\0\0\0"):  # the end of what the script reads
            asked += await reader.read(1000)
        told.append(asked)
        writer.write(record(7, b"a warning") + record(6, b"Content-Type: text/plain\r\n\r\nfor"))
        writer.write(record(6, b"ty-two") + record(3, bytes(8)))

    async with server(script) as port:
        assert await ask(puppet, f"script {port}") == "script 0: forty-two"
    [asked] = told
    assert b"\x04\x03USERbob" in asked
    assert b"SCRIPT_FILENAME/srv/answer.php" in asked
    assert b"CONTENT_LENGTH5" in asked
    assert b"\1\5\0\1\0\5\0\0what?" in asked
    assert await ask(puppet, "script 1") == "script -1: "


async def test_its_threads_send_and_log(puppet: Bench) -> None:
    assert await ask(puppet, "threads") == "threads are done"
    assert [each.body for each in puppet.inbox("bob")].count("from a thread") == 200


async def test_a_thread_that_goes_on_does_not_hold_up_its_end(workshop: Workshop) -> None:
    async with workshop.run("puppet", PUPPET) as gateway:
        assert await ask(gateway, "linger") == "it lingers"
        assert await gateway.apply() == ["puppet: removed"]


JSON = {
    '{"name":"apple", "game" : "ball"}': "apple",
    '{"a": [{"b": {"name": "deep"}}]}': "deep",
    r'{"name": "two\nlines \u00e4\ud83d\ude00 \"x\" \\"}': 'two\nlines ä😀 "x" \\',
    '{"x": "name", "name": 12.5}': "12.5",
    '{"name": [1, {"y": "]"}], "z": 1}': '[1, {"y": "]"}]',
    '{"name": {"y": 2} }': '{"y": 2}',
    '{"name": true}': "true",
    '{"name": null}': "nothing",
    '{"nam": 1}': "nothing",
    '{"name": "cut': "nothing",
    '{"name": 1': "nothing",
    '{"name"': "nothing",
    r'{"name": "\u12\uqqqq\ud83d"}': "?12?qqqq\ufffd",
    "": "nothing",
}


async def test_values_are_found_in_json(puppet: Bench) -> None:
    assert {source: await ask(puppet, f"json name {source}") for source in JSON} == JSON
    assert await ask(puppet, 'json name [{"name": "one"}, {"name": "two"}]') == "one"
    await puppet.hears("bob", "^two$")
