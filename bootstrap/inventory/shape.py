"""Holds the schema against a document that does not fit, and says in words what is wrong. Pure."""

import json
import re

from bootstrap.inventory.document import Document
from bootstrap.inventory.problems import ENOUGH, Path, Problems, Tree
from bootstrap.inventory.schema import Node, schema, schema_at
from bootstrap.inventory.suggestions import did_you_mean, suggest_key, suggest_value
from bootstrap.inventory.tree import value_at

NOUNS = {
    "string": "text",
    "object": "a mapping",
    "array": "a list",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
}
RANGE = r"\d+\.\.\d+"


def explain_shape(document: Document, problems: Problems) -> None:
    """Add a problem for everything that the schema refuses, until there are enough."""
    from jsonschema import Draft202012Validator

    for error in Draft202012Validator(schema()).iter_errors(document.value):
        path: Path = tuple(error.absolute_path)
        explain(path, str(error.validator), error.schema, document, problems)
        if problems.are_enough:
            return


def explain(path: Path, keyword: str, node: Node, document: Document, problems: Problems) -> None:
    """Add the problem of one violated keyword of a part of the schema."""
    value = value_at(document.value, path)
    if value is None:
        problems.add_at_key(path, f"{place(path)} has no value", "give it one, or remove the key")
    elif keyword == "additionalProperties":
        for key in [key for key in value if key not in node["properties"]][:ENOUGH]:
            problems.add_at_key((*path, key), f"unknown key `{key}`", suggest_key(key, path))
    elif keyword == "required":
        for key in node["required"]:
            if key not in value:
                explain_missing(path, key, value, problems)
    elif keyword == "type":
        problems.add(path, *explain_type(path, node["type"], value, document.written.get(path)))
    elif keyword == "enum":
        problems.add(path, f"{place(path)} can't be `{shown(value)}`", suggest_value(value, node["enum"]))
    else:
        problems.add(path, *explain_limit(path, keyword, node[keyword]))


def explain_missing(path: Path, key: str, value: dict[str, Tree], problems: Problems) -> None:
    """A missing key, unless it stands there misspelt: then that is told instead."""
    wanted = (*path, key)
    if problems.is_broken(wanted):
        return
    unknown = [other for other in value if other not in schema_at(path).get("properties", {})]
    if any(suggest_key(other, path) == did_you_mean(key) for other in unknown[:ENOUGH]):
        problems.broken.add(wanted)
        return
    problems.add_at(problems.key_position(path), f"{owner(path)} has no `{key}`", example_of(wanted, key))
    problems.broken.add(wanted)


def explain_type(path: Path, types: str | list[str], value: Tree, written: str | None) -> tuple[str, str]:
    wanted = " or ".join(noun for name, noun in NOUNS.items() if name == types or name in types)
    message = f"{place(path)} must be {wanted}, but {found(value, written)} stands here"
    if "string" in types and written is not None:
        return message, f'write "{written}" in quotes'
    if isinstance(value, dict) and len(value) == 1 and re.fullmatch(RANGE, next(iter(value))):
        return message, f'a range stands in quotes: "{{{next(iter(value))}}}"'
    if path == ("hosts",) and isinstance(value, list):
        return message, "each host is a key: `pi-1: {address: 192.168.1.11}`"
    return message, example_of(path, "")


def explain_limit(path: Path, keyword: str, limit: Tree) -> tuple[str, str]:
    if keyword in ("minLength", "minItems", "minProperties"):
        return f"{place(path)} is empty", example_of(path, "")
    if keyword == "maxItems":
        return f"{place(path)} takes at most {limit} items", example_of(path, "")
    if path and path[-1] == "port":
        return "this is not a port", "a port is a number from 1 to 65535"
    words = {"minimum": "at least", "maximum": "at most", "exclusiveMinimum": "more than"}
    return f"{place(path)} must be {words.get(keyword, keyword)} {limit}", example_of(path, "")


# --- words ---------------------------------------------------------------------------------------


def place(path: Path) -> str:
    """What a value is called in a message."""
    if not path:
        return "the inventory"
    return f"`{path[-1]}`" if isinstance(path[-1], str) else f"item {path[-1] + 1} of {place(path[:-1])}"


def owner(path: Path) -> str:
    """What a mapping is called in a message."""
    kinds = {"hosts": "host", "others": "machine", "groups": "group"}
    if len(path) == 2 and path[0] in kinds:
        return f"{kinds[str(path[0])]} `{path[1]}`"
    return place(path)


def found(value: Tree, written: str | None) -> str:
    if isinstance(value, bool):
        return f"the boolean {written or str(value).lower()}"
    if isinstance(value, int | float):
        return f"the number {written or value}"
    if isinstance(value, str):
        return f"the text `{shown(value)}`"
    return "a list" if isinstance(value, list) else "a mapping"


def shown(value: Tree) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."


def example_of(path: Path, key: str) -> str:
    """The schema's first example for a path, as a hint."""
    examples = schema_at(path).get("examples")
    if not examples:
        return ""
    text = examples[0] if isinstance(examples[0], str) else json.dumps(examples[0], ensure_ascii=False)
    return f"for example {key}: {text}" if key else f"for example {text}"
