"""A TLS server that answers like the Kubernetes API, or misbehaves like the networks around it."""

import base64
import contextlib
import json
import os
import socket
import socketserver
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from ipaddress import ip_address
from pathlib import Path

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

VERSION = "v1.36.3+k3s1"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
DEPLOYMENTS = "/apis/apps/v1/namespaces/kube-system/deployments"
DAEMONSETS = "/apis/apps/v1/namespaces/kube-system/daemonsets"
PODS = "/api/v1/namespaces/kube-system/pods"
NODES = "/api/v1/nodes"
TOKEN = "a-good-token"


# --- certificates --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pair:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def certificate_pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def key_pem(self) -> str:
        form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        return self.key.private_bytes(*form).decode()


def make_authority(name: str = "k3s-server-ca") -> Pair:
    """A CA as k3s makes it: without key identifiers."""
    return _sign(name, None, timedelta(days=3650), [(x509.BasicConstraints(ca=True, path_length=None), True)])


def issue_server(authority: Pair, names: tuple[str, ...] = ("127.0.0.1", "localhost"), days: float = 365) -> Pair:
    alternatives = [_alternative(name) for name in names]
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    return _sign(
        "k3s", authority, timedelta(days=days), [(x509.SubjectAlternativeName(alternatives), False), (usage, False)]
    )


def issue_client(authority: Pair) -> Pair:
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
    return _sign("system:admin", authority, timedelta(days=365), [(usage, False)])


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _sign(
    name: str, authority: Pair | None, valid: timedelta, extensions: list[tuple[x509.ExtensionType, bool]]
) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = x509.CertificateBuilder(
        subject_name=subject,
        issuer_name=authority.certificate.subject if authority else subject,
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=datetime.now(UTC) - timedelta(days=400),
        not_valid_after=datetime.now(UTC) + valid,
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    return Pair(builder.sign(authority.key if authority else key, hashes.SHA256()), key)


def make_kubeconfig(server: str, authority: Pair, client: Pair | None = None, **settings: str) -> str:
    user = {"token": TOKEN} if client is None else {}
    if client:
        user = {"client-certificate-data": _encode(client.certificate_pem), "client-key-data": _encode(client.key_pem)}
    cluster = {"certificate-authority-data": _encode(authority.certificate_pem), "server": server, **settings}
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "default", "cluster": cluster}],
            "contexts": [{"name": "default", "context": {"cluster": "default", "user": "default"}}],
            "users": [{"name": "default", "user": user}],
            "current-context": "default",
            "preferences": {},
        }
    )


def _encode(pem: str) -> str:
    return base64.b64encode(pem.encode()).decode()


# --- the cluster's objects -----------------------------------------------------------------------


def now(offset: float = 0) -> str:
    return f"{datetime.now(UTC) + timedelta(seconds=offset):%Y-%m-%dT%H:%M:%S.%f}Z"


def make_node(name: str, *, controls: bool = False, version: str = VERSION) -> dict:
    labels = {"kubernetes.io/hostname": name}
    if controls:
        labels["node-role.kubernetes.io/control-plane"] = "true"
    ready = {
        "type": "Ready",
        "status": "True",
        "reason": "KubeletReady",
        "message": "kubelet is posting ready status",
        "lastHeartbeatTime": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
    }
    quiet = [{"type": kind, "status": "False"} for kind in ("MemoryPressure", "DiskPressure", "PIDPressure")]
    return {
        "metadata": {"name": name, "labels": labels},
        "spec": {"podCIDR": "10.42.0.0/24"},
        "status": {
            "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}, {"type": "Hostname", "address": name}],
            "conditions": [*quiet, ready],
            "nodeInfo": {"kubeletVersion": version},
        },
    }


def make_lease(name: str, renewed: str | None = None) -> dict:
    return {
        "metadata": {"name": name},
        "spec": {"holderIdentity": name, "leaseDurationSeconds": 40, "renewTime": renewed or now()},
    }


def make_list(*things: dict) -> dict:
    return {"kind": "List", "metadata": {"resourceVersion": "1"}, "items": list(things)}


class Cluster:
    """Objects by path; `leases` are renewed whenever they are asked for, unless stopped."""

    def __init__(self, controllers: tuple[str, ...] = ("c1",), workers: tuple[str, ...] = ("w1",)) -> None:
        names = [*controllers, *workers]
        self.nodes = {name: make_node(name, controls=name in controllers) for name in names}
        self.stopped: dict[str, str] = {}
        self.texts: dict[str, str] = {"/readyz": "ok"}
        self.objects: dict[str, dict] = {
            "/version": {"major": "1", "minor": "36", "gitVersion": VERSION},
            DEPLOYMENTS: make_list(),
            DAEMONSETS: make_list(),
            PODS: make_list(),
        }

    def answer(self, path: str) -> bytes | None:
        if path in self.texts:
            return self.texts[path].encode()
        if path in self.objects:
            return json.dumps(self.objects[path]).encode()
        if path == NODES:
            return json.dumps(make_list(*self.nodes.values())).encode()
        if path == LEASES:
            return json.dumps(make_list(*(make_lease(name, self.stopped.get(name)) for name in self.nodes))).encode()
        return None


# --- the server ----------------------------------------------------------------------------------

Manner = Callable[["Handler", int], bool]  # the request's number from 1; True: it was dealt with


class Handler(BaseHTTPRequestHandler):
    wbufsize = 1 << 16
    disable_nagle_algorithm = True
    protocol_version = "HTTP/1.1"
    server: "Server"

    def setup(self) -> None:
        if self.server.context:
            self.request = self.server.context.wrap_socket(self.request, server_side=True)
        super().setup()

    def do_GET(self) -> None:
        number = self.server.count(self.path)
        self.server.authorizations.append(self.headers.get("Authorization"))
        if self.server.manner and self.server.manner(self, number):
            return
        if not self._is_known():
            self.reply(401, {"kind": "Status", "message": "Unauthorized", "code": 401})
            return
        body = self.server.cluster.answer(self.path)
        self.reply(404, {"kind": "Status", "message": f"no {self.path}"}) if body is None else self.reply(200, body)

    def reply(self, status: int, body: bytes | dict, **headers: str) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def date_time_string(self, timestamp: float | None = None) -> str:
        return super().date_time_string((timestamp or time.time()) + self.server.clock_offset)

    def reset(self) -> None:
        """RST, as a firewall or a dying server does it."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(self.connection.detach())
        self.close_connection = True

    def _is_known(self) -> bool:
        by_certificate = isinstance(self.connection, ssl.SSLSocket) and bool(self.connection.getpeercert())
        return by_certificate or self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def log_message(self, *arguments: object) -> None:
        pass


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, cluster: Cluster, context: ssl.SSLContext | None, manner: Manner | None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.cluster, self.context, self.manner = cluster, context, manner
        self.authorizations: list[str | None] = []
        self.paths: list[str] = []
        self.clock_offset = 0.0
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.server_address[1]}"

    def count(self, path: str) -> int:
        with self._lock:
            self.paths.append(path)
            return len(self.paths)

    def handle_error(self, request: object, client_address: object) -> None:
        pass


@contextlib.contextmanager
def serve(
    cluster: Cluster,
    authority: Pair,
    folder: Path,
    *,
    certificate: Pair | None = None,
    manner: Manner | None = None,
    tls: bool = True,
) -> Iterator[Server]:
    context = make_context(authority, certificate or issue_server(authority), folder) if tls else None
    server = Server(cluster, context, manner)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def make_context(authority: Pair, certificate: Pair, folder: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    file = folder / "server.pem"
    file.write_text(certificate.certificate_pem + certificate.key_pem)
    context.load_cert_chain(file)
    context.load_verify_locations(cadata=authority.certificate_pem)
    context.verify_mode = ssl.CERT_OPTIONAL
    return context


# --- manners -------------------------------------------------------------------------------------


def always(status: int, body: bytes = b"", **headers: str) -> Manner:
    def manner(handler: Handler, number: int) -> bool:
        handler.reply(status, body, **headers)
        return True

    return manner


def reset_every_second(handler: Handler, number: int) -> bool:
    if number % 2 == 0:
        handler.reset()
        return True
    return False


def silence(handler: Handler, number: int) -> bool:
    time.sleep(60)
    return True


def drip(handler: Handler, number: int) -> bool:
    """One byte of the header now and then: no socket timeout ever strikes."""
    for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"a" * 1000:
        handler.wfile.write(bytes([byte]))
        handler.wfile.flush()
        time.sleep(0.2)
    return True


def cut_in_the_middle(handler: Handler, number: int) -> bool:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"items": [')
    handler.close_connection = True
    return True


def first(count: int, manner: Manner) -> Manner:
    """Misbehaves for the first requests, then calms down."""
    return lambda handler, number: number <= count and manner(handler, number)
