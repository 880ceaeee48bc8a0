"""A signed Debian repository without distribution names, made of single programs: as pkgs.k8s.io has one for each minor."""

import contextlib
import functools
import hashlib
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

TOOLS = ("dpkg-deb", "gpg")


def missing_tools() -> list[str]:
    return [tool for tool in TOOLS if not shutil.which(tool)]


@dataclass(frozen=True)
class Key:
    """A key pair in a folder of its own."""

    home: Path

    @classmethod
    def make(cls, home: Path) -> "Key":
        home.mkdir(mode=0o700)
        key = cls(home)
        key.gpg("--quick-generate-key", "packages@example.org", "rsa3072", "sign", "never")
        return key

    @property
    def public(self) -> str:
        return self.gpg("--armor", "--export")

    def gpg(self, *words: str) -> str:
        command = ["gpg", "--homedir", str(self.home), "--batch", "--passphrase", "", "--pinentry-mode", "loopback"]
        return subprocess.run([*command, *words], check=True, capture_output=True, text=True).stdout


def add_package(folder: Path, name: str, version: str, program: Path) -> None:
    """A package that is one program in /usr/bin."""
    tree = folder / f".{name}-{version}"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "usr/bin").mkdir(parents=True)
    try:
        os.link(program, tree / "usr/bin" / name)
    except OSError:  # another file system
        shutil.copy(program, tree / "usr/bin" / name)
    fields = {"Package": name, "Version": version, "Architecture": "amd64"}
    fields |= {"Maintainer": "Tests <packages@example.org>", "Description": f"{name} for tests"}
    (tree / "DEBIAN/control").write_text("".join(f"{key}: {value}\n" for key, value in fields.items()))
    file = folder / f"{name}_{version}_amd64.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "-Znone", "--build", str(tree), str(file)], check=True, stdout=2)
    shutil.rmtree(tree)


def sign(folder: Path, key: Key) -> None:
    """Write the lists anew and sign them."""
    lists = "".join(_describe(file) for file in sorted(folder.glob("*.deb")))
    (folder / "Packages").write_text(lists)
    digest, size = hashlib.sha256(lists.encode()).hexdigest(), len(lists.encode())
    (folder / "Release").write_text(
        f"Origin: tests\nDate: Tue, 24 Nov 2026 00:00:00 UTC\nSHA256:\n {digest} {size} Packages\n"
    )
    key.gpg("--yes", "--output", str(folder / "InRelease"), "--clearsign", str(folder / "Release"))


def _describe(file: Path) -> str:
    control = subprocess.run(["dpkg-deb", "--field", str(file)], check=True, capture_output=True, text=True).stdout
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return f"{control.strip()}\nFilename: ./{file.name}\nSize: {file.stat().st_size}\nSHA256: {digest}\n\n"


class _Handler(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass


@contextlib.contextmanager
def serve_folder(folder: Path, address: str) -> Iterator[str]:
    """The URL of a folder's files."""
    handler = functools.partial(_Handler, directory=str(folder))
    server = ThreadingHTTPServer((address, 0), handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield f"http://{address}:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()
