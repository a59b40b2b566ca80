"""Signature files: what was signed of a release, which is the same for all boards, and the signature."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from boardtalk.modules.iot_bridge.errors import LinkError
from boardtalk.modules.iot_bridge.ota.release import RSA, Signature

if TYPE_CHECKING:
    from pathlib import Path

    from boardtalk.modules.iot_bridge.ota.release import Release


def written(release: Release) -> bytes:
    """A signature file: what was signed, and the signature. Raises LinkError: it is not signed."""
    if release.signature is None:
        raise LinkError(f"{release.label} is not signed")
    return release.text(release.signature.at) + f"{RSA} {release.signature.rsa}\n".encode()


def with_signature(release: Release, path: Path) -> Release:
    """A release with the signature, and the label, of a file that `written` has made.

    Raises:
        LinkError: it can't be read, or is of other files.
    """
    try:
        *lines, last = path.read_text().splitlines()
        facts = dict(line.split(" ", 1) for line in (*lines[:3], last))
        signature = Signature(int(facts["signed"]), facts[RSA])
        label = facts["version"].removesuffix(release.digest).removesuffix("+")
        signed = msgspec.structs.replace(release, label=label, signature=signature)
    except (OSError, ValueError, KeyError) as error:
        raise LinkError(f"{path}: is no signature that `boardtalk ota sign` has made ({error})") from error
    theirs = set(lines) ^ set(signed.text(signature.at).decode().splitlines())
    names = sorted({line.split(" ", 3)[3] for line in theirs if line.startswith("file ")})
    if theirs:
        what = ", ".join(names) or "something"
        raise LinkError(f"{path}: was made for other files ({what} differs): `boardtalk ota sign` anew")
    return signed
