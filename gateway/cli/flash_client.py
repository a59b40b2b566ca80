"""What `boardtalk flash client` and `flash write --client` are told, and the jobs that follow from it."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, fields, replace
from getpass import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

from boardtalk.cli import logins
from boardtalk.cli.common import errors
from boardtalk.flash.errors import Code, FlashError
from boardtalk.flash.provision import ClientJob
from boardtalk.sdk.provision import Order, ProvisionError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Sequence

    from boardtalk.boards import BoardFile
    from boardtalk.flash.job import Job

VARIABLE: Final = "BOARDTALK_WIFI_PASSWORD"
"""The environment variable. An option would stand in the list of processes."""
PLATFORMS: Final = {"stm32": "pyboard", "unix": ""}
"""Where `sys.platform` has another name than the port; "": it may be any."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Client:
    """What a board shall get besides the client."""

    robot: Annotated[
        tuple[Path, ...],
        Parameter(
            consume_multiple=True,
            help="The robot's program: its folder, or its files, main.py too.",
        ),
    ] = ()
    name: Annotated[str, Parameter(help="Its address from now on.")] = ""
    ota: Annotated[bool, Parameter(help="With the loader: `boardtalk ota push` can update it.")] = False
    mqtt: Annotated[bool, Parameter(help="By the broker, with a login that the gateway makes.")] = False
    wifi: Annotated[str, Parameter(help="Name of the Wi-Fi; its password is asked for.")] = ""
    wifi_password_file: Annotated[
        Path | None, Parameter(help=f"The password's file; else ${VARIABLE}, or it is asked for.")
    ] = None
    host: Annotated[str, Parameter(help="What the board calls the broker's machine.")] = ""
    ca: Annotated[
        Path | None, Parameter(help="Certificate of the authority of a broker with TLS, in DER.")
    ] = None

    @property
    def named(self) -> list[str]:
        """The options that were given."""
        return [f"--{each.name.replace('_', '-')}" for each in fields(self) if getattr(self, each.name)]


NONE: Final = Client()


def orders(
    ports: Sequence[str],
    client: Client,
    state: Path,
    stop: asyncio.Event,
    kinds: Sequence[Sequence[BoardFile]],
) -> list[Order]:
    """What each board gets.

    Args:
        ports: where they are.
        client: what they get.
        state: the gateway's state folder.
        stop: set when nobody wants it any more.
        kinds: what may be at each port; empty: any board.

    Raises:
        FlashError: the options contradict each other, or a file can't be read.
    """
    if client.name and len(ports) > 1:
        raise FlashError(Code.NAME, f"{len(ports)} boards can't all be {client.name}", "one --port at a time")
    if client.mqtt and not client.name:
        raise FlashError(Code.NAME, "--mqtt makes a login for a --name", "as in `board NAME { port = mqtt }`")
    if not client.mqtt and (client.wifi or client.host or client.ca):
        raise FlashError(Code.UNSUPPORTED, "--wifi, --host and --ca are for a board with --mqtt")
    if missing := [path for path in client.robot if not path.exists()]:
        raise FlashError(Code.BAD_IMAGE, f"{missing[0]}: no such file or folder")
    password = _password(client) if client.wifi else ""
    authority = _read(client.ca) if client.ca else b""
    return [
        Order(
            port=port,
            state=state,
            robot=client.robot,
            name=client.name,
            loader=client.ota,
            platform=_platform(boards),
            login=_login(client, state, password) if client.mqtt else None,
            authority=authority,
            stop=stop,
        )
        for port, boards in zip(ports, kinds, strict=True)
    ]


def jobs(first: Sequence[Job], client: Client, stop: asyncio.Event) -> list[ClientJob]:
    """Jobs of which a client is the second part."""
    made = orders([job.port for job in first], client, first[0].state, stop, [job.boards for job in first])
    return [
        ClientJob(order, replace(job, wait_s=0), job.wait_s, job.by)
        for order, job in zip(made, first, strict=True)
    ]


def _platform(boards: Sequence[BoardFile]) -> str:
    """What `sys.platform` is on all of them; "": that differs, or nobody said what it is."""
    names = {PLATFORMS.get(board.definition.port, board.definition.port) for board in boards}
    return names.pop() if len(names) == 1 else ""


def _password(client: Client) -> str:
    """Of the Wi-Fi, from wherever it is not seen. Raises FlashError."""
    if client.wifi_password_file is not None:
        return _read(client.wifi_password_file).decode(errors="replace").rstrip("\r\n")
    if VARIABLE in os.environ:
        return os.environ[VARIABLE]
    if not sys.stdin.isatty():
        raise FlashError(
            Code.UNSUPPORTED,
            f"the password of {client.wifi} can't be asked for: there is no terminal",
            f"--wifi-password-file FILE, or ${VARIABLE}",
        )
    return getpass(f"Password of the Wi-Fi {client.wifi} (it is not shown): ")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise FlashError(Code.DISK, f"{path}: can't be read ({error.strerror})") from error


def _login(client: Client, state: Path, password: str) -> Callable[[], Awaitable[bytes]]:
    async def made() -> bytes:
        changed = await logins.change(client.name, state)
        if changed.tls and client.ca is None:
            raise ProvisionError(
                "unsupported",
                "the broker has TLS: the board needs the certificate of its authority",
                "`openssl x509 -in ca.pem -outform der -out broker.der`, then --ca broker.der",
            )
        host = logins.host_of(changed, client.host)
        if not changed.own:
            errors.print(logins.NOT_OURS, soft_wrap=True)
        if host in logins.LOOPBACK:
            errors.print(logins.THIS_MACHINE_ONLY, soft_wrap=True)
        return logins.settings(changed, host, client.wifi, password)

    return made
