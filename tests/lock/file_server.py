"""A web server for release files that can also misbehave, with or without TLS."""

import contextlib
import os
import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import unquote

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Manner = Callable[["Handler", bytes, int], bool]  # the file's bytes, the request's number from 1; True: dealt with


class Handler(BaseHTTPRequestHandler):
    wbufsize = 1 << 16
    disable_nagle_algorithm = True
    server: "FileServer"

    def do_HEAD(self) -> None:
        self._serve()

    def do_GET(self) -> None:
        self._serve()

    def _serve(self) -> None:
        path = unquote(self.path)
        self.server.requests.append((self.command, path, self.headers.get("Range")))
        content = self.server.files.get(path)
        if self.server.manner and self.server.manner(self, content or b"", len(self.server.requests)):
            return
        if content is None:
            self.reply(404, b"<html>not found</html>")
            return
        begin = int(self.headers["Range"].removeprefix("bytes=").rstrip("-")) if "Range" in self.headers else 0
        if begin >= len(content) > 0:
            self.reply(416, b"")
            return
        self.reply(206 if begin else 200, content[begin:])

    def reply(self, status: int, content: bytes, *, length: int | None = None, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content) if length is None else length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, *arguments: object) -> None:
        pass


class FileServer(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, files: dict[str, bytes], manner: Manner | None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.manner = files, manner
        self.requests: list[tuple[str, str, str | None]] = []
        self.scheme = "http"

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.server_address[1]}"

    def got(self, command: str = "GET") -> list[str]:
        return [path for method, path, _ in self.requests if method == command]

    def handle_error(self, request: object, client_address: object) -> None:
        pass


@contextlib.contextmanager
def serve(files: dict[str, bytes], manner: Manner | None = None, *, tls: Path | None = None) -> Iterator[FileServer]:
    """`tls`: a PEM file with certificate and key."""
    server = FileServer(files, manner)
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.scheme = "https"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def make_certificate(file: Path) -> Path:
    """A self-signed certificate for 127.0.0.1 with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    builder = x509.CertificateBuilder(
        name,
        name,
        key.public_key(),
        x509.random_serial_number(),
        datetime.now(UTC) - timedelta(1),
        datetime.now(UTC) + timedelta(1),
    )
    alternative = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    certificate = builder.add_extension(alternative, critical=False).sign(key, hashes.SHA256())
    pem = serialization.Encoding.PEM
    text = certificate.public_bytes(pem) + key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(text)
    return file


# --- manners -------------------------------------------------------------------------------------


def cut(at: float, *, times: int = 10**9) -> Manner:
    """Sends that part of what was asked for and hangs up, for the first requests."""

    def manner(handler: Handler, content: bytes, number: int) -> bool:
        if number > times or handler.command == "HEAD":
            return False
        begin = int(handler.headers["Range"].removeprefix("bytes=").rstrip("-")) if "Range" in handler.headers else 0
        rest = content[begin:]
        handler.reply(206 if begin else 200, rest[: int(len(rest) * at)], length=len(rest))
        return True

    return manner


def flip(handler: Handler, content: bytes, number: int) -> bool:
    handler.reply(200, bytes([content[0] ^ 1]) + content[1:])
    return True


def always(status: int, content: bytes = b"", **headers: str) -> Manner:
    def manner(handler: Handler, _: bytes, number: int) -> bool:
        handler.reply(status, content, **headers)
        return True

    return manner


def without_ranges(handler: Handler, content: bytes, number: int) -> bool:
    handler.reply(200, content)
    return True


def without_length(handler: Handler, content: bytes, number: int) -> bool:
    handler.send_response(200)
    handler.end_headers()
    handler.wfile.write(content)
    return True


def in_turn(*manners: Manner) -> Manner:
    """The first manner for the first request and so on; good afterwards."""
    return lambda handler, content, number: number <= len(manners) and manners[number - 1](handler, content, number)


def reset(handler: Handler, content: bytes, number: int) -> bool:
    os.close(handler.connection.detach())
    return True
