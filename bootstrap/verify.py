"""Asks the Kubernetes API until the cluster is what the inventory says, or the time is up. Writes nothing."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace

from bootstrap.api import ANSWER_SECONDS, Answer, Api, read_object
from bootstrap.api_errors import RequestError
from bootstrap.checks import check_cluster
from bootstrap.cluster_state import ClusterState, heartbeat_of, items, name_of, waits_for_network
from bootstrap.driver import NodeExpectation
from bootstrap.model import Check, Inventory
from bootstrap.workloads import NAMESPACE, check_workloads

Connect = Callable[[], AbstractContextManager[Api]]
Checks = tuple[Check, ...]

REFUSALS_BELIEVED = 5  # a starting API says 401 or 403 for a moment; so many in a row are meant
_TRIES = 3  # of one question within one look; a GET may be repeated
_SHORTEST = 1.0  # seconds that a question always has, so that the last look is a fair one
_LONGEST_PAUSE = 5.0  # seconds; a server may wish for more in Retry-After, which does not decide our run time

_PATHS = {
    "version": "/version",
    "nodes": "/api/v1/nodes",
    "leases": "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases",
    "deployments": f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments",
    "daemonsets": f"/apis/apps/v1/namespaces/{NAMESPACE}/daemonsets",
    "pods": f"/api/v1/namespaces/{NAMESPACE}/pods",
}


@dataclass(frozen=True)
class Patience:
    """How long to go on looking, and how often a good answer must be repeated before it is believed."""

    deadline: float = 300.0  # seconds, of all looks together
    looks: int = 3  # good ones in a row
    interval: float = 2.0  # seconds between looks


@dataclass(frozen=True)
class Wanted:
    """What the cluster shall be. `addresses`: node name -> addresses that the inventory gives.

    `workloads` must exist in kube-system by name. `network_comes_later`: the person brings the CNI.
    """

    nodes: tuple[NodeExpectation, ...]
    addresses: Mapping[str, Sequence[str]] = field(default_factory=dict)
    workloads: tuple[str, ...] = ()
    network_comes_later: bool = False


def verify_cluster(
    inventory: Inventory,
    expectations: Sequence[NodeExpectation],
    connect: Connect,
    *,
    patience: Patience = Patience(),
    workloads: Sequence[str] = (),
    network_comes_later: bool = False,
    on_look: Callable[[Checks], None] = lambda _: None,
) -> Checks:
    """The checks of the last look, and one that says whether they were steady.

    `connect` opens the API, such as `lambda: open_api(kubeconfig)`. `on_look` gets the checks of each look.
    All checks are green only when `patience.looks` looks in a row were. An API that can't be asked is a red check,
    not an exception. Raises KubeconfigError.
    """
    addresses = {host.name: host.node_addresses for host in inventory.hosts}
    wanted = Wanted(tuple(expectations), addresses, tuple(workloads), network_comes_later)
    with connect() as api:
        return _look_until_steady(api, wanted, patience, on_look)


def observe_cluster(api: Api, *, seconds: float = 10.0) -> ClusterState:
    """One look at everything that the checks need. Raises RequestError."""
    return Observer(api).look(time.monotonic() + seconds)


def judge(state: ClusterState, wanted: Wanted) -> Checks:
    """All checks on one look. Pure."""
    cluster = check_cluster(state, wanted.nodes, wanted.addresses, network_comes_later=wanted.network_comes_later)
    if wanted.network_comes_later and any(waits_for_network(node) for node in items(state.nodes)):
        return (
            *cluster,
            Check("system pods", ok=True, detail="not looked at before there is a CNI", subject=NAMESPACE),
        )
    return (*cluster, *check_workloads(state, wanted.workloads))


class Observer:
    """Looks again and again; remembers of each Lease only when it was last seen to change."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._beats: dict[str, str] = {}
        self._renewed: dict[str, float] = {}

    def look(self, deadline: float) -> ClusterState:
        """One look; `deadline` in the monotonic clock's seconds. Raises RequestError."""
        ready = ask_patiently(self._api, "/readyz", deadline)
        answers = {name: ask_patiently(self._api, path, deadline) for name, path in _PATHS.items()}
        state = ClusterState(
            readyz=ready.text,
            server_time=answers["leases"].time,
            certificate_expiry=ready.certificate_expiry,
            **{name: read_object(answer, self._api.server) for name, answer in answers.items()},
        )
        return replace(state, renewed_ago=self._note_renewals(state, time.monotonic()))

    def _note_renewals(self, state: ClusterState, now: float) -> dict[str, float]:
        """A renewal that happened before our eyes counts whatever the clocks of hosts and server say."""
        for node in items(state.nodes):
            name, beat = name_of(node), heartbeat_of(state, node)
            if self._beats.setdefault(name, beat) != beat:
                self._renewed[name] = now
            self._beats[name] = beat
        return {name: now - moment for name, moment in self._renewed.items()}


def ask_patiently(api: Api, path: str, deadline: float) -> Answer:
    """One question, repeated a few times where the connection or the server failed. Raises RequestError."""
    for attempt in range(1, _TRIES + 1):
        try:
            return api.ask(path, seconds=max(_SHORTEST, min(ANSWER_SECONDS, deadline - time.monotonic())))
        except RequestError as error:
            pause = min(max(error.retry_after, 0.2), _LONGEST_PAUSE)
            ends = time.monotonic() + pause >= deadline
            if attempt == _TRIES or ends or error.cause.is_final or error.cause.is_refusal:
                raise
            time.sleep(pause)
    raise AssertionError("unreachable")


def _look_until_steady(api: Api, wanted: Wanted, patience: Patience, on_look: Callable[[Checks], None]) -> Checks:
    observer, deadline = Observer(api), time.monotonic() + patience.deadline
    steady = refusals = 0
    while True:
        checks, error = _look_once(observer, wanted, deadline)
        steady = steady + 1 if checks and all(check.ok for check in checks) else 0
        refusals = refusals + 1 if error and error.cause.is_refusal else 0
        on_look(checks)
        if steady >= max(1, patience.looks):
            return (*checks, Check("steady", ok=True, detail=f"{steady} good looks in a row"))
        hopeless = refusals >= REFUSALS_BELIEVED or (error is not None and error.cause.is_final)
        if hopeless or time.monotonic() + patience.interval >= deadline:
            return (*checks, _unsteady(steady, patience))
        time.sleep(patience.interval)


def _look_once(observer: Observer, wanted: Wanted, deadline: float) -> tuple[Checks, RequestError | None]:
    try:
        return judge(observer.look(deadline), wanted), None
    except RequestError as error:
        why = f": {error.why}" if error.why else ""
        hint = f"; {error.next_step}" if error.next_step else ""
        return (Check("api ready", ok=False, detail=f"{error.what}{why}{hint}", subject=error.where),), error


def _unsteady(steady: int, patience: Patience) -> Check:
    return Check("steady", ok=False, detail=f"{steady} good looks in a row, wanted {max(1, patience.looks)}")
