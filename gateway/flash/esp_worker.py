# SPDX-License-Identifier: GPL-2.0-or-later
"""esptool in a process of its own: JSON lines in, JSON lines out. Run by its path; `esp.py` is the other end.

A process, because esptool's log and progress are of the whole process, so that four boards could not be
told apart; because what crashes or hangs then takes nothing along; and because esptool is under the GPL:
this file is the only one that imports it, and is under the GPL itself.
"""

import base64
import contextlib
import gc
import json
import os
import sys
from typing import Any

from esptool.cmds import attach_flash, connect_esp, detect_flash_size, reset_chip, run_stub, write_flash
from esptool.logger import TemplateLogger, log
from esptool.util import flash_size_bytes

ATTEMPTS = 4
out = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # whatever else prints does not print between our lines


class Progress(TemplateLogger):  # type: ignore[misc]
    """Of all that esptool says only how far it is."""

    def print(self, *args: Any, **kwargs: Any) -> None:
        """Not shown."""

    def note(self, message: str) -> None:
        """Not shown."""

    def warning(self, message: str) -> None:
        """Not shown."""

    def error(self, message: str) -> None:
        """Not shown: errors are raised too."""

    def stage(self, finish: bool = False) -> None:
        """Not shown."""

    def progress_bar(
        self, cur_iter: int, total_iters: int, prefix: str = "", suffix: str = "", bar_length: int = 30
    ) -> None:
        """Told as the part that is done."""
        if total_iters:
            say("progress", part=cur_iter / total_iters)

    def set_verbosity(self, verbosity: str) -> None:
        """There is one only."""


def say(what: str, **more: object) -> None:
    """Write one line."""
    print(json.dumps({"ev": what, **more}), file=out, flush=True)


def opened(wanted: dict[str, Any]) -> Any:
    """Connect, at the first rate at which somebody answers, and say who is there."""
    for rate in wanted["rates"]:
        try:
            esp = connect_esp(
                wanted["port"], initial_baud=rate, before=wanted["before"], connect_attempts=ATTEMPTS
            )
            break
        except Exception:
            if rate == wanted["rates"][-1]:
                raise
        gc.collect()  # esptool leaves the port open, and locked, in objects that refer to each other
    if esp.secure_download_mode:
        raise RuntimeError("secure download mode: nothing that is written could be verified")
    esp = run_stub(esp)
    if wanted["baud"] != rate:
        esp.change_baud(wanted["baud"])
    attach_flash(esp)
    say(
        "found",
        chip=esp.CHIP_NAME.lower().replace("-", ""),
        id=":".join(f"{byte:02x}" for byte in esp.read_mac("BASE_MAC")),
        flash_bytes=flash_size_bytes(detect_flash_size(esp)) or 0,
    )
    return esp


def obey(esp: Any, wanted: dict[str, Any]) -> None:
    """Do one thing."""
    match wanted["do"]:
        case "digest":
            say("digest", md5=esp.flash_md5sum(wanted["at"], wanted["size"]).lower())
        case "write":
            data = base64.b64decode(wanted["data"])
            write_flash(esp, [(wanted["at"], data)], flash_size="keep")
            say("done")
        case "read":
            data = esp.read_flash(wanted["at"], wanted["size"])
            say("data", data=base64.b64encode(data).decode())
        case "erase":
            esp.erase_flash()
            say("done")
        case "reset":
            reset_chip(esp, wanted["how"])
            say("done")


def main() -> None:
    """Serve until the other end closes the pipe, or something fails."""
    log.set_logger(Progress())
    esp = None
    try:
        for line in sys.stdin:
            wanted = json.loads(line)
            if wanted["do"] == "open":
                esp = opened(wanted)
            else:
                obey(esp, wanted)
    except Exception as error:  # noqa: BLE001 - whatever it is, the other end shall know
        say("failed", reason=" ".join(str(error).split()) or repr(error))
    finally:
        if esp is not None:
            with contextlib.suppress(Exception):
                esp._port.close()  # noqa: SLF001 - the loader has no other way


if __name__ == "__main__":
    main()
