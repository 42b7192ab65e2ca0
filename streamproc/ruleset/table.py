"""Reading the keys of one rule file, each with the type that it must have.

Law of the file: a wrong key is noted with its place and reading goes on, so that one look at a
file finds all that is wrong with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from streamproc.errors import RuleError
from streamproc.ruleset.places import Place, key_place


class RuleTable:
    """The decoded tables of a rule file; ``errors`` grows while keys are read."""

    def __init__(self, path: str, text: str, document: Mapping[str, Any]) -> None:
        self.path = path
        self.text = text
        self.errors: list[RuleError] = []
        self._document = document
        self.rule = self.table("rule")
        self.metadata = self.table("metadata")
        self.transform = self.table("transform")
        if "rule" not in document:
            self.fault("no [rule] table: this is not a rule file")

    def fault(self, reason: str, *key: str, place: Place | None = None) -> None:
        """Note that something is wrong at a key, or at a place that is known better."""
        line, column = place or (key_place(self.text, *key) if key else Place(0, 0))
        self.errors.append(RuleError(self.path, reason, line, column))

    def table(self, name: str) -> Mapping[str, Any]:
        """Return a top-level table, empty if it is missing."""
        value = self._document.get(name, {})
        if isinstance(value, Mapping):
            return value
        self.fault(f"{name} must be a table", name)
        return {}

    def text_of(self, key: str, *, is_required: bool = False) -> str:
        """Return a string; a required one must not be blank."""
        value = self.rule.get(key)
        if value is None and not is_required:
            return ""
        if isinstance(value, str) and (value.strip() or not is_required):
            return value
        wrong = "is missing" if value is None else "must be a string, not empty"
        self.fault(f"rule.{key} {wrong}", "rule", key)
        return ""

    def optional_text(self, key: str) -> str | None:
        """Return a string, or None if it is missing or blank."""
        return self.text_of(key).strip() or None

    def number(self, key: str, low: int, high: int, default: int | None) -> int:
        """Return a whole number from ``low`` to ``high``; without a default it is required."""
        value = self.rule.get(key, default)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
            return value
        wrong = "is missing" if value is None else f"must be a whole number, {low} to {high}"
        self.fault(f"rule.{key} {wrong}", "rule", key)
        return low

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of strings; empty if it is missing."""
        value = self.rule.get(key, [])
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return tuple(value)
        self.fault(f"rule.{key} must be a list of strings", "rule", key)
        return ()

    def tables(self, key: str) -> tuple[dict[str, Any], ...]:
        """Return a list of tables; empty if it is missing."""
        value = self.rule.get(key, [])
        if isinstance(value, list) and all(isinstance(item, dict) for item in value):
            return tuple(value)
        self.fault(f"rule.{key} must be a list of tables", "rule", key)
        return ()

    def choice(self, key: str, words: tuple[str, ...]) -> str:
        """Return one of a few words; the key is required."""
        value = self.rule.get(key)
        if value in words:
            return str(value)
        wrong = "is missing" if value is None else f"must be one of {', '.join(words)}"
        self.fault(f"rule.{key} {wrong}", "rule", key)
        return words[0]
