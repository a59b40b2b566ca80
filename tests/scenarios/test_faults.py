"""Parts die or freeze; the rest goes on, and they come back by themselves."""

from __future__ import annotations

import re
import signal

import pytest

from .people import TERMINAL, VOLTS, Join, Person, odometer
from .rig import BOARD, BROKER, LINK, Gateway, until

BACK_S = 5.0
"""Promised for clients after the broker's death (C20)."""


def test_c20_clients_are_back_soon_after_the_broker_was_killed(demo: Gateway, alice: Person) -> None:
    sessions = alice.sessions
    killed = demo.process(BROKER)
    demo.signal(BROKER, signal.SIGKILL)
    alice.wait(lambda: alice.sessions > sessions, "connected and subscribed again", within=BACK_S)
    alice.insist("battery", within=BACK_S)
    assert demo.process(BROKER).pid != killed.pid


def test_c20_the_terminal_does_not_need_the_broker(demo: Gateway) -> None:
    demo.signal(BROKER, signal.SIGSTOP)
    try:
        answer = demo.chat("rover", "battery")
        stopped = demo.cli("stop", "rover")
    finally:
        demo.signal(BROKER, signal.SIGCONT)
    assert answer.code == 0
    assert VOLTS.search(answer.text)
    assert stopped.code == 0


def test_c12_a_killed_link_process_comes_back_and_motion_does_not(own_demo: Gateway, join: Join) -> None:
    alice = join(own_demo, "alice")
    before = odometer(alice)
    killed = own_demo.process(LINK)
    motion = alice.begin("forward 500")
    own_demo.signal(LINK, signal.SIGKILL)
    assert alice.outcome(motion).state != "done"
    alice.insist("battery")
    assert own_demo.process(LINK).pid != killed.pid
    alice.do("rearm")
    assert odometer(alice) - before < 400


def test_c05_a_command_under_way_ends_when_its_module_is_replaced_by_a_reload(
    own_demo: Gateway, join: Join
) -> None:
    alice = join(own_demo, "alice")
    motion = alice.begin("forward 500")
    folder = own_demo.state / "conf.d"
    folder.mkdir(exist_ok=True)
    (folder / "crane.conf").write_text("board crane {\n    port = /dev/null\n}\n")
    assert "iot_bridge: restarted" in own_demo.cli("reload").text
    assert alice.outcome(motion).state in TERMINAL - {"done"}
    alice.insist("forward 1")


@pytest.mark.timeout(120)
def test_a_frozen_board_is_reported_and_usable_when_it_is_back(
    demo: Gateway, join: Join, alice: Person
) -> None:
    bob = join(demo, "bob")
    healthy = demo.board()["state"]
    demo.signal(BOARD, signal.SIGSTOP)
    try:
        answer = demo.chat("rover", "battery")
        alice.say("bob: the rover hangs")
        bob.hears("the rover hangs")
        until(lambda: demo.board().get("state") != healthy, "`boards` shows it")
        offline = demo.chat("rover", "battery")
    finally:
        demo.signal(BOARD, signal.SIGCONT)
    assert answer.code == offline.code == 1
    for text in (answer.text, offline.text):
        assert re.search("offline|failed|expired|unknown|not answer", text), text
    until(lambda: demo.board().get("state") == healthy, "`boards` shows that it is back")
    assert alice.do("battery").state == "done"
    alice.do("rearm")
    odometer(alice)


def test_a_killed_board_harms_nobody_else(own_demo: Gateway, join: Join) -> None:
    alice, bob = join(own_demo, "alice"), join(own_demo, "bob")
    motion = alice.begin("forward 500")
    own_demo.signal(BOARD, signal.SIGKILL)
    assert alice.outcome(motion).state in {"unknown", "failed", "cancelled"}
    answer = own_demo.chat("rover", "battery")
    assert answer.code in (0, 1)
    assert answer.text
    alice.say("bob: the rover is dead")
    bob.hears("the rover is dead")
    assert own_demo.alive


@pytest.mark.parametrize("command", [("run",), ("demo", "--headless")], ids=" ".join)
def test_a_second_gateway_on_the_same_state_folder_is_refused(
    demo: Gateway, command: tuple[str, ...]
) -> None:
    second = demo.cli(*command)
    assert second.code in (1, 2)
    assert str(demo.state) in second.err
    assert re.search("another|already|in use|runs", second.err), second.err
    assert demo.chat("rover", "battery").code == 0


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_demo_and_leaves_nothing_running(
    own_demo: Gateway, join: Join, signum: signal.Signals
) -> None:
    alice = join(own_demo, "alice")
    alice.begin("forward 500")
    assert own_demo.end(signum) in (0, 130, 143)
    assert "[error" not in (own_demo.state / "gateway.log").read_text()
