"""The stop process by itself: it needs a file and a socket, and neither gateway nor page process."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from boardtalk.page.settings import PageSettings
from boardtalk.web.roll import IDLE_S, LIFE_S, Roll
from boardtalk.web.sessions import Sessions
from boardtalk.web.stop import MAX_BUTTONS


class SilentLink:
    """A stand-in for the link process that takes stops and never answers, as for boards that hang."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[list[str]] = asyncio.Queue()

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            self.heard.put_nowait(json.loads(line)["boards"])
        writer.close()

    async def next(self, within: float = 1.0) -> list[str]:
        async with asyncio.timeout(within):
            return await self.heard.get()


@asynccontextmanager
async def lane(folder: Path) -> AsyncIterator[tuple[SilentLink, str, str]]:
    """A stop process; the stand-in that it talks to, its address, and the cookie of somebody who may."""
    (folder / "secrets").mkdir()
    session = Sessions(folder / "secrets").open("eve", "viewer", "stamp", "127.0.0.1", "")
    link = SilentLink()
    server = await asyncio.start_unix_server(link.take, folder / "link.sock")
    with socket.create_server(("127.0.0.1", 0)) as door:
        settings = PageSettings(
            state=str(folder), fd=door.fileno(), port=8080, stop_port=door.getsockname()[1], host="127.0.0.1"
        )
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "boardtalk.web.stop", msgspec.json.encode(settings).decode(),
            pass_fds=(door.fileno(),),
        )  # fmt: skip
        try:
            yield link, f"ws://127.0.0.1:{settings.stop_port}/stop", f"{settings.cookie}={session}"
        finally:
            process.terminate()
            await process.wait()
            server.close()


def button(url: str, cookie: str) -> connect:
    return connect(url, origin="http://127.0.0.1:8080", additional_headers={"Cookie": cookie}, proxy=None)


async def press(open_: ClientConnection, robot: str, *numbers: int) -> None:
    for n in numbers:
        await open_.send(json.dumps({"robot": robot, "n": n}))


async def test_c07_a_robot_that_does_not_answer_holds_up_no_other(tmp_path: Path) -> None:
    async with lane(tmp_path) as (link, url, cookie), button(url, cookie) as open_:
        await press(open_, "rover", 1, 2, 3, 4)
        assert [await link.next(), await link.next()] == [["rover"], ["rover"]]
        await press(open_, "arm", 5)
        assert await link.next() == ["arm"]
        await press(open_, "", 6)
        assert await link.next() == []
        await press(open_, "a", 7)
        await press(open_, "b", 8)
        assert [await link.next(), await link.next()] == [["a"], []], "the fifth target: all of them"
        assert await link.next(within=5) == ["rover"], "the last that was said follows"
        answer = json.loads(await open_.recv())
    assert (answer["n"], answer["confirmed"]) == (1, False)
    assert "hardware stop" in answer["text"]


async def test_who_has_very_many_buttons_open_loses_his_oldest(tmp_path: Path) -> None:
    async with lane(tmp_path) as (link, url, cookie), AsyncExitStack() as stack:
        first = await stack.enter_async_context(button(url, cookie))
        for _ in range(MAX_BUTTONS):
            last = await stack.enter_async_context(button(url, cookie))
        async with asyncio.timeout(10):
            await first.wait_closed()
        await press(last, "rover", 1)
        assert await link.next() == ["rover"]


async def test_who_is_not_in_the_file_stops_nothing(tmp_path: Path) -> None:
    async with lane(tmp_path) as (link, url, cookie):
        for wrong in (
            "",
            "boardtalk-8080=",
            "boardtalk-8080=x",
            cookie.replace("8080", "8081"),
            f"{cookie}x",
        ):
            with pytest.raises(InvalidStatus) as refused:
                await button(url, wrong)
            assert refused.value.response.status_code == 401, wrong
        async with button(url, f"boardtalk-8080=planted; {cookie}") as open_:
            await press(open_, "rover", 1)
            assert await link.next() == ["rover"]


def test_what_can_not_be_read_any_more_still_counts(tmp_path: Path) -> None:
    session = Sessions(tmp_path).open("eve", "viewer", "stamp", "127.0.0.1", "")
    roll, file = Roll(tmp_path), tmp_path / "sessions.json"
    assert roll.user(roll.member(session)) == "eve"
    file.write_bytes(b"damaged")
    (tmp_path / "sessions.json.copy").write_bytes(b"damaged too")
    assert roll.user(roll.member(session)) == "eve"
    file.unlink()
    assert roll.user(roll.member(session)) == "eve"
    assert file.with_name("sessions.json.copy").read_bytes() == b"damaged too", "it sets nothing aside"


def test_s04_sessions_end_by_themselves(tmp_path: Path) -> None:
    now = 1_800_000_000.0
    sessions, roll = Sessions(tmp_path, lambda: now), Roll(tmp_path, lambda: now)
    session = sessions.open("eve", "viewer", "stamp", "127.0.0.1", "")
    begun = now
    while now < begun + LIFE_S - IDLE_S:  # it is used, and so lasts …
        now += IDLE_S - 1
        assert sessions.find(session)
        assert roll.member(session)
    now = begun + LIFE_S  # … but not for ever
    assert not roll.member(session)
    assert sessions.find(session) is None
    idle = sessions.open("eve", "viewer", "stamp", "127.0.0.1", "")
    now += IDLE_S
    assert not roll.member(idle)
    assert sessions.find(idle) is None


def test_s04_who_was_removed_while_he_logged_in_does_not_stay(tmp_path: Path) -> None:
    sessions = Sessions(tmp_path)
    sessions.stamps = {"bob": "stamp"}
    late, fine = (sessions.open(user, "viewer", "stamp", "127.0.0.1", "") for user in ("eve", "bob"))
    sessions.sweep()
    assert (sessions.find(late), bool(sessions.find(fine))) == (None, True)


def test_a_page_that_is_open_for_weeks_counts_as_used_for_the_stop_process_too(tmp_path: Path) -> None:
    now = 1_800_000_000.0
    sessions, roll = Sessions(tmp_path, lambda: now), Roll(tmp_path, lambda: now)
    session_id = sessions.open("eve", "viewer", "stamp", "127.0.0.1", "")
    session = sessions.find(session_id)
    assert session
    session.sockets = 1
    for _ in range(20):
        now += 86400
        sessions.sweep()
    assert roll.user(roll.member(session_id)) == "eve"


def test_s04_a_user_has_twenty_sessions_at_most(tmp_path: Path) -> None:
    now = 0.0
    sessions = Sessions(tmp_path, lambda: now)
    other = sessions.open("bob", "viewer", "stamp", "127.0.0.1", "")
    ids = []
    for _ in range(21):
        now += 1
        ids.append(sessions.open("eve", "viewer", "stamp", "127.0.0.1", ""))
    assert [bool(sessions.find(each)) for each in ids] == [False] + [True] * 20
    assert sessions.find(other)
