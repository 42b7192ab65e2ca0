"""The chart's values: each is documented, in the schema and used; what is generated is fresh."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from streamproc import __version__
from streamproc.config import Settings
from tests.helm.generated import (
    CHART,
    OWNED_SETTINGS,
    README,
    SCHEMA,
    VALUES,
    documented_values,
    undocumented_values,
    values_table,
    with_settings,
    with_table,
)

DOCUMENTED = list(documented_values(VALUES.read_text()))
TEMPLATES = {path.name: path.read_text() for path in sorted((CHART / "templates").rglob("*.*"))}
# Maps that are passed on whole: what is below them is Kubernetes', Grafana's or the user's own.
PASSED_ON = re.compile(
    r"\.(resources|jobResources|podSecurityContext|securityContext|scalingBehavior|labels|settings)$"
)


def schema_of(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of one value; raises KeyError where the schema does not have it."""
    part = schema
    for step in name.split("."):
        part = part["properties"][step]
        if "$ref" in part:
            part = schema["definitions"][part["$ref"].rpartition("/")[2]]
    return part


def leaves(schema: dict[str, Any], whole: dict[str, Any], path: str = "") -> Iterator[str]:
    """Full names of the values in the schema that have no parts with names."""
    if "$ref" in schema:
        schema = whole["definitions"][schema["$ref"].rpartition("/")[2]]
    parts = schema.get("properties")
    if not parts or PASSED_ON.search(path):
        yield path.removeprefix(".")
        return
    for name, part in parts.items():
        yield from leaves(part, whole, f"{path}.{name}")


def open_objects(schema: Any, place: str = "") -> Iterator[str]:
    """Places of objects with named parts that would let other parts pass."""
    if isinstance(schema, dict):
        is_condition = place.rpartition("/")[2] in ("if", "then") or "/then/" in place
        named = "properties" in schema and schema.get("type") == "object"
        if named and not is_condition and schema.get("additionalProperties") is not False:
            yield place
        for key, part in schema.items():
            yield from open_objects(part, f"{place}/{key}")


def test_readme_has_the_values_as_they_are():
    """If it is stale: python -m tests.helm.generated."""
    table = values_table(VALUES.read_text())

    assert README.read_text() == with_table(README.read_text(), table)


def test_schema_has_the_settings_as_they_are():
    """If it is stale: python -m tests.helm.generated."""
    assert SCHEMA.read_bytes() == with_settings(SCHEMA.read_bytes())


def test_settings_that_the_chart_owns_exist():
    """Each setting is in the value `settings` or has a value of its own, never both or neither."""
    assert set(Settings.model_fields) >= OWNED_SETTINGS


def test_chart_is_of_this_version():
    """Chart and program are released together."""
    text = (CHART / "Chart.yaml").read_text()

    assert f'\nappVersion: "{__version__}"\n' in text
    assert f"\nversion: {__version__}\n" in text


def test_every_value_is_documented():
    """No value without a comment that opens with its full name."""
    assert list(undocumented_values(VALUES.read_text())) == []
    assert len(DOCUMENTED) > 100


def test_comment_above_another_value_is_refused():
    """A value that was renamed takes its comment along."""
    with pytest.raises(ValueError, match=r"'image\.tag' stands above image\.digest"):
        list(documented_values("image:\n  # image.tag -- The tag\n  digest: 1\n"))


def test_undocumented_value_is_noticed():
    """Also one inside a map whose other values are documented."""
    text = "a:\n  # a.b -- Documented\n  b: 1\n  c: 2\nd: 3\n"

    assert list(undocumented_values(text)) == ["a.c", "d"]


def test_schema_and_values_have_the_same_names():
    """A value that is documented can be set; one that can be set is documented."""
    schema = orjson.loads(SCHEMA.read_bytes())

    assert sorted(leaves(schema, schema)) == sorted(value.name for value in DOCUMENTED)


def test_schema_is_closed():
    """A misspelt value is refused everywhere but in `global`, which belongs to all charts."""
    schema = orjson.loads(SCHEMA.read_bytes())

    assert schema["$schema"] == "http://json-schema.org/draft-07/schema#"
    assert list(open_objects(schema)) == ["/properties/global"]


def test_every_value_is_used():
    """Each value is read by a template, by its own name or as part of a map that is."""
    texts = "".join(TEMPLATES.values())

    def is_used(name: str) -> bool:
        first, last = name.partition(".")[0], name.rpartition(".")[2]
        has_group = re.search(rf'\.Values\.{first}\b|"{first}"', texts)
        return bool(has_group and re.search(rf'\.{last}\b|"{last}"', texts))

    assert [value.name for value in DOCUMENTED if not is_used(value.name)] == []


def test_templates_read_no_other_values():
    """`.Values.x.y` in a template is in values.yaml."""
    names = {value.name for value in DOCUMENTED}
    known = names | {name.rsplit(".", depth)[0] for name in names for depth in (1, 2)}
    used = {
        found
        for text in TEMPLATES.values()
        for found in re.findall(r"\.Values\.([A-Za-z][\w.]*\w)", text)
    }

    assert {name for name in used if name not in known} == {"settings.session_timeout_s"}


def test_example_in_readme_names_the_needed_values():
    """The values that a template asks for by name are those that the README says are needed."""
    needed = re.findall(r'"([\w.]+) is needed: (?:where|host)', TEMPLATES["_problems.tpl"])

    assert needed == ["image.repository", "kafka.bootstrapServers"]
    assert all(f"--set {name}=" in README.read_text() for name in needed)


def test_package_leaves_the_chart_out():
    """The chart is no part of the wheel."""
    project = tomllib.loads((CHART.parents[1] / "pyproject.toml").read_text())

    assert not [name for name in project["tool"]["setuptools"]["packages"] if "helm" in name]
