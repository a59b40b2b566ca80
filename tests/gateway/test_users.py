"""Users, roles and secrets."""

from __future__ import annotations

from pathlib import Path

import pytest

from boardtalk import policy
from boardtalk.sdk import AddressError, Role
from boardtalk.users import UserError, Users


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


@pytest.mark.parametrize("content", [b"", b"{", b'{"a":1}', b"\xff\xfe"])
def test_a_damaged_file_is_reported_not_overwritten(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "users.json"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(UserError, match=r"users\.json"):
        Users.load(tmp_path)
    assert path.read_bytes() == content


def test_rights_rise_with_roles_and_anybody_may_stop() -> None:
    assert policy.allowed(Role.VIEWER, "query")
    assert not policy.allowed(Role.VIEWER, "motion")
    assert policy.allowed(Role.OPERATOR, "rearm")
    assert not policy.allowed(Role.OPERATOR, "admin")
    assert all(policy.allowed(role, "stop") for role in Role)
    assert not policy.allowed(None, "query")
