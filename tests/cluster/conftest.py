"""A user's repository on the sandbox's hosts, and the command line run in it as a person would."""

import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from platformdirs import user_cache_path

from tests.conftest import SandboxHosts
from tests.programs import NEXT_VERSION, VERSION, build_standin

COMMON = """
k3s:
  config:
    disable: [coredns, local-storage, metrics-server, servicelb, traefik]
    kubelet-arg: [fail-cgroupv1=false]
"""


@pytest.fixture(scope="session")
def mirror() -> Path:
    """BOOTSTRAP_MIRROR, which may hold the real k3s; else the stand-in."""
    given = os.environ.get("BOOTSTRAP_MIRROR")
    return Path(given) if given else build_standin(VERSION, NEXT_VERSION)


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

    @property
    def inventory(self) -> Path:
        return self.root / "inventories" / "home.yaml"

    def write(self, body: str, common: str = COMMON, head: str = "") -> None:
        """The inventory: `body` holds `hosts:` and what else a test wants."""
        text = f"schema: bootstrap/v1\ncluster: home\ndistro: k3s\nversion: {VERSION}\nmirror: {self.mirror}\n{head}"
        text += f"ssh: {{user: ops, key: {self.hosts.key_path}}}\n{textwrap.dedent(body).strip()}\n{textwrap.dedent(common)}"
        self.inventory.write_text(text)

    def write_topology(self, controllers: int, workers: int, *, common: str = COMMON, head: str = "") -> list[str]:
        """h1.. as controllers that take work, then workers; returns the names."""
        names = [f"h{number}" for number in range(1, controllers + workers + 1)]
        lines = ["hosts:"]
        for index, name in enumerate(names):
            role = ", role: controller+worker" if index < controllers else ""
            lines.append(f"  {name}: {{address: {self.hosts.address(name)}{role}}}")
        self.write("\n".join(lines), common, head)
        return names

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


@pytest.fixture
def repository(tmp_path: Path, sandbox_hosts: SandboxHosts, mirror: Path) -> Repository:
    for folder in ("inventories", "home", "state"):
        (tmp_path / folder).mkdir()
    return Repository(tmp_path, sandbox_hosts, mirror)


def fresh(repository: Repository, controllers: int, workers: int, **options: str) -> list[str]:
    """Blank hosts, pinned and locked."""
    names = repository.write_topology(controllers, workers, **options)
    repository.hosts.wipe(*names)
    repository.pin()
    repository.run("lock")
    return names


@pytest.fixture(scope="module")
def shared_repository(
    tmp_path_factory: pytest.TempPathFactory, sandbox_hosts: SandboxHosts, mirror: Path
) -> Repository:
    """One repository for a module whose tests tell one story in order."""
    root = tmp_path_factory.mktemp("repository")
    for folder in ("inventories", "home", "state"):
        (root / folder).mkdir()
    return Repository(root, sandbox_hosts, mirror)


WATCHED = "/etc /usr /opt /root /home /var/lib /var/spool /boot /srv"
# Written by k3s and the system themselves all the time.
VOLATILE = "/var/lib/rancher|/var/lib/kubelet|/var/lib/systemd|/etc/rancher/k3s/k3s.yaml|/etc/machine-id|/var/lib/cni|/var/lib/dbus"


def snapshot(hosts: SandboxHosts, host: str, *, data_too: bool = False) -> dict[str, str]:
    """Every path with its change time, size and mode: any write by anybody shows."""
    skipped = "" if data_too else f"| grep -vE '^({VOLATILE})'"
    out = hosts.ssh(host, f"find {WATCHED} -printf '%p\\t%C@ %s %m %U:%G %y\\n' 2>/dev/null {skipped}")
    return dict(line.split("\t", 1) for line in out.splitlines() if "\t" in line)


def tree(hosts: SandboxHosts, host: str) -> set[str]:
    """Every path of the host's disk outside kernel and temporary file systems."""
    out = hosts.ssh(
        host,
        "find / -xdev \\( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp \\) -prune -o -print; find /run/bootstrap /var/lib/rancher 2>/dev/null; true",
    )
    return set(out.splitlines())


LAST_WORDS = """
for unit in k3s k3s-agent; do
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
