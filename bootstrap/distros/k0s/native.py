"""Checks the native keys of a k0s inventory: known, of the right form, at the right place. Pure."""

from collections.abc import Iterator, Mapping

from bootstrap.distros.k0s.balancing import check_balancing
from bootstrap.distros.k0s.cluster_checks import check_cluster
from bootstrap.distros.k0s.environment import NAME
from bootstrap.distros.k0s.fields import CLUSTER_SECTIONS
from bootstrap.distros.k0s.flags import check_flags
from bootstrap.distros.k0s.layout import ETCD_PKI_FILES, PKI_FILES, runs_etcd
from bootstrap.distros.k0s.placed import check_files, check_native_files
from bootstrap.distros.k0s.spec import check_spec
from bootstrap.distros.k0s.versions import check_version
from bootstrap.driver import NativeProblem
from bootstrap.model import Inventory, Role
from bootstrap.references import PATTERN
from bootstrap.sections import Section, find_sections, has_reference


def check_native(inventory: Inventory) -> list[NativeProblem]:
    """Every mistake in the version, the native sections and the placed files, in the order of the document's layers."""
    problems = [NativeProblem(("version",), *found)] if (found := check_version(inventory.version))[0] else []
    for section in find_sections(inventory):
        if section.name in CLUSTER_SECTIONS and not section.layer.is_cluster:
            message = f"`{section.name}` is the whole cluster's"
            hint = f"move it from {section.layer} to `k0s.{section.name}` at the top level"
            problems.append(NativeProblem(section.path, message, hint))
        else:
            problems += _check_section(inventory, section)
    return [*problems, *check_cluster(inventory), *check_balancing(inventory), *check_files(inventory)]


def check_token(token: str) -> str:  # noqa: ARG001 - part of what a driver answers
    """k0s makes its own tokens for each join."""
    return "k0s has no token of its own: bootstrap makes one for each join, and takes it back"


def _check_section(inventory: Inventory, section: Section) -> Iterator[NativeProblem]:
    if section.name == "config":
        yield from check_spec(inventory, section)
    elif section.name == "installFlags":
        yield from check_flags(section)
    elif section.name == "environment":
        yield from _check_environment(section)
    elif section.name == "files":
        yield from check_native_files(section)
    elif section.name == "pki":
        yield from _check_pki(inventory, section)
    elif section.name in ("dataDir", "kubeletRootDir"):
        yield from _check_folder(section)
    elif section.name == "noTaints":
        yield from _check_taints(section)
    elif section.name == "profile":
        yield from _check_profile(inventory, section)
    elif section.name in ("k0sBinaryPath", "images", "cosign"):
        yield from _check_paths(section)


def _check_environment(section: Section) -> Iterator[NativeProblem]:
    for name, value in section.values.items():
        if not NAME.fullmatch(name):
            hint = "letters, digits and underscores, no digit first"
            yield NativeProblem((*section.path, name), f"`{name}` is no name of a variable", hint)
        elif isinstance(value, str) and "\n" in value:
            message = f"the value of `{name}` has more than one line, and a unit can't hold that"
            yield NativeProblem((*section.path, name), message, "put it into a file, and its path here")
        elif has_reference(value) and "'" in value:
            message = f"the value of `{name}` has a reference and a single quote, and can't have both"
            yield NativeProblem((*section.path, name), message, "make the whole value one reference")
        elif isinstance(value, str) and _has_login(value):
            message = f"`{name}` holds a password in clear, and what is in git is public"
            yield NativeProblem((*section.path, name), message, "give a reference, such as ${secret:proxy}")


def _has_login(value: str) -> bool:
    """Whether `scheme://user:password@host` stands there."""
    return not has_reference(value) and ":" in value.partition("://")[2].rpartition("@")[0]


def _check_pki(inventory: Inventory, section: Section) -> Iterator[NativeProblem]:
    """All files of the identity or none, each one whole reference."""
    wanted = (*PKI_FILES, *(ETCD_PKI_FILES if runs_etcd(inventory) else ()))
    missing = [name for name in wanted if name not in section.values]
    if missing:
        message = f"`pki` lacks {', '.join(missing)}"
        yield NativeProblem(section.path, message, "give all of them, or none: k0s then makes them")
    for name, value in section.values.items():
        path = (*section.path, name)
        match = PATTERN.fullmatch(value) if isinstance(value, str) else None
        if isinstance(value, str) and (match is None or match[1]):
            message = f"`{name}` stands here in clear, and what is in git is public"
            yield NativeProblem(path, message, "give a whole reference: ${secret:KEY}, ${file:PATH}, ${env:NAME}")
        elif name in ETCD_PKI_FILES and name not in wanted:
            yield NativeProblem(path, f"`{name}` has no use here: k0s runs no etcd in this cluster", "leave it out")


def _check_folder(section: Section) -> Iterator[NativeProblem]:
    value = section.value
    if isinstance(value, str) and (not value.startswith("/") or value.rstrip("/") in ("", "/etc", "/usr", "/var")):
        message = f"`{section.name}` must be a folder of its own, and `{value}` is none"
        yield NativeProblem(section.path, message, "an absolute path, such as /srv/k0s")


def _check_taints(section: Section) -> Iterator[NativeProblem]:
    hosts = section.layer.hosts
    if section.value is True and hosts and not any(host.role is Role.CONTROLLER_WORKER for host in hosts):
        message = "`noTaints` has no effect here: only `controller+worker` has a taint to lose"
        hint = "leave it out, or make the host `role: controller+worker`"
        yield NativeProblem(section.path, message, hint)


def _check_profile(inventory: Inventory, section: Section) -> Iterator[NativeProblem]:
    from bootstrap.sections import suggest

    config = inventory.native.get("config")
    given = config.get("workerProfiles") if isinstance(config, Mapping) else None
    known = [str(item.get("name")) for item in given or () if isinstance(item, Mapping)]
    if isinstance(section.value, str) and section.value not in (*known, "default"):
        hint = suggest(section.value, known) or (f"there is {', '.join(known)}" if known else "define it there")
        message = f"there is no worker profile `{section.value}` in `config.workerProfiles`"
        yield NativeProblem(section.path, message, hint)


def _check_paths(section: Section) -> Iterator[NativeProblem]:
    paths = section.value if isinstance(section.value, list) else [section.value]
    for index, path in enumerate(paths):
        place = (*section.path, *([index] if isinstance(section.value, list) else []))
        if isinstance(path, str) and ("://" in path or path.startswith(("/", "~", "../"))):
            hint = "copy the file into the repository, and give its path from there"
            yield NativeProblem(place, f"`{path}` is no file of the repository", hint)


__all__ = ["check_native", "check_token"]
