"""What the metrics and the status page say of a rule set and of the settings.

Law of the file: secrets leave it masked, and the digest of the settings holds none.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from typing import Any

from streamproc import __version__
from streamproc.config import SECRETS, Settings
from streamproc.config_tables import plain_settings
from streamproc.ops.facts import RejectedRule, RuleFacts, WorkerFacts
from streamproc.ruleset.ruleset import RuleSet

REVISION_VARIABLE = "SOURCE_COMMIT"
"""Environment variable by which an image says what it was built from."""

# Settings in which workers of one group may differ.
OWN_SETTINGS = frozenset(
    {"client_id", "group_instance_id", "metrics_host", "metrics_port", "log_level", "log_format"}
)


def worker_facts(settings: Settings, ruleset: RuleSet) -> WorkerFacts:
    """Return what the metrics say of a rule set that was just loaded."""
    shown = plain_settings(settings)
    certificates = {"ca": settings.ssl_ca_file, "client": settings.ssl_certificate_file}
    return WorkerFacts(
        version=__version__,
        revision=os.environ.get(REVISION_VARIABLE, ""),
        ruleset_digest=ruleset.digest,
        config_digest=config_digest(shown),
        rules=tuple(
            RuleFacts(
                rule.rule_id,
                rule.name,
                rule.severity,
                "sequence" if rule.is_sequence else "query",
            )
            for rule in ruleset.rules
        ),
        rejected=tuple(
            RejectedRule(error.path, error.reason, error.line, error.column)
            for error in ruleset.rejected
        ),
        output_topics=(
            settings.alerts_topic,
            settings.context_requests_topic,
            settings.dead_letters_topic,
        ),
        loaded_at_s=time.time(),
        settings=shown,
        certificates={role: str(path) for role, path in certificates.items() if path},
    )


def config_digest(shown: dict[str, Any]) -> str:
    """Return the SHA-256, in hex, of the settings that a group's workers have in common."""
    common = {
        name: value
        for name, value in shown.items()
        if name not in OWN_SETTINGS and name not in SECRETS
    }
    return hashlib.sha256(json.dumps(common, sort_keys=True).encode()).hexdigest()
