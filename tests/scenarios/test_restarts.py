"""A gateway that was ended or killed, started again on its state folder."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from .people import TERMINAL, Person, odometer
from .rig import GATEWAY, ISOLATED, Gateway, processes, until

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module", params=["ended", "killed"])
def restarted(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Gateway, float]]:
    """A gateway with a past: driven, talked, a retained command, a motion cut off by its end.

    With it the odometer of its rover at the first use; the new rover starts where that one did.
    """
    gateway = Gateway(tmp_path_factory.mktemp("restarted") / "state").start()
    try:
        token = gateway.token("alice")
        gateway.token("bob")
        with Person(gateway, "alice", token) as alice:
            start = odometer(alice)
            alice.do("forward 7", name="once")
            heard = len(alice.inbox)
            alice.say("rover: forward 7", retain=True)
            alice.hears("", heard)
            alice.say({"to": "bob", "body": "remember me", "id": "memo"})
            alice.wait(lambda: "accepted" in alice.states("memo"), "accepted")
            alice.begin("forward 500", name="cut off")
            if request.param == "killed":
                gateway.signal(GATEWAY, signal.SIGKILL)
        gateway.end(after_a_kill=request.param == "killed")
        gateway.start()
        yield gateway, start
        gateway.end()
    finally:
        gateway.kill()


def test_c14_nothing_is_executed_again_not_even_what_the_broker_retained(
    restarted: tuple[Gateway, float],
) -> None:
    gateway, start = restarted
    with Person(gateway, "alice", gateway.token("alice")) as alice:
        assert alice.do("forward 7", name="once").state == "done", "answered from memory"
        alice.do("rearm")
        assert odometer(alice) == pytest.approx(start, abs=0.5)


def test_c05_a_command_that_was_cut_off_has_an_end(restarted: tuple[Gateway, float]) -> None:
    gateway, _ = restarted
    with Person(gateway, "alice", gateway.token("alice")) as alice:
        answer = alice.do("forward 500", name="cut off")
        assert answer.state in TERMINAL - {"done"}


def test_history_survives(restarted: tuple[Gateway, float]) -> None:
    gateway, _ = restarted
    shown = gateway.cli("history", "--user", "alice", "--limit", "1000", "--json")
    bodies = [str(row.get("body")) for row in shown.rows]
    assert "remember me" in bodies
    assert "forward 7" in bodies


def test_users_survive(restarted: tuple[Gateway, float]) -> None:
    gateway, _ = restarted
    with Person(gateway, "bob", gateway.token("bob")) as bob:
        assert bob.do("battery").state == "done"


def test_c08_a_stopped_robot_stays_stopped_over_a_restart(own_demo: Gateway) -> None:
    assert own_demo.chat("rover", "forward 1").code == 0
    assert own_demo.cli("stop", "rover").code == 0
    own_demo.end()
    own_demo.start()
    refused = own_demo.chat("rover", "forward 1")
    assert refused.code == 1
    assert "rearm" in refused.text
    assert own_demo.chat("rover", "rearm").code == 0
    assert own_demo.chat("rover", "forward 1").code == 0


def test_c15_an_isolated_module_does_not_outlive_a_killed_gateway(own_demo: Gateway) -> None:
    code = "from boardtalk.sdk import Module\n\nclass Idle(Module):\n    name = 'idle'\n"
    own_demo.load("idle", code, "isolate = yes")
    module = own_demo.process(ISOLATED)
    own_demo.signal(GATEWAY, signal.SIGKILL)
    until(lambda: module not in processes(own_demo.state), "it has ended")
    own_demo.kill()
