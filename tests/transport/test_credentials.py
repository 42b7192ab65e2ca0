"""Files of passwords and certificates that change while a worker runs."""

from __future__ import annotations

import asyncio

import pytest

from streamproc.ops.counters import Counters
from streamproc.transport import credentials as module
from streamproc.transport.credentials import Credentials, fault_of


class Clients:
    """What the worker's clients were told."""

    def __init__(self, *, can_renew: bool = True) -> None:
        self.logins: list[tuple[str, str]] = []
        self.renewals = 0
        self.can_renew = can_renew

    def set_login(self, username: str, password: str) -> None:
        self.logins.append((username, password))

    async def renew(self) -> bool:
        self.renewals += 1
        return self.can_renew


class Setup:
    """Credentials of files in a folder."""

    def __init__(self, folder, monkeypatch) -> None:
        self.password = folder / "password"
        self.certificate = folder / "client.pem"
        self.password.write_text("old\n")
        self.certificate.write_text("old")
        self.counters = Counters()
        self.shared = {"sasl.username": "worker", "sasl.password": "old"}
        self.fault: str | None = None
        self.renewed = 0
        client = self.shared | {"ssl.certificate.location": str(self.certificate)}
        # Whether brokers take it: tests/integration/test_secure.py.
        monkeypatch.setattr(module, "fault_of", lambda client: self.fault)
        self.credentials = Credentials(
            client, self.shared, {"sasl_password": self.password}, self.counters, self._count
        )

    def _count(self) -> None:
        self.renewed += 1

    def look(self, clients: Clients, times: int = 1) -> None:
        async def run() -> None:
            for _ in range(times):
                self.credentials.look_at_password(clients)
                await self.credentials.look_at_certificates(clients)

        asyncio.run(run())


@pytest.fixture
def setup(tmp_path, monkeypatch) -> Setup:
    return Setup(tmp_path, monkeypatch)


def test_what_does_not_change_is_left_alone(setup) -> None:
    clients = Clients()
    setup.look(clients, 3)
    assert (clients.logins, clients.renewals, setup.renewed) == ([], 0, 0)


def test_a_new_password_is_for_running_clients_and_for_later_ones(setup) -> None:
    clients = Clients()
    setup.password.write_text("new\n")
    setup.look(clients, 2)
    assert clients.logins == [("worker", "new")]
    assert setup.shared["sasl.password"] == "new"
    assert setup.renewed == 1
    assert setup.counters.credential_reloads == {("password", "accepted"): 1}


@pytest.mark.parametrize("break_it", [lambda p: p.write_text(""), lambda p: p.unlink()])
def test_a_password_file_without_a_password_changes_nothing(setup, break_it, caplog) -> None:
    """It is said once, and what it says later is taken."""
    clients = Clients()
    break_it(setup.password)
    setup.look(clients, 3)
    assert clients.logins == []
    assert setup.counters.credential_reloads == {("password", "refused"): 1}
    assert caplog.text.count(str(setup.password)) == 1
    setup.password.write_text("new")
    setup.look(clients)
    assert clients.logins == [("worker", "new")]


def test_changed_certificates_count_when_two_looks_agree(setup) -> None:
    """Between certificate and key there is a moment in which they do not fit."""
    clients = Clients()
    setup.certificate.write_text("half")
    setup.look(clients)
    setup.certificate.write_text("whole")
    setup.look(clients)
    assert clients.renewals == 0
    setup.look(clients, 3)
    assert clients.renewals == 1
    assert setup.counters.credential_reloads == {("certificates", "accepted"): 1}


def test_certificates_that_brokers_refuse_are_not_used_and_tried_again(setup, caplog) -> None:
    clients = Clients()
    setup.fault = "certificate verify failed"
    setup.certificate.write_text("new")
    setup.look(clients, 4)
    assert clients.renewals == 0
    assert setup.counters.credential_reloads == {("certificates", "refused"): 1}
    assert caplog.text.count("certificate verify failed") == 1
    setup.fault = None
    setup.look(clients)
    assert clients.renewals == 1


def test_clients_that_cannot_be_renewed_yet_are_asked_again(setup) -> None:
    clients = Clients(can_renew=False)
    setup.certificate.write_text("new")
    setup.look(clients, 3)
    assert clients.renewals == 2
    clients.can_renew = True
    setup.look(clients, 2)
    assert clients.renewals == 3


def test_a_certificate_that_is_gone_for_a_moment_is_no_change(setup) -> None:
    clients = Clients()
    setup.certificate.unlink()
    setup.look(clients, 2)
    setup.certificate.write_text("old")
    setup.look(clients, 3)
    assert clients.renewals == 0


def test_nothing_to_look_at() -> None:
    assert Credentials({}, {}, {}, Counters(), lambda: None).is_idle


def test_settings_that_librdkafka_refuses_are_a_fault(tmp_path) -> None:
    """Such as a certificate that is none."""
    broken = tmp_path / "client.pem"
    broken.write_text("no certificate")
    client = {
        "bootstrap.servers": "127.0.0.1:1",
        "security.protocol": "ssl",
        "ssl.certificate.location": str(broken),
    }
    assert "ssl.certificate.location failed" in str(fault_of(client))
