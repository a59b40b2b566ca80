"""The command line.

Exit codes: 0 done · 1 refused or failed · 2 no gateway, wrong usage or configuration · 130
interrupted.

Commands of other packages join through the entry-point group ``boardtalk.commands``; heavy imports
wait until their command runs.
"""

from __future__ import annotations

import asyncio
import getpass
import re
import signal
import sys
from importlib.metadata import entry_points, version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import msgspec
from cyclopts import App, CycloptsError, Parameter
from rich.console import Console

from boardtalk import envelope, logs
from boardtalk.events import Delivery, Update
from boardtalk.sdk import BoardtalkError, Code, Kind, Role, State, Status
from boardtalk.sdk.folders import default_folder, running_folder
from boardtalk.state import locked

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable

    from boardtalk.document import Document
    from boardtalk.sdk import ConfigError

T = TypeVar("T")

DONE: Final = 0
REFUSED: Final = 1
UNUSABLE: Final = 2
INTERRUPTED: Final = 130

StateFolder = Annotated[
    Path | None, Parameter(name="--state", help="Folder where the gateway keeps its state.")
]
ConfFile = Annotated[Path | None, Parameter(name="--conf", help="Configuration file.")]
AsUser = Annotated[str | None, Parameter(name="--user", help="Act as this user; default: you.")]
AsJson = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON, for programs.")]

app = App(
    name="boardtalk",
    help="Talk to your boards: chat with robots and microcontrollers.",
    version=lambda: version("boardtalk"),
    version_flags=["--version"],
)
user_app = App(name="user", help="Users, their roles and tokens.")
app.command(user_app)
app.command("boardtalk.doctor:doctor", name="doctor")
console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)


def main() -> None:
    """Run `boardtalk` and exit."""
    sys.exit(run_command(sys.argv[1:]))


def run_command(arguments: list[str]) -> int:
    """Run one command line; its exit code."""
    logs.configure("warning")
    for point in entry_points(group="boardtalk.commands"):
        app.command(point.value, name=point.name)
    try:
        result = app(arguments or ["--help"], exit_on_error=False, result_action="return_value")
    except CycloptsError:
        errors.print("`boardtalk COMMAND --help` shows what it takes, with an example.")
        return UNUSABLE
    except BoardtalkError as error:
        errors.print(f"[red]boardtalk:[/] {_escaped(str(error))}", soft_wrap=True)
        return UNUSABLE
    except (KeyboardInterrupt, asyncio.CancelledError):
        return INTERRUPTED
    except BrokenPipeError:
        return REFUSED
    return result if isinstance(result, int) else DONE


def await_(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's coroutine; Ctrl-C and SIGTERM cancel it, so that it cleans up."""

    async def terminable() -> T:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - this is one
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await work

    with asyncio.Runner() as runner:
        return runner.run(terminable())


def me() -> str:
    """The address of the person at this machine: the login name, as far as it can be one."""
    name = re.sub(r"[^a-z0-9_-]", "", getpass.getuser().lower()).lstrip("_-")[:32]
    return name or "me"


def _print_json(value: object) -> None:
    print(msgspec.json.encode(value).decode(), flush=True)


def _escaped(text: str) -> str:
    return text.replace("[", r"\[")


@app.command
def run(*, conf: ConfFile = None, state: StateFolder = None) -> int:
    """Run the gateway with the boards that are plugged in.

    Example: boardtalk run --conf gateway.conf
    """
    from boardtalk import app as application
    from boardtalk import conf as configuration

    document = configuration.load(application.find_conf(conf))
    if found := _problems(document):
        _show_errors(found)
        return UNUSABLE
    return await_(application.serve(document, state or default_folder(), local_user=me(), ready=_say_ready))


def _say_ready(endpoints: Any) -> None:
    where = f"mqtt={endpoints.mqtt} " if endpoints.mqtt else ""
    print(f"ready {where}modules={','.join(endpoints.modules)}", flush=True)


@app.command
def check(file: Path, /, *, json: AsJson = False) -> int:
    """Check a configuration file and say what is wrong with it, and where.

    Example: boardtalk check conf/gateway.conf
    """
    from boardtalk import conf as configuration

    document = configuration.load(file)
    found = _problems(document)
    if json:
        _print_json({"errors": list(map(str, found)), "warnings": list(map(str, document.warnings))})
        return UNUSABLE if found else DONE
    for warning in document.warnings:
        errors.print(f"[yellow]warning:[/] {_escaped(str(warning))}", soft_wrap=True)
    _show_errors(found)
    if not found:
        console.print(f"{file}: fine, {len(document.blocks)} blocks", soft_wrap=True)
    return UNUSABLE if found else DONE


def _problems(document: Document) -> list[ConfigError]:
    """All that is wrong with a configuration, given the modules that are installed."""
    from boardtalk import conf, loader

    modules = loader.available()
    kinds = {kind: type_ for module in modules.values() for kind, type_ in module.blocks.items()}
    return conf.check(document, {name: module.Config for name, module in modules.items()}, kinds)


def _show_errors(found: Iterable[ConfigError]) -> None:
    for error in found:
        errors.print(f"[red]error:[/] {_escaped(str(error))}", soft_wrap=True)


@app.command
def chat(
    address: str | None = None,
    text: str | None = None,
    /,
    *,
    user: AsUser = None,
    state: StateFolder = None,
    json: AsJson = False,
    timeout: float = 60.0,
) -> int:
    """Chat in the terminal, or send one message to a running gateway and print what becomes of it.

    Example: boardtalk chat rover "forward 20"

    Args:
        address: the robot, person or group to talk to; without it, an interactive chat opens.
        text: the message; without it, an interactive chat opens.
        timeout: seconds to wait for the end of a command.
    """
    folder, who = state or running_folder(), user or me()
    if address is None or text is None:
        return await_(_interactive(folder, who))
    return await_(_one_message(folder, who, address, text, as_json=json, timeout_s=timeout))


async def _interactive(folder: Path, user: str) -> int:
    from boardtalk.frontends.client import GatewayClient
    from boardtalk.frontends.terminal import Chat

    async with GatewayClient.connect(folder, user) as client:
        await Chat(client).run(folder / f"chat-history-{user}")
    return DONE


async def _one_message(
    folder: Path, user: str, address: str, text: str, *, as_json: bool, timeout_s: float
) -> int:
    from boardtalk.frontends import local
    from boardtalk.frontends.client import GatewayClient

    async with GatewayClient.connect(folder, user) as client:
        contacts = (await client.ask(local.Contacts(), local.ContactList)).contacts
        waits = not any(contact.address == address and contact.kind is not Kind.ROBOT for contact in contacts)
        message_id = client.say(address, text)
        try:
            async with asyncio.timeout(timeout_s):
                return await _follow(client, message_id, until_done=waits, as_json=as_json)
        except TimeoutError:
            errors.print(
                f"no final answer within {timeout_s:g} s; `boardtalk history {address}` may know later"
            )
            return REFUSED


async def _follow(client: Any, message_id: str, *, until_done: bool, as_json: bool) -> int:
    """Print what becomes of a message; the exit code that it deserves."""
    ended: Code | None = None
    answered = False
    async for event in client.events():
        match event:
            case Update(message_id=name, status=status) if name == message_id:
                _print_event(event, status.state, _color(status), as_json=as_json)
                if status.state.terminal or (not until_done and status.state is State.ACCEPTED):
                    ended = status.code
            case Delivery(message=message) if message.refid == message_id:
                _print_event(event, f"{message.sender}: {message.body}", "default", as_json=as_json)
                answered = True
        if ended is not None and (answered or not (until_done or ended.failed)):
            return REFUSED if ended.failed else DONE
    errors.print("the gateway went away")
    return UNUSABLE


def _print_event(event: Delivery | Update, text: str, style: str, *, as_json: bool) -> None:
    """Print a line for a person, or the same JSON that MQTT clients get."""
    if not as_json:
        console.print(text, style=style, markup=False, soft_wrap=True)
        return
    write: Any = envelope.write_message if isinstance(event, Delivery) else envelope.write_status
    print(write(event).decode(), flush=True)


def _color(status: Status) -> str:
    if status.code.failed:
        return "red"
    return "green" if status.state is State.DONE else "dim"


@app.command
def stop(robot: str = "", /, *, user: AsUser = None, state: StateFolder = None, json: AsJson = False) -> int:
    """Stop a robot, or all of them, at once; works even while the gateway hangs.

    Example: boardtalk stop rover

    Args:
        robot: the robot's address; without it, all stop.
    """
    from boardtalk import stop as stopping

    stopped = await_(stopping.stop(state or running_folder(), robot or None, user or me()))
    if json:
        _print_json(stopped)
    else:
        console.print(stopping.describe(stopped))
    return DONE if all(each.confirmed for each in stopped) else REFUSED


@app.command
def history(
    other: str = "",
    /,
    *,
    limit: int = 20,
    user: AsUser = None,
    state: StateFolder = None,
    json: AsJson = False,
) -> int:
    """Show what was said, newest last.

    Example: boardtalk history rover --limit 50
    """
    return await_(_history(state or running_folder(), user or me(), other, limit, as_json=json))


async def _history(folder: Path, user: str, other: str, limit: int, *, as_json: bool) -> int:
    from boardtalk.frontends import local
    from boardtalk.frontends.client import GatewayClient

    async with GatewayClient.connect(folder, user) as client:
        past = await client.ask(local.History(other, limit), local.Past)
    if as_json:
        _print_json(past.entries)
        return DONE
    for entry in past.entries:
        console.print(_escaped(f"{entry['at']} {entry['sender']} → {entry['to']}: {entry['body']}"))
    return DONE


def _change_user(action: str, address: str, state: Path | None, *, as_json: bool, **more: Any) -> int:
    changed = await_(_change_running_or_stored(state or running_folder(), action, address, more))
    if as_json:
        _print_json(changed)
        return DONE
    console.print(f"{changed.address}: {'removed' if action == 'remove' else changed.role}")
    if changed.token:
        console.print(
            f"MQTT user {changed.address}, password (shown only now): {changed.token}",
            soft_wrap=True,
        )
    return DONE


async def _change_running_or_stored(folder: Path, action: str, address: str, more: dict[str, Any]) -> Any:
    """Ask the running gateway, which tells the broker at once; if none runs, change the stored users."""
    from boardtalk.frontends import local
    from boardtalk.frontends.client import GatewayClient, NoGateway
    from boardtalk.users import Users

    try:
        async with GatewayClient.connect(folder, me()) as client:
            return await client.ask(local.ChangeUser(action, address, **more), local.UserChanged)
    except NoGateway:
        with locked(folder):
            return Users.load(folder / "secrets").change(action, address, **more)


@user_app.command
def add(name: str, /, *, role: Role = Role.OPERATOR, state: StateFolder = None, json: AsJson = False) -> int:
    """Add a user and print his MQTT token.

    Example: boardtalk user add alice --role operator
    """
    return _change_user("add", name, state, as_json=json, role=role)


@user_app.command
def remove(name: str, /, *, state: StateFolder = None, json: AsJson = False) -> int:
    """Remove a user. Example: boardtalk user remove alice."""
    return _change_user("remove", name, state, as_json=json)


@user_app.command
def passwd(name: str, /, *, state: StateFolder = None, json: AsJson = False) -> int:
    """Set a user's password; asks for it, or reads a line from standard input.

    Example: boardtalk user passwd alice
    """
    password = (
        getpass.getpass(f"New password for {name}: ")
        if sys.stdin.isatty()
        else sys.stdin.readline().rstrip("\n")
    )
    return _change_user("passwd", name, state, as_json=json, password=password)


@user_app.command
def token(name: str, /, *, state: StateFolder = None, json: AsJson = False) -> int:
    """Give a user a new MQTT token; the old one stops working.

    Example: boardtalk user token alice
    """
    return _change_user("token", name, state, as_json=json)


@user_app.command
def role(name: str, role: Role, /, *, state: StateFolder = None, json: AsJson = False) -> int:
    """Change a user's role: viewer, operator or admin.

    Example: boardtalk user role alice viewer
    """
    return _change_user("role", name, state, as_json=json, role=role)
