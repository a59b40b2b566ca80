"""Makes a board one that can be updated over its link: once, by its cable."""

from __future__ import annotations

import tempfile
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Final

from boardtalk.modules.iot_bridge.ota.keys import board_key, make_key
from boardtalk.modules.iot_bridge.workbench.loan import borrowed
from boardtalk.modules.iot_bridge.workbench.push import mpremote, started_anew

if TYPE_CHECKING:
    from boardtalk.modules.iot_bridge.ota.release import Release

LOADER: Final = (
    "main.py",
    "slots.py",
    "ota_client.py",
    "ota.py",
    "ota_manifest.py",
    "ota_rsa.py",
    "ota_slot.py",
)
FIRST_SLOT: Final = "a"
FORGET: Final = """\
import os
for name in ("slots.0", "slots.1", "a.txt", "b.txt"):
    try:
        os.remove(name)
    except OSError:
        pass
"""
"""Of an earlier life, in which another slot may have run."""


def stage(folder: Path, state: Path, uid: str, release: Release, modulus: int | None = None) -> None:
    """Lay out what goes onto a board beside the client: loader, keys, and a program in the first slot.

    Raises:
        ServiceError: the gateway's key can't be used.
    """
    make_key(state)
    for name in LOADER:
        (folder / name).write_bytes(files("boardtalk.firmware").joinpath("ota", name).read_bytes())
    (folder / "ota.key").touch(mode=0o600)
    (folder / "ota.key").write_text(board_key(state, uid).hex())
    if modulus is not None:
        (folder / "ota.pub").write_text(f"{modulus:x}\n")
    (folder / f"{FIRST_SLOT}.txt").write_text(f"version {release.version}\n")
    for each in release.files:
        path = folder / FIRST_SLOT / each.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(each.data)


async def install(
    state: Path, board: str, uid: str, release: Release, modulus: int | None = None
) -> tuple[str, bool]:
    """Put loader, key and a program onto a board, and start it. The client is there already.

    With the modulus of a public key it asks for signatures from then on; a key that it has stays otherwise.

    Returns what it prints then, and whether it runs or has ended at its prompt.

    Raises:
        LinkError: its port can't be lent, or mpremote fails.
        ServiceError: no gateway runs, or its key can't be used.
    """
    with tempfile.TemporaryDirectory(prefix="boardtalk-ota-") as name:
        folder = Path(name)
        stage(folder, state, uid, release, modulus)
        async with borrowed(board, state, "`boardtalk ota install`") as loan:
            entries = sorted(map(str, folder.iterdir()))
            await mpremote(
                "connect", loan.port, "resume", "exec", FORGET, "+", "resume", "cp", "-r", *entries, ":"
            )
            text, runs = await started_anew(loan.port)
            loan.printed(board, text)
    return text, runs
