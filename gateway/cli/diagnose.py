"""`boardtalk diagnose`: one file for whoever helps from afar."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from boardtalk import diagnosis
from boardtalk.cli.common import DONE, REFUSED, ConfFile, await_, console, errors, me, print_json
from boardtalk.frontends.client import GatewayClient, NoGateway
from boardtalk.sdk import ConfigError
from boardtalk.sdk.folders import running_folder
from boardtalk.sdk.options import AsJson, StateFolder

if TYPE_CHECKING:
    from collections.abc import Iterable


def diagnose(
    file: Path, /, *, conf_: ConfFile = None, state: StateFolder = None, json: AsJson = False
) -> int:
    """Write a zip file that says how this gateway is: versions, settings, modules, boards, log. No secrets.

    Example: boardtalk diagnose rover-is-silent.zip

    Args:
        file: what is written; it must not be there yet.
        conf_: the configuration to show if no gateway runs.
    """
    try:
        opened = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        errors.print(f"{file}: {error.strerror}; name another file", markup=False, soft_wrap=True)
        return REFUSED
    try:
        with os.fdopen(opened, "wb") as written:
            size = written.write(await_(_bundle(state or running_folder(), conf_)))
    except BaseException:
        file.unlink(missing_ok=True)
        raise
    if json:
        print_json({"file": str(file), "bytes": size})
    else:
        text = f"{file}: {size:,} bytes, without secrets; look through it before you hand it on"
        console.print(text, markup=False, soft_wrap=True)
    return DONE


async def _bundle(state: Path, file: Path | None) -> bytes:
    try:
        async with GatewayClient.connect(state, me()) as client:
            return await diagnosis.bundle(state, client)
    except (NoGateway, TimeoutError) as error:
        why = str(error) or "the gateway does not answer"
    return await diagnosis.bundle_without(state, why, *_configuration(file))


def _configuration(file: Path | None) -> tuple[str, Iterable[str]]:
    from boardtalk import app, conf

    path = app.find_conf(file)
    try:
        document = conf.load(path)
    except ConfigError as error:
        return f"{path} can't be read: {error}\n", ()
    return conf.render(conf.public(document)), conf.secrets(document)
