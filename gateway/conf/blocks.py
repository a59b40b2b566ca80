"""What the gateway's own parts of a configuration take. Documents and help are made from this.

A field's name is the key in the file. In its `msgspec.Meta`, `description` is a line of help and
`title` says in words what a value must look like.
"""

import ipaddress
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal, Self, TypeAlias

from msgspec import Meta

from boardtalk.people.policy import RIGHTS, Limit, Pattern, Right, Robots, Who
from boardtalk.sdk import Role, Settings, check_address


class Address(str):
    """An address of the shared name space."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Check a text.

        Raises:
            AddressError: it can't be an address.
        """
        return super().__new__(cls, check_address(text))


Host = Annotated[str, Meta(pattern=r"^[A-Za-z0-9.:-]+$", title="a host name or address, such as 127.0.0.1")]
HostName = Annotated[
    str, Meta(pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$", title="a host name, such as rover.example.org")
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


MEMORY_MB: Final = 256
"""Enough for a module with a library or two."""


class Gateway(Settings):
    """The global keys: lines outside of all blocks."""

    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Meta(description="what is logged: this and what is worse"),
    ] = "info"
    module_folders: Annotated[
        tuple[Path, ...],
        Meta(
            description="where further modules lie, as `NAME.py`, `NAME/__init__.py` or `mesibo_mod_NAME.so`"
        ),
    ] = ()
    history_days: Annotated[int, Meta(ge=1, le=3650, description="messages are kept for so many days")] = 30


class ModuleOptions(Settings):
    """What every `module` block takes beside the keys of the module."""

    on_fail: Annotated[
        Literal["skip", "drop"],
        Meta(description="when the module fails: skip it, or drop the message it failed on"),
    ] = "skip"
    verbosity: Annotated[
        int, Meta(ge=0, le=9, description="what the module says up to this level is logged; 0: the least")
    ] = 0
    required: Annotated[
        bool, Meta(description="whether the gateway refuses to start without this module")
    ] = False
    isolate: Annotated[
        bool,
        Meta(description="whether it runs in a process of its own, locked up: it harms nobody else"),
    ] = False
    memory_mb: Annotated[
        int, Meta(ge=32, le=1 << 20, description="isolated: MB of memory that it may have")
    ] = MEMORY_MB
    network: Annotated[bool, Meta(description="isolated: whether it may use the network")] = False
    devices: Annotated[
        tuple[Path, ...], Meta(description="isolated: devices, files and folders that it may read and write")
    ] = ()

    def __post_init__(self) -> None:
        """Raises ValueError if something is granted that only an isolated module needs."""
        if not self.isolate and (self.memory_mb, self.network, self.devices) != (MEMORY_MB, False, ()):
            raise ValueError("`memory_mb`, `network` and `devices` are for modules with `isolate = yes`")


class LocalBroker(Settings):
    """What all brokers take that the gateway runs itself."""

    host: Annotated[Host, Meta(description="where MQTT clients connect; 0.0.0.0: on all networks")] = (
        "127.0.0.1"
    )
    port: Annotated[Port, Meta(description="TCP port for MQTT; 0: any free one")] = 1883
    websocket_port: Annotated[
        Port | None, Meta(description="TCP port for MQTT over WebSocket; without it there is none")
    ] = None


class EmbeddedBroker(LocalBroker):
    """``broker {}`` or ``broker embedded {}``: the broker that comes with boardtalk."""


class MosquittoBroker(LocalBroker):
    """``broker mosquitto {}``: the mosquitto of this machine, run by the gateway."""


class RemoteBroker(Settings):
    """``broker { url = … }``: an MQTT broker that somebody else runs."""

    url: Annotated[Url, Meta(description="where it is")]
    username: Annotated[str, Meta(description="login of the gateway there")] = ""
    password_file: Annotated[Path | None, Meta(description="file whose first line is the password")] = None
    ca_file: Annotated[
        Path | None, Meta(description="certificates to trust (PEM), in place of the system's")
    ] = None


BrokerBlock: TypeAlias = EmbeddedBroker | MosquittoBroker | RemoteBroker


class Listen(Settings):
    """`listen`: where the web page is served. Without this block there is none."""

    host: Annotated[
        Host, Meta(description="where browsers connect; 0.0.0.0: on all networks, which takes `tls`")
    ] = "127.0.0.1"
    port: Annotated[Port, Meta(description="TCP port of the page; 0: any free one")] = 8080
    stop_port: Annotated[
        Port | None, Meta(description="TCP port of its stop button; without it `port` + 1")
    ] = None
    tls: Annotated[
        bool, Meta(description="whether it is encrypted; `boardtalk tls` makes what that takes")
    ] = False
    certificate: Annotated[
        Path | None, Meta(description="with `tls`: a certificate of your own (PEM), with those above it")
    ] = None
    key: Annotated[Path | None, Meta(description="with `certificate`: its key (PEM)")] = None
    names: Annotated[
        tuple[HostName, ...],
        Meta(description="names by which browsers find it, beside this machine's own and its addresses"),
    ] = ()
    plain: Annotated[
        bool, Meta(description="whether passwords may cross networks unencrypted, if `tls` is off")
    ] = False

    def __post_init__(self) -> None:
        """Raises ValueError if passwords would go over a network as they are, or keys don't fit."""
        if not (self.tls or self.plain or is_loopback(self.host)):
            raise ValueError(
                f"passwords would cross the network unencrypted on {self.host}: `boardtalk tls`, then "
                "`tls = yes`; or, where you trust everybody, `plain = yes`"
            )
        if bool(self.certificate) != bool(self.key) or (self.certificate and not self.tls):
            raise ValueError("`certificate` and `key` belong together, and to `tls = yes`")
        if self.port and self.port == self.stop_port:
            raise ValueError("`stop_port` is another port than `port`")


def is_loopback(host: str) -> bool:
    """Whether only this machine can connect there."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class UserBlock(Settings):
    """`user NAME`: a person; the name is the address."""

    role: Annotated[
        Role, Meta(description="viewers chat, ask and stop; operators command; admins manage")
    ] = Role.VIEWER


class GroupBlock(Settings):
    """`group NAME`: one address for several; the name is the address."""

    members: Annotated[
        list[Address],
        Meta(
            description="users who get what is sent to the group, and robots that its `stop` stops; at first"
        ),
    ]
    delivery: Annotated[
        Literal["all", "one"],
        Meta(description="who gets a message: all members, or one, in turn, of those who are online"),
    ] = "all"
    owner: Annotated[
        Address | None, Meta(description="who may take people in and out by `/group`, beside admins")
    ] = None


class AllowBlock(Settings):
    """`allow NAME`: a module that may be loaded. With one such block, others from elsewhere may not."""

    sha256: Annotated[
        str,
        Meta(
            pattern="^[0-9a-f]{64}$",
            title="64 hex digits, as `boardtalk modules digest NAME` tells them",
            description="of its files",
        ),
    ]


class PolicyBlock(Settings):
    """`policy`: what roles are worth. At most one; whoever writes grants says so first."""

    roles: Annotated[
        bool,
        Meta(
            description="`yes`: roles carry their rights with all robots, and grants add to that; `no`: what "
            "viewers and operators may with robots, grants alone say"
        ),
    ]


class GrantBlock(Settings):
    """`grant NAME`: rights with robots. The name is for people."""

    robots: Annotated[
        tuple[Robots, ...],
        Meta(
            title="names with commas",
            description="robots it is about; `*` stands for anything, as in `rover-*`",
        ),
    ]
    users: Annotated[
        tuple[Who, ...],
        Meta(title="names with commas", description="users and groups it is for; `*`: everybody"),
    ] = ()
    roles: Annotated[tuple[Role, ...], Meta(description="roles it is for")] = ()
    may: Annotated[
        tuple[Right, ...],
        Meta(
            title=f"with commas between, of {', '.join(RIGHTS)}",
            description="rights; commands take the one that their class names; who has any sees the robot",
        ),
    ] = ()
    commands: Annotated[
        tuple[Pattern, ...],
        Meta(
            title="names with commas",
            description="further commands by their names, whatever their class, with `*` as above",
        ),
    ] = ()
    limits: Annotated[
        tuple[Limit, ...],
        Meta(
            title="with commas between, such as `speed <= 20`, `angle >= -90`, `gear = low|middle`",
            description="what arguments may be, also of live control, in the units that the board declares",
        ),
    ] = ()

    def __post_init__(self) -> None:
        """Raises ValueError if it is for nobody, or grants nothing."""
        if not (self.users or self.roles):
            raise ValueError("for whom? `users` or `roles` says it")
        if not (self.robots and (self.may or self.commands)):
            raise ValueError("it grants nothing: `robots`, and `may` or `commands` say what")


KINDS: Final[Mapping[str, type[Settings]]] = {"user": UserBlock, "group": GroupBlock}
"""Kinds whose names are addresses. Modules add theirs."""

BROKERS: Final[Mapping[str, type[EmbeddedBroker | MosquittoBroker]]] = {
    "embedded": EmbeddedBroker,
    "mosquitto": MosquittoBroker,
}
"""Brokers that the gateway runs, by the name in ``broker NAME {}``."""
