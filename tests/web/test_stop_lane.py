"""The stop button's own lane: what C7 promises of it, as far as that needs no browser."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection

from tests.scenarios.people import Person
from tests.scenarios.rig import GATEWAY, Gateway

from .house import PASSWORD, Browser

PAGE = "-m boardtalk.web {"
STOP = "-m boardtalk.web.stop"


@pytest.fixture(scope="module")
def eve(demo: Gateway) -> Iterator[Browser]:
    """The browser of an admin of the demo."""
    url = re.findall(r"page=(\S+)", demo.ready)[0]
    token = json.loads(demo.cli("page", "--json").out)["link"].partition("#setup=")[2]
    with Browser(url, {}) as browser:
        assert browser.post("/setup", token=token, user="eve", password=PASSWORD).status_code == 200
        yield browser


def button(eve: Browser) -> Any:
    return eve.socket("/stop", eve.get("/me").json()["stop_port"])


async def press(lane: ClientConnection, said: str | bytes = '{"n": 7}') -> dict[str, Any]:
    await lane.send(said)
    async with asyncio.timeout(5):
        answer: dict[str, Any] = json.loads(await lane.recv())
    return answer


def stops_of(user: str, demo: Gateway) -> int:
    """How often a user stopped something, as the link process has it."""
    return len(re.findall(rf"stop.*\b{user}\b", (demo.state / "link.log").read_text()))


def stop_port(demo: Gateway) -> int:
    """Where the stop process listens, as its command line says."""
    return int(re.findall(r'"stop_port":(\d+)', demo.process(STOP).command)[0])


@contextmanager
def frozen(demo: Gateway, word: str) -> Iterator[None]:
    pid = demo.process(word).pid
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def test_c07_the_button_stops_a_motion(demo: Gateway, alice: Person, eve: Browser) -> None:
    async with button(eve) as lane:
        motion = await asyncio.to_thread(alice.begin, "forward 500")
        answer = await press(lane, '{"robot": "rover", "n": 7}')
    assert (answer["n"], answer["confirmed"]) == (7, True)
    assert answer["robots"][0]["board"] == "rover"
    assert re.fullmatch(
        r"rover stopped, confirmed in \d+ ms; `rover: rearm` lets it move again", answer["text"]
    )
    assert (await asyncio.to_thread(alice.outcome, motion)).state in {"cancelled", "failed"}


@pytest.mark.parametrize("word", [GATEWAY, PAGE], ids=["gateway", "page process"])
async def test_c07_it_stops_while_others_stand_still(
    demo: Gateway,
    alice: Person,
    eve: Browser,
    word: str,
) -> None:
    async with button(eve) as open_before:
        motion = await asyncio.to_thread(alice.begin, "forward 500")
        with frozen(demo, word):
            assert (await press(open_before))["confirmed"]
            async with eve.socket("/stop", stop_port(demo)) as new:
                assert (await press(new))["confirmed"]
    assert (await asyncio.to_thread(alice.outcome, motion)).state in {"cancelled", "failed"}


async def test_c07_the_link_process_notes_who_pressed_it(demo: Gateway, eve: Browser) -> None:
    with frozen(demo, GATEWAY):
        async with eve.socket("/stop", stop_port(demo)) as lane:
            await press(lane)
    assert stops_of("eve", demo)


@pytest.mark.parametrize(
    "said",
    ["", "stop", "{", '{"robot": 7}', '{"robot": "nobody"}', b"\xff\x00", "[" * 4000],
    ids=["nothing", "a word", "cut short", "a number", "nobody", "bytes", "deep"],
)
async def test_c07_whatever_else_it_says_stops_all(
    demo: Gateway,
    eve: Browser,
    said: str | bytes,
) -> None:
    async with button(eve) as lane:
        answer = await press(lane, said)
    assert (answer["n"], answer["confirmed"]) == (0, True)
    assert [each["board"] for each in answer["robots"]] == ["rover"]


async def test_c07_who_hammers_at_the_button_is_heard_to_the_last(demo: Gateway, eve: Browser) -> None:
    answers: dict[int, dict[str, Any]] = {}
    async with button(eve) as lane:
        for number in range(60):
            await lane.send(json.dumps({"n": number}))
        async with asyncio.timeout(10):
            while 59 not in answers:
                answer = json.loads(await lane.recv())
                answers[answer["n"]] = answer
    assert {0, 1} < set(answers)
    assert all(each["confirmed"] for each in answers.values()), answers


async def test_s03_who_may_not_log_in_any_more_today_may_still_stop(demo: Gateway, eve: Browser) -> None:
    with Browser(eve.origin, {}) as guesser:
        codes = [guesser.log_in("eve", f"guess {number}").status_code for number in range(6)]
    assert codes[-1] == 429
    async with button(eve) as lane:
        assert (await press(lane))["confirmed"]


async def test_a_stop_that_can_not_be_carried_out_is_told(demo: Gateway, eve: Browser) -> None:
    door, aside = demo.state / "link.sock", demo.state / "aside.sock"
    async with button(eve) as lane:
        door.rename(aside)
        try:
            answer = await press(lane)
        finally:
            aside.rename(door)
    assert not answer["confirmed"]
    assert answer["text"].startswith("STOP NOT CARRIED OUT")
    assert "hardware stop" in answer["text"]


async def test_s11_the_button_names_no_robot_that_one_may_not_see(demo: Gateway, eve: Browser) -> None:
    """It counts them: whoever stops has to know whether all of them stand."""
    rules = demo.state / "conf.d" / "rights.conf"
    rules.parent.mkdir()
    demo.token("vic", "viewer")
    assert demo.cli("user", "passwd", "vic", stdin=f"{PASSWORD}\n").code == 0
    with Browser(eve.origin, {}) as vic:
        assert vic.log_in("vic").status_code == 200
        for roles, text, names in (
            ("no", r"1 other stopped, confirmed in \d+ ms", []),
            ("yes", r"rover stopped, .*", ["rover"]),
        ):
            rules.write_text(f"policy {{\n    roles = {roles}\n}}\n")
            assert demo.cli("reload").code == 0
            async with button(vic) as lane:
                answer = await press(lane)
            assert re.fullmatch(text, answer["text"])
            assert [each["board"] for each in answer["robots"]] == names
            assert answer["confirmed"]
    rules.unlink()
