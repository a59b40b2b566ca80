"""The command `boardtalk ota`."""

from __future__ import annotations

import asyncio
import signal
import time
from contextlib import aclosing, nullcontext
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from cyclopts import App, Parameter
from rich.console import Console

from boardtalk.modules.iot_bridge.errors import LinkError
from boardtalk.modules.iot_bridge.language.words import clean
from boardtalk.modules.iot_bridge.ota import preview
from boardtalk.modules.iot_bridge.ota import robots as fleet
from boardtalk.modules.iot_bridge.ota import signature as signatures
from boardtalk.modules.iot_bridge.ota.events import Ended, Outcome
from boardtalk.modules.iot_bridge.ota.install import install as put_on
from boardtalk.modules.iot_bridge.ota.release import collect
from boardtalk.modules.iot_bridge.ota.rollout import ALL, AT_ONCE, Rollout
from boardtalk.modules.iot_bridge.ota.view import View, advice, summary
from boardtalk.sdk import ServiceError
from boardtalk.sdk.audit import Attempt, audited
from boardtalk.sdk.folders import running_folder
from boardtalk.sdk.options import AsJson, StateFolder, me

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from types import ModuleType

    from boardtalk.modules.iot_bridge.ota.release import Release

Robots = Annotated[str, Parameter(help="Addresses of robots and groups, with commas between.")]
Files = tuple[Path, ...]
Label = Annotated[str, Parameter(help="What people call the release; else the beginning of its digest.")]

INTERRUPTED: Final = 130
MAX_WIDTH: Final = 1000
"""Of tables: as wide as their cells, also in a pipe."""

ota = App(name="ota", help="Updates of robots' programs over their own links, and back.")
out = Console(highlight=False, soft_wrap=True)
errors = Console(stderr=True, highlight=False, soft_wrap=True)


@ota.command
def push(
    robot: Robots,
    files: Files,
    /,
    *,
    label: Label = "",
    signature: Path | None = None,
    canary: int = 0,
    then: tuple[str, ...] = (),
    jobs: int = AT_ONCE,
    wait: Annotated[bool, Parameter(negative="--no-wait")] = True,
    dry_run: bool = False,
    state: StateFolder = None,
    json: AsJson = False,
) -> int:
    """Send a new release of a robot's program over its link, and see that it proves itself.

    The robot is stopped first, and stays so until somebody re-arms it. The release goes into the slot that
    does not run, is checked there, and starts on trial: it stays when it was in touch with the gateway for
    30 s, else the one before runs again. Interrupted, the same command goes on where it was.

    Of many robots, those that run it already are passed over. The first unhealthy one ends it.

    Example: boardtalk ota push crew robot/ --canary 1 --then 10 --then all

    Args:
        files: the whole program: its folder, or its files, main.py among them.
        signature: a file that `boardtalk ota sign` has made; it has the label too.
        canary: so many robots first; the others only if all is well with them.
        then: so many more, or `all`; repeatable. Default, behind --canary: all.
        jobs: at most so many robots at a time.
        wait: until it has proved itself.
        dry_run: only tell which robots would get it, and what it would change.
    """
    release = collect(files, label)
    if signature is not None:
        release = signatures.with_signature(release, signature)
    if jobs < 1:
        raise LinkError("--jobs takes a number from 1 on")
    folder = state or running_folder()
    return asyncio.run(
        _push(
            folder,
            robot,
            release,
            _stages(canary, then, wait=wait),
            jobs=jobs,
            wait=wait,
            dry_run=dry_run,
            json=json,
        )
    )


def _stages(canary: int, then: Sequence[str], *, wait: bool) -> list[int]:
    """Sizes of the stages. Raises LinkError: they make no sense."""
    words = [str(canary)] if canary else []
    words += then or ["all"]
    sizes = [ALL if word == "all" else int(word) if word.isdecimal() else -1 for word in words]
    if any(size < 0 or (size == ALL) != (word == "all") for size, word in zip(sizes, words, strict=True)):
        raise LinkError("--canary and --then take a number from 1 on; --then also `all`")
    if len(sizes) > 1 and not wait:
        raise LinkError("--no-wait: a stage waits for the proof of the one before")
    return sizes


async def _push(
    state: Path,
    names: str,
    release: Release,
    stages: Sequence[int],
    *,
    jobs: int,
    wait: bool,
    dry_run: bool,
    json: bool,
) -> int:
    robots = await fleet.meant(state, names)
    declares = await asyncio.to_thread(preview.declares, release)
    if declares is None and not json:
        errors.print("what it changes is told when it runs: its program can't be tried without its robot")
    rollout = Rollout(
        state,
        robots,
        release,
        stages=stages,
        at_once=jobs,
        wait=wait,
        dry_run=dry_run,
        declares=declares,
        by=me(),
    )
    interrupted = asyncio.Event()

    def interrupt() -> None:
        interrupted.set()
        rollout.stop()

    for each in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(each, interrupt)
    ended: list[Ended] = []
    view = View(errors, many=len(robots) > 1)
    with nullcontext() if json else view:
        async with aclosing(rollout.run()) as events:
            async for event in events:
                if isinstance(event, Ended):
                    ended.append(event)
                if json:
                    print(msgspec.json.encode(event).decode(), flush=True)  # noqa: T201 - the command's output
                else:
                    view.show(event)
    if not json:
        _report(ended, release)
    if interrupted.is_set():
        return INTERRUPTED
    return 0 if all(each.outcome.good for each in ended) else 1


def _report(ended: Sequence[Ended], release: Release) -> None:
    if len(ended) == 1 and ended[0].outcome in ONE:
        words = ONE[ended[0].outcome].format(release=release.name, runs=clean(ended[0].runs))
        out.print(f"{ended[0].robot}: {words}", markup=False)
        return
    if len(ended) == 1:
        errors.print(f"boardtalk: {clean(ended[0].reason or ended[0].outcome)}", markup=False)
        return
    Console(highlight=False, width=MAX_WIDTH).print(summary(ended))
    if words := advice(ended, release.name):
        errors.print(words, markup=False)


ONE: Final = {
    Outcome.UPDATED: "{release} runs and stays; `rearm` in a chat lets it move",
    Outcome.HAS: "{release} runs already",
    Outcome.ON_TRIAL: "{release} is on trial: `boardtalk ota status` tells how it ends; "
    "`rearm` in a chat lets it move",
    Outcome.PLANNED: "{runs} runs; {release} would come in its place",
}
"""What is said of a single robot."""


@ota.command
def status(robot: Robots, /, *, state: StateFolder = None, json: AsJson = False) -> int:
    """Tell which release robots run, and whether they can go back.

    Example: boardtalk ota status rover
    """

    async def tell(folder: Path, name: str) -> None:
        found = await fleet.status(folder, name)
        if json:
            fact = {"robot": name, **msgspec.to_builtins(found)}
            print(msgspec.json.encode(fact).decode())  # noqa: T201 - the command's output
            return
        trial = ", on trial" if found.trial else ""
        out.print(f"{name} runs {found.runs or 'an unnamed release'}{trial}", markup=False)
        if found.before is not None:
            before = found.before or "the one before"
            out.print(f"`boardtalk ota rollback {name}` runs {before}", markup=False)

    return _each(robot, state, tell)


@ota.command
def confirm(robot: Robots, /, *, state: StateFolder = None) -> int:
    """Keep the release that is on trial, without waiting for its proof.

    Example: boardtalk ota confirm rover
    """

    async def keep(folder: Path, name: str) -> None:
        await fleet.confirm(folder, name)
        out.print(f"{name}: the release that runs stays", markup=False)

    return _each(robot, state, _kept("ota confirm", keep))


@ota.command
def rollback(robot: Robots, /, *, state: StateFolder = None) -> int:
    """Stop robots, and start the release before the one that runs.

    Example: boardtalk ota rollback rover
    """

    async def back(folder: Path, name: str) -> None:
        await fleet.roll_back(folder, name)
        out.print(f"{name}: starts the release before", markup=False)

    return _each(robot, state, _kept("ota rollback", back))


def _kept(what: str, do: Callable[[Path, str], Awaitable[None]]) -> Callable[[Path, str], Awaitable[None]]:
    """The same, in the audit."""

    async def kept(folder: Path, name: str) -> None:
        async with audited(folder, Attempt(me(), what, name, await fleet.where(folder, name))):
            await do(folder, name)

    return kept


def _each(names: str, state: Path | None, do: Callable[[Path, str], Awaitable[None]]) -> int:
    """Do something with each robot. One that refuses, or is not there, keeps none of the others from it."""
    folder = state or running_folder()

    async def all_() -> int:
        failed = 0
        for name in await fleet.meant(folder, names):
            try:
                await do(folder, name)
            except LinkError as error:
                failed = 1
                errors.print(f"boardtalk: {clean(str(error))}", markup=False)
        return failed

    return asyncio.run(all_())


@ota.command
def install(
    robot: str,
    files: Files,
    /,
    *,
    label: Label = "",
    public_key: Path | None = None,
    state: StateFolder = None,
) -> int:
    """Make a board one that can be updated over its link: once, by its cable.

    Puts loader, key and program on it. Its client is there already, and its main.py is replaced.

    Example: boardtalk ota install rover robot/

    Args:
        robot: its address.
        files: the whole program: its folder, or its files, main.py among them.
        public_key: from now on it takes only releases that are signed with the other half.
    """
    release = collect(files, label)
    folder = state or running_folder()
    modulus = _keys().modulus(public_key) if public_key else None

    async def put() -> tuple[str, bool]:
        about = f"{await fleet.where(folder, robot)}, {release.version} sha256 {release.sha256}"
        async with audited(folder, Attempt(me(), "ota install", robot, about)):
            return await put_on(folder, robot, await fleet.uid(folder, robot), release, modulus)

    text, runs = asyncio.run(put())
    out.print(clean(text), markup=False, style="dim", end="")
    words = "runs" if runs else "is at its prompt: its program has ended"
    out.print(f"{robot} {words}; from now on `boardtalk ota push` updates it", markup=False)
    return 0 if runs else 1


@ota.command
def keygen(private: Path, /) -> int:
    """Make a pair of keys for releases, as PEM files: one to sign with, one for boards.

    Keep the private one where releases are made, and a copy of it: boards take no other one over the air.

    Example: boardtalk ota keygen release.pem

    Args:
        private: where to; the public one goes beside it, with the ending .pub.
    """
    public = private.with_suffix(".pub")
    _keys().make_keys(private, public)
    out.print(f"{private} signs; `boardtalk ota install … --public-key {public}`", markup=False)
    return 0


@ota.command
def sign(files: Files, /, *, key: Path, to: Path, label: Label = "") -> int:
    """Sign a release, for boards that ask for it; `boardtalk ota push … --signature FILE` sends it.

    Example: boardtalk ota sign robot/ --key release.pem --label 1.3 --to robot-1.3.sig

    Args:
        files: as for `push`.
        key: what `boardtalk ota keygen` has made.
        to: where the signature goes.
    """
    signed = _keys().sign(collect(files, label), key, int(time.time()))
    try:
        to.write_bytes(signatures.written(signed))
    except OSError as error:
        raise ServiceError(f"{to}: can't be written ({error.strerror})") from error
    out.print(f"{to}: {signed.version}, {len(signed.files)} files, {signed.size} bytes", markup=False)
    return 0


def _keys() -> ModuleType:
    """What makes keys and signatures. Raises LinkError: its library is not installed."""
    try:
        return import_module("boardtalk.modules.iot_bridge.ota.rsa_keys")
    except ImportError as error:
        raise LinkError("keys and signatures need: pip install 'boardtalk[signing]'") from error
