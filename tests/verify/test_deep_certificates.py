"""When certificates end: read without a library, judged by the host's own clock."""

import base64
import time
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from bootstrap.certificates import judge_certificates, read_expiries, read_expiry

CLOCK = 1_900_000_000
NOW = datetime.fromtimestamp(CLOCK, UTC)


def make_pem(end: datetime, key=None, name: str = "kube-apiserver") -> str:
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    builder = x509.CertificateBuilder(
        subject_name=subject,
        issuer_name=subject,
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=datetime(2020, 1, 1, tzinfo=UTC),
        not_valid_after=end,
    )
    certificate = builder.sign(key, hashes.SHA256())
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def after(**time_left: float) -> str:
    return make_pem(NOW + timedelta(**time_left))


def judge(*files: tuple[str, str], clock: str = str(CLOCK), renewal: str = "kubeadm certs renew all"):
    text = "livez 0 ok\n" + "".join(f"file 0 {path}\n{pem}\n" for path, pem in files)
    return judge_certificates("h1", text, clock, renewal)


@pytest.mark.parametrize(
    "end",
    [
        datetime(2027, 11, 25, 3, 52, 10, tzinfo=UTC),
        datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC),  # the last of the short form
        datetime(2050, 1, 1, tzinfo=UTC),  # the first of the long one
        datetime(2126, 2, 28, tzinfo=UTC),
    ],
)
@pytest.mark.parametrize("kind", ["EC", "RSA"])
def test_the_end_is_what_a_library_reads(kind, end):
    key = rsa.generate_private_key(65537, 2048) if kind == "RSA" else None
    assert read_expiries("ca.crt", make_pem(end, key, name="n" * 60)) == [end]


# The certificate authority of a k3s that ran: its serial number is 0, which libraries are about to refuse.
SERIAL_0 = """-----BEGIN CERTIFICATE-----
MIIBdzCCAR2gAwIBAgIBADAKBggqhkjOPQQDAjAjMSEwHwYDVQQDDBhrM3Mtc2Vy
dmVyLWNhQDE3OTU1ODIzMzAwHhcNMjYxMTI1MDM1MjEwWhcNMzYxMTIyMDM1MjEw
WjAjMSEwHwYDVQQDDBhrM3Mtc2VydmVyLWNhQDE3OTU1ODIzMzAwWTATBgcqhkjO
PQIBBggqhkjOPQMBBwNCAATbXIh+JzLjL9QoeGCfm96U9pM/kKAq99E90ji0o9F1
ck3n8CosRC2yMB+kP32nLnpdUuZ91zEfXV+3wscGFZCho0IwQDAOBgNVHQ8BAf8E
BAMCAqQwDwYDVR0TAQH/BAUwAwEB/zAdBgNVHQ4EFgQU/V3Ge2P5fJ6ClduQvdoF
vReXQj4wCgYIKoZIzj0EAwIDSAAwRQIhAKRxX+Ada00AvAeFIz9yIQyIYRVUxf76
Fg0R74tUVxXKAiAPX/An348HIJUwvE1VHAxGZTAOtSSZwuDpGVyy6E8pKA==
-----END CERTIFICATE-----
"""


def test_an_authority_with_the_serial_number_0_is_read():
    assert read_expiries("ca.crt", SERIAL_0) == [datetime(2036, 11, 22, 3, 52, 10, tzinfo=UTC)]


def test_a_year_of_two_digits_from_50_on_is_of_the_last_century():
    der = base64.b64decode("".join(make_pem(datetime(2049, 1, 2, tzinfo=UTC)).splitlines()[1:-1]))
    assert read_expiry(der.replace(b"490102000000Z", b"500102000000Z")) == datetime(1950, 1, 2, tzinfo=UTC)


def test_the_soonest_of_all_files_and_chains_is_shown():
    check = judge(("ca.crt", after(days=3000)), ("chain.crt", after(days=900) + after(days=40)), ("x", after(days=400)))
    assert (check.ok, check.subject) == (True, "h1")
    assert check.detail == f"the first expires on {NOW + timedelta(days=40):%Y-%m-%d} (chain.crt)"


@pytest.mark.parametrize(("days", "ok"), [(29.5, True), (7.5, True), (6.5, False), (0.5, False)])
def test_the_last_month_is_noted_and_the_last_week_is_red(days, ok):
    check = judge(("a.crt", after(days=days)))
    assert check.ok is ok
    assert check.detail.endswith(f", in {int(days)} days (a.crt): kubeadm certs renew all")


@pytest.mark.parametrize("left", [timedelta(seconds=-1), timedelta(days=-400)])
def test_one_that_has_ended_is_red(left):
    check = judge(("a.crt", make_pem(NOW + left)), ("b.crt", after(days=300)))
    assert not check.ok
    assert check.detail == f"expired on {NOW + left:%Y-%m-%d} (a.crt): kubeadm certs renew all"


def test_the_clock_of_the_host_counts_not_ours():
    pem = make_pem(datetime.fromtimestamp(time.time() + 3600, UTC))
    assert judge(("a.crt", pem), clock="1600000000").ok


@pytest.mark.parametrize("clock", ["", "date: not found"])
def test_a_host_that_says_nothing_is_red(clock):
    check = judge(("a.crt", after(days=300)), clock=clock)
    assert (check.ok, check.detail) == (False, "the host said nothing about them")


def test_no_certificate_at_all_is_red():
    assert (judge().ok, judge().detail) == (False, "none was found")
    assert not judge(("empty.crt", "")).ok


def cut(pem: str, size: int) -> str:
    der = base64.b64decode("".join(pem.splitlines()[1:-1]))
    body = base64.b64encode(der[:size]).decode()
    return f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n"


@pytest.mark.parametrize(
    "broken",
    [
        *(cut(after(days=300), size) for size in (1, 2, 3, 4, 10, 40, 100, 200)),
        cut(after(days=300), 0),
        "-----BEGIN CERTIFICATE-----\nno base64 at all: ###\n-----END CERTIFICATE-----\n",
        f"-----BEGIN CERTIFICATE-----\n{base64.b64encode(bytes([0x30, 4, 0x30, 2, 5, 0])).decode()}\n-----END CERTIFICATE-----\n",
    ],
    ids=lambda broken: f"{len(broken)} characters",  # the bytes are others each time
)
def test_a_certificate_that_can_not_be_read_is_red_and_named(broken):
    check = judge(("good.crt", after(days=300)), ("bad.crt", broken))
    assert not check.ok
    assert check.detail.startswith("bad.crt can't be read")
