"""The API adapter: every way of failing becomes one error with a cause, and none takes for ever."""

import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from bootstrap.api import open_api
from bootstrap.api_errors import Cause, RequestError, explain
from bootstrap.kubeconfig import KubeconfigError

from .fake_api import (
    TOKEN,
    Cluster,
    always,
    cut_in_the_middle,
    drip,
    issue_server,
    make_authority,
    make_kubeconfig,
    reset_every_second,
    serve,
    silence,
)


@pytest.fixture
def ask(tmp_path, authority, client):
    """Serves in a manner, asks one question, returns the error."""

    def ask(*, path="/version", seconds=10.0, trusted=authority, identity=client, settings=None, **serving):
        with serve(Cluster(), authority, tmp_path, **serving) as server:
            text = make_kubeconfig(server.url, trusted, identity, **(settings or {}))
            with open_api(text) as api, pytest.raises(RequestError) as caught:
                api.get(path, seconds=seconds)
        return caught.value

    return ask


def test_a_good_server_is_asked_with_the_client_certificate(tmp_path, authority, client):
    with (
        serve(Cluster(), authority, tmp_path) as server,
        open_api(make_kubeconfig(server.url, authority, client)) as api,
    ):
        assert api.get("/version")["gitVersion"] == "v1.36.3+k3s1"
        assert api.get_text("/readyz") == "ok"
        answer = api.ask("/readyz")
        assert abs(answer.time.timestamp() - time.time()) < 5
        assert answer.certificate_expiry > answer.time
        assert server.authorizations == [None] * 3


def test_a_token_is_sent_and_a_wrong_one_is_refused(tmp_path, authority):
    with serve(Cluster(), authority, tmp_path) as server:
        text = make_kubeconfig(server.url, authority)
        with open_api(text) as api:
            assert api.get_text("/readyz") == "ok"
        with open_api(text.replace(TOKEN, "wrong")) as api, pytest.raises(RequestError) as caught:
            api.get("/version")
        assert caught.value.cause is Cause.UNAUTHORIZED
        assert server.authorizations == [f"Bearer {TOKEN}", "Bearer wrong"]


def test_another_server_address_may_be_given(tmp_path, authority, client):
    with serve(Cluster(), authority, tmp_path) as server:
        text = make_kubeconfig("https://127.0.0.1:1", authority, client)
        with open_api(text, server=server.url + "/") as api:
            assert api.get_text("/readyz") == "ok"


def test_the_name_in_the_certificate_may_be_given_by_tls_server_name(tmp_path, authority, client):
    certificate = issue_server(authority, ("kubernetes.default",))
    with serve(Cluster(), authority, tmp_path, certificate=certificate) as server:
        text = make_kubeconfig(server.url, authority, client, **{"tls-server-name": "kubernetes.default"})
        with open_api(text) as api:
            assert api.get_text("/readyz") == "ok"


def test_a_dead_proxy_in_the_environment_is_not_used(tmp_path, authority, client, monkeypatch):
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with (
        serve(Cluster(), authority, tmp_path) as server,
        open_api(make_kubeconfig(server.url, authority, client)) as api,
    ):
        assert api.get_text("/readyz") == "ok"


def test_refused(authority, client):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: refuses
        text = make_kubeconfig(f"https://127.0.0.1:{taken.getsockname()[1]}", authority, client)
        with open_api(text) as api, pytest.raises(RequestError) as caught:
            api.get("/version")
    assert caught.value.cause is Cause.REFUSED
    assert not caught.value.cause.is_final


def test_a_name_that_does_not_resolve(authority, client):
    text = make_kubeconfig("https://no-such-host.invalid:6443", authority, client)
    with open_api(text) as api, pytest.raises(RequestError) as caught:
        api.get("/version", seconds=5)
    assert caught.value.cause in (Cause.UNREACHABLE, Cause.SILENT)


def test_silence_is_bounded_and_asked_once(tmp_path, authority, client):
    with serve(Cluster(), authority, tmp_path, manner=silence) as server:
        with open_api(make_kubeconfig(server.url, authority, client)) as api, pytest.raises(RequestError) as caught:
            api.get("/version", seconds=0.5)
        assert len(server.paths) == 1
    assert caught.value.cause is Cause.SILENT


def test_a_port_that_accepts_and_says_nothing_is_bounded(authority, client):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        text = make_kubeconfig(f"https://127.0.0.1:{listener.getsockname()[1]}", authority, client)
        with open_api(text) as api, pytest.raises(RequestError) as caught:
            api.get("/version", seconds=0.5)
    assert caught.value.cause is Cause.SILENT


def test_a_server_that_drips_bytes_is_bounded(ask):
    assert ask(manner=drip, seconds=1.0).cause is Cause.SILENT


def test_an_answer_cut_in_the_middle(ask):
    assert ask(manner=cut_in_the_middle).cause is Cause.CUT


def test_reset_every_second_request(tmp_path, authority, client):
    with serve(Cluster(), authority, tmp_path, manner=reset_every_second) as server:
        with open_api(make_kubeconfig(server.url, authority, client)) as api:
            assert api.get("/version")
            with pytest.raises(RequestError) as caught:
                api.get("/version")
            assert api.get("/version")
        assert len(server.paths) == 3
    assert caught.value.cause is Cause.CUT


def test_the_ca_of_a_rebuilt_cluster_is_final_and_says_what_to_do(ask):
    error = ask(trusted=make_authority())
    assert error.cause is Cause.WRONG_CA
    assert error.cause.is_final
    assert "bootstrap kubeconfig" in error.next_step


def test_an_expired_certificate_is_final(ask, authority):
    error = ask(certificate=issue_server(authority, days=-1))
    assert error.cause is Cause.EXPIRED
    assert error.cause.is_final
    assert "clock" in error.next_step


@pytest.mark.parametrize("name", ["10.9.9.9", "k3s.example"])
def test_a_certificate_for_another_address_is_refused(ask, authority, name):
    error = ask(certificate=issue_server(authority, (name,)))
    assert error.cause is Cause.WRONG_NAME
    assert error.cause.is_refusal
    assert "sans" in error.next_step


def test_a_certificate_for_another_tls_server_name_is_refused(ask):
    assert ask(settings={"tls-server-name": "other.example"}).cause is Cause.WRONG_NAME


@pytest.mark.parametrize(
    "reason", ["TLSV1_ALERT_UNKNOWN_CA", "SSLV3_ALERT_BAD_CERTIFICATE", "TLSV13_ALERT_CERTIFICATE_REQUIRED"]
)
def test_a_client_certificate_refused_by_tls_itself_is_unauthorized(reason):
    """The API server answers 401; a balancer that ends TLS sends an alert instead."""
    error = ssl.SSLError(1, f"[SSL: {reason}] alert")
    error.reason = reason
    assert explain(error, "https://x:6443").cause is Cause.UNAUTHORIZED


def test_a_web_server_without_tls(ask):
    assert ask(tls=False).cause in (Cause.TLS, Cause.CUT)


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        (401, Cause.UNAUTHORIZED),
        (403, Cause.FORBIDDEN),
        (404, Cause.REJECTED),
        (429, Cause.BUSY),
        (500, Cause.SERVER_ERROR),
        (503, Cause.SERVER_ERROR),
        (301, Cause.REJECTED),
    ],
)
def test_each_status_has_its_cause(ask, status, cause):
    body = b'{"kind": "Status", "message": "because\\u001b[31m of\\nthat"}'
    error = ask(manner=always(status, body, Location="https://elsewhere.example/"))
    assert error.cause is cause
    assert error.why == "because?[31m of that"


@pytest.mark.parametrize(("header", "seconds"), [("7", 7.0), ("soon", 0.0), ("-1", 0.0)])
def test_retry_after_is_told_and_never_obeyed_blindly(ask, header, seconds):
    error = ask(manner=always(429, Retry_After=header))
    assert (error.cause, error.retry_after) == (Cause.BUSY, seconds)


def test_readyz_that_fails_names_what_fails(ask):
    error = ask(
        path="/readyz", manner=always(500, b"[+]ping ok\n[-]etcd failed: reason withheld\nreadyz check failed\n")
    )
    assert error.why == "[-]etcd failed: reason withheld"


@pytest.mark.parametrize(
    "body", [b"<html><body>Welcome to nginx!</body></html>", b"", b"[]", b"null", b'{"a": ', b"[" * 100_000]
)
def test_an_answer_that_is_no_json_object_is_not_kubernetes(ask, body):
    assert ask(manner=always(200, body)).cause is Cause.NOT_KUBERNETES


def test_an_answer_without_end_is_given_up(ask, monkeypatch):
    monkeypatch.setattr("bootstrap.api.LARGEST_ANSWER", 100_000)
    error = ask(manner=always(200, b"a" * 300_000))
    assert "larger than" in error.why


def test_an_error_of_any_kind_gets_a_cause():
    error = explain(RuntimeError("odd"), "https://x:6443")
    assert (error.cause, error.why) == (Cause.REJECTED, "odd")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("server: https://127.0.0.1:6443", "server: http://127.0.0.1:6443", "must be https"),
        (
            "server: https://127.0.0.1:6443",
            "server: https://127.0.0.1:6443\n    insecure-skip-tls-verify: true",
            "verification",
        ),
        ("certificate-authority-data:", "certificate-authority:", "no `certificate-authority-data`"),
        ("certificate-authority-data: ", "certificate-authority-data: '!'\n    x: ", "damaged"),
        ("certificate-authority-data: ", "certificate-authority-data: bm8=\n    x: ", "CA certificate can't be read"),
        ("client-key-data: ", "client-key-data: bm8=\n    x: ", "client certificate can't be used"),
        ("client-key-data: ", "client-key: ", "no identity"),
        ("current-context: default", "current-context: other", "no entry `other`"),
    ],
)
def test_a_kubeconfig_that_is_not_safe_or_whole_is_refused(authority, client, old, new, message):
    text = make_kubeconfig("https://127.0.0.1:6443", authority, client)
    assert old in text
    with pytest.raises(KubeconfigError, match=message), open_api(text.replace(old, new)):
        pass


def test_no_key_stays_on_disk_while_the_connection_is_open(tmp_path, authority, client, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    seen = []
    load = ssl.SSLContext.load_cert_chain

    def look(context, file):
        seen.append((oct(Path(file).stat().st_mode & 0o777), oct(Path(file).parent.stat().st_mode & 0o777)))
        return load(context, file)

    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", look)
    with open_api(make_kubeconfig("https://127.0.0.1:6443", authority, client)):
        assert seen == [("0o600", "0o700")]
        assert list(tmp_path.iterdir()) == []


def test_what_a_killed_run_left_is_swept(tmp_path, authority, client, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    left = tmp_path / "bootstrap-api-left"
    left.mkdir()
    (left / "identity.pem").write_text("key")
    os.utime(left, (time.time() - 3600,) * 2)
    (tmp_path / "other").mkdir()
    with open_api(make_kubeconfig("https://127.0.0.1:6443", authority, client)):
        assert [path.name for path in tmp_path.iterdir()] == ["other"]


def test_the_heavy_parts_of_the_kubernetes_package_are_never_imported(authority, client):
    text = make_kubeconfig("https://127.0.0.1:6443", authority, client)
    program = (
        "import sys\nfrom bootstrap.api import open_api\nassert 'kubernetes' not in sys.modules\n"
        f"with open_api({text!r}): pass\n"
        "assert not [name for name in sys.modules if name.startswith('kubernetes.client.api.core')]"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_questions_from_many_threads_get_their_own_answers(tmp_path, authority, client):
    with (
        serve(Cluster(), authority, tmp_path) as server,
        open_api(make_kubeconfig(server.url, authority, client)) as api,
    ):
        answers: dict[int, str] = {}
        paths = ["/readyz", "/version"]
        threads = [
            threading.Thread(target=lambda i=i: answers.update({i: api.get_text(paths[i % 2])})) for i in range(20)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(answers) == 20
    assert all((text == "ok") == (index % 2 == 0) for index, text in answers.items())
