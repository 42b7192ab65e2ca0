"""When certificates expire, as the files say."""

from __future__ import annotations

import datetime
import os

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from streamproc.ops.certificates import CertificateExpiries

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def certificate(days: int) -> bytes:
    """A PEM certificate that expires so many days after ``NOW``."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "worker")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - datetime.timedelta(days=1))
        .not_valid_after(NOW + datetime.timedelta(days=days))
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)


def days_left(expiry_s: float) -> float:
    return (expiry_s - NOW.timestamp()) / 86_400


def test_the_first_certificate_to_expire_counts(tmp_path):
    """A bundle is as good as the worst in it; comments between certificates do not matter."""
    bundle = tmp_path / "ca.pem"
    bundle.write_bytes(certificate(30) + b"# an old one\n" + certificate(7) + certificate(90))
    own = tmp_path / "client.pem"
    own.write_bytes(certificate(14))
    found = CertificateExpiries({"ca": str(bundle), "client": str(own)})()

    assert {role: days_left(at) for role, at in found.items()} == {"ca": 7, "client": 14}


def test_a_renewed_certificate_is_read_again(tmp_path):
    """Also by a link that is swapped, as Kubernetes does."""
    for days in (5, 60):
        (tmp_path / f"{days}.pem").write_bytes(certificate(days))
    link = tmp_path / "client.pem"
    link.symlink_to(tmp_path / "5.pem")
    expiries = CertificateExpiries({"client": str(link)})
    assert days_left(expiries()["client"]) == 5
    swapped = tmp_path / "new"
    swapped.symlink_to(tmp_path / "60.pem")
    os.replace(swapped, link)

    assert days_left(expiries()["client"]) == 60


@pytest.mark.parametrize("content", [None, b"", b"no certificate", b"\xff\x00"])
def test_a_file_that_cannot_be_read_is_left_out(tmp_path, caplog, content):
    """Said once, not at every scrape; what comes later is found."""
    path = tmp_path / "client.pem"
    if content is not None:
        path.write_bytes(content)
    expiries = CertificateExpiries({"client": str(path)})

    assert expiries() == expiries() == {}
    assert caplog.text.count("is not known") == 1
    path.write_bytes(certificate(3))
    assert days_left(expiries()["client"]) == 3
