"""Options that commands have in common; commands of other packages use them too."""

from __future__ import annotations

import getpass
import re
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

StateFolder = Annotated[
    Path | None, Parameter(name="--state", help="Folder where the gateway keeps its state.")
]
AsJson = Annotated[bool, Parameter(name="--json", help="Print JSON, for programs.")]


def me() -> str:
    """The address of the person at this machine: the login name, as far as it can be one."""
    name = re.sub(r"[^a-z0-9_-]", "", getpass.getuser().lower()).lstrip("_-")[:32]
    return name or "me"
