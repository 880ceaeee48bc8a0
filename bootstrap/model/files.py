"""What is rendered and locked: files by content or by hash. Values only."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Artifact:
    """One rendered file for one host; content holds references in place of secrets."""

    host: str
    path: str
    content: str
    mode: str = "0644"
    owner: str = "root:root"

    @property
    def has_references(self) -> bool:
        return "${" in self.content


@dataclass(frozen=True)
class LockedFile:
    """One binary or image by identity: any source will do, for the hash decides."""

    name: str  # k3s, install.sh, k3s-airgap-images
    version: str
    arch: str  # amd64, arm64, arm, or any
    url: str
    size: int
    sha256: str

    @property
    def file_name(self) -> str:
        return self.url.rsplit("/", 1)[-1]


@dataclass(frozen=True)
class Lock:
    """artifacts.lock, read."""

    files: tuple[LockedFile, ...] = ()

    def find(self, name: str, version: str, arch: str) -> LockedFile | None:
        wanted = (file for file in self.files if file.name == name and file.version == version)
        return next((file for file in wanted if file.arch in (arch, "any")), None)


def digest(content: str | bytes) -> str:
    """sha256 in hex; text as UTF-8."""
    import hashlib  # loads a library of megabytes, and most commands need no digest

    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()


def digest_value(value: object) -> str:
    """The digest of a value made of lists, mappings and scalars, whatever the order of its keys."""
    import json

    return digest(json.dumps(value, sort_keys=True, default=str))
