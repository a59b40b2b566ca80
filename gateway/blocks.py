"""What the gateway's own parts of a configuration take. Documents and help are made from this.

A field's name is the key in the file, the text below it one line of help; a `title` says in words
what a value must look like.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal, Self, TypeAlias

from msgspec import Meta

from boardtalk.sdk import Config, Role, check_address


class Address(str):
    """An address of the shared name space."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Check a text.

        Raises:
            AddressError: it can't be an address.
        """
        return super().__new__(cls, check_address(text))


Host = Annotated[
    str, Meta(pattern=r"^[A-Za-z0-9.:-]+$", title="a host name or address, such as 127.0.0.1")
]
Port = Annotated[int, Meta(ge=0, le=65535)]
"""0: any free port."""
Url = Annotated[
    str,
    Meta(
        pattern=r"^mqtts?://[A-Za-z0-9.\[\]:-]+$",
        title="mqtt://HOST, mqtts://HOST (encrypted), or either with :PORT",
    ),
]


class Gateway(Config):
    """The global keys: lines outside of all blocks."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """What is logged: this and what is worse."""
    history_days: Annotated[int, Meta(ge=1, le=3650)] = 30
    """Messages are kept for so many days."""


class ModuleOptions(Config):
    """What every `module` block takes beside the keys of the module."""

    on_fail: Literal["skip", "drop"] = "skip"
    """What becomes of a message when the module fails: skip the module, or drop the message."""
    required: bool = False
    """Whether the gateway refuses to start without this module."""


class LocalBroker(Config):
    """What all brokers take that the gateway runs itself."""

    host: Host = "127.0.0.1"
    """Where MQTT clients connect; 0.0.0.0 = on all networks of this machine."""
    port: Port = 1883
    """TCP port for MQTT; 0 = any free one."""
    websocket_port: Port | None = None
    """TCP port for MQTT over WebSocket; without it there is none."""


class EmbeddedBroker(LocalBroker):
    """``broker {}`` or ``broker embedded {}``: the broker that comes with boardtalk."""


class MosquittoBroker(LocalBroker):
    """``broker mosquitto {}``: the mosquitto of this machine, run by the gateway."""


class RemoteBroker(Config):
    """``broker { url = … }``: an MQTT broker that somebody else runs."""

    url: Url
    """Where it is."""
    username: str = ""
    """Login of the gateway there."""
    password_file: Path | None = None
    """File whose first line is the password."""
    ca_file: Path | None = None
    """Certificates to trust (PEM), in place of the system's."""


BrokerBlock: TypeAlias = EmbeddedBroker | MosquittoBroker | RemoteBroker


class Listen(Config):
    """`listen`: where the web page listens; one block for each address."""

    host: Host = "127.0.0.1"
    """Where browsers connect; 0.0.0.0 = on all networks of this machine."""
    port: Port = 8080
    """TCP port; 0 = any free one."""


class UserBlock(Config):
    """`user NAME`: a person; the name is the address."""

    role: Role = Role.VIEWER
    """A viewer chats, asks and stops; an operator commands robots; an admin manages all."""


class GroupBlock(Config):
    """`group NAME`: one address for several; the name is the address."""

    members: list[Address]
    """Who gets what is sent to the group."""
    owner: Address | None = None
    """Who may change it, beside admins."""


KINDS: Final[Mapping[str, type[Config]]] = {"user": UserBlock, "group": GroupBlock}
"""Kinds whose names are addresses. Modules add theirs."""

BROKERS: Final[Mapping[str, type[EmbeddedBroker | MosquittoBroker]]] = {
    "embedded": EmbeddedBroker,
    "mosquitto": MosquittoBroker,
}
"""Brokers that the gateway runs, by the name in ``broker NAME {}``."""
