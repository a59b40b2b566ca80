"""Modules start in the order of the file, and end in reverse; one that does not start hurts nobody."""

from __future__ import annotations

import asyncio
from importlib.metadata import EntryPoint
from typing import Any, ClassVar

import pytest
from structlog.testing import capture_logs

from boardtalk import conf, loader
from boardtalk.sdk import Module, ModuleError


class Diary(Module):
    """Notes what is done with it."""

    name = "diary"
    said: ClassVar[list[str]] = []

    def __init__(self, context: Any, config: Any) -> None:
        super().__init__(context, config)
        self.instance = context

    def on_start(self) -> None:
        self.said.append(f"start {self.instance}")

    async def on_cleanup(self) -> None:
        self.said.append(f"cleanup {self.instance}")


class Lame(Module):
    name = "lame"

    async def on_start(self) -> None:
        raise OSError("no leg to stand on")


class Sloppy(Diary):
    name = "sloppy"

    async def on_cleanup(self) -> None:
        await super().on_cleanup()
        raise RuntimeError("the broom is broken")


class Slow(Diary):
    name = "slow"

    async def on_cleanup(self) -> None:
        await asyncio.Event().wait()


MODULES = {module.name: module for module in (Diary, Lame, Sloppy, Slow)}


@pytest.fixture(autouse=True)
def said() -> list[str]:
    Diary.said.clear()
    return Diary.said


def instances(text: str) -> list[loader.Instance]:
    return loader.plan(conf.parse(text, "gateway.conf"), MODULES)


def name_only(instance: str, _position: int) -> Any:
    return instance


async def test_modules_start_in_order_and_are_cleaned_up_in_reverse(said: list[str]) -> None:
    three = instances("module diary { }\nmodule sloppy { }\nmodule diary { }")
    async with loader.running(three, name_only) as (chain, started):
        assert said == ["start diary", "start sloppy", "start diary#2"]
        assert [stage.name for stage in chain.stages] == list(started) == ["diary", "sloppy", "diary#2"]
        said.clear()
    assert said == ["cleanup diary#2", "cleanup sloppy", "cleanup diary"]


async def test_a_module_that_never_finishes_its_clean_up_does_not_hold_up_the_others(
    said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loader, "CLEANUP_S", 0.05)
    async with loader.running(instances("module diary { }\nmodule slow { }"), name_only):
        said.clear()
    assert said == ["cleanup diary"]


async def test_the_chain_goes_on_without_a_module_that_does_not_start(said: list[str]) -> None:
    three = instances("module diary { }\nmodule lame { }\nmodule diary { }")
    async with loader.running(three, name_only) as (chain, _):
        assert [stage.name for stage in chain.stages] == ["diary", "diary#2"]


async def test_without_a_required_module_nothing_runs_and_what_had_started_is_cleaned_up(
    said: list[str],
) -> None:
    two = instances("module diary { }\nmodule lame { required = yes }")
    with pytest.raises(ModuleError, match="required module 'lame' did not start: no leg to stand on"):
        async with loader.running(two, name_only):
            pytest.fail("it runs")
    assert said == ["start diary", "cleanup diary"]


class Elsewhere(Module):
    name = "somebody"


class Ancient(Module):
    name = "ancient"
    api_version = 0


def test_modules_that_do_not_fit_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = {
        "ancient": ("Ancient", "is written for module API 0"),
        "elsewhere": ("Elsewhere", "calls itself 'somebody'"),
        "text": ("MODULES", "is no subclass of boardtalk.sdk.Module"),
        "gone": ("Gone", "has no attribute 'Gone'"),
    }
    places = {"diary": "Diary"} | {name: place for name, (place, _) in wrong.items()}
    points = [EntryPoint(name, f"{__name__}:{place}", loader.GROUP) for name, place in places.items()]
    monkeypatch.setattr(loader, "entry_points", lambda **_: points)
    with capture_logs() as told:
        assert loader.available() == {"diary": Diary}
    reasons = {line["module"]: line["error"] for line in told}
    assert all(reason in reasons[name] for name, (_, reason) in wrong.items())
