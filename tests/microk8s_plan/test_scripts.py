"""The scripts themselves, run by a real shell against files and small fakes of the product."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from bootstrap.distros.microk8s import scripts, waits
from bootstrap.distros.microk8s.addon_forms import Ready
from bootstrap.distros.microk8s.drift import find_differences
from bootstrap.distros.microk8s.layout import ARGS, MICROK8S, SNAP
from bootstrap.distros.microk8s.probes import SNAPD_SCRIPT, TEMPLATE, parse_snapd, parse_status

LIST = """\
Name      Version   Rev   Tracking       Publisher   Notes
core22    20240904  1621  latest/stable  canonical✓  base
microk8s  v1.36.1   8000  1.36/stable    canonical✓  classic,held
"""
CHANGES = """\
ID   Status  Spawn               Ready               Summary
11   Done    today at 10:00 UTC  today at 10:01 UTC  Install "microk8s" snap
12   Doing   today at 10:05 UTC  -                   Auto-refresh snap "microk8s"
13   Doing   today at 10:05 UTC  -                   Refresh "firefox" snap
"""


def run(script: str, stdin: str = "", *, code: int = 0) -> str:
    done = subprocess.run(["sh", "-c", script], input=stdin, capture_output=True, text=True, timeout=60)
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def fake(path: Path, body: str) -> Path:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


# --- arguments -----------------------------------------------------------------------------------


def merge(folder: Path, text: str, lines: Sequence[str], shipped: str = "") -> str:
    (folder / "file").write_text(text)
    (folder / "lines").write_text("".join(f"{line}\n" for line in lines))
    (folder / "shipped").write_text(shipped)
    words = [
        "awk",
        "-v",
        f"fragment={folder}/lines",
        "-v",
        f"shipped={folder}/shipped",
        scripts.MERGE,
        f"{folder}/file",
    ]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(
    ("lines", "merged"),
    [
        (["--v=4"], "# head\n--a=1\n--v=4\n--list x,y\n"),
        (["--new=1"], "# head\n--a=1\n--v=2\n--list x,y\n--new=1\n"),
        (["!--v"], "# head\n--a=1\n--list x,y\n"),
        (["~--v"], "# head\n--a=1\n--v=0\n--list x,y\n"),
        (["~--a"], "# head\n--v=2\n--list x,y\n"),
        (["--list=z"], "# head\n--a=1\n--v=2\n--list=z\n"),
        ([], "# head\n--a=1\n--v=2\n--list x,y\n"),
    ],
)
def test_lines_of_a_fragment_are_merged_into_the_file(tmp_path: Path, lines: list[str], merged: str) -> None:
    assert merge(tmp_path, "# head\n--a=1\n--v=2\n--list x,y\n", lines, "--v=0\n") == merged


def test_an_argument_that_stands_twice_stands_once_afterwards(tmp_path: Path) -> None:
    assert merge(tmp_path, "--v=1\n--a=1\n--v=2\n", ["--v=3"]) == "--v=3\n--a=1\n"


@pytest.mark.parametrize("lines", [["--v=4", "!--a", "--new=x y"], ["--a=1"], ["!--none"]])
def test_a_file_that_was_merged_has_no_difference_left(tmp_path: Path, lines: list[str]) -> None:
    merged = merge(tmp_path, "--a=1\n--v=2\n", lines)
    assert list(find_differences(merged, lines)) == []
    assert merge(tmp_path, merged, lines) == merged


def test_only_services_whose_file_changed_are_restarted(tmp_path: Path) -> None:
    arguments = tmp_path / "args"
    arguments.mkdir()
    (arguments / "kubelet").write_text("--v=2\n")
    (arguments / "containerd").write_text("--log-level=warn\n")
    snap = fake(tmp_path / "snap", f'echo "$@" >> {tmp_path}/calls')
    script = (
        scripts.put_arguments()
        .replace(ARGS, str(arguments))
        .replace(SNAP, str(snap))
        .replace("/run/bootstrap", str(tmp_path))
    )
    run(script, "= kubelet\n--v=4\n= containerd\n--log-level=warn\n")
    assert (arguments / "kubelet").read_text() == "--v=4\n"
    assert (tmp_path / "calls").read_text() == "restart microk8s.daemon-kubelite\n"
    run(script.replace("restart=''", "restart=containerd"), "= kubelet\n--v=4\n")
    assert (tmp_path / "calls").read_text().splitlines()[1:] == ["restart microk8s.daemon-containerd"]


# --- certificates --------------------------------------------------------------------------------


def test_names_go_into_the_template_behind_those_of_the_snap(tmp_path: Path) -> None:
    template = tmp_path / "csr.conf.template"
    template.write_text("DNS.1 = kubernetes\nIP.1 = 127.0.0.1\n#MOREIPS\n")
    program = fake(tmp_path / "microk8s", "exit 0")
    for names in (["k8s.example.com", "192.168.1.10"], ["other.example.com"]):
        run(scripts.add_names(names).replace(TEMPLATE, str(template)).replace(MICROK8S, str(program)))
    assert template.read_text() == (
        "DNS.1 = kubernetes\nIP.1 = 127.0.0.1\nDNS.101 = k8s.example.com\nIP.101 = 192.168.1.10\n"
        "DNS.102 = other.example.com\n#MOREIPS\n"
    )


# --- snapd ---------------------------------------------------------------------------------------


def ask_snapd(folder: Path, body: str) -> object:
    snap = fake(folder / "snap", body)
    return parse_snapd(run(SNAPD_SCRIPT.replace(SNAP, str(snap))))


def test_snaps_and_changes_in_progress_are_read(tmp_path: Path) -> None:
    body = f"case $1 in version) echo 'snapd   2.63';; list) cat <<'E'\n{LIST}E\n;; changes) cat <<'E'\n{CHANGES}E\n;; esac"
    found = ask_snapd(tmp_path, body)
    assert found is not None
    assert found.version == "2.63"  # type: ignore[attr-defined]
    assert found.snaps["microk8s"].notes == {"classic", "held"}  # type: ignore[attr-defined]
    assert found.snaps["microk8s"].tracking == "1.36/stable"  # type: ignore[attr-defined]
    assert found.changes == ('12 Doing Auto-refresh snap "microk8s"',)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "text", ["No snaps are installed yet. Try 'snap install hello-world'.", "error: no matching snaps installed"]
)
def test_a_snapd_without_snaps_is_no_problem(tmp_path: Path, text: str) -> None:
    found = ask_snapd(tmp_path, f"case $1 in list) echo {text!r} >&2; exit 1;; *) exit 1;; esac")
    assert found is not None
    assert not found.problem  # type: ignore[attr-defined]
    assert not found.snaps  # type: ignore[attr-defined]


def test_a_snapd_that_does_not_answer_is_quoted(tmp_path: Path) -> None:
    found = ask_snapd(tmp_path, "echo 'error: cannot communicate with server: timeout' >&2; exit 1")
    assert found.problem == "cannot communicate with server: timeout"  # type: ignore[union-attr]


def test_a_host_without_snapd_gives_nothing(tmp_path: Path) -> None:
    assert parse_snapd(run(SNAPD_SCRIPT.replace(SNAP, str(tmp_path / "none")))) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "microk8s is not running, try microk8s start",
        "This MicroK8s deployment is acting as a node in a cluster.\nPlease use the control plane node.",
    ],
)
def test_a_status_that_is_a_sentence_is_no_answer(text: str) -> None:
    assert parse_status(text) == {}


def test_a_status_without_nodes_is_read_all_the_same() -> None:
    text = "microk8s:\n  running: False\nhigh-availability:\n  enabled: True\n  nodes:\n  message: x\n"
    assert parse_status(text) == {"members": {}, "addons": {}}


# --- joins ---------------------------------------------------------------------------------------

TOKEN = "a" * 32 + "/0123456789ab"


def join(folder: Path, said: str, code: int, *, leftover: bool = True) -> tuple[int, str, bool]:
    program = fake(folder / "microk8s", f"cat <<'E'\n{said}\nE\nexit {code}")
    mark = folder / "join-in-progress"
    if leftover:
        mark.touch()
    script = scripts.join_cluster("192.168.1.11", works_only=False)
    script = script.replace(MICROK8S, str(program)).replace(
        "/var/snap/microk8s/current/var/lock/join-in-progress", str(mark)
    )
    done = subprocess.run(["sh", "-c", script], input=f"{TOKEN}\n", capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr, mark.exists()


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (
            "Contacting cluster at 192.168.1.11\nConnection failed. the joining node (192.168.1.12) is already known to dqlite (500).",
            6,
        ),
        ("Joining cluster failed. Could not verify the identity of 192.168.1.11.", 4),
        ("Connection failed. Invalid token (500).", 0),
    ],
)
def test_a_refused_join_fails_in_the_products_words_and_leaves_no_mark(tmp_path: Path, said: str, code: int) -> None:
    ended, shown, left = join(tmp_path, said, code)
    assert ended != 0
    assert said.splitlines()[-1] in shown
    assert not left


def test_a_join_that_broke_half_way_leaves_its_mark_for_the_next_run(tmp_path: Path) -> None:
    assert join(tmp_path, "Traceback: disk full", 1) == (1, "Traceback: disk full\n", True)


def test_the_token_is_in_nothing_that_is_printed(tmp_path: Path) -> None:
    _, shown, _ = join(tmp_path, f"POST /join?token={TOKEN} failed\nConnection failed. Invalid token (500).", 6)
    assert TOKEN[:32] not in shown


JSON = f'{{"token": "{TOKEN}", "urls": ["192.168.1.11:25000/{TOKEN}", "fd00::1:25000/{TOKEN}"]}}'


def test_a_token_is_printed_alone_when_its_address_is_offered(tmp_path: Path) -> None:
    program = fake(tmp_path / "microk8s", f"echo '{JSON}'")
    assert run(scripts.mint("192.168.1.11").replace(MICROK8S, str(program))) == f"{TOKEN}\n"


def test_an_address_that_is_not_offered_is_said(tmp_path: Path) -> None:
    program = fake(tmp_path / "microk8s", f"echo '{JSON}'")
    said = run(scripts.mint("10.0.0.1").replace(MICROK8S, str(program)), code=1)
    assert "no way to join by 10.0.0.1" in said
    assert TOKEN[:32] not in said


# --- add-ons -------------------------------------------------------------------------------------


def test_an_add_on_that_tells_of_success_and_did_nothing_is_no_success(tmp_path: Path) -> None:
    program = fake(tmp_path / "microk8s", "case $1 in status) echo disabled;; *) echo 'Addon core/x not found';; esac")
    script = scripts.enable([str(program), "enable", "core/x"], "core/x").replace(MICROK8S, str(program))
    said = run(script.replace("sleep 3", ":"), code=1)
    assert "does not list core/x as enabled" in said


DEPLOYMENT = '{"metadata":{"name":"coredns","generation":2,"managedFields":[{"fieldsV1":{"f:replicas":{}}}]},"spec":{"replicas":2},"status":{"observedGeneration":%d,"replicas":2,"availableReplicas":%d}}'


@pytest.mark.parametrize(
    ("observed", "available", "code", "words"),
    [(2, 2, 0, ""), (2, 1, 1, "deployment kube-system/coredns has 1 of 2 ready"), (1, 2, 1, "was not looked at yet")],
)
def test_an_add_on_works_when_all_its_replicas_do(
    tmp_path: Path, observed: int, available: int, code: int, words: str
) -> None:
    program = fake(tmp_path / "microk8s", f"cat <<'E'\n{DEPLOYMENT % (observed, available)}\nE")
    wait = waits.wait_for_addon((Ready("deployment", "coredns", "kube-system"),))
    assert words in run(wait.script.replace(MICROK8S, str(program)), code=code)


def test_an_object_that_is_not_there_is_waited_for(tmp_path: Path) -> None:
    program = fake(tmp_path / "microk8s", "exit 1")
    wait = waits.wait_for_addon((Ready("storageclass", "microk8s-hostpath"),))
    assert "storageclass microk8s-hostpath is not there yet" in run(wait.script.replace(MICROK8S, str(program)), code=1)


def test_forgetting_looks_at_dqlite_and_not_at_the_exit_code(tmp_path: Path) -> None:
    body = "case $1 in status) echo '  - address: 192.168.1.13:19001';; remove-node) exit 1;; esac"
    program = fake(tmp_path / "microk8s", body)
    script = scripts.forget("three", ["192.168.1.13"], [str(program), "kubectl"]).replace(MICROK8S, str(program))
    assert "dqlite still lists 192.168.1.13" in run(script, code=1)
