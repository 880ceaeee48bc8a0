"""Whatever happened to the hosts before, and wherever a run was cut off: the next plan brings them home, and then there is nothing to do."""

import os
from contextlib import suppress
from dataclasses import replace

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from bootstrap.distros.k3s.layout import BINARY, CONFIG, JOIN, REGISTRIES, SCRIPT
from bootstrap.errors import PlanRefusedError
from bootstrap.facts import RECORD_PATH
from bootstrap.model import Hook, Taint, digest
from bootstrap.report import format_plan, plan_to_json
from tests.plan.world import CANARY, NEW, OLD, TOKEN, World, change_host, change_native, make_inventory

SHAPES = ((1, 0), (1, 2), (3, 0), (3, 2), (5, 1))
LABELS = st.dictionaries(
    st.sampled_from(["disk", "example.com/zone", "node-role.kubernetes.io/storage"]), st.sampled_from(["a", "b"])
)
TAINTS = st.lists(
    st.sampled_from(["NoSchedule", "NoExecute"]).map(lambda effect: Taint("dedicated", "x", effect)), unique=True
)


class Operator(RuleBasedStateMachine):
    """One cluster, an operator who edits the inventory and applies, and a world that does harm in between."""

    @initialize(shape=st.sampled_from(SHAPES), cut=st.none() | st.integers(0, 30))
    def begin(self, shape: tuple[int, int], cut: int | None) -> None:
        self.world = World(make_inventory(*shape, version=OLD))
        self.world.execute(self.world.plan(), cut)

    def host(self, number: int) -> str:
        hosts = self.world.inventory.hosts
        return hosts[number % len(hosts)].name

    @property
    def majority_kept(self) -> bool:
        """Enough controllers hold the datastore that losing one leaves a quorum, or there is none to lose."""
        names = [host.name for host in self.world.inventory.controllers]
        kept = [name for name in names if self.world.hosts[name].datastore == "etcd"]
        return len(kept) - 1 >= len(names) // 2 + 1

    # --- harm --------------------------------------------------------------------------------

    @rule(number=st.integers(0, 9))
    def wipe_a_host(self, number: int) -> None:
        name = self.host(number)
        if not self.world.inventory.host(name).role.controls or self.majority_kept:
            self.world.wipe(name)

    @rule(workers_too=st.booleans())
    def wipe_all_controllers(self, workers_too: bool) -> None:
        hosts = self.world.inventory.hosts
        self.world.wipe(*(host.name for host in hosts if host.role.controls or workers_too))

    @rule(number=st.integers(0, 9))
    def stop_a_service(self, number: int) -> None:
        self.world.stop(self.host(number))

    @rule()
    def cut_the_power(self) -> None:
        self.world.stop(*self.world.hosts)

    @rule(number=st.integers(0, 9))
    def reboot(self, number: int) -> None:
        self.world.reboot(self.host(number))

    @rule(number=st.integers(0, 9), reachable=st.booleans())
    def cut_a_cable(self, number: int, reachable: bool) -> None:
        self.world.hosts[self.host(number)].reachable = reachable

    @rule(number=st.integers(0, 9))
    def lose_a_record(self, number: int) -> None:
        self.world.edit(self.host(number), RECORD_PATH, None)

    @rule(number=st.integers(0, 9), path=st.sampled_from([CONFIG, SCRIPT, JOIN]))
    def edit_a_file_by_hand(self, number: int, path: str) -> None:
        name = self.host(number)
        if path in self.world.hosts[name].files and path != JOIN:
            self.world.edit(name, path, "# edited by hand\n")

    @rule(number=st.integers(0, 9), path=st.sampled_from([CONFIG, SCRIPT, BINARY, JOIN]))
    def delete_a_file(self, number: int, path: str) -> None:
        self.world.edit(self.host(number), path, None)

    # --- what the operator wants -------------------------------------------------------------

    @rule(number=st.integers(0, 9), labels=LABELS, annotations=LABELS, taints=TAINTS)
    def change_marks(
        self, number: int, labels: dict[str, str], annotations: dict[str, str], taints: list[Taint]
    ) -> None:
        changes = {"labels": labels, "annotations": annotations, "taints": tuple(taints)}
        self.world.inventory = change_host(self.world.inventory, self.host(number), **changes)

    @rule(number=st.integers(0, 9), everywhere=st.booleans(), pods=st.integers(1, 3))
    def change_native_keys(self, number: int, everywhere: bool, pods: int) -> None:
        names = () if everywhere else (self.host(number),)
        self.world.inventory = change_native(
            self.world.inventory, {"config": {"kubelet-arg": [f"max-pods={pods}"]}}, *names
        )

    @rule(number=st.integers(0, 9), mirror=st.sampled_from(["", "m1", "m2"]))
    def change_registries(self, number: int, mirror: str) -> None:
        native = {"registries": {"mirrors": {"docker.io": {"endpoint": [f"https://{mirror}"]}}}} if mirror else {}
        self.world.inventory = change_native(self.world.inventory, native, self.host(number))

    @rule(controllers=st.sampled_from([1, 3, 5]), workers=st.integers(0, 2))
    def add_hosts(self, controllers: int, workers: int) -> None:
        known = {host.name for host in self.world.inventory.hosts}
        grown = make_inventory(controllers, workers).hosts
        hosts = (*self.world.inventory.hosts, *(host for host in grown if host.name not in known))
        self.world.meet(replace(self.world.inventory, hosts=hosts))

    @rule()
    def upgrade(self) -> None:
        self.world.inventory = replace(self.world.inventory, version=NEW)

    @rule(
        point=st.sampled_from(["before-prepare", "after-founder", "after-join", "after-apply"]),
        once=st.booleans(),
        text=st.sampled_from("ab"),
    )
    def change_a_hook(self, point: str, once: bool, text: str) -> None:
        self.world.inventory = replace(self.world.inventory, hooks=(Hook("net", point, text, once),))

    # --- runs --------------------------------------------------------------------------------

    @rule(cut=st.integers(0, 40))
    def apply_and_be_cut_off(self, cut: int) -> None:
        with suppress(PlanRefusedError):
            self.world.execute(self.world.plan(), cut)

    @rule()
    def apply_to_what_is_reachable(self) -> None:
        """No step fails, whoever is missing; a refusal is the other honest answer."""
        with suppress(PlanRefusedError):
            self.world.execute(self.world.plan())

    @rule()
    def apply(self) -> None:
        for host in self.world.hosts.values():
            host.reachable = True
        try:
            plan = self.world.plan()
        except PlanRefusedError as error:
            self.follow_the_advice(error)
            plan = self.world.plan()
        for text in (plan_to_json(plan), format_plan(plan, color=False, width=100, host_count=len(self.world.hosts))):
            assert TOKEN not in text
            assert CANARY not in text
        self.world.execute(plan)
        again = self.world.plan()
        assert again.is_empty, format_plan(again, color=False, width=150, host_count=9)
        self.check_that_every_k3s_runs_with_its_files()

    def follow_the_advice(self, error: PlanRefusedError) -> None:
        """One member alone again, as --cluster-reset makes it."""
        assert "lost its quorum" in str(error), error
        (keeper, *_) = [host for host in self.world.hosts.values() if host.datastore == "etcd"]
        self.world.clusters[keeper.cluster].members = {keeper.name}
        self.world.reboot(keeper.name)

    def check_that_every_k3s_runs_with_its_files(self) -> None:
        """Independent of any record: what was read at the start is what lies there."""
        for host in self.world.inventory.hosts:
            model = self.world.hosts[host.name]
            (unit,) = model.units.values()
            assert unit.active == "active", host.name
            assert (REGISTRIES in model.files) == ("registries" in host.native), host.name
            assert model.content(CONFIG) == self.world.input().filled[host.name, CONFIG], host.name
            for path in (CONFIG, REGISTRIES):
                assert unit.read.get(path, "") == model.content(path), f"{host.name}: {path}"
            assert unit.read[BINARY] == digest(f"k3s {self.world.inventory.version} amd64"), host.name
            self.check_marks(host.name)

    def check_marks(self, name: str) -> None:
        node = self.world.clusters[self.world.hosts[name].cluster].nodes[name]
        host = self.world.inventory.host(name)
        ours = ("disk", "example.com/zone", "node-role.kubernetes.io/storage")
        assert {key: value for key, value in node["metadata"]["labels"].items() if key in ours} == host.labels
        assert {key: value for key, value in node["metadata"]["annotations"].items() if key in ours} == host.annotations
        assert {taint["effect"] for taint in node["spec"]["taints"]} == {taint.effect for taint in host.taints}

    @invariant()
    def there_is_one_cluster(self) -> None:
        if hasattr(self, "world"):
            assert len(self.world.living_clusters()) <= 1


# A failing story is told as it was found: making it shorter takes minutes, and twelve events are read in one.
Operator.TestCase.settings = settings(
    max_examples=int(os.environ.get("BOOTSTRAP_EXAMPLES", "40")),
    stateful_step_count=12,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
TestConvergence = Operator.TestCase
