"""Wires a gateway together. The only file that knows all the parts."""

from __future__ import annotations

import asyncio
import signal
from contextlib import AsyncExitStack
from functools import partial
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from boardtalk import broker, conf, loader
from boardtalk.broker.board_logins import BoardLogins
from boardtalk.configuration import Configuration, check_names, declared_users, groups
from boardtalk.desk import Desk
from boardtalk.frontends.answers.operation import BoardGate
from boardtalk.frontends.intake import Intake
from boardtalk.frontends.local import LocalDoor
from boardtalk.frontends.mqtt import MqttDoor
from boardtalk.frontends.reception import Reception
from boardtalk.hub import late_stops
from boardtalk.hub.calls import Calls
from boardtalk.hub.context import ModuleContext, contexts
from boardtalk.hub.hub import Hub
from boardtalk.page.processes import Pages
from boardtalk.page.views import ViewsFile
from boardtalk.people.directory import Directory
from boardtalk.people.users import Users
from boardtalk.runtime import logs
from boardtalk.runtime.state import locked
from boardtalk.sdk import SYSTEM, descriptors
from boardtalk.sdk.errors import first_error
from boardtalk.sdk.mqtt.endpoint import boards_file
from boardtalk.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable

    from boardtalk.frontends.control import Page

SOON_S: Final = 0.2
"""Until a new robot is told to the broker: with all that come meanwhile."""

log = structlog.get_logger()


class Endpoints(msgspec.Struct, kw_only=True):
    """Where a running gateway listens; also in ``endpoints.json`` of the state folder."""

    mqtt: str | None
    """``host:port``; None while there is no broker."""
    modules: list[str]
    page: str = ""
    """Address of the web page; "" while there is none."""


def find_conf(given: Path | None) -> Path:
    """The configuration file to use: the given one, else the first of the usual places."""
    if given is not None:
        return given
    for path in (Path("conf/gateway.conf"), Path("/etc/boardtalk/gateway.conf")):
        if path.is_file():
            return path
    return Path(str(resources.files("boardtalk.defaults") / "gateway.conf"))


async def serve(
    source: Callable[[], conf.Document],
    folder: Path,
    *,
    local_user: str,
    watch: bool = False,
    ready: Callable[[Endpoints, Page], None],
) -> int:
    """Run a gateway until SIGINT or SIGTERM; SIGHUP has it read its configuration again.

    Args:
        source: reads the configuration.
        folder: the state folder.
        local_user: address of the person at this machine; an admin.
        watch: whether modules start anew when their code changes.
        ready: called once when everything works, with the token for the first visit of the page.

    Raises:
        BoardtalkError: it can't start; the text says what to do.
    """
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    try:
        descriptors.take_enough(log.warning)
        async with AsyncExitStack() as stack:
            endpoints, reception = await _start(stack, source, folder, local_user, watch=watch)
            path = folder / "endpoints.json"
            path.write_bytes(msgspec.json.encode(endpoints))
            stack.callback(path.unlink, missing_ok=True)
            ready(endpoints, reception.page)
            await stopping.wait()
            log.info("stopping")
    except ExceptionGroup as group:
        raise first_error(group) from group
    return 0


async def _start(
    stack: AsyncExitStack,
    source: Callable[[], conf.Document],
    folder: Path,
    local_user: str,
    *,
    watch: bool,
) -> tuple[Endpoints, Reception]:
    """Start the parts in the order in which data needs them; `stack` ends them in reverse."""
    document = source()
    settings = conf.settings(document.globals, conf.Gateway)
    logs.configure(settings.log_level)
    for warning in document.warnings:
        log.warning("configuration", where=str(warning))
    plan = loader.plan(document)

    stack.enter_context(locked(folder))
    users = Users.load(folder / "secrets", declared_users(document, local_user))
    _tell_damage(users)
    check_names(document, plan, users)
    store = await stack.enter_async_context(
        Store.open(folder / "store.db", history_days=settings.history_days)
    )
    tasks = await stack.enter_async_context(asyncio.TaskGroup())
    stack.callback(tasks.create_task(late_stops.keep_up(folder, store), name="late stops").cancel)
    hub = await stack.enter_async_context(Hub(store, Directory(users, groups(document))))
    intake = await stack.enter_async_context(Intake(hub, folder))

    calls = await stack.enter_async_context(Calls(hub))
    runner = await stack.enter_async_context(loader.Runner(contexts(hub, tasks, folder, calls)))
    configuration = await stack.enter_async_context(
        Configuration(source, document, local_user, hub=hub, users=users, runner=runner)
    )
    own = await stack.enter_async_context(ModuleContext(hub, tasks, folder, SYSTEM, calls=calls, blocks={}))
    desk = Desk(own, configuration, hub)
    desk.on_start()
    configuration.answer_with(desk)
    await configuration.start(plan)
    _on_hang_up(stack, configuration.hang_up)
    if watch:
        configuration.watch()
    boards = BoardLogins.load(folder / "secrets")
    _tell_damage(boards)
    logins = _logins(hub.directory, users, boards)
    running = await _start_broker(stack, document, folder, logins)
    gate = None
    if running:
        mqtt = await stack.enter_async_context(MqttDoor(running, hub, intake, calls))
        renew = _renewal(running, logins, partial(_logins, hub.directory, users, boards))
        for changing in (hub.directory, boards):
            changing.subscribe(renew)
        hub.directory.on_new_robot(_soon(stack, renew))
        hub.directory.subscribe(mqtt.show_all)
        at = running.endpoint
        gate = BoardGate(boards, mqtt.board_left, running.listen_host, at.port, at.tls, running.own)
    views = ViewsFile(folder, hub.directory, users)
    await views.write()
    stack.callback(tasks.create_task(views.keep_up(), name="who may see which robots").cancel)
    page = await _start_page(stack, document, folder)
    reception = Reception(users, hub, page)
    door = LocalDoor(hub, intake, calls, users, configuration, gate=gate, reception=reception)
    await stack.enter_async_context(door.listening(folder))
    mqtt_at = str(running.endpoint) if running else None
    return Endpoints(mqtt=mqtt_at, modules=list(runner.modules), page=page()), reception


def _tell_damage(read: Users | BoardLogins) -> None:
    if read.damage:
        log.error("a file was damaged", what=read.damage)


def _on_hang_up(stack: AsyncExitStack, call: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, call)
    stack.callback(loop.remove_signal_handler, signal.SIGHUP)


async def _start_broker(
    stack: AsyncExitStack, document: conf.Document, folder: Path, logins: list[broker.Login]
) -> broker.Broker | None:
    """The broker of the configuration, in service; None if it names none."""
    path = boards_file(folder)
    path.unlink(missing_ok=True)
    blocks = document.of("broker")
    if not blocks:
        return None
    made = broker.create(conf.broker_settings(blocks[0]), folder, logins)
    running = await stack.enter_async_context(made)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    broker.write_private(path, running.boards_endpoint.to_json())
    return running


async def _start_page(stack: AsyncExitStack, document: conf.Document, folder: Path) -> Callable[[], str]:
    """The web page of the configuration, in service; what tells its address, "" if there is none."""
    blocks = document.of("listen")
    if not blocks:
        return str
    pages = await stack.enter_async_context(Pages(conf.settings(blocks[0], conf.Listen), folder))
    return lambda: pages.url


def _renewal(
    running: broker.Broker, told: list[broker.Login], logins: Callable[[], list[broker.Login]]
) -> Callable[[], None]:
    """Lets in at the broker who may log in by now, if that has changed since it was told."""

    def renew() -> None:
        if (now := logins()) != told:
            told[:] = now
            running.reload(now)

    return renew


def _soon(stack: AsyncExitStack, act: Callable[[], None]) -> Callable[[], None]:
    """Does it a moment later, once for all who ask meanwhile: robots come in crowds."""
    loop = asyncio.get_running_loop()
    waiting: list[asyncio.TimerHandle] = []

    def do() -> None:
        waiting.clear()
        act()

    def ask() -> None:
        if not waiting:
            waiting.append(loop.call_later(SOON_S, do))

    def forget() -> None:
        for each in waiting:
            each.cancel()

    stack.callback(forget)
    return ask


def _logins(directory: Directory, users: Users, boards: BoardLogins) -> list[broker.Login]:
    return [
        broker.Login(
            account.address, account.token, robots=directory.states(account.address), role=account.role
        )
        for account in users
    ] + [broker.Login(board.address, board.token, board=True) for board in boards]
