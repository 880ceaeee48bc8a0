"""What a Node carries: labels, annotations, taints, its interface. The rules are Kubernetes' own."""

import re
from functools import partial

from bootstrap.inventory.draft import Draft, attempt, attempt_key
from bootstrap.inventory.layers import Layer, append, merge
from bootstrap.inventory.problems import Problems
from bootstrap.inventory.ranges import Entry
from bootstrap.inventory.values import INTERFACE, Unfit, check_label_value, check_qualified, parse_taint

# The kubelet or the distribution writes these at every start, so a value from here would never stay
# (kubernetes: "Well-Known Labels, Annotations and Taints").
OWNED_LABELS = frozenset(
    {
        "kubernetes.io/arch",
        "kubernetes.io/hostname",
        "kubernetes.io/os",
        "beta.kubernetes.io/arch",
        "beta.kubernetes.io/os",
        "node-role.kubernetes.io/control-plane",
        "node-role.kubernetes.io/etcd",
        "node-role.kubernetes.io/master",
    }
)
RESERVED_PREFIXES = ("kubernetes.io/", "k8s.io/")
ANNOTATIONS_LIMIT = 256 * 1024  # bytes, keys and values together


def check_nodes(draft: Draft, problems: Problems) -> None:
    for layer in draft.layers:
        check_labels(layer, problems)
        check_annotations(layer, problems)
        for index, taint in enumerate(layer.settings.get("taints", ())):
            if taint is not None:
                attempt(problems, (*layer.path, "taints", index), parse_taint, taint)
        if "node_interface" in layer.settings:
            attempt(problems, (*layer.path, "node_interface"), check_interface, layer.settings["node_interface"])
    for entry in draft.entries:
        check_host(entry, draft, problems)


def check_labels(layer: Layer, problems: Problems) -> None:
    for key, value in layer.settings.get("labels", {}).items():
        path = (*layer.path, "labels", key)
        attempt_key(problems, path, check_label_key, key)
        attempt(problems, path, partial(check_label_value, kind="label"), value)


def check_label_key(key: str) -> None:
    check_qualified(key, "label")
    if key in OWNED_LABELS:
        raise Unfit(f"the label `{key}` belongs to Kubernetes", "its value follows from the host; remove it")
    if key.startswith(RESERVED_PREFIXES):
        prefix = key.split("/")[0]
        raise Unfit(f"the label prefix `{prefix}/` is reserved", "choose a prefix of your own, or none")


def check_annotations(layer: Layer, problems: Problems) -> None:
    for key in layer.settings.get("annotations", {}):
        attempt_key(problems, (*layer.path, "annotations", key), partial(check_qualified, kind="annotation"), key)


def check_interface(name: str) -> None:
    if not re.fullmatch(INTERFACE, name):
        raise Unfit(f"`{name}` is not the name of an interface", "at most 15 characters, for example eth0 or wg0")


def check_host(entry: Entry, draft: Draft, problems: Problems) -> None:
    """The layers of one host together: taints once, annotations not too long."""
    layers = draft.layers_of(entry)
    seen: dict[tuple[str, str], int] = {}
    for placed in append(layers, "taints"):
        if problems.is_broken(placed.path):
            continue
        taint = parse_taint(placed.value)
        line = problems.value_position(placed.path).line
        if seen.setdefault((taint.key, taint.effect), line) != line:
            message = f"host `{entry.name}` has the taint `{taint.key}` with {taint.effect} twice"
            problems.add(
                placed.path, message, f"the other one is on line {seen[taint.key, taint.effect]}: keep one of them"
            )
    annotations = merge(layers, "annotations")
    if sum(len(key.encode()) + len(placed.value.encode()) for key, placed in annotations.items()) > ANNOTATIONS_LIMIT:
        problems.add_at_key(
            entry.path, f"the annotations of `{entry.name}` are larger than 256 KiB", "Kubernetes takes no more"
        )
