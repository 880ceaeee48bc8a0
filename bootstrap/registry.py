"""Container registries, read by their API with a token for nobody in particular: manifests and blobs by their digests.

Source: github.com/opencontainers/distribution-spec, "pulling manifests" and "pulling blobs".
"""

import contextlib
import hashlib
import http.client
import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from bootstrap.errors import LockError
from bootstrap.web import CHUNK, SILENCE_SECONDS, CutError, MissingError, WebError

# What a registry may answer with; whoever names none of them gets an old form, with another digest.
INDEX_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
MANIFEST_TYPES = (
    *INDEX_TYPES,
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_LARGEST_MANIFEST = 4 << 20  # bytes; the specification lets registries refuse a larger manifest
_CHALLENGE = re.compile(r'(realm|service|scope)="([^"]*)"')


@dataclass(frozen=True)
class Manifest:
    """A manifest, or an index of them, as its registry gave it."""

    content: bytes
    media_type: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @property
    def digest(self) -> str:
        return f"sha256:{self.sha256}"

    @property
    def fields(self) -> dict[str, Any]:
        """Raises LockError when it is no manifest at all."""
        try:
            fields = json.loads(self.content)
        except ValueError as error:
            raise LockError("the registry's manifest is not JSON", where=self.digest, why=str(error)) from error
        return fields if isinstance(fields, dict) else {}


@dataclass
class Repository:
    """One repository of a registry, `https://HOST/v2/PATH`; it keeps the token that it was given."""

    base: str
    token: str = ""

    def read_manifest(self, reference: str) -> Manifest:
        """By tag or digest. Raises MissingError, WebError, CutError, and LockError for bytes that are not what they are called."""
        url = f"{self.base}/manifests/{reference}"
        with self._open(url, ", ".join(MANIFEST_TYPES)) as answer:
            content = answer.read(_LARGEST_MANIFEST + 1)
            stated = str(answer.headers.get("Docker-Content-Digest") or "")
            kind = str(answer.headers.get_content_type())
        if len(content) > _LARGEST_MANIFEST:
            raise WebError("the manifest is too large", where=url, why=f"more than {_LARGEST_MANIFEST} bytes")
        manifest = Manifest(content, kind)
        for wanted in (stated, reference if reference.startswith("sha256:") else ""):
            if wanted and wanted != manifest.digest:
                raise _differs("the registry's manifest is not the one that it names", url, manifest.digest, wanted)
        return manifest

    def read_blob(self, digest: str) -> Iterator[bytes]:
        """The bytes as they come. Raises like read_manifest; LockError at the end when they have another digest."""
        url, total = f"{self.base}/blobs/{digest}", hashlib.sha256()
        with self._open(url, "*/*") as answer:
            while chunk := answer.read(CHUNK):
                total.update(chunk)
                yield chunk
        if digest != f"sha256:{total.hexdigest()}":
            raise _differs(
                "the registry's blob is not the one that was asked for", url, f"sha256:{total.hexdigest()}", digest
            )

    @contextlib.contextmanager
    def _open(self, url: str, accept: str) -> Iterator[Any]:
        with _explained(url), self._send(url, accept) as answer:
            if urlsplit(url).scheme == "https" and urlsplit(answer.url).scheme != "https":
                raise WebError("refused a redirect from https to an unprotected address", where=url, why=answer.url)
            yield answer

    def _send(self, url: str, accept: str) -> Any:  # noqa: ANN401 - http.client.HTTPResponse, or what a redirect gave
        """Asks for a token when the registry wants one, and again when the old one has run out."""
        try:
            return _request(url, accept, self.token)
        except urllib.error.HTTPError as error:
            challenge = error.headers.get("WWW-Authenticate") or ""
            if error.code != 401 or not challenge.startswith("Bearer "):
                raise
            error.close()
        self.token = _ask_token(challenge, url)
        return _request(url, accept, self.token)


def read_manifest(url: str) -> tuple[str, int]:
    """sha256 and size of the index of all architectures, or of the one manifest. Raises like Repository.read_manifest."""
    base, _, reference = url.rpartition("/manifests/")
    manifest = Repository(base).read_manifest(reference)
    return manifest.sha256, len(manifest.content)


def _request(url: str, accept: str, token: str) -> Any:  # noqa: ANN401
    from bootstrap import __version__

    headers = {"Accept": accept, "User-Agent": f"bootstrap/{__version__}"}
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - the caller's address is http or https
    if token:
        request.add_unredirected_header("Authorization", f"Bearer {token}")  # it is for this registry alone
    return urllib.request.urlopen(request, timeout=SILENCE_SECONDS)  # noqa: S310


def _ask_token(challenge: str, url: str) -> str:
    """The token that a registry gives to anybody for a public image (distribution/docs/content/spec/auth/token.md)."""
    asked = dict(_CHALLENGE.findall(challenge))
    realm = asked.pop("realm", "")
    if urlsplit(realm).scheme != urlsplit(url).scheme:
        raise WebError("the registry names no place for a token that can be trusted", where=url, why=challenge)
    try:
        with _request(f"{realm}?{urlencode(asked)}", "application/json", "") as answer:
            given = json.loads(answer.read(_LARGEST_MANIFEST))
        return str(given.get("token") or given["access_token"])
    except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError, AttributeError) as error:
        raise CutError("the registry gives no token to ask with", where=realm, why=str(error)) from error


def _differs(what: str, url: str, found: str, wanted: str) -> LockError:
    next_step = "a proxy may have changed it: ask again from another network"
    return LockError(what, where=url, why=f"its bytes have {found}, it says {wanted}", next_step=next_step)


@contextlib.contextmanager
def _explained(url: str) -> Iterator[None]:
    try:
        yield
    except LockError:
        raise
    except urllib.error.HTTPError as error:
        with error:
            raise _explain_status(error.code, url) from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        why = str(getattr(error, "reason", error)) or type(error).__name__
        raise CutError("the registry can't be reached", where=url, why=why) from error


def _explain_status(status: int, url: str) -> WebError:
    if status == 404:
        return MissingError("there is no such image", where=url, why="the registry answered 404")
    if status in (401, 403):
        return WebError(
            "the registry gives this image to nobody without a login", where=url, why=f"it answered {status}"
        )
    kind = CutError if status == 429 or status >= 500 else WebError
    return kind("the registry does not give the manifest", where=url, why=f"it answered {status}")
