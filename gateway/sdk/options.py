"""Options that commands have in common; commands of other packages use them too."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

StateFolder = Annotated[
    Path | None, Parameter(name="--state", help="Folder where the gateway keeps its state.")
]
AsJson = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON, for programs.")]
