"""With `dynamicConfig`: what stays in each controller's k0s.yaml, and what lives in the cluster. Pure.

k0s reads its file whole when it founds a cluster; from then on only `api`, `storage` and the balancing of the control
plane count there (docs.k0sproject.io/stable/dynamic-configuration). What k0sctl leaves in the file is those and `network`.
"""

from collections.abc import Mapping
from typing import Any

import yaml

from bootstrap.diffs import find_differences, find_missing
from bootstrap.distros.k0s.documents import cluster_wide, node_local

KEPT = ("api", "network", "storage")
# Of the object, but fixed when the cluster is made: k0s keeps them out of it (pkg/apis/k0s/v1beta1, GetClusterWideConfig).
FOUNDED = ("serviceCIDR", "clusterDomain")
NAMESPACE, NAME = "kube-system", "k0s"


def keep_document(document: Mapping[str, Any]) -> dict[str, Any]:
    """What k0sctl would leave in the file of a controller that runs."""
    spec = document.get("spec") or {}
    return {**document, "spec": {name: spec.get(name) or {} for name in KEPT}}


def keep_text(text: str) -> str:
    """The rendered file as it shall lie on a controller that runs: its comments, then the parts that count."""
    comments = [line for line in text.splitlines() if line.startswith("#")]
    kept = keep_document(yaml.safe_load(text))
    return "\n".join([*comments, yaml.safe_dump(kept, sort_keys=False, allow_unicode=True, width=4096)])


def find_local_differences(wanted: Mapping[str, Any], actual: Mapping[str, Any]) -> tuple[str, ...]:
    """Fields that each controller reads from its own file, and that differ."""
    new, old = (node_local(each.get("spec") or {}) for each in (wanted, actual))
    return tuple(find_differences(new, old, path="spec"))


def make_object(document: Mapping[str, Any]) -> dict[str, Any]:
    """The object that holds the cluster-wide part."""
    spec = cluster_wide(document.get("spec") or {})
    network = {name: value for name, value in (spec.get("network") or {}).items() if name not in FOUNDED}
    spec = {**spec, **({"network": network} if network else {})}
    head = {"apiVersion": document["apiVersion"], "kind": document["kind"]}
    return {**head, "metadata": {"name": NAME, "namespace": NAMESPACE}, "spec": spec}


def find_wide_differences(document: Mapping[str, Any], actual: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Fields that the cluster keeps otherwise; what it has beside them, such as defaults, is none of our business."""
    return tuple(find_missing(make_object(document)["spec"], (actual or {}).get("spec") or {}, path="spec"))
