"""Settings of modules and rules who may what, over ``control.sock``."""

from __future__ import annotations

import msgspec

from boardtalk.conf import changes
from boardtalk.conf.changes import Pending, Setting


class GetSettings(msgspec.Struct, tag_field="op", tag="settings"):
    """Ask for the settings of a module instance."""

    instance: str


class ChangeSettings(msgspec.Struct, tag_field="op", tag="change settings"):
    """Put other settings of a module instance into force, on trial: no file is changed.

    Unless `ConfirmSettings` comes in time, the old ones are in force again.
    """

    instance: str
    values: dict[str, str | None]
    """As the file would have them, by key; null: the default."""
    confirm_s: float = 60.0


class ConfirmSettings(msgspec.Struct, tag_field="op", tag="confirm settings"):
    """Keep them: they are written into the configuration file, where all else stays as it is."""

    change: str


class RevertSettings(msgspec.Struct, tag_field="op", tag="revert settings"):
    """Have the settings of before at once. Answered by `Reloaded`."""

    change: str


class Rights(msgspec.Struct, tag_field="op", tag="rights"):
    """Ask for the rules who may what."""


class ChangeRights(msgspec.Struct, tag_field="op", tag="change rights"):
    """Put another rule into force, on trial as by `ChangeSettings`, and confirmed alike."""

    name: str
    """Of the grant, which may be a new one; "": the block `policy`."""
    values: dict[str, str | None] | None
    """As the file would have them, by key; null: the default. null in place of all: it is removed."""
    confirm_s: float = 60.0
    seen: dict[str, str] | None = None
    """Its keys as they were when somebody decided to change it, {}: there was none; if they are others by now
    it is refused. null: it does not matter."""


class Judge(msgspec.Struct, tag_field="op", tag="judge"):
    """Ask whether somebody may do something, and why."""

    user: str
    robot: str
    command: str = "see"
    """As it is typed, of which the first word counts; or a right, such as `drive`."""


Request = GetSettings | ChangeSettings | ConfirmSettings | RevertSettings | Rights | ChangeRights | Judge


class ModuleSettings(msgspec.Struct, tag="settings"):
    """Answers `GetSettings`."""

    instance: str
    where: str
    """File and line of its block."""
    settings: list[Setting]
    pending: Pending | None
    """The change, of whichever module, that waits to be confirmed."""


class SettingsOnTrial(msgspec.Struct, tag="settings on trial"):
    """Answers `ChangeSettings`."""

    pending: Pending
    changes: list[changes.Change]


class SettingsKept(msgspec.Struct, tag="settings kept"):
    """Answers `ConfirmSettings`."""

    file: str


class Rule(msgspec.Struct):
    """A grant."""

    name: str
    where: str
    """File and line."""
    settings: list[Setting]


class RightsList(msgspec.Struct, tag="rights"):
    """Answers `Rights`."""

    roles: bool
    """Whether what roles carry counts beside the grants."""
    where: str
    """File and line of the block that says so; "" = there is none."""
    rules: list[Rule]
    blank: list[Setting]
    """The keys of a new one."""
    rights: list[str]
    """What may be granted."""
    pending: Pending | None
    """The change, of whatever, that waits to be confirmed."""


class Judged(msgspec.Struct, tag="judged"):
    """Answers `Judge`."""

    granted: bool
    reason: str
    """In words: by which rule, or why not and what would help."""
