"""Which add-ons are enabled, changed and disabled, one at a time, and how each is proved. Pure.

MicroK8s keeps no arguments, ignores other ones for what is enabled, and calls enabled what merely looks so. So what an
add-on was enabled with is noted in the cluster before it is enabled, and that it was proved, after. Those that count for
one node alone are on that node's record.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bootstrap.distros.microk8s import scripts, waits
from bootstrap.distros.microk8s.addon_table import find_addon
from bootstrap.distros.microk8s.addons import (
    CORE_REPOSITORY,
    Chosen,
    choose_addons,
    list_repositories,
    needs_of,
    split_name,
)
from bootstrap.distros.microk8s.cluster import Cluster
from bootstrap.distros.microk8s.versions import series_of
from bootstrap.model import Disruption, Inventory, Run, Step
from bootstrap.shell import join

PROVEN = ".proven"  # ends the key that says so
REPOSITORY = "repository."  # begins the key of a repository
POOL = "default-addresspool"  # what the add-on metallb makes
ENABLE_DEADLINE = 1900.0


@dataclass(frozen=True)
class AddonPlan:
    """The steps for a cluster's add-ons, done on the controller that is asked."""

    cluster: Cluster

    @property
    def inventory(self) -> Inventory:
        return self.cluster.plan_input.inventory

    @property
    def chosen(self) -> tuple[Chosen, ...]:
        """Those of the whole cluster, in order."""
        return tuple(each for each in choose_addons(self.inventory) if not (each.known and each.known.is_per_node))

    @property
    def is_blind(self) -> bool:
        """A cluster that is there and does not answer: the next look tells what it has."""
        return not self.cluster.is_new and not self.cluster.addons

    def steps(self) -> list[Step]:
        """All of them; those taken out go first, the dependants before what they need."""
        if self.is_blind:
            return []
        steps = [*self._repository_steps()]
        for full_name in self._left_out():
            steps += self._disable_steps(full_name)
        proven: list[Chosen] = []
        for each in self.chosen:
            found = list(self._addon_steps(each))
            steps += found
            proven += [each] if found or not self._is_proven(each) else []
        if proven:
            data = {_key(each.full_name) + PROVEN: join(each.words) for each in proven}
            steps.append(
                self._note("note which add-ons were seen to work", "the next run need not wait for them", data)
            )
        return steps

    def notes_for_people(self) -> Iterator[str]:
        """What no step can mend without a loss."""
        joining = [
            host.name
            for host in (*self.cluster.controllers, *self.cluster.workers)
            if not self.cluster.is_new and not self.cluster.is_member(host)
        ]
        for each in self.chosen:
            if joining and each.known and each.known.lists_nodes and self._is_enabled(each):
                yield (
                    f"{each.name} watches the nodes that were there when it was enabled: for {', '.join(joining)} disable and enable"
                    f" it by hand, which loses {each.known.loses}"
                )

    # --- what is there -----------------------------------------------------------------------

    def _is_enabled(self, chosen: Chosen) -> bool:
        return self.cluster.addons.get(chosen.full_name, False)

    def _noted(self, chosen: Chosen) -> str | None:
        return self.cluster.notes.get(_key(chosen.full_name))

    def _is_proven(self, chosen: Chosen) -> bool:
        return self.cluster.notes.get(_key(chosen.full_name) + PROVEN) == join(chosen.words)

    def _left_out(self) -> list[str]:
        """Full names of add-ons that this program enabled and the inventory has no more, dependants first."""
        wanted = {each.full_name for each in self.chosen}
        keys = (key for key in self.cluster.notes if not key.endswith(PROVEN) and not key.startswith(REPOSITORY))
        names = [name for key in sorted(keys) if (name := key.replace(".", "/", 1)) not in wanted]
        ordered: list[str] = []
        while names:
            needed = {need for name in names for need in needs_of(self._find(name))}
            free = [name for name in names if name not in needed] or names
            ordered += free
            names = [name for name in names if name not in free]
        return ordered

    def _find(self, full_name: str) -> Chosen:
        repository, name = split_name(full_name)
        known = find_addon(name, series_of(self.inventory)) if repository == CORE_REPOSITORY else None
        return Chosen(repository, name, known=known)

    # --- steps -------------------------------------------------------------------------------

    def _step(
        self, title: str, reason: str, script: str, disruption: Disruption = Disruption.NONE, deadline: float = 120.0
    ) -> Step:
        return Step(self.cluster.founder.name, title, reason, Run(script, deadline=deadline), disruption=disruption)

    def _note(self, title: str, reason: str, data: Mapping[str, str | None]) -> Step:
        return self._step(title, reason, self._note_script(data))

    def _note_script(self, data: Mapping[str, str | None]) -> str:
        return scripts.note(self.cluster.kubectl(), json.dumps({"data": data}, sort_keys=True))

    def _repository_steps(self) -> Iterator[Step]:
        for words in list_repositories(self.inventory):
            name, source = words[4], join(words[5:])
            key = f"{REPOSITORY}{name}"
            if self.cluster.notes.get(key) == source:
                continue
            reason = "it is not there" if key not in self.cluster.notes else "it comes from elsewhere now"
            script = scripts.add_repository(words, name) + self._note_script({key: source})
            yield self._step(f"add the repository of add-ons {name}", reason, script, deadline=360.0)

    def _addon_steps(self, chosen: Chosen) -> Iterator[Step]:
        """Enable, change, or only look: an add-on that others enabled is taken as it is."""
        noted, wanted = self._noted(chosen), join(chosen.words)
        if not self._is_enabled(chosen):
            yield self._enable_step(chosen, "it is not enabled")
        elif noted is not None and noted != wanted and not _is_patched(chosen):
            yield from self._exchange_steps(chosen, noted)
        elif self._has_other_pool(chosen):
            yield self._patch_step(chosen)
        elif noted is None:
            reason = "it is enabled, and nobody noted with what: it is taken over as it is"
            yield self._note(f"take {chosen.name} over", reason, {_key(chosen.full_name): wanted})
        elif self._is_proven(chosen):
            return
        if chosen.ready:
            reason = '"enabled" says nothing about whether it works'
            action = waits.wait_for_addon(chosen.ready)
            yield Step(self.cluster.founder.name, f"wait until {chosen.name} works", reason, action)

    def _enable_step(self, chosen: Chosen, reason: str) -> Step:
        """What it is enabled with is noted first: a run that is cut off must not hide it."""
        data = {_key(chosen.full_name): join(chosen.words), _key(chosen.full_name) + PROVEN: None}
        script = self._note_script(data) + scripts.enable(chosen.enable, chosen.full_name)
        title = " ".join(["enable", chosen.name, *([f"({join(chosen.words)})"] if chosen.words else [])])
        why = f"{reason}; {chosen.needed_by} needs it" if chosen.needed_by else reason
        return self._step(title, why, script, deadline=ENABLE_DEADLINE)

    def _exchange_steps(self, chosen: Chosen, noted: str) -> Iterator[Step]:
        reason = f"it was enabled with {noted or 'no arguments'}, and MicroK8s passes over others"
        yield self._disable_step(chosen, f"{reason}: it is enabled anew next")
        yield self._enable_step(chosen, f"its arguments are {join(chosen.words) or 'none'} now")

    def _disable_step(self, chosen: Chosen, reason: str) -> Step:
        """Data that goes with it is named, and the person agrees to that with the plan."""
        loses = chosen.known.loses if chosen.known else ""
        why = f"{reason}; this loses {loses}" if loses else reason
        disruption = Disruption.LOSS if loses else Disruption.NONE
        script = "set -eu\n" + scripts.disable(chosen.disable, chosen.full_name)
        return self._step(f"disable {chosen.name}", why, script, disruption, ENABLE_DEADLINE)

    def _disable_steps(self, full_name: str) -> Iterator[Step]:
        chosen, key = self._find(full_name), _key(full_name)
        gone = {key: None, key + PROVEN: None}
        if self._is_enabled(chosen):
            yield self._disable_step(chosen, "the inventory has it no more")
        yield self._note(f"forget what {chosen.name} was enabled with", "it is no longer enabled", gone)

    def _has_other_pool(self, chosen: Chosen) -> bool:
        wanted = _pool_of(chosen)
        return bool(wanted) and POOL in self.cluster.pools and list(self.cluster.pools[POOL]) != wanted

    def _patch_step(self, chosen: Chosen) -> Step:
        there, wanted = ", ".join(self.cluster.pools.get(POOL, ())), _pool_of(chosen)
        patch = json.dumps({"spec": {"addresses": wanted}})
        data = {_key(chosen.full_name): join(chosen.words)}
        script = scripts.patch_pool(self.cluster.kubectl(), patch) + self._note_script(data)
        reason = f"it has {there}; Services keep their addresses where those are in both"
        return self._step(f"give metallb the ranges {', '.join(wanted)}", reason, script)


def _key(full_name: str) -> str:
    """A ConfigMap's keys have no slash."""
    return full_name.replace("/", ".", 1)


def _is_patched(chosen: Chosen) -> bool:
    """Whether its arguments live in an object that can be changed: MetalLB's pool."""
    return chosen.full_name == f"{CORE_REPOSITORY}/metallb"


def _pool_of(chosen: Chosen) -> list[str]:
    words: Sequence[str] = chosen.words if _is_patched(chosen) else ()
    return words[0].split(",") if words else []
