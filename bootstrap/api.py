"""The Kubernetes API over the official client's connection: bounded questions, raw answers, errors with a cause.

The only module that imports `kubernetes`. It judges no answer (checks.py does) and repeats none (verify.py does).
"""

import contextlib
import json
import os
import shutil
import ssl
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from bootstrap.api_errors import RequestError, explain, explain_status, not_kubernetes
from bootstrap.kubeconfig import Credentials, KubeconfigError, read_credentials

CONNECT_SECONDS = 3.0
ANSWER_SECONDS = 10.0
LARGEST_ANSWER = 64 * 1024 * 1024  # bytes; 5,000 Nodes are about 50 MB

_FOLDER_PREFIX = "bootstrap-api-"
_PARTIAL_CHAIN = 0x80000  # ssl.VERIFY_X509_PARTIAL_CHAIN, unnamed before Python 3.13's stubs


@dataclass(frozen=True)
class Answer:
    """A 2xx answer. `time` is the server's own clock; `certificate_expiry` that of the server's certificate."""

    text: str
    time: datetime | None = None
    certificate_expiry: datetime | None = None


class Api:
    """One connection pool to one API server. Each question ends within its seconds, whatever the server does."""

    def __init__(self, client: Any, server: str, headers: dict[str, str]) -> None:  # noqa: ANN401
        self._client = client
        self._headers = headers
        self.server = server

    def ask(self, path: str, *, seconds: float = ANSWER_SECONDS) -> Answer:
        """GET `path`. Raises RequestError.

        The work is done on a thread of its own: neither a name server that is silent nor a server that sends
        a byte every nine seconds is bounded by socket timeouts.
        """
        future: Future[Answer] = Future()
        threading.Thread(target=self._answer, args=(path, seconds, future), daemon=True).start()
        try:
            return future.result(timeout=seconds + 0.5)
        except TimeoutError:
            raise explain(TimeoutError(f"no answer within {seconds:.0f} s"), self.server) from None

    def get(self, path: str, *, seconds: float = ANSWER_SECONDS) -> dict[str, Any]:
        """GET `path` and read it as a JSON object. Raises RequestError."""
        return read_object(self.ask(path, seconds=seconds), self.server)

    def get_text(self, path: str, *, seconds: float = ANSWER_SECONDS) -> str:
        """GET `path` as text. Raises RequestError."""
        return self.ask(path, seconds=seconds).text

    def _answer(self, path: str, seconds: float, future: "Future[Answer]") -> None:
        try:
            future.set_result(self._request(path, seconds))
        except RequestError as error:
            future.set_exception(error)
        except Exception as error:  # noqa: BLE001  (four families of errors, plus pydantic's: all become one)
            future.set_exception(explain(error, self.server))

    def _request(self, path: str, seconds: float) -> Answer:
        deadline = time.monotonic() + seconds
        timeouts = (min(CONNECT_SECONDS, seconds), seconds)
        url = self.server + path
        response = self._client.call_api(
            "GET", url, header_params=dict(self._headers), _request_timeout=timeouts
        ).response
        expiry = _certificate_expiry(response)
        try:
            body = _read_body(response, deadline)
        except BaseException:
            response.close()
            raise
        if not 200 <= response.status < 300:
            raise explain_status(response.status, response.headers, body, url)
        return Answer(body.decode("utf-8", "replace"), _parse_date(response.headers.get("Date")), expiry)


@contextlib.contextmanager
def open_api(kubeconfig: str, *, server: str | None = None) -> Iterator[Api]:
    """A connection made from the TEXT of a kubeconfig, closed at the end; `server` replaces its address.

    The API's certificate is always verified against the kubeconfig's CA, by `tls-server-name` where given.
    No proxy is used: nodes are on the person's own network. Raises KubeconfigError; the server is not asked yet.
    """
    from kubernetes.client import ApiClient, Configuration

    credentials = read_credentials(kubeconfig)
    address = (server or credentials.server).rstrip("/")
    configuration = Configuration(host=address, retries=False, tls_server_name=credentials.tls_server_name)
    configuration.proxy = None
    with ApiClient(configuration) as client:
        client.rest_client.pool_manager.connection_pool_kw["ssl_context"] = _build_context(credentials)
        try:
            yield Api(client, address, _headers(credentials))
        finally:
            client.rest_client.pool_manager.clear()


def read_object(answer: Answer, server: str) -> dict[str, Any]:
    """The JSON object of an answer. Raises RequestError when it is anything else, such as a page of HTML."""
    try:
        value = json.loads(answer.text)
    except (ValueError, RecursionError) as error:
        raise not_kubernetes(answer.text, server) from error
    if not isinstance(value, dict):
        raise not_kubernetes(answer.text, server)
    return value


def _headers(credentials: Credentials) -> dict[str, str]:
    from bootstrap import __version__

    headers = {"Accept": "application/json", "User-Agent": f"bootstrap/{__version__}"}
    return {**headers, "Authorization": f"Bearer {credentials.token}"} if credentials.token else headers


# --- TLS -----------------------------------------------------------------------------------------


def _build_context(credentials: Credentials) -> ssl.SSLContext:
    """Trusts the kubeconfig's CA and nothing else.

    Like Go's client: any certificate of the bundle is an anchor, and a CA without key identifiers is fine
    (Python 3.13's default context refuses those that kubeadm and k3s make).
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_flags |= ssl.VerifyFlags(_PARTIAL_CHAIN)
    try:
        context.load_verify_locations(cadata=credentials.ca_pem)
    except ssl.SSLError as error:
        raise KubeconfigError("the kubeconfig's CA certificate can't be read", why=str(error)) from error
    if credentials.certificate_pem:
        _load_identity(context, credentials)
    return context


def _load_identity(context: ssl.SSLContext, credentials: Credentials) -> None:
    """OpenSSL reads certificate and key from a file only: it lives for the time of the call."""
    folder = _private_folder()
    try:
        file = folder / "identity.pem"
        file.touch(mode=0o600)
        file.write_text(f"{credentials.certificate_pem}\n{credentials.key_pem}\n")
        context.load_cert_chain(file)
    except (ssl.SSLError, OSError) as error:
        raise KubeconfigError("the kubeconfig's client certificate can't be used", why=str(error)) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _private_folder() -> Path:
    """A new 0700 folder in memory where there is one; what a killed run left behind is removed."""
    base = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir())
    if not os.access(base, os.W_OK):
        base = Path(tempfile.gettempdir())
    for old in base.glob(f"{_FOLDER_PREFIX}*"):
        with contextlib.suppress(OSError):
            if old.lstat().st_uid == os.getuid() and time.time() - old.lstat().st_mtime > 60:
                shutil.rmtree(old, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=_FOLDER_PREFIX, dir=base))


def _certificate_expiry(response: Any) -> datetime | None:  # noqa: ANN401
    """None when the server closes the connection after each answer: the socket is gone then."""
    tls = getattr(response.connection, "sock", None)
    if not isinstance(tls, ssl.SSLSocket):
        return None
    certificate = tls.getpeercert() or {}
    expiry = certificate.get("notAfter")
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(expiry), UTC) if isinstance(expiry, str) else None


def _read_body(response: Any, deadline: float) -> bytes:  # noqa: ANN401
    body = bytearray()
    for chunk in response.stream(65536):
        body += chunk
        if len(body) > LARGEST_ANSWER:
            raise ValueError(f"the answer is larger than {LARGEST_ANSWER} bytes")
        if time.monotonic() > deadline:
            raise TimeoutError("the answer came too slowly")
    return bytes(body)


def _parse_date(value: str | None) -> datetime | None:
    try:
        return parsedate_to_datetime(value).astimezone(UTC) if value else None
    except ValueError:
        return None
