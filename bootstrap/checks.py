"""What is right and wrong with a cluster: raw API answers in, checks out. Pure; no check is green by default."""

import ipaddress
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime

from bootstrap.cluster_state import (
    ClusterState,
    Raw,
    as_list,
    as_mapping,
    conditions_of,
    find_node,
    heartbeat_of,
    items,
    name_of,
    parse_time,
    shorten,
    waits_for_network,
)
from bootstrap.driver import NodeExpectation
from bootstrap.model import Check

FRESH_SECONDS = 60.0  # a Lease is renewed every 10 s and the API calls a Node lost after 50 s
EXPIRY_WARNING_DAYS = 30
CONTROL_PLANE_LABELS = (
    "node-role.kubernetes.io/control-plane",
    "node-role.kubernetes.io/master",
    "node.kubernetes.io/microk8s-controlplane",
)
_PRESSURES = ("MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable")


def check_cluster(
    state: ClusterState,
    expectations: Sequence[NodeExpectation],
    addresses: Mapping[str, Sequence[str]],
    *,
    network_comes_later: bool = False,
) -> tuple[Check, ...]:
    """Every check but those of the system pods. `addresses`: node name -> addresses that the inventory gives."""
    checks = [
        check_ready(state),
        check_version(state, expectations),
        check_certificate(state),
        check_node_set(state, expectations),
    ]
    for expectation in expectations:
        given = addresses.get(expectation.name, ())
        checks += check_node(state, expectation, given, network_comes_later=network_comes_later)
    return tuple(check for check in checks if check is not None)


def check_node(
    state: ClusterState,
    wanted: NodeExpectation,
    addresses: Sequence[str] = (),
    *,
    network_comes_later: bool,
) -> tuple[Check, ...]:
    """All that is expected of one Node; a Node that is missing gives one check, red."""
    node = find_node(state, wanted.name)
    if node is None:
        return (Check("node ready", ok=False, detail="there is no such Node", subject=wanted.name),)
    checks = [
        check_node_ready(node, network_comes_later=network_comes_later),
        check_heartbeat(state, node),
        check_kubelet_version(node, wanted),
        check_role(node, wanted),
        check_schedulable(node),
        check_labels(node, wanted) if wanted.labels else None,
        check_taints(node, wanted) if wanted.taints else None,
        check_addresses(node, addresses) if addresses else None,
    ]
    return tuple(check for check in checks if check is not None)


# --- the control plane ---------------------------------------------------------------------------


def check_ready(state: ClusterState) -> Check:
    """/readyz says `ok`, which covers etcd and the start-up hooks."""
    ok = state.readyz.strip() == "ok"
    return Check("api ready", ok, "readyz: ok" if ok else f"readyz: {state.readyz.strip()[:200] or 'empty answer'}")


def check_version(state: ClusterState, expectations: Sequence[NodeExpectation]) -> Check:
    """The server that answered has a version that a controller shall have."""
    version = str(state.version.get("gitVersion") or "")
    wanted = {node.version for node in expectations if node.controls} or {node.version for node in expectations}
    if any(is_version(version, each) for each in wanted):
        return Check("api version", ok=True, detail=version)
    return Check("api version", ok=False, detail=f"{version or 'none given'}, wanted {_join(wanted) or 'none'}")


def check_certificate(state: ClusterState) -> Check | None:
    """The API's certificate is valid for a while; None when the connection did not show it."""
    if state.certificate_expiry is None:
        return None
    left = state.certificate_expiry - (state.server_time or datetime.now(UTC))
    day = f"{state.certificate_expiry:%Y-%m-%d}"
    if left.total_seconds() <= 0:
        return Check("api certificate", ok=False, detail=f"expired on {day}")
    soon = f", in {left.days} days: restart the control plane to renew it" if left.days < EXPIRY_WARNING_DAYS else ""
    return Check("api certificate", ok=True, detail=f"expires on {day}{soon}")


def check_node_set(state: ClusterState, expectations: Sequence[NodeExpectation]) -> Check:
    """The Nodes are exactly those of the inventory."""
    wanted = {node.name for node in expectations}
    found = {name_of(node) for node in items(state.nodes)}
    if not wanted:
        return Check("node set", ok=False, detail="no Node is expected: nothing was checked")
    missing, extra = sorted(wanted - found), sorted(found - wanted)
    parts = [f"missing: {', '.join(missing)}"] if missing else []
    parts += [f"not in the inventory: {', '.join(extra)}"] if extra else []
    return Check("node set", ok=not parts, detail="; ".join(parts) or f"{len(found)} of {len(wanted)}")


# --- one Node ------------------------------------------------------------------------------------


def check_node_ready(node: Raw, *, network_comes_later: bool) -> Check:
    """The Ready condition is True and nothing presses. Whether that is news or memory, `check_heartbeat` says.

    `network_comes_later`: the person brings the CNI; a Node that lacks only that is as far as it can be.
    """
    conditions = conditions_of(node)
    ready = conditions.get("Ready", {})
    name = name_of(node)
    if network_comes_later and waits_for_network(node):
        return Check(
            "node ready", ok=True, detail="up; Ready when a CNI is installed, which is left to you", subject=name
        )
    if ready.get("status") != "True":
        detail = f"not ready: {_explain_condition(ready)}" if ready else "not ready: the kubelet has not reported"
        return Check("node ready", ok=False, detail=detail, subject=name)
    pressed = [kind for kind in _PRESSURES if conditions.get(kind, {}).get("status") == "True"]
    detail = "; ".join(f"{kind}: {_explain_condition(conditions[kind])}" for kind in pressed)
    return Check("node ready", ok=not pressed, detail=detail or "Ready", subject=name)


def check_heartbeat(state: ClusterState, node: Raw) -> Check:
    """The kubelet was alive a moment ago: a Node stays Ready for 50 s after its kubelet died.

    Fresh is a Lease that we saw change, or one renewed within 60 s by the API server's clock. Without a Lease the
    Ready condition's own heartbeat counts. A time in the future proves nothing: that is a wrong clock.
    """
    name = name_of(node)
    renewed = state.renewed_ago.get(name)
    if renewed is not None and renewed <= FRESH_SECONDS:
        return Check("heartbeat", ok=True, detail=f"renewed {renewed:.0f} s ago", subject=name)
    beat = heartbeat_of(state, node)
    time = parse_time(beat)
    if time is None or state.server_time is None:
        missing = "the kubelet has never reported" if time is None else "the API server told no time to compare with"
        return Check("heartbeat", ok=False, detail=missing, subject=name)
    age = (state.server_time - time).total_seconds()
    if age < -FRESH_SECONDS:
        return Check(
            "heartbeat", ok=False, detail=f"{-age:.0f} s in the future: the host's clock is wrong", subject=name
        )
    return Check("heartbeat", ok=age <= FRESH_SECONDS, detail=f"{max(age, 0):.0f} s ago", subject=name)


def check_kubelet_version(node: Raw, wanted: NodeExpectation) -> Check:
    """The kubelet that reported is of the wanted version, not the one before the restart."""
    version = str(as_mapping(as_mapping(node.get("status")).get("nodeInfo")).get("kubeletVersion") or "")
    ok = is_version(version, wanted.version)
    detail = version if ok else f"{version or 'none reported'}, wanted {wanted.version}"
    return Check("kubelet version", ok, detail, subject=wanted.name)


def is_version(found: str, wanted: str) -> bool:
    """Whether it is the wanted version, or of the wanted minor where no patch release is named (`v1.36`)."""
    return bool(found) and (found == wanted or (wanted.count(".") == 1 and found.startswith(f"{wanted}.")))


def check_role(node: Raw, wanted: NodeExpectation) -> Check:
    """Control plane or not, by the label that the distribution sets."""
    controls = any(label in _labels(node) for label in CONTROL_PLANE_LABELS)
    words = {True: "control plane", False: "worker"}
    ok = controls is wanted.controls
    detail = words[controls] if ok else f"{words[controls]}, wanted {words[wanted.controls]}"
    return Check("role", ok, detail, subject=wanted.name)


def check_schedulable(node: Raw) -> Check:
    """The Node is not cordoned, for instance by a drain that was interrupted."""
    name = name_of(node)
    cordoned = bool(as_mapping(node.get("spec")).get("unschedulable"))
    return Check(
        "schedulable", not cordoned, f"cordoned: `kubectl uncordon {name}`" if cordoned else "yes", subject=name
    )


def check_labels(node: Raw, wanted: NodeExpectation) -> Check:
    """Each wanted label is there with its value; others are the cluster's own business."""
    labels = _labels(node)
    wrong = [_compare(key, labels.get(key), value) for key, value in wanted.labels.items() if labels.get(key) != value]
    ok = bool(wanted.labels) and not wrong
    return Check("labels", ok, "; ".join(wrong) or f"{len(wanted.labels)} as wanted", subject=wanted.name)


def check_taints(node: Raw, wanted: NodeExpectation) -> Check:
    """Each wanted taint is there; others are the cluster's own business."""
    found = {_format_taint(taint) for taint in as_list(as_mapping(node.get("spec")).get("taints"))}
    missing = [taint for taint in wanted.taints if taint not in found]
    ok = bool(wanted.taints) and not missing
    return Check(
        "taints", ok, f"missing: {', '.join(missing)}" if missing else _join(wanted.taints), subject=wanted.name
    )


def check_addresses(node: Raw, wanted: Sequence[str]) -> Check:
    """The Node announces the addresses that the inventory gives it, in any spelling."""
    entries = as_list(as_mapping(node.get("status")).get("addresses"))
    found = {_address(str(entry.get("address"))) for entry in entries if entry.get("type") == "InternalIP"}
    missing = [address for address in wanted if _address(address) not in found]
    has = _join(found) or "none"
    ok = bool(wanted) and not missing
    return Check("addresses", ok, f"{has}, wanted {', '.join(wanted)}" if missing else has, subject=name_of(node))


def _explain_condition(condition: Raw) -> str:
    parts = (str(condition.get(key) or "") for key in ("reason", "message"))
    return shorten(": ".join(part for part in parts if part)) or f"status {condition.get('status')}"


def _compare(key: str, found: object, wanted: str) -> str:
    return f"{key} is missing" if found is None else f"{key} is `{found}`, wanted `{wanted}`"


def _format_taint(taint: Raw) -> str:
    value = taint.get("value")
    return f"{taint.get('key')}{f'={value}' if value else ''}:{taint.get('effect')}"


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return text


def _join(words: Collection[str]) -> str:
    return ", ".join(sorted(words))


def _labels(node: Raw) -> Raw:
    return as_mapping(as_mapping(node.get("metadata")).get("labels"))
