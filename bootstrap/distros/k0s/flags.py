"""The flags of `k0s install`: which there are, who owns them, and what is wrong with those of an inventory. Pure."""

import re
import shlex
from collections.abc import Iterator, Mapping

from bootstrap.driver import NativeProblem
from bootstrap.forms import Found
from bootstrap.model import Host
from bootstrap.sections import Section, has_reference, suggest

# Source: k0s v1.36 pkg/config/cli.go and cmd/install. The value is "" for those that take true or false.
SHARED: Mapping[str, str] = {
    "cri-socket": "remote:/run/own.sock",
    "debug": "",
    "debugListenOn": ":6060",
    "enable-cloud-provider": "",
    "ignore-pre-flight-checks": "",
    "iptables-mode": "auto",
    "kubelet-extra-args": "--v=4",
    "logging": "etcd=debug",
    "status-socket": "/run/k0s/status.sock",
    "verbose": "",
}
OF_CONTROLLERS: Mapping[str, str] = {
    "api-server-stop-timeout": "30s",
    "disable-components": "metrics-server",
    "enable-k0s-cloud-provider": "",
    "enable-metrics-scraper": "",
    "feature-gates": "IPv6SingleStack=true",
    "k0s-cloud-provider-port": "10258",
    "k0s-cloud-provider-update-frequency": "2m",
    "kube-controller-manager-extra-args": "--v=4",
}
OF_KUBELETS = ("kubelet-extra-args", "cri-socket")  # no use where no kubelet runs
# Flags that the inventory has in its own words.
OWNERS: Mapping[str, str] = {
    "config": "`k0s.config`",
    "data-dir": "`k0s.dataDir`",
    "enable-dynamic-config": "`k0s.dynamicConfig: true`",
    "enable-worker": "`role: controller+worker`",
    "env": "`k0s.environment`",
    "kubelet-root-dir": "`k0s.kubeletRootDir`",
    "labels": "`labels`",
    "no-taints": "`k0s.noTaints: true`",
    "profile": "`k0s.profile`",
    "single": "`role: single`",
    "taints": "`taints`",
}
OURS: Mapping[str, str] = {
    "force": "bootstrap gives it when a unit is written again",
    "init-only": "a controller that does not run can't be waited for",
    "start": "bootstrap starts the service, and waits for it",
    "token-file": "bootstrap makes a token for each join",
}
# Arguments of the kubelet that the inventory has in its own words.
KUBELET_OWNERS: Mapping[str, str] = {
    "node-ip": "`node_address`",
    "hostname-override": "the host's name",
    "node-labels": "`labels`",
    "register-with-taints": "`taints`",
}
COMPONENTS = (
    "applier-manager",
    "autopilot",
    "control-api",
    "coredns",
    "csr-approver",
    "endpoint-reconciler",
    "helm",
    "konnectivity-server",
    "kube-controller-manager",
    "kube-proxy",
    "kube-scheduler",
    "metrics-server",
    "network-provider",
    "node-role",
    "system-rbac",
    "update-prober",
    "windows-node",
    "worker-config",
)
FORM = re.compile(r"--?([A-Za-z0-9][A-Za-z0-9-]*)(?:[= ](.*))?", re.DOTALL)
TRUTH = ("true", "false")


def normal_flag(text: str) -> str:
    """`--name=value` as k0s keeps it: an equals sign, no quotes around the value, and `true` written out.

    k0sctl compares letter by letter what k0s says of itself, so `--x` and `--x=true` would differ for ever.
    """
    match = FORM.fullmatch(text.strip())
    if match is None:
        return text
    name, value = match[1], match[2]
    if value is None:
        return f"--{name}=true"
    return f"--{name}={_unquoted(value)}"


def _unquoted(value: str) -> str:
    if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
        return value[1:-1]
    return value


def flag_value(flags: list[str] | tuple[str, ...], name: str) -> str | None:
    """The value of the last flag of that name, in normal form."""
    found = [flag for flag in flags if flag.startswith(f"--{name}=")]
    return found[-1].partition("=")[2] if found else None


def split_arguments(text: str) -> list[str]:
    """The arguments in a value such as that of --kubelet-extra-args."""
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


# --- what is wrong -------------------------------------------------------------------------------


def check_flags(section: Section) -> Iterator[NativeProblem]:
    """Problems of one list of flags."""
    flags = section.value if isinstance(section.value, list) else []
    seen: dict[str, int] = {}
    for index, flag in enumerate(flags):
        if not isinstance(flag, str):
            continue
        found = _check_flag(section, flag) or _check_twice(flag, seen, index)
        if found:
            yield NativeProblem((*section.path, index), *found)


def _check_twice(flag: str, seen: dict[str, int], index: int) -> Found | None:
    name = normal_flag(flag).partition("=")[0]
    first = seen.setdefault(name, index)
    if first == index:
        return None
    return f"`{name}` stands twice: k0s takes the last one", "keep one of them"


def _check_flag(section: Section, flag: str) -> Found | None:
    if has_reference(flag):
        return "a flag can't hold a reference: everybody on the host reads the unit", "k0s.environment can, or a file"
    match = FORM.fullmatch(flag.strip())
    if match is None:
        return f"`{flag}` is no flag", "write --name=value"
    name, value = match[1], match[2]
    return (
        _check_quotes(flag)
        or _check_owner(name)
        or _check_known(section, name)
        or _check_value(name, value)
        or _check_inner(name, value)
    )


def _check_quotes(flag: str) -> Found | None:
    try:
        shlex.split(flag)
    except ValueError:
        return f"the quotes of `{flag}` don't close", "each quote needs its other half"
    return None


def _check_owner(name: str) -> Found | None:
    if name in OWNERS:
        return f"`--{name}` has a key of its own", f"write {OWNERS[name]} instead"
    if name in OURS:
        return f"`--{name}` is not given here: {OURS[name]}", "leave it out"
    return None


def _check_known(section: Section, name: str) -> Found | None:
    if name in SHARED:
        return None
    hosts = section.layer.hosts
    if name in OF_CONTROLLERS:
        if section.layer.is_cluster or not hosts or any(host.role.controls for host in hosts):
            return None
        return f"`--{name}` is a flag of controllers, and {section.layer} is for workers", "move it to a controller"
    hint = suggest(name, {**SHARED, **OF_CONTROLLERS, **OWNERS})
    return f"`--{name}` is no flag of `k0s install`", hint.replace("`", "`--", 1) if hint else ""


def _check_value(name: str, value: str | None) -> Found | None:
    example = {**SHARED, **OF_CONTROLLERS}[name]
    if example and not value:
        return f"`--{name}` needs a value", f"such as --{name}={example}"
    if not example and value is not None and value not in TRUTH:
        return f"`--{name}` is true or false, not `{value}`", f"write --{name}=true"
    return None


def _check_inner(name: str, value: str | None) -> Found | None:
    text = _unquoted(value or "")
    if name == "disable-components":
        unknown = next((each for each in text.split(",") if each not in COMPONENTS), None)
        if unknown is not None:
            return f"`{unknown}` is no component of k0s", suggest(
                unknown, COMPONENTS
            ) or f"one of {', '.join(COMPONENTS)}"
    if name == "kubelet-extra-args":
        names = [argument.lstrip("-").partition("=")[0] for argument in split_arguments(text)]
        owned = next((each for each in names if each in KUBELET_OWNERS), None)
        if owned:
            return f"`--{owned}` of the kubelet has a place of its own", f"it is {KUBELET_OWNERS[owned]} here"
    if name == "iptables-mode" and text not in ("nft", "legacy", "auto"):
        return f"`{text}` is no mode of iptables", "one of nft, legacy, auto"
    return None


def own_flags(host: Host) -> list[str]:
    """The flags of an inventory that count on a host, in normal form: a worker has none of a controller's."""
    given = host.native.get("installFlags") or ()
    flags = [normal_flag(flag) for flag in given if isinstance(flag, str)]
    foreign = {*(() if host.role.controls else OF_CONTROLLERS), *(() if host.role.takes_work else OF_KUBELETS)}
    return [flag for flag in flags if flag[2:].partition("=")[0] not in foreign]
