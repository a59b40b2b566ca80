"""The module of docs/module-author.md does what stands there, and its test passes."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from boardtalk import conf, finder, loader, sdk
from tests.scenarios.rig import pytested

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "module-author.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
PYTHON = [code for kind, code in BLOCKS if kind == "python"]
CONF = next(code for kind, code in BLOCKS if not kind)


ANCESTOR = """
mesibo_int_t mesibo_uint_t
mesibo_module_t version flags name description ctx config signature invoke custom_fns
on_cleanup on_message on_message_status on_call on_call_status on_login on_config
mesibo_module_NAME_init mod params len
module_config_t module_config_item_t count items value
mesibo_message_params_t aid id refid groupid type expiry to_online uflags status sid device to from reserved_0
mesibo_user_t online address
mesibo_http_t url post content_type extra_header user_agent referrer origin cookie encoding
cache_control accept etag ims conn_timeout header_timeout body_timeout total_timeout on_data on_status
on_close proxy maxredirects retries synchronous module_http_option_t mesibo_http
mesibo_http_ondata_t mesibo_http_onstatus_t mesibo_http_onclose_t cbdata progress module_http_state_t
MODULE_HTTP_STATE_REQUEST MODULE_HTTP_STATE_REQBODY MODULE_HTTP_STATE_RESPHEADER MODULE_HTTP_STATE_RESPBODY
MODULE_HTTP_STATE_DONE
mesibo_fcgi_t
mesibo_socket_t ws_protocol keepalive verify_host ssl_ctx on_connect on_write asock fd
mesibo_socket_onconnect_t mesibo_socket_onwrite_t mesibo_socket_ondata_t mesibo_socket_onclose_t
mesibo_message mesibo_log mesibo_vlog mesibo_util_http mesibo_util_fcgi mesibo_util_socket_connect
mesibo_util_socket_write mesibo_util_socket_close mesibo_util_getconfig mesibo_util_json_extract next
mesibo_util_create_thread mesibo_util_usec
MESIBO_MODULE_SANITY_CHECK MESIBO_MODULE_SIGNATURE MESIBO_MODULE_VERSION
MESIBO_RESULT_OK MESIBO_RESULT_FAIL MESIBO_RESULT_PASS MESIBO_RESULT_CONSUMED
MESIBO_MODULE_MSGSTATUS_DELIVERED MESIBO_MODULE_MSGSTATUS_READ MESIBO_MODULE_MSGSTATUS_MAX
MESIBO_MODULE_MSGSTATUS_FAIL MESIBO_MODULE_MSGSTATUS_NOTACTIVE MESIBO_MODULE_MSGSTATUS_INBOXFULL
MESIBO_MODULE_MSGSTATUS_INVALIDDEST MESIBO_MODULE_MSGSTATUS_NOINCOMING MESIBO_MODULE_MSGSTATUS_BLOCKED
MESIBO_MODULE_MSGSTATUS_FAILMAX MSGSTATUS_SENT
MOD_MESIBO_MSGFLAG_DELIVERYRECEIPT MOD_MESIBO_MSGFLAG_READRECEIPT MOD_MESIBO_MSGFLAG_TRANSIENT
MOD_MESIBO_MSGFLAG_PRESENCE MOD_MESIBO_MSGFLAG_MEDIA MOD_MESIBO_MSGFLAG_SENDMESSAGE
MOD_MESIBO_MSGFLAG_OUTGOING MOD_MESIBO_UFLAG_DESTONLINE MOD_MESIBO_FLAG_INCOMING MOD_MESIBO_FLAG_OUTGOING
MESIBO_MODULES_PADDING MESIBO_CALLID_LOG MESIBO_EXPORT MODULE_LOG_LEVEL_0VERRIDE
"""
"""The names of its header: structures and their fields, functions, constants."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "polite.py").write_text(PYTHON[0])
    return tmp_path


def test_its_configuration_is_right(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    document = conf.parse(CONF.replace("~/modules", str(folder)))
    assert loader.problems(document) == []
    assert [instance.name for instance in loader.plan(document).instances] == ["polite", "iot_bridge"]
    for name in [name for name in sys.modules if name.startswith(finder.FOLDER_PREFIX)]:
        monkeypatch.delitem(sys.modules, name)


def test_its_test_passes(folder: Path) -> None:
    (folder / "test_polite.py").write_text(f"from polite import Polite\n{PYTHON[1]}")
    tested = pytested(folder, "-o", "asyncio_mode=auto", "-o", "pythonpath=.")
    assert "1 passed" in tested, tested


def test_the_names_of_ours_in_the_table_are_there() -> None:
    rows = re.findall(r"^\| .*? \| (.*) \|$", TEXT.split("## If you know")[1], re.MULTILINE)[2:]
    known = {*sdk.__all__, *dir(sdk.Module), *dir(sdk.Message), *sdk.Message.__struct_fields__}
    classes = (sdk.Context, sdk.Flag, sdk.Code, sdk.User, sdk.Timeouts, sdk.Response)
    known |= {name for each in classes for name in (*dir(each), *vars(each), *each.__annotations__)}
    named = {
        word for row in rows for code in re.findall("`(.+?)`", row) for word in re.findall(r"\w{4,}", code)
    }
    prose = {
        "async",
        "await",
        "response",
        "chatbot",
        "filter",
        "translate",
        "verbosity",
        "with",
        "self",
        "context",
        "level",
        "text",
        "tcp",
        "from",
        "role",
        "config",
        "name",
    }
    arguments = {"body", "json", "headers", "etag", "modified_since", "keepalive", "verify"}
    files = {"boardtalk", "NAME", "gateway", "conf", "module_folders"}
    assert named - known - prose - arguments - files == set()


def test_the_table_has_every_name_of_the_ancestor() -> None:
    rows = re.findall(r"^\| (.*?) \| .* \|$", TEXT.split("## If you know")[1], re.MULTILINE)
    there = {
        word for row in rows for code in re.findall("`(.+?)`", row) for word in re.findall(r"[\w…]+", code)
    }
    ends = tuple(word[1:] for word in there if word.startswith("…"))
    beginnings = tuple(word[:-1] for word in there if word.endswith("…"))
    missing = [
        name
        for name in ANCESTOR.split()
        if name not in there and not name.endswith(ends) and not name.startswith(beginnings)
    ]
    assert missing == []
