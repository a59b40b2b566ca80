"""The first visit, and those who are not to get in: points 2 and 3 of what is promised of security."""

from __future__ import annotations

import base64
import re
from pathlib import Path

from .house import PASSWORD, House


def test_s02_the_first_visit_takes_the_token_that_was_printed_and_that_once(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        [token] = re.findall(rf"{house.url}/#setup=(\S+)", house.said)
        assert len(base64.urlsafe_b64decode(f"{token}==")) * 8 >= 128
        browser = house.browser()
        refused = browser.post("/setup", token=f"{token[:-1]}!", user="eve", password=PASSWORD)
        assert (refused.status_code, "boardtalk page" in refused.text) == (401, True)
        assert browser.post("/setup", token=token, user="eve", password=PASSWORD).status_code == 200
        assert browser.get("/me").json()["role"] == "admin"
        again = house.browser().post("/setup", token=token, user="mallory", password=PASSWORD)
        assert again.status_code == 401
        assert "#setup" not in house.cli("page").out
        assert token not in house.log
        assert PASSWORD not in house.log


def test_s02_there_is_nobody_with_a_known_or_empty_password(house: House) -> None:
    names = ("", "admin", "root", "boardtalk", "anonymous", house.cli("user", "list").out.split()[0])
    browser = house.browser()
    for name in names:
        for password in ("", name):
            assert browser.log_in(name, password).status_code in (401, 429)
    assert not browser.cookies


def test_s03_who_guesses_is_slowed_down_and_told_for_how_long(house: House) -> None:
    browser = house.browser()
    answers = [browser.log_in("oscar", f"guess {number}") for number in range(6)]
    assert [each.status_code for each in answers] == [401] * 5 + [429]
    assert 0 < answers[-1].json()["wait"] <= 10
    assert answers[0].json() == house.browser().log_in("nobody", "guess").json()
