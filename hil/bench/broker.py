"""Messages per second through the MQTT door, with QoS 1 in and out, and whether all arrive once.

Alice says, bob hears; in between stands the gateway, or, as the baseline, the smallest relay that can
be written with paho-mqtt: it hands over each message as it comes, and stores none.
"""

from __future__ import annotations

import asyncio
import re
import sys
import tempfile
import time
from collections import Counter
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from boardtalk import broker
from boardtalk.broker import Endpoint, Login
from boardtalk.broker.client import Publisher, Subscriber
from boardtalk.conf.blocks import EmbeddedBroker
from boardtalk.hil.bench.rows import Row
from boardtalk.hil.gateway import GatewayProcess
from boardtalk.people.users import Users, new_token
from boardtalk.sdk.leash import leashed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

MESSAGES: Final = 30_000
WARM_UP: Final = 1_000
WINDOW: Final = 1_000
"""Messages under way at once: as many as a broker holds for one client without waiting."""
PATIENCE_S: Final = 10.0
"""What has not come by then, after the last one, is lost."""
CONF: Final = """\
log_level = warning
broker {
    port = 0
}
user alice {
}
user bob {
}
"""

_NUMBER = re.compile(rb"\d{8}")


class Result(NamedTuple):
    """How a run went."""

    rate: float
    """Messages per second."""
    lost: int
    doubled: int


def rows() -> Iterator[Row]:
    """The gateway beside the bare relay, both over a nats-server of the same run."""
    relay, door = asyncio.run(_measure())
    yield Row.against("MQTT door, QoS 1 in and out", door.rate, "messages/s", MESSAGES, relay.rate)
    yield Row(name="MQTT door, lost", value=door.lost, unit="messages", n=MESSAGES)
    yield Row(name="MQTT door, doubled", value=door.doubled, unit="messages", n=MESSAGES)


async def _measure() -> tuple[Result, Result]:
    async with _bare_relay() as (alice, bob):
        relay = await _load(alice, bob)
    with tempfile.TemporaryDirectory(prefix="boardtalk-bench-") as name:
        folder = Path(name)
        async with GatewayProcess(folder, CONF) as gateway:
            host, port = gateway.mqtt
            tokens = {account.address: account.token for account in Users.load(folder / "secrets")}
            alice, bob = (Endpoint(host, port, name, tokens[name]) for name in ("alice", "bob"))
            return relay, await _load(alice, bob)


@asynccontextmanager
async def _bare_relay() -> AsyncIterator[tuple[Endpoint, Endpoint]]:
    """A broker, the bare relay at it, and the ways for alice and bob to get there."""
    logins = [Login("alice", new_token()), Login("bob", new_token())]
    with tempfile.TemporaryDirectory(prefix="boardtalk-bench-") as folder:
        async with broker.create(EmbeddedBroker(port=0), Path(folder), logins) as running:
            at = running.endpoint
            relay = await asyncio.create_subprocess_exec(
                *leashed(sys.executable, "-m", "boardtalk.hil.bench.relay", at.host, str(at.port)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
            )
            assert relay.stdin and relay.stdout  # noqa: S101, PT018 - they are pipes
            try:
                relay.stdin.write(f"{at.user}\n{at.password}\n".encode())
                await relay.stdout.readline()
                alice, bob = (Endpoint(at.host, at.port, each.address, each.token) for each in logins)
                yield alice, bob
            finally:
                relay.terminate()
                await relay.communicate()


async def _load(alice: Endpoint, bob: Endpoint) -> Result:
    """Send numbered messages from alice to bob, a window ahead of what has arrived."""
    async with Publisher(alice, "alice") as saying, Subscriber(bob, "bob", {"chat/bob/in": 1}) as hearing:
        await hearing.connected()
        await saying.connected()
        run = _Run(saying, hearing)
        await run.relayed(WARM_UP)
        began = time.perf_counter()
        lost_s = await run.relayed(MESSAGES)
        took_s = time.perf_counter() - began - lost_s
    counts = Counter(run.heard)
    return Result(
        rate=MESSAGES / took_s,
        lost=WARM_UP + MESSAGES - len(counts),
        doubled=len(run.heard) - len(counts),
    )


class _Run:
    """Numbers said and heard."""

    def __init__(self, saying: Publisher, hearing: Subscriber) -> None:
        self.heard: list[int] = []
        self._said = 0
        self._saying = saying
        self._batches = hearing.messages()

    async def relayed(self, count: int) -> float:
        """Say so many more and hear all that comes; the seconds that were waited in vain at the end."""
        end = self._said + count
        while len(self.heard) < end:
            while self._said < end and self._said - len(self.heard) < WINDOW:
                await self._saying.publish(
                    "chat/alice/out", b"bob: %08d, as many as there may be" % self._said
                )
                self._said += 1
            try:
                async with asyncio.timeout(PATIENCE_S):
                    batch = await anext(self._batches)
            except TimeoutError:
                return PATIENCE_S
            for message in batch:
                number = _NUMBER.search(message.payload)
                self.heard += [int(number[0])] if number else []
        return 0.0
