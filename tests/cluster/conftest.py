"""A user's repository on the sandbox's hosts, and the command line run in it as a person would."""

import json
import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from platformdirs import user_cache_path

from tests.cluster.distribution import DISTRIBUTIONS, K3S, Distribution
from tests.conftest import SandboxHosts


@dataclass
class Done:
    """How a command ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def text(self) -> str:
        return f"{self.stdout}\n{self.stderr}"


@dataclass
class Repository:
    """A git-shaped folder with one inventory."""

    root: Path
    hosts: SandboxHosts
    mirror: Path
    environment: dict[str, str] = field(default_factory=dict)
    distribution: Distribution = K3S

    @property
    def inventory(self) -> Path:
        return self.root / "inventories" / "home.yaml"

    def write(self, body: str, *, native: str | None = None, head: str = "") -> None:
        """The inventory: `body` holds `hosts:` and what else a test wants, `native` replaces the distribution's keys."""
        start = self.distribution.head(self.mirror, self.hosts.key_path)
        keys = self.distribution.native if native is None else native
        text = f"{start}{head}{textwrap.dedent(body).strip()}\n"
        self.inventory.write_text(f"{text}{self.distribution.name}:\n{keys.strip(chr(10))}\n" if keys.strip() else text)

    def write_topology(self, controllers: int, workers: int, *, native: str | None = None, head: str = "") -> list[str]:
        """h1.. as controllers that take work, then workers; returns the names."""
        names = [f"h{number}" for number in range(1, controllers + workers + 1)]
        lines = ["hosts:"]
        for index, name in enumerate(names):
            role = ", role: controller+worker" if index < controllers else ""
            lines.append(f"  {name}: {{address: {self.hosts.address(name)}{role}}}")
        self.write("\n".join(lines), native=native, head=head)
        return names

    def change(self, old: str, new: str) -> None:
        """Edit the inventory. The old text must be there."""
        text = self.inventory.read_text()
        assert old in text, f"{old!r} is not in:\n{text}"
        self.inventory.write_text(text.replace(old, new))

    def change_host(self, host: str, keys: str) -> None:
        """Put keys into a host's line, such as `labels: {disk: ssd}`."""
        self.change(f"  {host}: {{", f"  {host}: {{{keys}, ")

    def change_cluster(self, keys: str) -> None:
        """Put native keys into the cluster's, in place of their like."""
        name = keys.partition(":")[0]
        lines = self.inventory.read_text().splitlines()
        lines = [line for line in lines if not line.startswith(f"  {name}: ")]
        self.inventory.write_text("\n".join([*lines, f"  {keys}", ""]))

    def nodes(self, asked: str = "h1") -> dict[str, dict[str, Any]]:
        """Nodes by name, as a controller's own kubectl tells them."""
        items = json.loads(self.hosts.ssh(asked, f"{self.distribution.kubectl} get --raw /api/v1/nodes"))["items"]
        return {item["metadata"]["name"]: item for item in items}

    def started(self, host: str, service: str) -> str:
        """Another word after each start of a service."""
        return self.hosts.ssh(host, f"systemctl show -p InvocationID --value {service}").strip()

    def pin(self) -> None:
        """Pin what the sandbox says of its hosts: what `bootstrap trust` does by asking."""
        shutil.copy(self.hosts.known_hosts_path, self.root / "known_hosts")

    def run(
        self,
        *words: str,
        code: int | None = 0,
        timeout: float = 900,
        stdin: str | None = None,
        program: list[str] | None = None,
    ) -> Done:
        command = [*(program or [sys.executable, "-m", "bootstrap"]), *words]
        environment = {
            **os.environ,
            "HOME": str(self.root / "home"),
            "XDG_STATE_HOME": str(self.root / "state"),
            "BOOTSTRAP_MIRROR": str(self.mirror),
            **self.distribution.extra,
            **self.environment,
        }
        environment.pop("BOOTSTRAP_KNOWN_HOSTS", None)
        environment.setdefault("XDG_CACHE_HOME", str(user_cache_path("bootstrap").parent))
        ran = subprocess.run(
            command, cwd=self.root, env=environment, input=stdin or "", capture_output=True, text=True, timeout=timeout
        )
        done = Done(ran.returncode, ran.stdout, ran.stderr)
        assert "Traceback (most recent call last)" not in done.text, done.text
        assert code is None or done.code == code, f"{words}: exit code {done.code}, wanted {code}\n{done.text}"
        return done

    def apply(self, code: int | None = 0) -> Done:
        return self.run("apply", "--yes", code=code)

    def plan_is_empty(self) -> bool:
        done = self.run("plan", "--detailed-exitcode", code=None)
        print(done.text)  # shown by pytest when the plan should have been empty
        return done.code == 0


def make_repository(root: Path, hosts: SandboxHosts, distribution: Distribution) -> Repository:
    for folder in ("inventories", "home", "state"):
        (root / folder).mkdir()
    return Repository(root, hosts, distribution.supply.find_mirror(), distribution=distribution)


@pytest.fixture
def repository(tmp_path: Path, sandbox_hosts: SandboxHosts) -> Repository:
    """For tests of what is the same on every distribution."""
    return make_repository(tmp_path, sandbox_hosts, K3S)


@pytest.fixture(scope="module", params=DISTRIBUTIONS, ids=lambda distribution: distribution.name)
def home(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, sandbox_hosts: SandboxHosts
) -> Repository:
    """One repository for a module whose tests tell one story in order, for each distribution."""
    return make_repository(tmp_path_factory.mktemp(request.param.name), sandbox_hosts, request.param)


def fresh(repository: Repository, controllers: int, workers: int, **options: str) -> list[str]:
    """Blank hosts, pinned and locked."""
    names = repository.write_topology(controllers, workers, **options)
    repository.hosts.wipe(*names)
    repository.pin()
    repository.run("lock")
    return names


WATCHED = "/etc /usr /opt /root /home /var/lib /var/spool /boot /srv"
# Written by the system itself all the time.
VOLATILE = ("/var/lib/systemd", "/etc/machine-id", "/var/lib/dbus")


def snapshot(repository: Repository, host: str) -> dict[str, str]:
    """Every path with its change time, size and mode: any write by anybody shows."""
    skipped = "|".join((*VOLATILE, *repository.distribution.volatile))
    script = f"find {WATCHED} -printf '%p\\t%C@ %s %m %U:%G %y\\n' 2>/dev/null | grep -vE '^({skipped})'"
    return dict(line.split("\t", 1) for line in repository.hosts.ssh(host, script).splitlines() if "\t" in line)


def tree(hosts: SandboxHosts, host: str) -> set[str]:
    """Every path of the host's disk outside kernel and temporary file systems."""
    out = hosts.ssh(
        host,
        "find / -xdev \\( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp \\) -prune -o -print; find /run/bootstrap /var/lib/rancher /var/lib/k0s /var/lib/containerd 2>/dev/null; true",
    )
    return set(out.splitlines())


LAST_WORDS = """
for unit in k3s k3s-agent kubelet k0scontroller k0sworker; do
  systemctl cat $unit >/dev/null 2>&1 || continue
  echo "$unit is $(systemctl is-active $unit)"; journalctl -u $unit -n 25 --no-pager -o short-monotonic
done
"""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that failed on real hosts shows what they said."""
    report = yield
    if report.when == "call" and report.failed:
        for repository in (each for each in item.funcargs.values() if isinstance(each, Repository)):
            for host in repository.hosts.names:
                try:
                    report.sections.append(
                        (f"last words of {host}", repository.hosts.ssh(host, LAST_WORDS, check=False))
                    )
                except (OSError, subprocess.SubprocessError) as error:
                    report.sections.append((f"last words of {host}", str(error)))
    return report
