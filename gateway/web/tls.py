"""An authority of this gateway's own and a certificate by it, so that the page can be encrypted at home.

What the authority's key may vouch for is limited: names of this machine and addresses of private networks.
Who has a phone trust it risks no other site, should the key be stolen.
"""

from __future__ import annotations

import fcntl
import ipaddress
import os
import re
import shutil
import socket
import struct
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from boardtalk.sdk import BoardtalkError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

FOLDER: Final = Path("secrets") / "tls"
"""Below the state folder."""
AUTHORITY: Final = "ca.crt"
CERTIFICATE: Final = "server.crt"
AUTHORITY_DAYS: Final = 3650
DAYS: Final = 397
"""Browsers take no certificate that is good for longer than 398 days."""
PRIVATE: Final = tuple(
    map(
        ipaddress.ip_network,
        ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "127.0.0.0/8", "fc00::/7",
         "fe80::/10", "::1/128"),
    )
)  # fmt: skip
"""Networks for which nobody else can get a certificate either."""
OPENSSL_WITHIN_S: Final = 30.0
_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_SIOCGIFADDR: Final = 0x8915


class TlsError(BoardtalkError):
    """No certificate can be made."""


class Made(msgspec.Struct):
    """What was made."""

    certificate: str
    key: str
    authority: str
    """Paths."""
    fingerprint: str
    """SHA-256 of the authority, as phones show it."""
    names: list[str]
    """Names and addresses by which the page may be called."""
    reach: str
    """The one of them that other machines most likely find."""
    days: int
    new_authority: bool
    """Whether whoever trusted an older one must trust this one anew."""


def make(state: Path, more: Iterable[str] = ()) -> Made:
    """Make a certificate for all names and addresses of this machine, and an authority if there is none yet.

    Args:
        state: the state folder.
        more: further names and addresses by which browsers are to find the page.

    Raises:
        TlsError: the program `openssl` is missing or fails, or something is no name.
    """
    given = [each.lower() for each in more]
    for each in given:
        if _address(each) is None and not _NAME.fullmatch(each):
            raise TlsError(f"{each!r} is neither a host name nor an address")
    folder = state / FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _give(folder.parent, state)
    _give(folder, state)
    names = list(dict.fromkeys([*_own_names(), *given]))
    # Public addresses of IPv6 change by the day: for each the authority would have to be another one.
    addresses = [each for each in _own_addresses() if each.version == 4 or _is_private(each)]
    addresses = list(dict.fromkeys([*addresses, *(each for each in map(_address, given) if each)]))
    names = [each for each in names if _address(each) is None]
    wanted = sorted({*names, *(str(each) for each in addresses if not _is_private(each))})
    new = not set(wanted) <= set(_vouched_for(folder))
    with tempfile.TemporaryDirectory(dir=folder) as passing:
        if new:
            _make_authority(Path(passing), names[0], wanted)
            _put(Path(passing), folder, ("ca.key", AUTHORITY, "ca.json"))
        _make_certificate(Path(passing), folder, names, addresses)
        _put(Path(passing), folder, ("server.key", CERTIFICATE))
    return Made(
        certificate=str(folder / CERTIFICATE),
        key=str(folder / "server.key"),
        authority=str(folder / AUTHORITY),
        fingerprint=_fingerprint(folder / AUTHORITY),
        names=[*names, *map(str, addresses)],
        reach=next((str(each) for each in addresses if each.version == 4 and not each.is_loopback), names[0]),
        days=DAYS,
        new_authority=new,
    )


def is_good_for(certificate: Path, days: int) -> bool:
    """Whether a certificate is still valid in so many days.

    Raises:
        TlsError: the program `openssl` is missing.
    """
    arguments = ("x509", "-in", str(certificate), "-noout", "-checkend", str(days * 86400))
    return _run(*arguments).returncode == 0


def _make_authority(folder: Path, machine: str, names: Sequence[str]) -> None:
    """An authority that vouches for these, whatever is below them, and private networks."""
    permitted = [f"permitted;DNS:{name}" for name in names if _address(name) is None]
    hosts = [ipaddress.ip_network(name) for name in names if _address(name) is not None]
    permitted += [f"permitted;IP:{each.network_address}/{each.netmask}" for each in (*PRIVATE, *hosts)]
    _openssl(
        "req", "-x509", "-days", str(AUTHORITY_DAYS), "-subj", f"/CN=boardtalk on {machine}"[:64],
        *_new_key(folder / "ca.key"), "-out", str(folder / AUTHORITY),
        "-addext", "basicConstraints=critical,CA:TRUE,pathlen:0",
        "-addext", "keyUsage=critical,keyCertSign",
        "-addext", f"nameConstraints=critical,{','.join(permitted)}",
    )  # fmt: skip
    (folder / "ca.json").write_bytes(msgspec.json.encode(names))


def _make_certificate(
    folder: Path, authority: Path, names: Sequence[str], addresses: Sequence[Address]
) -> None:
    subjects = [*(f"DNS:{name}" for name in names), *(f"IP:{address}" for address in addresses)]
    _openssl(
        "req", "-x509", "-days", str(DAYS), "-subj", f"/CN={names[0][:64]}",
        "-CA", str(authority / AUTHORITY), "-CAkey", str(authority / "ca.key"),
        *_new_key(folder / "server.key"), "-out", str(folder / CERTIFICATE),
        "-addext", "basicConstraints=critical,CA:FALSE",
        "-addext", "keyUsage=critical,digitalSignature",
        "-addext", "extendedKeyUsage=serverAuth",
        "-addext", f"subjectAltName={','.join(subjects)}",
    )  # fmt: skip


def _new_key(path: Path) -> tuple[str, ...]:
    return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", str(path))


def _put(passing: Path, folder: Path, files: Iterable[str]) -> None:
    """Put files in their places when all of them are there."""
    for name in files:
        (passing / name).chmod(0o600)
        _give(passing / name, folder)
    for name in files:
        (passing / name).replace(folder / name)


def _give(path: Path, like: Path) -> None:
    """Let a file belong to whom the folder belongs, if root made it: services have a user of their own."""
    if os.geteuid() == 0:
        owner = like.stat()
        os.chown(path, owner.st_uid, owner.st_gid)


def _vouched_for(folder: Path) -> list[str]:
    """For which names the authority vouches that there is; of none: nothing."""
    if not all((folder / each).is_file() for each in ("ca.key", AUTHORITY)):
        return []
    with suppress(OSError, msgspec.DecodeError):
        return msgspec.json.decode((folder / "ca.json").read_bytes(), type=list[str])
    return []


def _fingerprint(path: Path) -> str:
    return _openssl("x509", "-in", str(path), "-noout", "-fingerprint", "-sha256").partition("=")[2].strip()


def _openssl(*arguments: str) -> str:
    done = _run(*arguments)
    if done.returncode:
        raise TlsError(f"openssl {arguments[0]} fails: {done.stderr.strip()[-500:]}")
    return done.stdout


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which("openssl")
    if program is None:
        raise TlsError("the program openssl is missing: `apt install openssl`")
    # An empty configuration: what the machine's own has would be added to each certificate.
    return subprocess.run(
        [program, *arguments],
        env={**os.environ, "OPENSSL_CONF": os.devnull},
        capture_output=True,
        text=True,
        timeout=OPENSSL_WITHIN_S,
        check=False,
    )


def _own_names() -> list[str]:
    """This machine's names, as others on the network may know it."""
    name = socket.gethostname().lower()
    if not _NAME.fullmatch(name):
        return ["localhost"]
    return list(dict.fromkeys([name, f"{name.partition('.')[0]}.local", "localhost"]))


def _own_addresses() -> list[Address]:
    found: list[Address] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, interface in socket.if_nameindex():
            with suppress(OSError):  # it has none
                request = struct.pack("256s", interface.encode()[:15])
                found.append(ipaddress.IPv4Address(fcntl.ioctl(probe, _SIOCGIFADDR, request)[20:24]))
    with suppress(OSError):
        rows = Path("/proc/net/if_inet6").read_text().splitlines()
        found += [ipaddress.IPv6Address(bytes.fromhex(row.split()[0])) for row in rows]
    return found


def _address(text: str) -> Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _is_private(address: Address) -> bool:
    return any(address in network for network in PRIVATE)
