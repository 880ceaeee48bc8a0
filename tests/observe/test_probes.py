"""Probes in real shells on this machine: what they print is what is there, and they write nothing."""

import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from bootstrap.distros.k3s.probes import datastore_script, parse_datastore, parse_traces, traces_script
from bootstrap.facts import (
    ARCHES,
    SYSTEM_SCRIPT,
    parse_files,
    parse_record,
    parse_system,
    parse_units,
    probe_binaries,
    probe_distributions,
    probe_files,
    probe_record,
    probe_units,
)
from bootstrap.model import FileFacts, digest


@pytest.fixture(params=["dash", "busybox", "bash"])
def shell(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], str]:
    """A shell, and the PATH of its commands: busybox brings its own."""
    program = shutil.which(request.param)
    if program is None:
        pytest.skip(f"{request.param} is not installed: apt-get install {request.param}")
    if request.param != "busybox":
        return [program], os.environ["PATH"]
    folder = tmp_path_factory.mktemp("applets")
    for name in subprocess.run([program, "--list"], capture_output=True, text=True, check=True).stdout.split():
        (folder / name).symlink_to(program)
    return [program, "sh"], str(folder)


def run(shell: tuple[list[str], str], script: str) -> str:
    words, path = shell
    done = subprocess.run(
        [*words, "-c", script],
        capture_output=True,
        text=True,
        env={"PATH": path},
        stdin=subprocess.DEVNULL,
        check=False,
    )
    return done.stdout


def test_the_system_as_this_machine_knows_it(shell: tuple[list[str], str]) -> None:
    seen = parse_system(run(shell, SYSTEM_SCRIPT))
    assert seen["hostname"] == Path("/proc/sys/kernel/hostname").read_text().strip()
    assert seen["boot_id"] == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert seen["arch"] == ARCHES[os.uname().machine]
    total = int(Path("/proc/meminfo").read_text().split()[1])
    assert seen["memory_kb"] == total
    assert abs(seen["free_kb"]["/"] - shutil.disk_usage("/").free // 1024) < 1_000_000
    assert seen["clock_offset"] > 1_700_000_000
    assert seen["init"] in ("systemd", "openrc", "other")


def test_a_port_that_listens_is_seen(shell: tuple[list[str], str]) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        assert server.getsockname()[1] in parse_system(run(shell, SYSTEM_SCRIPT))["listening"]


@pytest.mark.parametrize("content", ["", "text\n", "no newline", "a\0b", "ü\n" * 100, "\n\n\n", "x" * 65536])
@pytest.mark.parametrize("name", ["plain", "with blank", "it's", "$(touch x)"])
def test_a_file_comes_back_whole(shell: tuple[list[str], str], tmp_path: Path, content: str, name: str) -> None:
    path = tmp_path / name
    path.write_text(content)
    path.chmod(0o640)
    probe = probe_files([str(path), str(tmp_path / "none")])
    found = probe.parse(run(shell, probe.script))
    owner = f"{path.owner()}:{path.group()}"
    assert found == {str(path): FileFacts(digest(content), "0640", owner, len(content.encode()), content)}
    assert sorted(each.name for each in tmp_path.iterdir()) == [name]


def test_a_big_file_comes_without_its_content(shell: tuple[list[str], str], tmp_path: Path) -> None:
    path = tmp_path / "big"
    path.write_bytes(b"x" * 65537)
    for probe in (probe_files([str(path)]), probe_binaries([str(path)])):
        (facts,) = probe.parse(run(shell, probe.script)).values()
        assert (facts.content, facts.size, facts.sha256) == (None, 65537, digest(b"x" * 65537))


def test_bytes_that_are_no_text_are_shown_as_far_as_they_are(shell: tuple[list[str], str], tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"\xff\xfe\n")
    probe = probe_files([str(path)])
    assert probe.parse(run(shell, probe.script))[str(path)].content == "\ufffd\ufffd\n"


def test_folders_and_broken_links_are_no_files(shell: tuple[list[str], str], tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    probe = probe_files([str(tmp_path / "folder"), str(tmp_path / "link")])
    assert probe.parse(run(shell, probe.script)) == {}


@pytest.mark.parametrize(
    ("made", "seen"),
    [
        ([], ""),
        (["server/tls/"], "external"),
        (["server/db/state.db"], "sqlite"),
        (["server/db/etcd/config"], "etcd"),
        (["server/db/etcd/member/snap/"], "etcd"),
        (["server/db/etcd/member/", "server/db/etcd/tombstone"], "removed"),
        (["server/db/state.db", "server/db/etcd/member/"], "etcd"),
    ],
)
def test_the_datastore_by_what_lies_there(
    shell: tuple[list[str], str], tmp_path: Path, made: list[str], seen: str
) -> None:
    for name in made:
        path = tmp_path / "it's here" / name
        path.mkdir(parents=True) if name.endswith("/") else (
            path.parent.mkdir(parents=True, exist_ok=True),
            path.touch(),
        )
    assert parse_datastore(run(shell, datastore_script(f"{tmp_path}/it's here"))) == seen


def test_traces_of_an_earlier_membership(shell: tuple[list[str], str], tmp_path: Path) -> None:
    path = tmp_path / "agent" / "client-kubelet.crt"
    path.parent.mkdir()
    path.touch()
    assert str(path) in parse_traces(run(shell, traces_script(str(tmp_path))))
    assert str(tmp_path / "agent" / "server-ca.crt") not in parse_traces(run(shell, traces_script(str(tmp_path))))


@pytest.mark.parametrize(
    "probe", [probe_distributions(), probe_record(), probe_units(("k3s", "k3s-agent"))], ids=lambda probe: probe.name
)
def test_the_other_probes_run_in_every_shell(shell: tuple[list[str], str], probe) -> None:
    assert probe.parse(run(shell, probe.script)) is not False


# --- reading -------------------------------------------------------------------------------------


def test_units_that_systemd_does_not_know() -> None:
    text = "NRestarts=0\nId=k3s.service\nLoadState=not-found\nActiveState=inactive\nSubState=dead\nUnitFileState=\n\nNRestarts=3\nId=k3s-agent.service\nLoadState=loaded\nActiveState=activating\nSubState=auto-restart\nUnitFileState=enabled\n"
    units = parse_units(text)
    assert (units["k3s"].load, units["k3s"].is_running) == ("not-found", False)
    assert (units["k3s-agent"].restarts, units["k3s-agent"].sub, units["k3s-agent"].is_running) == (
        3,
        "auto-restart",
        False,
    )
    assert parse_units("") == {}


@pytest.mark.parametrize(("line", "offset"), [("clock=1000", 1000.0), ("", 0.0)])
def test_a_host_tells_its_clock_in_seconds(line: str, offset: float) -> None:
    assert parse_system(line)["clock_offset"] == offset


def test_several_addresses_of_one_interface_stay_together() -> None:
    text = "address=eth0 10.0.0.1\naddress=wg0 10.1.0.1\naddress=eth0 fd00::1\naddress=eth1@if4 10.2.0.1\n"
    seen = {each.name: each.addresses for each in parse_system(text)["interfaces"]}
    assert seen == {"eth0": ("10.0.0.1", "fd00::1"), "wg0": ("10.1.0.1",), "eth1": ("10.2.0.1",)}


def test_without_a_route_of_ipv4_that_of_ipv6_counts() -> None:
    assert parse_system("default_interface6=wg0\n")["default_interface"] == "wg0"
    assert parse_system("default_interface=eth0\ndefault_interface6=wg0\n")["default_interface"] == "eth0"


def test_a_machine_that_nobody_knows_keeps_its_name() -> None:
    assert parse_system("machine=riscv64\n")["arch"] == "riscv64"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "7",
        '"text"',
        '{"cluster": "home", "applied": 7}',
        '{"cluster": "home", "labels": 7}',
        "{}",
    ],
)
def test_a_broken_record_counts_as_none(text: str) -> None:
    assert parse_record(text) is None


def test_files_cut_off_in_the_middle_are_read_as_far_as_they_are_whole() -> None:
    head = f"644 root:root 5 {'a' * 64} /etc/one"
    assert parse_files(f"{head}\n") == {}
    assert list(parse_files(f"{head}\n\n")) == ["/etc/one"]
