"""Guesses what a person meant by a word that the schema does not know. Pure."""

from difflib import get_close_matches

from bootstrap.inventory.problems import Path, Tree
from bootstrap.inventory.schema import schema_at

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


def suggest_key(key: str, path: Path) -> str:
    """The key that was probably meant, the place where this key belongs, or the keys that may stand here."""
    known = list(schema_at(path).get("properties", ()))
    if (ours := OTHER_NAMES.get(key, "")) in known:
        return did_you_mean(ours)
    if close := get_close_matches(key, known, 1) or get_close_matches(key.lower(), known, 1):
        return did_you_mean(close[0])
    word = OTHER_NAMES.get(key, key)
    if homes := [home for home in known if word in schema_at((*path, home)).get("properties", ())]:
        return f"`{word}` belongs under `{homes[0]}:`"
    if path and word in schema_at(()).get("properties", ()):
        return f"`{word}` belongs at the top level"
    return f"known here: {', '.join(known)}" if known else ""


def did_you_mean(word: str) -> str:
    return f"did you mean `{word}`?"


def suggest_value(value: Tree, options: list[str]) -> str:
    text = str(value)
    close = get_close_matches(text.lower(), options, 1, 0.7)
    meant = OTHER_VALUES.get(text.lower(), close[0] if close else None)
    choices = f"choose one of {', '.join(options)}" if len(options) > 1 else f"write {options[0]}"
    return f"did you mean `{meant}`? {choices}" if meant in options else choices
