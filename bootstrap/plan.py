"""Building blocks of every plan: files, hooks, records, labels. Pure; what a distribution does with them is its own."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from bootstrap.diffs import count_lines, diff_file
from bootstrap.driver import NodeExpectation, PlanInput
from bootstrap.facts import RECORD_PATH, format_record
from bootstrap.model import (
    Artifact,
    Disruption,
    Fetch,
    FileFacts,
    Hook,
    Host,
    HostFacts,
    Inventory,
    LockedFile,
    Put,
    Record,
    Run,
    Stage,
    Step,
    digest,
)
from bootstrap.shell import join, quote

# Runs on the operator's machine at every apply, before any host is asked: no host can record it.
BEFORE_CONNECT = "before-connect"
CLUSTER_TAINT = "node-role.kubernetes.io/control-plane"


def find_artifact(plan_input: PlanInput, host: str, path: str) -> Artifact | None:
    return next((a for a in plan_input.artifacts if a.host == host and a.path == path), None)


def filled_content(plan_input: PlanInput, artifact: Artifact) -> str:
    """What shall lie on the host, references replaced."""
    return plan_input.filled.get((artifact.host, artifact.path), artifact.content)


def lasting_content(plan_input: PlanInput, artifact: Artifact) -> str:
    """Like filled_content, but a value that this run has made up stands as its reference: no plan depends on it."""
    text = filled_content(plan_input, artifact)
    for name, value in plan_input.secrets.items():
        if name.startswith("${generated:"):
            text = text.replace(value.reveal(), name)
    return text


def is_current(artifact: Artifact, wanted: str, actual: FileFacts | None) -> bool:
    return (
        actual is not None
        and actual.sha256 == digest(wanted)
        and actual.mode == artifact.mode
        and actual.owner == artifact.owner
    )


def put_steps(plan_input: PlanInput, artifacts: Iterable[Artifact]) -> Iterator[Step]:
    """One step for each file that is not on its host as it shall be."""
    for artifact in artifacts:
        actual = plan_input.facts[artifact.host].files.get(artifact.path)
        wanted = filled_content(plan_input, artifact)
        if not is_current(artifact, wanted, actual):
            yield _put_step(plan_input, artifact, wanted, actual)


def _put_step(plan_input: PlanInput, artifact: Artifact, wanted: str, actual: FileFacts | None) -> Step:
    old = actual.content if actual else None
    unread = actual is not None and old is None
    diff = "" if unread else diff_file(artifact.path, old, artifact.content, plan_input.secrets)
    if actual is None:
        reason = "does not exist yet"
    elif actual.sha256 != digest(wanted):
        reason = f"differs: {count_lines(diff)}" if diff else "holds other bytes"
    else:
        found = f"{actual.mode} {actual.owner}"
        reason = f"mode and owner are {found}, wanted {artifact.mode} {artifact.owner}"
    action = Put(artifact.path, artifact.content, artifact.mode, artifact.owner)
    return Step(artifact.host, f"write {artifact.path}", reason, action, diff)


def fetch_step(facts: HostFacts, file: LockedFile, path: str, mode: str, disruption: Disruption) -> Step | None:
    """Bring a locked file to `path`, unless its bytes lie there already."""
    actual = facts.files.get(path)
    if actual and actual.sha256 == file.sha256 and actual.mode == mode:
        return None
    reason = "does not exist yet" if actual is None else f"is another file than {file.name} {file.version} of the lock"
    title = f"bring {file.name} {file.version} to {path}"
    return Step(facts.host, title, reason, Fetch(file, path, mode), disruption=disruption)


# --- hooks ---------------------------------------------------------------------------------------


def hooks_at(plan_input: PlanInput, host: Host, *points: str, founder: str) -> Iterator[Step]:
    """Hooks of these points that have not run on the host in their present text."""
    ran = _hooks_run(plan_input, host.name)
    for point in points:
        for hook in plan_input.inventory.hooks:
            due = (
                hook.point == point and _passes(point, host.name, founder) and ran.get(hook.name) != digest(hook.script)
            )
            if due and _concerns(plan_input, hook, host, founder):
                yield _hook_step(hook, host, ran.get(hook.name))


def _hooks_run(plan_input: PlanInput, name: str) -> Mapping[str, str]:
    facts = plan_input.facts.get(name)
    return facts.record.hooks if facts and facts.record else {}


def _passes(point: str, name: str, founder: str) -> bool:
    """One host founds, all others join."""
    return (name == founder) if "founder" in point else (name != founder) if "join" in point else True


def _concerns(plan_input: PlanInput, hook: Hook, host: Host, founder: str) -> bool:
    """Whether the host shall have run it. With `once` it is the host that did so already, else the first that passes."""
    names = hook.hosts or tuple(each.name for each in plan_input.inventory.hosts)
    if not hook.once or "founder" in hook.point:
        return host.name in names
    passing = (name for name in names if name in plan_input.facts and _passes(hook.point, name, founder))
    ran = (name for name in names if _hooks_run(plan_input, name).get(hook.name) == digest(hook.script))
    return host.name == next(ran, next(passing, None))


def _hook_step(hook: Hook, host: Host, before: str | None) -> Step:
    reason = "its text changed since it ran" if before else "has not run on this host"
    title = f"run hook {hook.name} ({hook.point})"
    return Step(host.name, title, reason, Run(hook.script, deadline=600.0))


def due_hooks(plan_input: PlanInput, host: Host, founder: str) -> dict[str, str]:
    """Digests of all hooks that concern the host: what its record shall say after the run.

    Hooks of points that it did not pass are among them: who joined must not run the founder's hooks later,
    when another controller is asked in the founder's place.
    """
    hooks = (hook for hook in plan_input.inventory.hooks if hook.point != BEFORE_CONNECT)
    return {hook.name: digest(hook.script) for hook in hooks if _concerns(plan_input, hook, host, founder)}


# --- records -------------------------------------------------------------------------------------


def record_step(facts: HostFacts, wanted: Record) -> Step | None:
    """Write down what was applied; always the last step for a host."""
    if facts.record == wanted:
        return None
    reason = "so that the next run knows what is in force here"
    return Step(facts.host, "write the record of this run", reason, Put(RECORD_PATH, format_record(wanted), "0600"))


def change_record(record: Record | None, cluster: str, **changes: Any) -> Record:  # noqa: ANN401 - fields of Record
    return replace(record or Record(), cluster=cluster, **changes)


# --- labels, annotations, taints -----------------------------------------------------------------


@dataclass(frozen=True)
class NodeMarks:
    """Labels, annotations and taints (`key:effect` -> `key=value:effect`) of one Node."""

    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    taints: Mapping[str, str]


def wanted_marks(host: Host) -> NodeMarks:
    """What the inventory says, the taint of a pure controller included."""
    taints = {f"{taint.key}:{taint.effect}": str(taint) for taint in host.taints}
    if host.role.controls and not host.role.takes_work:
        taints.setdefault(f"{CLUSTER_TAINT}:NoSchedule", f"{CLUSTER_TAINT}:NoSchedule")
    return NodeMarks(host.labels, host.annotations, taints)


def expect_nodes(inventory: Inventory) -> list[NodeExpectation]:
    """What verify wants to see of each Node: the version is the inventory's, the name the host's."""
    return [
        NodeExpectation(
            name=host.name,
            version=inventory.version,
            controls=host.role.controls,
            labels=dict(wanted_marks(host).labels),
            taints=tuple(wanted_marks(host).taints.values()),
        )
        for host in inventory.hosts
    ]


def actual_marks(node: Mapping[str, Any] | None) -> NodeMarks:
    """Marks of a Node object as the API gives it; a Node that is not there has none."""
    metadata = (node or {}).get("metadata") or {}
    spec = (node or {}).get("spec") or {}
    taints = {}
    for taint in spec.get("taints") or ():
        value = f"={taint['value']}" if taint.get("value") else ""
        taints[f"{taint['key']}:{taint['effect']}"] = f"{taint['key']}{value}:{taint['effect']}"
    return NodeMarks(metadata.get("labels") or {}, metadata.get("annotations") or {}, taints)


def mark_commands(
    kubectl: Sequence[str], node: str, wanted: NodeMarks, actual: NodeMarks, owned: Record
) -> list[list[str]]:
    """kubectl commands that make ours of the marks as wanted: what others set is left alone."""
    words = {
        "label": _changes(wanted.labels, actual.labels, owned.labels, "="),
        "annotate": _changes(wanted.annotations, actual.annotations, owned.annotations, "="),
        "taint": _taint_changes(wanted.taints, actual.taints, owned.taints),
    }
    return [[*kubectl, verb, "node", node, "--overwrite", *changes] for verb, changes in words.items() if changes]


def _changes(wanted: Mapping[str, str], actual: Mapping[str, str], owned: Sequence[str], sign: str) -> list[str]:
    put = [f"{key}{sign}{value}" for key, value in sorted(wanted.items()) if actual.get(key) != value]
    return put + [f"{key}-" for key in sorted(owned) if key not in wanted and key in actual]


def _taint_changes(wanted: Mapping[str, str], actual: Mapping[str, str], owned: Sequence[str]) -> list[str]:
    put = [text for key, text in sorted(wanted.items()) if actual.get(key) != text]
    return put + [f"{key}-" for key in sorted(owned) if key not in wanted and key in actual]


def mark_step(
    host: str, on: str, kubectl: Sequence[str], wanted: NodeMarks, node: Mapping[str, Any] | None, owned: Record
) -> Step | None:
    """Reconcile one Node's marks through the API, asked on a live controller."""
    commands = mark_commands(kubectl, host, wanted, actual_marks(node), owned)
    if not commands:
        return None
    kinds = {"label": "labels", "annotate": "annotations", "taint": "taints"}
    names = [kinds[command[len(kubectl)]] for command in commands]
    reason = "the inventory says: " + "; ".join(" ".join(command[len(kubectl) + 4 :]) for command in commands)
    script = KUBECTL_PRELUDE + "\n".join(join(command) for command in commands) + "\n"
    return Step(host, f"set {' and '.join(names)} of the node", reason, Run(script), on=on)


# kubectl keeps a discovery cache below HOME: a place that a reboot empties leaves nothing behind.
KUBECTL_PRELUDE = "set -eu\nexport KUBECACHEDIR=/run/bootstrap/kube-cache\n"


def drain_node(kubectl: Sequence[str], node: str) -> str:
    """A script that takes the pods off a Node, within six minutes, and never waits for an answer from standard input."""
    words, name = join(kubectl), quote(node)
    options = "--ignore-daemonsets --delete-emptydir-data --force --timeout=240s"
    return (
        f"{KUBECTL_PRELUDE}timeout 60 {words} cordon {name} </dev/null\n"
        f"timeout 300 {words} drain {name} {options} </dev/null\n"
    )


def expect_ready(node: str) -> str:
    """Lines that fail unless the Node whose JSON `text` holds is Ready; after them `has NAME` asks for another condition."""
    return f"""has() {{ printf '%s' "$text" | tr '{{' '\\n' | grep -F "\\"type\\":\\"$1\\"" | grep -qF '"status":"True"'; }}
has Ready || {{ echo "node {node} is not Ready"; exit 1; }}
"""


def uncordon_node(kubectl: Sequence[str], node: str) -> str:
    """A script that lets a Node take pods again."""
    return f"{KUBECTL_PRELUDE}timeout 60 {join(kubectl)} uncordon {quote(node)} </dev/null\n"


def own_marks(record: Record, wanted: NodeMarks, before: Record) -> Record:
    """The record with the keys that are ours: those wanted, and those of `before` that are yet to be taken off."""
    return replace(
        record,
        labels=tuple(sorted({*wanted.labels, *before.labels})),
        annotations=tuple(sorted({*wanted.annotations, *before.annotations})),
        taints=tuple(sorted({*wanted.taints, *before.taints})),
    )


UNKNOWN: Final = " "  # no label has such a value


def unknown_node(owned: Record) -> Mapping[str, Any]:
    """A Node that nobody can look at now: it has our keys, with values that equal no wanted one."""
    parts = [key.rpartition(":") for key in owned.taints]
    taints = [{"key": key, "effect": effect, "value": UNKNOWN} for key, _, effect in parts]
    marks = {"labels": dict.fromkeys(owned.labels, UNKNOWN), "annotations": dict.fromkeys(owned.annotations, UNKNOWN)}
    return {"metadata": marks, "spec": {"taints": taints}}


def make_stage(title: str, steps: Iterable[Step | None], *, at_once: int = 1, critical: bool = False) -> Stage:
    """A stage of the steps that are there; None stands for nothing to do."""
    return Stage(title, tuple(step for step in steps if step), at_once, critical)
