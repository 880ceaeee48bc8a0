"""Checks the native keys of a k3s inventory: known, for the role, of the right form, at the right place. Pure."""

import re
from collections.abc import Iterator, Mapping

from bootstrap.distros.k3s.arguments import check_arguments
from bootstrap.distros.k3s.keys import REFUSED, SHORT_FORMS, Key, Kind, Scope, keys
from bootstrap.distros.k3s.layout import BINARY, CONFIG, INSTALLER, REGISTRIES, SCRIPT, effective
from bootstrap.distros.k3s.payloads import check_manifests, check_registries
from bootstrap.distros.k3s.tokens import check_token
from bootstrap.distros.k3s.versions import GRAMMAR, KEYS_OF, check_version, lacks_key, parse_version
from bootstrap.driver import NativeProblem
from bootstrap.model import Inventory, Role
from bootstrap.sections import (
    Path,
    Section,
    find_layers,
    find_sections,
    find_typed,
    has_reference,
    suggest,
)

KEY_SECTIONS = ("config", "server", "agent")
OURS = (CONFIG, REGISTRIES, SCRIPT, INSTALLER, BINARY)  # paths that this program writes itself
DURATION = re.compile(r"0|([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+")
LOGIN = re.compile(r"://[^/@\s:]*:[^@/\s]+@")  # user:password@ inside a datastore's address
WIREGUARD = "is gone from k3s: `wireguard-native` took its place"
GONE_BACKENDS = {"ipsec": WIREGUARD, "wireguard": WIREGUARD}
OWN_FLAGS = {  # parts that are turned off by a key of their own instead of `disable`
    name: f"disable-{name}"
    for name in ("network-policy", "helm-controller", "cloud-controller", "kube-proxy", "scheduler")
}


def check_native(inventory: Inventory) -> list[NativeProblem]:
    """Every mistake in the version, the native sections and the placed files, in the order of the document's layers."""
    problems = list(_check_version(inventory))
    for section in find_sections(inventory):
        if misses_its_hosts(section):
            problems.append(_wrong_hosts(section))
        elif section.name in KEY_SECTIONS:
            problems += _check_keys(inventory, section)
        elif section.name == "registries":
            problems += check_registries(section)
        elif section.name == "manifests":
            problems += check_manifests(inventory, section)
    return [*problems, *_check_datastore(inventory), *_check_files(inventory)]


def uses_external_datastore(inventory: Inventory) -> bool:
    """Whether the servers keep their data elsewhere: then two of them are as good as three."""
    return any(effective(host).get("datastore-endpoint") for host in inventory.controllers)


def _check_version(inventory: Inventory) -> Iterator[NativeProblem]:
    message, hint = check_version(inventory.version)
    if message:
        yield NativeProblem(("version",), message, hint)


def _wrong_hosts(section: Section) -> NativeProblem:
    kind, other = ("worker", "agent") if section.name == "server" else ("controller", "server")
    message = f"`{section.name}` keys have no effect here: {section.layer} is for {kind}s only"
    return NativeProblem(
        section.path, message, f"write them under `{other}`, or under `{section.name}` at the top level"
    )


def _check_keys(inventory: Inventory, section: Section) -> Iterator[NativeProblem]:
    for name, value in section.values.items():
        path = (*section.path, name)
        key = keys().get(name)
        found = _explain_unknown(name) if key is None else _check_key(inventory, section, key, value)
        if found:
            yield NativeProblem(path, *found)
        elif key is not None and name.endswith("-arg"):
            yield from check_arguments(inventory, section.layer, path, value)


def _explain_unknown(name: str) -> tuple[str, str]:
    if name in REFUSED:
        reason, advice = REFUSED[name]
        return f"`{name}` {reason}", advice
    if name in SHORT_FORMS:
        return f"`{name}` is a short form", f"write `{SHORT_FORMS[name]}`"
    if name.endswith("+") and name[:-1] in keys():
        return (
            f"`{name}` is for drop-in files: layers are merged here already",
            f"write `{name[:-1]}` with the whole list",
        )
    return f"`{name}` is no key of k3s {KEYS_OF[0]}.{KEYS_OF[1]}", _guess(name)


def _guess(name: str) -> str:
    """The nearest key, or the field of the inventory that stands for it."""
    from difflib import get_close_matches  # only a mistake pays for it

    bare = name.lstrip("-").replace("_", "-").lower()
    near = [bare] if bare in keys() else get_close_matches(bare, list(keys()), n=1, cutoff=0.7)
    if not near:
        return ""
    owner = keys()[near[0]].owner
    return f"did you mean `{owner or near[0]}`?" if owner not in ("hosts", "name") else f"did you mean `{near[0]}`?"


def _check_key(inventory: Inventory, section: Section, key: Key, value: object) -> tuple[str, str] | None:
    """The first thing that is wrong with a known key: its place before its value."""
    if key.owner:
        return _explain_owner(inventory, section, key)
    if section.name == "agent" and not key.agent:
        return f"`{key.name}` is a server key: an agent refuses to start with it", "write it under `server`"
    if section.name == "server" and not key.server:
        return f"`{key.name}` is an agent key: a server passes over it", "write it under `agent`"
    if GRAMMAR.fullmatch(inventory.version) and lacks_key(parse_version(inventory.version), key):
        releases = " or ".join(f"v{release}" for release in key.since)
        return f"`{key.name}` is not in k3s {inventory.version}", f"it came with {releases}"
    if key.is_shared and not section.layer.is_cluster:
        return _explain_shared(key, section)
    return _check_value(key, value)


def _explain_owner(inventory: Inventory, section: Section, key: Key) -> tuple[str, str]:
    if key.name == "server":
        return "`server` is written by bootstrap, from what it finds on the hosts", "leave it out"
    if key.owner == "name":
        return f"`{key.name}` is the host's name in the inventory", "rename the host instead: its key under `hosts`"
    if key.name == "agent-token-file":
        return "`agent-token-file` would hide the token from the hosts that join", "write `agent-token: ${file:PATH}`"
    if key.owner == "registries":
        return (
            f"`{key.name}` would point away from the rendered file",
            f"write the content under `{inventory.distro}.registries`",
        )
    message = f"`{key.name}` has a field of its own in the inventory: `{key.owner}`"
    typed = find_typed(inventory, key.owner, section.layer.hosts)
    if typed:
        return f"`{key.name}` is given twice, here and as {typed}", f"keep `{key.owner}`"
    example = " such as ${env:K3S_TOKEN}" if key.owner == "token" else ""
    return message, f"write it as `{key.owner}`{example}"


def _explain_shared(key: Key, section: Section) -> tuple[str, str]:
    if key.scope is Scope.CRITICAL:
        reason = "must be the same on all servers, and k3s compares only when one first joins"
    else:
        reason = "must be the same on all servers, and k3s does not compare it"
    return f"`{key.name}` {reason}", f"move it from {section.layer} to `k3s.server` at the top level"


# --- values --------------------------------------------------------------------------------------


def _check_value(key: Key, value: object) -> tuple[str, str] | None:
    if value is None:
        return f"`{key.name}` has no value", "leave the key out, or give it one"
    if _is_clear_secret(key, value):
        return (
            f"`{key.name}` holds a secret in clear, and what is in git is public",
            "write a reference: ${env:NAME}, ${secret:KEY}",
        )
    if has_reference(value):
        return None
    return CHECKS[key.kind](key, value) or _check_choices(key, value)


def _is_clear_secret(key: Key, value: object) -> bool:
    if not key.secret or has_reference(value):
        return False
    return key.name != "datastore-endpoint" or bool(LOGIN.search(str(value)))


def _check_text(key: Key, value: object) -> tuple[str, str] | None:
    if key.name == "write-kubeconfig-mode" and not (isinstance(value, str) and re.fullmatch(r"0?[0-7]{3}", value)):
        return (
            f"`{key.name}` must be a mode in quotes",
            'such as "0600"; without quotes YAML makes another number of it',
        )
    if not isinstance(value, str):
        return f"`{key.name}` must be text", f'write it in quotes: "{_plain(value)}"' if not isinstance(
            value, list | dict
        ) else ""
    return None


def _check_bool(key: Key, value: object) -> tuple[str, str] | None:
    if isinstance(value, bool) or value in ("true", "false"):
        return None
    return f"`{key.name}` must be true or false", ""


def _check_int(key: Key, value: object) -> tuple[str, str] | None:
    if (isinstance(value, int) and not isinstance(value, bool)) or (isinstance(value, str) and value.isdecimal()):
        return None
    return f"`{key.name}` must be a whole number", ""


def _check_duration(key: Key, value: object) -> tuple[str, str] | None:
    if isinstance(value, str) and DURATION.fullmatch(value):
        return None
    return f"`{key.name}` must be a duration", "such as 5m, 90s or 1h30m"


def _check_list(key: Key, value: object) -> tuple[str, str] | None:
    if isinstance(value, Mapping):
        example = next(((k, v) for k, v in value.items()), ("name", "value"))
        return f"`{key.name}` must be a list", f"write `- {example[0]}={_plain(example[1])}` for each"
    if isinstance(value, str) or (isinstance(value, list) and key.name.endswith("-arg")):
        return None  # items of arguments are told apart one by one
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        return f"`{key.name}` must be a list of texts", ""
    return None


def _check_choices(key: Key, value: object) -> tuple[str, str] | None:
    items = value if isinstance(value, list) else str(value).split(",") if key.kind is Kind.LIST else [value]
    for item in (str(item).strip() for item in items):
        if key.choices and item not in key.choices and not has_reference(item):
            return _explain_choice(key, item)
    return None


def _explain_choice(key: Key, item: str) -> tuple[str, str]:
    if key.name == "flannel-backend" and item.partition("=")[0] in GONE_BACKENDS:
        return f"flannel backend `{item}` {GONE_BACKENDS[item.partition('=')[0]]}", "write `wireguard-native`"
    if key.name == "disable" and item in OWN_FLAGS:
        return f"`{item}` is not turned off by `disable`", f"write `{OWN_FLAGS[item]}: true`"
    known = [choice for choice in key.choices if choice != "ccm"]  # accepted by k3s, but documented nowhere
    return f"`{item}` is no value of `{key.name}`", suggest(item, known) or f"one of {', '.join(known)}"


CHECKS = {
    Kind.TEXT: _check_text,
    Kind.BOOL: _check_bool,
    Kind.INT: _check_int,
    Kind.DURATION: _check_duration,
    Kind.LIST: _check_list,
}


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


# --- over several keys ---------------------------------------------------------------------------


def _check_datastore(inventory: Inventory) -> Iterator[NativeProblem]:
    if not uses_external_datastore(inventory):
        return
    for section in find_sections(inventory):
        if section.name in KEY_SECTIONS and section.values.get("cluster-init") is True:
            message = "`cluster-init` asks for etcd, but `datastore-endpoint` names another datastore"
            yield NativeProblem((*section.path, "cluster-init"), message, "keep one of the two")


def _check_files(inventory: Inventory) -> Iterator[NativeProblem]:
    for layer in find_layers(inventory):
        files = layer.values.get("files")
        for index, file in enumerate(files if isinstance(files, list) else []):
            place = str(file.get("path", "")) if isinstance(file, Mapping) else ""
            if place in OURS or place.startswith(f"{CONFIG}.d/"):
                path: Path = (*layer.path, "files", index, "path")
                hint = f"write its keys under `{inventory.distro}`, where they are checked" if "/etc/" in place else ""
                yield NativeProblem(path, f"{place} is written by bootstrap itself", hint)


__all__ = ["check_native", "check_token", "uses_external_datastore"]


def misses_its_hosts(section: Section) -> bool:
    """A section for the other kind of host, such as `server` on a worker."""
    if section.name not in ("server", "agent") or section.layer.is_cluster:
        return False
    roles = {host.role for host in section.layer.hosts}
    if section.layer.path[0] == "roles":
        roles = {Role(str(section.layer.path[1]))}
    return bool(roles) and not any(role.controls == (section.name == "server") for role in roles)
