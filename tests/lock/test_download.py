"""Only the locked bytes ever leave the cache, whatever the source sends, and however often it breaks."""

import hashlib
import multiprocessing
import os
import ssl
import threading
from dataclasses import replace

import pytest

from bootstrap.download import obtain
from bootstrap.errors import ExitCode, LockError
from bootstrap.model import LockedFile
from bootstrap.web import MissingError, WebError, measure, open_url, read_small

from .file_server import always, cut, flip, in_turn, make_certificate, reset, serve, without_length, without_ranges

CONTENT = bytes(range(256)) * 12_000  # 3 MB: several chunks
PATH = "/k3s-io/k3s/releases/download/v1.36.3+k3s1/k3s"
pytestmark = pytest.mark.timeout(60)


def lock(url, content=CONTENT):
    return LockedFile("k3s", "v1.36.3+k3s1", "amd64", url, len(content), hashlib.sha256(content).hexdigest())


def locked_at(server, content=CONTENT):
    return lock(server.url + PATH, content)


NOWHERE = lock("http://127.0.0.1:9/k3s-io/k3s/releases/download/v1.36.3%2Bk3s1/k3s")


def names(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def refuse(file, cache, mirror=None):
    with pytest.raises(LockError) as caught:
        obtain(file, mirror, cache)
    assert not list(cache.rglob("k3s"))
    assert caught.value.exit_code is ExitCode.ERROR
    return caught.value


def test_a_file_is_downloaded_once_and_then_comes_from_the_cache(tmp_path):
    with serve({PATH: CONTENT}) as server:
        for _ in range(2):
            path = obtain(locked_at(server), None, tmp_path)
            assert path.read_bytes() == CONTENT
        assert server.got() == [PATH]
    assert names(tmp_path) == [".stamp", "k3s"]
    assert oct(path.parent.stat().st_mode & 0o777) == "0o700"


def test_each_download_is_announced(tmp_path):
    lines = []
    with serve({PATH: CONTENT}) as server:
        obtain(locked_at(server), None, tmp_path, note=lines.append)
        obtain(locked_at(server), None, tmp_path, note=lines.append)
        assert lines == [f"downloading k3s v1.36.3+k3s1 amd64 from {server.url}{PATH}"]


@pytest.mark.parametrize("damage", ["flip", "truncate", "grow"])
def test_a_cached_file_that_changed_is_fetched_anew(tmp_path, damage):
    with serve({PATH: CONTENT}) as server:
        path = obtain(locked_at(server), None, tmp_path)
        damaged = {"flip": b"X" + CONTENT[1:], "truncate": CONTENT[:-1], "grow": CONTENT + b"X"}[damage]
        path.write_bytes(damaged)
        assert obtain(locked_at(server), None, tmp_path).read_bytes() == CONTENT
        assert len(server.got()) == 2


def test_a_cached_file_with_another_stamp_is_hashed_and_kept(tmp_path):
    with serve({PATH: CONTENT}) as server:
        path = obtain(locked_at(server), None, tmp_path)
        for stamp in (None, "", "[1, 2, 3]", "not json"):
            path.with_name(".stamp").unlink() if stamp is None else path.with_name(".stamp").write_text(stamp)
            assert obtain(locked_at(server), None, tmp_path) == path
        assert len(server.got()) == 1


def test_a_damaged_file_of_the_same_size_and_time_is_noticed_by_its_inode(tmp_path):
    with serve({PATH: CONTENT}) as server:
        path = obtain(locked_at(server), None, tmp_path)
        times = (path.stat().st_atime_ns, path.stat().st_mtime_ns)
        other = tmp_path / "other"
        other.write_bytes(b"X" + CONTENT[1:])
        os.utime(other, ns=times)
        other.replace(path)
        assert obtain(locked_at(server), None, tmp_path).read_bytes() == CONTENT


# --- bytes that are not the locked ones ----------------------------------------------------------


@pytest.mark.parametrize(
    ("manner", "why"),
    [
        (flip, "instead of"),
        (always(200, CONTENT[:-1]), "3071999 bytes"),
        (always(200, CONTENT + b"x"), "3072001 bytes"),
        (always(200, b"<html>please log in</html>", Content_Type="text/html"), "text/html"),
        (always(200, b""), "0 bytes"),
    ],
    ids=["flipped", "short", "long", "page", "empty"],
)
def test_other_bytes_are_refused_at_the_first_sight_and_nothing_stays(tmp_path, manner, why):
    with serve({PATH: CONTENT}, manner) as server:
        error = refuse(locked_at(server), tmp_path)
        assert len(server.requests) == 1
        assert error.where == server.url + PATH
    assert "differ from the lock" in error.what
    assert why in error.why
    assert names(tmp_path) == []


def test_an_answer_without_length_is_cut_at_the_locked_size(tmp_path):
    with serve({PATH: CONTENT * 3}, without_length) as server:
        assert "more than 3072000 bytes" in refuse(locked_at(server), tmp_path).why
    with serve({PATH: CONTENT}, without_length) as server:
        assert obtain(locked_at(server), None, tmp_path).read_bytes() == CONTENT


def test_a_page_of_the_locked_size_is_called_a_page(tmp_path):
    page = b"\n <!DOCTYPE html>" + b" " * (len(CONTENT) - 17)
    with serve({PATH: page}) as server:
        assert refuse(locked_at(server), tmp_path).why == "it is a web page"


def test_a_mirror_with_other_bytes_is_refused_although_upstream_is_good(tmp_path):
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    (mirror / "k3s").write_bytes(b"X" + CONTENT[1:])
    with serve({PATH: CONTENT}) as server:
        error = refuse(locked_at(server), tmp_path / "cache", str(mirror))
        assert server.requests == []
    assert error.where == str(mirror / "k3s")


# --- connections that break ----------------------------------------------------------------------


def test_a_cut_download_goes_on_where_it_was_cut(tmp_path):
    with serve({PATH: CONTENT}, cut(0.5, times=1)) as server:
        assert obtain(locked_at(server), None, tmp_path).read_bytes() == CONTENT
        assert [(wanted or "all") for _, _, wanted in server.requests] == ["all", f"bytes={len(CONTENT) // 2}-"]
    assert names(tmp_path) == [".stamp", "k3s"]


def test_a_server_without_ranges_sends_it_all_again(tmp_path):
    with serve({PATH: CONTENT}, in_turn(cut(0.5), without_ranges)) as server:
        assert obtain(locked_at(server), None, tmp_path).read_bytes() == CONTENT


def test_a_download_that_is_always_cut_fails_after_three_attempts(tmp_path):
    with serve({PATH: CONTENT}, cut(0.5)) as server:
        error = refuse(locked_at(server), tmp_path)
        assert len(server.requests) == 3
    assert "the connection was cut" in error.why
    assert "mirror" in error.next_step


def test_the_next_run_goes_on_with_what_a_failed_run_got(tmp_path):
    with serve({PATH: CONTENT}, cut(0.5, times=3)) as server:
        refuse(locked_at(server), tmp_path)
        assert obtain(locked_at(server), None, tmp_path).read_bytes() == CONTENT
        assert server.requests[-1][2] == f"bytes={len(CONTENT) * 7 // 8}-"


def test_leftovers_of_other_bytes_are_dropped_and_the_file_fetched_from_its_start(tmp_path):
    with serve({PATH: CONTENT}) as server:
        folder = tmp_path / locked_at(server).sha256
        folder.mkdir()
        for leftover in (b"X" * 100_000, CONTENT + b"X"):
            (folder / ".partial").write_bytes(leftover)
            assert obtain(locked_at(server), None, tmp_path).read_bytes() == CONTENT
            (folder / "k3s").unlink()


def test_a_bad_file_does_not_become_good_by_going_on(tmp_path):
    wrong = b"X" + CONTENT[1:]
    with serve({PATH: wrong}, cut(0.5, times=1)) as server:
        error = refuse(locked_at(server), tmp_path)
    assert "differ from the lock" in error.what
    assert names(tmp_path) == []


@pytest.mark.parametrize("manner", [always(503), always(429), reset], ids=["503", "429", "reset"])
def test_a_server_that_is_unwell_is_tried_again(tmp_path, manner):
    with serve({PATH: CONTENT}, in_turn(manner, manner)) as server:
        assert obtain(locked_at(server), None, tmp_path).read_bytes() == CONTENT
        assert len(server.requests) == 3


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_server_that_says_no_is_not_asked_again(tmp_path, status):
    with serve({PATH: CONTENT}, always(status)) as server:
        assert str(status) in refuse(locked_at(server), tmp_path).why
        assert len(server.requests) == 1


def test_nothing_listens(tmp_path):
    assert "127.0.0.1:9" in refuse(NOWHERE, tmp_path).why


def test_a_dead_proxy_is_named_without_its_password(tmp_path, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://me:hunter2@127.0.0.1:9")
    with pytest.raises(WebError) as caught, open_url("http://203.0.113.1/k3s"):
        pass
    assert "HTTP_PROXY" in caught.value.next_step
    assert "hunter2" not in str(caught.value)


def test_no_proxy_is_honoured(tmp_path, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serve({PATH: CONTENT}) as server:
        assert obtain(locked_at(server), None, tmp_path).read_bytes() == CONTENT


# --- mirrors -------------------------------------------------------------------------------------


def test_a_folder_mirror_needs_no_network(tmp_path):
    place = tmp_path / "mirror" / "v1.36.3%2Bk3s1"
    place.mkdir(parents=True)
    (place / "k3s").write_bytes(CONTENT)
    path = obtain(NOWHERE, str(tmp_path / "mirror"), tmp_path / "cache")
    assert path.read_bytes() == CONTENT
    assert path.is_relative_to(tmp_path / "cache")


@pytest.mark.parametrize("folder", ["", "/v1.36.3+k3s1", "/k3s/v1.36.3+k3s1", "/releases/download/v1.36.3+k3s1"])
def test_a_web_mirror_is_searched_in_each_layout(tmp_path, folder):
    with serve({f"/mirror{folder}/k3s": CONTENT}) as server:
        assert obtain(NOWHERE, f"{server.url}/mirror", tmp_path).read_bytes() == CONTENT


def test_what_the_mirror_lacks_comes_from_upstream(tmp_path):
    (tmp_path / "mirror").mkdir()
    with serve({PATH: CONTENT}) as server, serve({}) as empty:
        for number, mirror in enumerate((str(tmp_path / "mirror"), empty.url)):
            assert obtain(locked_at(server), mirror, tmp_path / str(number)).read_bytes() == CONTENT


def test_every_source_that_failed_is_named(tmp_path):
    (tmp_path / "mirror").mkdir()
    error = refuse(NOWHERE, tmp_path / "cache", str(tmp_path / "mirror"))
    assert str(tmp_path / "mirror") in error.why
    assert "127.0.0.1:9" in error.why


def test_a_mirror_folder_that_is_not_there_is_an_error_of_its_own(tmp_path):
    assert "no folder" in refuse(NOWHERE, tmp_path / "cache", str(tmp_path / "none")).what


# --- TLS and redirects ---------------------------------------------------------------------------


@pytest.fixture
def certificate(tmp_path_factory):
    return make_certificate(tmp_path_factory.mktemp("tls") / "server.pem")


def test_a_certificate_that_cannot_be_verified_is_refused_at_once(tmp_path, certificate):
    with serve({PATH: CONTENT}, tls=certificate) as server:
        error = refuse(locked_at(server), tmp_path)
        assert server.requests == []
    assert "can't be verified" in error.why


def test_an_own_ca_is_taken_from_the_environment(tmp_path, certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with serve({PATH: CONTENT}, tls=certificate) as server:
        assert obtain(locked_at(server), None, tmp_path).read_bytes() == CONTENT


def test_a_redirect_out_of_tls_is_refused(tmp_path, certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with serve({PATH: CONTENT}) as plain, serve({}, always(302, Location=plain.url + PATH), tls=certificate) as server:
        error = refuse(locked_at(server), tmp_path)
        assert plain.requests == []
    assert "refused a redirect" in error.why


@pytest.mark.parametrize("scheme", ["file:///etc/hostname", "ftp://127.0.0.1/k3s", "data:,x"])
def test_a_redirect_to_another_scheme_is_refused(tmp_path, scheme):
    with serve({}, always(302, Location=scheme)) as server:
        refuse(locked_at(server), tmp_path)


@pytest.mark.parametrize(
    "url", ["file:///etc/hostname", "ftp://127.0.0.1/k3s", "data:,x", "nonsense", "http://bad host/"]
)
def test_only_http_and_https_are_read(url):
    with pytest.raises(WebError):
        read_small(url)


def test_a_redirect_within_tls_is_followed_and_head_stays_head(tmp_path, certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))

    def send_on(handler, content, number):
        if handler.path != "/old":
            return False
        handler.reply(302, b"", Location=PATH)
        return True

    with serve({PATH: CONTENT}, send_on, tls=certificate) as server:
        assert measure(f"{server.url}/old") == len(CONTENT)
        assert server.got("HEAD") == ["/old", PATH]
        assert server.got("GET") == []


def test_a_circle_of_redirects_ends(tmp_path):
    with serve({}, always(302, Location="/again")) as server:
        refuse(locked_at(server), tmp_path)


def test_a_small_file_that_is_large_is_given_up():
    with serve({"/sums": b"x" * 5000}) as server, pytest.raises(WebError, match="too large"):
        read_small(f"{server.url}/sums", limit=1000)


def test_a_size_can_be_had_from_a_server_that_knows_no_head():
    def manner(handler, content, number):
        handler.reply(405, b"") if handler.command == "HEAD" else handler.reply(200, content)
        return True

    with serve({PATH: CONTENT}, manner) as server:
        assert measure(server.url + PATH) == len(CONTENT)
    with serve({}) as server, pytest.raises(MissingError):
        measure(server.url + PATH)


def test_a_certificate_store_is_used_and_verification_is_on():
    assert ssl.create_default_context().verify_mode is ssl.CERT_REQUIRED


# --- this machine --------------------------------------------------------------------------------


def test_many_threads_download_once(tmp_path):
    with serve({PATH: CONTENT}) as server:
        paths = []
        threads = [
            threading.Thread(target=lambda: paths.append(obtain(locked_at(server), None, tmp_path))) for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(server.got()) == 1
    assert len(paths) == 8


def test_two_processes_download_once(tmp_path):
    with serve({PATH: CONTENT}) as server:
        context = multiprocessing.get_context("fork")
        processes = [context.Process(target=obtain, args=(locked_at(server), None, tmp_path)) for _ in range(3)]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        assert [process.exitcode for process in processes] == [0, 0, 0]
        assert len(server.got()) == 1


def test_a_disk_without_room_is_told_before_the_download(tmp_path):
    with serve({PATH: CONTENT}) as server:
        error = refuse(replace(locked_at(server), size=10**17), tmp_path)
        assert server.requests == []
    assert "bytes are needed" in error.why


def test_a_cache_that_cannot_be_written_is_a_clear_error(tmp_path):
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(LockError, match="can't bring k3s"):
        obtain(NOWHERE, None, tmp_path / "cache")
