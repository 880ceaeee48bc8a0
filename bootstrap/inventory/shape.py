"""Holds the schema against a document and says what does not fit, in words. Pure but for reading the schema itself."""

import json
import re
from collections.abc import Iterator
from difflib import get_close_matches
from functools import cache
from importlib.resources import files

from bootstrap.inventory.document import Document
from bootstrap.inventory.problems import Path, Problems, Tree

NOUNS = {
    "string": "text",
    "object": "a mapping",
    "array": "a list",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
}
# How other tools name the same thing; each goes to our word.
OTHER_NAMES = {
    "ip": "address",
    "host": "address",
    "hostname": "address",
    "ansible_host": "address",
    "ansible_user": "ssh",
    "private_ip": "node_address",
    "privateAddress": "node_address",
    "node_ip": "node_address",
    "node-ip": "node_address",
    "privateInterface": "node_interface",
    "keyPath": "key",
    "identity_file": "key",
    "bastion": "jump",
    "sudo": "become",
    "name": "cluster",
    "distribution": "distro",
    "nodes": "hosts",
    "tls-san": "sans",
    "tls_san": "sans",
    "vip": "endpoint",
    "podCIDR": "pods",
    "serviceCIDR": "services",
    "cluster-cidr": "network",
    "service-cidr": "network",
    "dest": "path",
    "src": "source",
    "perm": "mode",
    "script": "run",
    "apiVersion": "schema",
}
OTHER_VALUES = {
    "master": "controller",
    "server": "controller",
    "control-plane": "controller",
    "controlplane": "controller",
    "single": "controller+worker",
    "agent": "worker",
    "node": "worker",
}
RANGE = re.compile(r"\d+\.\.\d+")


def schema_text() -> str:
    """The JSON Schema of an inventory (draft 2020-12), for editors and for people."""
    return files("bootstrap.inventory").joinpath("inventory.schema.json").read_text(encoding="utf-8")


@cache
def schema() -> dict[str, Tree]:
    loaded: dict[str, Tree] = json.loads(schema_text())
    return loaded


def check_shape(document: Document, problems: Problems) -> None:
    """Add a problem for everything that the schema refuses."""
    from jsonschema_rs import Draft202012Validator

    for error in Draft202012Validator(schema()).iter_errors(document.value):
        explain(tuple(error.instance_path), error.kind.name, error.kind.as_dict(), document, problems)


def explain(path: Path, kind: str, details: dict[str, Tree], document: Document, problems: Problems) -> None:
    """Add the problem of one violated keyword."""
    value = value_at(document.value, path)
    if kind == "additionalProperties":
        for key in details["unexpected"]:
            problems.add_at_key((*path, key), f"unknown key `{key}`", suggest_key(str(key), path))
    elif kind == "required":
        explain_missing(path, details["property"], problems)
    elif kind == "type":
        problems.add(path, *explain_type(path, details["types"], value, document.written.get(path)))
    elif kind == "enum":
        problems.add(path, f"{place(path)} can't be `{shown(value)}`", suggest_value(value, details["options"]))
    else:
        problems.add(path, *explain_limit(path, kind, details))


def explain_missing(path: Path, key: str, problems: Problems) -> None:
    wanted = (*path, key)
    if problems.is_broken(wanted):
        return
    problems.add_at(problems.key_position(path), f"{owner(path)} has no `{key}`", example_of(wanted, key))
    problems.broken.add(wanted)


def explain_type(path: Path, types: list[str], value: Tree, written: str | None) -> tuple[str, str]:
    wanted = " or ".join(NOUNS[name] for name in ordered(types))
    message = f"{place(path)} must be {wanted}, but {found(value, written)} stands here"
    if value is None:
        return f"{place(path)} has no value", "give it one, or remove the key"
    if "string" in types and written is not None:
        return message, f'write "{written}" in quotes'
    if isinstance(value, dict) and len(value) == 1 and RANGE.fullmatch(next(iter(value))):
        return message, f'a range stands in quotes: "{{{next(iter(value))}}}"'
    if path == ("hosts",) and isinstance(value, list):
        return message, "each host is a key: `pi-1: {address: 192.168.1.11}`"
    return message, example_of(path, "")


def explain_limit(path: Path, kind: str, details: dict[str, Tree]) -> tuple[str, str]:
    if kind in ("minLength", "minItems", "minProperties"):
        return f"{place(path)} is empty", example_of(path, "")
    if kind == "maxItems":
        return f"{place(path)} takes at most {details['limit']} items", example_of(path, "")
    if path and path[-1] == "port":
        return "this is not a port", "a port is a number from 1 to 65535"
    words = {"minimum": "at least", "maximum": "at most", "exclusiveMinimum": "more than"}
    return f"{place(path)} must be {words.get(kind, kind)} {details.get('limit', '')}".strip(), example_of(path, "")


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


def ordered(types: list[str]) -> list[str]:
    return [name for name in NOUNS if name in types]


def example_of(path: Path, key: str) -> str:
    """The schema's first example for a path, as a hint."""
    examples = schema_at(path).get("examples")
    if not examples:
        return ""
    text = examples[0] if isinstance(examples[0], str) else json.dumps(examples[0], ensure_ascii=False)
    return f"for example {key}: {text}" if key else f"for example {text}"


# --- suggestions ---------------------------------------------------------------------------------


def suggest_key(key: str, path: Path) -> str:
    """The key that was probably meant, the place where this key belongs, or the keys that may stand here."""
    known = list(schema_at(path).get("properties", ()))
    close = get_close_matches(key, known, 1, 0.7) or get_close_matches(key.lower(), known, 1, 0.7)
    if close:
        return f"did you mean `{close[0]}`?"
    if (ours := OTHER_NAMES.get(key)) in known:
        return f"did you mean `{ours}`?"
    word = OTHER_NAMES.get(key, key)
    if homes := [home for home in known if word in schema_at((*path, home)).get("properties", ())]:
        return f"`{word}` belongs under `{homes[0]}:`"
    if path and word in schema_at(()).get("properties", ()):
        return f"`{word}` belongs at the top level"
    return f"known here: {', '.join(known)}" if known else ""


def suggest_value(value: Tree, options: list[str]) -> str:
    text = str(value)
    close = get_close_matches(text.lower(), options, 1, 0.7)
    meant = OTHER_VALUES.get(text.lower(), close[0] if close else None)
    choices = f"choose one of {', '.join(options)}" if len(options) > 1 else f"write {options[0]}"
    return f"did you mean `{meant}`? {choices}" if meant in options else choices


# --- the schema as a tree ------------------------------------------------------------------------


def schema_at(path: Path) -> dict[str, Tree]:
    """The part of the schema that speaks of a path; empty where it says nothing."""
    node = follow(schema())
    for key in path:
        inner = node.get("items") if isinstance(key, int) else node.get("properties", {}).get(key)
        inner = node.get("additionalProperties") if inner is None else inner
        node = follow(inner) if isinstance(inner, dict) else {}
    return node


def follow(node: dict[str, Tree]) -> dict[str, Tree]:
    """The node with what its $ref points at; its own words win."""
    if "$ref" not in node:
        return node
    target = follow(schema()["$defs"][node["$ref"].rsplit("/", 1)[-1]])
    return {**target, **node}


def value_at(value: Tree, path: Path) -> Tree:
    for key in path:
        value = value[key]
    return value


def prune(value: Tree, path: Path, problems: Problems) -> Tree:
    """The value without what is known to be wrong; a wrong item of a list becomes None."""
    if not any(broken[: len(path)] == path for broken in problems.broken):
        return value
    return pruned(value, path, problems.broken)


def pruned(value: Tree, path: Path, broken: set[Path]) -> Tree:
    if isinstance(value, dict):
        items = ((key, (*path, key), inner) for key, inner in value.items())
        return {key: pruned(inner, at, broken) for key, at, inner in items if at not in broken}
    if isinstance(value, list):
        places = [(*path, index) for index in range(len(value))]
        return [None if at in broken else pruned(inner, at, broken) for at, inner in zip(places, value, strict=True)]
    return value


def texts(value: Tree, path: Path) -> Iterator[tuple[Path, str]]:
    """The texts of a field that takes one or a list of them, each with its path."""
    if isinstance(value, str):
        yield path, value
    for index, item in enumerate(value if isinstance(value, list) else ()):
        if isinstance(item, str):
            yield (*path, index), item
