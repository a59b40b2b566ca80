"""Files that are not believed when they are damaged."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from boardtalk.sdk import kept

GOOD = {"rover": "stopped", "arm": "free"}
DAMAGED = (b"", b"{", b"\xff\xfe", b"[" * 10_000, b"5")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "folder" / "file.json"
    kept.save(path, {"old": "content"})
    kept.save(path, GOOD)
    return path


def copy_of(path: Path) -> Path:
    return path.with_name("file.json.copy")


def aside(path: Path) -> list[str]:
    return [each.name.partition(".damaged-")[0] for each in path.parent.glob("*.damaged-*")]


def load(path: Path) -> kept.Loaded[dict[str, str]]:
    return kept.load(path, dict[str, str])


def test_what_was_kept_is_there_again_readable_for_its_owner_alone(path: Path) -> None:
    assert load(path) == (GOOD, "")
    assert json.loads(path.read_text())["content"] == GOOD
    assert {each.stat().st_mode & 0o777 for each in path.parent.iterdir()} == {0o600}
    assert sorted(each.name for each in path.parent.iterdir()) == ["file.json", "file.json.copy"]


def test_what_was_never_kept_is_no_damage(tmp_path: Path) -> None:
    assert load(tmp_path / "none.json") == (None, "")


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_file_is_set_aside_and_its_copy_counts(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    found = load(path)
    assert found.content == GOOD
    assert str(path) in found.damage
    assert aside(path) == ["file.json"]
    assert path.read_bytes() == copy_of(path).read_bytes()
    assert load(path) == (GOOD, "")


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_copy_is_set_aside_and_made_anew(path: Path, content: bytes) -> None:
    copy_of(path).write_bytes(content)
    found = load(path)
    assert found.content == GOOD
    assert "file.json.copy" in found.damage
    assert aside(path) == ["file.json.copy"]
    assert load(path) == (GOOD, "")


def test_nothing_is_made_up_when_both_are_damaged(path: Path) -> None:
    for each in (path, copy_of(path)):
        each.write_bytes(each.read_bytes()[:-5])
    found = load(path)
    assert found.content is None
    assert sorted(aside(path)) == ["file.json", "file.json.copy"]
    assert "file.json.copy" in found.damage


def test_a_bit_that_flips_within_a_value_is_noticed(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"stopped", b"stoppee"))
    assert "checksum" in load(path).damage


def test_each_single_flipped_bit_is_noticed_or_changes_nothing(path: Path) -> None:
    data = path.read_bytes()
    noticed = 0
    for place in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[place // 8] ^= 1 << place % 8
        path.write_bytes(flipped)
        copy_of(path).unlink(missing_ok=True)
        found = load(path)
        assert found.content in (None, GOOD)
        noticed += found.content is None
        assert bool(found.damage) == (found.content is None)
        shutil.rmtree(path.parent)
        path.parent.mkdir()
    assert noticed > 7 * len(data), "the flips did nothing"


def test_a_file_that_is_gone_is_there_again_from_its_copy(path: Path) -> None:
    path.unlink()
    found = load(path)
    assert found.content == GOOD
    assert "is missing" in found.damage
    assert path.exists()


def test_a_file_that_was_restored_counts_and_its_copy_follows(path: Path, tmp_path: Path) -> None:
    kept.save(tmp_path / "backup.json", {"from": "backup"})
    shutil.copy(tmp_path / "backup.json", path)
    assert load(path) == ({"from": "backup"}, "")
    path.write_bytes(b"")
    assert load(path).content == {"from": "backup"}


def test_the_copy_is_written_first(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So what is whole is never older than what anybody was told is done."""
    replace, written = Path.replace, list[str]()

    def note(self: Path, target: Path) -> Path:
        written.append(target.name)
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", note)
    kept.save(path, {})
    assert written == ["file.json.copy", "file.json"]


def test_a_file_of_an_older_version_is_read_and_gets_a_checksum(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    path.write_text(json.dumps(GOOD))
    assert load(path) == (GOOD, "")
    assert json.loads(path.read_text())["sha256"]


def test_what_was_set_aside_is_listed_until_somebody_clears_it_away(path: Path) -> None:
    state = path.parent.parent
    (state / "secrets").mkdir()
    kept.set_aside(shutil.copy(path, state / "secrets" / "file.json"))
    (found,) = kept.those_set_aside(state)
    found.unlink()
    assert not list(kept.those_set_aside(state))
