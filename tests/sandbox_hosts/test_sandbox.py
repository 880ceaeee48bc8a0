"""The sandbox itself, on this machine: real hosts, real ssh, and nothing left behind."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bootstrap.errors import SandboxError
from bootstrap.sandbox import Sandbox, control, why_not_here
from bootstrap.sandbox.layout import ROOT_FOLDER, host_specs

REASON = why_not_here()
PROJECT = Path(__file__).parents[2]

pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.skipif(REASON is not None, reason=f"no sandbox here: {REASON}"),
]


def quiet(_line: str) -> None:
    """What the sandbox tells is not looked at."""


def ssh(sandbox: Sandbox, host: str, command: str) -> str:
    done = subprocess.run(sandbox.ssh_command(host, [command]), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"{command} on {host}: {done.stdout}{done.stderr}"
    return done.stdout.strip()


def inside(sandbox: Sandbox, program: str) -> str:
    """What a piece of Python prints that runs inside."""
    words = sandbox.exec_command([sys.executable, "-c", program])
    return subprocess.run(words, check=True, capture_output=True, text=True, timeout=60).stdout.strip()


def eventually(what: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 30
    while not what() and time.monotonic() < deadline:
        time.sleep(0.05)
    return what()


def process_1(sandbox: Sandbox) -> int:
    supervisor = control.listener_pid(sandbox.folder.control)
    assert supervisor
    return parent(supervisor)


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def processes() -> set[str]:
    """Command lines of processes that belong to sandboxes."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if "systemd-nspawn" in words or "bootstrap.sandbox" in words:
            found.add(f"{path.parent.name} {' '.join(words)}")
    return found


def traces(name: str) -> dict[str, object]:
    """Everything of this machine that a sandbox of that name could leave its mark on."""
    lines = subprocess.run(["ip", "-o", "link"], check=True, capture_output=True, text=True).stdout.splitlines()
    links = [line.split()[1].rstrip(":").partition("@")[0] for line in lines]
    return {
        "mounts": [line for line in Path("/proc/mounts").read_text().splitlines() if "bootstrap" in line],
        "links": [link for link in links if re.fullmatch(r"port\d+|hosts|closed", link)],
        "netns": [path.name for path in Path("/run/netns").glob("h[0-9]")],
        "cgroups": [path for path, _, _ in os.walk("/sys/fs/cgroup") if path.endswith(f"/bootstrap-sandbox-{name}")],
        "folder": (ROOT_FOLDER / name).exists(),
        "processes": [line for line in processes() if f"/{name}" in line],
    }


LIVING = ("mounts", "links", "netns", "processes")


def lives_on(name: str) -> dict[str, object]:
    """Traces that are more than an empty folder."""
    return {kind: found for kind, found in traces(name).items() if kind in LIVING}


@pytest.fixture(scope="module")
def pair() -> Iterator[Sandbox]:
    """Two hosts for all tests that leave them in order."""
    sandbox = Sandbox("test-pair")
    sandbox.down()
    sandbox.up(["pi-1", "pi-2"], tell=quiet)
    yield sandbox
    sandbox.down()


@pytest.fixture
def other() -> Iterator[Sandbox]:
    """A second sandbox, down before and after."""
    sandbox = Sandbox("test-other")
    sandbox.down()
    yield sandbox
    sandbox.down()


def test_each_host_answers_by_name_with_a_pinned_key_and_has_booted_without_failed_units(pair: Sandbox) -> None:
    for host in ("pi-1", "pi-2"):
        assert ssh(pair, host, "cat /etc/hostname; systemctl is-system-running --wait") == f"{host}\nrunning"


def test_hosts_reach_each_other_by_name(pair: Sandbox) -> None:
    assert "SSH-2.0" in ssh(pair, "pi-1", "bash -c 'read -r line < /dev/tcp/pi-2/22; echo $line'")


@pytest.mark.parametrize(
    ("user", "command", "answer"),
    [
        ("root", "id -u", "0"),
        ("ops", "sudo -n id -u", "0"),
        ("sudoer", "sudo -n true 2>/dev/null || echo sandbox-password | sudo -S -p '' id -u", "0"),
        ("plain", "sudo -n true 2>/dev/null || doas -n true 2>/dev/null || id -un", "plain"),
        ("doer", "doas -n id -u", "0"),
        ("fishy", "sudo -n id -u; echo $FISH_VERSION | cut -c1", "fish says hello on stdout\n0\n4"),
        ("tcshy", "sudo -n id -u; echo $shell", "tcsh says hello on stdout\n0\n/usr/bin/tcsh"),
    ],
)
def test_each_user_has_the_shell_and_the_rights_of_its_part(
    pair: Sandbox, user: str, command: str, answer: str
) -> None:
    assert ssh(pair, f"{user}@pi-1", command) == answer


def test_container_runtimes_find_plain_folders_and_a_kubelet_finds_its_settings(pair: Sandbox) -> None:
    kinds = ssh(
        pair,
        "pi-1",
        "findmnt -n -o FSTYPE /var/lib/containerd /var/lib/rancher /var/lib/k0s /; stat -f -c %T /var/lib/rancher",
    )
    assert kinds.splitlines()[-1] == "tmpfs"
    assert ssh(pair, "pi-1", "stat -f -c %T /var/lib/containerd /var/lib/k0s").split() == ["tmpfs", "tmpfs"]
    settings = "vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops"
    assert ssh(pair, "pi-1", f"cd /proc/sys && cat {settings}").split() == ["1", "0", "10", "1"]
    assert ssh(pair, "pi-1", "sysctl -qw net.ipv4.ip_forward=1 && test -e /dev/kmsg && echo fine") == "fine"


def test_a_reboot_is_a_new_boot_from_the_same_disk(pair: Sandbox) -> None:
    ssh(pair, "pi-1", "echo kept > /root/note; echo kept > /var/lib/rancher/note; sync")
    before = ssh(pair, "pi-1", "cat /proc/sys/kernel/random/boot_id")
    pair.reboot("pi-1")
    assert ssh(pair, "pi-1", "cat /proc/sys/kernel/random/boot_id") != before
    assert ssh(pair, "pi-1", "cat /root/note /var/lib/rancher/note") == "kept\nkept"


def test_a_reboot_asked_for_on_the_host_itself_works_too(pair: Sandbox) -> None:
    before = ssh(pair, "pi-2", "cat /proc/sys/kernel/random/boot_id")
    subprocess.run(pair.ssh_command("pi-2", ["systemctl reboot"]), capture_output=True, timeout=60)

    def has_new_boot() -> bool:
        words = pair.ssh_command("pi-2", ["cat /proc/sys/kernel/random/boot_id"])
        done = subprocess.run(words, capture_output=True, text=True, timeout=60)
        return done.returncode == 0 and done.stdout.strip() != before

    assert eventually(has_new_boot)


def test_a_wipe_brings_an_empty_disk_another_identity_and_a_pinned_key(pair: Sandbox) -> None:
    ssh(pair, "pi-1", "echo gone > /root/note; echo gone > /var/lib/rancher/note")
    identity = ssh(pair, "pi-1", "cat /etc/machine-id /etc/ssh/ssh_host_ed25519_key.pub")
    neighbour = ssh(pair, "pi-2", "cat /etc/machine-id /proc/sys/kernel/random/boot_id")
    pins = pair.known_hosts_path().read_text()
    pair.wipe(["pi-1"])
    assert ssh(pair, "pi-1", "ls -A /var/lib/rancher; ls /root") == ""
    now = ssh(pair, "pi-1", "cat /etc/machine-id /etc/ssh/ssh_host_ed25519_key.pub")
    assert not set(now.split("\n")) & set(identity.split("\n"))
    assert [
        a == b for a, b in zip(pins.splitlines(), pair.known_hosts_path().read_text().splitlines(), strict=True)
    ] == [False, True]
    assert ssh(pair, "pi-2", "cat /etc/machine-id /proc/sys/kernel/random/boot_id") == neighbour


def test_a_host_without_power_is_off_and_keeps_its_disk(pair: Sandbox) -> None:
    ssh(pair, "pi-2", "echo kept > /root/note; sync")
    pair.cut("pi-2")
    pair.cut("pi-2")
    assert [host.is_on for host in pair.list_hosts()] == [True, False]
    words = pair.exec_command(["ssh", "-F", str(pair.ssh_config_path()), "-o", "ConnectTimeout=1", "pi-2", "true"])
    assert subprocess.run(words, capture_output=True, timeout=60).returncode == 255
    with pytest.raises(SandboxError, match="pi-2 is off"):
        pair.reboot("pi-2")
    pair.start("pi-2")
    pair.start("pi-2")
    assert ssh(pair, "pi-2", "cat /root/note") == "kept"


def test_there_is_no_way_out_and_nobody_waits_for_one(pair: Sandbox) -> None:
    program = "import socket; s = socket.socket(); s.settimeout(20); print(s.connect_ex(('192.0.2.1', 80)))"
    assert inside(pair, program) == str(111)
    # curl's exit statuses: 7 is "failed to connect", 6 "could not resolve", 28 would be "timed out".
    assert ssh(pair, "pi-1", "curl -s --max-time 20 http://192.0.2.1/ || echo $?") == "7"
    assert ssh(pair, "pi-1", "curl -s --max-time 20 http://example.invalid/ || echo $?") == "6"


def test_commands_work_from_inside_as_from_outside(pair: Sandbox) -> None:
    program = (
        "from bootstrap.sandbox import Sandbox\n"
        "sandbox = Sandbox.current()\n"
        "print(sandbox.name, sandbox.exec_command(['true']), sandbox.known_hosts_path().exists())\n"
        "sandbox.cut('pi-1'); sandbox.start('pi-1')\n"
        "print([host.is_on for host in sandbox.list_hosts()])\n"
    )
    words = pair.exec_command(["env", f"PYTHONPATH={PROJECT}", sys.executable, "-c", program])
    done = subprocess.run(words, check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout == "test-pair ['true'] True\n[True, True]\n"


def test_up_of_the_same_hosts_leaves_them_and_of_others_is_refused(pair: Sandbox) -> None:
    told: list[str] = []
    before = process_1(pair)
    pair.up(["pi-1", "pi-2"], tell=told.append)
    assert (told, process_1(pair)) == (["'test-pair' is up already"], before)
    with pytest.raises(SandboxError, match="with other hosts"):
        pair.up(["pi-1"], tell=quiet)


def test_unknown_hosts_are_refused_by_name(pair: Sandbox) -> None:
    with pytest.raises(SandboxError, match="no such host: pi-9"):
        pair.wipe(["pi-1", "pi-9"])


@pytest.mark.parametrize("names", [[], ["UP"], ["a", "a"], ["-a"], [f"h{n}" for n in range(201)]])
def test_bad_host_names_are_refused(names: list[str]) -> None:
    with pytest.raises(SandboxError):
        host_specs(names, {})


def test_two_sandboxes_with_the_same_names_and_addresses_do_not_meet(pair: Sandbox, other: Sandbox) -> None:
    other.up(["pi-1", "pi-2"], tell=quiet)
    ours, theirs = (ssh(sandbox, "pi-1", "cat /etc/machine-id") for sandbox in (pair, other))
    assert ours != theirs
    other.cut("pi-1")
    assert ssh(pair, "pi-1", "cat /etc/machine-id") == ours
    other.down()
    assert ssh(pair, "pi-1", "cat /etc/machine-id") == ours


def test_down_leaves_nothing_and_may_be_repeated(other: Sandbox) -> None:
    before = traces(other.name)
    other.up(["h1", "h2"], tell=quiet)
    assert traces(other.name) != before
    other.down()
    assert eventually(lambda: traces(other.name) == before)
    other.down()


@pytest.mark.parametrize("victim", ["unshare", "process 1", "supervisor"])
def test_after_sigkill_nothing_lives_on_and_the_next_up_works(other: Sandbox, victim: str) -> None:
    before = traces(other.name)
    other.up(["h1"], tell=quiet)
    first = process_1(other)
    supervisor = control.listener_pid(other.folder.control)
    assert supervisor
    os.kill({"unshare": parent(first), "process 1": first, "supervisor": supervisor}[victim], signal.SIGKILL)
    assert eventually(lambda: lives_on(other.name) == {kind: before[kind] for kind in LIVING})
    other.up(["h1"], tell=quiet)
    assert ssh(other, "h1", "hostname") == "h1"


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("moment", ["run folder", "cgroups", "control", "known_hosts"])
def test_an_interrupted_up_leaves_no_sandbox(other: Sandbox, end: signal.Signals, moment: str) -> None:
    before = traces(other.name)
    program = "import sys; from bootstrap.sandbox import console; console.up(sys.argv[1], ['3'], {}, None)"
    process = subprocess.Popen(
        [sys.executable, "-c", program, other.name],
        env=os.environ | {"PYTHONPATH": str(PROJECT)},
        stderr=subprocess.DEVNULL,
    )
    awaited = other.folder.path if moment == "run folder" else other.folder.path / moment
    while not awaited.exists():
        assert process.poll() is None
    process.send_signal(end)
    assert process.wait(60) != 0
    assert eventually(lambda: lives_on(other.name) == {kind: before[kind] for kind in LIVING})
    if end != signal.SIGKILL:
        assert traces(other.name) == before


def run_inside(sandbox: Sandbox, *words: str) -> list[str]:
    program = "import sys; from bootstrap.sandbox import console; sys.exit(console.run(sys.argv[1], ['1'], sys.argv[2:], {}, None))"
    return [sys.executable, "-c", program, sandbox.name, *words]


def test_run_gives_the_status_of_its_command_and_leaves_nothing(other: Sandbox) -> None:
    before = traces(other.name)
    words = run_inside(other, "sh", "-c", "ssh -F /run/bootstrap-sandbox/test-other/ssh_config h1 hostname; exit 7")
    done = subprocess.run(
        words, env=os.environ | {"PYTHONPATH": str(PROJECT)}, capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stdout) == (7, "h1\n")
    assert eventually(lambda: traces(other.name) == before)


def test_run_ends_with_its_caller_even_by_sigkill(other: Sandbox, tmp_path: Path) -> None:
    before = traces(other.name)
    started = tmp_path / "started"
    words = run_inside(other, "sh", "-c", f"touch {started}; exec sleep 1000")
    process = subprocess.Popen(words, env=os.environ | {"PYTHONPATH": str(PROJECT)})
    assert eventually(started.exists)
    process.kill()
    process.wait(60)
    assert eventually(lambda: lives_on(other.name) == {kind: before[kind] for kind in LIVING})
    assert not other.is_up()


def test_the_hosts_see_the_shared_folder_read_only(other: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "note").write_text("shared")
    other.up(["h1"], share=tmp_path, tell=quiet)
    assert (
        ssh(other, "h1", "cat /opt/share/note; touch /opt/share/new 2>/dev/null || echo read-only") == "sharedread-only"
    )


def test_without_root_the_reason_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(SandboxError, match="needs root"):
        Sandbox("test-other").up(["h1"])


def test_missing_programs_are_named_as_one_apt_get_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bootstrap.sandbox.programs.SEARCH_PATH", "/nowhere")
    with pytest.raises(SandboxError) as caught:
        Sandbox("test-other").up(["h1"])
    assert caught.value.next_step.startswith("apt-get install --no-install-recommends iproute2 iptables mmdebstrap ")


@pytest.fixture(scope="module")
def openrc() -> Iterator[Sandbox]:
    """A host that boots OpenRC, beside one that boots systemd."""
    sandbox = Sandbox("test-openrc")
    sandbox.down()
    sandbox.up(["alpha", "beta"], init={"beta": "openrc"}, tell=quiet)
    yield sandbox
    sandbox.down()


def test_an_openrc_host_has_openrc_and_nothing_of_systemd(openrc: Sandbox) -> None:
    assert [host.init for host in openrc.list_hosts()] == ["systemd", "openrc"]
    assert ssh(openrc, "beta", "test -x /sbin/openrc-run && rc-service ssh status") == "sshd is running."
    assert ssh(openrc, "beta", "command -v systemctl || cat /proc/1/comm") == "init"
    assert ssh(openrc, "ops@beta", "sudo -n cat /proc/sys/kernel/panic") == "10"


def test_a_service_of_an_openrc_host_starts_again_after_a_reboot_in_good_order(openrc: Sandbox) -> None:
    script = "#!/sbin/openrc-run\nsupervisor=supervise-daemon\ncommand=/bin/sleep\ncommand_args=1000\n"
    ssh(openrc, "beta", f"printf '{script}' > /etc/init.d/demo; chmod 755 /etc/init.d/demo; rc-update add demo")
    ssh(openrc, "beta", "rc-service demo start && rc-service demo status")
    before = ssh(openrc, "beta", "cat /proc/sys/kernel/random/boot_id")
    openrc.reboot("beta")
    assert ssh(openrc, "beta", "cat /proc/sys/kernel/random/boot_id") != before
    assert "started" in ssh(openrc, "beta", "touch /root/note && rc-service demo status")


def test_a_wiped_openrc_host_is_empty_and_may_be_switched_off(openrc: Sandbox) -> None:
    ssh(openrc, "beta", "touch /root/note")
    openrc.wipe(["beta"])
    assert ssh(openrc, "beta", "ls /root") == ""
    ssh(openrc, "beta", "poweroff > /dev/null 2>&1 &")
    assert eventually(lambda: not openrc.list_hosts()[1].is_on)


def test_an_openrc_host_reboots_although_a_service_refuses_to_stop(openrc: Sandbox) -> None:
    openrc.start("beta")
    script = "#!/sbin/openrc-run\nstart() { true; }\nstop() { false; }\n"
    ssh(openrc, "beta", f"printf '{script}' > /etc/init.d/stubborn; chmod 755 /etc/init.d/stubborn")
    ssh(openrc, "beta", "rc-service stubborn start")
    openrc.reboot("beta")
    assert ssh(openrc, "beta", "rc-service -q stubborn status || echo stopped") == "stopped"
