"""Rules who may what, changed on trial by an admin: in force at once, in the file when they are confirmed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boardtalk import conf
from boardtalk.frontends import control
from boardtalk.frontends.client import Denied, GatewayClient
from boardtalk.sdk import ConfigError, Role
from tests.gateway.town import town

TEXT = """# Who may what.
policy {
    roles = yes   # for now
}

# The slow ones.
grant slow {
    users = alice     # and nobody else
    robots = rover
    may = see
}
# The end.
"""
NEW = {"users": "bob", "robots": "arm", "may": "see, motion", "commands": None, "limits": "speed <= 20"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "conf").mkdir()
    path = tmp_path / "conf" / "gateway.conf"
    path.write_text(TEXT)
    return path


@pytest.fixture
async def root(tmp_path: Path, file: Path) -> AsyncIterator[GatewayClient]:
    async with town(tmp_path, file=file), GatewayClient.connect(tmp_path, "root", as_person=True) as client:
        yield client


async def change(client: GatewayClient, name: str, values: dict[str, str | None] | None) -> str:
    """Try it; its id."""
    trial = await client.ask(control.ChangeRights(name, values), control.SettingsOnTrial)
    return trial.pending.change


async def keep(client: GatewayClient, name: str, values: dict[str, str | None] | None) -> None:
    await client.ask(control.ConfirmSettings(await change(client, name, values)), control.SettingsKept)


async def may(client: GatewayClient, user: str, robot: str, command: str) -> str:
    return (await client.ask(control.Judge(user, robot, command), control.Judged)).reason


async def rules(client: GatewayClient) -> control.RightsList:
    return await client.ask(control.Rights(), control.RightsList)


async def test_a_list_has_all_rules_and_what_a_new_one_takes(root: GatewayClient) -> None:
    found = await rules(root)
    assert (found.roles, found.where.endswith("gateway.conf:2")) == (True, True)
    [slow] = found.rules
    assert (slow.name, slow.where.endswith("gateway.conf:7")) == ("slow", True)
    assert {each.key: each.value for each in slow.settings if each.given} == {
        "users": "alice",
        "robots": "rover",
        "may": "see",
    }
    assert [each.key for each in found.blank] == [each.key for each in slow.settings]
    assert {"see", "motion", "drive", "flash", "admin"} <= {*found.rights}


async def test_a_rule_is_added_changed_and_removed_and_comments_stay(root: GatewayClient, file: Path) -> None:
    await keep(root, "arm", NEW)
    lines = ("users = bob", "robots = arm", "may = see, motion", "limits = speed <= 20")
    block = "\n".join(("", "grant arm {", *(f"    {line}" for line in lines), "}", ""))
    assert file.read_text() == TEXT + block
    assert await may(root, "bob", "arm", "motion") == f"by grant arm ({file}:14), while speed <= 20"
    await keep(root, "slow", {"may": "see, motion"})
    assert file.read_text() == TEXT.replace("may = see\n", "may = see, motion\n") + block
    await keep(root, "", {"roles": "no"})
    await keep(root, "slow", None)
    kept = TEXT.replace("= yes ", "= no ").replace(
        TEXT[TEXT.index("grant slow") : TEXT.index("# The end")], ""
    )
    assert file.read_text() == kept + block
    assert "no grant gives alice `see` there" in await may(root, "alice", "rover", "see")
    assert (await root.ask(control.Reload(), control.Reloaded)).changes == []


async def test_what_is_tried_counts_at_once_and_is_taken_back(root: GatewayClient, file: Path) -> None:
    trial = await change(root, "arm", NEW)
    assert "by grant arm" in await may(root, "bob", "arm", "motion")
    assert (await rules(root)).pending is not None
    await root.ask(control.RevertSettings(trial), control.Reloaded)
    assert "needs the role operator" in await may(root, "bob", "arm", "motion")
    assert file.read_text() == TEXT
    lines = (await root.ask(control.Audit(text="grant arm"), control.AuditPage)).lines
    assert [each.what for each in lines] == ["settings on trial", "settings taken back"]


async def test_the_first_rule_brings_a_policy_by_which_it_only_adds(root: GatewayClient, file: Path) -> None:
    file.write_text("log_level = info\ngroup crew { members = alice }\n")
    await root.ask(control.Reload(), control.Reloaded)
    await keep(root, "arm", NEW)
    assert "\npolicy {\n    roles = yes\n}\n\ngrant arm {\n" in file.read_text()


@pytest.mark.parametrize(
    ("name", "values", "reason"),
    [
        (
            "arm",
            {**NEW, "may": "moton"},
            r"conf:1\d:5: may = 'moton': there is no right 'moton' to grant; did you",
        ),
        ("arm", {**NEW, "users": None}, "for whom?"),
        ("", None, "conf:4:1: who grants says first what roles are worth"),
        ("none", None, "there is no grant none"),
        ("b}\ngrant c", NEW, "can't read"),
        ("b", {**NEW, "users": "bob\n}\nuser eve {\nrole = admin"}, "can't be written by a program"),
    ],
)
async def test_what_is_wrong_changes_nothing(
    root: GatewayClient, file: Path, name: str, values: dict[str, str | None] | None, reason: str
) -> None:
    with pytest.raises(Denied, match=reason):
        await change(root, name, values)
    assert [each.name for each in (await rules(root)).rules] == ["slow"]
    assert file.read_text() == TEXT


async def test_s11_only_admins_see_and_change_the_rules(tmp_path: Path, root: GatewayClient) -> None:
    async with GatewayClient.connect(tmp_path, "alice", as_person=True) as alice:
        for request in (
            control.Rights(),
            control.ChangeRights("", {"roles": "yes"}),
            control.Judge("bob", "x"),
        ):
            with pytest.raises(
                Denied, match="alice may not administer this gateway: that needs the role admin"
            ):
                await alice.ask(request, control.Reply)


async def test_s11_the_last_admin_who_can_log_in_stays_one(tmp_path: Path, root: GatewayClient) -> None:
    for each in ("eve", "ida"):
        await root.ask(control.ChangeUser("add", each, Role.ADMIN), control.UserChanged)
    await root.ask(control.ChangeUser("passwd", "eve", password="correct horse"), control.UserChanged)
    for action in (control.ChangeUser("role", "eve", Role.VIEWER), control.ChangeUser("remove", "eve")):
        with pytest.raises(
            Denied, match="eve is the last admin who can log in: make somebody else one first"
        ):
            await root.ask(action, control.UserChanged)
    await root.ask(control.ChangeUser("passwd", "ida", password="correct horse"), control.UserChanged)
    await root.ask(control.ChangeUser("role", "eve", Role.VIEWER), control.UserChanged)


@pytest.mark.parametrize(
    ("user", "robot", "command", "reason"),
    [
        ("alice", "rover", "see", "by the role viewer"),
        ("root", "rover", "flash", "by the role admin"),
        ("alice", "rover", "stop", "by the role viewer"),
        (
            "alice",
            "rover",
            "rearm",
            "alice may not re-arm rover: `rearm` needs the role operator, or a grant",
        ),
        (
            "alice",
            "rover",
            "take over",
            "alice may not move rover: `motion` needs the role operator, or a grant",
        ),
    ],
)
async def test_it_is_explained(root: GatewayClient, user: str, robot: str, command: str, reason: str) -> None:
    assert (await may(root, user, robot, command)).startswith(reason)


async def test_who_asks_about_nobody_or_nothing_is_told(root: GatewayClient) -> None:
    with pytest.raises(Denied, match="there is no user 'zoe'"):
        await may(root, "zoe", "rover", "see")
    with pytest.raises(Denied, match="rover has no command 'fligt', nor is that a right"):
        await may(root, "alice", "rover", "fligt")


LINES = st.sampled_from(
    [
        "grant a {",
        "    may = see",
        "}",
        "# }",
        "policy { roles = no }",
        "",
        "grant b",
        "module x {",
        "  k = v # c",
    ]
)


@given(st.lists(LINES, max_size=12).map("\n".join), st.integers(0, 5))
def test_whatever_the_file_looks_like_one_block_goes_and_nothing_else_or_it_says_no(
    text: str, number: int
) -> None:
    try:
        before = conf.parse(text)
        after = conf.removed(text, "g.conf", number)
    except (ConfigError, IndexError):
        return
    left = [*before.blocks[:number], *before.blocks[number + 1 :]]
    assert [(each.title, each.items) for each in conf.parse(after).blocks] == [
        (each.title, each.items) for each in left
    ]


async def test_s11_two_admins_at_once_mix_no_rules_of_which_nobody_saw_the_sum(
    tmp_path: Path, root: GatewayClient, file: Path
) -> None:
    seen = {"users": "alice", "robots": "rover", "may": "see"}
    await root.ask(control.ChangeUser("add", "eve", Role.ADMIN), control.UserChanged)
    async with GatewayClient.connect(tmp_path, "eve", as_person=True) as eve:
        await keep(root, "slow", {"users": "*"})
        await keep(root, "horn", NEW)
        before = file.read_text()
        for name, values, was in (
            ("slow", {"may": "motion, drive"}, seen),  # it was Alice's when she decided
            ("slow", None, seen),
            ("horn", {"roles": "viewer", "robots": "*"}, {}),  # there was none
            ("gone", {"robots": "*"}, seen),
        ):
            with pytest.raises(Denied, match=f"grant {name} was changed by somebody else meanwhile"):
                await eve.ask(control.ChangeRights(name, values, seen=was), control.SettingsOnTrial)
        assert file.read_text() == before
        ask = control.ChangeRights("slow", {"may": "query"}, seen=seen | {"users": "*"})
        trial = await eve.ask(ask, control.SettingsOnTrial)
        with pytest.raises(Denied, match="a change of eve's to grant slow waits to be confirmed"):
            await change(root, "horn", None)
        await root.ask(control.RevertSettings(trial.pending.change), control.Reloaded)
        with pytest.raises(Denied, match="does not wait any more"):
            await eve.ask(control.ConfirmSettings(trial.pending.change), control.SettingsKept)


async def test_s11_a_file_with_a_mistake_leaves_the_rules_of_before_in_force(
    root: GatewayClient, file: Path
) -> None:
    before = await may(root, "alice", "rover", "rearm")
    for text, why in (
        (TEXT.replace("may = see", "may = all"), r"gateway\.conf:10:5: .*no right 'all'"),
        (TEXT.replace("robots =", "robotz ="), r"gateway\.conf:9:5: .*robots"),
        ("", "the configuration is empty: cut off as it was written"),
    ):
        file.write_text(text)
        with pytest.raises(Denied, match=why):
            await root.ask(control.Reload(), control.Reloaded)
        with pytest.raises(Denied, match=r"gateway\.conf"):
            await change(root, "slow", {"may": "motion"})
        assert file.read_text() == text
        assert await may(root, "alice", "rover", "rearm") == before
        listed = await root.ask(control.Rights(), control.RightsList)
        assert [each.name for each in listed.rules] == ["slow"]
