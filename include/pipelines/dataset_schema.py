"""The JSON Schema of dataset files, for editors: ``python -m include.pipelines.dataset_schema`` writes it.

It is made from the Structs that files are checked against, so that both know the same members. What a Struct's
``check`` finds wrong beyond that, only Airflow says.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from include.pipelines.dataset_files import DATASETS, GROUPS, REQUIRED, TYPE, DatasetFile, places
from include.pipelines.notifications import PLACES
from include.pipelines.requests import REQUEST_TYPES, ImportRequest
from include.pipelines.requests.base import GATES, SPLIT

SCHEMA_FILE = DATASETS / "dataset.schema.json"

Schema = dict[str, Any]

_DEFINITIONS = "#/definitions/{name}"
_GROUP_DESCRIPTIONS = {
    GROUPS[SPLIT]: "Make a training and a test dataset: dataset_type is train+test.",
    GROUPS[GATES]: "What has to hold before the dataset is changed.",
}


def dataset_schema() -> Schema:
    """The schema, in draft 7, which is what editors know best."""
    own, definitions = _of_struct(DatasetFile)
    by_source = {kind: _members(request_type) for kind, request_type in REQUEST_TYPES.items()}
    # The Struct checks this by itself.
    definitions["Notification"]["oneOf"] = [{"required": [place]} for place in PLACES]
    properties: Schema = {**own, "source": {"description": "Where images and labels come from.", "oneOf": []}}
    narrowed: dict[str, Schema] = {kind: {} for kind in by_source}
    for name in dict.fromkeys(name for members in by_source.values() for name in members if name != "source"):
        variants = {kind: members[name] for kind, members in by_source.items() if name in members}
        properties[name] = next(iter(variants.values()))
        if len(variants) < len(by_source) or any(variant != properties[name] for variant in variants.values()):
            # Sources differ: completion gets the union, and each source its own.
            properties[name] = _union(variants.values())
            for kind in by_source:
                narrowed[kind][name] = variants.get(kind, False)
    for members in by_source.values():
        properties["source"]["oneOf"].append(members["source"])
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "A dataset that is refreshed as its file says",
        "description": "See docs/datasets.md. Made by `make schema`.",
        "type": "object",
        "properties": properties,
        "required": ["source", *sorted(REQUIRED & properties.keys())],
        "additionalProperties": False,
        "allOf": [
            {
                "if": {"properties": {"source": {"properties": {TYPE: {"const": kind}}, "required": [TYPE]}}},
                "then": {"properties": members},
            }
            for kind, members in narrowed.items()
            if members
        ],
        "definitions": definitions,
    }


def _members(request_type: type[ImportRequest]) -> Schema:
    """The members of a file of one source that are parameters, ``source`` itself included."""
    parameters, _ = _of_struct(request_type)
    kind = str(request_type.__struct_config__.tag)
    source: Schema = {
        "title": kind,
        "type": "object",
        "properties": {TYPE: {"const": kind, "description": (request_type.__doc__ or "").strip()}},
        "required": [TYPE],
        "additionalProperties": False,
    }
    members: Schema = {"source": source}
    for name, place in places(request_type).items():
        schema = parameters[name]
        if name in REQUIRED:
            schema["examples"] = [schema.pop("default")]
        if len(place) == 1:
            members[name] = schema
        else:
            if place[0] not in members:
                members[place[0]] = _group(place[0])
            members[place[0]]["properties"][name] = schema
    source["required"] += sorted(REQUIRED & source["properties"].keys())
    return members


def _group(name: str) -> Schema:
    return {
        "description": _GROUP_DESCRIPTIONS[name],
        "type": ["object", "null"],
        "properties": {},
        "additionalProperties": False,
    }


def _union(variants: Iterable[Schema]) -> Schema:
    """A schema that admits what any of them does, with the words of the first."""
    first, *others = variants
    if all("enum" in each for each in (first, *others)):
        return {**first, "enum": list(dict.fromkeys(value for each in (first, *others) for value in each["enum"]))}
    if all("properties" in each for each in (first, *others)):
        merged = {name: schema for each in (first, *others) for name, schema in each["properties"].items()}
        return {**first, "properties": merged}
    return {key: first[key] for key in ("title", "description") if key in first}


def _of_struct(struct: type[msgspec.Struct]) -> tuple[Schema, Schema]:
    """A Struct's members, and the definitions that they refer to."""
    (schema,), definitions = msgspec.json.schema_components([struct], ref_template=_DEFINITIONS)
    properties = definitions.pop(schema["$ref"].rpartition("/")[2])["properties"]
    # The form's section says where a member stands, which it does already.
    return {name: _without_section(member) for name, member in properties.items()}, definitions


def _without_section(member: Mapping[str, Any]) -> Schema:
    return {key: value for key, value in member.items() if key != "section"}


def render() -> str:
    """The text of `SCHEMA_FILE`."""
    return json.dumps(dataset_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    SCHEMA_FILE.write_text(render(), encoding="utf-8")
