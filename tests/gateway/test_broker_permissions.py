"""Who may say and hear what, as written for each broker."""

from __future__ import annotations

import string

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boardtalk.broker import BrokerError, Login
from boardtalk.broker.permissions import (
    grants,
    mosquitto_acl,
    mosquitto_passwords,
    nats_subjects,
    nats_user,
)
from boardtalk.people.policy import board_topics, user_topics
from boardtalk.sdk import AddressError, check_address

TOKEN = "t" * 32
NAMES = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,31}", fullmatch=True)
TOKENS = st.text(string.ascii_letters + string.digits + "_-", min_size=22, max_size=64)


@given(st.text(), st.text())
def test_names_and_tokens_that_could_break_out_of_a_file_are_no_logins(name: str, token: str) -> None:
    try:
        login = Login(name, token)
    except (AddressError, BrokerError):
        return
    assert set(login.address) <= set(string.ascii_lowercase + string.digits + "_-")
    assert set(login.token) <= set(string.ascii_letters + string.digits + "_-")


@pytest.mark.parametrize(
    "name", ["", "Alice", "a b", "a/b", "+", "#", "a\nuser root", "a.b", "_gateway", "a" * 33]
)
def test_what_is_no_address_is_no_login(name: str) -> None:
    with pytest.raises(AddressError):
        Login(name, TOKEN)


@pytest.mark.parametrize(
    "token", ["", "short", "x" * 21, "x" * 129, "with space and so on long", f"{TOKEN}\n"]
)
def test_a_token_that_can_be_guessed_or_not_be_written_is_refused(token: str) -> None:
    with pytest.raises(BrokerError, match="boardtalk user token alice"):
        Login("alice", token)


@given(st.dictionaries(NAMES, TOKENS, max_size=5))
def test_each_login_has_its_own_topics_and_no_others(users: dict[str, str]) -> None:
    written = mosquitto_acl(grants(TOKEN, TOKEN, [Login(*user) for user in users.items()]))
    rights: dict[str, list[str]] = {}
    for line in written.splitlines():
        word, _, rest = line.partition(" ")
        assert word in ("user", "topic")
        if word == "user":
            rights[name := rest] = []
        else:
            rights[name].append(rest)
    assert list(rights) == ["_gateway", "_link", *users]
    assert rights["_link"] == [
        "write boards/+/rx", "write boards/+/state",
        "read boards/+/tx", "read boards/+/status", "read chat/+/stop",
    ]  # fmt: skip
    for user in users:
        own = [right for right in rights[user] if right.startswith(("write ", "read chat/"))]
        assert all(right.split(" ", 1)[1].split("/")[1] == user for right in own)
        assert f"write chat/{user}/in" not in rights[user]


@given(st.dictionaries(NAMES, TOKENS, max_size=5))
def test_every_file_names_the_gateway_and_each_user_once(users: dict[str, str]) -> None:
    granted = grants(TOKEN, TOKEN, [Login(*user) for user in users.items()])
    passwords = mosquitto_passwords(granted)
    assert [line.partition(":")[0] for line in passwords.splitlines()] == ["_gateway", "_link", *users]
    assert not any(token in passwords for token in users.values()), "hashes only"
    decoded = msgspec.json.decode(msgspec.json.encode([nats_user(grant) for grant in granted]))
    assert [user["user"] for user in decoded] == ["_gateway", "_link", *users]
    assert all(user["permissions"]["publish"] for user in decoded), "an empty list would mean: everything"


@given(NAMES, NAMES)
def test_nobody_may_publish_where_others_read_or_speak(one: str, other: str) -> None:
    publish = user_topics(one).publish
    assert f"chat/{one}/in" not in publish
    if one != other:
        assert not set(publish) & set(user_topics(other).publish)
        assert not any(topic.startswith(f"chat/{other}/") for topic in user_topics(one).subscribe)


@given(NAMES, NAMES)
def test_a_board_speaks_and_hears_in_its_own_name_only(one: str, other: str) -> None:
    board = Login(one, TOKEN, board=True)
    assert board.name not in (one, other)
    topics = board_topics(one)
    assert all(topic.startswith(f"boards/{one}/") for topic in topics.publish + topics.subscribe)
    assert not any(sign in topic for topic in topics.publish + topics.subscribe for sign in "+#$")
    assert f"boards/{one}/rx" not in topics.publish + user_topics(one).publish
    written = mosquitto_acl(grants(TOKEN, TOKEN, [Login(one, TOKEN), board]))
    assert written.count(f"user {board.name}\n") == written.count(f"user {one}\n") == 1


@pytest.mark.parametrize(
    ("topic", "subjects"),
    [
        ("chat/alice/in", ["chat.alice.in"]),
        ("presence/+", ["presence.*"]),
        ("chat/alice/#", ["chat.alice", "chat.alice.>"]),
    ],
)
def test_mqtt_topics_become_nats_subjects(topic: str, subjects: list[str]) -> None:
    assert nats_subjects(topic) == subjects


def test_the_gateways_name_can_be_no_users() -> None:
    with pytest.raises(AddressError):
        check_address("_gateway")
