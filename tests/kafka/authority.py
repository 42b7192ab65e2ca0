"""Certificates for tests: an authority, those that it signs, and strangers to it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest


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

    def broker_properties(self, name: str, address: str = "IP:127.0.0.1") -> dict[str, str]:
        """Sign a server's certificate; return the listener's properties that use it."""
        self.sign(name, "-addext", f"subjectAltName={address}")
        # Kafka wants key and certificate chain in one file.
        chain = [(self.folder / f"{name}.{kind}").read_text() for kind in ("key", "pem")]
        keystore = self.folder / f"{name}.keystore.pem"
        keystore.write_text("".join(chain))
        return {
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(keystore),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self.folder / "authority.pem"),
        }

    def _certify(self, name: str, *more: str) -> None:
        command = [self._openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
        command += ["-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem"]
        subprocess.run([*command, *more], cwd=self.folder, check=True, capture_output=True)
