"""Reading files over HTTP: verified TLS, never from https down to http, bounded, every failure with its kind."""

import contextlib
import functools
import http.client
import os
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any
from urllib.parse import urlsplit

from bootstrap.errors import LockError

SILENCE_SECONDS = 15.0
CHUNK = 1 << 20
_SLOWEST = 1024  # bytes a second over _PATIENCE: below it nothing of use arrives in a day
_PATIENCE = 30.0  # seconds


class WebError(LockError):
    """A file can't be read over HTTP, and trying again won't help."""


class MissingError(WebError):
    """There is no such file (404, 410)."""


class CutError(WebError):
    """The connection failed or broke, or the server is unwell: trying again may help."""


@dataclass(frozen=True)
class Response:
    """An open answer. `length` is what the server announced for the bytes to come; None: it did not say."""

    url: str
    stream: IO[bytes]
    length: int | None
    offset: int
    content_type: str = ""

    def chunks(self) -> Iterator[bytes]:
        """The body. Raises CutError when it ends early, stalls, or comes too slowly to matter."""
        start, received = time.monotonic(), 0
        with _explained(self.url):
            while chunk := self.stream.read(CHUNK):
                received += len(chunk)
                yield chunk
                _refuse_crawl(self.url, received, time.monotonic() - start)
        if self.length is not None and received < self.length:
            raise CutError("the connection was cut", where=self.url, why=f"{received} of {self.length} bytes arrived")


@contextlib.contextmanager
def open_url(url: str, *, method: str = "GET", offset: int = 0) -> Iterator[Response]:
    """GET or HEAD `url`. With `offset` the rest is asked for; `Response.offset` says where the answer begins.

    Proxies come from the environment, an own CA from SSL_CERT_FILE. Raises WebError, MissingError, CutError.
    """
    headers = {"User-Agent": _user_agent(), "Accept-Encoding": "identity"}
    if offset:
        headers["Range"] = f"bytes={offset}-"
    with _explained(url):
        request = urllib.request.Request(url, method=method, headers=headers)  # noqa: S310  (the opener knows http and https alone)
        answer = _opener().open(request, timeout=SILENCE_SECONDS)
    with answer:
        begin = offset if answer.status == 206 else 0
        yield Response(url, answer, _content_length(answer.headers), begin, answer.headers.get_content_type())


def read_small(url: str, *, limit: int = CHUNK) -> bytes:
    """The whole body, at most `limit` bytes. Raises WebError."""
    body = bytearray()
    with open_url(url) as response:
        for chunk in response.chunks():
            body += chunk
            if len(body) > limit:
                raise WebError("the file is too large for what it should be", where=url, why=f"more than {limit} bytes")
    return bytes(body)


def exists(url: str) -> bool:
    """There is a file, as far as the server says. Raises WebError when it can't be asked."""
    for method in ("HEAD", "GET"):  # not every server knows HEAD
        try:
            with open_url(url, method=method):
                return True
        except MissingError:
            return False
        except WebError:
            if method == "GET":
                raise
    return False


def measure(url: str) -> int:
    """The size of a file in bytes, without reading it. Raises WebError."""
    for method in ("HEAD", "GET"):
        try:
            with open_url(url, method=method) as response:
                if response.length:
                    return response.length
        except WebError as error:
            if method == "GET" or isinstance(error, MissingError):
                raise
    raise WebError("the server does not say how large the file is", where=url)


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but not out of TLS; HEAD stays HEAD."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: Any,  # noqa: ANN401
        newurl: str,
    ) -> urllib.request.Request | None:
        if req.type == "https" and urlsplit(newurl).scheme != "https":
            raise WebError("refused a redirect from https to an unprotected address", where=req.full_url, why=newurl)
        following = super().redirect_request(req, fp, code, msg, headers, newurl)
        if following is not None:
            following.method = req.get_method()
        return following


def _opener() -> urllib.request.OpenerDirector:
    """Only what is needed: urllib's usual opener also reads file: and ftp: addresses."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.UnknownHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(context=_context(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))),
        _SafeRedirects(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener


@functools.cache
def _context(*_: str | None) -> ssl.SSLContext:
    """Reading the system's CAs takes 40 ms: once for each setting of the variables that name them."""
    return ssl.create_default_context()


def _user_agent() -> str:
    from bootstrap import __version__

    return f"bootstrap/{__version__}"


def _content_length(headers: Any) -> int | None:  # noqa: ANN401
    value = headers.get("Content-Length")
    return int(value) if value and value.isdecimal() else None


def _refuse_crawl(url: str, received: int, seconds: float) -> None:
    if seconds > _PATIENCE and received / seconds < _SLOWEST:
        raise CutError("the download crawls", where=url, why=f"{received} bytes in {seconds:.0f} s")


# --- errors --------------------------------------------------------------------------------------


@contextlib.contextmanager
def _explained(url: str) -> Iterator[None]:
    """Turns whatever urllib, ssl and the operating system raise into a WebError of the right kind."""
    try:
        yield
    except LockError:
        raise
    except urllib.error.HTTPError as error:
        with error:
            raise _explain_status(error.code, url) from error
    except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError) as error:
        raise _explain(error, url) from error


def _explain_status(status: int, url: str) -> WebError:
    if status in (404, 410):
        return MissingError("there is no such file", where=url, why=f"the server answered {status}")
    kind = CutError if status == 429 or status >= 500 else WebError
    return kind("the server does not give the file", where=url, why=f"it answered {status}", next_step=_proxy_hint(url))


def _explain(error: Exception, url: str) -> WebError:
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(reason, ssl.SSLCertVerificationError):
        return WebError(
            "the server's certificate can't be verified",
            where=url,
            why=str(reason.verify_message),
            next_step="if it is signed by your own CA, name the CA's file in SSL_CERT_FILE",
        )
    is_odd = isinstance(reason, (ValueError, http.client.InvalidURL, str))
    kind = WebError if is_odd else CutError
    why = str(reason) or type(reason).__name__
    return kind("the server can't be reached", where=url, why=why, next_step=_proxy_hint(url))


def _proxy_hint(url: str) -> str:
    """Names the variable and not its value, which may hold a password."""
    parts = urlsplit(url)
    if parts.scheme not in urllib.request.getproxies() or urllib.request.proxy_bypass(parts.netloc):
        return ""
    return f"a proxy was used: check {parts.scheme.upper()}_PROXY and NO_PROXY"
