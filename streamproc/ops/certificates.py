"""When certificates expire, read from their files.

Law of the file: a file is parsed when it is new or has changed, never at every scrape; one that
cannot be read is left out and said once in the log. Only certificates are looked at, no keys.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from cryptography import x509

logger = logging.getLogger(__name__)

Stamp = tuple[int, int, int]
"""Inode, size and time of change: a renewed certificate differs in one of them."""


class CertificateExpiries:
    """Tells when the first certificate of each file expires.

    Args:
        files: Role of the file (``ca``, ``client``) to its path; PEM, one certificate or more.
    """

    def __init__(self, files: Mapping[str, str]) -> None:
        self._files = {role: Path(path) for role, path in files.items()}
        self._known: dict[str, tuple[Stamp | None, float | None]] = {}

    def __call__(self) -> dict[str, float]:
        """Return role to expiry, seconds since the epoch; without files that cannot be read."""
        found = {}
        for role, path in self._files.items():
            stamp = _stamp(path)
            known = self._known.get(role)
            if known is None or known[0] != stamp:
                known = self._known[role] = (stamp, _expiry_s(path))
            if known[1] is not None:
                found[role] = known[1]
        return found


def _stamp(path: Path) -> Stamp | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def _expiry_s(path: Path) -> float | None:
    try:
        certificates = x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError) as error:
        logger.warning("%s: when its certificates expire is not known: %s", path, error)
        return None
    return min(one.not_valid_after_utc.timestamp() for one in certificates)
