"""A native module does what it does elsewhere."""

from __future__ import annotations

import asyncio
import pytest

from boardtalk.sdk import State

from .conftest import Workshop, until

SETTINGS = "blocked = secret word\nmasked = fool\nverbosity = 1"


async def test_it_swallows_changes_and_lets_go_on(workshop: Workshop, capfd: pytest.CaptureFixture[str]) -> None:
    workshop.make("filter_c", "filter.c")
    async with workshop.run("filter_c", SETTINGS) as gateway:
        gateway.say("bob", "carol", "you fool")
        assert (await gateway.hears("carol", "you")).body == "you ****"
        assert (await gateway.ended(gateway.say("bob", "carol", "hällo"))).state is State.DONE
        gateway.say("bob", "carol", "the secret word")
        await asyncio.sleep(0.2)
        print([m.body for m in gateway.inbox("carol")], gateway.reports)
    out = capfd.readouterr().out
    print(out)
    assert 0
