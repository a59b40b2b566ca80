"""Strangers who only occupy: connections that never ask to the end, and passwords by the dozen."""

from __future__ import annotations

import asyncio
import re
import resource
import select
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from boardtalk.web import door
from boardtalk.web.door import MAX_WAITING, Door

from .house import Browser, House

CROWD = 600
"""More than the page's server serves at once."""
HALF = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "


@pytest.fixture(autouse=True)
def _enough_files() -> Iterator[None]:
    """For the crowd's ends of its connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextmanager
def crowd(port: int, source: str = "127.0.0.1") -> Iterator[list[socket.socket]]:
    """Many who ask half a question."""
    with ExitStack() as stack:
        members = []
        for _ in range(CROWD):
            each = socket.create_connection(("127.0.0.1", port), timeout=10, source_address=(source, 0))
            members.append(stack.enter_context(each))
            each.sendall(HALF)
        yield members


def left(members: list[socket.socket]) -> int:
    """How many have not been hung up on."""
    poll = select.poll()
    for each in members:
        poll.register(each, select.POLLRDHUP)
    return len(members) - len(poll.poll(0))


@pytest.mark.parametrize("source", ["127.0.0.1", "127.0.0.2"], ids=["from here", "from elsewhere"])
async def test_a_crowd_that_never_asks_to_the_end_keeps_nobody_out(
    house: House, eve: Browser, source: str
) -> None:
    page, stop = eve.base_url.port, eve.get("/me").json()["stop_port"]
    async with eve.socket() as before, eve.socket("/stop", stop) as lane:
        await before.send('{"op": "hello"}')
        with crowd(page or 0, source) as slow, crowd(stop, source) as slow_too:
            assert house.browser().log_in("eve").status_code == 200
            async with eve.socket() as socket_, eve.socket("/stop", stop) as button, asyncio.timeout(10):
                await socket_.send('{"op": "hello"}')
                assert '"welcome"' in str(await socket_.recv())
                await button.send('{"n": 7}')
                assert '"n":7' in str(await button.recv())
            assert left(slow) <= MAX_WAITING
            assert left(slow_too) <= MAX_WAITING
        async with asyncio.timeout(10):  # who was served all the time was not hung up on
            assert '"welcome"' in str(await before.recv())
            await lane.send('{"n": 8}')
            assert '"n":8' in str(await lane.recv())


def test_who_does_not_ask_in_time_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    with Door(socket.create_server(("127.0.0.1", 0)).detach()) as entrance:
        one, other = (socket.create_connection(entrance.getsockname()) for _ in range(2))
        with one, other:
            (near, client), (other_near, _) = entrance.accept(), entrance.accept()
            with near, other_near, entrance.served(client):
                monkeypatch.setattr(door, "ASK_WITHIN_S", 0)
                entrance.sweep()
                assert other.recv(1) == b""
                with pytest.raises(BlockingIOError):
                    one.recv(1, socket.MSG_DONTWAIT)


def test_what_passwords_take_does_not_stay(house: House) -> None:
    def resident_mb() -> int:
        return int(re.findall(r"VmRSS:\s+(\d+)", Path(f"/proc/{house.pid}/status").read_text())[0]) // 1024

    before = resident_mb()
    with ThreadPoolExecutor(4) as others:
        assert {each.status_code for each in others.map(lambda browser: browser.log_in("eve"),
                [house.browser() for _ in range(4)])} == {200}  # fmt: skip
    assert resident_mb() < before + 12, "scrypt takes 16 MB for each"


def test_a_head_without_end_is_refused(house: House, eve: Browser) -> None:
    with socket.create_connection(("127.0.0.1", eve.base_url.port or 0), timeout=10) as slow:
        slow.sendall(HALF + 20_000 * b"x")
        assert slow.recv(100).startswith(b"HTTP/1.1 400")
