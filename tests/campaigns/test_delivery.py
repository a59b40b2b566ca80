"""Commands while everything dies: each is executed at most once, each has an end, and the end is true.

The oracle is the board's own word: the robot tells its world each number that it executes, through
all resets. A sender, who repeats with the same id what he knows no end of, is told of one end each.
Only a board that was reset meanwhile excuses that an end is unknown.
"""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from boardtalk.hil.board import EmulatedBoard
from boardtalk.hil.faults import Faults
from boardtalk.hil.line import FaultyLine

from .figures import counted, note, spread
from .rig import ROBOTS, TERMINAL, Desk, Rig, insist, seeded

WINDOW = 8
"""Commands that the sender lets be under way."""
BETWEEN = 4
"""Commands that are done between two harms of a kind: else there would be nothing to ruin."""
TTL_S = 10.0
"""Of an action."""
GRACE_S = 2.0
"""Promised: so much later every command has an end (C5)."""
KILLED = ("the gateway", "the link process", "both of them")
LOSSES = Faults(lose=0.02, lose_acks=0.05, corrupt=0.01, duplicate=0.01, reorder=0.01)


@dataclass
class Sender:
    """Sends numbered commands through whatever gateway there is, each until it knows the end."""

    rig: Rig
    random: random.Random
    ends: dict[int, str] = field(default_factory=dict)
    details: dict[int, str] = field(default_factory=dict)
    accepted: set[int] = field(default_factory=set)
    said_at: dict[int, float] = field(default_factory=dict)
    """Monotonic seconds; likewise the next."""
    ended_at: dict[int, float] = field(default_factory=dict)
    sent: int = 0
    done: int = 0
    wanted: bool = True
    """Whether more commands are to be sent."""

    async def run(self) -> None:
        """Go on until all that was sent has an end."""
        while self.wanted or len(self.ends) < self.sent:
            try:
                async with self.rig.desk() as desk:
                    await self._talk(desk)
            except (ConnectionError, FileNotFoundError, AssertionError):
                await asyncio.sleep(0.05)

    async def _talk(self, desk: Desk) -> None:
        open_ = [number for number in range(1, self.sent + 1) if number not in self.ends]
        for number in open_:
            self._say(desk, number)
        while desk.open and (self.wanted or open_):
            if self.wanted and len(open_) < WINDOW:
                self.sent += 1
                open_.append(self.sent)
                self._say(desk, self.sent)
            await asyncio.sleep(self.random.uniform(0.002, 0.02))
            for number in list(open_):
                states = desk.states.get(str(number), [])
                if "accepted" in states:
                    self.accepted.add(number)
                if states and states[-1] in TERMINAL:
                    self.ends[number] = states[-1]
                    self.ended_at[number] = time.monotonic()
                    self.details[number] = desk.details[str(number)]
                    self.done += states[-1] == "done"
                    open_.remove(number)

    def was_under_way(self, number: int, times: Sequence[tuple[float, float]]) -> bool:
        """Whether a command was, at one of these times."""
        said, ended = self.said_at[number], self.ended_at[number]
        return any(begin < ended and said < end for begin, end in times)

    def _say(self, desk: Desk, number: int) -> None:
        self.said_at.setdefault(number, time.monotonic())
        desk.say(
            "bot", f"work {number} {number * 37 % 150}" if number % 3 == 0 else f"mark {number}", str(number)
        )


@dataclass
class Saboteur:
    """Kills and resets at random moments, each kind so many times, all at the same time."""

    rig: Rig
    random: random.Random
    sender: Sender
    fired: Counter[str] = field(default_factory=Counter)
    ready_s: list[float] = field(default_factory=list)
    at: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    """When which harm was done: its begin and its end, monotonic seconds."""
    gateway: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def run(self, kills: int, resets: int) -> None:
        """Do so much harm; at the end all parts are back."""
        deaths = dict(zip(KILLED, (self._kill_gateway, self._kill_link, self._kill_both), strict=True))
        async with asyncio.TaskGroup() as harm:
            for what, times in zip(KILLED, (kills // 3, kills // 3, kills - 2 * (kills // 3)), strict=True):
                harm.create_task(self._often(what, times, deaths[what]))
            harm.create_task(self._often("board", resets, self.rig.boards["bot"].reset))

    async def _often(self, what: str, times: int, harm: Callable[[], Awaitable[object]]) -> None:
        done = 0
        while done < times:
            before = self.sender.done
            while self.sender.done < before + BETWEEN:
                await asyncio.sleep(0.01)
            await asyncio.sleep(self.random.uniform(0, 0.1))
            began = time.monotonic()
            if await harm() is not False:
                done += 1
                self.fired[what] += 1
                self.at.setdefault(what, []).append((began, time.monotonic()))

    async def _kill_gateway(self) -> None:
        async with self.gateway:
            await self.rig.kill()
            self.ready_s.append(await self.rig.start())

    async def _kill_link(self) -> bool:
        return self.rig.kill_link()

    async def _kill_both(self) -> bool:
        async with self.gateway:
            killed = self.rig.kill_link()
            await self.rig.kill()
            self.ready_s.append(await self.rig.start())
        return killed


def judge(sender: Sender, rig: Rig, resets: Sequence[tuple[float, float]]) -> Counter[str]:
    """See that each command has an end, and that it is true; how many ended how."""
    executed = Counter(record.state["mark"] for record in rig.boards["bot"].outputs if "mark" in record.state)
    twice = [number for number, times in executed.items() if times > 1]
    assert not twice, f"executed twice: {twice}"
    assert set(sender.ends) == set(range(1, sender.sent + 1)), "some have no end"
    lies = {
        number: (end, executed[number], sender.details[number])
        for number, end in sender.ends.items()
        if (end == "done" and not executed[number]) or (end in {"expired", "rejected"} and executed[number])
    }
    assert not lies, f"told, executed, why: {lies}"
    needless = {
        number: (
            sender.said_at[number],
            sender.ended_at[number],
            sender.details[number],
            max((window for window in resets if window[0] < sender.said_at[number]), default=None),
        )
        for number, end in sender.ends.items()
        if end == "unknown" and not sender.was_under_way(number, resets)
    }
    assert not needless, f"unknown, but the board was not reset meanwhile: {needless}"
    return Counter(sender.ends.values())


def restarts(saboteur: Saboteur, rig: Rig) -> list[tuple[float, float]]:
    """From when until when the board was reset, and nobody may have noticed: until it did something again."""
    records = rig.boards["bot"].outputs
    starts = [record.at for record in records if "starts" in record.state]
    deeds = [record.at for record in records if "mark" in record.state]
    found = [(began, next(at for at in starts if at > began)) for began, _ in saboteur.at["board"]]
    alone = set(starts[1:]) - {started for _, started in found}
    assert not alone, "the board restarted by itself"
    return [(began, next(at for at in deeds if at > started)) for began, started in found]


async def campaign(folder: Path, kills: int, resets: int, faults: Faults) -> None:
    chance = seeded()
    line = FaultyLine(chance.randrange(1 << 32), faults, split=True)
    board = EmulatedBoard(ROBOTS / "ledger", line=line)
    async with Rig(folder, {"bot": board}) as rig:
        await rig.ready()
        sender = Sender(rig, chance)
        saboteur = Saboteur(rig, chance, sender)
        async with asyncio.TaskGroup() as tasks:
            sending = tasks.create_task(sender.run())
            for share, boots in ((kills // 2, resets), (kills - kills // 2, 0)):
                await saboteur.run(share, boots)
            async with rig.desk() as desk:
                await insist(desk, "bot", "ping")
            sender.wanted = False
            back = time.monotonic()
            async with asyncio.timeout(60):
                await sending
        took = time.monotonic() - back
        restarted = restarts(saboteur, rig)
        ends = judge(sender, rig, restarted)
    print(f"faults {dict(saboteur.fired)} {dict(line.fired)}; ends {dict(ends)}")
    reasons = Counter(
        (end, re.sub(r"\d+", "N", sender.details[number])) for number, end in sender.ends.items()
    )
    print(*(f"{count} {end}: {why}" for (end, why), count in reasons.most_common()), sep="\n")
    assert saboteur.fired["board"] == resets
    assert saboteur.fired.total() == kills + resets
    survived = {}
    for what in KILLED:
        deaths = [(begin, begin) for begin, _ in saboteur.at[what]]
        survived[what] = Counter(
            end
            for number, end in sender.ends.items()
            if sender.was_under_way(number, deaths) and not sender.was_under_way(number, restarted)
        )
        assert survived[what].total() >= kills // 4, f"too few were under way: {survived}"
        assert not survived[what]["unknown"]
    assert all(line.fired[name] for name in ("lose", "lose_acks", "corrupt", "duplicate", "reorder", "split"))
    assert ends["done"] > 2 * (kills + resets), "it works most of the time"
    assert took < TTL_S + GRACE_S
    what = f"{kills} kills, {resets} resets, losses on the line"
    note("C2", what, f"{sender.sent} commands, {ends['done']} done, 0 lost, 0 executed twice")
    for killed, found in survived.items():
        verb = "were" if killed == "both of them" else "was"
        note(
            "C2",
            f"under way when {killed} {verb} killed, the board not reset",
            f"{counted(found)}; 0 unknown",
        )
    note("C5", what, f"{counted(ends)}, all within {took:.1f} s after all parts were back; 0 stuck")
    note("C6", what, f"{ends['unknown']} unknown, none sent again")
    note("C14", "ready after kill -9", spread(saboteur.ready_s))


SHORT = pytest.param(40, 40, id="short", marks=pytest.mark.timeout(240))
LONG = pytest.param(1000, 200, id="long", marks=[pytest.mark.soak, pytest.mark.timeout(7200)])


@pytest.mark.parametrize(("kills", "resets"), [SHORT, LONG])
async def test_c02_c05_c06_kills_resets_and_losses_execute_nothing_twice_and_leave_nothing_open(
    tmp_path: Path, kills: int, resets: int
) -> None:
    await campaign(tmp_path, kills, resets, LOSSES)
