"""A registry that gives the images of one OCI archive over plain HTTP, to whoever asks, and that can be told to lie."""

import contextlib
import json
import re
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

MANIFEST = re.compile(r"/v2/(.+)/manifests/([^/?]+)")
BLOB = re.compile(r"/v2/(.+)/blobs/(sha256:[0-9a-f]{64})")


def read_member(tar: tarfile.TarFile, name: str) -> bytes:
    stream = tar.extractfile(name)
    assert stream is not None, name
    return stream.read()


class ArchiveRegistry(ThreadingHTTPServer):
    """The images by name without registry, tag and digest: as `registry.k8s.io` or any host that stands for it has them."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, archive: Path, address: tuple[str, int]) -> None:
        super().__init__(address, _Handler)
        self.archive = archive
        self.lies: dict[str, str] = {}  # digest that is asked for -> the one whose bytes are given
        self.requests: list[str] = []
        with tarfile.open(archive) as tar:
            members = {member.name: member for member in tar if member.isfile()}
            index = json.loads(read_member(tar, "index.json"))
        self.places = {
            f"sha256:{name.rpartition('/')[2]}": (member.offset_data, member.size) for name, member in members.items()
        }
        self.types = {entry["digest"]: entry["mediaType"] for entry in index["manifests"]}
        self.images = {
            entry["annotations"]["io.containerd.image.name"]: entry["digest"] for entry in index["manifests"]
        }
        self.tags = {tuple(name.partition("/")[2].rsplit(":", 1)): digest for name, digest in self.images.items()}

    def read(self, digest: str) -> bytes:
        offset, size = self.places[self.lies.get(digest, digest)]
        with self.archive.open("rb") as stream:
            stream.seek(offset)
            return stream.read(size)

    def asked_by_tag(self) -> list[str]:
        """Paths of manifests that were asked for by another name than a digest."""
        asked = (MANIFEST.fullmatch(path) for path in self.requests)
        return [match[0] for match in asked if match and not match[2].startswith("sha256:")]

    def handle_error(self, request: object, client_address: object) -> None:
        pass


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ArchiveRegistry

    def do_GET(self) -> None:
        self.server.requests.append(self.path.partition("?")[0])
        path = self.server.requests[-1]
        if path == "/v2/":
            self.give(b"{}", "application/json")
        elif match := MANIFEST.fullmatch(path):
            digest = self.server.tags.get((match[1], match[2]), match[2])
            self.give_blob(digest, self.server.types.get(digest))
        elif match := BLOB.fullmatch(path):
            self.give_blob(match[2], "application/octet-stream")
        else:
            self.refuse()

    do_HEAD = do_GET

    def give_blob(self, digest: str, kind: str | None) -> None:
        if kind is None or digest not in self.server.places:
            self.refuse()
        else:
            self.give(self.server.read(digest), kind, digest)

    def refuse(self) -> None:
        body = b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"there is none"}]}'
        self.give(body, "application/json", status=404)

    def give(self, body: bytes, kind: str, digest: str = "", status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if digest:
            self.send_header("Docker-Content-Digest", digest)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


@contextlib.contextmanager
def serve_archive(archive: Path, address: tuple[str, int] = ("127.0.0.1", 0)) -> Iterator[ArchiveRegistry]:
    registry = ArchiveRegistry(archive, address)
    threading.Thread(target=registry.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield registry
    finally:
        registry.shutdown()
        registry.server_close()
