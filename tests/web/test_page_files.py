"""The files of the page: nothing foreign, nothing that would read text as HTML, no text without words."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from boardtalk.web.pages import FOLDER

OWN = [
    path
    for path in FOLDER.rglob("*")
    if path.suffix in (".js", ".css", ".html") and "vendor" not in path.parts
]
TEXTS = (FOLDER / "texts" / "en.js").read_text()
DANGEROUS = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|\bstyle=\""
)


def test_every_text_that_is_asked_for_has_words_and_every_word_is_asked_for() -> None:
    keys = set(re.findall(r'"([^"]+)": [{"]', TEXTS))
    code = "".join(path.read_text() for path in OWN if path.suffix == ".js" and path.parent.name != "texts")
    whole = set(re.findall(r'\bt\("([^"$]+)"[,)]', code))
    assert whole - keys == set()
    begun = tuple(re.findall(r"\bt\(`([^$`]+)\$", code))
    quoted = set(re.findall(r'"([\w.]+)"', code))
    assert {key for key in keys if not key.startswith(begun) and key not in quoted} == set()


def test_s08_nothing_is_fetched_from_elsewhere() -> None:
    for path in OWN:
        found = re.findall(r"(?:https?:)?//[a-z][\w.-]+\.[a-z]+", path.read_text())
        assert [each for each in found if "www.w3.org" not in each] == [], path


def test_s07_no_text_becomes_html_and_no_style_stands_in_attributes() -> None:
    for path in OWN:
        assert DANGEROUS.findall(path.read_text()) == [], path
    makers = [path.name for path in OWN if "createElement" in path.read_text()]
    assert makers == ["dom.js"]


def test_the_button_for_stop_imports_nothing() -> None:
    assert not re.search(r"^import|import\(", (FOLDER / "js" / "stop.js").read_text(), re.MULTILINE)


def test_what_is_not_ours_is_what_its_list_says() -> None:
    listed = dict(
        re.findall(r"\| (\S+) \|.*\| ([0-9a-f]{64}) \|", (FOLDER / "vendor" / "README.md").read_text())
    )
    files: list[Path] = [path for path in (FOLDER / "vendor").iterdir() if path.suffix in (".js", ".css")]
    assert {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files} == listed
