"""Files put on a real sshd and on this machine: whole or not at all, owner and mode before content."""

import contextlib
import hashlib
import io
import os
import secrets
import shutil
import signal
import stat
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from private_sshd import Relay, Sshd, attempt, running, tcp_server, wait_for

from bootstrap.errors import ConnectionLostError, TransportError
from bootstrap.transport import Transport
from bootstrap.transport.local import LocalTransport
from bootstrap.transport.ssh import connect


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture(params=["ssh", "local"])
def host(request: pytest.FixtureRequest) -> Iterator[Transport]:
    """The same promises over both doors."""
    if os.geteuid() != 0:
        pytest.skip("owners can be set by root only")
    if request.param == "local":
        yield LocalTransport()
        return
    server = request.getfixturevalue("sshd")
    transport = connect("box", server.connection(), server.settings())
    yield transport
    transport.close()


def put(host: Transport, content: bytes, path: Path, **more: str) -> None:
    host.put(content, str(path), **{"sha256": sha256(content), **more})


def refusal(host: Transport, content: bytes, path: Path, **more: str) -> str:
    with pytest.raises(TransportError) as caught:
        put(host, content, path, **more)
    return str(caught.value)


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if ".bootstrap-" in path.name]


@contextlib.contextmanager
def mounted(folder: Path, options: str) -> Iterator[Path]:
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.parametrize(
    "content", [b"", b"one\n", bytes(range(256)) * 3, b"x" * 5_000_000], ids=["0", "4", "768", "5M"]
)
def test_every_byte_arrives_with_mode_and_owner(host: Transport, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    put(host, content, path, mode="0640", owner="daemon:root")
    assert path.read_bytes() == content
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert (path.owner(), path.group()) == ("daemon", "root")
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize(
    "name", ["with space", "it's", 'a"b', "$HOME", "-rf", "*", "a;b", "ü", "line\nbreak", ".hidden"]
)
def test_any_name_is_a_name(host: Transport, tmp_path: Path, name: str) -> None:
    put(host, b"content", tmp_path / name / name)
    assert (tmp_path / name / name).read_bytes() == b"content"


def test_missing_folders_are_made_for_all_to_read(host: Transport, tmp_path: Path) -> None:
    put(host, b"content", tmp_path / "a" / "b" / "file", mode="0600")
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o755


def test_a_file_object_is_read_from_where_it_stands(host: Transport, tmp_path: Path) -> None:
    stream = io.BytesIO(b"headcontent")
    stream.seek(4)
    host.put(stream, str(tmp_path / "file"), sha256=sha256(b"content"))
    assert (tmp_path / "file").read_bytes() == b"content"


def test_a_large_binary_is_streamed(host: Transport, tmp_path: Path) -> None:
    source = tmp_path / "source"
    with source.open("wb") as file:
        for _ in range(70):
            file.write(secrets.token_bytes(1 << 20))
    with source.open("rb") as file:
        host.put(
            file,
            str(tmp_path / "k3s"),
            mode="0755",
            sha256=hashlib.file_digest(source.open("rb"), "sha256").hexdigest(),
        )
    assert subprocess.run(["cmp", source, tmp_path / "k3s"], check=False).returncode == 0


def test_what_is_replaced_is_replaced_whole_and_a_link_is_not_followed(host: Transport, tmp_path: Path) -> None:
    (tmp_path / "target").write_text("mine")
    (tmp_path / "file").symlink_to("target")
    put(host, b"new", tmp_path / "file")
    assert not (tmp_path / "file").is_symlink()
    assert (tmp_path / "target").read_text() == "mine"


def test_a_running_program_can_be_replaced(host: Transport, tmp_path: Path) -> None:
    program = tmp_path / "program"
    shutil.copy("/bin/sleep", program)
    process = subprocess.Popen([program, "60"])
    put(host, b"#!/bin/sh\n", program, mode="0755")
    assert program.read_bytes() == b"#!/bin/sh\n"
    process.kill()
    process.wait()


def test_content_never_stands_under_a_wider_mode_than_the_final_one(host: Transport, tmp_path: Path) -> None:
    """The temporary file has its owner and mode while it is still empty."""
    seen: list[tuple[int, int, int]] = []
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            for path in tmp_path.glob(".file.bootstrap-*"):
                with contextlib.suppress(OSError):
                    found = path.stat()
                    seen.append((found.st_size, stat.S_IMODE(found.st_mode), found.st_uid))

    thread = threading.Thread(target=watch)
    thread.start()
    put(host, b"secret" * 500_000, tmp_path / "file", mode="0600", owner="daemon")
    done.set()
    thread.join()
    with_content = {(mode, uid) for size, mode, uid in seen if size}
    assert with_content == {(0o600, 1)}
    assert {mode for size, mode, _ in seen if not size} <= {0o600}


def test_wrong_content_never_takes_the_name(host: Transport, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    message = refusal(host, b"new", path, sha256=sha256(b"other"))
    assert "does not have the sha256" in message
    assert path.read_text() == "old"
    assert leftovers(tmp_path) == []


def test_an_unknown_owner_or_a_bad_mode_is_named(host: Transport, tmp_path: Path) -> None:
    assert "owner nobody-at-all" in refusal(host, b"new", tmp_path / "file", owner="nobody-at-all")
    assert "mode 99" in refusal(host, b"new", tmp_path / "file", mode="99")
    assert list(tmp_path.iterdir()) == []


def test_no_space_is_seen_before_a_byte_is_written(host: Transport, tmp_path: Path) -> None:
    with mounted(tmp_path / "small", "size=1m") as folder:
        (folder / "file").write_text("old")
        message = refusal(host, b"x" * 3_000_000, folder / "file")
        assert str(folder / "file") in message
        assert "3000000 bytes needed" in message
        assert f"bytes free on {folder}" in message
        assert (folder / "file").read_text() == "old"
        assert leftovers(folder) == []


class FillsTheDisk(io.BytesIO):
    """Content at whose first read, when the temporary file is there, the rest of the disk is used up."""

    def __init__(self, content: bytes, folder: Path) -> None:
        super().__init__(content)
        self.folder = folder

    def read(self, size: int | None = -1) -> bytes:
        if self.tell():
            return super().read(size)
        wait_for(lambda: leftovers(self.folder), "the temporary file")
        with contextlib.suppress(OSError), (self.folder / "filler").open("wb", buffering=0) as filler:
            while True:
                filler.write(b"x" * 4096)
        return super().read(size)


def test_space_that_runs_out_midway_leaves_the_old_file(host: Transport, tmp_path: Path) -> None:
    with mounted(tmp_path / "small", "size=2m") as folder:
        (folder / "file").write_text("old")
        source = FillsTheDisk(b"x" * 1_500_000, folder)
        with pytest.raises(TransportError) as caught:
            host.put(source, str(folder / "file"), sha256=sha256(b"x" * 1_500_000))
        assert "no space: 1500000 bytes needed" in str(caught.value)
        assert (folder / "file").read_text() == "old"
        assert leftovers(folder) == []


def test_a_read_only_file_system_is_named(host: Transport, tmp_path: Path) -> None:
    with mounted(tmp_path / "fixed", "ro") as folder:
        message = refusal(host, b"new", folder / "file")
        assert "Read-only file system" in message
        assert f"file system {folder}" in message
        assert "Read-only file system" in refusal(host, b"new", folder / "sub" / "file")


def test_a_busy_target_is_named_and_stays(host: Transport, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    subprocess.run(["mount", "--bind", path, path], check=True)
    try:
        assert "busy" in refusal(host, b"new", path)
    finally:
        subprocess.run(["umount", path], check=True)
    assert path.read_text() == "old"
    assert leftovers(tmp_path) == []


def test_a_folder_in_the_place_of_the_file_is_an_error(host: Transport, tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    assert "can't take its name" in refusal(host, b"new", tmp_path / "file")
    (tmp_path / "plain").write_text("")
    assert "folder can't be made" in refusal(host, b"new", tmp_path / "plain" / "file")


@pytest.mark.parametrize("path", ["relative", "/ends/with/"])
def test_a_path_that_is_none_is_the_callers_mistake(host: Transport, path: str) -> None:
    with pytest.raises(ValueError, match="absolute path"):
        host.put(b"", path, sha256=sha256(b""))


def test_what_a_killed_run_left_is_swept_and_a_living_writer_is_not(host: Transport, tmp_path: Path) -> None:
    stale = tmp_path / ".file.bootstrap-999999-1"
    stale.write_text("half")
    other = tmp_path / ".other.bootstrap-999999-1"
    other.write_text("half")
    alive = tmp_path / f".file.bootstrap-{os.getpid()}-1"
    reused = tmp_path / f".file.bootstrap-{os.getppid()}-1"  # a process of that number lives, but not as its writer
    reused.write_text("half")
    with alive.open("w") as file:
        before = os.dup(4) if Path("/proc/self/fd/4").exists() else None
        os.dup2(file.fileno(), 4)
        put(host, b"new", tmp_path / "file")
        os.close(4) if before is None else (os.dup2(before, 4), os.close(before))
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([alive.name, other.name, "file"])


def test_a_file_changed_between_upload_and_rename_is_caught_by_the_host(sshd: Sshd, tmp_path: Path) -> None:
    """The sum is taken of what is on the disk, not of what went over the line."""
    transport = connect("box", sshd.connection(), sshd.settings())
    content = b"x" * 20_000_000
    done = threading.Event()

    def spoil() -> None:
        while not done.is_set():
            for path in tmp_path.glob(".file.bootstrap-*"):
                with contextlib.suppress(OSError), path.open("r+b") as file:
                    file.write(b"Y")
                    return

    thread = threading.Thread(target=spoil)
    thread.start()
    with pytest.raises(TransportError, match="was not written"):
        transport.put(content, str(tmp_path / "file"), sha256=sha256(content))
    done.set()
    thread.join()
    assert list(tmp_path.iterdir()) == []
    transport.close()


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_cut_upload_never_shows_under_the_name_and_the_host_cleans_up(
    make_sshd: Callable[..., Sshd], tmp_path: Path, share: float
) -> None:
    server = make_sshd()
    content = secrets.token_bytes(20_000_000)
    relay = Relay(server.port)
    passed = 0

    def count(data: bytes) -> bytes:
        nonlocal passed
        passed += len(data)
        if passed > share * len(content):
            relay.cut()
        return data

    relay.bend = count
    path = tmp_path / "files" / "k3s"
    path.parent.mkdir()
    path.write_text("old")
    with tcp_server(relay.handle) as port:
        transport = connect("box", server.connection(port=port), server.settings(f"box {server.public_key()}"))
        with pytest.raises(ConnectionLostError):
            transport.put(content, str(path), sha256=sha256(content))
        transport.close()
    wait_for(lambda: not leftovers(path.parent), "the host to remove the half file")
    assert path.read_text() == "old"


def test_a_writer_killed_on_the_host_leaves_the_old_file_and_the_next_put_sweeps(
    make_sshd: Callable[..., Sshd], tmp_path: Path
) -> None:
    server = make_sshd()
    transport = connect("box", server.connection(), server.settings())
    path = tmp_path / "files" / "k3s"
    path.parent.mkdir()
    path.write_text("old")

    class Slow(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            time.sleep(0.2)
            return super().read(100_000)

    failures: list[BaseException] = []
    thread = threading.Thread(
        target=attempt, args=(lambda: transport.put(Slow(b"x" * 50_000_000), str(path), sha256="0"), failures)
    )
    thread.start()
    wait_for(lambda: leftovers(path.parent), "the upload to begin")
    for name in leftovers(path.parent):
        os.kill(int(name.split("-")[1]), signal.SIGKILL)
    thread.join(60)
    assert len(failures) == 1
    assert isinstance(failures[0], TransportError)
    assert path.read_text() == "old"
    assert len(leftovers(path.parent)) == 1
    put(transport, b"new", path)
    assert path.read_text() == "new"
    assert leftovers(path.parent) == []
    transport.close()


def test_a_source_that_can_not_be_read_to_its_end_is_not_waited_for(host: Transport, tmp_path: Path) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > 200_000:
                raise OSError("input/output error")
            return super().read(100_000)

    content = b"x" * 1_000_000
    with pytest.raises(TransportError):
        host.put(Broken(content), str(tmp_path / "file"), sha256=sha256(content))
    assert list(tmp_path.iterdir()) == []


def test_putting_a_file_is_one_channel_once_the_way_to_root_is_known(sshd: Sshd, tmp_path: Path) -> None:
    transport = connect("box", sshd.connection(), sshd.settings())
    transport.run("true")
    put(transport, b"x" * 3_000_000, tmp_path / "file")
    assert transport.executions == 2
    assert not running("dd bs=3000000")
    transport.close()
