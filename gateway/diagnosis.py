"""A diagnosis: one file without secrets for who helps from afar; for `boardtalk diagnose` and the page."""

from __future__ import annotations

import asyncio
import io
import platform
import subprocess
import sys
import time
import zipfile
from importlib.metadata import distributions, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from boardtalk.frontends import control
from boardtalk.masking import Mask, on_disk
from boardtalk.sdk.leash import leashed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from boardtalk.frontends.client import GatewayClient

COMMAND_S: Final = 30.0
"""Longest that a command is waited for."""
MAX_LOG_BYTES: Final = 64 * 1024
"""Of the link process's log: its end."""
ABOUT: Final = """\
A diagnosis of boardtalk {version}, made {at} UTC.

{members}

Secrets are left out: passwords, tokens, keys and sessions stand nowhere in it, also where a log or a setting
had them ("hidden"). Names of users and robots, addresses of this machine and what modules log are in it: look
through it before you hand it on.
"""
MEMBERS: Final = {
    "versions.json": "boardtalk, Python, system, installed packages",
    "doctor.json": "what `boardtalk doctor` found, and its cures",
    "boards.json": "what `boardtalk boards` lists",
    "files.json": "what is in the state folder, in bytes",
    "link.log": "the end of the link process's log",
    "configuration.conf": "the configuration in force",
    "system.json": "figures of the gateway: memory, store, disk, broker, sessions",
    "modules.json": "the modules of the chain, and how they are",
    "robots.json": "what robots declare, and how they are",
    "log.txt": "the last lines of the gateway's log",
}


async def bundle(state: Path, client: GatewayClient) -> bytes:
    """A zip file with all of it.

    Args:
        state: the state folder.
        client: of somebody who may administer this gateway.

    Raises:
        Denied: he may not.
        NoGateway: it does not answer.
    """
    found = await client.ask(control.Diagnose(), control.Diagnosis)
    return await _packed(state, found.parts, ())


async def bundle_without(state: Path, why: str, configuration: str, secrets: Iterable[str]) -> bytes:
    """The same where no gateway answers.

    Args:
        state: the state folder.
        why: what came instead of an answer.
        configuration: that it would have, without secrets.
        secrets: that were left out of it.
    """
    return await _packed(state, {"configuration.conf": configuration, "system.json": {"none": why}}, secrets)


async def _packed(state: Path, told: dict[str, Any], secrets: Iterable[str]) -> bytes:
    doctor, boards = await asyncio.gather(_said(state, "doctor"), _said(state, "boards"))
    told |= {"doctor.json": doctor, "boards.json": boards}
    return await asyncio.to_thread(_zipped, state, told, secrets)


def _zipped(state: Path, told: dict[str, Any], secrets: Iterable[str]) -> bytes:
    told |= {
        "versions.json": _versions(),
        "files.json": dict(_files(state)),
        "link.log": _end_of(state / "link.log"),
    }
    mask = Mask(on_disk(state).union(secrets))
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
    members = "\n".join(f"{name}: {what}" for name, what in MEMBERS.items() if name in told)
    about = ABOUT.format(version=version("boardtalk"), at=at, members=members)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("about.txt", about)
        for name in MEMBERS:
            if name in told:
                packed.writestr(name, _text(told[name], mask))
    return file.getvalue()


def _text(value: Any, mask: Mask) -> str:
    if isinstance(value, str):
        return mask.text(value)
    return msgspec.json.format(msgspec.json.encode(mask.value(value)), indent=2).decode()


async def _said(state: Path, command: str) -> Any:
    """What a command of boardtalk's finds: in a process, since what it looks at may hang."""
    process = await asyncio.create_subprocess_exec(
        *leashed(sys.executable, "-m", "boardtalk", command, "--json", "--state", str(state)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(COMMAND_S):
            out, err = await process.communicate()
        return msgspec.json.decode(out)
    except TimeoutError:
        return {"none": f"it took more than {COMMAND_S:g} s"}
    except msgspec.DecodeError:
        return {"none": err.decode(errors="replace")}
    finally:
        if process.returncode is None:
            process.kill()
            await asyncio.shield(process.wait())


def _versions() -> dict[str, Any]:
    packages = {each.name: each.version for each in distributions()}
    return {
        "boardtalk": version("boardtalk"),
        "python": sys.version,
        "system": platform.platform(),
        "machine": platform.machine(),
        "packages": dict(sorted(packages.items())),
    }


def _files(state: Path) -> Iterator[tuple[str, int]]:
    for path in sorted(state.rglob("*")):
        try:
            if path.is_file():
                yield str(path.relative_to(state)), path.stat().st_size
        except OSError:
            continue  # it has gone, or nobody may look


def _end_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - MAX_LOG_BYTES))
            return file.read().decode(errors="replace")
    except OSError as error:
        return f"{error.strerror}\n"
