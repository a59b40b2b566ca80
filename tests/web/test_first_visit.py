"""The first visit, and those who are not to get in: points 2 and 3 of what is promised of security."""

from __future__ import annotations

import base64
import os
import re
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

from tests.scenarios.rig import PROGRAM, environment, nothing_runs, processes, until

from .house import PASSWORD, House


def audit(house: House) -> list[tuple[str, ...]]:
    with closing(sqlite3.connect(house.state / "store.db")) as store:
        return store.execute("SELECT who, what, target, result FROM audit").fetchall()


def test_s02_the_first_visit_takes_the_token_that_was_printed_and_that_once(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        [token] = re.findall(rf"{house.url}/#setup=(\S+)\n", house.cli("page").out)
        assert len(base64.urlsafe_b64decode(f"{token}==")) * 8 >= 128
        browser = house.browser()
        refused = browser.post("/setup", token=f"{token[:-1]}!", user="eve", password=PASSWORD)
        assert (refused.status_code, "boardtalk page" in refused.text) == (401, True)
        assert browser.post("/setup", token=token, user="eve", password=PASSWORD).status_code == 200
        assert browser.get("/me").json()["role"] == "admin"
        again = house.browser().post("/setup", token=token, user="mallory", password=PASSWORD)
        assert again.status_code == 401
        assert "#setup" not in house.cli("page").out
        until(lambda: ("eve", "set up", "web page", "127.0.0.1") in audit(house), "it is in the audit")
        house.browser().log_in("eve")
        until(lambda: ("eve", "login", "web page", "127.0.0.1") in audit(house), "so is each login")
        assert token not in house.log
        assert PASSWORD not in house.log


def test_s02_there_is_nobody_with_a_known_or_empty_password(house: House) -> None:
    names = ("", "admin", "root", "boardtalk", "anonymous", house.cli("user", "list").out.split()[0])
    browser = house.browser()
    for name in names:
        for password in ("", name):
            assert browser.log_in(name, password).status_code in (401, 429)
    assert not browser.cookies


def test_s19_a_password_that_was_typed_as_a_name_is_in_no_log(house: House) -> None:
    assert house.browser().log_in("canary-horse", "x").status_code in (401, 429)
    assert "canary-horse" not in house.log


def test_s03_who_guesses_is_slowed_down_and_told_for_how_long(house: House) -> None:
    browser = house.browser()
    answers = [browser.log_in("eve", f"guess {number}") for number in range(6)]
    assert [each.status_code for each in answers] == [401] * 5 + [429]
    assert 0 < answers[-1].json()["wait"] <= 10
    assert answers[0].json() == house.browser().log_in("nobody", "guess").json()


def test_s02_the_token_is_printed_on_a_terminal_and_in_no_log(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        assert "#setup" not in house.said + house.log
        assert "`boardtalk page`" in house.said
        assert not [each for each in processes(house.state) if "boardtalk.web" in each.command], "nobody came"
    master, slave = os.openpty()
    with subprocess.Popen(
        [*PROGRAM, "run", "--conf", house.conf, "--state", house.state],
        stdout=slave, stderr=subprocess.DEVNULL, env=environment(house.state),
    ) as gateway:  # fmt: skip
        os.close(slave)
        said = b""
        while b"#setup=" not in said:
            said += os.read(master, 4096)
        gateway.terminate()
    os.close(master)
    assert b"for the first visit (15 minutes, once): http://127.0.0.1:" in said
    nothing_runs(house.state)
