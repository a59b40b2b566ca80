"""Who may log in and what he may say and hear there, in each broker's own words.

What is right is decided in :mod:`boardtalk.people.policy`; `Login` lets only names and tokens through that
can't break out of a line or a string.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from boardtalk.broker.base import GATEWAY_LOGIN, LINK_LOGIN, Login
from boardtalk.people.policy import GATEWAY_TOPICS, LINK_TOPICS, Topics, board_topics, user_topics

if TYPE_CHECKING:
    from collections.abc import Iterable

_HASH_ITERATIONS: Final = 101
"""mosquitto's own default. Tokens are random: there is nothing that more would protect."""


class Grant(NamedTuple):
    """One login with its rights."""

    name: str
    password: str
    topics: Topics


def grants(gateway_password: str, link_password: str, logins: Iterable[Login]) -> list[Grant]:
    """The rights of the gateway and its link process, and those of all users and boards."""
    return [
        Grant(GATEWAY_LOGIN, gateway_password, GATEWAY_TOPICS),
        Grant(LINK_LOGIN, link_password, LINK_TOPICS),
        *(Grant(login.name, login.token, _topics(login)) for login in logins),
    ]


def _topics(login: Login) -> Topics:
    return board_topics(login.address) if login.board else user_topics(login.address, login.robots)


def nats_subjects(topic: str) -> list[str]:
    """The NATS subjects of an MQTT topic filter: `a/#` is also `a` itself."""
    subject = topic.replace("/", ".").replace("+", "*")
    return [subject[:-2], subject[:-1] + ">"] if subject.endswith(".#") else [subject]


def nats_user(grant: Grant) -> dict[str, Any]:
    """One entry of nats-server's `authorization.users`."""
    return {
        "user": grant.name,
        "password": grant.password,
        "allowed_connection_types": ["MQTT", "MQTT_WS"],
        "permissions": {
            "publish": [subject for topic in grant.topics.publish for subject in nats_subjects(topic)],
            "subscribe": [subject for topic in grant.topics.subscribe for subject in nats_subjects(topic)],
        },
    }


def mosquitto_acl(granted: Iterable[Grant]) -> str:
    """Mosquitto's `acl_file`."""
    lines = []
    for grant in granted:
        lines.append(f"user {grant.name}")
        lines += [f"topic write {topic}" for topic in grant.topics.publish]
        lines += [f"topic read {topic}" for topic in grant.topics.subscribe]
    return "\n".join(lines) + "\n"


def mosquitto_passwords(granted: Iterable[Grant]) -> str:
    """Mosquitto's `password_file`: hashes, no passwords."""
    return "".join(f"{grant.name}:{_mosquitto_hash(grant.password)}\n" for grant in granted)


def _mosquitto_hash(password: str) -> str:
    """Mosquitto's format 7: PBKDF2 with SHA-512."""
    salt = secrets.token_bytes(12)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _HASH_ITERATIONS)
    encoded = (base64.b64encode(part).decode() for part in (salt, digest))
    return "$".join(("", "7", str(_HASH_ITERATIONS), *encoded))
