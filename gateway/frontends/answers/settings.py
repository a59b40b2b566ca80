"""Settings of modules, and the rules who may what: shown, and changed on trial."""

from __future__ import annotations

from typing import TYPE_CHECKING

from boardtalk.frontends import control, rules

if TYPE_CHECKING:
    from boardtalk.configuration import Configuration
    from boardtalk.frontends.control import settings
    from boardtalk.people.directory import Directory
    from boardtalk.trial import Trials


class Settings:
    """Answers `control.settings`."""

    def __init__(self, configuration: Configuration, trials: Trials, directory: Directory) -> None:
        self._configuration = configuration
        self._trials = trials
        self._directory = directory

    async def answer(self, request: settings.Request, user: str) -> control.Reply:
        """Carry out what a user asks."""
        match request:
            case control.Rights():
                return rules.listed(self._configuration.document, self._trials.pending)
            case control.ChangeRights(name, values, confirm_s, seen):
                return control.SettingsOnTrial(
                    *await self._trials.begin_rights(user, name, values, confirm_s, seen)
                )
            case control.Judge():
                return rules.judged(self._directory, request)
            case control.GetSettings(instance):
                block, shown = self._trials.form(instance)
                return control.ModuleSettings(instance, block.where, shown, self._trials.pending)
            case control.ChangeSettings(instance, values, confirm_s):
                return control.SettingsOnTrial(*await self._trials.begin(user, instance, values, confirm_s))
            case control.ConfirmSettings(change):
                return control.SettingsKept(str(await self._trials.confirm(user, change)))
            case control.RevertSettings(change):
                return control.Reloaded(await self._trials.revert(user, change))
