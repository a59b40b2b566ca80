"""The store: what it accepted is on disk, once, and comes back as it was."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boardtalk import doctor
from boardtalk.sdk import Code, Flag, Message, Refused, Severity, State, Status
from boardtalk.store import store as store_module
from boardtalk.store.records import Accepted, Conflict, Duplicate, NotStored
from boardtalk.store.schema import StoreError
from boardtalk.store.store import Store
from boardtalk.store.writer import RETRY_S

DONE = Status(code=Code.DONE, state=State.DONE)


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Store]:
    async with Store.open(folder / "store.db") as store:
        yield store


def say(body: str, message_id: str = "", sender: str = "alice", to: str = "bob") -> Message:
    return Message(sender=sender, to=to, body=body, id=message_id)


async def put(store: Store, *messages: Message) -> list[object]:
    for message in messages:
        store.put(message)
    found: list[object] = []
    async with asyncio.timeout(10):
        async for batch in store.committed():
            found += batch
            if len(found) >= len(messages):
                return found
    raise AssertionError


async def test_messages_are_accepted_in_order_with_rising_rows(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        results = await put(store, *(say(str(number)) for number in range(1000)))
    assert all(isinstance(result, Accepted) for result in results)
    assert [result.message.body for result in results] == [str(number) for number in range(1000)]  # type: ignore[attr-defined]
    rows = [result.message.row for result in results]  # type: ignore[attr-defined]
    assert rows == sorted(set(rows))


WORDS = st.text(alphabet="aAbÄ%_\\'\"", min_size=1, max_size=3)


@given(bodies=st.lists(st.lists(WORDS).map(" ".join), max_size=8), words=st.lists(WORDS, max_size=3))
@settings(max_examples=25)
async def test_a_search_finds_what_has_all_its_words(
    tmp_path_factory: pytest.TempPathFactory, bodies: list[str], words: list[str]
) -> None:
    async with opened(tmp_path_factory.mktemp("store")) as store:
        if bodies:
            await put(store, *map(say, bodies))
        found = await store.history("alice", text=" ".join(words))
    lower = str.maketrans("AB", "ab")
    wanted = [each for each in bodies if all(w.translate(lower) in each.translate(lower) for w in words)]
    assert [entry.body for entry in found] == wanted


async def test_a_new_ledger_begins_at_other_rows_than_the_last_one(tmp_path: Path) -> None:
    """A board that is still powered remembers the commands that were made of those rows."""
    rows = set()
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        async with opened(tmp_path / name) as store:
            results = await put(store, say("one"), say("two"))
            rows |= {result.message.row for result in results}  # type: ignore[attr-defined]
    assert len(rows) == 4


async def test_a_restored_ledger_does_not_use_the_rows_that_came_after_the_backup(tmp_path: Path) -> None:
    rows = set()
    async with opened(tmp_path) as store:
        await put(store, say("before"))
    backup = (tmp_path / "store.db").read_bytes()
    for _ in range(3):
        (tmp_path / "store.db").write_bytes(backup)
        async with opened(tmp_path) as store:
            (result,) = await put(store, say("after"))
            rows.add(result.message.row)  # type: ignore[attr-defined]
    assert len(rows) == 3


async def test_a_put_that_comes_while_the_disk_refuses_is_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path) as store:
        (accepted,) = await put(store, say("before"))
        monkeypatch.setattr(store._writer, "_do", refuse)
        for _ in range(20):
            store.update(accepted.message.row, DONE)  # type: ignore[attr-defined]
            began = time.monotonic()
            (result,) = await put(store, say("now"))
            assert isinstance(result, NotStored)
            assert time.monotonic() - began < RETRY_S / 2
        monkeypatch.undo()


def refuse(_: object) -> None:
    time.sleep(0.01)  # so that others come meanwhile
    raise sqlite3.OperationalError("database or disk is full")


async def test_history_survives_a_restart_newest_last(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        results = await put(store, say("one"), say("two"), say("other", to="carol"))
        store.arrived(results[-1].message, "other")  # type: ignore[attr-defined]
    async with opened(tmp_path) as store:
        assert [entry.body for entry in await store.history("alice")] == ["one", "two", "other"]
        assert [entry.body for entry in await store.history("alice", "bob")] == ["one", "two"]
        assert [entry.body for entry in await store.history("carol")] == ["other"]
        assert [entry.body for entry in await store.history("alice", limit=1)] == ["other"]
        (later,) = await put(store, say("later"))
    assert later.message.row > 3  # type: ignore[attr-defined]


async def test_a_repeated_id_is_a_duplicate_with_the_state_and_the_answer_of_the_first(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as store:
        (first,) = await put(store, say("forward 20", "m1"))
        store.update(first.message.row, DONE)  # type: ignore[attr-defined]
        store.record(Message(sender="bob", to="alice", body="x 20 cm", refid="m1"))
        (again,) = await put(store, say("forward 20", "m1"))
    assert isinstance(again, Duplicate)
    assert again.row == first.message.row  # type: ignore[attr-defined]
    assert again.status == DONE
    assert again.answer is not None
    assert again.answer.body == "x 20 cm"


async def test_a_repeated_id_with_another_text_or_recipient_is_a_conflict(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        results = await put(
            store, say("a", "m1"), say("b", "m1"), say("a", "m1", to="carol"), say("a", "m1", "dora")
        )
    assert [type(result) for result in results] == [Accepted, Conflict, Conflict, Accepted]


async def test_ids_may_be_used_again_after_a_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(tmp_path) as store:
        await put(store, say("a", "m1"))
        day_later = store_module.time.time() + 25 * 3600
        monkeypatch.setattr(store_module.time, "time", lambda: day_later)
        (result,) = await put(store, say("b", "m1"))
    assert isinstance(result, Accepted)


SAID = st.tuples(st.sampled_from(["", "1", "2"]), st.sampled_from("ab"), st.sampled_from(["x", "y"]))


@settings(max_examples=25)
@given(lives=st.lists(st.lists(SAID, min_size=1, max_size=8), max_size=3))
def test_c03_each_id_is_accepted_once_whatever_the_order_and_over_restarts(
    lives: list[list[tuple[str, str, str]]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    async def play() -> None:
        folder, seen = tmp_path_factory.mktemp("store"), dict[tuple[str, str], str]()
        for steps in lives:
            async with opened(folder) as store:
                messages = [say(body, mid, sender) for mid, sender, body in steps]
                for message, result in zip(messages, await put(store, *messages), strict=True):
                    key = (message.sender, message.id)
                    if not message.id or key not in seen:
                        expected: type = Accepted
                        seen[key] = message.body
                    else:
                        expected = Duplicate if seen[key] == message.body else Conflict
                    assert type(result) is expected

    asyncio.run(play())


async def test_what_is_held_for_somebody_waits_until_it_is_handed_over(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        results = await put(store, say("one"), say("two"))
        for result in results:
            store.hold("bob", result.message, time.time())  # type: ignore[attr-defined]
        store.hold("carol", results[0].message.with_(expiry=-1), time.time())  # type: ignore[attr-defined]
    async with opened(tmp_path) as store:
        held = await store.held("bob", 9)
        assert [(user, message.body) for user, message, _ in held] == [("bob", "one"), ("bob", "two")]
        assert await store.held("bob", 1) == held[:1]
        assert await store.held(None, 9) == held
        assert await store.held("carol", 9) == [], "expired"
        assert await store.unfinished() == [], "held messages wait, they are not under way"
        for _, message, _ in held:
            store.release("bob", message)
    async with opened(tmp_path) as store:
        assert await store.held("bob", 9) == []


async def test_what_is_held_and_changes_another_names_it_after_a_restart_too(tmp_path: Path) -> None:
    change = {"sender": "alice", "to": "bob", "flags": Flag.REPLACES}
    async with opened(tmp_path) as store:
        said = store.record(Message(sender="alice", to="bob", body="half", id="one"), DONE)
        for refid in ("one", "forgotten", ""):
            changed = store.record(Message(body="whole", refid=refid, **change), DONE)
            store.hold("bob", changed, time.time())
        store.hold("bob", said, time.time())
    async with opened(tmp_path) as store:
        held = await store.held("bob", 9)
        assert [waiting.replaces for waiting in held] == [0, said.row, 0, 0]


async def test_what_was_under_way_is_known_after_a_restart(tmp_path: Path) -> None:
    started = Status(code=Code.DELIVERED, state=State.STARTED)
    async with opened(tmp_path) as store:
        results = await put(store, say("waits"), say("runs"), say("done"))
        store.update(results[1].message.row, started)  # type: ignore[attr-defined]
        store.update(results[2].message.row, DONE)  # type: ignore[attr-defined]
    async with opened(tmp_path) as store:
        found = {message.body: state for message, state, _ in await store.unfinished()}
    assert found == {"waits": "accepted", "runs": "started"}


async def test_tampering_with_the_audit_log_is_found(tmp_path: Path) -> None:
    def found() -> list[str]:
        return [each.what for each in doctor.examine(tmp_path) if each.severity is Severity.PROBLEM]

    async with opened(tmp_path) as store:
        for number in range(5):
            store.audit("alice", "stop", "rover", f"stopped {number}")
        await store.audit_lines(None, 1)  # when all are written
        assert await asyncio.to_thread(found) == []
    with closing(sqlite3.connect(tmp_path / "store.db", isolation_level=None)) as connection:
        connection.execute("UPDATE audit SET who = 'mallory' WHERE seq = 3")
    before = sorted(tmp_path.iterdir())
    [told] = await asyncio.to_thread(found)
    assert "line 3 does not fit" in told
    assert sorted(tmp_path.iterdir()) == before


async def test_too_many_waiting_messages_are_refused_as_busy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "MAX_PENDING", 10)
    async with opened(tmp_path) as store:
        with pytest.raises(Refused) as refused:
            for number in range(11):
                store.put(say(str(number)))
        assert refused.value.code is Code.BUSY
        while len(await store.history("alice")) < 10:
            await asyncio.sleep(0.01)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await store.room()  # they are on disk, but nobody has taken them yet
        assert len(await put(store)) == 10
        await store.room()


WRITE_UNTIL_KILLED = """
import asyncio, sys
from pathlib import Path
from boardtalk.sdk import Message
from boardtalk.store.store import Store

async def main():
    async with Store.open(Path(sys.argv[1])) as store:
        for number in range(50): store.put(Message(sender="a", to="b", body=str(number)))
        async for batch in store.committed():
            for result in batch:
                print(result.message.row, result.message.body, flush=True)
                store.put(Message(sender="a", to="b", body=str(int(result.message.body) + 50)))
asyncio.run(main())
"""


async def test_nothing_accepted_is_lost_when_the_process_is_killed(tmp_path: Path) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    path = tmp_path / "store.db"
    announced: dict[int, str] = {}
    kills = 12
    for _ in range(kills):
        with subprocess.Popen(
            [sys.executable, "-c", WRITE_UNTIL_KILLED, str(path)], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            for _ in range(chance.randrange(1, 400)):
                row, body = process.stdout.readline().split()
                announced[int(row)] = body
            process.send_signal(signal.SIGKILL)
            for line in process.stdout:
                if line.endswith("\n"):
                    row, body = line.split()
                    announced[int(row)] = body
        assert process.returncode == -signal.SIGKILL
    async with Store.open(path) as store:
        kept = {entry.row: entry.body for entry in await store.history("a", limit=1_000_000)}
    assert announced.items() <= kept.items()
    assert len(announced) > kills


async def test_damage_that_an_error_quotes_in_no_encoding_is_damage_too(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await put(store, say("hello"))
    path = tmp_path / "store.db"
    path.write_bytes(
        path.read_bytes().replace(b"transitions", b"trans\xce\xce\xceons").replace(b"CREATE", b"CR\xceATE")
    )
    async with opened(tmp_path) as store:
        assert await store.history("alice") == []
    assert len(list(tmp_path.glob("store.db.damaged-*"))) == 1


async def test_a_torn_or_corrupt_file_never_invents_a_message_nor_prevents_the_start(tmp_path: Path) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    async with opened(tmp_path) as store:
        await put(store, *(say(f"message {number}") for number in range(200)))
    good = (tmp_path / "store.db").read_bytes()
    set_aside = 0
    for number in range(40):
        folder = tmp_path / str(number)
        folder.mkdir()
        data = bytearray(good)
        if number % 2:
            del data[chance.randrange(1, len(data)) :]
        else:
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        (folder / "store.db").write_bytes(data)
        async with opened(folder) as store:
            (result,) = await put(store, say("new"))
            assert isinstance(result, Accepted | NotStored)
        set_aside += len(list(folder.glob("store.db.damaged-*")))
    assert set_aside > 0, "no damage was noticed: the campaign did nothing"


@pytest.mark.privileged
async def test_a_full_disk_refuses_with_the_reason_and_recovers_by_itself(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", tmp_path], check=False)
    if mounted.returncode != 0:
        pytest.skip("can't mount a tmpfs here")
    try:
        async with opened(tmp_path) as store:
            ballast = tmp_path / "ballast"
            with pytest.raises(OSError), ballast.open("wb", buffering=0) as file:
                while True:
                    file.write(b"x" * 4096)
            results = await put(store, *(say("y" * 1000) for _ in range(300)))
            refused = [result for result in results if isinstance(result, NotStored)]
            assert refused
            assert "full" in refused[0].reason
            ballast.unlink()
            (result,) = await put(store, say("after"))
            assert isinstance(result, Accepted)
    finally:
        subprocess.run(["umount", tmp_path], check=True)


async def test_a_file_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "store.db")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StoreError, match="newer"):
        async with opened(tmp_path):
            pass


async def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="nowhere"):
        async with opened(tmp_path / "nowhere"):
            pass


async def test_a_closed_store_is_one_file(tmp_path: Path) -> None:
    """A copy is whole, and a copy that is put back is not overwritten by what a WAL still holds."""
    async with opened(tmp_path) as store:
        await put(store, say("one"))
        assert await store.history("alice")
    assert [path.name for path in tmp_path.iterdir()] == ["store.db"]


async def test_the_log_beside_the_file_stays_small_while_messages_never_pause(tmp_path: Path) -> None:
    """Checkpoints go on beside the commits; none of them meets a moment at which all is moved."""
    many, at_once = 6000, 20
    async with opened(tmp_path) as store:
        for _ in range(at_once):
            store.put(say("hello"))
        accepted = 0
        async for batch in store.committed():
            accepted += len(batch)
            if accepted >= many:
                break
            for _ in batch:
                store.put(say("hello" * 40))
        size = (tmp_path / "store.db-wal").stat().st_size
    written = (tmp_path / "store.db").stat().st_size
    assert accepted >= many
    assert size < 6 << 20
    assert written > many * 200


async def test_a_store_closes_while_reads_that_nobody_waits_for_any_more_still_run(tmp_path: Path) -> None:
    """SQLite crashes the process when a connection is closed in the middle of a query."""
    for _ in range(20):
        async with opened(tmp_path) as store:
            reads = [asyncio.create_task(store.history("alice")) for _ in range(20)]
            await asyncio.sleep(0)
            for read in reads:
                read.cancel()
        ended = await asyncio.gather(*reads, return_exceptions=True)
        assert all(isinstance(end, asyncio.CancelledError) for end in ended)
