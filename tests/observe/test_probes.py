"""Probes in real shells on this machine: what they print is what is there, and they write nothing."""

import base64
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


def heads(**contents: str) -> str:
    """What `head -v | base64` says of files in /etc."""
    text = "\n".join(f"==> /etc/{name} <==\n{content}" for name, content in contents.items())
    return f"content\n{base64.encodebytes(text.encode()).decode()}"


def stats(**sizes: int) -> str:
    return "".join(f"file 600 {size} domain users:root /etc/{name}\n" for name, size in sizes.items())


def contents_of(text: str) -> dict[str, str | None]:
    return {path: facts.content for path, facts in parse_files(text).items()}


def test_files_cut_off_in_the_middle_are_read_as_far_as_they_are_whole() -> None:
    answer = stats(one=1, two=2) + heads(one="1", two="22")
    assert contents_of(answer) == {"/etc/one": "1", "/etc/two": "22"}
    assert parse_files(stats(one=1, two=2)) == {}
    assert contents_of(stats(one=1, two=2) + heads(one="1")) == {"/etc/one": "1"}


def test_a_name_with_a_blank_in_it_may_own_a_file() -> None:
    assert parse_files(stats(one=1) + heads(one="1"))["/etc/one"].owner == "domain users:root"


@pytest.mark.parametrize("now", ["", "shorter", "longer than it was before", "\n==> /etc/four <==\n"])
def test_a_file_that_changes_while_it_is_read_changes_no_other(now: str) -> None:
    found = parse_files(stats(one=3, two=9, three=5) + heads(one="one", two=now, three="three"))
    assert [found[f"/etc/{name}"].content for name in ("one", "two", "three")] == ["one", now, "three"]
    assert (found["/etc/two"].sha256, found["/etc/two"].size) == (digest(now), len(now))


def test_files_that_go_while_they_are_read_are_not_there() -> None:
    answer = stats(one=3, two=3, three=5, four=4) + heads(one="one", four="four")
    assert contents_of(answer) == {"/etc/one": "one", "/etc/four": "four"}


def test_a_heading_inside_a_file_is_its_content() -> None:
    text = "a\n==> /etc/two <==\nb"
    assert contents_of(stats(one=len(text), two=3) + heads(one=text, two="two")) == {
        "/etc/one": text,
        "/etc/two": "two",
    }


def test_a_file_that_grows_too_big_while_it_is_read_has_no_known_digest() -> None:
    assert parse_files(stats(one=1) + heads(one="x" * 65537)) == {}


def test_names_with_backslashes_are_known_by_their_sums(shell: tuple[list[str], str], tmp_path: Path) -> None:
    path = tmp_path / r"a\b\\c"
    path.write_bytes(b"x" * 65537)
    for probe in (probe_files([str(path)]), probe_binaries([str(path)])):
        assert probe.parse(run(shell, probe.script))[str(path)].sha256 == digest(b"x" * 65537)


def test_a_link_shows_its_own_mode_and_the_content_behind_it(shell: tuple[list[str], str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("content")
    (tmp_path / "big").write_text("x" * 70_000)
    for name in ("file", "big"):
        (tmp_path / f"link-{name}").symlink_to(tmp_path / name)
    paths = [str(tmp_path / name) for name in ("link-file", "link-big", "file")]
    probe = probe_files(paths)
    small, big, plain = (probe.parse(run(shell, probe.script))[path] for path in paths)
    assert (small.mode, small.content, small.sha256) == ("0777", "content", digest("content"))
    assert (big.mode, big.content, big.sha256) == ("0777", None, digest("x" * 70_000))
    assert (plain.mode == small.mode, plain.content) == (False, "content")


@pytest.mark.parametrize(("made", "seen"), [("", ()), ("k0s/", ()), ("k0s/.a", ("k0s",)), ("k0s/..a", ("k0s",))])
def test_an_empty_folder_is_no_trace(
    shell: tuple[list[str], str], tmp_path: Path, made: str, seen: tuple[str, ...]
) -> None:
    path = tmp_path / made
    path.mkdir(exist_ok=True) if made.endswith("/") or not made else (path.parent.mkdir(), path.touch())
    script = probe_distributions().script.replace(" /var/lib/k0s ", f" {tmp_path}/k0s ")
    assert str(tmp_path) in script
    found = probe_distributions().parse(run(shell, script))
    assert tuple(name for name in found if name == "k0s") == seen
