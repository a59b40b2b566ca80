"""Who may what: grants beside what roles carry, deny by default."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boardtalk import conf, loader
from boardtalk.people import personal
from boardtalk.people.directory import Directory
from boardtalk.people.policy import GRANTS, RIGHTS, Grant, Limit, Policy, Wish
from boardtalk.people.users import Users
from boardtalk.sdk import SYSTEM, ArgumentInfo, CommandInfo, ConfigError, Contact, Kind, Role

TEXT = """policy { roles = no }
group crew { members = anna }
grant slow {
    users = crew
    robots = rover-*
    may = motion, drive
    limits = speed <= 20, gear = low|middle
}
grant lamp {
    roles = viewer
    robots = rover-1
    commands = lamp_*
}
"""

NAMES = st.sampled_from(["anna", "ben", "crew", "*"])
ROBOTS = st.sampled_from(["rover", "rover-1", "arm", "*", "rover*"])
VALUES = st.one_of(st.integers(-9, 9), st.floats(-9, 9), st.booleans(), st.sampled_from(["low", "high"]))
LIMITS = st.builds(
    lambda name, how, bound: Limit(f"{name} {how} {bound}"),
    st.sampled_from(["speed", "angle"]),
    st.sampled_from(["<=", ">="]),
    st.integers(-9, 9),
)
GRANTED = st.builds(
    Grant,
    name=st.just("some"),
    users=st.lists(NAMES, max_size=2).map(tuple),
    roles=st.lists(st.sampled_from([Role.VIEWER, Role.OPERATOR]), max_size=1).map(tuple),
    robots=st.lists(ROBOTS, min_size=1, max_size=2).map(tuple),
    may=st.frozensets(st.sampled_from(RIGHTS), max_size=3),
    commands=st.lists(st.sampled_from(["forward", "lamp*"]), max_size=1).map(tuple),
    limits=st.lists(LIMITS, max_size=2).map(tuple),
)
SOME = st.lists(GRANTED, max_size=4).map(tuple)
WISHES = st.builds(
    Wish,
    action=st.sampled_from(["stop", *RIGHTS]),
    to=st.sampled_from(["rover", "rover-1", "arm", SYSTEM]),
    command=st.sampled_from(["", "forward", "lamp_on"]),
    values=st.none() | st.dictionaries(st.sampled_from(["speed", "angle"]), VALUES),
)
ROLES = st.sampled_from([Role.VIEWER, Role.OPERATOR, None])
GROUPS = st.sampled_from([(), ("crew",)])


def may(
    policy: Policy, wish: Wish, role: Role | None, groups: tuple[str, ...] = (), who: str = "anna"
) -> bool:
    return policy.judge(policy.person(who, role, groups), wish).granted


@given(WISHES, st.sampled_from([Role.VIEWER, Role.OPERATOR]), st.booleans())
def test_s11_without_a_grant_nobody_may_more_than_his_role_carries(
    wish: Wish, role: Role, roles: bool
) -> None:
    granted = may(Policy(roles), wish, role)
    assert granted <= (wish.action in GRANTS[role])
    if not roles and wish.to != SYSTEM:
        assert granted == (wish.action == "stop")


@given(WISHES, ROLES, GROUPS, st.builds(Policy, roles=st.booleans(), grants=SOME), st.sets(st.integers(0, 3)))
def test_s11_with_a_grant_less_nobody_may_more(
    wish: Wish, role: Role | None, groups: tuple[str, ...], before: Policy, fewer: set[int]
) -> None:
    after = replace(before, grants=tuple(each for at, each in enumerate(before.grants) if at not in fewer))
    assert may(after, wish, role, groups) <= may(before, wish, role, groups)
    assert may(replace(before, roles=False), wish, role, groups) <= may(before, wish, role, groups)
    assert may(before, wish, role, ()) <= may(before, wish, role, ("crew",)), "a group only adds"


@given(WISHES, st.booleans(), SOME, GROUPS)
def test_s11_everybody_may_stop_admins_may_everything_and_strangers_nothing(
    wish: Wish, roles: bool, grants: tuple[Grant, ...], groups: tuple[str, ...]
) -> None:
    policy = Policy(roles, grants)
    for role in Role:
        assert may(policy, wish._replace(action="stop"), role, groups)
    assert may(policy, wish, Role.ADMIN)
    assert not may(policy, wish, None, groups)


@given(WISHES, SOME, GROUPS)
def test_s11_whoever_may_anything_with_a_robot_sees_it(
    wish: Wish, grants: tuple[Grant, ...], groups: tuple[str, ...]
) -> None:
    policy = Policy(roles=False, grants=grants)
    if wish.action != "stop":
        assert may(policy, wish, Role.VIEWER, groups) <= may(
            policy, Wish("see", wish.to), Role.VIEWER, groups
        )


def written(text: str = TEXT) -> Policy:
    return conf.policy(conf.parse(text, "g.conf"))


@pytest.mark.parametrize(
    ("wish", "rule"),
    [
        (Wish("motion", "rover-1", "forward", {"speed": 20}), "grant slow (g.conf:3)"),
        (Wish("motion", "rover-1", "turn", {"angle": 900}), "grant slow (g.conf:3)"),
        (Wish("motion", "rover-2", "shift", {"gear": "middle"}), "grant slow (g.conf:3)"),
        (Wish("drive", "rover-1", "drive", {"speed": -5.5}), "grant slow (g.conf:3)"),
        (Wish("see", "rover-2"), "grant slow (g.conf:3)"),
        (Wish("action", "rover-1", "lamp_on"), "grant lamp (g.conf:9)"),
    ],
)
def test_a_verdict_names_the_grant_that_counts(wish: Wish, rule: str) -> None:
    policy = written()
    assert policy.judge(policy.person("anna", Role.VIEWER, ["crew"]), wish).rule == rule


def missing(right: str, robot: str) -> str:
    return f"no grant gives anna `{right}` there; an admin can write a grant with `{right}` for {robot}"


FORWARD = "tell rover-1 to forward: grant slow (g.conf:3) says speed <= 20, and it is"


@pytest.mark.parametrize(
    ("wish", "reason"),
    [
        (Wish("motion", "rover-1", "forward", {"speed": 21}), f"{FORWARD} 21"),
        (Wish("motion", "rover-1", "forward", {"speed": float("nan")}), f"{FORWARD} nan"),
        (
            Wish("motion", "rover-2", "shift", {"gear": "high"}),
            "tell rover-2 to shift: grant slow (g.conf:3) says gear = low|middle, and it is high",
        ),
        (
            Wish("rearm", "rover-1"),
            f"re-arm rover-1: {missing('rearm', 'rover-1')}",
        ),
        (
            Wish("action", "rover-2", "lamp_on"),
            f"tell rover-2 to lamp_on: {missing('action', 'rover-2')}",
        ),
        (Wish("admin", SYSTEM), "administer this gateway: that needs the role admin"),
    ],
)
def test_a_refusal_says_who_what_which_rule_and_what_would_help(wish: Wish, reason: str) -> None:
    policy = written()
    verdict = policy.judge(policy.person("anna", Role.VIEWER, ["crew"]), wish)
    assert (verdict.granted, verdict.reason) == (False, f"anna may not {reason}")


P = "policy { roles = no }\n"
A = f"{P}grant a {{\nusers = anna\nrobots = *\n"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (A.removeprefix(P) + "may = see\n}", "1:1: who grants says first what roles are worth: "),
        ("policy x { roles = no }", "1:1: `policy` takes no name: 'x' is too much"),
        (f"{P}{P}", "2:1: a second policy; there can be one, and g.conf:1 has it"),
        ("policy", "1:1: 'policy' lacks the key 'roles': expected yes or no"),
        (f"{P}grant {{ may = see }}", "2:1: `grant` needs a name"),
        (
            f"{A}may = see, moton\n}}",
            "5:1: may = 'see, moton': there is no right 'moton' to grant; did you mean motion?",
        ),
        (
            f"{A}may = stop\n}}",
            "5:1: may = 'stop': there is no right 'stop' to grant; stop needs no grant: everybody may.",
        ),
        (
            f"{A}limits = speed < 3\n}}",
            "5:1: limits = 'speed < 3': 'speed < 3' is no limit: write `speed <= 20`",
        ),
        (
            f"{A}limits = speed <= 3 cm\n}}",
            "5:1: limits = 'speed <= 3 cm': 'speed <= 3 cm': '3 cm' is no number, in the unit that",
        ),
        (A.replace("anna", "Anna") + "may = see\n}", "3:1: users = 'Anna': "),
        (A.replace("users", "user") + "may = see\n}", "3:1: unknown key 'user'; did you mean 'users'?"),
        (f"{A}may = see\n}}".replace("users = anna\n", ""), "2:1: for whom? `users` or `roles` says it"),
        (f"{A}}}", "2:1: it grants nothing: `robots`, and `may` or `commands` say what"),
        (
            f"{A}may = see\n}}\n" + A.removeprefix(P) + "may = see\n}",
            "7:1: there is a grant 'a' already: g.conf:2",
        ),
    ],
)
def test_each_mistake_in_a_rule_is_named_with_its_place_and_the_cure(text: str, error: str) -> None:
    document = conf.parse(text, "g.conf")
    found = loader.problems(document)
    assert str(found[0]).startswith(f"g.conf:{error}")
    with pytest.raises(ConfigError, match=re.escape(str(found[0]))):
        conf.policy(document)


def test_a_grant_for_nobody_known_is_a_warning() -> None:
    document = conf.parse(TEXT.replace("users = crew", "users = crew, ann"), "g.conf")
    warnings = [str(each) for each in conf.unknown_members(document, ["anna"])]
    assert warnings == [
        "g.conf:4:5: users: no block makes 'ann' a user (did you mean 'anna'?); `boardtalk user add` can"
    ]


ROVER = Contact(
    address="rover-1",
    kind=Kind.ROBOT,
    commands=(
        CommandInfo(
            name="forward",
            cls="motion",
            args=(
                ArgumentInfo(name="speed", type="int", min=1, max=100),
                ArgumentInfo(name="gear", type="choice", choices=("low", "middle", "high")),
                ArgumentInfo(name="distance", type="int", max=500),
            ),
        ),
        CommandInfo(name="horn", cls="action"),
        CommandInfo(name="lamp_on", cls="action"),
    ),
    controls=(
        CommandInfo(
            name="drive", cls="motion", args=(ArgumentInfo(name="speed", type="float", min=-100, max=100),)
        ),
    ),
)


def test_a_person_s_entry_of_a_robot_has_his_rights_and_the_ranges_that_he_may_use() -> None:
    policy = written()
    seen = personal.entry(ROVER, policy, policy.person("anna", Role.VIEWER, ["crew"]))
    assert seen.rights == ("see", "motion", "drive")
    assert [each.allowed for each in seen.commands] == [True, False, True]
    speed, gear, distance = seen.commands[0].args
    assert (speed.min, speed.max, gear.choices, distance.max) == (1, 20, ("low", "middle"), 500)
    assert (seen.controls[0].args[0].min, seen.controls[0].args[0].max) == (-100, 20)


def test_with_two_grants_the_range_takes_in_both() -> None:
    fast = "grant fast {\n users = anna\n robots = *\n commands = forward\n limits = speed <= 60\n}\n"
    policy = written(TEXT + fast)
    seen = personal.entry(ROVER, policy, policy.person("anna", Role.VIEWER, ["crew"]))
    assert (seen.commands[0].args[0].max, seen.commands[0].args[1].choices) == (60, ("low", "middle", "high"))
    assert seen.controls[0].args[0].max == 20


def test_of_an_operator_nothing_is_narrowed_while_roles_count() -> None:
    policy = written(TEXT.replace("roles = no", "roles = yes"))
    seen = personal.entry(ROVER, policy, policy.person("oscar", Role.OPERATOR))
    assert seen == replace_rights(ROVER)


def replace_rights(contact: Contact) -> Contact:
    rights = tuple(each for each in RIGHTS if each in GRANTS[Role.OPERATOR])
    return Contact(
        **{name: getattr(contact, name) for name in contact.__struct_fields__} | {"rights": rights}
    )


def test_s11_a_pattern_lets_read_the_state_of_each_robot_that_has_been_here(tmp_path: Path) -> None:
    """A broker knows exact names only; that a robot is gone for a while cuts off nobody who listens."""
    users = Users.load(tmp_path, {"ana": Role.OPERATOR, "adam": Role.ADMIN, "eve": Role.VIEWER})
    directory, met = Directory(users, {}), []
    directory.on_new_robot(lambda: met.append(1))
    grant = Grant(name="some", users=("ana",), robots=("arm", "rov*"), may=frozenset({"query"}))
    directory.set_policy(Policy(roles=False, grants=(grant,)))
    assert directory.states("ana") == ("arm",)
    for _ in range(2):
        for name, kind in (("rover", Kind.ROBOT), ("rovio", Kind.SERVICE), ("lamp", Kind.ROBOT)):
            directory.register("bridge", Contact(address=name, kind=kind, online=True))
    assert len(met) == 2
    directory.unregister("bridge", "rover")
    assert directory.states("ana") == ("arm", "rover")
    assert (directory.states("adam"), directory.states("eve"), directory.states("nobody")) == (None, (), ())
    directory.set_policy(Policy())
    assert directory.states("eve") is None
