"""Bad hosts and bad moments: a clear error, the documented exit code, nothing half-written."""

import json
import subprocess
import sys
import time

import pytest

from tests.cluster.conftest import Done, Repository, fresh, snapshot

pytestmark = pytest.mark.sandbox


def untouched(repository: Repository, host: str = "h1") -> bool:
    return (
        repository.hosts.ssh(host, "ls -d /usr/local/bin/k3s /etc/rancher /var/lib/bootstrap 2>/dev/null; true") == ""
    )


def refuse(repository: Repository, *words: str, code: int = 1) -> Done:
    """An apply that must stop before any write, for reasons that all stand in its message."""
    done = repository.apply(code=code)
    for word in words:
        assert word in done.text, f"{word!r} is not in:\n{done.text}"
    assert untouched(repository)
    return done


def test_a_worker_whose_sshd_is_stopped_does_not_stop_the_others(repository: Repository) -> None:
    fresh(repository, 1, 2)
    repository.hosts.ssh("h3", "systemctl stop ssh.socket ssh.service 2>/dev/null; true")
    done = repository.apply(code=4)
    assert "h3" in done.text
    assert set(repository.nodes()) == {"h1", "h2"}
    repository.hosts.sandbox.cut("h3")
    repository.hosts.sandbox.start("h3")
    repository.apply()


def test_a_worker_that_fails_does_not_stop_the_others_and_the_cause_is_shown(repository: Repository) -> None:
    fresh(repository, 1, 2)
    repository.hosts.ssh(
        "h3", "printf '#!/bin/sh\\nexit 0\\n' > /usr/local/sbin/sha256sum; chmod +x /usr/local/sbin/sha256sum"
    )
    done = repository.apply(code=None)
    assert done.code != 0
    assert "h3" in done.text
    assert "h2" in repository.nodes()
    repository.hosts.ssh("h3", "rm /usr/local/sbin/sha256sum")
    repository.apply()


def test_a_user_without_sudo_is_told_so_before_any_write(repository: Repository) -> None:
    fresh(repository, 1, 0)
    repository.inventory.write_text(repository.inventory.read_text().replace("user: ops", "user: plain"))
    done = repository.apply(code=None)
    assert done.code in (1, 4)
    assert "sudo" in done.text
    assert untouched(repository)


def test_a_full_disk_is_found_before_any_write(repository: Repository) -> None:
    fresh(repository, 1, 0)
    repository.hosts.ssh("h1", "mount -t tmpfs -o size=1m full /var/lib")
    refuse(repository, "h1", "/var/lib")


def test_a_wrong_clock_is_found_before_any_write(repository: Repository) -> None:
    fresh(repository, 1, 1)
    fake = "#!/bin/sh\nexec /usr/bin/date --date='10 minutes' \"$@\"\n"
    repository.hosts.ssh("h2", f"cat > /usr/local/bin/date <<'END'\n{fake}END\nchmod +x /usr/local/bin/date")
    refuse(repository, "h2", "clock")


def test_a_taken_port_is_found_before_any_write(repository: Repository) -> None:
    fresh(repository, 1, 0)
    repository.hosts.ssh(
        "h1", "systemd-run --quiet --unit=squatter socat TCP-LISTEN:6443,fork,reuseaddr EXEC:/bin/true; sleep 0.5"
    )
    refuse(repository, "h1", "6443")


def test_twins_are_found_before_any_write(repository: Repository) -> None:
    fresh(repository, 1, 1)
    identity = repository.hosts.ssh("h1", "cat /etc/machine-id").strip()
    repository.hosts.ssh("h2", f"echo {identity} > /etc/machine-id")
    refuse(repository, "h1", "h2", "machine-id")


def test_remains_of_another_distribution_are_named_and_not_touched(repository: Repository) -> None:
    fresh(repository, 1, 0)
    repository.hosts.ssh("h1", "mkdir -p /var/lib/k0s/pki; touch /var/lib/k0s/pki/ca.crt")
    refuse(repository, "k0s")
    assert repository.hosts.ssh("h1", "ls /var/lib/k0s/pki").strip() == "ca.crt"


def test_a_cgroup_v1_host_is_refused_with_the_two_ways_out(repository: Repository) -> None:
    fresh(repository, 1, 0)
    if repository.hosts.ssh("h1", "stat -fc %T /sys/fs/cgroup").strip() == "cgroup2fs":
        pytest.skip("this machine has cgroup v2 only: there is no cgroup v1 host to refuse")
    repository.write_topology(
        1, 0, native=repository.distribution.native.replace("kubelet-arg: [fail-cgroupv1=false]", "")
    )
    refuse(repository, "cgroup", "fail-cgroupv1")


def test_a_changed_host_key_is_refused_before_authentication_with_both_prints(repository: Repository) -> None:
    fresh(repository, 1, 0)
    repository.hosts.wipe("h1")
    done = repository.apply(code=4)
    assert done.text.count("SHA256:") >= 2
    assert "bootstrap trust --replace h1" in done.text
    assert "Accepted publickey" not in repository.hosts.ssh(
        "h1", "journalctl -t sshd -t sshd-session --no-pager -o cat | grep 'for ops' ; true"
    )


def test_a_host_without_a_pin_is_refused(repository: Repository) -> None:
    fresh(repository, 1, 0)
    (repository.root / "known_hosts").write_text("")
    assert "bootstrap trust" in repository.apply(code=4).text


def test_the_second_operator_is_told_who_holds_the_lease(repository: Repository) -> None:
    fresh(repository, 1, 0)
    repository.inventory.write_text(
        repository.inventory.read_text() + "hooks: [{name: slow, at: before-prepare, run: sleep 15}]\n"
    )
    command = [sys.executable, "-m", "bootstrap", "apply", "--yes"]
    import os

    environment = {
        **os.environ,
        "HOME": str(repository.root / "home"),
        "XDG_STATE_HOME": str(repository.root / "state"),
    }
    environment.pop("BOOTSTRAP_KNOWN_HOSTS", None)
    first = subprocess.Popen(
        command, cwd=repository.root, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 60
        while not repository.hosts.ssh("h1", "ls /run/bootstrap/lease 2>/dev/null; true"):
            assert time.monotonic() < deadline, "no lease was taken"
            time.sleep(0.3)
        second = repository.apply(code=6)
        assert f"process {first.pid}" in second.text
        assert first.wait(timeout=600) == 0
    finally:
        first.kill()
    assert repository.hosts.ssh("h1", "ls /run/bootstrap 2>/dev/null; true") == "", "the lease was not given back"


def test_the_lease_of_a_dead_run_is_taken_over_at_once(repository: Repository) -> None:
    fresh(repository, 1, 0)
    lease = {
        "run": "dead",
        "owner": "ops@elsewhere (process 1)",
        "operation": "apply home",
        "operator_boot": "",
        "process": 1,
        "process_start": "1",
        "boot_id": "x",
    }
    lease["uptime"] = float(repository.hosts.ssh("h1", "cut -d' ' -f1 /proc/uptime")) - 100
    repository.hosts.ssh(
        "h1", f"mkdir -p -m 700 /run/bootstrap; cat > /run/bootstrap/lease <<'END'\n{json.dumps(lease)}\nEND"
    )
    repository.apply()


def test_a_live_lease_of_another_machine_is_respected(repository: Repository) -> None:
    fresh(repository, 1, 0)
    lease = {
        "run": "live",
        "owner": "eve@laptop (process 7)",
        "operation": "apply home",
        "operator_boot": "other",
        "process": 7,
        "process_start": "1",
        "boot_id": "x",
    }
    lease["uptime"] = float(repository.hosts.ssh("h1", "cut -d' ' -f1 /proc/uptime"))
    repository.hosts.ssh(
        "h1", f"mkdir -p -m 700 /run/bootstrap; cat > /run/bootstrap/lease <<'END'\n{json.dumps(lease)}\nEND"
    )
    refuse(repository, "eve@laptop", code=6)


def test_without_a_yes_and_without_a_terminal_nothing_happens(repository: Repository) -> None:
    fresh(repository, 1, 0)
    repository.run("apply", code=64)
    assert untouched(repository)


def test_a_saved_plan_is_applied_exactly_or_refused(repository: Repository) -> None:
    fresh(repository, 1, 0)
    saved = repository.root / "plan.json"
    repository.run("plan", "--out", str(saved))
    repository.hosts.ssh("h1", "mkdir -p /etc/rancher/k3s; echo 'debug: true' > /etc/rancher/k3s/config.yaml")
    refused = repository.run("apply", "--yes", "--plan", str(saved), code=1)
    assert "not the plan of now" in refused.text
    repository.run("plan", "--out", str(saved))
    repository.run("apply", "--yes", "--plan", str(saved))
    assert repository.plan_is_empty()


def test_a_wrong_token_is_refused_before_a_member_is_locked_out(repository: Repository) -> None:
    repository.environment["HOME_TOKEN"] = "4fQz81LmTx72VbKc93RwYp65"
    fresh(repository, 1, 1, head="token: ${env:HOME_TOKEN}\n")
    repository.apply()
    before = snapshot(repository, "h1")
    repository.environment["HOME_TOKEN"] = "Hn7dS2kGq94XvWb81ZtMc30e"
    refused = repository.apply(code=1)
    assert "not the cluster's token" in refused.text
    assert "Hn7d" not in refused.text
    assert snapshot(repository, "h1") == before
