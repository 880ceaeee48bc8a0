"""Images are locked by the digest of their manifest, from a registry on this machine that behaves as registries do."""

import hashlib
from pathlib import Path

import pytest

from bootstrap.driver import UpstreamFile
from bootstrap.errors import LockError
from bootstrap.lock import format_lock, image_of, manifest_url, parse_lock
from bootstrap.model import Lock
from bootstrap.registry import MANIFEST_TYPES, Repository, read_manifest
from bootstrap.upstream import lock_files
from bootstrap.web import CutError, MissingError, WebError

from .file_server import FileServer, Handler, always, make_certificate, serve

PATH = "/v2/kube-apiserver/manifests/v1.36.3"
INDEX = b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}'
DIGEST = hashlib.sha256(INDEX).hexdigest()
pytestmark = pytest.mark.timeout(60)


def image(server: FileServer) -> UpstreamFile:
    return UpstreamFile("image-kube-apiserver", "any", server.url + PATH, None, optional=True, version="v1.36.3")


def as_registry(handler: Handler, content: bytes, number: int) -> bool:
    """An old manifest for whoever does not say that he reads indexes, as registries give it."""
    accepts = handler.headers.get("Accept", "")
    body = content if all(kind in accepts for kind in MANIFEST_TYPES) else b"{}"
    stated = f"sha256:{hashlib.sha256(body).hexdigest()}"
    handler.reply(200 if content else 404, body, Docker_Content_Digest=stated)
    return True


def test_the_digest_is_the_hash_of_the_index_and_becomes_a_line_of_the_lock():
    with serve({PATH: INDEX}, as_registry) as server:
        (file,) = lock_files([image(server)], "v1.36.3", None)
        assert server.got() == [PATH]
    assert (file.sha256, file.size, file.version, file.arch) == (DIGEST, len(INDEX), "v1.36.3", "any")


def test_an_image_is_a_file_like_others_in_the_lock():
    url = manifest_url("registry.k8s.io/coredns/coredns:v1.14.2")
    with serve({PATH: INDEX}, as_registry) as server:
        (file,) = lock_files([image(server)], "v1.36.3", None)
    lock = Lock((type(file)("image-coredns", "v1.14.2", "any", url, file.size, file.sha256),))
    text = format_lock(lock, locked_by="bootstrap 0.1.0")
    assert parse_lock(text) == lock
    assert image_of(url) == "registry.k8s.io/coredns/coredns:v1.14.2"


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("registry.k8s.io/pause:3.10.2", "https://registry.k8s.io/v2/pause/manifests/3.10.2"),
        ("docker.io/library/busybox:1.37", "https://registry-1.docker.io/v2/library/busybox/manifests/1.37"),
        ("r.lan:5000/k8s/etcd:3.6.8-0", "https://r.lan:5000/v2/k8s/etcd/manifests/3.6.8-0"),
    ],
)
def test_images_and_the_places_of_their_manifests_tell_each_other(name, url):
    assert manifest_url(name) == url
    assert image_of(url) == name


def test_another_address_is_no_image():
    assert image_of("https://dl.k8s.io/release/v1.36.3/bin/linux/amd64/kubeadm") == ""


def test_a_registry_that_gives_other_bytes_than_it_names_is_refused():
    with serve({PATH: INDEX}, always(200, INDEX, Docker_Content_Digest=f"sha256:{'0' * 64}")) as server:
        with pytest.raises(LockError, match="not the one that it names") as caught:
            lock_files([image(server)], "v1.36.3", None)
        assert DIGEST in caught.value.why
        assert caught.value.next_step


def test_an_image_that_is_not_there_is_left_out_and_said():
    notes: list[str] = []
    with serve({}, as_registry) as server:
        assert lock_files([image(server)], "v1.36.3", None, note=notes.append) == ()
    assert "image-kube-apiserver v1.36.3 any: not published there, left out" in notes[0]


@pytest.mark.parametrize("status", [401, 403, 429, 503])
def test_an_image_that_is_not_given_is_left_out_and_the_reason_is_said(status):
    notes: list[str] = []
    with serve({}, always(status)) as server:
        assert lock_files([image(server)], "v1.36.3", None, note=notes.append) == ()
    assert str(status) in notes[0]
    assert "so its digest is not locked" in notes[0]


def test_a_registry_that_can_not_be_reached_is_named():
    with serve({}) as server:
        url = server.url + PATH
    with pytest.raises(CutError, match="can't be reached") as caught:
        read_manifest(url)
    assert caught.value.where == url


def test_a_registry_that_does_not_answer_is_asked_once():
    notes: list[str] = []
    with serve({}, always(503)) as server:
        images = [image(server)] * 7
        assert lock_files(images, "v1.36.3", None, note=notes.append) == ()
        assert len(server.got()) == 1
    assert len(notes) == 7


@pytest.mark.parametrize("answer", [b"", b"[]", b"{}", b"<html>"])
def test_a_token_that_is_none_is_told(answer):
    def manner(handler: Handler, content: bytes, number: int) -> bool:
        if handler.path.startswith("/token"):
            handler.reply(200, answer)
        else:
            handler.reply(401, b"", WWW_Authenticate=f'Bearer realm="http://{handler.headers["Host"]}/token"')
        return True

    with serve({}, manner) as server, pytest.raises(CutError, match="gives no token"):
        read_manifest(server.url + PATH)


@pytest.mark.parametrize("key", ["token", "access_token"])
def test_a_public_image_behind_a_token_is_read(key):
    """As ghcr.io, quay.io and docker.io want it: a token for nobody in particular."""

    def manner(handler: Handler, content: bytes, number: int) -> bool:
        if handler.path.startswith("/token?"):
            assert handler.path == "/token?service=here&scope=repository%3Akube-apiserver%3Apull"
            handler.reply(200, f'{{"{key}": "t0k3n"}}'.encode())
        elif handler.headers.get("Authorization") == "Bearer t0k3n":
            as_registry(handler, content, number)
        else:
            realm = f"http://{handler.headers['Host']}/token"
            scope = "repository:kube-apiserver:pull"
            challenge = f'Bearer realm="{realm}",service="here",scope="{scope}"'
            handler.reply(401, b"{}", WWW_Authenticate=challenge)
        return True

    with serve({PATH: INDEX}, manner) as server:
        assert read_manifest(server.url + PATH) == (DIGEST, len(INDEX))


def test_a_token_is_not_fetched_over_an_unprotected_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    certificate = make_certificate(tmp_path / "tls.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    challenge = 'Bearer realm="http://127.0.0.1:1/token",service="here"'
    with (
        serve({}, always(401, b"", WWW_Authenticate=challenge), tls=certificate) as server,
        pytest.raises(WebError, match="no place for a token that can be trusted"),
    ):
        read_manifest(server.url + PATH)


def test_a_redirect_out_of_tls_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    certificate = make_certificate(tmp_path / "tls.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with (
        serve({PATH: INDEX}, as_registry) as plain,
        serve({}, always(307, b"", Location=plain.url + PATH), tls=certificate) as server,
        pytest.raises(WebError, match="unprotected"),
    ):
        read_manifest(server.url + PATH)


def test_a_manifest_without_end_is_not_read():
    with serve({}, always(200, b" " * ((4 << 20) + 1))) as server, pytest.raises(WebError, match="too large"):
        read_manifest(server.url + PATH)


def test_a_missing_image_is_told_from_a_sick_registry():
    with serve({}, always(404)) as server, pytest.raises(MissingError, match="no such image"):
        read_manifest(server.url + PATH)


def test_a_blob_is_streamed_and_compared_with_its_digest():
    blob = b"layer" * 1000
    digest = f"sha256:{hashlib.sha256(blob).hexdigest()}"
    with serve({f"/v2/pause/blobs/{digest}": blob}) as server:
        repository = Repository(f"{server.url}/v2/pause")
        assert b"".join(repository.read_blob(digest)) == blob
        server.files[f"/v2/pause/blobs/{digest}"] = b"other"
        with pytest.raises(LockError, match="not the one that was asked for"):
            list(repository.read_blob(digest))


def test_other_bytes_under_a_digest_are_refused_though_the_registry_names_them_rightly():
    asked = "sha256:" + "0" * 64
    with (
        serve({f"/v2/pause/manifests/{asked}": INDEX}, as_registry) as server,
        pytest.raises(LockError, match="not the"),
    ):
        Repository(f"{server.url}/v2/pause").read_manifest(asked)


def test_a_token_serves_for_all_requests_until_the_registry_wants_a_new_one():
    tokens = iter(("one", "two"))
    current = ""

    def manner(handler: Handler, content: bytes, number: int) -> bool:
        nonlocal current
        if handler.path.startswith("/token"):
            current = next(tokens)
            handler.reply(200, f'{{"token": "{current}"}}'.encode())
        elif current and handler.headers.get("Authorization") == f"Bearer {current}":
            as_registry(handler, content, number)
        else:
            handler.reply(401, b"", WWW_Authenticate=f'Bearer realm="http://{handler.headers["Host"]}/token"')
        return True

    with serve({PATH: INDEX}, manner) as server:
        repository = Repository(f"{server.url}/v2/kube-apiserver")
        assert {repository.read_manifest("v1.36.3").sha256 for _ in range(3)} == {DIGEST}
        assert len(server.got()) == 5
        current = "another"
        assert repository.read_manifest("v1.36.3").sha256 == DIGEST
        assert repository.token == "two"
