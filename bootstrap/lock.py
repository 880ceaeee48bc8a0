"""artifacts.lock and upstream checksum files: text in, values out. Reads no file and asks no network."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, replace
from urllib.parse import quote, unquote

import yaml

from bootstrap.errors import LockError
from bootstrap.model import Lock, LockedFile

SCHEMA = "bootstrap-lock/v1"
HEADER = """\
# Written by `bootstrap lock` alone: what each download must be, byte for byte. Commit it, never edit it.
# A host gets a file only when its sha256 is the one below, wherever the file came from.
"""

# Where images are called after another host than the one that has them.
API_HOSTS = {"docker.io": "registry-1.docker.io"}
MANIFEST = re.compile(r"https?://([^/]+)/v2/(.+)/manifests/([^/]+)")

OWN_VERSION = "own"  # of a file of the repository itself
OWN_SCHEME = "repository:"
_RELOCK = "run `bootstrap lock` to write it anew, and look at the diff"
_KEYS = tuple(field.name for field in fields(LockedFile))
_FORMS: Mapping[str, tuple[re.Pattern[str], str]] = {
    "name": (re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*"), "letters, digits, `.`, `_` and `-`"),
    "version": (re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*"), "letters, digits, `.`, `+` and `-`"),
    "arch": (re.compile(r"[a-z0-9]+"), "a word such as amd64, arm64, arm or any"),
    "url": (
        re.compile(r"https://[^\s@?#]+/[A-Za-z0-9%+._-]*[A-Za-z0-9]|repository:[^\s@?#]*[A-Za-z0-9]"),
        "an https:// address of a file, no login in it, or repository: and a path",
    ),
    "size": (re.compile(r"[1-9][0-9]{0,11}"), "a number of bytes above 0"),
    "sha256": (re.compile(r"[0-9a-f]{64}"), "64 hexadecimal digits in lower case"),
}


def own_url(path: str) -> str:
    """How the lock names a file of the repository."""
    return OWN_SCHEME + quote(path)


def own_path(url: str) -> str | None:
    """The path in the repository that `own_url` was made from; None for files of others."""
    return unquote(url.removeprefix(OWN_SCHEME)) if url.startswith(OWN_SCHEME) else None


def own_name(path: str) -> str:
    """The name in the lock of a file of the repository."""
    return "own-" + re.sub(r"[^A-Za-z0-9._-]+", "-", path)


def format_lock(lock: Lock, *, locked_by: str) -> str:
    """The text of artifacts.lock: sorted, one line per file and architecture, the same bytes for the same input.

    `locked_by` is the program and its version, such as `bootstrap 0.1.0`.
    """
    lines = [f"schema: {SCHEMA}", f"locked_by: {locked_by}", "files:" if lock.files else "files: []"]
    lines += [_format_file(file) for file in sorted(lock.files, key=_order)]
    return HEADER + "\n".join(lines) + "\n"


def parse_lock(text: str, *, file: str = "artifacts.lock") -> Lock:
    """The lock that `text` holds.

    Raises LockError with `file:line` when a line is not exactly what `format_lock` writes: a missing or
    unknown key, a hash or size of a wrong form, the same file twice.
    """
    root = _compose(text, file)
    entries = _read_document(root, file)
    seen: dict[tuple[str, str, str], int] = {}
    files = []
    for node in entries:
        locked = _read_file(node, file)
        line = seen.setdefault(_order(locked), _line(node))
        if line != _line(node):
            raise _error(file, node, f"{_label(locked)} is locked twice, first on line {line}")
        files.append(locked)
    return Lock(tuple(files))


def replace_files(lock: Lock, files: Iterable[LockedFile]) -> Lock:
    """`lock` with `files` in it: those of the same name and version make way, others stay."""
    new = tuple(files)
    replaced = {(file.name, file.version) for file in new}
    kept = tuple(file for file in lock.files if (file.name, file.version) not in replaced)
    return replace(lock, files=tuple(sorted(kept + new, key=_order)))


def parse_checksums(text: str) -> dict[str, str]:
    """File name -> sha256 of a checksum file as `sha256sum` writes it.

    A file with a lone hash in it (dl.k8s.io's `.sha256`) gives {"": hash}. Lines of another form are passed over:
    a page of HTML gives {}.
    """
    found: dict[str, str] = {}
    for line in text.splitlines():
        match = re.fullmatch(r"([0-9A-Fa-f]{64})(?:[ \t]+\*?(?:\S*/)?([^/\s]+))?\s*", line)
        if match:
            found[match[2] or ""] = match[1].lower()
    return found


# --- images: locked as their manifest, whose sha256 is the image's digest ---------------------------


def manifest_url(image: str) -> str:
    """Where the manifest of an image with registry and tag lies."""
    name, _, tag = image.rpartition(":")
    host, _, path = name.partition("/")
    host = API_HOSTS.get(host, host)
    return f"https://{host}/v2/{path}/manifests/{tag}"


def image_of(url: str) -> str:
    """The image, with registry and tag, whose manifest lies at `url`; empty when it is another address."""
    match = MANIFEST.fullmatch(url)
    names = {api: name for name, api in API_HOSTS.items()}
    return f"{names.get(match[1], match[1])}/{match[2]}:{match[3]}" if match else ""


# --- text and entries ---------------------------------------------------------------------------


def _format_file(file: LockedFile) -> str:
    pairs = ", ".join(f"{key}: {_scalar(getattr(file, key))}" for key in _KEYS)
    return f"- {{{pairs}}}"


def _scalar(value: str | int) -> str:
    """Quoted where YAML would read something else than text, so that 1.30 and 12e4... stay strings."""
    if isinstance(value, int):
        return str(value)
    plain = isinstance(yaml.safe_load(value), str) and not re.search(r"[:,#{}\[\]]", value)
    return value if plain else f'"{value}"'


def _order(file: LockedFile) -> tuple[str, str, str]:
    return (file.name, file.version, file.arch)


def _label(file: LockedFile) -> str:
    return f"{file.name} {file.version} {file.arch}"


def _compose(text: str, file: str) -> yaml.MappingNode:
    try:
        root = yaml.compose(text, Loader=yaml.CSafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{file}:{mark.line + 1}" if mark else file
        problem = getattr(error, "problem", None) or "unreadable"
        raise LockError("the lock is not YAML", where=where, why=str(problem), next_step=_RELOCK) from error
    if not isinstance(root, yaml.MappingNode):
        raise LockError("the lock has no entries", where=file, next_step=_RELOCK)
    return root


def _read_document(root: yaml.MappingNode, file: str) -> list[yaml.Node]:
    values = _read_mapping(root, file, ("schema", "locked_by", "files"))
    schema, entries = values["schema"], values["files"]
    if schema.value != SCHEMA:
        raise _error(file, schema, f"this program reads {SCHEMA} and no other schema")
    if not isinstance(entries, yaml.SequenceNode):
        raise _error(file, entries, "`files` must be a list")
    return list(entries.value)


def _read_file(node: yaml.Node, file: str) -> LockedFile:
    if not isinstance(node, yaml.MappingNode):
        raise _error(file, node, "an entry must be {name: ..., version: ..., ...}")
    values = {key: _read_scalar(key, value, file) for key, value in _read_mapping(node, file, _KEYS).items()}
    return LockedFile(
        name=values["name"],
        version=values["version"],
        arch=values["arch"],
        url=values["url"],
        size=int(values["size"]),
        sha256=values["sha256"],
    )


def _read_mapping(node: yaml.MappingNode, file: str, keys: tuple[str, ...]) -> dict[str, yaml.Node]:
    """Exactly `keys`, each once."""
    values: dict[str, yaml.Node] = {}
    for key, value in node.value:
        name = str(key.value)
        if name not in keys:
            raise _error(file, key, f"`{name}` is no key of the lock")
        if name in values:
            raise _error(file, key, f"`{name}` stands twice")
        values[name] = value
    for name in _missing(keys, values):
        raise _error(file, node, f"`{name}` is missing")
    return values


def _missing(keys: tuple[str, ...], values: Mapping[str, yaml.Node]) -> Iterator[str]:
    return (key for key in keys if key not in values)


def _read_scalar(key: str, node: yaml.Node, file: str) -> str:
    pattern, form = _FORMS[key]
    value = node.value if isinstance(node, yaml.ScalarNode) else ""
    if not pattern.fullmatch(value):
        raise _error(file, node, f"`{key}` must be {form}")
    return str(value)


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _error(file: str, node: yaml.Node, what: str) -> LockError:
    return LockError(what, where=f"{file}:{_line(node)}", next_step=_RELOCK)
