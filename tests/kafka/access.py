"""A broker with TLS, SCRAM and ACLs, whose ACLs are the commands that the documentation gives.

Law of the file: rights come from ``docs/security.md`` and from nowhere else, so that a test with
them shows that the documented list is enough, and no more than that.
"""

from __future__ import annotations

import re
import ssl
import time
from itertools import pairwise
from pathlib import Path

from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from tests.kafka.authority import Authority
from tests.kafka.broker import BROKER_PROPERTIES, KafkaBroker

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "security.md"
TIMEOUT_S = 60
NETWORK_THREADS = int(BROKER_PROPERTIES["num.network.threads"])
REAUTHENTICATION_MS = 3_000
AUTHORIZER = {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "allow.everyone.if.no.acl.found": "false",
    # Whoever comes by the plain listener of this machine: the broker itself and the tests.
    "super.users": "User:ANONYMOUS",
}
_MODULE = "org.apache.kafka.common.security.scram.ScramLoginModule required;"

Right = tuple[ResourceType, str, ResourcePatternType, str, AclOperation]
"""Kind of resource, its name, literal or prefixed, user, operation."""


def listener_properties(authority: Authority) -> dict[str, str]:
    """Properties of a listener that wants a client certificate and a login, for ``secure=``."""
    return {
        **authority.broker_properties("server"),
        "ssl.client.auth": "required",
        "sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "scram-sha-512.sasl.jaas.config": _MODULE,
        "connections.max.reauth.ms": str(REAUTHENTICATION_MS),
    }


def documented_rights(block: str) -> list[Right]:
    """What the commands behind ``<!-- acls: block -->`` allow."""
    found = re.search(rf"<!-- acls: {block} -->\n```bash\n(.*?)```", GUIDE.read_text(), re.S)
    assert found is not None, f"{GUIDE} has no ACLs called {block}"
    return [right for line in found[1].splitlines() for right in _rights_of(line)]


def _rights_of(command: str) -> list[Right]:
    words = command.split()
    assert words[0] == "kafka-acls.sh"
    options = list(pairwise(words))
    values = dict(options)
    kind = ResourceType.TOPIC if "--topic" in values else ResourceType.GROUP
    name = values.get("--topic") or values["--group"]
    pattern = ResourcePatternType[values.get("--resource-pattern-type", "literal").upper()]
    operations = [value for option, value in options if option == "--operation"]
    return [
        (kind, name, pattern, values["--allow-principal"], _operation(operation))
        for operation in operations
    ]


def _operation(name: str) -> AclOperation:
    return AclOperation[re.sub(r"(?<!^)(?=[A-Z])", "_", name).upper()]


class Access:
    """Changes what users may do, their passwords and the broker's certificates, while it runs."""

    def __init__(self, broker: KafkaBroker) -> None:
        self._admin = AdminClient({"bootstrap.servers": broker.bootstrap})
        self._address = broker.secure_bootstrap

    def allow(self, *rights: Right) -> None:
        bindings = [
            AclBinding(kind, name, pattern, user, "*", operation, AclPermissionType.ALLOW)
            for kind, name, pattern, user, operation in rights
        ]
        for future in self._admin.create_acls(bindings).values():
            future.result(TIMEOUT_S)
        self._wait_until(rights, are_there=True)

    def forbid(self, *rights: Right) -> None:
        filters = [
            AclBindingFilter(kind, name, pattern, user, "*", operation, AclPermissionType.ALLOW)
            for kind, name, pattern, user, operation in rights
        ]
        for future in self._admin.delete_acls(filters).values():
            assert future.result(TIMEOUT_S), "there was no such right"
        self._wait_until(rights, are_there=False)

    def _wait_until(self, rights: tuple[Right, ...], *, are_there: bool) -> None:
        """Wait for the broker: it learns of rights after the controller has changed them."""
        every = AclBindingFilter(
            ResourceType.ANY, None, ResourcePatternType.ANY, None, None, AclOperation.ANY,
            AclPermissionType.ANY,
        )  # fmt: skip
        end = time.monotonic() + TIMEOUT_S
        while True:
            known = {
                (one.restype, one.name, one.resource_pattern_type, one.principal, one.operation)
                for one in self._admin.describe_acls(every).result(TIMEOUT_S)
            }
            if all((right in known) is are_there for right in rights):
                return
            assert time.monotonic() < end, "the broker does not learn of the rights"
            time.sleep(0.02)

    def set_password(self, user: str, password: str) -> None:
        mechanism = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
        change = UserScramCredentialUpsertion(user, mechanism, password.encode(), b"salt")
        for future in self._admin.alter_user_scram_credentials([change]).values():
            future.result(TIMEOUT_S)

    def show(self, keystore: Path) -> None:
        """Have the broker show another certificate to whoever connects; waits until it does."""
        self.use(keystore=keystore)
        host, port = self._address.split(":")
        end = time.monotonic() + TIMEOUT_S
        seen = 0  # in a row: its network threads take turns, and change one after the other
        while seen < 2 * NETWORK_THREADS:
            shown = ssl.get_server_certificate((host, int(port)))
            seen = seen + 1 if shown in keystore.read_text() else 0
            assert time.monotonic() < end, "the broker shows another certificate"
            time.sleep(0.05)

    def use(self, **files: Path) -> None:
        """Have the broker use another ``keystore`` or ``truststore`` for new connections, soon."""
        entries = [
            ConfigEntry(
                f"listener.name.secure.ssl.{name}.location",
                str(path),
                incremental_operation=AlterConfigOpType.SET,
            )
            for name, path in files.items()
        ]
        broker = ConfigResource(ResourceType.BROKER, "1", incremental_configs=entries)
        for future in self._admin.incremental_alter_configs([broker]).values():
            future.result(TIMEOUT_S)
