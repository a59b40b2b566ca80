"""Who may come in, and whose topics are whose."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest

from .people import Join, Person, login_works, odometer
from .rig import Gateway, boardtalk, local_user, until


def test_nobody_comes_in_without_credentials(demo: Gateway) -> None:
    assert not login_works(demo, None)


@pytest.mark.parametrize("password", [None, "", "wrong", "x" * 10_000])
def test_a_wrong_password_is_refused(demo: Gateway, password: str | None) -> None:
    demo.token("alice")
    assert not login_works(demo, "alice", password)


@pytest.mark.parametrize("name", ["nobody", "", "gateway", "admin", "rover", "chat/alice"])
def test_names_without_a_token_are_refused(demo: Gateway, name: str) -> None:
    assert not login_works(demo, name, demo.token("alice"))


def test_a_new_token_replaces_the_old_one(demo: Gateway) -> None:
    old = demo.cli("user", "add", "tom", "--json").rows[0]["token"]
    assert login_works(demo, "tom", old)
    new = demo.cli("user", "token", "tom", "--json").rows[0]["token"]
    until(lambda: not login_works(demo, "tom", old), "the old token is refused")
    assert login_works(demo, "tom", new)


def test_a_removed_user_is_refused(demo: Gateway) -> None:
    token = demo.cli("user", "add", "rita", "--json").rows[0]["token"]
    assert login_works(demo, "rita", token)
    assert demo.cli("user", "remove", "rita").code == 0
    until(lambda: not login_works(demo, "rita", token), "she is refused")


def test_a_change_of_role_takes_effect(demo: Gateway, join: Join, alice: Person) -> None:
    carl = join(demo, "carl", "viewer")
    assert carl.do("forward 1").state == "rejected"
    assert demo.cli("user", "role", "carl", "operator").code == 0
    until(lambda: carl.do("forward 1").state == "done", "the new role counts")
    assert demo.cli("user", "role", "carl", "viewer").code == 0
    until(lambda: carl.do("forward 1").state == "rejected", "and so does the old one")


def test_a_password_is_read_from_standard_input_and_never_shown(demo: Gateway) -> None:
    demo.token("alice")
    answer = demo.cli("user", "passwd", "alice", stdin="correct horse battery\n")
    assert answer.code == 0
    assert "horse" not in answer.text


@pytest.mark.parametrize("name", ["Alice", "a/b", "#", "-dash", "x" * 33, "", "a\nb"])
def test_what_is_no_address_is_no_user(demo: Gateway, name: str) -> None:
    answer = demo.cli("user", "add", name, "--json")
    assert answer.code in (1, 2)
    assert answer.err.strip()


def test_users_that_are_taken_or_missing_are_refused(demo: Gateway) -> None:
    demo.token("alice")
    for arguments in (
        ("add", "alice"),
        ("add", "rover"),
        ("token", "nobody"),
        ("remove", "nobody"),
        ("role", "nobody", "viewer"),
    ):
        answer = demo.cli("user", *arguments)
        assert answer.code in (1, 2), arguments
        assert arguments[1] in answer.err, arguments


@pytest.mark.parametrize("name", ["gateway", "all", "stop", "help"])
def test_names_that_mean_something_else_are_refused(demo: Gateway, name: str) -> None:
    answer = demo.cli("user", "add", name)
    assert answer.code == 2
    assert "another name" in answer.err


def test_users_are_listed_with_their_roles(demo: Gateway) -> None:
    demo.token("alice")
    roles = {row["address"]: row["role"] for row in demo.cli("user", "list", "--json").rows}
    assert roles["alice"] == "operator"
    assert roles[local_user()] == "admin"
    assert "alice" in demo.cli("user", "list").out


@pytest.mark.parametrize("runs", [True, False], ids=["running", "stored"])
def test_with_the_broker_of_somebody_else_a_new_token_says_that_it_is_not_known_there(
    tmp_path: Path, *, runs: bool
) -> None:
    configuration = tmp_path / "conf" / "gateway.conf"
    configuration.parent.mkdir()
    configuration.write_text("broker {\n    url = mqtt://127.0.0.1:9\n}\n")
    state = tmp_path / "state"
    with Gateway(state, "run", "--conf", str(configuration)) if runs else nullcontext():
        for action in ("add", "token"):
            answer = boardtalk("user", action, "carol", state=state, folder=tmp_path)
            assert answer.code == 0
            assert "the broker mqtt://127.0.0.1:9" in answer.err
            assert "only its operator can let carol in" in answer.err
            assert answer.err.count("\n") == 1
        assert boardtalk("user", "role", "carol", "operator", state=state, folder=tmp_path).err == ""
    configuration.write_text("broker {\n}\n")
    assert boardtalk("user", "token", "carol", state=state, folder=tmp_path).err == ""


def test_an_empty_list_of_users_says_how_to_make_one(tmp_path: Path) -> None:
    assert "boardtalk user add NAME" in boardtalk("user", "list", state=tmp_path).err


def test_nobody_locks_out_the_owner_of_the_gateway(demo: Gateway) -> None:
    for change in (("remove", local_user()), ("role", local_user(), "viewer")):
        assert "runs this gateway" in demo.cli("user", *change).err
    assert demo.chat("rover", "battery").code == 0


def test_nobody_publishes_into_the_inbox_of_another(demo: Gateway, join: Join, alice: Person) -> None:
    bob = join(demo, "bob")
    forged = '{"from": "rover", "to": "bob", "body": "forged"}'
    for topic in (
        "chat/bob/in",
        "chat/bob/status",
        "chat/bob/out",
        "chat/alice/in",
        "presence/bob",
    ):
        alice.publish(topic, forged)
    alice.say("bob: genuine")
    bob.hears("genuine")
    assert not [message for message in bob.inbox if "forged" in str(message)]
    assert not [status for status in bob.statuses if "forged" in str(status)]
    assert not [message for message in alice.inbox if "forged" in str(message)]


def test_nobody_speaks_to_a_board_behind_the_gateway(demo: Gateway, alice: Person) -> None:
    uid = demo.board("rover")["uid"]
    before = odometer(alice)
    for topic in (f"boards/{uid}/rx", "boards/rover/rx", f"boards/{uid}/tx", f"chat/{local_user()}/out"):
        alice.publish(topic, "rover: forward 20")
    assert odometer(alice) - before == pytest.approx(1, abs=0.5)


@pytest.mark.parametrize("topic", ["chat/bob/in", "chat/bob/#", "chat/+/in", "chat/#", "#", "+/bob/in"])
def test_nobody_reads_the_inbox_of_another(demo: Gateway, join: Join, alice: Person, topic: str) -> None:
    bob = join(demo, "bob")
    alice.subscribe(topic)
    alice.say("bob: secret")
    bob.hears("secret")
    assert alice.do("battery").state == "done"
    assert not [message for message in alice.inbox if "secret" in str(message.get("body"))]


def test_two_people_at_once_get_each_their_own_answers(demo: Gateway, join: Join, alice: Person) -> None:
    bob = join(demo, "bob")
    names = [f"{n}" for n in range(20)]
    for name in names:
        for person in (alice, bob):
            person.say({"to": "rover", "body": "battery", "id": f"{person.address}-{name}"})
    for person in (alice, bob):
        own = [f"{person.address}-{name}" for name in names]
        assert {person.outcome(name, within=30).state for name in own} == {"done"}
        answered = [str(message.get("refid")) for message in person.inbox]
        assert sorted(name for name in answered if "-" in name) == sorted(own)
