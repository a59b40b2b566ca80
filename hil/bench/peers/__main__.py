"""`python -m boardtalk.hil.bench.peers PYTHON`: see the package."""

from __future__ import annotations

import asyncio
import platform
import random
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final

import msgspec
from rich.console import Console
from rich.table import Table

from boardtalk.modules.filter import Filter
from boardtalk.sdk import PASS, Flag, Message, Module, Verdict
from boardtalk.testing import bench

if TYPE_CHECKING:
    from collections.abc import Sequence

MESSAGES: Final = 10_000
RUNS: Final = 5
WORDS: Final = 1_000
"""That are blocked."""
BLOCKED_SHARE: Final = 0.1
"""Of the messages, those with a blocked word."""
AT_ONCE: Final = 100
"""Messages that are said before the others have their turn."""
PATIENCE_S: Final = 60.0


class Work(msgspec.Struct):
    """What both sides do."""

    texts: list[str]
    blocked: list[str]


class Peer(msgspec.Struct):
    """What the other side reports."""

    name: str
    version: str
    rates: dict[str, float]


class Pass(Module):
    """Passes everything on."""

    name = "pass"

    def on_message(self, message: Message) -> Verdict:
        """Pass it on."""
        return PASS


def work() -> Work:
    """Texts of eight words, some with a blocked one; always the same."""
    source = random.Random(1)  # noqa: S311 - no secret
    words = ["".join(source.choices("abcdefghijklmnopqrstuvwxyz", k=8)) for _ in range(WORDS * 5)]
    blocked, harmless = words[:WORDS], words[WORDS:]
    texts = []
    for _ in range(MESSAGES):
        text = source.choices(harmless, k=8)
        if source.random() < BLOCKED_SHARE:
            text[source.randrange(8)] = source.choice(blocked)
        texts.append(" ".join(text))
    return Work(texts, blocked)


async def rate(module: type[Module], settings: str, texts: Sequence[str], flags: Flag) -> float:
    """Messages a second from alice's front-end through hub and module to bob's, or back to her."""
    async with bench(module, settings) as gateway:
        began = time.perf_counter()
        for number, text in enumerate(texts):
            gateway.say("alice", "bob", text, flags=flags)
            if number % AT_ONCE == 0:
                await asyncio.sleep(0)
        async with asyncio.timeout(PATIENCE_S):
            while len(gateway.inbox("bob")) + len(gateway.inbox("alice")) < len(texts):  # noqa: ASYNC110
                await asyncio.sleep(0.002)
        return len(texts) / (time.perf_counter() - began)


def ask(python: str, task: Work) -> Peer:
    """One run of the other side."""
    script = Path(__file__).with_name("with_opsdroid.py")
    done = subprocess.run(
        [python, "-I", "-W", "ignore", str(script)],
        input=msgspec.json.encode(task),
        stdout=subprocess.PIPE,
        check=True,
    )
    return msgspec.json.decode(done.stdout, type=Peer)


def main(python: str) -> None:
    """Measure both sides in turn; print medians, ranges and ratios."""
    task = work()
    sides = {
        "pass": (Pass, ""),
        "filter": (Filter, f"blocked_words = {', '.join(task.blocked)}"),
    }
    figures: dict[tuple[str, str], list[float]] = {}
    for _ in range(RUNS):
        peer = ask(python, task)
        for name, (module, settings) in sides.items():
            figures.setdefault((name, "peer"), []).append(peer.rates[name])
            for column, flags in (("memory", Flag.TRANSIENT), ("disk", Flag(0))):
                value = asyncio.run(rate(module, settings, task.texts, flags))
                figures.setdefault((name, column), []).append(value)
    table = Table(
        "messages/s: median (range), ratio",
        f"{peer.name} {peer.version}",
        "boardtalk, never stored",
        "boardtalk, on disk first",
        title=f"{RUNS} runs of {MESSAGES:,} messages, Python {platform.python_version()}",
    )
    for name in sides:
        base = median(figures[name, "peer"])
        cells = (_cell(figures[name, column], base) for column in ("peer", "memory", "disk"))
        table.add_row(name, *cells)
    Console().print(table)


def _cell(values: list[float], base: float) -> str:
    middle = median(values)
    return f"{middle:,.0f} ({min(values):,.0f} – {max(values):,.0f}), {middle / base:.2f}"


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m boardtalk.hil.bench.peers PYTHON_WITH_OPSDROID")
    main(sys.argv[1])
