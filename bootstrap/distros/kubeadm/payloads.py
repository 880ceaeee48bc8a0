"""Checks what goes to hosts as it is: patches, TOML for containerd, registries, kept authorities. Pure."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from bootstrap.distros.kubeadm.layout import CONTROL_TARGETS, KUBELET_PATCH, PATCHES
from bootstrap.distros.kubeadm.packages import SERIES
from bootstrap.distros.kubeadm.versions import GRAMMAR
from bootstrap.driver import NativeProblem
from bootstrap.model import Inventory
from bootstrap.references import PATTERN
from bootstrap.sections import Section, has_reference, suggest_field
from bootstrap.yaml_text import find_problem

# kubernetes: cmd/kubeadm/app/util/patches, whose rule for names this is; it passes over a file of another name.
TARGETS = (*CONTROL_TARGETS, "kubeletconfiguration")
PATCH_NAME = re.compile(rf"({'|'.join(TARGETS)})([^.+\n]*)(?:\+(strategic|merge|json))?\.(json|yaml)")
# Tables of containerd's configuration that the template writes.
OWN_TABLES = (
    "cni",
    "containerd.runtimes.runc",
    "containerd.runtimes.runc.options",
    "pinned_images",
    "registry",
)
OWN_PLUGINS = ("io.containerd.grpc.v1.cri", "io.containerd.cri.v1.runtime", "io.containerd.cri.v1.images")
PKI_FILES = (
    "ca.crt",
    "ca.key",
    "etcd/ca.crt",
    "etcd/ca.key",
    "front-proxy-ca.crt",
    "front-proxy-ca.key",
    "sa.key",
    "sa.pub",
)
REGISTRY_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?|_default")


# --- patches -------------------------------------------------------------------------------------


def check_patches(inventory: Inventory, section: Section) -> Iterator[NativeProblem]:
    """Problems of one `patches` section."""
    for name in section.values:
        found = _check_patch_name(name) or _check_patch_host(section, name) or _check_patch(_find(inventory, name))
        if found:
            yield NativeProblem((*section.path, name), *found)


def _check_patch_name(name: str) -> tuple[str, str] | None:
    if f"{PATCHES}/{name}" == KUBELET_PATCH:
        return f"{name} is written by bootstrap, from `kubelet`", "write its fields under `kubelet` of this layer"
    if PATCH_NAME.fullmatch(name):
        return None
    form = "kubeadm wants TARGET[suffix][+strategic|+merge|+json].yaml"
    target = next((target for target in TARGETS if name.startswith(target)), None)
    if target is None:
        likely = suggest_field(re.split(r"[.+0-9]", name)[0], TARGETS)
        return f"`{name}` patches nothing: {form}", likely or f"TARGET is one of {', '.join(TARGETS)}"
    if name.endswith(".yml"):
        return f"`{name}` would be passed over: {form}", f"write `{name.removesuffix('.yml')}.yaml`"
    return f"`{name}` is no name of a patch: {form}", f"such as `{target}0+strategic.yaml`"


def _check_patch_host(section: Section, name: str) -> tuple[str, str] | None:
    hosts = section.layer.hosts
    if name.startswith(CONTROL_TARGETS) and hosts and not any(host.role.controls for host in hosts):
        return f"`{name}` has no effect here: {section.layer} is for workers only", "move it to a layer of controllers"
    return None


def _find(inventory: Inventory, name: str) -> object:
    """The patch's text, which the document may only name by a file."""
    texts = ((host.native.get("patches") or {}).get(name) for host in inventory.hosts)
    return next((text for text in texts if text is not None), None)


def _check_patch(text: object) -> tuple[str, str] | None:
    if text is None:
        return None
    if not isinstance(text, str):
        return "a patch must be text, so that it stays as it is byte for byte", "write `|` behind the colon"
    if not text.strip():
        return "the patch is empty", "leave it out"
    return None if has_reference(text) else _check_yaml(text)


def _check_yaml(text: str) -> tuple[str, str] | None:
    problem = find_problem(text)
    return (f"the patch is no YAML: {problem}", "") if problem else None


# --- containerd ----------------------------------------------------------------------------------


def check_toml(section: Section) -> Iterator[NativeProblem]:
    """Problems of one `containerd` section: it is appended, so it must be TOML with tables of its own."""
    text = section.value
    if not isinstance(text, str) or has_reference(text):
        return
    found = _check_toml(text)
    if found:
        yield NativeProblem(section.path, *found)


def _check_toml(text: str) -> tuple[str, str] | None:
    import tomllib

    first = next((line.strip() for line in text.splitlines() if line.strip() and line.strip()[0] != "#"), "")
    if not first.startswith("["):
        return "the TOML must begin with a table: it is appended", "put a line such as [debug] before it"
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return f"this is no TOML: {error}", "containerd would not start"
    taken = _find_taken(tables)
    if taken:
        return f"the table `{taken}` is written by bootstrap, and TOML has each table once", (
            "keep settings of your own in tables of their own; registries stand under `registries`"
        )
    return None


def _find_taken(tables: Mapping[str, Any]) -> str:
    for plugin in OWN_PLUGINS:
        values = (tables.get("plugins") or {}).get(plugin)
        if values is None:
            continue
        if any(not isinstance(value, Mapping) for value in values.values()):
            return f'plugins."{plugin}"'
        for table in OWN_TABLES:
            if _has_settings(values, table.split(".")):
                return f'plugins."{plugin}".{table}'
    return ""


def _has_settings(values: Mapping[str, Any], path: list[str]) -> bool:
    """Whether the table stands there with settings, not only as a name on the way to a deeper one."""
    found: Any = values
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return isinstance(found, Mapping) and (not found or any(not isinstance(each, Mapping) for each in found.values()))


# --- registries ----------------------------------------------------------------------------------


def check_registries(section: Section) -> Iterator[NativeProblem]:
    """Problems of one `registries` section."""
    for name, entry in section.values.items():
        path = (*section.path, name)
        if not REGISTRY_NAME.fullmatch(name):
            bare = (name.partition("://")[2] or name).partition("/")[0]
            yield NativeProblem(path, "a registry is named by host and port alone", f"write `{bare}`")
        if not isinstance(entry, Mapping):
            continue
        urls: list[tuple[tuple[str | int, ...], Any]] = [(("server",), entry["server"])] if "server" in entry else []
        mirrors = entry.get("mirrors")
        urls += [(("mirrors", index), url) for index, url in enumerate(mirrors if isinstance(mirrors, list) else ())]
        for place, url in urls:
            if isinstance(url, str) and not re.match(r"https?://[^/\s]+", url) and not has_reference(url):
                yield NativeProblem((*path, *place), f"`{url}` is no URL", f"did you mean `https://{url}`?")


# --- authorities ---------------------------------------------------------------------------------


def check_pki(section: Section) -> Iterator[NativeProblem]:
    """Problems of the `pki` section: all 8 files, each one whole reference."""
    missing = [name for name in PKI_FILES if name not in section.values]
    if missing:
        message = (
            f"`pki` has {len(PKI_FILES) - len(missing)} of its {len(PKI_FILES)} files: {', '.join(missing)} missing"
        )
        yield NativeProblem(section.path, message, "give all of them, or none: kubeadm then makes them")
    for name, value in section.values.items():
        match = PATTERN.fullmatch(value) if isinstance(value, str) else None
        if isinstance(value, str) and (match is None or match[1]):
            message = f"`{name}` stands here in clear, and what is in git is public"
            yield NativeProblem(
                (*section.path, name), message, "give a whole reference: ${secret:KEY}, ${file:PATH}, ${env:NAME}"
            )


# --- packages ------------------------------------------------------------------------------------


def check_repository(inventory: Inventory, section: Section) -> Iterator[NativeProblem]:
    """Problems of the `repository` section: each minor has a repository of its own at pkgs.k8s.io."""
    url = section.values.get("url")
    if inventory.native.get("programs") != "packages":
        message = "`repository` is for programs from packages, and the inventory takes them from the release"
        yield NativeProblem(section.path, message, "write `programs: packages` beside it")
    if not isinstance(url, str) or has_reference(url):
        return
    if not re.match(r"(https?://[^/\s]+|file:/)\S*", url):
        yield NativeProblem((*section.path, "url"), f"`{url}` is no URL", f"did you mean `https://{url}`?")
    minor = SERIES.search(url)
    if minor and GRAMMAR.fullmatch(inventory.version) and not inventory.version.startswith(f"v{minor[1]}."):
        message = f"this repository has packages of v{minor[1]}, and the cluster is {inventory.version}"
        wanted = inventory.version.rpartition(".")[0]
        hint = f"did you mean `{url.replace(f'v{minor[1]}', wanted)}`?"
        yield NativeProblem((*section.path, "url"), message, hint)
