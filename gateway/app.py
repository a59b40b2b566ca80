"""Wires a gateway together. The only file that knows all the parts."""

from __future__ import annotations

import asyncio
import signal
from contextlib import AsyncExitStack
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import structlog

from boardtalk import broker, conf, loader, logs
from boardtalk.context import ModuleContext
from boardtalk.directory import Directory
from boardtalk.frontends.intake import Intake
from boardtalk.frontends.local import LocalDoor
from boardtalk.frontends.mqtt import MqttDoor
from boardtalk.hub import Hub
from boardtalk.sdk import Role
from boardtalk.state import locked
from boardtalk.store import Store
from boardtalk.users import UserError, Users

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from boardtalk.sdk import Config

log = structlog.get_logger()


class Endpoints(msgspec.Struct, kw_only=True):
    """Where a running gateway listens; also in ``endpoints.json`` of the state folder."""

    mqtt: str | None
    """``host:port``; None while there is no broker."""
    modules: list[str]


def find_conf(given: Path | None) -> Path:
    """The configuration file to use: the given one, else the first of the usual places."""
    if given is not None:
        return given
    for path in (Path("conf/gateway.conf"), Path("/etc/boardtalk/gateway.conf")):
        if path.is_file():
            return path
    return Path(str(resources.files("boardtalk.defaults") / "gateway.conf"))


async def serve(
    document: conf.Document,
    folder: Path,
    *,
    local_user: str,
    ready: Callable[[Endpoints], None],
) -> int:
    """Run a gateway until SIGINT or SIGTERM.

    Args:
        document: the configuration.
        folder: the state folder.
        local_user: address of the person at this machine; becomes an operator if unknown.
        ready: called once when everything works.

    Raises:
        BoardtalkError: it can't start; the text says what to do.
    """
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    try:
        async with AsyncExitStack() as stack:
            endpoints = await _start(stack, document, folder, local_user)
            path = folder / "endpoints.json"
            path.write_bytes(msgspec.json.encode(endpoints))
            stack.callback(path.unlink, missing_ok=True)
            ready(endpoints)
            await stopping.wait()
            log.info("stopping")
    except ExceptionGroup as group:
        raise _first(group) from group
    return 0


def _first(error: Exception) -> Exception:
    """The error inside the groups that task groups put around it."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error


async def _start(stack: AsyncExitStack, document: conf.Document, folder: Path, local_user: str) -> Endpoints:
    """Start the parts in the order in which data needs them; `stack` ends them in reverse."""
    modules = loader.available()
    settings = conf.settings(document.globals, conf.Gateway)
    logs.configure(settings.log_level)
    for warning in document.warnings:
        log.warning("configuration", where=str(warning))
    instances = loader.plan(document, modules)
    blocks = loader.module_blocks(document, modules.values())

    stack.enter_context(locked(folder))
    users = Users.load(folder / "secrets", _declared_users(document, local_user))
    _check_names(document, blocks, users)
    directory = Directory(users, _groups(document))
    store = await stack.enter_async_context(
        Store.open(folder / "store.db", history_days=settings.history_days)
    )
    tasks = await stack.enter_async_context(asyncio.TaskGroup())
    hub = await stack.enter_async_context(Hub(store, directory))
    intake = await stack.enter_async_context(Intake(hub, folder))

    contexts: list[ModuleContext] = []

    def context_for(instance: str, position: int) -> ModuleContext:
        context = ModuleContext(hub, tasks, instance=instance, position=position, state=folder, blocks=blocks)
        contexts.append(context)
        stack.callback(context.cancel)
        return context

    chain, started = await stack.enter_async_context(loader.running(instances, context_for))
    hub.load(chain, started)
    running = await _start_broker(stack, document, folder, users)
    if running:
        await stack.enter_async_context(MqttDoor(running.endpoint, hub, intake))

    def users_changed() -> None:
        if running:
            running.reload(_logins(users))

    await stack.enter_async_context(LocalDoor(hub, intake, users, users_changed).listening(folder))
    return Endpoints(mqtt=str(running.endpoint) if running else None, modules=list(started))


def _check_names(document: conf.Document, blocks: Mapping[str, Mapping[str, Config]], users: Users) -> None:
    """See that no user has the name of a board or group of the configuration.

    Raises:
        UserError: one has.
    """
    named = [(kind, name) for kind, found in blocks.items() for name in found]
    for kind, name in (*named, *(("group", block.name) for block in document.of("group"))):
        if users.get(name):
            raise UserError(
                f"{name!r} is a user, and a {kind} in the configuration: "
                f"`boardtalk user remove {name}`, or call the {kind} otherwise"
            )


async def _start_broker(
    stack: AsyncExitStack, document: conf.Document, folder: Path, users: Users
) -> broker.Broker | None:
    """The broker of the configuration, in service; None if it names none."""
    blocks = document.of("broker")
    if not blocks:
        return None
    made = broker.create(conf.broker_settings(blocks[0]), folder, _logins(users))
    return await stack.enter_async_context(made)


def _logins(users: Users) -> list[broker.Login]:
    return [broker.Login(account.address, account.token) for account in users]


def _declared_users(document: conf.Document, local_user: str) -> dict[str, Role]:
    """The users of the configuration, and the person at this machine."""
    declared = {block.name: conf.settings(block, conf.UserBlock).role for block in document.of("user")}
    return {local_user: Role.ADMIN, **declared}


def _groups(document: conf.Document) -> dict[str, tuple[str, ...]]:
    blocks = {block.name: conf.settings(block, conf.GroupBlock) for block in document.of("group")}
    return {name: tuple(block.members) for name, block in blocks.items()}
