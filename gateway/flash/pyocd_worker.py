"""pyOCD in a process of its own: JSON lines in, JSON lines out. `pyocd.py` is the other end."""

import base64
import contextlib
import hashlib
import json
import os
import sys
from typing import Any

from pyocd.core.exceptions import Error, TransferError
from pyocd.core.helpers import ConnectHelper
from pyocd.core.session import Session
from pyocd.flash.eraser import FlashEraser
from pyocd.flash.loader import FlashLoader

ANY = "cortex_m"
OPTIONS = {
    "auto_unlock": False,  # it erases a chip that is protected
    "chip_erase": "sector",
    "hide_programming_progress": True,
}
out = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # whatever else prints does not print between our lines


def say(what: str, **more: object) -> None:
    """Write one line."""
    print(json.dumps({"ev": what, **more}), file=out, flush=True)


class Progress:
    """Told as the part that is done. pyOCD counts twice: while it erases, and while it writes."""

    def __init__(self) -> None:
        self._last = self._erased = 0.0

    def __call__(self, part: float) -> None:
        """Take in how far it is."""
        if part < self._last:
            self._erased = 1.0
        self._last = part
        say("progress", part=(self._erased + part) / 2)


def opened(wanted: dict[str, Any]) -> Session:
    """Connect by the one probe that is meant, and say which chip is behind it."""
    probes = ConnectHelper.get_all_connected_probes(blocking=False, unique_id=wanted["probe"])
    if len(probes) != 1:
        seen = ", ".join(each.unique_id for each in probes) or "none"
        raise RuntimeError(f"no probe: one is wanted, and there are: {seen}")
    session = connected(probes[0], ANY)
    names = [name for name, mark in wanted["marks"].items() if is_marked(session, *mark)]
    if wanted["chip"] in names:  # only now: what pyOCD does for one kind of chip may harm another one
        session.close()
        session = connected(probes[0], wanted["chip"])
        names = [wanted["chip"]]
    say("found", chip=(names or ["chip of another kind"])[0], id=probes[0].unique_id, flash_bytes=0)
    return session


def connected(probe: Any, chip: str) -> Session:
    """A session with what is behind a probe, taken for a kind of chip."""
    session = Session(probe, options={**OPTIONS, "target_override": chip})
    session.open()
    return session


def is_marked(session: Session, at: int, mask: int, value: int) -> bool:
    """Whether a word of the chip is as one kind has it; others may not have that address."""
    try:
        return bool(session.target.read32(at) & mask == value)
    except TransferError:
        return False


def obey(session: Session, wanted: dict[str, Any]) -> None:
    """Do one thing."""
    match wanted["do"]:
        case "digest":
            data = bytes(session.target.read_memory_block8(wanted["at"], wanted["size"]))
            say("digest", md5=hashlib.md5(data, usedforsecurity=False).hexdigest())
        case "write":
            loader = FlashLoader(session, progress=Progress())
            loader.add_data(wanted["at"], base64.b64decode(wanted["data"]))
            loader.commit()
            say("done")
        case "read":
            data = bytes(session.target.read_memory_block8(wanted["at"], wanted["size"]))
            say("data", data=base64.b64encode(data).decode())
        case "erase":
            FlashEraser(session, FlashEraser.Mode.CHIP).erase()
            say("done")
        case "reset":
            session.target.reset()
            say("done")


def main() -> None:
    """Serve until the other end closes the pipe, or something fails."""
    session = None
    try:
        for line in sys.stdin:
            wanted = json.loads(line)
            if wanted["do"] == "open":
                session = opened(wanted)
            else:
                obey(session, wanted)
    except Exception as error:  # noqa: BLE001 - whatever it is, the other end shall know
        say("failed", reason=" ".join(str(error).split()) or repr(error))
    finally:
        if session is not None:
            with contextlib.suppress(Error):
                session.close()


if __name__ == "__main__":
    main()
