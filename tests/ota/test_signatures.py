"""A board with a public key takes what its owner has signed, whatever the gateway signs besides."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from boardtalk.modules.iot_bridge.errors import LinkError, UpdateRefused
from boardtalk.modules.iot_bridge.ota.release import RSA, File, Release, Signature, collect
from boardtalk.modules.iot_bridge.ota.rsa_keys import make_keys, modulus, sign
from boardtalk.modules.iot_bridge.ota.signature import with_signature, written

from .rig import UID, Site, program, site
from .test_refusals import DATA, begin

NOW = int(time.time())
UNSIGNED = "not signed with the key that this board asks for"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two pairs."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("ours", "another"):
        make_keys(folder / f"{name}.pem", folder / f"{name}.pub")
    return folder


async def test_only_what_the_owner_of_the_key_has_signed_is_taken(tmp_path: Path, keys: Path) -> None:
    release = Release((File("main.py", DATA),), "x")
    good = sign(release, keys / "ours.pem", NOW)
    assert good.signature is not None
    given = good.signature.rsa
    other = msgspec.structs.replace(good, files=(File("main.py", DATA + b"#"),))
    refused = {
        "not signed": (release, UNSIGNED),
        "signed with another key": (sign(release, keys / "another.pem", NOW), UNSIGNED),
        "another program with that signature": (other, UNSIGNED),
        "newer than what was signed": (resigned(release, Signature(NOW + 1, given)), UNSIGNED),
        "nearly signed": (
            resigned(release, Signature(NOW, given[:-1] + ("0" if given[-1] != "0" else "1"))),
            UNSIGNED,
        ),
        "signed with one": (resigned(release, Signature(NOW, "1")), UNSIGNED),
        "signed with nonsense": (resigned(release, Signature(NOW, "so what")), "invalid syntax"),
        "signed with more": (resigned(release, Signature(NOW, more(given, keys))), UNSIGNED),
    }
    async with site(tmp_path, modulus=modulus(keys / "ours.pub")) as lamp, lamp.talk() as talk:
        await talk.stop("a test")
        for name, (what, why) in refused.items():
            with pytest.raises(UpdateRefused, match=why):
                await begin(talk, what.manifest(UID, 1, lamp.key))
                pytest.fail(f"a release that is {name} was taken")
        for path in ("ota.pub", "../ota.pub", "/ota.pub"):
            replaced = sign(Release((File(path, b"1"),), "x"), keys / "ours.pem", NOW)
            with pytest.raises(UpdateRefused, match="is not allowed"):
                await begin(talk, replaced.manifest(UID, 1, lamp.key))
        with pytest.raises(UpdateRefused, match="this board's key"):
            await begin(talk, good.manifest(UID, 1, bytes(32)))
        await begin(talk, good.manifest(UID, 1, lamp.key))


def resigned(release: Release, signature: Signature) -> Release:
    return msgspec.structs.replace(release, signature=signature)


def more(given: str, keys: Path) -> str:
    """The same signature, modulo the key: a board takes only the smallest."""
    return f"{int(given, 16) + modulus(keys / 'ours.pub'):x}"


async def test_people_sign_where_they_like_and_the_gateway_sends_it(tmp_path: Path, keys: Path) -> None:
    release, signature = program(tmp_path / "new", "2"), tmp_path / "2.sig"
    async with site(tmp_path, modulus=modulus(keys / "ours.pub")) as lamp:
        said = await lamp.ota("push", "lamp", release, rc=1)
        assert UNSIGNED in said
        assert "b'" not in said
        await keygen(lamp, tmp_path / "new.pem")
        said = await lamp.ota(
            "sign", release, "--key", keys / "ours.pem", "--to", signature, "--label", "two"
        )
        assert "3 files" in said
        said = await lamp.ota("push", "lamp", release, "--signature", signature)
        assert "two runs and stays" in said
        old = tmp_path / "old.sig"
        old.write_bytes(written(sign(collect([program(tmp_path / "old", "1")]), keys / "ours.pem", NOW - 60)))
        said = await lamp.ota("push", "lamp", tmp_path / "old", "--signature", old, rc=1)
        assert "was signed before the one that runs" in said


async def keygen(lamp: Site, private: Path) -> None:
    await lamp.ota("keygen", private)
    assert private.stat().st_mode & 0o077 == 0
    assert modulus(private.with_suffix(".pub")).bit_length() == 3072
    assert "no key is overwritten" in await lamp.ota("keygen", private, rc=2)


def test_a_signature_of_other_files_says_which_differ(tmp_path: Path, keys: Path) -> None:
    folder = program(tmp_path / "new", "2")
    path = tmp_path / "sig"
    path.write_bytes(written(sign(collect([folder], "two"), keys / "ours.pem", NOW)))
    assert with_signature(collect([folder]), path).label == "two"
    (folder / "part.py").write_text("VERSION = '3'\n")
    with pytest.raises(LinkError, match=r"made for other files \(part\.py differs\)"):
        with_signature(collect([folder]), path)
    path.write_text(f"{RSA}\n")
    with pytest.raises(LinkError, match="is no signature"):
        with_signature(collect([folder]), path)
    with pytest.raises(LinkError, match="is no key in PEM"):
        sign(collect([folder]), path, NOW)
    with pytest.raises(LinkError, match="another kind of key"):
        modulus_of_another_size(tmp_path)


def modulus_of_another_size(folder: Path) -> None:
    """Of a key that is too short."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()
    form = serialization
    pem = key.public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo)
    (folder / "short.pub").write_bytes(pem)
    modulus(folder / "short.pub")
