"""From a board with MicroPython to one that says HELLO: the order of the steps.

Nothing on the board is changed before all of it has been copied and is right there; then files are renamed
into their places. Wherever it breaks off, the board has its prompt, and the same order goes on.
"""

from __future__ import annotations

from contextlib import aclosing, suppress
from hashlib import sha256
from typing import TYPE_CHECKING, Final

import msgspec

from boardtalk.modules.iot_bridge.cache import DictionaryCache
from boardtalk.modules.iot_bridge.device import Device
from boardtalk.modules.iot_bridge.errors import LinkError
from boardtalk.modules.iot_bridge.language.words import clean
from boardtalk.modules.iot_bridge.ota.keys import board_key, make_key
from boardtalk.modules.iot_bridge.ota.release import collect
from boardtalk.modules.iot_bridge.provision import gateway, layout, snippets
from boardtalk.modules.iot_bridge.provision.compiler import sources
from boardtalk.modules.iot_bridge.provision.prompt import Prompt
from boardtalk.modules.iot_bridge.transports.ports import transport
from boardtalk.modules.iot_bridge.workbench.loan import BAUD
from boardtalk.modules.iot_bridge.workbench.push import started_anew
from boardtalk.sdk.provision import Order, Provisioned, ProvisionError, Stage

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable

    from boardtalk.modules.iot_bridge.ota.release import Release

OLDEST: Final = (1, 22)
"""MicroPython that the client runs on."""
HELLO_S: Final = 10.0
SPARE_BLOCKS: Final = 4
SAID_CHARS: Final = 300
"""Of what a program printed as it ended."""


class Provisioner:
    """The entry `boardtalk.clients`: see `sdk.provision.Installer`."""

    async def install(self, order: Order) -> AsyncGenerator[Stage | Provisioned, None]:
        """Put it on, start it, and wait for its HELLO, if that comes by its port."""
        release = collect(order.robot, order.label) if order.robot else None
        if release is not None and order.sha256 not in {"", release.sha256}:
            raise ProvisionError("bad-image", f"the program {release.name} is another one than was planned")
        prompt = Prompt(order.port, order.stop)
        yield Stage(step="ask", detail="MicroPython")
        (told,) = await prompt.run(snippets.ASK, anew=True)
        try:
            board = msgspec.convert(told, layout.Found)
            await _check(order, board)
            network = order.login is not None or board.settings or _brings_settings(release)
            wanted = await _layout(order, board, release, network=network)
            copied = 0
            async with aclosing(_put(prompt, board, wanted)) as stages:
                async for stage in stages:
                    copied = stage.total or copied
                    yield stage
        except BaseException:
            with suppress(LinkError):  # whatever it has runs again
                await started_anew(order.port)
            raise
        made = Provisioned(
            uid=board.uid,
            micropython=f"MicroPython v{'.'.join(map(str, board.version))}",
            copied=copied,
            total=wanted.total,
            note="" if release or board.program else "it has no program yet: `--robot FOLDER` puts one on",
        )
        yield Stage(step="start")
        text, runs = await started_anew(order.port)
        if (release or board.program) and not runs:
            said = clean(text).strip()[-SAID_CHARS:] or "without a word"
            raise ProvisionError(
                "program",
                f"{order.port}: its program has ended: {said}",
                "mend it, then the same command",
            )
        if runs and not network:
            yield Stage(step="hello")
            made = await _met(order, made)
        yield made

    async def welcome(self, order: Order, board: Provisioned) -> Provisioned:
        """Have the gateway know it."""
        if board.note:
            return board
        if board.program:
            note = await gateway.named(order.state, order.name, board.uid)
            return msgspec.structs.replace(board, note=note)
        if await gateway.boards(order.state) is None:
            return msgspec.structs.replace(
                board, note="no gateway runs that it could come to: `boardtalk run`"
            )
        there = await gateway.joined(order.state, order.name, board.uid)
        return msgspec.structs.replace(
            board, program=f"{there.declared} {there.firmware}".strip(), dictionary=there.dictionary
        )


def _brings_settings(release: Release | None) -> bool:
    """Whether the robot's files make it come by a broker."""
    return release is not None and any(f"/{each.path}" == layout.SETTINGS for each in release.files)


async def _check(order: Order, board: layout.Found) -> None:
    """Whether it is the right board, before anything is made for it. Raises ProvisionError."""
    version = ".".join(map(str, board.version))
    if board.name != "micropython" or board.version < OLDEST:
        raise ProvisionError(
            "unsupported",
            f"{order.port}: {board.name} {version} runs there, and the client needs MicroPython 1.22",
            "`boardtalk flash write` puts a newer one on",
        )
    if order.platform and board.platform != order.platform:
        raise ProvisionError(
            "wrong-chip",
            f"{order.port}: MicroPython for {board.platform} runs there, not for {order.platform}; "
            "nothing was touched",
            "name the right --board",
        )
    known = await gateway.boards(order.state)
    network = order.login is not None
    if known is None and network:
        raise ProvisionError("name", "no gateway runs, which makes the board's login", "`boardtalk run`")
    if order.name:
        gateway.check(known or (), order.name, board.uid, network=network)


async def _layout(
    order: Order, board: layout.Found, release: Release | None, *, network: bool
) -> layout.Layout:
    """All that shall be on it. Raises ProvisionError, ServiceError."""
    wanted = layout.Layout()
    await layout.client(wanted, board, network=network)
    if release is not None:
        layout.robot(wanted, release, sources("ota") if order.loader or board.loader else {})
    make_key(order.state)
    wanted.files[layout.KEY] = board_key(order.state, board.uid).hex().encode()
    if order.login is not None:
        wanted.files[layout.SETTINGS] = await order.login()
        if order.authority:
            wanted.files[layout.AUTHORITY] = order.authority
    wanted.main_last()
    return wanted


async def _put(prompt: Prompt, board: layout.Found, wanted: layout.Layout) -> AsyncGenerator[Stage, None]:
    """Copy what differs, and rename it into its places. Raises ProvisionError."""
    files = wanted.files
    right = {path: sha256(data).hexdigest() for path, data in files.items()}
    there = dict(await prompt.run(snippets.look(list(files))))
    staged = {
        f"{snippets.STAGING}/{number}": path
        for number, path in enumerate(files)
        if there.get(path) != right[path]
    }
    size = sum(len(files[path]) for path in staged.values())
    _fits(board, [len(files[path]) for path in staged.values()])
    detail = f"{size} of {wanted.total} bytes; the client {wanted.said}"
    yield Stage(step="plan", detail=detail, uid=board.uid, sha256=wanted.digest)
    if staged:
        yield Stage(step="copy", detail=f"{len(staged)} files")
        sent, last = 0, 0
        made = {}
        async with aclosing(
            prompt.copy({new: files[path] for new, path in staged.items()}, snippets.digests(list(staged)))
        ) as told:
            async for each in told:
                if isinstance(each, str):
                    sent, last = sent + last, len(files[staged[each]])
                    yield Stage(step="copy", done=sent, total=size)
                else:
                    made[each[0]] = each[1]
        _same({staged[new]: digest for new, digest in made.items()}, right, staged.values())
        yield Stage(step="copy", done=size, total=size)
    yield Stage(step="install")
    code = snippets.install(staged, wanted.forgotten, wanted.owned, list(files))
    _same(dict(await prompt.run(code)), right, files)


def _fits(board: layout.Found, sizes: list[int]) -> None:
    """Raises ProvisionError: the flash has no room for that."""
    block, free = board.room
    if not block:
        return
    needed = sum(-(-size // block) for size in sizes) + (SPARE_BLOCKS if sizes else 0)
    if needed > free:
        raise ProvisionError(
            "unsupported",
            f"it needs {needed * block // 1024} kB, and the board's flash has {free * block // 1024} kB free",
            "`boardtalk console` and os.remove make room",
        )


def _same(made: dict[str, str], right: dict[str, str], paths: Iterable[str]) -> None:
    """Raises ProvisionError: the board has something else than what was sent."""
    if wrong := [path for path in paths if made.get(path) != right[path]]:
        raise ProvisionError(
            "verify",
            f"what the board has of {wrong[0]} is not what was sent",
            "the same command sends it again; if it stays so, its flash is worn out",
        )


async def _met(order: Order, made: Provisioned) -> Provisioned:
    """Who says HELLO at its port. Raises ProvisionError."""
    cache = DictionaryCache(order.state / "dictionaries")
    line = transport(order.port, BAUD)
    try:
        async with Device(line, cache, uid=made.uid, patience_s=HELLO_S) as device:
            hello = device.hello
    except LinkError as error:
        raise ProvisionError(
            "no-hello", str(error), "all is on the board: does its main.py end with the `run()` of a Board?"
        ) from error
    program = f"{hello.name} {hello.firmware}".strip()
    return msgspec.structs.replace(made, program=program, dictionary=hello.dictionary.hex())
