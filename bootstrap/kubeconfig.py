"""Kubeconfig files: read, renamed after the cluster, merged. Pure but for `write_private`, which stores the result."""

import base64
import binascii
import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from bootstrap.errors import BootstrapError

_LISTS = {"clusters": "cluster", "users": "user", "contexts": "context"}


class KubeconfigError(BootstrapError):
    """A kubeconfig can't be read, or asks for what we don't do."""


@dataclass(frozen=True)
class Credentials:
    """All that a connection to the API needs, out of the current context. `*_pem` are PEM text."""

    server: str
    ca_pem: str = field(repr=False)
    certificate_pem: str = field(default="", repr=False)
    key_pem: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    tls_server_name: str | None = None


class _Loader(yaml.CSafeLoader):
    """Dates stay text: a kubeconfig is JSON in YAML's clothes and knows no dates."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


def read_credentials(text: str) -> Credentials:
    """Server, trust and identity of the current context (or of the only one).

    Raises KubeconfigError when the API's certificate could not be verified with it, or when the identity
    is a plugin or a file elsewhere: only what stands in the text itself is used.
    """
    document = _load(text, "the kubeconfig")
    context = _current_context(document)
    cluster = _named(document, "clusters", str(context.get("cluster")))
    user = _named(document, "users", str(context.get("user")))
    if cluster.get("insecure-skip-tls-verify"):
        raise KubeconfigError("the kubeconfig switches off the verification of the API's certificate")
    credentials = Credentials(
        server=str(cluster.get("server") or ""),
        ca_pem=_decode(cluster, "certificate-authority-data"),
        certificate_pem=_decode(user, "client-certificate-data"),
        key_pem=_decode(user, "client-key-data"),
        token=str(user.get("token") or ""),
        tls_server_name=cluster.get("tls-server-name"),
    )
    _refuse_incomplete(credentials)
    return credentials


def rename_kubeconfig(text: str, cluster: str, server: str) -> str:
    """The current context alone, named after the cluster, its server replaced; other settings are kept.

    Context and cluster are named `cluster`, the user `<cluster>-admin`: merged with other clusters' files,
    no two meet at `default`, the name that k3s gives to everything.
    """
    document = _load(text, "the kubeconfig")
    context = _current_context(document)
    admin = f"{cluster}-admin"
    target = {**_named(document, "clusters", str(context.get("cluster"))), "server": server}
    identity = _named(document, "users", str(context.get("user")))
    renamed = {
        **document,
        "clusters": [{"name": cluster, "cluster": target}],
        "users": [{"name": admin, "user": identity}],
        "contexts": [{"name": cluster, "context": {**context, "cluster": cluster, "user": admin}}],
        "current-context": cluster,
    }
    return _dump(renamed)


def merge_kubeconfigs(existing: str, new: str) -> str:
    """`existing` with the entries of `new` in it: those of the same names are replaced, all others stay.

    The current context becomes that of `new`. An empty `existing` counts as no file.
    """
    added = _load(new, "the new kubeconfig")
    if not existing.strip():
        return _dump(added)
    merged = dict(_load(existing, "the existing kubeconfig"))
    for key in _LISTS:
        merged[key] = _merge_entries(_entries(merged, key), _entries(added, key))
    merged["current-context"] = added.get("current-context")
    return _dump({**added, **merged})


def write_private(path: Path, text: str) -> Path | None:
    """Store `text` as 0600, atomically; what lay there before goes to `<name>.bak-<n>`, whose path is returned.

    A link is followed, so that the file behind it changes and not the link. The same text is not written again.
    Folders that are missing are made 0700. Raises KubeconfigError when the disk refuses.
    """
    try:
        return _store(Path(os.path.realpath(path.expanduser())), text)
    except OSError as error:
        raise KubeconfigError("can't write the kubeconfig", where=str(path), why=str(error)) from error


def _store(path: Path, text: str) -> Path | None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    content = text.encode()
    old = path.read_bytes() if path.exists() else None
    if old == content:
        path.chmod(0o600)
        return None
    backup = None if old is None else _back_up(path, old)
    with _temporary(path) as (descriptor, temporary):
        os.write(descriptor, content)
        os.fsync(descriptor)
        temporary.replace(path)
    return backup


def _back_up(path: Path, content: bytes) -> Path:
    number = 1
    while True:
        backup = path.with_name(f"{path.name}.bak-{number}")
        try:
            descriptor = os.open(backup, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            number += 1
            continue
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        return backup


@contextlib.contextmanager
def _temporary(path: Path) -> Iterator[tuple[int, Path]]:
    """A 0600 file beside `path`, gone at the end unless renamed."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        yield descriptor, Path(name)
    finally:
        os.close(descriptor)
        Path(name).unlink(missing_ok=True)


def _load(text: str, label: str) -> Mapping[str, Any]:
    try:
        document = yaml.load(text, Loader=_Loader)  # noqa: S506  (a safe loader without dates)
    except yaml.YAMLError as error:
        raise KubeconfigError(f"{label} is not YAML", why=" ".join(str(error).split())) from error
    if not isinstance(document, dict):
        raise KubeconfigError(f"{label} is no kubeconfig", why="it is not a mapping")
    return document


def _dump(document: Mapping[str, Any]) -> str:
    ordered = {"apiVersion": "v1", "kind": "Config", **document}
    return yaml.safe_dump(ordered, sort_keys=False, allow_unicode=True, width=1_000_000)


def _entries(document: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    entries = document.get(key) or []
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise KubeconfigError("the file is no kubeconfig", why=f"`{key}` is not a list of mappings")
    return entries


def _merge_entries(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> list[dict[str, Any]]:
    replaced = {entry.get("name"): entry for entry in new}
    kept = [replaced.pop(entry.get("name"), entry) for entry in old]
    return kept + [entry for entry in new if entry.get("name") in replaced]


def _current_context(document: Mapping[str, Any]) -> dict[str, Any]:
    contexts = _entries(document, "contexts")
    name = document.get("current-context") or (contexts[0].get("name") if len(contexts) == 1 else None)
    if name is None:
        raise KubeconfigError("the kubeconfig has no current context")
    return _named(document, "contexts", str(name))


def _named(document: Mapping[str, Any], key: str, name: str) -> dict[str, Any]:
    found = next((entry.get(_LISTS[key]) for entry in _entries(document, key) if entry.get("name") == name), None)
    if not isinstance(found, dict):
        raise KubeconfigError("the kubeconfig is incomplete", why=f"`{key}` has no entry `{name}`")
    return found


def _decode(entry: Mapping[str, Any], key: str) -> str:
    try:
        return base64.b64decode(str(entry.get(key) or ""), validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise KubeconfigError("the kubeconfig is damaged", why=f"`{key}` is not base64 of PEM text") from error


def _refuse_incomplete(credentials: Credentials) -> None:
    if not credentials.server.startswith("https://"):
        raise KubeconfigError("the kubeconfig's `server` must be https://...", why=f"it is `{credentials.server}`")
    if not credentials.ca_pem:
        raise KubeconfigError("the kubeconfig has no `certificate-authority-data` to verify the API with")
    if not credentials.token and not (credentials.certificate_pem and credentials.key_pem):
        raise KubeconfigError(
            "the kubeconfig holds no identity that can be used",
            why="neither `client-certificate-data` with `client-key-data` nor `token`; plugins and files are not used",
        )
