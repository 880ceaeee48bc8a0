"""Checks registries, repositories, archives, the kept authority and placed files. Pure."""

import re
from collections.abc import Iterator, Mapping

from bootstrap.distros.microk8s import layout
from bootstrap.distros.microk8s.files import PKI_FILES
from bootstrap.driver import NativeProblem
from bootstrap.model import Inventory
from bootstrap.references import PATTERN
from bootstrap.sections import Section, find_layers, has_reference

REGISTRY_NAME = re.compile(r"_default|[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]+)?")
REPOSITORY_NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
FOLDERS = {
    f"{layout.FOLDER}/": "is written by bootstrap itself",
    "/var/snap/microk8s/": "is the snap's, and gone with it: the folder is made when it is installed",
    "/snap/": "is the snap's, and read-only",
}


def check_registries(section: Section) -> Iterator[NativeProblem]:
    """Problems of one `registries` section: hosts.toml by the registry's name."""
    for name, text in section.values.items():
        path = (*section.path, name)
        if not REGISTRY_NAME.fullmatch(name):
            bare = (name.partition("://")[2] or name).partition("/")[0]
            yield NativeProblem(path, "a registry is named by host and port alone", f"write `{bare}`")
        elif isinstance(text, str) and not has_reference(text) and (problem := _find_toml_problem(text)):
            yield NativeProblem(
                path, f"this is no hosts.toml: {problem}", 'such as [host."https://mirror.example.com"]'
            )


def _find_toml_problem(text: str) -> str:
    import tomllib

    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return str(error)
    return "" if "server" in tables or "host" in tables else "it has neither `server` nor `host`"


def check_repositories(section: Section) -> Iterator[NativeProblem]:
    """Problems of the `repositories` section."""
    for name, repository in section.values.items():
        path = (*section.path, name)
        if name == "core":
            yield NativeProblem(path, "the repository `core` comes with MicroK8s", "take another name")
        elif name == "community":
            yield NativeProblem(
                path, "the repository `community` is an add-on itself", "list `community` under `addons`"
            )
        elif not REPOSITORY_NAME.fullmatch(name):
            yield NativeProblem(path, f"`{name}` is no name of a repository", "lower-case letters, digits and hyphens")
        source = repository.get("source") if isinstance(repository, Mapping) else None
        if isinstance(source, str) and (found := _check_source(source)):
            yield NativeProblem((*path, "source"), *found)


def _check_source(source: str) -> tuple[str, str] | None:
    if has_reference(source) or re.search(r"://[^/@]*:[^/@]*@", source):
        return (
            "a repository's address stands on a command line, so no login can be in it",
            "clone it to a folder by a hook",
        )
    if re.match(r"(https?|ssh|git)://[^/\s]+/\S+|[\w.-]+@[\w.-]+:\S+|/\S+", source):
        return None
    return f"`{source}` is no git repository", "such as https://git.example.com/home/addons.git"


def check_sideload(section: Section) -> Iterator[NativeProblem]:
    """Problems of the `sideload` section: the snap loads *.tar, and passes over the rest."""
    is_list = isinstance(section.value, list)
    for index, name in enumerate(section.value if is_list else [section.value]):
        if isinstance(name, str) and re.search(r"\.(tgz|tar\.\w+|zip|img)$", name):
            path = (*section.path, index) if is_list else section.path
            yield NativeProblem(path, f"`{name}` would be passed over: archives of images are *.tar", "unpack it once")


def check_pki(section: Section) -> Iterator[NativeProblem]:
    """Problems of the `pki` section: both files, each one whole reference."""
    missing = [name for name in PKI_FILES if name not in section.values]
    if missing:
        message = f"`pki` has no {' and no '.join(missing)}"
        yield NativeProblem(section.path, message, "give both, or none: MicroK8s then makes them")
    for name, value in section.values.items():
        match = PATTERN.fullmatch(value) if isinstance(value, str) else None
        if isinstance(value, str) and (match is None or match[1]):
            message = f"`{name}` stands here in clear, and what is in git is public"
            hint = "give a whole reference: ${secret:KEY}, ${file:PATH}, ${env:NAME}"
            yield NativeProblem((*section.path, name), message, hint)


def check_files(inventory: Inventory) -> Iterator[NativeProblem]:
    """Problems of `files` in every layer: no placed file takes the place of one of bootstrap's or of the snap's."""
    for layer in find_layers(inventory):
        files = layer.values.get("files")
        for index, file in enumerate(files if isinstance(files, list) else []):
            place = str(file.get("path", "")) if isinstance(file, Mapping) else ""
            path = (*layer.path, "files", index, "path")
            if place == layout.LAUNCH_CONFIG:
                hint = f"its keys stand under `{inventory.distro}`, where they are checked"
                yield NativeProblem(path, f"{place} is written by bootstrap itself", hint)
            elif reason := next((text for folder, text in FOLDERS.items() if place.startswith(folder)), ""):
                yield NativeProblem(path, f"{place} {reason}", "take another folder, such as /etc/microk8s")
