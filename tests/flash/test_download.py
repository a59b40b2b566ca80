"""Pinned firmware is downloaded once, and nothing but what was pinned is kept."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from boardtalk import boards
from boardtalk.boards import BoardFile, Image
from boardtalk.flash import download, firmware
from boardtalk.flash.errors import Code, FlashError

DATA = bytes(range(256)) * 300
Answer = Callable[[BaseHTTPRequestHandler], None]


class Server:
    """A server on this machine; what it answers, and how often it was asked."""

    def __init__(self) -> None:
        self.answer: Answer = whole
        self.asked: list[str] = []
        self.over = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked.append(self.path)
                server.answer(self)

            def log_message(self, *args: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda request, client_address: None  # type: ignore[method-assign]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def url(self, path: str = "/fw.bin") -> str:
        return f"http://127.0.0.1:{self._server.server_port}{path}"

    def close(self) -> None:
        self.over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def give(handler: BaseHTTPRequestHandler, data: bytes, promised: int | None) -> None:
    handler.send_response(200)
    if promised is not None:
        handler.send_header("Content-Length", str(promised))
    handler.end_headers()
    handler.wfile.write(data)


def whole(handler: BaseHTTPRequestHandler) -> None:
    give(handler, DATA, len(DATA))


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "boardtalk" / "images"


def image(server: Server, *, size: int = len(DATA), path: str = "/fw.bin") -> Image:
    return Image(version="1.27.0", sha256=sha256(DATA).hexdigest(), url=server.url(path), size=size)


def board(server: Server, folder: Path) -> BoardFile:
    text = Path(boards.definition("emulated-esp32c3").path).read_text()
    digest = sha256(DATA).hexdigest()
    text += (
        f'\n[[image]]\nversion = "1.27.0"\nsha256 = "{digest}"\nurl = "{server.url()}"\nsize = {len(DATA)}\n'
    )
    (folder / "mine.toml").write_text(text)
    return boards.read(folder / "mine.toml")


def test_it_is_downloaded_once(server: Server, tmp_path: Path) -> None:
    mine = board(server, tmp_path)
    for _ in range(2):
        found = firmware.pinned(mine)
        assert (found.data, found.version) == (DATA, "1.27.0")
    assert server.asked == ["/fw.bin"]


def test_what_was_damaged_in_the_cache_is_downloaded_again(server: Server) -> None:
    kept = download.cached(image(server))
    kept.write_bytes(DATA[:-1])
    assert download.cached(image(server)).read_bytes() == DATA
    assert len(server.asked) == 2


def test_redirections_are_followed_but_not_round_and_round(server: Server) -> None:
    def moved(handler: BaseHTTPRequestHandler) -> None:
        if handler.path == "/new.bin":
            whole(handler)
            return
        handler.send_response(302)
        handler.send_header("Location", "/new.bin" if handler.path == "/fw.bin" else handler.path)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    server.answer = moved
    assert download.cached(image(server)).read_bytes() == DATA
    assert server.asked == ["/fw.bin", "/new.bin"]
    with pytest.raises(FlashError, match="can't be downloaded"):
        download.cached(image(server, path="/round.bin"))
    assert len(server.asked) < 12


WRONG: dict[str, tuple[Answer, str]] = {
    "truncated": (lambda it: give(it, DATA[:1000], len(DATA)), "can't be downloaded"),
    "truncated, and no length promised": (lambda it: give(it, DATA[:1000], None), "1000 bytes came instead"),
    "another file of that size": (lambda it: give(it, DATA[::-1], len(DATA)), "its sha256 is .*, not"),
    "too large": (lambda it: give(it, DATA + b"!", len(DATA) + 1), "bytes are offered instead of"),
    "too large, and no length promised": (lambda it: give(it, DATA * 40, None), "more than 76800 bytes come"),
    "not there": (lambda it: it.send_error(404), "can't be downloaded .*404"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_not_what_was_pinned_is_not_kept(what: str, server: Server, cache: Path) -> None:
    server.answer, words = WRONG[what]
    with pytest.raises(FlashError, match=words) as error:
        download.cached(image(server))
    assert error.value.code is Code.BAD_IMAGE
    assert not cache.exists()
    server.answer = whole
    assert download.cached(image(server)).read_bytes() == DATA


def test_without_a_size_there_is_a_limit_all_the_same(
    server: Server, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    monkeypatch.setattr(download, "MAX_BYTES", 1000)
    with pytest.raises(FlashError, match="bytes are offered instead of at most 1000"):
        download.cached(image(server, size=0))
    assert not cache.exists()


def test_a_server_that_falls_silent_holds_nobody_up(server: Server, cache: Path) -> None:
    def silent(handler: BaseHTTPRequestHandler) -> None:
        give(handler, DATA[:1000], len(DATA))
        handler.wfile.flush()
        server.over.wait(10)

    server.answer = silent
    with pytest.raises(FlashError, match="can't be downloaded .*timed out"):
        download.cached(image(server), silent_s=0.2)
    assert not cache.exists()


def test_one_that_gives_a_byte_now_and_then_neither(server: Server, cache: Path) -> None:
    def drips(handler: BaseHTTPRequestHandler) -> None:
        give(handler, b"", len(DATA))
        while not server.over.is_set():
            handler.wfile.write(b"x")
            handler.wfile.flush()
            time.sleep(0.02)

    server.answer = drips
    with pytest.raises(FlashError, match="only .* bytes came within 0.3 s"):
        download.cached(image(server), within_s=0.3)
    assert not cache.exists()


def test_offline_it_is_said_how_to_bring_the_file(server: Server, tmp_path: Path) -> None:
    mine = board(server, tmp_path)
    server.close()
    with pytest.raises(FlashError, match="Connection refused") as error:
        firmware.pinned(mine)
    assert f"--image FILE --sha256 {sha256(DATA).hexdigest()}" in error.value.cure
    brought = tmp_path / "brought.bin"
    brought.write_bytes(DATA)
    assert firmware.from_file(brought, mine).version == "1.27.0"
