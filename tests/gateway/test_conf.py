"""The configuration of a gateway: its files, its blocks, and all that can be wrong with them."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boardtalk import conf, loader
from boardtalk.conf import Document, check, files, load, parse
from boardtalk.sdk import ConfigError, Role, Settings

if TYPE_CHECKING:
    from collections.abc import Callable


class FilterConfig(Settings):
    words: list[str]


class BoardConfig(Settings):
    uid: str = ""
    port: str = "auto"


MODULES: dict[str, type[Settings]] = {"filter": FilterConfig, "iot_bridge": Settings}
BLOCKS: dict[str, type[Settings]] = {"board": BoardConfig}
SHIPPED = Path(__file__).parents[2] / "conf" / "gateway.conf"

MAX = files.MAX_FILE_BYTES


def errors(text: str) -> list[str]:
    return [str(error) for error in check(parse(text, "g.conf"), MODULES, BLOCKS)]


# Files ----------------------------------------------------------------------------------------


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str | bytes], Path]:
    def write(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def test_a_file_is_read_with_those_of_its_conf_d_in_the_order_of_their_names(write) -> None:
    main = write("g.conf", "a = 1\nmodule filter { words = x }")
    write("conf.d/20-b.conf", "a = 3\nuser bob")
    write("conf.d/10-a.conf", "a = 2\nuser ann")
    write("conf.d/.10-a.conf.swp", "\0")
    write("conf.d/.hidden.conf", "\0")
    write("conf.d/readme.txt", "\0")
    document = load(main)
    assert [item.value for item in document.globals] == ["1", "2", "3"]
    assert [block.title for block in document.blocks] == ["module filter", "user ann", "user bob"]
    assert [Path(block.path or "").name for block in document.blocks] == [
        "g.conf", "10-a.conf", "20-b.conf",
    ]  # fmt: skip
    assert str(document.warnings[0]) == (
        f"{main.parent}/conf.d/10-a.conf:1:1: key 'a' again: the first one counts, {main}:1"
    )


def test_an_error_in_conf_d_names_that_file(write) -> None:
    main = write("g.conf", "")
    part = write("conf.d/a.conf", "user bob {\n role = king\n}")
    assert [str(error) for error in check(load(main), {}, {})] == [
        f"{part}:2:2: role = 'king': expected one of viewer, operator, admin"
    ]


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"a = 1\nb = \xff\xfe", ":2:5: byte 0xff is no UTF-8: this is not a text file"),
        ("a = ü\nüü = ".encode() + b"\xc3", ":2:6: byte 0xc3 is no UTF-8: this is not a text file"),
        (b"\x7fELF\x02\x01\0\0", ":1:1: control character '\\x7f': this is not a text file"),
        (b"a = 1\0", ":1:6: control character '\\x00': this is not a text file"),
        (b"#" * (MAX + 1), f": larger than {MAX} bytes: no configuration file"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_text_is_refused_with_the_place(write, content, error) -> None:
    path = write("g.conf", content)
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert str(caught.value) == f"{path}{error}"


def test_a_file_of_the_largest_size_is_read(write) -> None:
    line = "key = " + "value " * 100 + "\n"
    text = (line * (MAX // len(line))).ljust(MAX, "#")
    assert len(load(write("g.conf", text)).globals) == MAX // len(line)


def test_a_file_that_an_editor_on_windows_wrote_is_read(write) -> None:
    path = write("g.conf", b"\xef\xbb\xbfa = 1\r\nuser bob {\r\n}\r\n")
    assert load(path) == parse("a = 1\nuser bob {}")


def test_a_file_that_cannot_be_read_is_an_error_that_says_why(tmp_path: Path) -> None:
    loop, fifo = tmp_path / "loop.conf", tmp_path / "fifo.conf"
    loop.symlink_to(loop)
    os.mkfifo(fifo)
    for path, reason in [
        (tmp_path / "none.conf", "there is no such file"),
        (tmp_path, "not a file that holds text"),
        (fifo, "not a file that holds text"),
        (Path("/dev/zero"), "not a file that holds text"),
        (loop, "can't be read: Too many levels of symbolic links"),
        (Path("a\0b"), "can't be read: "),
    ]:
        with pytest.raises(ConfigError) as caught:
            load(path)
        assert str(caught.value).startswith(f"{path}: {reason}")


def test_a_conf_d_that_is_no_folder_is_an_error(write) -> None:
    main, other = write("g.conf", ""), write("conf.d", "")
    with pytest.raises(ConfigError, match=f"{other}: can't be read: Not a directory"):
        load(main)


def assert_read_or_refused(path: Path) -> None:
    """Either way in words, and with a place that exists."""
    try:
        wrong = check(load(path), MODULES, BLOCKS)
    except ConfigError as error:
        wrong = [error]
    for error in wrong:
        assert error.path == str(path)
        assert 1 <= error.line <= path.read_bytes().count(b"\n") + 1
        assert error.column >= 1


@given(content=st.binary() | st.text().map(str.encode))
def test_any_file_is_a_document_or_an_error(tmp_path_factory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.conf"
    path.write_bytes(content)
    assert_read_or_refused(path)


# The file that is shipped ---------------------------------------------------------------------


def test_the_shipped_file_works_as_it_is() -> None:
    document = load(SHIPPED)
    assert check(document, {"iot_bridge": Settings}, {}) == []
    assert document.warnings == []
    assert [block.title for block in document.blocks] == ["broker embedded", "module iot_bridge", "listen"]


def test_the_shipped_files_examples_are_right_too() -> None:
    example = re.compile("^#(?! \\S)", re.MULTILINE)  # "# x" explains, "#x" and "#  x" are examples
    document = parse(example.sub("", SHIPPED.read_text()))
    assert {block.kind for block in document.blocks} == {
        "broker", "module", "board", "user", "policy", "grant", "group", "listen",
    }  # fmt: skip
    assert {error.reason.partition(";")[0] for error in loader.problems(document)} == {
        "a second broker", "a second page",
    }  # fmt: skip


def test_the_shipped_file_cut_short_anywhere_is_read_or_refused_with_a_place(tmp_path) -> None:
    whole, path = SHIPPED.read_bytes(), tmp_path / "g.conf"
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert_read_or_refused(path)


# Settings -------------------------------------------------------------------------------------


def test_the_blocks_of_the_gateway_are_typed() -> None:
    document = parse(
        """
        log_level = debug
        broker mosquitto { port = 1884 }
        user anna { role = operator }
        group crew { members = anna, rover }
        listen { port = 80 }
        module filter {
          on_fail = drop
          words = a, b
        }
        """
    )
    assert conf.settings(document.globals, conf.Gateway) == conf.Gateway(log_level="debug")
    assert conf.broker_settings(document.of("broker")[0]) == conf.MosquittoBroker(port=1884)
    assert conf.settings(document.of("user")[0], conf.UserBlock).role is Role.OPERATOR
    assert conf.settings(document.of("group")[0], conf.GroupBlock).members == ["anna", "rover"]
    assert conf.settings(document.of("listen")[0], conf.Listen).port == 80
    options, own = conf.module_settings(document.of("module")[0], FilterConfig)
    assert (options.on_fail, options.required, own.words) == ("drop", False, ["a", "b"])


@pytest.mark.parametrize(
    ("text", "type_"),
    [
        ("broker", conf.EmbeddedBroker),
        ("broker {}", conf.EmbeddedBroker),
        ("broker embedded {}", conf.EmbeddedBroker),
        ("broker mosquitto {}", conf.MosquittoBroker),
        ("broker { url = mqtts://broker.example:8883 }", conf.RemoteBroker),
        ("broker { url = mqtt://[::1] }", conf.RemoteBroker),
    ],
)
def test_name_or_url_choose_the_broker(text: str, type_: type) -> None:
    assert type(conf.broker_settings(parse(text).blocks[0])) is type_
    assert errors(text) == []


def test_brokers_and_pages_listen_on_this_machine_only_unless_told() -> None:
    for type_ in (conf.EmbeddedBroker, conf.MosquittoBroker, conf.Listen):
        assert type_().host == "127.0.0.1"


def test_a_user_has_the_fewest_rights_unless_told() -> None:
    assert conf.UserBlock().role is Role.VIEWER


# Check ----------------------------------------------------------------------------------------

ADDRESS = "is not an address: use 1 to 32 of a-z, 0-9, '-' and '_', beginning with a letter or digit"
KINDS = "known kinds: allow, board, broker, grant, group, listen, module, policy, user"
MODULE_NAMES = "there are: filter, iot_bridge"
BROKER_NAMES = "known brokers: embedded, mosquitto; any other: `broker { url = … }`"
URL = "expected mqtt://HOST, mqtts://HOST (encrypted), or either with :PORT"
HOST = "expected a host name or address, such as 127.0.0.1"
TAKEN = "`board a` (g.conf:1) is there too; give each a port of its own, or each its `uid` if they take turns"
PLAIN = "`boardtalk tls`, then `tls = yes`; or, where you trust everybody, `plain = yes`"
PAIR = "`certificate` and `key` belong together, and to `tls = yes`"
LIST = "expected a list with commas, each"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("zebra = 1", "1:1: unknown key 'zebra'; known keys: history_days, log_level, module_folders"),
        ("log_level = all", "1:1: log_level = 'all': expected one of debug, error, info, warning"),
        ("history_days = 0", "1:1: history_days = '0': expected a whole number from 1 to 3650"),
        ("\n modul x", f"2:2: there is no kind of block 'modul'; did you mean 'module'? {KINDS}"),
        ("zebra", f"1:1: there is no kind of block 'zebra'; {KINDS}"),
        (
            "module filtr { any = thing }",
            f"1:1: there is no module 'filtr'; did you mean 'filter'? {MODULE_NAMES}",
        ),
        ("module", f"1:1: `module` needs a name; {MODULE_NAMES}"),
        ("module filter", f"1:1: 'module filter' lacks the key 'words': {LIST} text"),
        ("module iot_bridge { required = of }", "1:21: required = 'of': expected yes or no"),
        (
            "broker moskito",
            f"1:1: there is no broker 'moskito'; did you mean 'mosquitto'? {BROKER_NAMES}",
        ),
        ("broker { port = -1 }", "1:10: port = '-1': expected a whole number from 0 to 65535"),
        ("broker { url = example.org }", f"1:10: url = 'example.org': {URL}"),
        ("broker { url = mqtt://u:p@h }", f"1:10: url = 'mqtt://hidden@h': {URL}"),
        (
            "broker mosquitto { url = mqtt://h }",
            "1:20: unknown key 'url'; known keys: host, port, websocket_port",
        ),
        ("broker\nbroker {}", "2:1: a second broker; there can be one, and g.conf:1 has it"),
        ("listen here", "1:1: `listen` takes no name: 'here' is too much"),
        ("listen {}\nlisten {}", "2:1: a second page; there can be one, and g.conf:1 has it"),
        (
            "listen { host = 0.0.0.0 }",
            f"1:1: passwords would cross the network unencrypted on 0.0.0.0: {PLAIN}",
        ),
        ("listen { host = rover }", f"1:1: passwords would cross the network unencrypted on rover: {PLAIN}"),
        ("listen { key = k }", f"1:1: {PAIR}"),
        ("listen {\ntls = yes\ncertificate = c\n}", f"1:1: {PAIR}"),
        ("listen {\ncertificate = c\nkey = k\n}", f"1:1: {PAIR}"),
        ("listen { stop_port = 8080 }", "1:1: `stop_port` is another port than `port`"),
        ("listen { host = a;b }", f"1:10: host = 'a;b': {HOST}"),
        ("user", "1:1: `user` needs a name"),
        ("user Anna", f"1:1: 'Anna' {ADDRESS}"),
        ("group a b { members = c }", f"1:1: 'a b' {ADDRESS}"),
        ("board /dev/ttyACM0", f"1:1: '/dev/ttyACM0' {ADDRESS}"),
        ("user a\nuser a", "2:1: the name 'a' is taken: g.conf:1 is `user a`"),
        ("user a\nboard a", "2:1: the name 'a' is taken: g.conf:1 is `user a`"),
        ("board a { port = /dev/b }\nboard c { port = /dev/b }", f"2:11: port = '/dev/b': {TAKEN}"),
        (
            "board a {\nport = /dev/b\nuid = AB\n}\nboard c {\nport = /dev/b\nuid = ab\n}",
            f"6:1: port = '/dev/b': {TAKEN}",
        ),
        ("group g { members = ann, Bob }", f"1:11: members = 'ann, Bob': 'Bob' {ADDRESS}"),
        ("group g", f"1:1: 'group g' lacks the key 'members': {LIST} an address"),
    ],
)
def test_each_mistake_is_named_with_its_place_and_the_cure(text: str, error: str) -> None:
    assert errors(text) == [f"g.conf:{error}"]


def test_boards_may_take_turns_at_a_port_if_their_uids_tell_them_apart() -> None:
    assert errors("board a {\nport = /dev/b\nuid = aa\n}\nboard c {\nport = /dev/b\nuid = bb\n}") == []
    assert errors("board a { port = mqtt }\nboard c { port = mqtt }") == []


def test_the_same_module_may_be_loaded_many_times() -> None:
    assert errors("module filter { words = a }\nmodule filter { words = a }") == []


def test_all_mistakes_are_reported_at_once_in_the_order_of_the_file() -> None:
    text = "x = 1\nuser A { role = king }\nmodule nope\nboard b { prt = auto }\nlisten l"
    assert [error.split(": ")[0] for error in errors(text)] == [
        "g.conf:1:1", "g.conf:2:1", "g.conf:2:10", "g.conf:3:1", "g.conf:4:11", "g.conf:5:1",
    ]  # fmt: skip


def test_hundreds_of_mistakes_are_all_found() -> None:
    text = "".join(f"broker b{n} {{ k{n} = 1 }}\nuser u {{ x = 1 }}\nk = 1\n" for n in range(300))
    assert len(errors(text)) == 1 + 2 * 300 - 1 + 2 * 300 - 1


def test_an_empty_file_is_right() -> None:
    assert check(Document(), {}, {}) == []


def test_what_may_be_shown_has_no_secrets() -> None:
    text = """
module chatbot {
    api_key = canary-1
    token_file = /etc/boardtalk/token
    url = https://someone:canary-2@example.org/v1
}
broker {
    password = canary-3
}
"""
    shown = conf.render(conf.public(conf.parse(text)))
    assert "canary" not in shown
    assert "/etc/boardtalk/token" in shown
    assert "https://hidden@example.org/v1" in shown
