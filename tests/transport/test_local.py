"""Scripts on this machine, in every shell that a host may have as its sh."""

import os
import shutil
import signal
import subprocess
import threading
from pathlib import Path

import pytest
from private_sshd import end_of, running, wait_for

from bootstrap.errors import DeadlineError, TransportError
from bootstrap.transport.local import LocalTransport


@pytest.fixture(params=["dash", "bash", "busybox"])
def shell(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """`sh` is this shell; with busybox every other command is its own as well."""
    found = shutil.which(request.param)
    if not found:
        pytest.skip(f"no {request.param} on this machine: apt-get install {request.param}")
    folder = tmp_path / "bin"
    folder.mkdir()
    if request.param == "busybox":
        subprocess.run([found, "--install", "-s", folder], check=True)
        monkeypatch.setenv("PATH", str(folder))
    else:
        (folder / "sh").symlink_to(found)
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return request.param


def test_streams_input_and_exit_code(shell: str) -> None:
    result = LocalTransport().run("readlink /proc/$$/exe; cat; echo err >&2; exit 3", stdin=bytes(range(128)))
    executable, _, rest = result.stdout.partition("\n")
    assert shell in executable
    assert rest == bytes(range(128)).decode()
    assert (result.stderr, result.exit_code) == ("err\n", 3)


def test_a_signal_shows_as_128_and_more_with_nothing_added_to_the_errors(shell: str) -> None:
    result = LocalTransport().run("kill -KILL $$")
    assert (result.exit_code, result.stdout, result.stderr) == (137, "", "")


def test_the_whole_group_ends_at_the_deadline(shell: str) -> None:
    with pytest.raises(DeadlineError):
        LocalTransport().run("sleep 86431 & trap '' TERM; sleep 86431; sleep 86431", deadline=1)
    wait_for(lambda: not running("sleep 86431"), "the group to end")


def test_no_watcher_stays(shell: str) -> None:
    LocalTransport().run("true", deadline=86432)
    wait_for(lambda: not running("86432"), "the watcher to go")


def test_a_process_left_behind_neither_holds_nor_ends(shell: str) -> None:
    assert LocalTransport().run("sleep 86433 & echo started").stdout == "started\n"
    wait_for(lambda: running("sleep 86433"), "the process left behind")
    end_of("sleep 86433")


def test_a_file_is_put(shell: str, tmp_path: Path) -> None:
    import hashlib

    content = os.urandom(3_000_000)
    owner = f"{os.geteuid()}:{os.getegid()}"
    path = tmp_path / "new folder" / "it's a file"
    stale = path.parent / f".{path.name}.bootstrap-999999-1"
    stale.parent.mkdir()
    stale.write_text("half")
    LocalTransport().put(content, str(path), mode="0750", owner=owner, sha256=hashlib.sha256(content).hexdigest())
    assert path.read_bytes() == content
    assert list(path.parent.iterdir()) == [path]


def test_the_folder_and_the_path_are_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert LocalTransport().run("pwd").stdout == f"{tmp_path}\n"


def test_large_input_and_output_cross(tmp_path: Path) -> None:
    content = b"0123456789abcde\n" * 300_000
    assert LocalTransport().run("cat", stdin=content).stdout.encode() == content


def test_unread_input_does_no_harm() -> None:
    assert LocalTransport().run("echo done", stdin=b"x" * 5_000_000).stdout == "done\n"


def test_too_much_output_is_cut_off() -> None:
    with pytest.raises(TransportError, match="more than 64 MiB"):
        LocalTransport().run("head -c 80000000 /dev/zero")


def test_an_interrupt_ends_what_runs_here() -> None:
    threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        LocalTransport().run("sleep 86434")
    wait_for(lambda: not running("sleep 86434"), "the script to end")


def test_nothing_is_escalated() -> None:
    assert LocalTransport().run("id -u").stdout == f"{os.geteuid()}\n"
