"""Users, roles and secrets."""

from __future__ import annotations

from pathlib import Path

import pytest

from boardtalk.broker.board_logins import BoardLogins
from boardtalk.people import policy
from boardtalk.people.users import UserError, Users
from boardtalk.sdk import AddressError, Role


def test_a_new_user_gets_a_token_that_survives_a_restart(tmp_path: Path) -> None:
    change = Users.load(tmp_path).change("add", "alice", Role.OPERATOR)
    account = Users.load(tmp_path).get("alice")
    assert account is not None
    assert account.token == change.token
    assert len(account.token) >= 22, "128 bit need 22 characters"


def test_secrets_are_readable_for_their_owner_only(tmp_path: Path) -> None:
    Users.load(tmp_path).change("add", "alice")
    path = tmp_path / "users.json"
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o644)
    with pytest.raises(UserError, match="chmod 600"):
        Users.load(tmp_path)


def test_a_renewed_token_replaces_the_old_one(tmp_path: Path) -> None:
    users = Users.load(tmp_path)
    first = users.change("add", "alice").token
    assert users.change("token", "alice").token != first


def test_the_configuration_declares_users_and_its_roles_win(tmp_path: Path) -> None:
    Users.load(tmp_path).change("add", "alice", Role.ADMIN)
    users = Users.load(tmp_path, {"alice": Role.VIEWER, "bob": Role.OPERATOR})
    assert users.role("alice") is Role.VIEWER
    assert users.role("bob") is Role.OPERATOR
    assert {account.address for account in users} == {"alice", "bob"}


def test_passwords_are_verified_and_not_kept(tmp_path: Path) -> None:
    users = Users.load(tmp_path)
    users.change("add", "alice")
    users.change("passwd", "alice", password="correct horse")
    assert users.verify("alice", "correct horse")
    assert not users.verify("alice", "wrong horse")
    assert not users.verify("mallory", "correct horse")
    assert "correct horse" not in (tmp_path / "users.json").read_text()


def test_a_user_without_password_has_no_password_login(tmp_path: Path) -> None:
    users = Users.load(tmp_path)
    users.change("add", "alice")
    assert not users.verify("alice", "")


@pytest.mark.parametrize(
    ("action", "address", "words"),
    [
        ("add", "alice", "already"),
        ("role", "bob", "no user 'bob'"),
        ("token", "bob", "known: alice"),
    ],
)
def test_mistakes_are_explained(tmp_path: Path, action: str, address: str, words: str) -> None:
    users = Users.load(tmp_path)
    users.change("add", "alice")
    with pytest.raises(UserError, match=words):
        users.change(action, address, Role.VIEWER)


def test_who_is_declared_is_changed_in_the_configuration_only(tmp_path: Path) -> None:
    users = Users.load(tmp_path, {"alice": Role.VIEWER})
    for action in ("remove", "role"):
        with pytest.raises(UserError, match="'alice' stands in the configuration"):
            users.change(action, "alice", Role.ADMIN)
    assert users.role("alice") is Role.VIEWER


def test_short_passwords_and_bad_names_are_refused(tmp_path: Path) -> None:
    users = Users.load(tmp_path)
    users.change("add", "alice")
    with pytest.raises(UserError, match="at least 8"):
        users.change("passwd", "alice", password="short")
    with pytest.raises(AddressError):
        users.change("add", "../etc/passwd")


def damage(*paths: Path) -> None:
    for path in paths:
        path.write_bytes(path.read_bytes()[:-5])


def test_one_damaged_file_takes_nobody_away_and_gives_nobody_anything_back(tmp_path: Path) -> None:
    users = Users.load(tmp_path)
    users.change("add", "alice", Role.OPERATOR)
    old = users.change("add", "bob", Role.ADMIN).token
    users.change("add", "mallory", Role.ADMIN)
    users.change("remove", "mallory")
    users.change("role", "bob", Role.VIEWER)
    users.change("token", "bob")
    for name in ("users.json", "users.json.copy"):
        damage(tmp_path / name)
        users = Users.load(tmp_path)
        assert name in users.damage
        assert {account.address: account.role for account in users} == {
            "alice": Role.OPERATOR,
            "bob": Role.VIEWER,
        }
        assert old not in {account.token for account in users}


def test_with_all_damaged_only_the_configuration_counts_and_no_old_token_does(tmp_path: Path) -> None:
    users = Users.load(tmp_path, {"alice": Role.OPERATOR})
    users.change("add", "bob", Role.ADMIN)
    old = {account.token for account in users}
    damage(tmp_path / "users.json", tmp_path / "users.json.copy")
    users = Users.load(tmp_path, {"alice": Role.OPERATOR})
    assert {account.address: account.role for account in users} == {"alice": Role.OPERATOR}
    assert old.isdisjoint(account.token for account in users)
    assert "boardtalk user token" in users.damage
    assert len(list(tmp_path.glob("*.damaged-*"))) == 2
    assert Users.load(tmp_path, {"alice": Role.OPERATOR}).damage == ""


def test_boards_whose_logins_are_damaged_may_not_log_in(tmp_path: Path) -> None:
    BoardLogins.load(tmp_path).renew("rover")
    damage(tmp_path / "boards.json")
    assert [login.address for login in BoardLogins.load(tmp_path)] == ["rover"]
    damage(tmp_path / "boards.json", tmp_path / "boards.json.copy")
    logins = BoardLogins.load(tmp_path)
    assert not list(logins)
    assert "boardtalk boards credentials" in logins.damage


def test_rights_rise_with_roles_and_anybody_may_stop() -> None:
    assert policy.allowed(Role.VIEWER, "query")
    assert not policy.allowed(Role.VIEWER, "motion")
    assert policy.allowed(Role.OPERATOR, "rearm")
    assert not policy.allowed(Role.OPERATOR, "admin")
    assert all(policy.allowed(role, "stop") for role in Role)
    assert not policy.allowed(None, "query")
