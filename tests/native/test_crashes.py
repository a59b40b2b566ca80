"""A native module that crashes takes its own process along: nothing else, and no message."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from boardtalk.sdk import ModuleError, Refused, State
from boardtalk.testing import Bench

from .conftest import Workshop, answers, server, until

TOLD = "process of a module is started again"
SETTINGS = "address = villain\nmemory_mb = 96"
CRIMES = {
    "crash": "SIGSEGV",
    "abort": "SIGABRT",
    "exit": "code 3",
    "spin": "did not react for 1 s: was ended by SIGKILL",
    "leak": "SIGSEGV",
    "write past the end": "SIGSEGV",
    "read past the end": "SIGSEGV",
    "daemonize": "SIGSEGV",
}
MORE_CRIMES = {
    "free the text": "SIGABRT",
    "free itself": "SIG",
    "recurse": "SIGSEGV",
    "wrong pointers": "SIGSEGV",
    "jump": "SIGSEGV",
}


async def ended(capfd: pytest.CaptureFixture[str]) -> str:
    """What is logged of a process that ends."""
    said = ""

    def told() -> bool:
        nonlocal said
        said += capfd.readouterr().out
        return TOLD in said

    await until(told)
    return next(line for line in said.splitlines() if TOLD in line)


@pytest.mark.parametrize(
    "crime", [*CRIMES, *(pytest.param(each, marks=pytest.mark.soak) for each in MORE_CRIMES)]
)
async def test_its_end_is_told_with_signal_and_message_and_no_other_is_lost_or_doubled(
    workshop: Workshop, crime: str, capfd: pytest.CaptureFixture[str]
) -> None:
    async with workshop.run("villain", SETTINGS) as gateway:
        before = [gateway.say("alice", "carol", f"before {number}") for number in range(20)]
        guilty = gateway.say("bob", "villain", crime)
        after = [gateway.say("alice", "carol", f"after {number}") for number in range(20)]
        line = await ended(capfd)
        assert (CRIMES | MORE_CRIMES)[crime] in line
        assert f"in on_message of message {guilty} from bob to villain" in line
        for number in (*before, *after):
            assert (await gateway.ended(number)).state is State.DONE
        heard = [message.body for message in gateway.inbox("carol")]
        assert heard == [f"{when} {number}" for when in ("before", "after") for number in range(20)]


async def test_with_on_fail_drop_nothing_passes_it_meanwhile(workshop: Workshop) -> None:
    async with workshop.run("villain", f"{SETTINGS}\non_fail = drop") as gateway:
        numbers = [gateway.say("bob", "villain", "crash"), gateway.say("alice", "carol", "hello")]
        states = [(await gateway.ended(number)).state for number in numbers]
        assert states == [State.REJECTED, State.REJECTED]
        assert not gateway.inbox("carol")


async def test_it_is_started_again_and_works(workshop: Workshop) -> None:
    async with workshop.run("villain", SETTINGS) as gateway:
        gateway.say("bob", "villain", "crash")
        await until(lambda: gateway.contact("villain") is None)
        while "fill" not in [message.body for message in gateway.inbox("carol")]:
            gateway.say("bob", "carol", "fill this")  # goes past it until it has started
            await asyncio.sleep(0.1)


async def test_one_whose_library_is_gone_is_not_started_again_and_says_so(
    workshop: Workshop, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    library = shutil.copy(workshop.make("villain") / "mesibo_mod_villain.so", tmp_path)
    async with workshop.run("villain", SETTINGS, tmp_path) as gateway:
        Path(library).unlink()
        gateway.say("bob", "villain", "crash")
        said = ""

        def told() -> bool:
            nonlocal said
            said += capfd.readouterr().out
            return f"there is no module 'villain' any more in {tmp_path}" in said

        await until(told)


async def test_what_it_took_and_did_not_answer_ends_as_unknown(workshop: Workshop) -> None:
    async with workshop.run("villain", SETTINGS) as gateway:
        taken = gateway.say("bob", "villain", "nothing")
        await until(lambda: gateway.reports[0].consumed == 1)
        gateway.say("alice", "villain", "thread")
        status = await gateway.ended(taken)
        assert (status.state, status.detail) == (
            State.UNKNOWN,
            "a module took it, and its process ended before it answered",
        )


async def test_what_it_returns_besides_is_a_failure(workshop: Workshop) -> None:
    async with workshop.run("villain", SETTINGS) as gateway:
        gateway.say("bob", "villain", "return -1")
        await until(lambda: gateway.reports[0].failed == 1)
        assert (
            "on_message returned -1: 0 lets a message go on, 1 consumes it" in gateway.reports[0].last_error
        )
        gateway.say("bob", "villain", "return 77")
        await until(lambda: gateway.reports[0].failed == 2)
        gateway.say("bob", "carol", "cut an é")
        await gateway.hears("carol", "cut an \ufffd")


async def commit(gateway: Bench, where: str) -> None:
    """Have a callback called."""
    match where:
        case "on_message":
            gateway.say("bob", "carol", "hello")
        case "on_message_status":
            gateway.say("bob", "villain", "send")
        case "on_login":
            gateway.log_out("carol")
        case "on_call" | "on_call_status":
            with pytest.raises(Refused):
                await gateway.call("bob", "villain")


@pytest.mark.parametrize(
    "where", ["on_message", "on_message_status", "on_login", "on_call", "on_call_status"]
)
async def test_a_crash_in_any_callback_is_told(
    workshop: Workshop, where: str, capfd: pytest.CaptureFixture[str]
) -> None:
    async with workshop.run("villain", f"{SETTINGS}\nwhere = {where}") as gateway:
        await commit(gateway, where)
        assert f"was ended by SIGSEGV in {where}" in await ended(capfd)


MORE_OF_THE_NETWORK = (
    "on_status",
    "on_close",
    "on_connect",
    "on_write",
    "on_socket",
    "on_closed",
    "on_script",
)


@pytest.mark.parametrize(
    "where", ["on_data", *(pytest.param(each, marks=pytest.mark.soak) for each in MORE_OF_THE_NETWORK)]
)
async def test_a_crash_in_a_callback_of_the_network_is_told(
    workshop: Workshop, where: str, capfd: pytest.CaptureFixture[str]
) -> None:
    answer = answers(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    async with (
        server(answer) as port,
        workshop.run("villain", f"{SETTINGS}\nnetwork = yes\nwhere = {where}") as gateway,
    ):
        number = gateway.say("bob", "villain", f"ask {port}")
        last = f"its last message was {number} from bob to villain"
        assert f"was ended by SIGSEGV; {last}" in await ended(capfd)


@pytest.mark.parametrize(("on_fail", "state"), [("skip", State.DONE), ("drop", State.REJECTED)])
async def test_what_it_sent_before_it_crashed_is_sent_and_on_fail_decides_of_the_rest(
    workshop: Workshop, on_fail: str, state: State
) -> None:
    async with workshop.run("villain", f"{SETTINGS}\non_fail = {on_fail}") as gateway:
        number = gateway.say("bob", "carol", "tell and crash")
        assert (await gateway.ended(number)).state is state
        await gateway.hears("bob", "^told$")
        gateway.say("alice", "bob", "later")
        assert [message.body for message in gateway.inbox("bob")].count("told") == 1
        assert len(gateway.inbox("carol")) == (on_fail == "skip")


async def test_a_crash_at_the_end_holds_up_nobody(workshop: Workshop) -> None:
    async with workshop.run("villain", f"{SETTINGS}\nwhere = on_cleanup") as gateway:
        assert await gateway.apply() == ["villain: removed"]


@pytest.mark.parametrize("where", ["init", "on_config"])
async def test_a_crash_at_the_beginning_is_why_it_does_not_start(workshop: Workshop, where: str) -> None:
    with pytest.raises(ModuleError, match="its process was ended by SIGSEGV in on_start"):
        async with workshop.run("villain", f"{SETTINGS}\nwhere = {where}"):
            pass
