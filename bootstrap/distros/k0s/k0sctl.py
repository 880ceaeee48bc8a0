"""The cluster as a k0sctl.yaml, for people who have k0sctl: bootstrap itself does not read it. Pure.

k0sctl is to find nothing to do in a cluster that bootstrap has made, so what it would add by itself is left to it.
"""

from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any

from bootstrap.distros.k0s import environment, layout
from bootstrap.distros.k0s.documents import (
    cluster_spec,
    document,
    given_flags,
    kubelet_arguments,
    needs_address,
    node_address,
    own_config,
)
from bootstrap.distros.k0s.layout import effective
from bootstrap.distros.k0s.placed import placed_files
from bootstrap.facts import bracket
from bootstrap.model import Escalation, Hook, Host, Inventory, Jump, PlacedFile, Role
from bootstrap.sections import has_reference
from bootstrap.shell import join

Fields = dict[str, Any]
# Point of a hook -> action and stage of k0sctl's. The other points have no like there.
POINTS = {
    "after-connect": ("connect", "after"),
    "before-apply": ("apply", "before"),
    "after-apply": ("apply", "after"),
    "before-founder": ("install", "before"),
    "before-join": ("install", "before"),
    "after-founder": ("install", "after"),
    "after-join": ("install", "after"),
}


def k0sctl_variables(inventory: Inventory) -> Fields:
    """What the template writes: one mapping for each host with remarks above it, and spec.k0s."""
    config, left_out = config_fields(inventory)
    k0s: Fields = {"version": inventory.version}
    if layout.is_dynamic(inventory):
        k0s["dynamicConfig"] = True
    k0s["config"] = document(config)
    return {
        "cluster": inventory.cluster,
        "hosts": [
            {
                "fields": _double(host_fields(inventory, host)),
                "remarks": _double(list(host_remarks(inventory, host))),
            }
            for host in inventory.hosts
        ],
        "k0s": _double(k0s),
        "remarks": _double(list(config_remarks(inventory, left_out))),
    }


def _double(value: Any) -> Any:  # noqa: ANN401
    """k0sctl replaces `$NAME` in the whole text by what its environment holds, before it reads YAML."""
    if isinstance(value, str):
        return value.replace("$", "$$")
    if isinstance(value, Mapping):
        return {_double(name): _double(each) for name, each in value.items()}
    return [_double(each) for each in value] if isinstance(value, list | tuple) else value


# --- hosts ---------------------------------------------------------------------------------------


def host_fields(inventory: Inventory, host: Host) -> Fields:
    """One entry of spec.hosts, in the order in which people write them."""
    fields: Fields = {"role": host.role.value, "hostname": host.name, **_connection(inventory, host)}
    fields |= _address(host)
    for section in ("dataDir", "kubeletRootDir"):
        if value := effective(host, section):
            fields[section] = str(value).rstrip("/")
    if host.os:
        fields["os"] = host.os
    if binary := effective(host, "k0sBinaryPath"):
        fields["k0sBinaryPath"] = f"../../{binary}"
    if host.role is Role.CONTROLLER_WORKER and effective(host, "noTaints") is True:
        fields["noTaints"] = True
    if flags := _flags(inventory, host):
        fields["installFlags"] = flags
    if plain := environment.variables(host):
        fields["environment"] = plain
    if files := list(_files(host)):
        fields["files"] = files
    if hooks := _hooks(inventory, host):
        fields["hooks"] = hooks
    return fields


def _connection(inventory: Inventory, host: Host) -> Fields:
    """`ssh` where the inventory says who logs in; else `openSSH`, which asks ~/.ssh/config as bootstrap does."""
    connection = host.connection
    fields: Fields = {"address": connection.address}
    if connection.user:
        fields["user"] = connection.user
    if connection.port:
        fields["port"] = connection.port
    if connection.identity_files:
        fields["keyPath"] = _key_path(inventory, connection.identity_files[0])
    if not connection.user:
        if connection.jumps:
            fields["options"] = {"ProxyJump": ",".join(_format_hop(hop) for hop in connection.jumps)}
        return {"openSSH": fields}
    if connection.jumps:
        fields["bastion"] = _bastion(inventory, connection.jumps)
    return {"ssh": fields}


def _format_hop(hop: Jump) -> str:
    user = f"{hop.user}@" if hop.user else ""
    return f"{user}{bracket(hop.address)}:{hop.port}"


def _bastion(inventory: Inventory, jumps: tuple[Jump, ...]) -> Fields:
    """k0sctl names the hop next to the host first, and each hop its own way."""
    *before, last = jumps
    fields: Fields = {"address": last.address}
    if last.user:
        fields["user"] = last.user
    fields["port"] = last.port
    if last.identity_files:
        fields["keyPath"] = _key_path(inventory, last.identity_files[0])
    if before:
        fields["bastion"] = _bastion(inventory, tuple(before))
    return fields


def _key_path(inventory: Inventory, key: str) -> str:
    """Relative to the repository where the key lies in it: nobody else's paths belong into git."""
    folder = PurePath(inventory.file).parent
    root = folder.parent if folder.name == "inventories" else folder
    path = PurePath(key)
    return str(path.relative_to(root)) if path.is_relative_to(root) else key


def _address(host: Host) -> Fields:
    if address := node_address(host):
        return {"privateAddress": address}
    return {"privateInterface": host.node_interface} if host.node_interface else {}


def _flags(inventory: Inventory, host: Host) -> list[str]:
    """What k0sctl does not add by itself. It gives a worker one address and its name, and a single node neither."""
    flags = given_flags(inventory, host)
    if host.role is Role.SINGLE or len(host.node_addresses) > 1:
        flags = [flag for flag in flags if not flag.startswith("--kubelet-extra-args=")]
        if arguments := kubelet_arguments(host):
            flags.append(f"--kubelet-extra-args={' '.join(arguments)}")
    return flags


def _files(host: Host) -> Iterator[Fields]:
    """Files lie beside k0sctl.yaml as they were rendered; those with references are not for k0sctl."""
    for file in _all_files(host):
        if not has_reference(file.content):
            user, _, group = file.owner.partition(":")
            place = f"{host.name}{file.path}"
            yield {"src": place, "dst": file.path, "perm": file.mode, "user": user, "group": group or user}
    if host.role.takes_work:
        for archive in image_archives(host):
            yield {"src": f"../../{archive}", "dstDir": layout.images_folder(host), "perm": "0644"}


def _all_files(host: Host) -> list[PlacedFile]:
    stacks = effective(host, "manifests", {}) if host.role.controls else {}
    folder = layout.manifests_folder(host)
    texts = stacks.items() if isinstance(stacks, Mapping) else ()
    return [*placed_files(host), *(PlacedFile(f"{folder}/{name}", str(text)) for name, text in texts)]


def image_archives(host: Host) -> tuple[str, ...]:
    """`k0s.images` as paths in the repository."""
    given = effective(host, "images", ())
    return (given,) if isinstance(given, str) else tuple(given)


def _hooks(inventory: Inventory, host: Host) -> Fields:
    fields: Fields = {}
    for hook in _hooks_of(inventory, host):
        if hook.point in POINTS and not has_reference(hook.script):
            action, stage = POINTS[hook.point]
            fields.setdefault(action, {}).setdefault(stage, []).append(_hook_command(host, hook))
    return fields


def _hooks_of(inventory: Inventory, host: Host) -> Iterator[Hook]:
    """Those that may run there; before the founder runs what is meant for the first controller."""
    first = inventory.controllers[0] if inventory.controllers else host
    for hook in inventory.hooks:
        if hook.hosts and host.name not in hook.hosts:
            continue
        founder = hook.point.endswith("-founder")
        if founder != (host == first) and (founder or hook.point.endswith("-join")):
            continue
        if not hook.once or host.name == (hook.hosts[0] if hook.hosts else first.name):
            yield hook


def _hook_command(host: Host, hook: Hook) -> str:
    """k0sctl runs a hook as who logs in; bootstrap runs it as root."""
    root = host.connection.user == "root" or host.connection.escalation is Escalation.NONE
    become = [] if root else ["doas" if host.connection.escalation is Escalation.DOAS else "sudo"]
    return join([*become, "sh", "-c", hook.script.rstrip("\n")])


def host_remarks(inventory: Inventory, host: Host) -> Iterator[str]:
    """What a k0sctl.yaml can't say of a host, or must not."""
    if not node_address(host) and not host.node_interface:
        yield "privateAddress: known when the host is observed"
    if host.labels or host.annotations or host.taints:
        yield "labels, annotations and taints: set by bootstrap through the API, also later"
    for name, value in environment.secret_variables(host).items():
        yield f"environment.{name}: {value}"
    for file in _all_files(host):
        if has_reference(file.content):
            yield f"{file.path}: holds references, laid by bootstrap"
    if inventory.native.get("pki") and host.role.controls:
        yield f"{layout.pki_folder(host)}: the authorities that are kept, laid by bootstrap"
    if effective(host, "airgap") is True and host.role.takes_work:
        yield "the airgap bundle: laid by bootstrap"
    for hook in _hooks_of(inventory, host):
        if hook.point not in POINTS or has_reference(hook.script):
            yield f"hook {hook.name} ({hook.point}): run by bootstrap only"
    if _has_own_address(inventory, host):
        yield "api.address of this controller: k0sctl has one configuration for all; bootstrap gives each its own"


def _has_own_address(inventory: Inventory, host: Host) -> bool:
    if not host.role.controls or len(inventory.controllers) == 1:
        return False
    spec = own_config(inventory, host)
    return needs_address(spec, host) and (spec.get("api") or {}).get("onlyBindToAddress") is not True


# --- spec.k0s ------------------------------------------------------------------------------------


def config_fields(inventory: Inventory) -> tuple[Fields, list[str]]:
    """The `spec` of spec.k0s.config, and the paths of what was left out of it because it holds references."""
    spec = cluster_spec(inventory)
    names = [*inventory.sans, *([inventory.endpoint.host] if inventory.endpoint else [])]
    spec["api"] = {**spec["api"], "sans": list(dict.fromkeys(names))}
    controllers = inventory.controllers
    if len(controllers) == 1 and needs_address(spec, controllers[0]) and (address := node_address(controllers[0])):
        spec["api"] = {"address": address, **spec["api"]}
    left_out: list[str] = []
    kept = _without_references(spec, "spec", left_out)
    return {name: value for name, value in kept.items() if value not in ({}, [])}, left_out


def _without_references(value: Any, path: str, left_out: list[str]) -> Any:  # noqa: ANN401
    if isinstance(value, Mapping):
        kept = {}
        for name, each in value.items():
            if has_reference(each):
                left_out.append(f"{path}.{name}: {each}")
            elif each != [] or name != "sans":
                kept[name] = _without_references(each, f"{path}.{name}", left_out)
        return kept
    if isinstance(value, list):
        return [_without_references(each, f"{path}[{index}]", left_out) for index, each in enumerate(value)]
    return value


def config_remarks(inventory: Inventory, left_out: list[str]) -> Iterator[str]:
    if left_out:
        yield "Not here, for it holds references; bootstrap fills them on the way to a host:"
        yield from (f"  {line}" for line in left_out)
    for host in inventory.controllers:
        if config := _differences(inventory, host):
            yield f"{host.name} has {config} of its own: k0sctl has one configuration for all"


def _differences(inventory: Inventory, host: Host) -> str:
    shared = inventory.native.get("config") or {}
    own = own_config(inventory, host)
    return ", ".join(f"`{name}`" for name in own if own.get(name) != shared.get(name))
