"""Why a question to the Kubernetes API got no answer: one error with a cause for all that can be raised. No I/O."""

import contextlib
import json
import socket
import ssl
from collections.abc import Iterator
from enum import StrEnum
from typing import Any

from bootstrap.errors import ApiError


class Cause(StrEnum):
    """Why a question to the API got no answer."""

    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    SILENT = "timed out"
    CUT = "cut off"
    WRONG_CA = "wrong CA"
    WRONG_NAME = "name mismatch"
    EXPIRED = "certificate expired"
    TLS = "TLS"
    UNAUTHORIZED = "401"
    FORBIDDEN = "403"
    BUSY = "429"
    SERVER_ERROR = "5xx"
    REJECTED = "rejected"
    NOT_KUBERNETES = "not Kubernetes"

    @property
    def is_final(self) -> bool:
        """Asking again gives the same answer: certificates don't mend themselves."""
        return self in (Cause.WRONG_CA, Cause.EXPIRED)

    @property
    def is_refusal(self) -> bool:
        """The server says no; while it starts, or adds a name to its certificate, it may say so wrongly."""
        return self in (Cause.UNAUTHORIZED, Cause.FORBIDDEN, Cause.REJECTED, Cause.NOT_KUBERNETES, Cause.WRONG_NAME)


class RequestError(ApiError):
    """A question without a usable answer; `retry_after` is the server's wish in seconds, or 0."""

    def __init__(self, cause: Cause, what: str, *, where: str, why: str, next_step: str, retry_after: float) -> None:
        super().__init__(what, where=where, why=why, next_step=next_step)
        self.cause = cause
        self.retry_after = retry_after


_CLOCK = "compare this machine's clock with the server's; most distributions renew it when the control plane restarts"
_FETCH = "fetch the kubeconfig again (`bootstrap kubeconfig`): a rebuilt cluster has a new CA"
_TLS_CAUSES = {
    9: (Cause.EXPIRED, "the API's certificate is not valid yet", _CLOCK),
    10: (Cause.EXPIRED, "the API's certificate has expired", _CLOCK),
    62: (Cause.WRONG_NAME, "the API's certificate is for another name", "add the name or address to `sans`"),
    64: (Cause.WRONG_NAME, "the API's certificate is for another address", "add the name or address to `sans`"),
}
_WRONG_CA = (Cause.WRONG_CA, "the API's certificate is signed by another CA than the kubeconfig's", _FETCH)
_STATUS_CAUSES = {
    401: (Cause.UNAUTHORIZED, "the API does not know the kubeconfig's identity", _FETCH),
    403: (Cause.FORBIDDEN, "the API forbids what was asked", "use the cluster's admin kubeconfig"),
    429: (Cause.BUSY, "the API is overloaded", "try again when it has calmed down"),
}


def explain(error: BaseException, server: str) -> RequestError:
    """Turns what urllib3, ssl, kubernetes and the operating system raise into one error with a cause."""
    chain = list(_unwrap(error))
    cause, what, next_step = next(filter(None, map(_classify, chain)), None) or (
        Cause.REJECTED,
        "the API could not be asked",
        "",
    )
    return RequestError(cause, what, where=server, why=_reason(chain), next_step=next_step, retry_after=0)


def explain_status(status: int, headers: Any, body: bytes, url: str) -> RequestError:  # noqa: ANN401
    """An HTTP answer outside 2xx as an error with a cause."""
    if status >= 500:
        cause, what, next_step = Cause.SERVER_ERROR, f"the API is not ready: it answered {status}", ""
    else:
        rejected = (Cause.REJECTED, f"the API answered {status}", "check that this address is the Kubernetes API")
        cause, what, next_step = _STATUS_CAUSES.get(status, rejected)
    return RequestError(
        cause,
        what,
        where=url,
        why=_status_reason(body),
        next_step=next_step,
        retry_after=_parse_seconds(headers.get("Retry-After")),
    )


def _unwrap(error: BaseException | None, depth: int = 0) -> Iterator[BaseException]:
    """The error and all that it wraps, innermost first: the cause is nested by each layer in another way."""
    if error is None or depth > 8:
        return
    inner = [error.__cause__, error.__context__, getattr(error, "reason", None), *error.args]
    for candidate in inner:
        if isinstance(candidate, BaseException):
            yield from _unwrap(candidate, depth + 1)
    yield error


def _classify(error: BaseException) -> tuple[Cause, str, str] | None:
    name = type(error).__name__
    if isinstance(error, ssl.SSLCertVerificationError):
        return _TLS_CAUSES.get(error.verify_code, _WRONG_CA)
    if name == "CertificateError":  # urllib3's own comparison of names
        return _TLS_CAUSES[62]
    if isinstance(error, ssl.SSLError):
        return _classify_tls(error)
    if isinstance(error, socket.gaierror) or name == "NameResolutionError":
        return (
            Cause.UNREACHABLE,
            "the API's name can't be resolved",
            "check the endpoint's name and this machine's DNS",
        )
    return _classify_connection(error, name)


def _classify_tls(error: ssl.SSLError) -> tuple[Cause, str, str]:
    reason = str(error.reason or "").upper()
    if isinstance(error, ssl.SSLEOFError):
        return (Cause.CUT, "the API cut the connection", "")
    if "ALERT" in reason and ("UNKNOWN_CA" in reason or "CERTIFICATE" in reason):
        return _STATUS_CAUSES[401]
    return (Cause.TLS, "no TLS connection to the API", "check that the port is the Kubernetes API's")


def _classify_connection(error: BaseException, name: str) -> tuple[Cause, str, str] | None:
    if isinstance(error, ConnectionRefusedError):
        return (Cause.REFUSED, "nothing listens at the API's address", "check that the control plane runs")
    if isinstance(error, TimeoutError) or name in ("ConnectTimeoutError", "ReadTimeoutError"):
        return (Cause.SILENT, "the API did not answer in time", "check the firewall between this machine and the API")
    if isinstance(error, ConnectionError) or name in ("IncompleteRead", "ProtocolError", "RemoteDisconnected"):
        return (Cause.CUT, "the API cut the connection", "")
    if isinstance(error, OSError):
        return (Cause.UNREACHABLE, "the API's address can't be reached", "check the route to it from this machine")
    return None


def _reason(chain: list[BaseException]) -> str:
    text = str(chain[0]) or type(chain[0]).__name__
    return one_line(text)


def _status_reason(body: bytes) -> str:
    """The message of a Kubernetes Status, or of a readyz answer the lines that failed, or the answer's start."""
    text = body.decode("utf-8", "replace")
    with contextlib.suppress(ValueError, RecursionError):
        status = json.loads(text)
        if isinstance(status, dict) and isinstance(status.get("message"), str):
            return one_line(status["message"])
    failed = [line for line in text.splitlines() if line.startswith("[-]")]
    return one_line("; ".join(failed) or text)


def not_kubernetes(text: str, server: str) -> RequestError:
    """A 2xx answer that no Kubernetes API gives."""
    return RequestError(
        Cause.NOT_KUBERNETES,
        "the answer is not from a Kubernetes API",
        where=server,
        why=f"it begins with `{one_line(text)[:60]}`" if text.strip() else "it is empty",
        next_step="check that the address and port are the API's, not a proxy's or a web server's",
        retry_after=0,
    )


def one_line(text: str) -> str:
    """Printable and short: a server's text may hold terminal escapes."""
    line = " ".join(text.split())
    return "".join(character if character.isprintable() else "?" for character in line)[:300]


def _parse_seconds(value: str | None) -> float:
    return float(value) if value and value.isdecimal() else 0.0
