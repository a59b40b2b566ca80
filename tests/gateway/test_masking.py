"""What is handed on has no secrets in it: neither known ones, nor what looks like one."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boardtalk import conf
from boardtalk.masking import Mask, on_disk
from boardtalk.sdk import kept

PEM = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49\n-----END PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("login failed token=abc123 user=ana", "login failed token=hidden user=ana"),
        ("wifi_password: 'pa ss'", "wifi_password: 'hidden ss'"),
        ('{"psk": "x"}', '{"psk": "hidden"}'),
        ("mqtts://ana:pw@example.org/x", "mqtts://hidden@example.org/x"),
        ("https://host:1/#setup=T0ken-x seen", "https://host:1/#setup=hidden seen"),
        (f"read {PEM} there", "read hidden there"),
        (PEM[:40], "hidden"),
        ("scrypt$00ff$ee11 of ana", "hidden of ana"),
        ("forward distance=20", "forward distance=20"),
    ],
)
def test_what_looks_like_a_secret_is_hidden(text: str, shown: str) -> None:
    assert Mask(()).text(text) == shown


def test_what_a_state_folder_and_a_configuration_keep_secret_is_hidden_wherever_it_stands(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "secrets"
    kept.save(folder / "users.json", [{"address": "hildegard", "role": "admin", "token": "tok-canary"}])
    (folder / "ota.key").write_text("0badcafe0badcafe\n")
    document = conf.parse(
        "module a {\n  api_key = config-canary\n  url = https://me:url-canary@host/\n}\n", "x"
    )
    mask = Mask(on_disk(tmp_path) | conf.secrets(document))
    said = mask.value({"log": ["hildegard said tok-canary", "0badcafe0badcafe", "config-canary url-canary"]})
    assert said == {"log": ["hildegard said hidden", "hidden", "hidden hidden"]}


@given(st.text(max_size=40), st.text(max_size=40), st.text(min_size=6, max_size=30))
def test_a_known_secret_never_passes(before: str, behind: str, secret: str) -> None:
    assert secret in "hidden" or secret not in Mask([secret]).text(before + secret + behind)
