"""Certificates for tests: an authority, those that it signs, and strangers to it."""

from __future__ import annotations

import datetime
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization


class Authority:
    """A certificate authority with its files in a folder; certificates are made by openssl."""

    def __init__(self, folder: Path) -> None:
        openssl = shutil.which("openssl")
        if openssl is None:
            pytest.skip("openssl is not installed")
        self._openssl = openssl
        self.folder = folder
        self._certify("authority")

    def stranger(self, name: str) -> None:
        """Make a certificate that this authority has not signed: ``name.pem``, ``name.key``."""
        self._certify(name)

    def sign(self, name: str, *more: str) -> None:
        """Make a certificate that it has signed; ``more`` are options of ``openssl req``."""
        self._certify(name, "-CA", "authority.pem", "-CAkey", "authority.key", *more)

    def sign_for(self, address: str, days: int) -> str:
        """Sign a certificate for ``IP:...`` or ``DNS:...`` that expires so many days from now.

        Returns:
            The name of its files, ``.pem`` and ``.key``.
        """
        name = f"{address.replace(':', '-')}.{days}"
        self.sign(name, "-addext", f"subjectAltName={address}")
        self.date(name, days)
        return name

    def date(self, name: str, days: int) -> None:
        """Sign a certificate anew, to expire so many days from now (before it: negative).

        openssl sets such dates from version 3.4 on only.
        """
        path = self.folder / f"{name}.pem"
        before = x509.load_pem_x509_certificate(path.read_bytes())
        key = serialization.load_pem_private_key(
            (self.folder / "authority.key").read_bytes(), password=None
        )
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(before.subject)
            .issuer_name(before.issuer)
            .public_key(before.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=30))
            .not_valid_after(now + datetime.timedelta(days=days))
        )
        for extension in before.extensions:
            builder = builder.add_extension(extension.value, extension.critical)
        signed = builder.sign(key, hashes.SHA256())
        path.write_bytes(signed.public_bytes(serialization.Encoding.PEM))

    def keystore(self, name: str) -> Path:
        """Write the file with key and certificate that Kafka wants of a server; its path."""
        chain = [(self.folder / f"{name}.{kind}").read_text() for kind in ("key", "pem")]
        path = self.folder / f"{name}.keystore.pem"
        path.write_text("".join(chain))
        return path

    def broker_properties(self, name: str, address: str = "IP:127.0.0.1") -> dict[str, str]:
        """Sign a server's certificate; return the listener's properties that use it."""
        self.sign(name, "-addext", f"subjectAltName={address}")
        return {
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(self.keystore(name)),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self.folder / "authority.pem"),
        }

    def _certify(self, name: str, *more: str) -> None:
        command = [self._openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
        command += ["-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem"]
        subprocess.run([*command, *more], cwd=self.folder, check=True, capture_output=True)
