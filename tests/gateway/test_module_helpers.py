"""What modules get besides messages: notes, timers, threads, processes, JSON, levels of what they say."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from boardtalk.hub.notes import MAX_BYTES, MAX_VALUE_BYTES, Notes
from boardtalk.sdk import Module, json_extract, json_extract_all
from boardtalk.store.store import Store
from boardtalk.testing import bench


class Plain(Module):
    name = "plain"


# Notes ----------------------------------------------------------------------------------------


async def test_notes_outlive_the_gateway_and_each_instance_has_its_own(tmp_path: Path) -> None:
    async with Store.open(tmp_path / "store.db") as store:
        notes, others = await Notes.load(store, "a"), await Notes.load(store, "b")
        notes.update({"text": "grüße", "list": [1, {"x": None}], "gone": 1})
        others["text"] = "other"
        del notes["gone"]
        notes["text"] = "again"
    async with Store.open(tmp_path / "store.db") as store:
        assert dict(await Notes.load(store, "a")) == {"text": "again", "list": [1, {"x": None}]}
        assert dict(await Notes.load(store, "b")) == {"text": "other"}


async def test_a_note_is_a_copy_and_no_window(tmp_path: Path) -> None:
    async with Store.open(tmp_path / "store.db") as store:
        notes = await Notes.load(store, "a")
        notes["list"] = mine = [1]
        mine.append(2)
        notes["list"].append(3)
        assert notes["list"] == [1]


@pytest.mark.parametrize(
    ("key", "value", "error"),
    [("k" * 257, 1, ValueError), ("k", "x" * MAX_VALUE_BYTES, ValueError), ("k", object(), TypeError)],
)
async def test_what_can_t_be_kept_changes_nothing(
    tmp_path: Path, key: str, value: Any, error: type[Exception]
) -> None:
    async with Store.open(tmp_path / "store.db") as store:
        notes = await Notes.load(store, "a")
        notes["k"] = "old"
        with pytest.raises(error):
            notes[key] = value
        assert dict(notes) == {"k": "old"}


async def test_notes_have_an_end_and_room_again_after_a_deletion(tmp_path: Path) -> None:
    async with Store.open(tmp_path / "store.db") as store:
        notes = await Notes.load(store, "a")
        big = "x" * (MAX_VALUE_BYTES - 10)
        with pytest.raises(ValueError, match="no room"):
            for number in range(MAX_BYTES // len(big) + 1):
                notes[f"{number:03}"] = big
        del notes["000"]
        notes["new"] = big


# Timers ---------------------------------------------------------------------------------------


async def test_timers_call_once_or_again_and_again_and_survive_a_failing_call() -> None:
    async with bench(Plain) as gateway:
        calls: list[str] = []
        enough = asyncio.Event()

        async def again() -> None:
            calls.append("every")
            if len(calls) == 2:
                raise RuntimeError("boom")
            if calls.count("every") == 4:
                enough.set()

        gateway.module.context.after(0.01, lambda: calls.append("after"))
        every = gateway.module.context.every(0.02, again)
        await asyncio.wait_for(enough.wait(), 5)
        every.cancel()
        seen = len(calls)
        await asyncio.sleep(0.06)
        assert len(calls) == seen
        assert calls.count("after") == 1


async def test_timers_end_with_the_instance() -> None:
    calls: list[int] = []
    async with bench(Plain) as gateway:
        gateway.module.context.every(0.01, lambda: calls.append(1))
        await asyncio.sleep(0.05)
    seen = len(calls)
    await asyncio.sleep(0.05)
    assert seen > 0
    assert len(calls) == seen


# Threads and processes ------------------------------------------------------------------------


def where(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


def fail() -> None:
    raise ValueError("it can't be done")


async def test_threads_and_processes_do_what_would_hold_everybody_up() -> None:
    async with bench(Plain) as gateway:
        context = gateway.module.context
        assert await context.run_in_thread(where, 0) == os.getpid()
        assert await context.run_in_process(where, 0) != os.getpid()
        for run in (context.run_in_thread, context.run_in_process):
            with pytest.raises(ValueError, match="it can't be done"):
                await run(fail)


async def test_a_process_that_nobody_waits_for_any_more_is_killed() -> None:
    async with bench(Plain) as gateway:
        pid = await gateway.module.context.run_in_process(where, 0)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await gateway.module.context.run_in_process(where, 60)  # in the same worker
        for _ in range(100):
            if not Path(f"/proc/{pid}/cmdline").exists() or not Path(f"/proc/{pid}/cmdline").read_bytes():
                return
            await asyncio.sleep(0.05)
        pytest.fail("it still runs")


# Words ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("verbosity", "levels"), [(0, [0]), (1, [0, 1]), (9, [0, 1, 2])])
async def test_level_0_is_always_said_and_others_if_they_are_asked_for(
    verbosity: int, levels: list[int]
) -> None:
    with capture_logs() as told:
        async with bench(Plain, f"verbosity = {verbosity}") as gateway:
            for level in range(3):
                gateway.module.say(level, "hello", level_was=level)
    assert [each["level_was"] for each in told if each["event"] == "hello"] == levels


def test_json_extract_finds_a_key_at_any_depth_outer_ones_first() -> None:
    source = '{"a": {"text": "inner", "n": [{"text": "deep"}]}, "text": "outer"}'
    assert json_extract(source, "text") == "outer"
    assert list(json_extract_all(source, "text")) == ["outer", "inner", "deep"]
    assert json_extract(source, "a.text") == "inner"
    assert json_extract(source, "nothing", "default") == "default"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)


def values(value: Any, key: str) -> list[Any]:
    found = []
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        found += values(each, key)
    return found + ([value[key]] if isinstance(value, dict) and key in value else [])


@given(JSON)
def test_json_extract_finds_all_that_there_are(value: Any) -> None:
    found = list(json_extract_all(json.dumps(value), "a"))
    assert sorted(map(repr, found)) == sorted(map(repr, values(value, "a")))


@given(st.text() | st.binary())
def test_json_extract_takes_anything(source: str | bytes) -> None:
    json_extract(source, "a.b")


def test_json_extract_takes_deep_nesting() -> None:
    assert json_extract("[" * 100_000, "a") is None


def test_a_gateway_loads_the_ways_out_only_when_a_module_takes_one() -> None:
    code = "import boardtalk.app, sys; print({'httpx', 'websockets', 'anyio'} & set(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "set()"
