"""What the deep checks put into the cluster, what they ask there, and how the answers are judged. Pure."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bootstrap.cluster_state import Raw, as_list, as_mapping, items, name_of, shorten
from bootstrap.deep_hosts import IMAGE, KUBECTL, TELL, Line, read_lines
from bootstrap.driver import DeepTools
from bootstrap.facts import bracket
from bootstrap.model import Check
from bootstrap.operations import fence
from bootstrap.plan import KUBECTL_PRELUDE
from bootstrap.shell import quote
from bootstrap.workloads import explain_pod

PORT = 8080
NAMESPACE_PREFIX = "bootstrap-verify-"
MANAGED_BY = ("app.kubernetes.io/managed-by", "bootstrap")
APP = {"app.kubernetes.io/name": "probe", MANAGED_BY[0]: MANAGED_BY[1]}
ALL_PAIRS = 5  # up to so many nodes each asks all others; beyond that each asks the next
RETRIES = 12  # seconds in which a question that failed is asked again: routes and Services need a moment
ANSWER = 4  # seconds that one question may take inside a pod


@dataclass(frozen=True)
class ProbePod:
    """A pod of the probe; `problem` is why it isn't ready, or nothing."""

    name: str
    node: str
    address: str = ""
    problem: str = ""

    @property
    def url(self) -> str:
        return f"http://{bracket(self.address)}:{PORT}"


@dataclass(frozen=True)
class ProbeState:
    """One look at the probe: its pods, the Service's address, and what its DaemonSet complained about last."""

    pods: tuple[ProbePod, ...]
    service: str = ""
    complaint: str = ""

    def pod_on(self, node: str) -> ProbePod | None:
        return next((pod for pod in self.pods if pod.node == node), None)


# --- in the cluster ------------------------------------------------------------------------------


def make_objects(namespace: str) -> str:
    """Namespace, DaemonSet and Service, as JSON for `kubectl create`.

    The pod is as harmless as one can be, but for one file of the host mounted read-only (kubectl, so that no
    program has to be copied): that alone needs the privileged level of the pod security standards.
    """
    metadata = {"namespace": namespace, "name": "probe", "labels": APP}
    level = {"pod-security.kubernetes.io/enforce": "privileged", "pod-security.kubernetes.io/warn": "privileged"}
    service = {"selector": APP, "ports": [{"port": 80, "targetPort": PORT}]}
    daemonset = {
        "selector": {"matchLabels": APP},
        "template": {"metadata": {"labels": APP}, "spec": _pod_spec()},
    }
    objects = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": {**APP, **level}}},
        {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": service},
        {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": metadata, "spec": daemonset},
    ]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})


def _pod_spec() -> dict[str, Any]:
    """kubectl as an HTTP server of /files, in which the pod's name stands; it has no way to the API."""
    name = {"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 1,
        "tolerations": [{"operator": "Exists"}],
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "runAsGroup": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": "probe",
                "image": IMAGE,
                "imagePullPolicy": "Never",
                "command": ["/kubectl", "proxy", "--address=", f"--port={PORT}", "--accept-hosts=.*"],
                "args": ["--server=http://127.0.0.1:9", "--api-prefix=/api/", "--www=/files", "--www-prefix=/files/"],
                "env": [{"name": "HOME", "value": "/files"}],
                "ports": [{"containerPort": PORT}],
                "readinessProbe": {"httpGet": {"path": "/files/name", "port": PORT}, "periodSeconds": 1},
                "resources": {"requests": {"cpu": "1m", "memory": "16Mi"}},
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
                "volumeMounts": [
                    {"name": "kubectl", "mountPath": "/kubectl", "readOnly": True},
                    {"name": "files", "mountPath": "/files", "readOnly": True},
                ],
            }
        ],
        "volumes": [
            {"name": "kubectl", "hostPath": {"path": KUBECTL, "type": "File"}},
            {"name": "files", "downwardAPI": {"items": [name]}},
        ],
    }


def admin(tools: DeepTools) -> str:
    """kubectl on a controller, as an administrator."""
    return f"{KUBECTL} --kubeconfig={quote(tools.admin_kubeconfig)}"


def answer_script(tools: DeepTools) -> str:
    """Exit 0 when this controller's API is ready."""
    return f"timeout 15 {admin(tools)} --request-timeout=10s get --raw /readyz\n"


def create_script(run: str, tools: DeepTools) -> str:
    """Remove what an earlier run left behind, and create the objects on standard input."""
    kubectl = admin(tools)
    return f"""{KUBECTL_PRELUDE}{fence(run)}
for name in $({kubectl} get namespaces -l {"=".join(MANAGED_BY)} -o name); do
  case $name in namespace/{NAMESPACE_PREFIX}*) timeout 30 {kubectl} delete "$name" --ignore-not-found --wait=false;; esac
done
timeout 60 {kubectl} create --validate=false -f -
"""


def delete_script(tools: DeepTools, namespace: str) -> str:
    """Delete the namespace with all that is in it, and wait until it is gone."""
    return f"""{KUBECTL_PRELUDE}timeout 90 {admin(tools)} delete namespace {namespace} --ignore-not-found --timeout=80s
"""


def look_script(tools: DeepTools, namespace: str) -> str:
    """Prints one JSON object: pods, service, events."""
    paths = {"pods": "pods", "service": "services/probe", "events": "events"}
    gets = "\nprintf ,\n".join(
        f"printf '\"{key}\":'; timeout 15 {admin(tools)} --request-timeout=10s get --raw /api/v1/namespaces/{namespace}/{path}"
        for key, path in paths.items()
    )
    return f"set -eu\nprintf '{{'\n{gets}\nprintf '}}'\n"


def read_look(text: str) -> ProbeState:
    """What a look script printed. Raises ValueError."""
    found = as_mapping(json.loads(text))
    warnings = [event for event in items(as_mapping(found.get("events"))) if event.get("type") == "Warning"]
    complaints = [
        str(event.get("message"))
        for event in warnings
        if as_mapping(event.get("involvedObject")).get("kind") == "DaemonSet"
    ]
    service = as_mapping(as_mapping(found.get("service")).get("spec")).get("clusterIP")
    pods = tuple(_read_pod(pod) for pod in items(as_mapping(found.get("pods"))))
    return ProbeState(pods, str(service or ""), shorten(complaints[-1]) if complaints else "")


def _read_pod(pod: Raw) -> ProbePod:
    """A pod that is yet to be scheduled is meant for the node that its DaemonSet names."""
    spec, status = as_mapping(pod.get("spec")), as_mapping(pod.get("status"))
    address = str(status.get("podIP") or "")
    problem = explain_pod(pod) or ("" if address else "it has no address")
    return ProbePod(name_of(pod), str(spec.get("nodeName") or _meant_for(spec)), address, problem)


def _meant_for(spec: Raw) -> str:
    affinity = as_mapping(as_mapping(spec.get("affinity")).get("nodeAffinity"))
    required = as_mapping(affinity.get("requiredDuringSchedulingIgnoredDuringExecution"))
    fields = [
        field for term in as_list(required.get("nodeSelectorTerms")) for field in as_list(term.get("matchFields"))
    ]
    return next((str(value) for field in fields for value in field.get("values") or ()), "")


def judge_pods(nodes: Sequence[str], state: ProbeState) -> tuple[Check, ...]:
    """The probe runs on every node, and its kubelet reaches it."""
    return tuple(_judge_pod(node, state) for node in nodes)


def _judge_pod(node: str, state: ProbeState) -> Check:
    pod = state.pod_on(node)
    problem = pod.problem if pod else state.complaint or "no pod was made for this node"
    detail = f"ready at {pod.address}" if pod and not problem else problem
    return Check("probe pod", not problem, detail, subject=node)


# --- from pod to pod -----------------------------------------------------------------------------


def choose_targets(source: ProbePod, pods: Sequence[ProbePod]) -> tuple[ProbePod, ...]:
    """Whom a pod asks: all others, or in a large cluster the next one."""
    ordered = sorted(pods, key=lambda pod: pod.node)
    place = ordered.index(source)
    others = (*ordered[place + 1 :], *ordered[:place])
    return others if len(ordered) <= ALL_PAIRS else others[:1]


def make_questions(source: ProbePod, state: ProbeState, namespace: str, domain: str) -> dict[str, str]:
    """URL by label; `exec` comes first."""
    ready = [pod for pod in state.pods if not pod.problem]
    return {
        "exec": f"http://127.0.0.1:{PORT}",
        **{f"pod:{pod.node}": pod.url for pod in choose_targets(source, ready)},
        "service": f"http://{bracket(state.service)}",
        "dns": f"http://probe.{namespace}.svc.{domain}",
    }


def ask_script(tools: DeepTools, namespace: str, pod: str, questions: Mapping[str, str]) -> str:
    """Ask for the pod's log, and by exec of the client inside it each question, until it is answered or time is up.

    When `exec` itself fails, nothing else is asked.
    """
    kubectl = admin(tools)
    client = f"timeout 20 {kubectl} exec -n {namespace} {pod} -- /kubectl --request-timeout={ANSWER}s"
    asks = "".join(
        f"ask {quote(label)} {quote(url)}{' || exit 0' if label == 'exec' else ''}\n"
        for label, url in questions.items()
    )
    return f"""set -u
{TELL}
uptime() {{ cut -d. -f1 /proc/uptime; }}
end=$(( $(uptime) + {RETRIES} ))
answered() {{ case $line in "$1 0 "*) true;; *) false;; esac; }}
ask() {{
  until line=$(tell "$1" {client} --server="$2" get --raw /files/name); answered "$1"; do
    [ "$(uptime)" -lt "$end" ] || break
    sleep 1
  done
  printf '%s\n' "$line"; answered "$1"
}}
tell logs timeout 20 {kubectl} logs -n {namespace} {pod}
{asks}exit 0
"""


def ask_seconds(questions: Mapping[str, str]) -> float:
    """The most that an ask script takes."""
    return 20.0 + RETRIES + 21.0 * len(questions)


def judge_answers(source: ProbePod, state: ProbeState, questions: Mapping[str, str], text: str) -> tuple[Check, ...]:
    """What an ask script printed: logs, exec, and whom the pod reaches. Each answer must be the right pod's name."""
    lines = read_lines(text)
    names = {f"pod:{pod.node}": {pod.name} for pod in state.pods} | {"exec": {source.name}}
    anyone = {pod.name for pod in state.pods}
    wrong = {label: _explain(lines.get(label), names.get(label, anyone)) for label in questions}
    checks = [
        _judge_logs(source.node, lines.get("logs")),
        Check("exec", not wrong["exec"], wrong["exec"] or "answers", subject=source.node),
        _judge_reach(
            "pod to pod", source, [label for label in questions if label.startswith("pod:")], questions, wrong
        ),
        _judge_reach("service", source, ["service"], questions, wrong),
        _judge_reach("dns", source, ["dns"], questions, wrong),
    ]
    return tuple(check for check in checks if check)


def _judge_reach(
    name: str, source: ProbePod, labels: Sequence[str], questions: Mapping[str, str], wrong: Mapping[str, str]
) -> Check | None:
    """None when there was nobody to ask, as on the only node."""
    if not labels:
        return None
    failed = [f"{_name_target(label, questions)}: {wrong[label]}" for label in labels if wrong[label]]
    reached = ", ".join(_name_target(label, questions) for label in labels)
    return Check(name, not failed, "; ".join(failed) or f"reaches {reached}", subject=source.node)


def _name_target(label: str, questions: Mapping[str, str]) -> str:
    url = questions[label].removeprefix("http://")
    return f"{label.removeprefix('pod:')} ({url})" if label.startswith("pod:") else url


def _explain(line: Line | None, names: set[str]) -> str:
    """What is wrong with an answer, or nothing."""
    if line is None:
        return "not asked"
    if line.problem:
        return line.problem
    last = line.text.split()[-1:]
    return "" if last and last[0] in names else f"another one answered: {shorten(line.text) or 'nothing'}"


def _judge_logs(node: str, line: Line | None) -> Check:
    if line is None:
        return Check("logs", ok=False, detail="not asked", subject=node)
    ok = not line.problem and "Starting to serve" in line.text
    return Check("logs", ok, "readable" if ok else line.problem or shorten(line.text) or "empty", subject=node)
