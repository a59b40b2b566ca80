"""Commands while everything dies: each is executed at most once, each has an end, and the end is true.

The oracle is the board's own word: the robot tells its world each number that it executes, through
all resets. A sender, who repeats with the same id what he knows no end of, is told of one end each.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from boardtalk.hil.board import EmulatedBoard
from boardtalk.hil.faults import Faults
from boardtalk.hil.line import FaultyLine

from .figures import note, spread
from .rig import ROBOTS, TERMINAL, Desk, Rig, insist, seeded

WINDOW = 8
"""Commands that the sender lets be under way."""
BETWEEN = 4
"""Commands that are done between two harms of a kind: else there would be nothing to ruin."""
TTL_S = 10.0
"""Of an action."""
GRACE_S = 2.0
"""Promised: so much later every command has an end (C5)."""
READY_S = 5.0
"""Promised after kill -9 (C14)."""
LOSSES = Faults(lose=0.02, lose_acks=0.05, corrupt=0.01, duplicate=0.01, reorder=0.01)


@dataclass
class Sender:
    """Sends numbered commands through whatever gateway there is, each until it knows the end."""

    rig: Rig
    random: random.Random
    ends: dict[int, str] = field(default_factory=dict)
    details: dict[int, str] = field(default_factory=dict)
    accepted: set[int] = field(default_factory=set)
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
                    self.details[number] = desk.details[str(number)]
                    self.done += states[-1] == "done"
                    open_.remove(number)

    def _say(self, desk: Desk, number: int) -> None:
        desk.say("bot", f"work {number} 30" if number % 3 == 0 else f"mark {number}", str(number))


@dataclass
class Saboteur:
    """Kills and resets at random moments, each kind so many times, all at the same time."""

    rig: Rig
    random: random.Random
    sender: Sender
    fired: Counter[str] = field(default_factory=Counter)
    ready_s: list[float] = field(default_factory=list)

    async def run(self, kills: int, resets: int) -> None:
        """Do so much harm; at the end all parts are back."""
        async with asyncio.TaskGroup() as harm:
            harm.create_task(self._often("gateway", kills // 2, self._kill_gateway))
            harm.create_task(self._often("link process", kills - kills // 2, self._kill_link))
            harm.create_task(self._often("board", resets, self.rig.boards["bot"].reset))

    async def _often(self, what: str, times: int, harm: Callable[[], Awaitable[object]]) -> None:
        while self.fired[what] < times:
            before = self.sender.done
            while self.sender.done < before + BETWEEN:
                await asyncio.sleep(0.01)
            await asyncio.sleep(self.random.uniform(0, 0.1))
            self.fired[what] += await harm() is not False

    async def _kill_gateway(self) -> None:
        await self.rig.kill()
        self.ready_s.append(await self.rig.start())

    async def _kill_link(self) -> bool:
        return self.rig.kill_link()


def judge(sender: Sender, rig: Rig) -> Counter[str]:
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
    return Counter(sender.ends.values())


async def campaign(folder: Path, kills: int, resets: int, faults: Faults) -> None:
    chance = seeded()
    line = FaultyLine(chance.randrange(1 << 32), faults, split=True)
    async with Rig(folder, {"bot": EmulatedBoard(ROBOTS / "ledger", line=line)}) as rig:
        await rig.ready()
        sender = Sender(rig, chance)
        saboteur = Saboteur(rig, chance, sender)
        sending = asyncio.create_task(sender.run())
        await saboteur.run(kills, resets)
        async with rig.desk() as desk:
            await insist(desk, "bot", "ping")
        sender.wanted = False
        back = time.monotonic()
        async with asyncio.timeout(60):
            await sending
        took = time.monotonic() - back
        ends = judge(sender, rig)
    print(f"faults {dict(saboteur.fired)} {dict(line.fired)}; ends {dict(ends)}")
    assert saboteur.fired == {"gateway": kills // 2, "link process": kills - kills // 2, "board": resets}
    assert all(line.fired[name] for name in ("lose", "corrupt", "duplicate", "reorder", "split"))
    assert ends["done"] > 2 * (kills + resets), "it works most of the time"
    assert took < TTL_S + GRACE_S
    what = f"{kills} kills, {resets} resets, losses on the line"
    note("C2", what, f"{sender.sent} commands, {ends['done']} done, 0 lost, 0 executed twice")
    note("C5", what, f"{dict(ends)}, all within {took:.1f} s after all parts were back; 0 stuck")
    note("C6", what, f"{ends['unknown']} unknown, none sent again")
    note("C14", "ready after kill -9", spread(saboteur.ready_s))


SHORT = pytest.param(40, 40, id="short", marks=pytest.mark.timeout(240))
LONG = pytest.param(1000, 200, id="long", marks=[pytest.mark.soak, pytest.mark.timeout(7200)])


@pytest.mark.parametrize(("kills", "resets"), [SHORT, LONG])
async def test_c02_c05_c06_kills_resets_and_losses_execute_nothing_twice_and_leave_nothing_open(
    tmp_path: Path, kills: int, resets: int
) -> None:
    await campaign(tmp_path, kills, resets, LOSSES)
