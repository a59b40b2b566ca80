"""What a native module costs: the same filter in Python inline, in Python isolated, and in C.

A hop is one message to the module and back, deadlines and counters on. The C part is compiled for the run.
"""

from __future__ import annotations

import asyncio
import subprocess
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from boardtalk.hil.bench.isolated import FOLDER, HOPS, hops, in_service, pass_on, percentile, rate
from boardtalk.hil.bench.rows import Row
from boardtalk.native.build import INCLUDE

if TYPE_CHECKING:
    from collections.abc import Iterator

WORDS: Final = "alpha, beta, gamma, delta, epsilon, zeta, eta, theta, iota, kappa"
KINDS: Final = {"Python, inline": "words", "Python, isolated": "words", "native": "words_c"}
BLOCK: Final = (
    "module {name} {{\n blocked = {words}\n required = yes\n on_fail = drop\n isolate = {isolate}\n}}"
)
"""With `drop`, a run in which messages go past a module ends in an error."""
CALLS: Final = 30_000
CONVERSATIONS: Final = 100
ROUNDS: Final = 3
"""Of the rates, the best counts: another program may have had its turn."""


def rows() -> Iterator[Row]:
    """Percentiles of one hop, and the rate of a hundred conversations, of each kind."""
    with tempfile.TemporaryDirectory(prefix="boardtalk-bench-") as folder:
        subprocess.run(
            [
                "cc",
                "-O2",
                "-shared",
                "-fPIC",
                f"-I{INCLUDE}",
                "-o",
                Path(folder) / "mesibo_mod_words_c.so",
                FOLDER / "words.c",
            ],
            check=True,
        )
        for kind, name in KINDS.items():
            block = BLOCK.format(name=name, words=WORDS, isolate="no" if kind == "Python, inline" else "yes")
            configuration = f"module_folders = {FOLDER}, {folder}\n{block}"
            yield from asyncio.run(_measure(kind, configuration))


async def _measure(kind: str, configuration: str) -> list[Row]:
    async with in_service(configuration) as chain:
        times = await hops(partial(pass_on, chain), 0.0)
        rates = [await rate(chain, CALLS, CONVERSATIONS) for _ in range(ROUNDS)]
    found = [
        Row(name=f"{kind}: hop, p{percent}", value=percentile(times, percent) * 1e3, unit="ms", n=HOPS)
        for percent in (50, 99)
    ]
    name = f"{kind}: {CONVERSATIONS} conversations"
    return [*found, Row(name=name, value=max(rates), unit="messages/s", n=CALLS)]
