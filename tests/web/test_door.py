"""The page's door: points 1 to 9 of what is promised of security, at the real process."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from boardtalk.frontends import control
from boardtalk.sdk import Flag, Role
from boardtalk.web.messages import Question
from tests.scenarios.rig import free_port, processes, until

from .house import CONF, PASSWORD, Browser, House, closed

SHIPPED = Path(__file__).parents[2] / "conf" / "gateway.conf"
PRIVATE = ("/me", "/sessions")
CHANGES = ("/login", "/logout", "/setup", "/password", "/sessions/end")


# 1 ────────────────────────────────────────────────────────────────────────────────────────────


def listening(house: House) -> set[str]:
    """Addresses on which its processes listen, with ports of ours by name."""
    inodes = {
        str(link.readlink())[8:-1]
        for process in processes(house.state)
        for link in Path(f"/proc/{process.pid}/fd").iterdir()
        if str(link.readlink()).startswith("socket:[")
    }
    found = set()
    for table in ("tcp", "tcp6"):
        for row in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            _, local, _, state, *_, inode = row.split()[:10]
            if state == "0A" and inode in inodes:
                address, port = local.split(":")
                assert table == "tcp", row
                found.add(f"{socket.inet_ntoa(bytes.fromhex(address)[::-1])}:{int(port, 16)}")
    return found


def test_s01_a_fresh_install_listens_on_loopback_for_mqtt_page_and_stop_only(tmp_path: Path) -> None:
    ports = {name: free_port() for name in ("1883", "8080", "8081")}
    conf = SHIPPED.read_text()
    for name, port in ports.items():
        conf = re.sub(rf"#(  (?:stop_)?port = ){name}\n", rf"\g<1>{port}\n", conf, count=1)
    with House(tmp_path, conf) as house:
        house.browser().get("/")
        house.process("boardtalk.web")
        found = listening(house)
    ours = {f"127.0.0.1:{port}" for port in ports.values()}
    assert ours < found
    [inside] = found - ours  # nats-server's own protocol, with the same logins
    assert inside.startswith("127.0.0.1:")


# 4 ────────────────────────────────────────────────────────────────────────────────────────────


def test_s04_ids_are_long_and_new_at_each_login_and_no_file_has_them(house: House, eve: Browser) -> None:
    first = eve.cookie.partition("=")[2]
    eve.log_in("eve")
    second = eve.cookie.partition("=")[2]
    assert first != second
    assert len(base64.urlsafe_b64decode(f"{second}==")) * 8 >= 128
    for path in house.state.rglob("*"):
        if path.is_file():
            assert second.encode() not in path.read_bytes(), path
    ghost = house.browser(Cookie=f"{eve.cookie.partition('=')[0]}={first}")
    assert ghost.get("/me").status_code == 401, "the session before this login has ended"


def test_s04_an_id_that_somebody_else_chose_is_no_session(house: House) -> None:
    name = f"boardtalk-{httpx.URL(house.url).port}"
    planted = house.browser(Cookie=f"{name}=chosen")
    planted.log_in("eve")
    assert house.browser(Cookie=f"{name}=chosen").get("/me").status_code == 401


@pytest.mark.parametrize("path", ["/ws", "/live"])
async def test_s04_logging_out_closes_what_is_open(eve: Browser, path: str) -> None:
    async with eve.socket(path) as open_:
        began = time.monotonic()
        assert (await asyncio.to_thread(eve.post, "/logout")).status_code == 200
        assert await closed(open_) == 4401
        assert time.monotonic() - began <= 2
    assert not eve.cookies
    assert eve.get("/me").status_code == 401


@pytest.mark.parametrize(
    "change",
    [
        control.ChangeUser("role", "", Role.VIEWER),
        control.ChangeUser("passwd", "", password="another horse"),
        control.ChangeUser("remove", ""),
    ],
    ids=lambda change: change.action,
)
async def test_s04_who_is_no_longer_who_he_was_is_logged_out_within_2_s(
    house: House, change: control.ChangeUser
) -> None:
    change.address = f"changes-{change.action}"
    await asyncio.to_thread(house.add, change.address, Role.OPERATOR)
    browser = house.browser()
    assert browser.log_in(change.address).status_code == 200
    me = browser.get("/me").json()
    async with browser.socket() as talk, browser.socket("/stop", me["stop_port"]) as stop:
        await house.change(change)
        done = time.monotonic()
        assert await closed(talk) == 4401
        assert await closed(stop) == 4401
        assert time.monotonic() - done <= 2
    assert browser.get("/me").status_code == 401


def test_s04_sessions_are_listed_and_ended_by_their_owner_only(house: House, eve: Browser) -> None:
    phone = house.browser(**{"User-Agent": "Phone <script>"})
    phone.log_in("eve")
    listed = eve.get("/sessions").json()["sessions"]
    assert sum(each["own"] for each in listed) == 1
    [found] = [each for each in listed if each["agent"] == "Phone <script>"]
    assert found["address"] == "127.0.0.1"
    house.add("olga", Role.OPERATOR)
    olga = house.browser()
    olga.log_in("olga")
    assert olga.post("/sessions/end", name=found["name"]).status_code == 404
    assert phone.get("/me").status_code == 200
    assert eve.post("/sessions/end", name=found["name"]).json() == {"ended": 1}
    assert phone.get("/me").status_code == 401
    assert eve.get("/me").status_code == 200
    olga_too = house.browser()
    olga_too.log_in("olga")
    assert olga.post("/sessions/end").json() == {"ended": 1}
    assert olga_too.get("/me").status_code == 401


def test_s04_who_changes_his_password_stays_here_and_nowhere_else(house: House) -> None:
    house.add("paul", Role.VIEWER)
    here, there = house.browser(), house.browser()
    for each in (here, there):
        each.log_in("paul")
    assert here.post("/password", password="wrong", new="another horse").status_code == 401
    assert "at least 8" in here.post("/password", password=PASSWORD, new="short").json()["reason"]
    assert there.get("/me").status_code == 200
    before = here.cookie
    assert here.post("/password", password=PASSWORD, new="another horse").status_code == 200
    assert here.cookie != before
    until(lambda: there.get("/me").status_code == 401, "logged out there", within=2)
    assert here.get("/me").json()["user"] == "paul"
    assert here.log_in("paul").status_code == 401
    assert here.log_in("paul", "another horse").status_code == 200


def test_s04_a_session_lasts_longer_than_the_gateway(tmp_path: Path) -> None:
    conf = CONF.replace("port = 0", f"port = {free_port()}\n  stop_port = 0")
    with House(tmp_path, conf) as house:
        cookie = house.settled().cookie
    with House(tmp_path, conf) as house:
        assert house.browser(Cookie=cookie).get("/me").json()["user"] == "eve"


# 5 ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("path", PRIVATE)
def test_s05_nothing_is_told_before_login(house: House, path: str) -> None:
    answer = house.browser().get(path)
    assert (answer.status_code, answer.json()) == (401, {"reason": "log in first"})


@pytest.mark.parametrize("path", ["/ws", "/live"])
async def test_s05_no_socket_talks_before_login(house: House, path: str) -> None:
    async with house.browser().socket(path) as open_:
        assert await closed(open_) == 4401


@pytest.mark.parametrize(
    "path",
    ["/static/../pages.py", "/static//etc/passwd", "/static/%2e%2e/pages.py", "/static/~x/../../guard.py",
     "/static/%2fetc%2fpasswd", "/static/", "/static/~", "/nothing", "/static/index.html%00.js"],
)  # fmt: skip
def test_s05_only_the_files_of_the_page_are_served(house: House, path: str) -> None:
    url = httpx.URL(house.url)
    with socket.create_connection((url.host, url.port)) as raw:  # as it stands here, not tidied up
        raw.sendall(
            f"GET {path} HTTP/1.1\r\nHost: {url.netloc.decode()}\r\nConnection: close\r\n\r\n".encode()
        )
        answer = b"".join(iter(lambda: raw.recv(65536), b""))
    assert answer.startswith((b"HTTP/1.1 404 ", b"HTTP/1.1 400 ")), answer[:200]
    assert b"root:" not in answer


def test_s05_no_answer_says_what_serves_it(house: House) -> None:
    for path in ("/", "/me", "/nothing"):
        answer = house.browser().get(path)
        assert "server" not in answer.headers
        assert not re.search("uvicorn|starlette|python", str(answer.headers) + answer.text, re.IGNORECASE)


async def test_s05_a_page_asks_the_gateway_what_is_on_the_list_and_nothing_else(eve: Browser) -> None:
    for kind in set(get_args(control.Request)) - set(get_args(Question)):
        async with eve.socket() as open_:
            await open_.send('{"op": "hello"}')
            request = {"op": kind.__struct_config__.tag, "user": "eve"}
            await open_.send(json.dumps({"op": "ask", "n": 1, "request": request}))
            assert await closed(open_) == 1008, kind


@pytest.mark.parametrize(
    "said",
    [{"op": "mark", "other": "eve", "row": 2**63},
     {"op": "ask", "n": 1, "request": {"op": "history", "before": 2**63}},
     {"op": "ask", "n": 1, "request": {"op": "complete", "to": "rover", "line": "x" * 4097}}],
    ids=["a row", "in a question", "a line"],
)  # fmt: skip
async def test_s05_what_is_out_of_all_bounds_goes_no_further(eve: Browser, said: dict[str, Any]) -> None:
    async with eve.socket() as open_:
        await open_.send('{"op": "hello"}')
        await open_.send(json.dumps(said))
        assert await closed(open_) == 1008


async def test_s05_nobody_speaks_for_somebody_else(house: House, eve: Browser) -> None:
    said = {"op": "send", "id": "forged", "to": "eve", "body": "it is me", "flags": 0xFF}
    async with eve.socket() as open_:
        await open_.send('{"op": "hello"}')
        await open_.send(json.dumps({**said, "sender": "root", "from": "root", "row": 1, "via": "mqtt"}))
        async for text in open_:
            heard = json.loads(text)
            if heard["type"] == "message":
                break
    message = heard["message"]
    assert (message["sender"], message["flags"], message["via"]) == ("eve", Flag.READ_RECEIPT, "local")


# 6 ────────────────────────────────────────────────────────────────────────────────────────────


def strangers(house: House) -> Iterator[str]:
    """Pages that are not ours, as they say where they are from."""
    port = httpx.URL(house.url).port
    yield from ("", "null", "https://evil.example", f"http://127.0.0.1:{port + 7}", "http://127.0.0.1")
    yield from (f"http://127.0.0.1:{port}.evil.example", f"http://localhost:{port}", f"{house.url}/x")


@pytest.mark.parametrize("path", CHANGES)
def test_s06_what_changes_something_comes_from_our_own_page(house: House, eve: Browser, path: str) -> None:
    for origin in strangers(house):
        assert eve.request("POST", path, json={}, headers={"Origin": origin}).status_code == 403, origin
    del eve.headers["Origin"]
    assert eve.post(path).status_code == 403
    assert eve.get("/me").status_code == 200


@pytest.mark.parametrize("path", ["/ws", "/live", "/stop"])
async def test_s06_a_socket_comes_from_our_own_page(house: House, eve: Browser, path: str) -> None:
    port = eve.get("/me").json()["stop_port"] if path == "/stop" else 0
    for origin in strangers(house):
        with pytest.raises(InvalidStatus) as refused:
            await eve.socket(path, port, Origin=origin)
        assert refused.value.response.status_code == 403, origin


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "", "localhost@evil.example", "a b"]
)
def test_s06_a_name_that_is_not_ours_gets_nothing(house: House, eve: Browser, host: str) -> None:
    for path in ("/", "/me"):
        answer = eve.get(path, headers={"Host": host})
        assert answer.status_code in (400, 421)
        assert "eve" not in answer.text.replace("evil", "")


async def test_s06_a_stop_lane_of_another_name_gets_nothing(eve: Browser) -> None:
    port = eve.get("/me").json()["stop_port"]
    with pytest.raises(InvalidStatus) as refused:
        await eve.socket("/stop", port, Host="evil.example")
    assert refused.value.response.status_code in (400, 421)


def test_s06_two_hosts_are_none(house: House) -> None:
    url = httpx.URL(house.url)
    with socket.create_connection((url.host, url.port)) as raw:
        raw.sendall(f"GET /me HTTP/1.1\r\nHost: {url.netloc.decode()}\r\nHost: evil.example\r\n\r\n".encode())
        assert raw.recv(100).split()[1] in (b"400", b"421")


@pytest.mark.parametrize(
    "name", ["localhost", socket.gethostname(), f"{socket.gethostname()}.local", "[::1]"]
)
def test_this_machine_s_names_and_addresses_are_fine(house: House, name: str) -> None:
    assert house.browser().get("/", headers={"Host": f"{name}:9999"}).status_code == 200


def test_s06_the_cookie_is_for_us_alone(house: House) -> None:
    made = house.browser().log_in("eve").headers["set-cookie"]
    name, *flags = re.split(r";\s*", made)
    assert name.startswith(f"boardtalk-{httpx.URL(house.url).port}=")
    assert {each.lower() for each in flags} == {"httponly", "samesite=strict", "path=/", "max-age=2592000"}


@pytest.mark.parametrize("path", CHANGES)
def test_s06_nothing_is_changed_by_get(eve: Browser, path: str) -> None:
    assert eve.get(path).status_code == 405
    assert eve.get("/me").status_code == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_s06_a_form_can_not_say_what_our_scripts_say(eve: Browser, kind: str) -> None:
    headers = {"Content-Type": kind}
    assert eve.request("POST", "/logout", content=b"{}", headers=headers).status_code == 415
    assert eve.get("/me").status_code == 200


def test_s06_no_other_page_may_read_an_answer(eve: Browser) -> None:
    asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    for answer in (eve.get("/me", headers=asked), eve.options("/login", headers=asked)):
        assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize("path", ["/ws", "/live"])
async def test_s06_a_frame_has_64_kb_at_most(eve: Browser, path: str) -> None:
    async with eve.socket(path) as open_:
        await open_.send("x" * (64 * 1024 + 1))
        assert await closed(open_) == 1009


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunks"])
def test_s06_so_has_a_request(eve: Browser, *, chunked: bool) -> None:
    long = json.dumps({"user": "eve", "password": "x" * (64 * 1024)}).encode()
    headers = {"Content-Type": "application/json"}
    content = iter([long[:1000], long[1000:]]) if chunked else long
    assert eve.request("POST", "/login", content=content, headers=headers).status_code == 413


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{", b'{"user": "eve"}', b'{"user": 1, "password": []}', b"\xff", b"[" * 60_000,
     b'{"user": "eve", "password": "x", "more": 1}'],
    ids=range(8),
)  # fmt: skip
def test_what_is_no_request_is_refused_in_words(eve: Browser, body: bytes) -> None:
    answer = eve.request("POST", "/login", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["reason"]


def test_a_crafted_range_costs_nothing(house: House) -> None:
    crafted = {"Range": "bytes=" + ",".join(f"{n}-" for n in range(3000))}
    answer = house.browser().get("/static/index.html", headers=crafted)
    assert (answer.status_code, "content-range" in answer.headers) == (200, False)


# 8 ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("path", ["/", "/static/index.html", "/me", "/nothing", "/login"])
def test_s08_browsers_are_told_to_run_nothing_but_our_files(house: House, path: str) -> None:
    answer = house.browser().get(path)
    policy = dict(each.partition(" ")[::2] for each in answer.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["require-trusted-types-for"] == "'script'"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert policy["connect-src"].startswith("'self' ws://127.0.0.1:")
    assert "unsafe" not in str(policy)
    assert "http" not in str(policy), "nothing comes from elsewhere"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_s08_what_is_private_stays_in_no_cache(eve: Browser) -> None:
    assert eve.get("/me").headers["cache-control"] == "no-store"


def test_files_may_be_kept_until_one_of_them_changes(house: House) -> None:
    browser = house.browser()
    [stamp] = {*re.findall(r"/static/(~\w+)/", browser.get("/").text)} or {""}
    if stamp:
        kept = browser.get(f"/static/{stamp}/index.html")
        assert "immutable" in kept.headers["cache-control"]
    assert browser.get("/static/~old/index.html").headers["cache-control"] == "no-cache"


# The process ──────────────────────────────────────────────────────────────────────────────────


def test_a_page_that_dies_is_there_again_for_the_next_who_comes(house: House, eve: Browser) -> None:
    first = house.process("boardtalk.web").pid
    os.kill(first, signal.SIGKILL)
    until(lambda: "starts again when somebody comes" in house.log, "the gateway tells")
    assert eve.get("/me").json()["user"] == "eve"
    assert house.process("boardtalk.web").pid != first


def test_a_port_that_is_taken_is_named_and_the_rest_runs(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with House(tmp_path, f"listen {{\n  port = {port}\n}}\n") as house:
            assert "page=" not in house.said
            assert f"127.0.0.1:{port}" in house.log
            assert "set another `port` in the block `listen`" in house.log
            assert house.cli("history").code == 0
            nowhere = house.cli("page")
            assert (nowhere.code, "listen" in nowhere.err) == (1, True)
            other.close()
            until(lambda: "the port is free now" in house.log, "it listens")
            assert json.loads(house.cli("page", "--json").out)["url"] == f"http://127.0.0.1:{port}"
