"""Keys for releases: who has the private one, and nobody else, may update boards with its public half.

The private key need not be where a gateway is. Only who signs, or installs a key, needs the library.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import msgspec
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from boardtalk.modules.iot_bridge.errors import LinkError
from boardtalk.modules.iot_bridge.ota.release import Signature

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from boardtalk.modules.iot_bridge.ota.release import Release

BITS: Final = 3072
EXPONENT: Final = 65537


def make_keys(private: Path, public: Path) -> None:
    """Make a pair of keys, as PEM files.

    Raises:
        LinkError: a file is there already, or can't be written.
    """
    key = rsa.generate_private_key(public_exponent=EXPONENT, key_size=BITS)
    form = serialization
    secret = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
    open_half = key.public_key().public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo)
    for path, mode, data in ((private, 0o600, secret), (public, 0o644, open_half)):
        try:
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        except OSError as error:
            raise LinkError(f"{path}: can't be written ({error.strerror}); no key is overwritten") from error
        with os.fdopen(file, "wb") as opened:
            opened.write(data)


def sign(release: Release, private: Path, now: int) -> Release:
    """The release with a signature.

    Args:
        release: what is signed: its label, and its files.
        private: a PEM file.
        now: Unix time; boards take no release that was signed before the one that runs.

    Raises:
        LinkError: it is no private key of 3072 bits.
    """
    key = _read(private, lambda data: serialization.load_pem_private_key(data, None))
    if not isinstance(key, rsa.RSAPrivateKey) or not _fits(key.public_key()):
        raise _another(private)
    signature = key.sign(release.text(now), padding.PKCS1v15(), hashes.SHA256())
    return msgspec.structs.replace(release, signature=Signature(now, signature.hex()))


def modulus(public: Path) -> int:
    """What a board needs of a public key. Raises LinkError, likewise."""
    key = _read(public, serialization.load_pem_public_key)
    if not isinstance(key, rsa.RSAPublicKey) or not _fits(key):
        raise _another(public)
    return key.public_numbers().n


def _read(path: Path, load: Callable[[bytes], object]) -> object:
    try:
        return load(path.read_bytes())
    except (OSError, ValueError, TypeError) as error:
        raise LinkError(f"{path}: is no key in PEM, without a passphrase ({error})") from error


def _fits(key: rsa.RSAPublicKey) -> bool:
    """Whether boards can check with it."""
    return key.key_size == BITS and key.public_numbers().e == EXPONENT


def _another(path: Path) -> LinkError:
    return LinkError(
        f"{path}: is another kind of key, not RSA of {BITS} bits; `boardtalk ota keygen` makes a pair"
    )
