"""The deep check on two hosts whose scripts really run, with a kubectl and a ctr that keep a cluster in a folder."""

import json
import shutil
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from bootstrap.deep import DeepTask, verify_deep
from bootstrap.driver import DeepTools
from bootstrap.errors import UnreachableError
from tests.fakes import Machine, ShellTransport

from .fake_api import issue_server, make_authority

RUN = "20260101-000000-abcdef"
NAMESPACE = "bootstrap-verify-abc123"

KUBECTL = """\
#!/bin/sh
# `fail` holds patterns of calls that fail, one a line.
echo "$*" >> @STATE@/calls
while read -r pattern; do case " $* " in *"$pattern"*) echo "refused: $pattern" >&2; exit 1;; esac; done < @STATE@/fail
case " $* " in
*" --raw /livez "*|*" --raw /readyz "*) printf ok;;
*" --raw "*"/pods "*) cat @STATE@/pods.json;;
*" --raw "*"/services/probe "*) printf '{"spec":{"clusterIP":"10.96.0.7"}}';;
*" --raw "*"/events "*) printf '{"items":null}';;
*" get namespaces "*) cat @STATE@/namespaces;;
*" create "*) cat > @STATE@/created;;
*" delete "*) ;;
*" logs "*) echo "Starting to serve on [::]:8080";;
*" exec "*probe-h1*--server=http://127.0.0.1:8080*) printf probe-h1;;
*" exec "*probe-h2*--server=http://127.0.0.1:8080*) printf probe-h2;;
*--server=http://10.244.0.1:8080*) printf probe-h1;;
*--server=http://10.244.0.2:8080*|*--server=http://10.96.0.7*|*--server=http://probe.*) printf probe-h2;;
*) echo "what is $*?" >&2; exit 1;;
esac
"""
CTR = """\
#!/bin/sh
case "$*" in
*"import -") [ ! -e @STATE@/full ] || { echo "no space left on device" >&2; exit 1; }
  [ "$(wc -c)" -gt 1000 ] && touch @IMAGE@ && echo saved;;
*" rm "*) [ -e @STATE@/stuck ] || rm -f @IMAGE@;;
*" ls -q") [ ! -e @IMAGE@ ] || echo bootstrap.invalid/probe:1; echo registry.k8s.io/pause:3.10.2;;
esac
"""


def pod(node: str, number: int) -> dict:
    conditions = [{"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": "True"}]
    status = {"phase": "Running", "podIP": f"10.244.0.{number}", "conditions": conditions}
    return {"metadata": {"name": f"probe-{node}"}, "spec": {"nodeName": node}, "status": status}


@dataclass
class Cluster:
    """Two hosts and what is kept of their cluster."""

    root: Path
    task: DeepTask
    machines: dict[str, Machine]
    said: list[str] = field(default_factory=list)

    @property
    def calls(self) -> str:
        path = self.root / "calls"
        return path.read_text() if path.exists() else ""

    def fail(self, *patterns: str) -> None:
        (self.root / "fail").write_text("".join(f"{pattern}\n" for pattern in patterns))

    def connect(self, name: str) -> ShellTransport:
        return self.machines[name].connect()

    def verify(self, **changed):
        return verify_deep(self.connect, replace(self.task, **changed), self.said.append)

    def leftovers(self) -> list[str]:
        """Images and links on hosts."""
        links = [name for name, machine in self.machines.items() if machine.place("/run/bootstrap/probe").exists()]
        return links + [path.name for path in self.root.glob("image-*")]


@pytest.fixture(params=["dash", "busybox"])
def cluster(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    monkeypatch.setattr("bootstrap.deep.PAUSE", 0.01)
    monkeypatch.setattr("bootstrap.deep_checks.RETRIES", 0)  # each question is asked once
    if not shutil.which(request.param):
        pytest.skip(f"{request.param} is not installed: apt-get install {request.param}")
    shell = ("busybox", "sh") if request.param == "busybox" else ("dash",)
    state = tmp_path / "state of it"
    state.mkdir()
    tools, machines = {}, {}
    authority = make_authority()
    for name in ("h1", "h2"):
        folder = state / name
        folder.mkdir()
        quoted = str(state).replace(" ", "\\ ")
        for program, text in (("kubectl", KUBECTL), ("ctr", CTR)):
            path = folder / program
            path.write_text(text.replace("@STATE@", quoted).replace("@IMAGE@", f"{quoted}/image-{name}"))
            path.chmod(0o755)
        (folder / "ca.crt").write_text(authority.certificate_pem)
        (folder / "server.crt").write_text(issue_server(authority).certificate_pem + issue_server(authority).key_pem)
        tools[name] = DeepTools(
            str(folder / "kubectl"),
            (str(folder / "ctr"), "images"),
            "/etc/admin.conf",
            "/etc/kubelet.conf",
            (f"{folder}/*.crt", f"{folder}/none/*.crt"),
            "",
        )
        machines[name] = Machine(name, tmp_path / name, shell)
        lease = machines[name].place("/run/bootstrap/lease")
        lease.parent.mkdir(parents=True)
        lease.write_text(f'{{"run": "{RUN}"}}\n')
    (state / "pods.json").write_text(json.dumps({"items": [pod("h1", 1), pod("h2", 2)]}))
    (state / "namespaces").write_text("")
    (state / "fail").write_text("")
    task = DeepTask(
        run=RUN,
        name="abc123",
        nodes=["h1", "h2"],
        controllers=["h1"],
        tools=tools,
        arches={"h1": "amd64", "h2": "arm64"},
        urls=["https://10.0.0.1:6443"],
        domain="cluster.local",
        deadline=0.0,
    )
    return Cluster(state, task, machines)


def red(checks) -> dict[tuple[str, str], str]:
    return {(check.name, check.subject): check.detail for check in checks if not check.ok}


def test_a_good_cluster_is_green_all_of_it_and_nothing_is_left_behind(cluster: Cluster):
    checks = cluster.verify()
    assert red(checks) == {}
    assert [(check.name, check.subject) for check in checks] == [
        *((name, host) for host in ("h1", "h2") for name in ("probe image", "endpoint", "certificates")),
        *(("probe pod", host) for host in ("h1", "h2")),
        *((name, host) for host in ("h1", "h2") for name in ("logs", "exec", "pod to pod", "service", "dns")),
        ("removed", ""),
    ]
    assert f"delete namespace {NAMESPACE}" in cluster.calls
    assert json.loads((cluster.root / "created").read_text())["items"][0]["metadata"]["name"] == NAMESPACE
    assert cluster.leftovers() == []


def test_no_key_leaves_a_host(cluster: Cluster, monkeypatch: pytest.MonkeyPatch):
    outputs = []
    run = ShellTransport.run

    def listen(self, script, **options):
        result = run(self, script, **options)
        outputs.append(result.stdout + result.stderr)
        return result

    monkeypatch.setattr(ShellTransport, "run", listen)
    cluster.verify()
    assert any("BEGIN CERTIFICATE" in text for text in outputs)
    assert not any("PRIVATE" in text for text in outputs)


@pytest.mark.parametrize(
    ("pattern", "name", "subject"),
    [
        ("--server=https://10.0.0.1:6443 ", "endpoint", "h1"),
        ("logs -n", "logs", "h2"),
        ("probe-h1 -- /kubectl --request-timeout=4s --server=http://127", "exec", "h1"),
        ("--server=http://10.244.0.2:", "pod to pod", "h1"),
        ("--server=http://10.96.0.7", "service", "h2"),
        ("--server=http://probe.", "dns", "h2"),
        (" create ", "probe", ""),
        ("/pods ", "probe", ""),
        (" delete ", "removed", ""),
    ],
)
def test_what_fails_is_red_and_the_rest_is_removed(cluster: Cluster, pattern: str, name: str, subject: str):
    cluster.fail(pattern)
    assert "refused" in red(cluster.verify())[name, subject]
    assert cluster.leftovers() == []


def test_when_exec_fails_nothing_else_is_asked_of_that_pod(cluster: Cluster):
    cluster.fail("probe-h1 --")
    found = red(cluster.verify())
    assert found["service", "h1"] == "10.96.0.7: not asked"
    assert found["dns", "h1"].endswith(": not asked")
    assert ("service", "h2") not in found
    assert cluster.calls.count("probe-h1 --") == 1


def test_an_api_that_is_ready_on_no_controller_is_red_and_nothing_is_created(cluster: Cluster):
    cluster.fail("/readyz")
    found = red(cluster.verify())
    assert found["probe", ""].startswith("the API answers on no controller: h1: exit code 1")
    assert " create " not in cluster.calls
    assert cluster.leftovers() == []


def test_the_second_controller_serves_when_the_first_is_gone(cluster: Cluster):
    cluster.machines["h1"].is_up = False
    found = red(cluster.verify(controllers=["h1", "h2"]))
    assert ("probe image", "h1") in found
    assert "no answer" in found["removed", ""]
    assert not any(subject == "h2" for _, subject in found)


def test_no_controller_at_all_is_red(cluster: Cluster):
    assert red(cluster.verify(controllers=[]))["probe", ""].endswith("no controller can be asked")


def test_a_full_disk_is_red_and_looked_at_no_further(cluster: Cluster):
    (cluster.root / "full").touch()
    assert red(cluster.verify())["probe image", "h1"] == "no space left on device"


def test_an_image_that_stays_is_told(cluster: Cluster):
    (cluster.root / "stuck").touch()
    assert "could not be removed" in red(cluster.verify())["removed", ""]


def test_a_pod_that_does_not_come_is_red_and_the_others_ask_without_it(cluster: Cluster):
    (cluster.root / "pods.json").write_text(json.dumps({"items": [pod("h1", 1)]}))
    found = red(cluster.verify())
    assert found["probe pod", "h2"] == "no pod was made for this node"
    assert ("exec", "h1") not in found
    assert "10.244.0.2" not in cluster.calls


def test_pods_are_waited_for(cluster: Cluster):
    complete = (cluster.root / "pods.json").read_text()
    (cluster.root / "pods.json").write_text('{"items": null}')
    threading.Timer(0.5, (cluster.root / "pods.json").write_text, [complete]).start()
    assert red(cluster.verify(deadline=30.0)) == {}


def test_leftovers_of_an_earlier_run_go_and_namespaces_of_others_stay(cluster: Cluster):
    (cluster.root / "namespaces").write_text("namespace/bootstrap-verify-0dd000\nnamespace/monitoring\n")
    cluster.verify()
    assert "delete namespace/bootstrap-verify-0dd000" in cluster.calls
    assert "monitoring" not in cluster.calls


@pytest.mark.parametrize("when", [" create ", "/pods"])
def test_after_ctrl_c_nothing_is_left_behind(cluster: Cluster, monkeypatch: pytest.MonkeyPatch, when: str):
    run = ShellTransport.run

    def interrupt(self, script, **options):
        result = run(self, script, **options)
        if when in script:
            raise KeyboardInterrupt
        return result

    monkeypatch.setattr(ShellTransport, "run", interrupt)
    with pytest.raises(KeyboardInterrupt):
        cluster.verify()
    assert f"delete namespace {NAMESPACE}" in cluster.calls
    assert cluster.leftovers() == []


def test_a_run_that_lost_its_lease_writes_nothing(cluster: Cluster):
    for machine in cluster.machines.values():
        machine.place("/run/bootstrap/lease").write_text('{"run": "another"}\n')
    assert "lease of this host is lost" in red(cluster.verify())["probe image", "h1"]
    assert cluster.leftovers() == []
    assert " create " not in cluster.calls


def test_stages_are_told(cluster: Cluster):
    cluster.verify()
    assert cluster.said[-1] == "removing the probe"
    assert len(cluster.said) == 4


def test_a_question_that_failed_is_asked_again(cluster: Cluster, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("bootstrap.deep_checks.RETRIES", 30)
    cluster.fail("--server=http://10.96.0.7")
    threading.Timer(1.5, cluster.fail).start()
    assert red(cluster.verify()) == {}


def test_a_host_that_can_not_be_reached_is_red(cluster: Cluster):
    def connect(name: str) -> ShellTransport:
        if name == "h2":
            raise UnreachableError("h2", "no answer")
        return cluster.connect(name)

    checks = verify_deep(connect, cluster.task, cluster.said.append)
    assert "no answer" in red(checks)["probe image", "h2"]
