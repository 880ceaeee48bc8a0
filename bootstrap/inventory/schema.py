"""The JSON Schema of inventories: its text, its parts by path, and a quick answer whether a value fits. Pure but for reading it."""

import json
import re
from functools import cache
from pathlib import Path as FilePath

from bootstrap.inventory.problems import Path, Tree

Node = dict[str, Tree]
FORMS: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "object": dict,
    "array": list,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
}
# Every keyword that `fits` knows, and those that only speak to people.
KEYWORDS = frozenset(
    [
        "$ref",
        "type",
        "enum",
        "required",
        "properties",
        "additionalProperties",
        "items",
        "minItems",
        "maxItems",
        "minProperties",
        "minLength",
        "pattern",
        "minimum",
        "maximum",
        "exclusiveMinimum",
    ]
)
WORDS = frozenset(["$schema", "$id", "$defs", "title", "description", "examples", "default"])


def schema_text() -> str:
    """The JSON Schema of an inventory (draft 2020-12), for editors and for people."""
    return FilePath(__file__).with_name("inventory.schema.json").read_text(encoding="utf-8")


@cache
def schema() -> Node:
    loaded: Node = json.loads(schema_text())
    return loaded


@cache
def definition(reference: str) -> Node:
    """What a $ref points at."""
    return follow(schema()["$defs"][reference.rsplit("/", 1)[-1]])


def follow(node: Node) -> Node:
    """The node with what its $ref points at; its own words win."""
    return {**definition(node["$ref"]), **node} if "$ref" in node else node


def schema_at(path: Path) -> Node:
    """The part of the schema that speaks of a path; empty where it says nothing."""
    node = follow(schema())
    for key in path:
        inner = node.get("items") if isinstance(key, int) else node.get("properties", {}).get(key)
        inner = node.get("additionalProperties") if inner is None else inner
        node = follow(inner) if isinstance(inner, dict) else {}
    return node


def fits(value: Tree, node: Node) -> bool:
    """Whether a value fits a part of the schema: a quick answer for the common case.

    jsonschema decides what does not fit, but takes as long to import as all the rest of a validation takes to run.
    A test holds the two against each other.
    """
    node = follow(node)
    if "enum" in node:
        return isinstance(value, str) and value in node["enum"]
    if "type" in node and not has_type(value, node["type"]):
        return False
    if isinstance(value, dict):
        return fits_mapping(value, node)
    if isinstance(value, list):
        size = node.get("minItems", 0) <= len(value) <= node.get("maxItems", len(value))
        return size and ("items" not in node or all(fits(item, node["items"]) for item in value))
    if isinstance(value, str):
        long_enough = len(value) >= node.get("minLength", 0)
        return long_enough and ("pattern" not in node or re.search(node["pattern"], value) is not None)
    return fits_number(value, node)


def has_type(value: Tree, types: str | list[str]) -> bool:
    names = [types] if isinstance(types, str) else types
    if isinstance(value, bool):
        return "boolean" in names
    return any(isinstance(value, FORMS[name]) for name in names)


def fits_mapping(value: dict[str, Tree], node: Node) -> bool:
    if len(value) < node.get("minProperties", 0) or not all(key in value for key in node.get("required", ())):
        return False
    known, others = node.get("properties", {}), node.get("additionalProperties", {})
    for key, inner in value.items():
        wanted = known.get(key, others)
        if wanted is False or not fits(inner, wanted):
            return False
    return True


def fits_number(value: Tree, node: Node) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return True
    if "exclusiveMinimum" in node and value <= node["exclusiveMinimum"]:
        return False
    return bool(node.get("minimum", value) <= value <= node.get("maximum", value))
