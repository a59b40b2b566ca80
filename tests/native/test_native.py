"""A native module does here what it does elsewhere, and to the gateway it is a module like others."""

from __future__ import annotations

import asyncio
import re
import zlib

import pytest

from boardtalk import conf, loader
from boardtalk.chain.health import Condition
from boardtalk.sdk import Code, Flag, Kind, ModuleError, Refused, State
from boardtalk.testing import bench

from .conftest import Workshop, ask, until

CENSOR = "blocked = secret word\nmasked = fool\nverbosity = 1"
PUPPET = "address = puppet\nname = value with spaces\nname = again\non_fail = drop"
"""With `drop`, nothing goes past it while its process waits for a busy processor."""


async def test_it_swallows_changes_and_lets_go_on(
    workshop: Workshop, capfd: pytest.CaptureFixture[str]
) -> None:
    async with workshop.run("censor", CENSOR) as gateway:
        gateway.say("bob", "carol", "you fool")
        assert (await gateway.hears("carol", "you")).body == "you ****"
        assert (await gateway.ended(gateway.say("bob", "carol", "hällo"))).state is State.DONE
        gateway.say("bob", "carol", "the secret word")
        await until(lambda: gateway.reports[0].consumed == 1)
        assert [message.body for message in gateway.inbox("carol")] == ["you ****", "hällo"]
        [report] = gateway.reports
        assert (report.condition, report.passed, report.replaced) == (Condition.RUNNING, 1, 1)
    said = capfd.readouterr().out
    assert "blocked is secret word" in said
    assert re.search(r"bob to carol: 6 bytes, id [0-9a-f]{8} ", said)
    assert "dropped 0.5 of 100%" in said
    assert said.count("filter ends") == 1
    assert "masked is fool" in said, "freeing the list leaves the strings"
    assert "verbosity" not in said, "the gateway's keys are its own"


async def test_order_is_kept_and_nothing_lost_or_doubled(workshop: Workshop) -> None:
    async with workshop.run("censor", "blocked = never\nmasked = fool") as gateway:
        for number in range(300):
            gateway.say("bob", "carol", f"fool {number}")
        await gateway.hears("carol", " 299$")
        heard = [message.body for message in gateway.inbox("carol")]
        assert heard == [f"**** {number}" for number in range(300)]


async def test_what_it_consumed_is_done_when_it_has_answered(workshop: Workshop) -> None:
    async with workshop.run("puppet", PUPPET) as gateway:
        contact = gateway.contact("puppet")
        assert contact is not None
        assert (contact.kind, contact.online) == (Kind.SERVICE, True)
        number = gateway.say("bob", "puppet", "say hello")
        answer = await gateway.hears("bob", "hello")
        assert (answer.sender, answer.refid) == ("puppet", number)
        assert (await gateway.ended(number)).state is State.DONE


async def test_it_gets_the_parameters_of_a_message_and_sets_its_own(workshop: Workshop) -> None:
    async with workshop.run("puppet", PUPPET) as gateway:
        first = gateway.say("bob", "puppet", "say first")
        await gateway.hears("bob", "first")
        gateway.say(
            "bob",
            "puppet",
            "params",
            refid=first,
            type=7,
            flags=int(Flag.READ_RECEIPT),
            expiry=60,
            to_online=True,
            aid=9,
        )
        answer = await gateway.hears("bob", "^9 ")
        assert answer.body == "9 1 2 7 60 1 0"
        assert (answer.aid, answer.type, answer.flags, answer.expiry) == (9, 7, 2, 60)
        assert re.fullmatch(r"puppet:\d+\.[0-9a-f]{8}\.1", answer.id)


async def test_a_group_has_a_number(workshop: Workshop) -> None:
    async with workshop.run("puppet", PUPPET) as gateway:
        gateway.say("bob", "crew", "hello all")
        await gateway.hears("carol", "hello all")
        assert "saw crew 1" in await ask(gateway, "heard")
        assert await ask(gateway, "group 12345") == "no such group"
        gateway.say("bob", "puppet", f"group {zlib.crc32(b'crew')}")
        assert (await gateway.hears("carol", "to all of you")).groupid == "crew"


async def test_it_hears_of_logins_statuses_calls_and_its_settings(workshop: Workshop) -> None:
    async with workshop.run("puppet", PUPPET) as gateway:
        gateway.log_out("carol")
        gateway.log_in("carol")
        await ask(gateway, "say x")
        with pytest.raises(Refused):
            await gateway.call("bob", "puppet")
        async with asyncio.timeout(10):  # a status comes when it comes
            while f"status bob {Code.DELIVERED:x}" not in (heard := await ask(gateway, "heard")):
                pass
        assert "config address 0" in heard
        assert "login carol 0; login carol 1" in heard
        assert "call puppet 0; " in heard


async def test_settings_are_writable_and_the_first_counts(workshop: Workshop) -> None:
    async with workshop.run("puppet", PUPPET) as gateway:
        assert await ask(gateway, "config name") == "value with spaces"
        assert await ask(gateway, "config name") == "!alue with spaces"
        assert await ask(gateway, "config nothing") == "none"
        assert await ask(gateway, "long") == "too long"


async def test_what_is_no_address_sends_nothing_and_gets_nothing(workshop: Workshop) -> None:
    async with workshop.run("puppet", PUPPET) as gateway:
        assert await ask(gateway, "nobody") == "no such sender"
        await gateway.hears("bob", "no such recipient")


async def test_it_runs_several_times_each_with_settings_of_its_own(workshop: Workshop) -> None:
    def document(*masked: str) -> conf.Document:
        [block] = workshop.document("censor", f"blocked = never\nmasked = {masked[0]}").blocks
        [other] = workshop.document("censor", f"blocked = never\nmasked = {masked[1]}").blocks
        return conf.Document(workshop.document("censor").globals, (block, other))

    instances = loader.plan(document("fool", "goose")).instances
    assert [each.name for each in instances] == ["censor", "censor#2"]
    async with bench(instances[0]) as gateway:
        await gateway.apply(*instances)
        gateway.say("alice", "bob", "a fool and a goose")
        assert (await gateway.hears("bob", " and a ")).body == "a **** and a *****"


async def test_new_settings_start_it_anew(workshop: Workshop) -> None:
    async with workshop.run("puppet", PUPPET) as gateway:
        changed = workshop.planned("puppet", PUPPET.replace("again", "other").replace("value", "worth"))
        assert await gateway.apply(changed) == ["puppet: restarted (name)"]
        assert await ask(gateway, "config name") == "worth with spaces"


async def test_one_whose_init_fails_is_none_and_says_why(workshop: Workshop) -> None:
    with pytest.raises(ModuleError, match="its init fails: censor: Missing Configuration"):
        async with workshop.run("censor", "on_fail = drop"):
            pass


async def test_the_name_that_a_cpp_compiler_makes_of_init_is_found(workshop: Workshop) -> None:
    async with workshop.run("mangled") as gateway:
        gateway.say("bob", "carol", "stressed")
        await gateway.hears("carol", "desserts")


async def test_a_source_that_is_written_as_the_documentation_is_can_be_built(workshop: Workshop) -> None:
    async with workshop.run("documented") as gateway:
        assert await ask(gateway, '{"word": "found"}', "carol") == "found"
        assert await ask(gateway, "status?", "carol") == "delivered of 11"
        gateway.say("bob", "carol", "online only", to_online=True)
        await until(lambda: gateway.reports[0].consumed == 3)


@pytest.mark.parametrize("size", [176, 112])
async def test_older_layouts_are_told_apart_by_their_size(
    workshop: Workshop, size: int, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = workshop.make("layout", f"-DSIZE={size}", folder=f"layout{size}")
    async with workshop.run("layout", "first = written\nsecond = 2", folder) as gateway:
        gateway.log_out("alice")
        gateway.say("bob", "carol", "=======!")
        await gateway.hears("carol", "^written!$")
        assert await ask(gateway, '{"word": "found"}', "carol") == "found"
        await ask(gateway, '{"word": "again"}', "carol")
        heard = await ask(gateway, "heard", "carol")
        answers = [message.id for message in gateway.inbox("bob")]
        assert len({*answers}) == 3, "the number that it gives them all is only a part of their ids"
        assert "login alice 0; " in heard
        assert f"status bob {1000 + Code.DELIVERED}; " in heard
    assert "mismatch" not in capfd.readouterr().out
