"""Stop pre-empts everything, latches until `rearm`, and motion ends when nobody is there."""

from __future__ import annotations

import re
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import closing

import pytest

from .people import Join, Person, odometer
from .rig import GATEWAY, Gateway, boardtalk, local_user, until

Stop = Callable[[Gateway, Person], object]

WAYS: dict[str, Stop] = {
    "plain text": lambda _, alice: alice.say("rover: stop"),
    "bare word": lambda _, alice: alice.say("stop"),
    "stop all": lambda _, alice: alice.say("stop all"),
    "own lane": lambda _, alice: alice.say("rover: stop", topic="stop"),
    "own lane, envelope": lambda _, alice: alice.say({"to": "rover", "body": "stop"}, topic="stop"),
    "own lane, all": lambda _, alice: alice.say("stop", topic="stop"),
    "envelope": lambda _, alice: alice.say({"to": "rover", "body": "stop"}),
    "command": lambda demo, _: demo.cli("stop", "rover"),
    "command, all": lambda demo, _: demo.cli("stop"),
    "terminal chat": lambda demo, _: demo.chat("rover", "stop"),
}


@pytest.mark.parametrize("way", WAYS)
def test_c07_stop_ends_a_running_motion_and_latches_until_rearmed(
    demo: Gateway, alice: Person, way: str
) -> None:
    before = odometer(alice)
    motion = alice.begin("forward 500")
    WAYS[way](demo, alice)
    ended = alice.outcome(motion)
    refused = alice.do("forward 20")
    rearmed = alice.do("rearm")
    assert ended.state in {"cancelled", "failed"}
    assert "done" not in ended.states
    assert refused.state == "rejected"
    assert "rearm" in refused.body
    assert rearmed.state == "done"
    assert odometer(alice) - before < 250, "it stopped at once, and did not drive on after rearming"


def test_stop_tells_what_it_did(demo: Gateway, alice: Person) -> None:
    stopped = boardtalk("stop", "rover", state=demo.state, columns=40)
    assert stopped.code == 0
    assert re.search(r"rover stopped, .* lets it move again", stopped.out), "whole lines, for programs"
    assert demo.cli("stop", "rover").code == 0, "stopping what is stopped is no error"


def test_who_stopped_by_command_stands_in_the_audit(demo: Gateway, alice: Person) -> None:
    assert demo.cli("stop", "rover").code == 0
    assert alice.do("rearm").state == "done"
    assert alice.do("forward 1").state == "done", "the stop that is noted does not come later"
    with closing(sqlite3.connect(demo.state / "store.db")) as store:
        [*_, last] = store.execute("SELECT who, what, target FROM audit")
    assert last == (local_user(), "stop", "rover")


def test_a_stop_stands_in_the_history_with_what_came_of_it(demo: Gateway, alice: Person) -> None:
    alice.say({"to": "rover", "body": "STOP!", "id": "halt-7"})
    alice.wait(lambda: "done" in alice.states("halt-7"), "stopped")
    until(lambda: "STOP!" in demo.cli("history", "rover", "--user", "alice").out, "it is in the history")
    assert "rover stopped, confirmed in" in demo.cli("why", "halt-7", "--user", "alice").out


def test_a_stopped_rover_still_answers_queries(demo: Gateway, alice: Person) -> None:
    demo.cli("stop", "rover")
    assert alice.do("battery").state == "done"


def test_stop_of_an_unknown_name_stops_all_the_same(demo: Gateway, alice: Person) -> None:
    motion = alice.begin("forward 500")
    alice.say("rovre: stop")
    assert alice.outcome(motion).state != "done"


def test_a_viewer_may_stop_and_ask_but_neither_drive_nor_rearm(
    demo: Gateway, join: Join, alice: Person
) -> None:
    victor = join(demo, "victor", "viewer")
    assert victor.do("battery").state == "done"
    before = odometer(alice)
    denied = victor.do("forward 20")
    assert denied.state == "rejected"
    assert "started" not in denied.states
    assert odometer(alice) - before == pytest.approx(1, abs=0.5)
    motion = alice.begin("forward 500")
    victor.say("rover: stop")
    assert alice.outcome(motion).state != "done"
    assert victor.do("rearm").state == "rejected"
    assert alice.do("forward 1").state == "rejected"
    assert alice.do("rearm").state == "done"


def test_c07_stop_works_while_the_gateway_hangs(demo: Gateway, alice: Person) -> None:
    motion = alice.begin("forward 500")
    demo.signal(GATEWAY, signal.SIGSTOP)
    try:
        stopped = demo.cli("stop", "rover")
    finally:
        demo.signal(GATEWAY, signal.SIGCONT)
    assert stopped.code == 0
    assert alice.outcome(motion).state != "done"
    latched(demo)


@pytest.mark.parametrize(
    "payload", ["rover: stop", {"to": "rover", "body": "stop"}, "stop", "crew: stop", "no sense at all"]
)
def test_c07_stop_over_mqtt_works_while_the_gateway_hangs(
    demo: Gateway, alice: Person, payload: str | dict[str, str]
) -> None:
    motion = alice.begin("forward 500")
    demo.signal(GATEWAY, signal.SIGSTOP)
    try:
        alice.say(payload, topic="stop")
        latched(demo)
    finally:
        demo.signal(GATEWAY, signal.SIGCONT)
    assert alice.outcome(motion).state != "done"
    alice.insist("rearm")


def latched(demo: Gateway) -> None:
    """Wait until the link process says so; the gateway is not asked."""
    deadline = time.monotonic() + 5
    while demo.board("rover")["state"] != "latched":
        assert time.monotonic() < deadline


SPINNER = """
from boardtalk.sdk import PASS, Message, Module, Verdict

class Spinner(Module):
    name = "spinner"

    def on_message(self, message: Message) -> Verdict:
        while message.body == "spin":
            pass
        return PASS
"""


def test_c15_stop_works_while_a_module_holds_the_gateway(own_demo: Gateway, join: Join) -> None:
    own_demo.load("spinner", SPINNER)
    alice = join(own_demo, "alice")
    alice.begin("forward 500")
    alice.say("alice: spin")
    with pytest.raises(subprocess.TimeoutExpired):
        own_demo.cli("history", within=3)
    alice.say("rover: stop", topic="stop")
    latched(own_demo)
    [stopped] = own_demo.cli("stop", "--json").rows
    assert (stopped["board"], stopped["confirmed"]) == ("rover", True)
    own_demo.kill()


def test_c09_motion_ends_by_itself_when_the_gateway_freezes(demo: Gateway, alice: Person) -> None:
    before = odometer(alice)
    motion = alice.begin("forward 500")
    demo.signal(GATEWAY, signal.SIGSTOP)
    time.sleep(2)  # the length of the fault: three leases, less than the motion
    demo.signal(GATEWAY, signal.SIGCONT)
    assert alice.outcome(motion).state != "done"
    alice.insist("rearm")
    assert odometer(alice) - before < 400


def test_c04_what_was_said_while_the_gateway_hung_moves_nothing_afterwards(
    demo: Gateway, alice: Person
) -> None:
    before = odometer(alice)
    demo.signal(GATEWAY, signal.SIGSTOP)
    alice.say({"to": "rover", "body": "forward 50", "id": "late"})
    time.sleep(2)  # the length of the fault: twice as long as a motion may wait
    demo.signal(GATEWAY, signal.SIGCONT)
    assert alice.outcome("late").state == "expired"
    alice.insist("forward 1")
    assert odometer(alice) - before < 10


def test_c08_who_allowed_motion_before_a_stop_overrules_no_stop_when_the_gateway_hung(
    demo: Gateway, alice: Person
) -> None:
    assert demo.cli("stop", "rover").code == 0
    demo.signal(GATEWAY, signal.SIGSTOP)
    alice.say({"to": "rover", "body": "rearm", "id": "early"})
    time.sleep(1.5)  # the length of the fault
    assert demo.cli("stop", "rover").code == 0
    demo.signal(GATEWAY, signal.SIGCONT)
    assert alice.outcome("early").state == "expired"
    latched(demo)
