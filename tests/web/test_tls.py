"""TLS for the page: one command away, by an authority that endangers nobody. Point 9 of security."""

from __future__ import annotations

import json
import re
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from boardtalk.page.processes import _own_address
from boardtalk.sdk import Severity
from boardtalk.web import doctor
from boardtalk.web.tls import TlsError, make
from tests.scenarios.rig import PROGRAM, boardtalk, environment

from .house import PASSWORD, Browser, House, closed

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not installed")

CONF = "listen {{\n  host = {host}\n  port = 0\n{more}\n}}\n"
ENCRYPTED = CONF.format(host="127.0.0.1", more="  tls = yes")


def trusting(folder: Path) -> ssl.SSLContext:
    """What a phone checks that trusts the authority, and nobody else."""
    context = ssl.create_default_context(cafile=folder / "secrets" / "tls" / "ca.crt")
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    return context


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A gateway with a page that is encrypted."""
    folder = tmp_path_factory.mktemp("tls")
    assert boardtalk("tls", state=folder / "state").code == 0
    with House(folder, ENCRYPTED) as house:
        yield house


@pytest.fixture(scope="module")
def eve(house: House) -> Iterator[Browser]:
    with Browser(house.url, {}, verify=trusting(house.state)) as browser:
        assert browser.post("/setup", token=house.token(), user="eve", password=PASSWORD).status_code == 200
        yield browser


def test_s09_the_page_is_encrypted_by_one_command_and_a_key(house: House, eve: Browser) -> None:
    assert house.url.startswith("https://127.0.0.1:")
    assert eve.get("/me").json()["user"] == "eve"
    for name in ("localhost", *json.loads(house.cli("tls", "--json").out)["names"]):
        host = f"[{name}]" if ":" in name else name
        assert eve.get("/", headers={"Host": f"{host}:1"}).status_code == 200


def test_s06_the_cookie_goes_over_tls_only_and_only_to_this_machine(house: House, eve: Browser) -> None:
    made = eve.log_in("eve").headers["set-cookie"]
    name, *flags = re.split(r";\s*", made)
    assert name.startswith(f"__Host-boardtalk-{httpx.URL(house.url).port}=")
    assert {each.lower() for each in flags} > {"secure", "httponly", "samesite=strict", "path=/"}


async def test_s09_so_are_the_sockets(house: House, eve: Browser) -> None:
    for path, port in (("/ws", 0), ("/live", 0), ("/stop", eve.get("/me").json()["stop_port"])):
        async with eve.socket(path, port) as open_:
            await (await open_.ping())
    with Browser(house.url, {}, verify=trusting(house.state)) as stranger:
        async with stranger.socket() as open_:
            assert await closed(open_) == 4401


def test_s08_the_stop_lane_of_the_policy_is_encrypted_too(eve: Browser) -> None:
    policy = eve.get("/").headers["content-security-policy"]
    assert re.search(r"connect-src 'self' wss://127\.0\.0\.1:\d+;", policy)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1], ids=["1.0", "1.1"])
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_s09_old_versions_are_refused(house: House, version: ssl.TLSVersion) -> None:
    context = trusting(house.state)
    context.minimum_version = context.maximum_version = version
    with pytest.raises(httpx.ConnectError), httpx.Client(verify=context, trust_env=False) as client:
        client.get(house.url)


def test_s09_nothing_is_said_unencrypted(house: House) -> None:
    with pytest.raises(httpx.TransportError), httpx.Client(trust_env=False) as client:
        client.get(house.url.replace("https", "http"))


def test_phones_get_the_authority_and_not_its_key(house: House, eve: Browser) -> None:
    made = json.loads(house.cli("tls", "--json").out)
    given = eve.get("/ca.crt")
    assert given.headers["content-type"] == "application/x-x509-ca-cert"
    assert given.text == Path(made["authority"]).read_text()
    assert "PRIVATE" not in given.text
    for path in Path(made["key"]).parent.iterdir():
        assert path.stat().st_mode & 0o777 == 0o600, path


def test_the_doctor_warns_before_it_ends(tmp_path: Path) -> None:
    assert list(doctor.examine(tmp_path)) == []
    made = make(tmp_path)
    assert list(doctor.examine(tmp_path)) == []
    soon = ["openssl", "req", "-x509", "-days", "20", "-subj", "/CN=x", "-key", made.key, "-out"]
    subprocess.run([*soon, made.certificate], check=True, capture_output=True)
    [warning] = doctor.examine(tmp_path)
    Path(made.certificate).write_text("damaged")
    [bad] = doctor.examine(tmp_path)
    assert (warning.severity, bad.severity) == (Severity.WARNING, Severity.PROBLEM)
    assert "boardtalk tls" in warning.cure


def test_the_authority_vouches_for_no_other_site(tmp_path: Path) -> None:
    made = json.loads(boardtalk("tls", "--json", state=tmp_path).out)
    folder = Path(made["authority"]).parent
    stolen = ("-CA", folder / "ca.crt", "-CAkey", folder / "ca.key")
    for subject, fine in (("DNS:bank.example", False), ("IP:8.8.8.8", False), ("DNS:localhost", True)):
        subprocess.run(
            ["openssl", "req", "-x509", *stolen, "-subj", "/CN=x", "-newkey", "ec", "-pkeyopt",
             "ec_paramgen_curve:P-256", "-nodes", "-keyout", "k", "-out", "c", "-addext",
             f"subjectAltName={subject}"],
            cwd=tmp_path, check=True, capture_output=True,
        )  # fmt: skip
        checked = subprocess.run(
            ["openssl", "verify", "-CAfile", folder / "ca.crt", tmp_path / "c"],
            capture_output=True,
            check=False,
        )
        assert (checked.returncode == 0) is fine, checked


def test_a_second_time_the_authority_stays_unless_it_may_not_vouch_for_a_new_name(tmp_path: Path) -> None:
    first, second = (json.loads(boardtalk("tls", "--json", state=tmp_path).out) for _ in range(2))
    assert (first["new_authority"], second["new_authority"]) == (True, False)
    assert first["fingerprint"] == second["fingerprint"]
    assert _own_address() in first["names"], "that is what `boardtalk page` prints"
    third = json.loads(boardtalk("tls", "rover.example", "198.51.100.7", "--json", state=tmp_path).out)
    assert third["new_authority"]
    assert third["fingerprint"] != first["fingerprint"]
    assert {"rover.example", "198.51.100.7"} < set(third["names"])
    strict = ["openssl", "verify", "-x509_strict", "-CAfile", third["authority"], third["certificate"]]
    assert subprocess.run(strict, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("name", ["a,DNS:evil.example", "a\nb", "", "-x.example", "é.example", "*.example"])
def test_what_is_no_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(TlsError, match="neither a host name nor an address"):
        make(tmp_path, [name])
    assert not (tmp_path / "secrets").exists()


def test_without_openssl_it_says_what_to_install(tmp_path: Path) -> None:
    done = subprocess.run(
        [*PROGRAM, "tls", "--state", tmp_path],
        env={**environment(), "PATH": str(tmp_path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, "apt install openssl" in done.stderr) == (2, True)


def test_s09_beyond_this_machine_passwords_are_not_sent_as_they_are(tmp_path: Path) -> None:
    conf = tmp_path / "gateway.conf"
    conf.write_text(CONF.format(host="0.0.0.0", more=""))
    refused = boardtalk("run", "--conf", str(conf), state=tmp_path / "state")
    assert refused.code == 2
    assert re.search(
        "gateway.conf:1:1: passwords would cross the network unencrypted.*plain = yes", refused.err
    )


def test_s09_unless_the_operator_says_so(tmp_path: Path) -> None:
    with House(tmp_path, CONF.format(host="0.0.0.0", more="  plain = yes")) as house:
        address = httpx.URL(house.url).host
        assert not address.startswith("0.")
        assert house.settled().get("/me").status_code == 200


def test_without_a_certificate_there_is_no_page_and_the_rest_runs(tmp_path: Path) -> None:
    with House(tmp_path, ENCRYPTED) as house:
        assert "page=" not in house.said
        assert "`boardtalk tls`" in house.log
        assert house.cli("history").code == 0


def test_a_certificate_of_somebody_else_s_is_taken(tmp_path: Path) -> None:
    made = json.loads(boardtalk("tls", "--json", state=tmp_path / "elsewhere").out)
    more = f"  tls = yes\n  certificate = {made['certificate']}\n  key = {made['key']}"
    with (
        House(tmp_path, CONF.format(host="127.0.0.1", more=more)) as house,
        Browser(house.url, {}, verify=trusting(tmp_path / "elsewhere")) as browser,
    ):
        assert browser.get("/").status_code == 200
        assert browser.get("/ca.crt").status_code == 404
