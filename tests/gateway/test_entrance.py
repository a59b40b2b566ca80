"""Who gets in at the page: passwords, how often one may try, and the token of the first day."""

from __future__ import annotations

import hashlib
from pathlib import Path
from unittest.mock import patch

import pytest

from boardtalk.people.attempts import Attempts
from boardtalk.people.entrance import Entrance, NotAdmitted
from boardtalk.people.users import UserError, Users
from boardtalk.sdk import Role

HERE = "192.0.2.7"
PASSWORD = "correct horse"


class Clock:
    """Monotonic seconds that a test sets."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Users:
    """Two, whose passwords are hashed quickly."""
    monkeypatch.setattr("boardtalk.people.users._SCRYPT_N", 2)
    users = Users.load(tmp_path, {"pi": Role.ADMIN})
    users.change("add", "anna")
    users.change("passwd", "anna", password=PASSWORD)
    return users


@pytest.fixture
def entrance(users: Users, clock: Clock) -> Entrance:
    return Entrance(users, clock)


async def fails(entrance: Entrance, user: str, address: str = HERE) -> NotAdmitted:
    with pytest.raises(NotAdmitted) as refused:
        await entrance.verify(user, "wrong horse", address)
    return refused.value


async def test_who_knows_the_password_gets_in(entrance: Entrance) -> None:
    assert (await entrance.verify("anna", PASSWORD, HERE)).role is Role.VIEWER


async def test_s03_who_fails_five_times_waits_even_with_the_right_password(
    entrance: Entrance, clock: Clock
) -> None:
    for _ in range(5):
        assert not (await fails(entrance, "anna")).wait
    with pytest.raises(NotAdmitted, match="try again in 10 s"):
        await entrance.verify("anna", PASSWORD, HERE)
    clock.now += 10
    await entrance.verify("anna", PASSWORD, HERE)


async def test_s03_the_limit_of_an_account_counts_from_wherever_somebody_asks(entrance: Entrance) -> None:
    for number in range(5):
        await fails(entrance, "anna", f"192.0.2.{number}")
    assert (await fails(entrance, "anna", "192.0.2.99")).wait


async def test_s03_an_address_has_a_limit_whatever_names_it_tries(entrance: Entrance) -> None:
    for number in range(20):
        assert not (await fails(entrance, f"user{number}")).wait
    assert (await fails(entrance, "somebody")).wait
    assert not (await fails(entrance, "somebody", "192.0.2.8")).wait


async def test_s03_a_machine_can_not_try_from_all_addresses_of_its_ipv6_network(entrance: Entrance) -> None:
    for number in range(20):
        await fails(entrance, f"user{number}", f"2001:db8::{number}")
    assert (await fails(entrance, "somebody", "2001:db8::ffff")).wait
    assert not (await fails(entrance, "somebody", "2001:db8:0:1::1")).wait


async def test_who_types_his_password_right_is_never_limited(entrance: Entrance) -> None:
    for _ in range(30):
        await entrance.verify("anna", PASSWORD, HERE)


async def test_s03_an_unknown_user_is_told_and_costs_what_a_known_one_does(entrance: Entrance) -> None:
    with patch("hashlib.scrypt", wraps=hashlib.scrypt) as scrypt:
        known = await fails(entrance, "anna")
        unknown = await fails(entrance, "mallory")
        without_password = await fails(entrance, "pi")
    assert str(known) == str(unknown) == str(without_password)
    calls = [{**call.kwargs, "salt": len(call.kwargs["salt"])} for call in scrypt.call_args_list]
    assert len(calls) == 3
    assert calls[0] == calls[1] == calls[2]


def test_what_strangers_try_does_not_fill_the_memory(clock: Clock) -> None:
    attempts = Attempts(5, 10.0, clock)
    for number in range(30_000):
        attempts.take(f"name{number}")
    assert len(attempts._buckets) == 10_000


def test_s02_the_token_makes_an_admin_once(entrance: Entrance, users: Users) -> None:
    token = entrance.new_token()
    assert len(token) >= 22, "128 bit need 22 characters"
    assert entrance.set_up(token, "eve", PASSWORD, HERE).role is Role.ADMIN
    with pytest.raises(NotAdmitted, match="used up"):
        entrance.set_up(token, "mallory", PASSWORD, HERE)
    assert users.get("mallory") is None


def test_s02_the_token_lasts_for_15_minutes(entrance: Entrance, clock: Clock) -> None:
    token = entrance.new_token()
    clock.now += 15 * 60
    with pytest.raises(NotAdmitted, match="15 minutes"):
        entrance.set_up(token, "eve", PASSWORD, HERE)


def test_s02_a_new_token_replaces_the_old_one(entrance: Entrance) -> None:
    old, new = entrance.new_token(), entrance.new_token()
    with pytest.raises(NotAdmitted):
        entrance.set_up(old, "eve", PASSWORD, HERE)
    entrance.set_up(new, "eve", PASSWORD, HERE)


def test_s02_there_is_no_token_when_an_admin_can_log_in(entrance: Entrance, users: Users) -> None:
    token = entrance.new_token()
    users.change("passwd", "pi", password=PASSWORD)
    assert entrance.new_token() == ""
    for each in (token, ""):
        with pytest.raises(NotAdmitted):
            entrance.set_up(each, "eve", PASSWORD, HERE)


@pytest.mark.parametrize("token", ["", "x", "é" * 22], ids=["empty", "short", "not ASCII"])
def test_s02_no_other_token_does(entrance: Entrance, token: str) -> None:
    entrance.new_token()
    with pytest.raises(NotAdmitted):
        entrance.set_up(token, "eve", PASSWORD, HERE)


def test_who_runs_the_gateway_may_take_his_own_name(entrance: Entrance, users: Users) -> None:
    entrance.set_up(entrance.new_token(), "pi", PASSWORD, HERE)
    assert users.verify("pi", PASSWORD)


@pytest.mark.parametrize(
    ("user", "password", "reason"),
    [("anna", PASSWORD, "no admin"), ("eve", "short", "at least 8"), ("all", PASSWORD, "means something")],
)
def test_a_mistake_does_not_cost_the_token(
    entrance: Entrance, users: Users, user: str, password: str, reason: str
) -> None:
    token = entrance.new_token()
    before = [account.address for account in users]
    with pytest.raises((UserError, ValueError), match=reason):
        entrance.set_up(token, user, password, HERE)
    assert [account.address for account in users] == before
    entrance.set_up(token, "eve", PASSWORD, HERE)
