"""Who does not read what he gets is cut off, others do not notice, and he gets it all when he is back."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from itertools import count
from pathlib import Path

import pytest

from boardtalk.sdk.mqtt import packets
from tests.scenarios.rig import free_port

from .figures import note, quantile, spread
from .load import Echo
from .rig import Desk, Rig

CUT_S = 10.0
"""Promised: so long after he stopped reading."""
SLACK_S = 3.0
"""Until what the system buffers is full: that was handed over, for all that anybody can tell."""
TOLD_S = 0.1
"""As long may 99 % of others' messages take, whatever he does."""
CALM_S = 3.0
LETTER = "x" * 20_000
LETTERS_PER_S = 100
AFTER_S = 0.5
"""So long he is written to when he is gone, too: of these letters, none has been handed over."""
TALK_PER_S = 50
CONF = """\
broker embedded {{
    port = {port}
}}
user bob {{
}}
user carol {{
}}
user dora {{
}}
"""


@asynccontextmanager
async def at_local_door(rig: Rig, port: int) -> AsyncIterator[None]:
    """Bob, who is at `control.sock` and reads nothing."""
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(str(rig.state / "control.sock"))
        line.sendall(json.dumps({"op": "login", "user": "bob"}).encode() + b"\n")
        yield


@asynccontextmanager
async def at_broker(rig: Rig, port: int) -> AsyncIterator[None]:
    """Bob, whose MQTT client subscribes and then reads nothing: its window is shut."""
    async with rig.desk() as desk:
        token = (await desk.ask(op="user", action="token", address="bob"))["token"]
    async with asyncio.timeout(20):
        while (line := let_in(port, token)) is None:  # the broker has to hear of it first
            await asyncio.sleep(0.1)
    with line:
        line.sendall(packets.subscribe(1, [("chat/bob/in", 1)]))
        yield


def let_in(port: int, token: str) -> socket.socket | None:
    """Connect as an MQTT client; None if the login is refused."""
    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    line.connect(("127.0.0.1", port))
    line.sendall(packets.connect("slow", "bob", token, 60))
    if line.recv(4)[3:] == b"\0":
        return line
    line.close()
    return None


@pytest.mark.timeout(120)
@pytest.mark.parametrize("where", [pytest.param(at_local_door, marks=pytest.mark.contract), at_broker])
async def test_c17_who_reads_nothing_is_cut_off_within_10_s_and_others_do_not_notice(
    tmp_path: Path, where: Callable[[Rig, int], AbstractAsyncContextManager[None]]
) -> None:
    echo, port = Echo(), free_port()
    async with (
        Rig(tmp_path, {}, CONF.format(port=port)) as rig,
        rig.desk("alice") as alice,
        rig.desk("carol"),
        rig.desk("dora") as dora,
        echo.measured(),
    ):
        began = time.monotonic()
        calm = await talk(alice, lambda: time.monotonic() > began + CALM_S)
        before, letters = resident_mb(rig.gateway), list[int]()
        async with where(rig, port):
            await alice.wait(lambda: alice.online.get("bob"), "bob is there")
            began = time.monotonic()
            writing = asyncio.create_task(write(dora, letters))
            times = await talk(alice, lambda: not alice.online["bob"] or time.monotonic() > began + 2 * CUT_S)
            took = time.monotonic() - began
            grown = resident_mb(rig.gateway) - before
            await asyncio.sleep(AFTER_S)
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
            await dora.wait(lambda: len(dora.states) == letters[-1] + 1, "all letters are accepted")
            kept = [name for name in dora.states if dora.state(name) != "done"]
        async with rig.desk("bob") as bob:
            last = f"{letters[-1]} {LETTER}"
            await bob.wait(lambda: bob.bodies[-1:] == [last], f"{len(letters)} letters", 30)
        numbers = [int(body.split()[0]) for body in bob.bodies]
    assert numbers == letters[numbers[0] :], "in order, without a gap"
    assert len(numbers) >= len(kept), "and nothing is missing that was not handed over"
    name = where.__name__.replace("_", " ")
    note("C17", f"one who reads nothing, {name}: cut off", f"after {took:.1f} s, memory +{grown:.0f} MB")
    note("C17", f"others meanwhile, {name}", f"{spread(times)}, before {spread(calm)}")
    assert took <= CUT_S + SLACK_S
    echo.judge([quantile(times, 0.99)], TOLD_S, "99 % of others' messages")


async def talk(alice: Desk, over: Callable[[], bool]) -> list[float]:
    """How long alice's messages to carol take, one after the other."""
    times = []
    while not over():
        began = time.monotonic()
        assert await alice.do("carol", "hello") == "done"
        times.append(time.monotonic() - began)
        await asyncio.sleep(1 / TALK_PER_S)
    return times


async def write(dora: Desk, letters: list[int]) -> None:
    """Write letters to bob, at a steady rate, however he is."""
    for number in count():
        dora.say("bob", f"{number} {LETTER}", str(number))
        letters.append(number)
        await asyncio.sleep(1 / LETTERS_PER_S)


def resident_mb(pid: int) -> float:
    """Memory of a process that is in RAM."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024
