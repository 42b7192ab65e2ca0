"""New passwords and certificates, taken from their files while the worker runs.

Law of the file: what runs is replaced only by what has been tried. A changed password is given to
the clients, for their next login. librdkafka reads certificates when a client is made, so changed
ones are tried on a connection of their own, and only when brokers take them are the clients made
anew, between two batches. What is refused changes nothing, is said, and is tried again.

A change counts when two looks see the same: certificate and key are two files.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from streamproc.config import secret_of
from streamproc.ops.counters import Counters
from streamproc.refusals import cause_of, in_words

logger = logging.getLogger(__name__)

TRY_TIMEOUT_S = 10.0
PASSWORD_OPTION = "sasl.password"  # noqa: S105 - the option's name
FILE_OPTIONS = ("ssl.ca.location", "ssl.certificate.location", "ssl.key.location")


class Clients(Protocol):
    """The running clients of a worker: ``streamproc.transport.consumer.Consumer``."""

    def set_login(self, username: str, password: str) -> None:
        """Log in with these from the next connection on."""

    async def renew(self) -> bool:
        """Make the clients anew; False: not yet."""


class Credentials:
    """Follows the files of the login and of the certificates.

    Args:
        client: librdkafka's settings that all clients are made of, ``bootstrap.servers`` among
            them; a new password is written into ``shared``.
        shared: The part of ``client`` that holds the password.
        secret_files: Name of a secret setting to its file; ``sasl_password`` is looked at.
        counters: ``credential_reloads`` is counted.
        renewed: Called after every change that is in use; for clients that are made on demand.
    """

    def __init__(
        self,
        client: Mapping[str, Any],
        shared: dict[str, Any],
        secret_files: Mapping[str, Path],
        counters: Counters,
        renewed: Callable[[], None],
    ) -> None:
        self._client = client
        self._shared = shared
        self._password_file = secret_files.get("sasl_password")
        self._counters = counters
        self._renewed = renewed
        self._files = [Path(client[name]) for name in FILE_OPTIONS if name in client]
        self._in_use = self._digest()
        self._seen = self._in_use
        self._complained: object = None

    @property
    def is_idle(self) -> bool:
        """Say whether there is no file to look at."""
        return not self._files and self._password_file is None

    async def follow(self, clients: Callable[[], Clients], interval_s: float) -> None:
        """Look every ``interval_s`` until cancelled; ``clients`` are asked for at each change."""
        while True:
            await asyncio.sleep(interval_s)
            try:
                self.look_at_password(clients())
                await self.look_at_certificates(clients())
            except Exception:
                logger.exception("changed credentials could not be taken")

    def look_at_password(self, clients: Clients) -> None:
        """Give the clients a password that has changed."""
        if self._password_file is None:
            return
        try:
            password = secret_of(self._password_file.read_text("utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not a text file"
            self._complain("password", f"{self._password_file}: cannot be read: {reason}")
            return
        if password == self._shared.get(PASSWORD_OPTION):
            return
        if not password:  # written this moment
            self._complain("password", f"{self._password_file}: is empty")
            return
        self._shared[PASSWORD_OPTION] = password
        clients.set_login(str(self._client["sasl.username"]), password)
        self._accept("password", f"the password in {self._password_file} is used from now on")

    async def look_at_certificates(self, clients: Clients) -> None:
        """Make the clients anew when certificates have changed and brokers take them."""
        digest = self._digest()
        settled, self._seen = digest == self._seen, digest
        if digest is None or digest == self._in_use or not settled:
            return
        fault = await _in_thread(lambda: fault_of(dict(self._client)))
        if fault is not None:
            self._complain("certificates", f"changed certificates are not used: {fault}", digest)
            return
        try:
            is_renewed = await clients.renew()
        except KafkaException as error:
            self._complain("certificates", f"changed certificates are not used: {error}", digest)
            return
        if not is_renewed:
            logger.warning("changed certificates wait until all outputs are acknowledged")
            return
        self._in_use = digest
        self._accept("certificates", "changed certificates are in use")

    def _digest(self) -> str | None:
        """Return a digest of the certificates and the key; None while one cannot be read."""
        found = hashlib.sha256()
        for path in self._files:
            try:
                found.update(hashlib.sha256(path.read_bytes()).digest())
            except OSError:
                return None
        return found.hexdigest()

    def _accept(self, what: str, text: str) -> None:
        self._counters.credential_reloads[what, "accepted"] += 1
        self._complained = None
        self._renewed()
        logger.info("%s", text)

    def _complain(self, what: str, text: str, about: object = None) -> None:
        """Count and say it once for each state of the files."""
        if self._complained != (what, about):
            self._complained = (what, about)
            self._counters.credential_reloads[what, "refused"] += 1
            logger.error("%s", text)


async def _in_thread(work: Callable[[], str | None]) -> str | None:
    """Run ``work`` in a daemon thread: the loop's executor would be waited for at a stop."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[str | None] = loop.create_future()

    def run() -> None:
        try:
            result = work()
        except Exception as error:  # noqa: BLE001 - whatever it is: not tried is not in use
            result = f"{type(error).__name__}: {error}"
        try:
            loop.call_soon_threadsafe(_settle, future, result)
        except RuntimeError:  # the loop is closed
            logger.debug("event loop closed before certificates were tried")

    threading.Thread(target=run, name="streamproc-credentials", daemon=True).start()
    return await future


def _settle(future: asyncio.Future[str | None], result: str | None) -> None:
    if not future.done():
        future.set_result(result)


def fault_of(client: Mapping[str, Any]) -> str | None:
    """Return why brokers do not take these settings on a new connection; None: they do."""
    errors: list[KafkaError] = []
    # What fails is told in one line, by whoever asked.
    settings: dict[str, Any] = {**client, "error_cb": errors.append, "log_level": 0}
    try:
        admin = AdminClient(settings)
    except KafkaException as failure:
        return str(failure.args[0].str())
    end = time.monotonic() + TRY_TIMEOUT_S
    while True:
        try:
            admin.list_topics(timeout=1)
        except KafkaException as failure:
            admin.poll(0)  # calls error_cb
            for error in errors:
                if reason := cause_of(error, client):
                    return in_words(reason, error.str())
            if time.monotonic() >= end:
                return str(failure.args[0].str())
        else:
            return None
