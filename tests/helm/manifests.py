"""Rendered manifests: read from YAML, and held against the schemas of Kubernetes and of CRDs.

Runs in the environment of the chart's tools (tests/helm/tools.py), which has PyYAML and the
schemas, as ``python manifests.py read|check``, JSON on standard input and output.

Law of the file: a field that the schema does not know is an error. For custom kinds the models
let unknown fields pass, so that what goes in is compared with what the model kept.
"""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

import yaml

Object = dict[str, Any]

# Fields that exist, but not yet in the models that run on every Python that we support.
NEWER_THAN_MODELS = {"ScaledObject.spec.fallback.behavior"}  # KEDA 2.17


def read(text: str) -> list[Object]:
    """The objects of a rendering, in its order; a duplicate key is an error."""
    return [found for found in yaml.load_all(text, _StrictLoader) if found]


def complaints(objects: list[Object], versions: list[str]) -> Iterator[str]:
    """What the schemas of each Kubernetes version, or the models of a CRD, say against them."""
    for found in objects:
        name = f"{found['kind']}/{found['metadata']['name']}"
        if model := _custom_models().get(found["kind"]):
            yield from (f"{name}: {complaint}" for complaint in _unknown_to(model, found))
            continue
        for version in versions:
            validator = _validator(version, found["apiVersion"], found["kind"])
            for error in validator.iter_errors(found):
                place = ".".join(str(step) for step in error.absolute_path)
                yield f"{name}: Kubernetes {version}: {place}: {error.message}"


class _StrictLoader(yaml.SafeLoader):
    """YAML without duplicate keys, of which the last would win in silence."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=deep) for key, _ in node.value]
        if len(keys) != len(set(keys)):
            raise ValueError(f"duplicate key in {keys} at {node.start_mark}")
        return super().construct_mapping(node, deep=deep)


@functools.cache
def _validator(version: str, api_version: str, kind: str) -> Any:
    import jsonschema
    from kubernetes_validate.utils import schema_contents
    from referencing import Registry, Resource

    folder = f"kubernetes-json-schema/v{version}-local-strict"
    group, _, release = api_version.rpartition("/")
    prefix = group.split(".")[0] + "-" if group else ""
    schema = schema_contents(f"{folder}/{kind.lower()}-{prefix}{release}.json", version)
    registry: Any = Registry()
    for contents in (schema, _definitions(folder, version)):
        registry = Resource.from_contents(contents) @ registry
    return jsonschema.validators.Draft202012Validator(schema, registry=registry)


@functools.cache
def _definitions(folder: str, version: str) -> Any:
    from kubernetes_validate.utils import schema_contents

    return schema_contents(f"{folder}/_definitions.json", version)


@functools.cache
def _custom_models() -> dict[str, Any]:
    from cloudcoil.models.keda.v1alpha1 import ScaledObject, TriggerAuthentication
    from cloudcoil.models.prometheus_operator.v1 import PodMonitor, PrometheusRule

    models = (ScaledObject, TriggerAuthentication, PodMonitor, PrometheusRule)
    return {model.__name__: model for model in models}


def _unknown_to(model: Any, found: Object) -> Iterator[str]:
    try:
        kept = model.model_validate(found).model_dump(
            by_alias=True, exclude_unset=True, mode="json"
        )
    except ValueError as error:
        yield str(error)
        return
    for place in _missing(found, kept, found["kind"]):
        if place not in NEWER_THAN_MODELS:
            yield f"{place}: unknown field"


def _missing(given: Any, kept: Any, place: str) -> Iterator[str]:
    """Places of keys that were given and not kept."""
    if isinstance(given, dict):
        for key, value in given.items():
            if not isinstance(kept, dict) or key not in kept:
                yield f"{place}.{key}"
            else:
                yield from _missing(value, kept[key], f"{place}.{key}")
    elif isinstance(given, list) and isinstance(kept, list):
        for number, (one, other) in enumerate(zip(given, kept, strict=True)):
            yield from _missing(one, other, f"{place}[{number}]")


def _check(cases: dict[str, Any]) -> dict[str, list[str]]:
    return {
        name: list(complaints(objects, cases["versions"]))
        for name, objects in cases["objects"].items()
    }


def _read(texts: dict[str, str]) -> dict[str, list[Object]]:
    return {name: read(text) for name, text in texts.items()}


if __name__ == "__main__":
    COMMANDS: dict[str, Callable[[Any], Any]] = {"check": _check, "read": _read}
    json.dump(COMMANDS[sys.argv[1]](json.load(sys.stdin)), sys.stdout, default=str)
