"""Checks registries.yaml and the manifests that k3s applies. Pure."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from bootstrap.driver import NativeProblem
from bootstrap.model import Inventory
from bootstrap.sections import Path, Section, has_reference, suggest
from bootstrap.yaml_text import find_problem

# docs.k3s.io/installation/private-registry, and the structures of rancher/wharfie v0.7 that k3s reads the file into.
AUTH = {"username": str, "password": str, "auth": str, "identity_token": str}
TLS = {"cert_file": str, "key_file": str, "ca_file": str, "insecure_skip_verify": bool}
SECRETS = ("password", "auth", "identity_token")
# Files that k3s writes anew at each start, and skips when they are disabled.
PACKAGED = ("ccm", "coredns", "local-storage", "rolebindings", "runtimes", "traefik", "metrics-server")
MANIFEST_NAME = re.compile(r"([a-z0-9]([a-z0-9.-]*[a-z0-9])?)\.(yaml|yml|json)")


def check_registries(section: Section) -> Iterator[NativeProblem]:
    """Problems of one `registries` section."""
    for name, value in section.values.items():
        path = (*section.path, name)
        if name not in ("mirrors", "configs"):
            hint = "write it under `configs`" if name == "auths" else suggest(name, ("mirrors", "configs"))
            yield NativeProblem(path, f"`{name}` is no part of registries.yaml", hint)
        elif not isinstance(value, Mapping):
            yield NativeProblem(path, f"`{name}` must be a mapping of registries", "")
        else:
            check = _check_mirror if name == "mirrors" else _check_config
            for registry, entry in value.items():
                yield from check((*path, registry), registry, entry if entry is not None else {})


def _check_mirror(path: Path, registry: str, entry: object) -> Iterator[NativeProblem]:
    if not isinstance(entry, Mapping):
        yield NativeProblem(
            path, f"the mirror of {registry} must be a mapping", "write `endpoint:` with a list of URLs"
        )
        return
    yield from _check_names(path, entry, ("endpoint", "rewrite"))
    endpoints = entry.get("endpoint") or []
    if not isinstance(endpoints, list):
        yield NativeProblem(
            (*path, "endpoint"), "`endpoint` must be a list of URLs", f"write `- {_add_scheme(endpoints)}`"
        )
        return
    for index, endpoint in enumerate(endpoints):
        if not re.match(r"https?://[^/\s]+", str(endpoint)) and not has_reference(endpoint):
            yield NativeProblem(
                (*path, "endpoint", index), f"`{endpoint}` is no URL", f"did you mean `{_add_scheme(endpoint)}`?"
            )
    if not isinstance(entry.get("rewrite") or {}, Mapping):
        yield NativeProblem((*path, "rewrite"), "`rewrite` must be a mapping of patterns", "")


def _add_scheme(endpoint: object) -> str:
    return f"{endpoint}" if "://" in str(endpoint) else f"https://{endpoint}"


def _check_config(path: Path, registry: str, entry: object) -> Iterator[NativeProblem]:
    if "://" in registry or "/" in registry:
        bare = registry.partition("://")[2] or registry
        yield NativeProblem(
            path, "a registry's config is named by host and port alone", f"write `{bare.partition('/')[0]}`"
        )
    if not isinstance(entry, Mapping):
        yield NativeProblem(path, f"the config of {registry} must be a mapping", "write `auth:` and `tls:` in it")
        return
    yield from _check_names(path, entry, ("auth", "tls"))
    for name, forms in (("auth", AUTH), ("tls", TLS)):
        values = entry.get(name) or {}
        if isinstance(values, Mapping):
            yield from _check_names((*path, name), values, tuple(forms))
            yield from _check_values((*path, name), values, forms)
        else:
            yield NativeProblem((*path, name), f"`{name}` must be a mapping", "")


def _check_names(path: Path, values: Mapping[str, Any], known: tuple[str, ...]) -> Iterator[NativeProblem]:
    for name in values:
        if name not in known:
            hint = suggest(name, known) or f"one of {', '.join(known)}"
            yield NativeProblem((*path, name), f"`{name}` is no key here", hint)


def _check_values(path: Path, values: Mapping[str, Any], forms: Mapping[str, type]) -> Iterator[NativeProblem]:
    for name, value in values.items():
        if name not in forms or has_reference(value):
            continue
        if name in SECRETS and value:
            message = f"`{name}` holds a secret in clear, and what is in git is public"
            yield NativeProblem((*path, name), message, "write a reference: ${env:NAME}, ${secret:KEY}")
        elif not isinstance(value, forms[name]):
            form = "true or false" if forms[name] is bool else "text"
            yield NativeProblem((*path, name), f"`{name}` must be {form}", "")


def check_manifests(inventory: Inventory, section: Section) -> Iterator[NativeProblem]:
    """Problems of one `manifests` section."""
    if not section.layer.is_cluster:
        message = "manifests must be the same on all servers, else they overwrite each other's objects for ever"
        yield NativeProblem(section.path, message, f"move them from {section.layer} to `{inventory.distro}.manifests`")
        return
    for name in section.values:
        found = _check_manifest_name(name) or _check_manifest(_manifest_text(inventory, name))
        if found:
            yield NativeProblem((*section.path, name), *found)


def _manifest_text(inventory: Inventory, name: str) -> object:
    """The manifest's text, which the document may only name by a file."""
    texts = ((host.native.get("manifests") or {}).get(name) for host in inventory.controllers)
    return next((text for text in texts if text is not None), None)


def _check_manifest_name(name: str) -> tuple[str, str] | None:
    match = MANIFEST_NAME.fullmatch(name)
    if match is None:
        hint = f"write `{_repair(name)}`"
        return (
            f"`{name}` is no file name that k3s applies: lower-case letters, digits, `-` and `.`, ending in .yaml",
            hint,
        )
    if match[1] in PACKAGED:
        hint = "take another name; a HelmChartConfig tunes a packaged chart"
        return f"k3s writes its own {name} at each start", hint
    return None


def _repair(name: str) -> str:
    stem = re.sub(r"\.(yaml|yml|json)$", "", name.lower())
    return re.sub(r"[^a-z0-9.-]+", "-", stem).strip("-.") + ".yaml"


def _check_manifest(text: object) -> tuple[str, str] | None:
    if text is None:
        return None
    if not isinstance(text, str):
        return "a manifest must be text, so that it stays as it is byte for byte", "write `|` behind the colon"
    if not text.strip():
        return "the manifest is empty", "leave it out"
    return None if has_reference(text) else _check_yaml(text)


def _check_yaml(text: str) -> tuple[str, str] | None:
    problem = find_problem(text)
    return (f"the manifest is no YAML: {problem}", "k3s would only write this to its log") if problem else None
