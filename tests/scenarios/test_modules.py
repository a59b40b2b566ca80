"""A running gateway takes new configurations and new code, and tells how its modules are."""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from .people import Join, Person
from .rig import Gateway, boardtalk, until

SHOUT = """
import asyncio
from boardtalk.sdk import PASS, Settings, Message, Module, ModuleError, Verdict

class Shout(Module):
    name = "shout"
    version = "1.0"

    class Config(Settings):
        end: str = "!"

    async def on_start(self) -> None:
        if self.config.end == "bad":
            raise ModuleError("there is no bad end")
        if self.config.end == "late":
            self.say(0, "patience")
            await asyncio.sleep(2)

    def on_message(self, message: Message) -> Verdict:
        return message.with_(body=message.body.upper() + self.config.end) if message.to == "bob" else PASS
"""
CONF = """\
module_folders = {folder}
broker {{
    port = 0
}}
module shout {{
    isolate = {isolate}
    end = {end}
}}
"""
RESTARTS = 5


class Workshop:
    """A gateway with a module whose code and settings change."""

    def __init__(self, folder: Path, isolate: str) -> None:
        self.code, self.conf, self.isolate = folder / "shout.py", folder / "gateway.conf", isolate
        self.code.write_text(SHOUT)
        self.configure("!")

    def configure(self, end: str, text: str = CONF) -> None:
        self.conf.write_text(text.format(folder=self.code.parent, end=end, isolate=self.isolate))


@pytest.fixture
def workshop(tmp_path: Path, request: pytest.FixtureRequest) -> Workshop:
    folder = tmp_path / "workshop"
    folder.mkdir()
    return Workshop(folder, getattr(request, "param", "no"))


inline_and_isolated = pytest.mark.parametrize(
    "workshop", ["no", "yes"], ids=["inline", "isolated"], indirect=True
)


@pytest.fixture
def gateway(tmp_path: Path, workshop: Workshop) -> Iterator[Gateway]:
    options = ("run", "--conf", str(workshop.conf), "--watch")
    with Gateway(tmp_path / "state", *options) as gateway:
        endpoints = json.loads((gateway.state / "endpoints.json").read_text())
        gateway.port = int(endpoints["mqtt"].rpartition(":")[2])
        yield gateway


@pytest.fixture
def alice(gateway: Gateway, join: Join) -> Person:
    return join(gateway, "alice", "admin")


@pytest.fixture
def bob(gateway: Gateway, join: Join) -> Person:
    return join(gateway, "bob", "viewer")


def heard(alice: Person, bob: Person, text: str) -> str:
    """What bob hears when alice says something."""
    since = len(bob.inbox)
    alice.say(f"bob: {text}")
    return str(bob.wait(lambda: bob.inbox[since:], "bob hears of it")[0]["body"])


def test_new_settings_take_effect_without_a_restart(
    gateway: Gateway, workshop: Workshop, alice: Person, bob: Person
) -> None:
    assert heard(alice, bob, "hello") == "HELLO!"
    workshop.configure("?")
    answer = gateway.cli("reload")
    assert (answer.code, answer.out.strip()) == (0, "shout: restarted (end)")
    assert heard(alice, bob, "hello") == "HELLO?"
    assert gateway.cli("reload").out.strip() == "nothing has changed"


def test_a_wrong_file_changes_nothing_and_says_where_it_is_wrong(
    gateway: Gateway, workshop: Workshop, alice: Person, bob: Person
) -> None:
    workshop.configure("?", CONF + "zebra = 1\nmodule shout {{ colour = red }}\n")
    answer = gateway.cli("reload")
    assert answer.code == 2
    assert f"{workshop.conf}:9:1: unknown key 'zebra'" in answer.text
    assert "unknown key 'colour'" in answer.text
    assert "nothing was changed" in answer.text
    assert heard(alice, bob, "hello") == "HELLO!"


@inline_and_isolated
def test_settings_that_a_module_does_not_start_with_leave_it_as_it_was(
    gateway: Gateway, workshop: Workshop, alice: Person, bob: Person
) -> None:
    workshop.configure("bad")
    answer = gateway.cli("reload")
    assert answer.code == 1
    assert "shout: kept as it was (there is no bad end)" in answer.out
    assert heard(alice, bob, "hello") == "HELLO!"


@inline_and_isolated
def test_no_message_is_lost_or_doubled_while_modules_are_replaced(
    gateway: Gateway, workshop: Workshop, alice: Person, bob: Person
) -> None:
    enough, sent = threading.Event(), []

    def talk() -> None:
        for number in itertools.count():
            alice.say({"to": "bob", "body": f"n{number}", "id": f"n{number}"})
            sent.append(f"N{number}")
            if enough.wait(0.1 if number % 20 == 0 else 0):
                return

    talking = threading.Thread(target=talk)
    talking.start()
    for end in itertools.cycle(["!", "??", "!!!"]):
        workshop.configure(end)
        os.kill(gateway.child.pid, signal.SIGHUP)
        if enough.wait(0.05) or gateway.log.count("restarted") >= RESTARTS:
            break
    enough.set()
    talking.join()
    bob.wait(lambda: len(bob.inbox) >= len(sent), "all arrive")
    assert [str(each["body"]).rstrip("!?") for each in bob.inbox] == sent


def test_a_hang_up_signal_reads_the_configuration_too(
    gateway: Gateway, workshop: Workshop, alice: Person, bob: Person
) -> None:
    workshop.configure("…")
    os.kill(gateway.child.pid, signal.SIGHUP)
    until(lambda: heard(alice, bob, "hello") == "HELLO…", "the new settings are in service")
    (workshop.conf).write_text("module {")
    os.kill(gateway.child.pid, signal.SIGHUP)
    until(lambda: "configuration not reloaded" in gateway.log, "the log says why not")
    assert heard(alice, bob, "hello") == "HELLO…"


@inline_and_isolated
def test_it_ends_as_ever_in_the_midst_of_a_change(gateway: Gateway, workshop: Workshop) -> None:
    workshop.configure("late")
    os.kill(gateway.child.pid, signal.SIGHUP)
    until(lambda: "patience" in gateway.log, "the module is being started anew")
    assert gateway.end() == 0


@inline_and_isolated
def test_a_module_whose_code_changes_is_started_anew_and_a_broken_one_is_not(
    gateway: Gateway, workshop: Workshop, alice: Person, bob: Person
) -> None:
    workshop.code.write_text(SHOUT.replace("upper()", "title()"))
    until(lambda: heard(alice, bob, "hello you") == "Hello You!", "the new code is in service")
    workshop.code.write_text("def broken(")
    until(lambda: "SyntaxError" in gateway.log, "the log says what is wrong with it")
    assert heard(alice, bob, "hello you") == "Hello You!"
    workshop.code.write_text(SHOUT)
    until(lambda: heard(alice, bob, "hello you") == "HELLO YOU!", "the mended code is in service")
    for word in ("title", "upper", "title", "upper"):  # within a second, and with the same length
        workshop.code.write_text(SHOUT.replace("upper()", f"{word}()"))
        shown = getattr("hello you", word)() + "!"
        until(lambda shown=shown: heard(alice, bob, "hello you") == shown, "each change is in service")


@inline_and_isolated
def test_whatever_new_code_does_as_it_is_imported_it_is_told_and_the_next_change_is_seen(
    gateway: Gateway, workshop: Workshop, alice: Person, bob: Person
) -> None:
    for error in ("KeyboardInterrupt", "SystemExit", "RecursionError", "GeneratorExit"):
        workshop.code.write_text(f"raise {error}('no {error}')")
        until(lambda error=error: f"no {error}" in gateway.log, "the log says what is wrong with it")
        assert heard(alice, bob, "hello you") == "HELLO YOU!"
    workshop.code.write_text(SHOUT.replace("upper()", "title()"))
    until(lambda: heard(alice, bob, "hello you") == "Hello You!", "the mended code is in service")
    assert "never retrieved" not in gateway.log


@pytest.mark.parametrize("error", ["KeyboardInterrupt", "SystemExit", "RecursionError"])
def test_a_module_that_ends_its_import_strangely_is_named_and_changes_nothing(
    gateway: Gateway, workshop: Workshop, alice: Person, bob: Person, error: str
) -> None:
    (workshop.code.parent / "odd.py").write_text(f"raise {error}('enough')")
    workshop.configure("?", CONF + "module odd {{\n}}\n")
    answer = gateway.cli("reload")
    assert answer.code == 2
    assert f"{workshop.conf}:9:1: module 'odd'" in answer.text
    assert f"{error}: enough" in answer.text
    assert heard(alice, bob, "hello") == "HELLO!"


def test_users_and_groups_of_a_new_configuration_are_there(
    gateway: Gateway, workshop: Workshop, alice: Person, bob: Person
) -> None:
    workshop.configure(
        "!", CONF + "user carol {{ role = operator }}\ngroup team {{ members = alice, bob, carol }}\n"
    )
    assert "users: reconfigured (carol)" in gateway.cli("reload").out
    alice.say("team: hello")
    assert bob.hears("hello")["groupid"] == "team"
    roles = {row["address"]: row["role"] for row in gateway.cli("user", "list", "--json").rows}
    assert roles["carol"] == "operator"


def test_it_tells_how_its_modules_are(gateway: Gateway, alice: Person, bob: Person) -> None:
    heard(alice, bob, "hello")
    [shout] = gateway.cli("modules", "--json").rows
    assert (shout["name"], shout["condition"], shout["version"]) == ("shout", "running", "1.0")
    assert (shout["calls"], shout["replaced"], shout["failed"]) == (1, 1, 0)
    assert shout["p99_ms"] > 0
    shown = boardtalk("modules", state=gateway.state, columns=20).out
    assert re.search(r"^ 1 +shout +running +0 +0 +1 +0 +0 +\S+ ms +\S+ ms", shown, re.MULTILINE)
    alice.say("gateway: modules")
    assert "shout: running" in alice.hears("shout")["body"]
    bob.say("gateway: modules")
    assert "bob may not look into this gateway" in bob.hears("may not look")["body"]
    bob.say("gateway: reload")
    assert "bob may not administer this gateway" in bob.hears("may not administer")["body"]
    alice.say("gateway: modulse")
    assert alice.hears("did you mean modules")
