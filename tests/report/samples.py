"""Plans, reports and mistakes as a person would meet them, for the golden texts."""

from bootstrap.diffs import count_lines, diff_file, diff_removed_file
from bootstrap.errors import InventoryError, Problem
from bootstrap.model import (
    Check,
    Disruption,
    Fetch,
    Finding,
    LockedFile,
    Plan,
    Put,
    Report,
    Run,
    Secret,
    Stage,
    Status,
    Step,
    StepResult,
    Wait,
)
from bootstrap.report import StatusRow

CONFIG = "/etc/rancher/k3s/config.yaml"
SECRETS = {"${env:TOKEN}": Secret("correct-horse-battery")}
BINARY = LockedFile(
    "k3s", "v1.36.3+k3s1", "arm64", "https://me:hunter2@mirror.lan/k3s/v1.36.3+k3s1/k3s-arm64", 71_000_000, "ab" * 32
)


def config(host: str, number: int) -> str:
    return (
        f"server: https://192.168.1.10:6443\ntoken: ${{env:TOKEN}}\nnode-name: {host}\nnode-ip: 192.168.1.{number}\n"
        "node-label:\n- disk=ssd\n- zone=cellar\nkubelet-arg:\n- max-pods=200\n"
    )


def put_config(host: str, number: int, old: str | None = None) -> Step:
    new = config(host, number)
    diff = diff_file(CONFIG, old, new, SECRETS)
    reason = f"no such file: {count_lines(diff)}" if old is None else f"config.yaml differs: {count_lines(diff)}"
    return Step(host, f"write {CONFIG}", reason, Put(CONFIG, new, "0600"), diff)


def fetch(host: str) -> Step:
    return Step(host, "fetch k3s v1.36.3+k3s1", "no k3s on this host", Fetch(BINARY, "/usr/local/bin/k3s"))


def restart(host: str, reason: str = "config.yaml changed") -> Step:
    run = Run("systemctl restart --no-block k3s", deadline=60.0)
    return Step(host, "restart k3s", reason, run, disruption=Disruption.RESTART)


def wait(host: str) -> Step:
    return Step(
        host, f"wait until Node {host} is Ready", "it has just joined", Wait("kubectl get node", 300.0, "journalctl")
    )


def fresh(count: int) -> Plan:
    hosts = [(f"pi-{number}", 10 + number) for number in range(1, count + 1)]
    install = [step for host, number in hosts for step in (fetch(host), put_config(host, number))]
    found, *join = hosts
    return Plan(
        "home",
        "apply",
        (
            Stage("put files", tuple(install), at_once=10),
            Stage("found the cluster", (start(found[0]), wait(found[0])), critical=True),
            Stage("join", tuple(step for host, _ in join for step in (start(host), wait(host))), at_once=5),
        ),
    )


def start(host: str) -> Step:
    run = Run("systemctl start --no-block k3s", stdin="${env:TOKEN}\n")
    return Step(host, "start k3s", "k3s is not running", run)


CHANGED = Plan(
    "home",
    "apply",
    (
        Stage(
            "put files",
            (
                put_config(
                    "pi-1", 11, config("pi-1", 11).replace("${env:TOKEN}", "an-older-token").replace("200", "110")
                ),
                put_config(
                    "pi-2",
                    12,
                    config("pi-2", 12).replace("${env:TOKEN}", "correct-horse-battery").replace("ssd", "hdd"),
                ),
                Step(
                    "pi-2",
                    "remove /etc/rancher/k3s/old.yaml",
                    "no longer in the inventory",
                    Run("rm -f /etc/rancher/k3s/old.yaml"),
                    diff_removed_file("/etc/rancher/k3s/old.yaml", "password: hunter2\nname: old", {}),
                ),
            ),
            at_once=10,
        ),
        Stage("restart servers", (restart("pi-1"), wait("pi-1"), restart("pi-2"), wait("pi-2"))),
        Stage(
            "label Nodes", (Step("pi-3", "label Node pi-3: disk=ssd", "the Node has disk=hdd", Run("true"), on="pi-1"),)
        ),
    ),
    findings=(
        Finding("pi-3", "swap is on (1024 MB)", "the kubelet runs with it, but slowly: `swapoff -a`", stops=False),
    ),
    unreachable=("pi-4",),
    notes=("pi-4 is a worker: the others can be changed without it.",),
)

STOPPED = Plan(
    "home",
    "apply",
    findings=(
        Finding("pi-1", "its clock is 95 s behind this machine's", "set it: `timedatectl set-ntp true`"),
        Finding("pi-2", "its clock is 95 s behind this machine's", "set it: `timedatectl set-ntp true`"),
        Finding("pi-2", "port 6443 is in use by haproxy", "stop it, or give `endpoint.port`"),
        Finding("", "two hosts have the machine-id 0f3c: pi-1, pi-2", "`systemd-machine-id-setup` on one of them"),
        Finding("pi-3", "swap is on (1024 MB)", stops=False),
    ),
)

EMPTY = Plan("home", "apply")

RESET = Plan(
    "home",
    "reset",
    (
        Stage(
            "remove k3s",
            tuple(
                Step(
                    f"pi-{number}", "uninstall k3s", "asked for", Run("k3s-uninstall.sh"), disruption=Disruption.REMOVE
                )
                for number in (1, 2, 3)
            ),
            at_once=3,
        ),
    ),
)

CHECKS = (
    Check("API answers", True, "readyz in 12 ms", "192.168.1.10:6443"),
    Check("node set", True, "3 Nodes, as in the inventory"),
    Check(
        "Node Ready",
        False,
        "NotReady for 2 min: container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady "
        "message:Network plugin returns error: cni plugin not initialized",
        "pi-3",
    ),
    Check("version", True, "v1.36.3+k3s1", "pi-3"),
)

REPORT = Report(
    (
        StepResult(fetch("pi-2"), Status.DONE, "", 4.1),
        StepResult(
            start("pi-3"),
            Status.FAILED,
            "k3s-agent did not become active within 60 s; its journal says:\n"
            '  level=info msg="Waiting to retrieve agent configuration; server is not ready: not authorized"\n'
            "why:  the token is not the cluster's\nnext: see `token:` in the inventory",
            60.3,
        ),
        StepResult(wait("pi-3"), Status.SKIPPED),
        StepResult(restart("pi-1"), Status.UNKNOWN, "the connection broke and pi-1 does not answer", 12.0),
        StepResult(start("pi-5"), Status.INTERRUPTED, "unit bootstrap-7f3a on pi-5 goes on by itself", 3.0),
    ),
    CHECKS,
    CHANGED,
    "/home/ops/.local/state/bootstrap/logs/home/7f3a",
)

DONE = Report((StepResult(fetch("pi-2"), Status.DONE, "", 4.1),), CHECKS[:2], EMPTY, "/home/ops/logs")

PROBLEMS = InventoryError(
    [
        Problem(
            "inventories/home.yaml",
            7,
            16,
            "unknown key `adress`",
            "did you mean `address`?",
            "  pi-1: {role: 1, adress: 1}",
        ),
        Problem("inventories/home.yaml", 3, 1, "`version` is a number: write it in quotes", "", "version: 1.30"),
        Problem("inventories/home.yaml", 9, 5, "a tab can't indent", "use blanks", "\t\t日本: [\x1b[31m]\tx"),
        Problem("inventories/home.yaml", 8, 210, "too long", "", "    names: [" + "a" * 195 + "] HERE " + "b" * 100),
    ]
)

ROWS = (
    StatusRow("pi-1", "controller+worker", "v1.36.3+k3s1", True, 86_400.0 * 12, 12_900_000, "active"),
    StatusRow("pi-2", "worker", "v1.36.3+k3s1", False, 5_000.0, 800_000, "activating"),
    StatusRow("pi-3", "worker"),
)
