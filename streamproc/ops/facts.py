"""What the metrics and the status page say of a worker's rules and settings.

Law of the file: plain values that nobody changes. A reload makes new ones, and whoever shows them
is given the new ones whole.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple


class RuleFacts(NamedTuple):
    """What the metrics say of one loaded rule."""

    rule_id: str
    name: str
    severity: str
    type: Literal["query", "sequence"] = "query"


class RejectedRule(NamedTuple):
    """A rule file that was left out as faulty; line and column count from 1, 0: all of it."""

    path: str
    reason: str
    line: int = 0
    column: int = 0


@dataclass(frozen=True, slots=True)
class WorkerFacts:
    """What changes only when rules are loaded anew.

    Attributes:
        version: Version of this program.
        revision: The source it was built from, as the image says; empty where it does not.
        ruleset_digest: Digest of the loaded rules, to be compared across workers.
        config_digest: Digest of the settings that workers of one group should have in common.
        rules: The loaded rules.
        rejected: The rule files left out.
        output_topics: Topics that are written, whose errors count from zero.
        loaded_at_s: When these rules were loaded, seconds since the epoch.
        settings: Setting to value as JSON can hold it, secrets masked; for the status page.
        certificates: Role (``ca``, ``client``) to PEM file.
    """

    version: str
    ruleset_digest: str
    rules: tuple[RuleFacts, ...]
    revision: str = ""
    config_digest: str = ""
    rejected: tuple[RejectedRule, ...] = ()
    output_topics: tuple[str, ...] = ()
    loaded_at_s: float = 0.0
    settings: dict[str, Any] = field(default_factory=dict)
    certificates: dict[str, str] = field(default_factory=dict)
