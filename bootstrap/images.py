"""Container images without a container engine: files in, one OCI-layout archive out. No file is read here and no registry asked."""

import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import BinaryIO

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"
_INDEX = "application/vnd.oci.image.index.v1+json"


@dataclass(frozen=True)
class File:
    """A regular file of a layer, owned by root."""

    content: bytes
    mode: int = 0o755


@dataclass(frozen=True)
class Symlink:
    target: str


@dataclass(frozen=True)
class Folder:
    """Only needed for an empty folder or another mode: folders above a file come by themselves."""

    mode: int = 0o755


@dataclass(frozen=True)
class Stored:
    """A file whose bytes are elsewhere, and only read when they are written."""

    size: int  # bytes
    open: Callable[[], BinaryIO]
    mode: int = 0o644


Entry = File | Symlink | Folder | Stored


@dataclass(frozen=True)
class Blob:
    """Bytes that are called by their digest."""

    content: bytes
    digest: str  # sha256:...

    @classmethod
    def of(cls, content: bytes) -> "Blob":
        return cls(content, f"sha256:{hashlib.sha256(content).hexdigest()}")

    @property
    def path(self) -> str:
        return _blob_path(self.digest)

    def describe(self, media_type: str) -> dict[str, object]:
        """An OCI descriptor, to which more may be added."""
        return {"mediaType": media_type, "digest": self.digest, "size": len(self.content)}


@dataclass(frozen=True)
class Image:
    """One image: its full name with registry and tag, what it runs, and its layers, lowest first.

    Images that share a layer share its blob in the archive and, after the import, on the host's disk.
    """

    name: str
    entrypoint: tuple[str, ...]
    layers: tuple[Blob, ...]


@dataclass(frozen=True)
class StoredImage:
    """An image that somebody else has made: its full name, and the descriptor of its manifest."""

    name: str
    media_type: str
    digest: str
    size: int


def make_layer(entries: Mapping[str, Entry]) -> Blob:
    """A layer of entries by path (`usr/bin/true`, no slash in front).

    It isn't compressed: a runtime unpacks it as fast as it reads, and equal entries give equal bytes anywhere.
    """
    layer = io.BytesIO()
    _write_tar(layer, entries)
    return Blob.of(layer.getvalue())


def write_archive(images: Iterable[Image], architecture: str, stream: BinaryIO) -> None:
    """All images as one tar in the OCI image layout, for `ctr images import` and its like.

    `architecture` is Go's word for it: amd64, arm64. The order of images doesn't matter, and the same images give the
    same bytes. Raises ValueError when two images have one name.

    Source: https://github.com/opencontainers/image-spec/blob/main/image-layout.md; containerd takes the full name
    from the annotation `io.containerd.image.name`, other programs the tag from `org.opencontainers.image.ref.name`.
    """
    blobs: list[Blob] = []
    manifests: list[dict[str, object]] = []
    ordered = sorted(images, key=lambda image: image.name)
    if len({image.name for image in ordered}) != len(ordered):
        raise ValueError("two images of one archive have the same name")
    for image in ordered:
        config = _json_blob(_configure(image, architecture))
        manifest = _json_blob(_list_blobs(config, image.layers))
        blobs += [config, manifest, *image.layers]
        manifests.append(_reference(manifest.describe(_MANIFEST), image.name, architecture))
    _write_tar(stream, _lay_out(manifests, {blob.path: File(blob.content, 0o644) for blob in blobs}))


def write_stored(
    images: Iterable[StoredImage], architecture: str, blobs: Mapping[str, Stored], stream: BinaryIO
) -> None:
    """Like write_archive, from blobs by digest (`sha256:...`): manifests, configurations and layers of all images."""
    manifests = [
        _reference(
            {"mediaType": image.media_type, "digest": image.digest, "size": image.size}, image.name, architecture
        )
        for image in sorted(images, key=lambda image: image.name)
    ]
    _write_tar(stream, _lay_out(manifests, {_blob_path(digest): blob for digest, blob in blobs.items()}))


def _blob_path(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _lay_out(manifests: Sequence[object], blobs: Mapping[str, Entry]) -> dict[str, Entry]:
    index = _json_blob({"schemaVersion": 2, "mediaType": _INDEX, "manifests": manifests})
    return {
        "oci-layout": File(b'{"imageLayoutVersion":"1.0.0"}', 0o644),
        "index.json": File(index.content, 0o644),
        **blobs,
    }


def _configure(image: Image, architecture: str) -> dict[str, object]:
    return {
        "architecture": architecture,
        "os": "linux",
        "config": {"Env": [f"PATH={PATH}"], "Entrypoint": list(image.entrypoint), "WorkingDir": "/"},
        "rootfs": {"type": "layers", "diff_ids": [layer.digest for layer in image.layers]},
    }


def _list_blobs(config: Blob, layers: Iterable[Blob]) -> dict[str, object]:
    return {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "config": config.describe(_CONFIG),
        "layers": [layer.describe(_LAYER) for layer in layers],
    }


def _reference(descriptor: Mapping[str, object], name: str, architecture: str) -> dict[str, object]:
    return {
        **descriptor,
        "platform": {"architecture": architecture, "os": "linux"},
        "annotations": {
            "io.containerd.image.name": name,
            "org.opencontainers.image.ref.name": name.rpartition(":")[2],
        },
    }


def _json_blob(value: object) -> Blob:
    return Blob.of(json.dumps(value, sort_keys=True, separators=(",", ":")).encode())


def _write_tar(stream: BinaryIO, entries: Mapping[str, Entry]) -> None:
    """Sorted by path, all times zero, all owned by root, so that the bytes depend on the entries alone."""
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path, entry in sorted(_with_folders(entries).items()):
            info = tarfile.TarInfo(path)
            match entry:
                case Folder(mode):
                    info.type, info.mode = tarfile.DIRTYPE, mode
                    tar.addfile(info)
                case Symlink(target):
                    info.type, info.mode, info.linkname = tarfile.SYMTYPE, 0o777, target
                    tar.addfile(info)
                case File(content, mode):
                    info.mode, info.size = mode, len(content)
                    tar.addfile(info, io.BytesIO(content))
                case Stored(size, open_bytes, mode):
                    info.mode, info.size = mode, size
                    with open_bytes() as content_stream:
                        tar.addfile(info, content_stream)


def _with_folders(entries: Mapping[str, Entry]) -> dict[str, Entry]:
    """The entries and every folder above one; a folder that was given keeps its mode."""
    above = {str(folder): Folder() for path in entries for folder in PurePosixPath(path).parents if folder.name}
    return {**above, **entries}
