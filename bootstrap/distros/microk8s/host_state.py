"""What of one host of a MicroK8s cluster differs from what is wanted, and what that asks for. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from bootstrap.control_plane import is_running
from bootstrap.distros.microk8s.addons import Chosen, choose_addons
from bootstrap.distros.microk8s.cluster import Cluster, is_installed, is_ours
from bootstrap.distros.microk8s.documents import api_names
from bootstrap.distros.microk8s.drift import (
    certificate_names,
    find_differences,
    fragment_lines,
    name_of,
    stale_names,
)
from bootstrap.distros.microk8s.layout import (
    ARGS,
    CURRENT,
    FRAGMENTS,
    READERS,
    REGISTRIES,
    SNAP_FILES,
    effective,
    is_offline,
    services,
    unit,
)
from bootstrap.distros.microk8s.probes import TEMPLATE, is_alone, snap_of
from bootstrap.distros.microk8s.upstream import sideload_files
from bootstrap.distros.microk8s.versions import (
    Series,
    channel_of,
    is_strict,
    kubelet_version,
    series_of,
    snap_series,
)
from bootstrap.facts import has_trace
from bootstrap.membership import Membership
from bootstrap.model import Artifact, LockedFile, digest, digest_value
from bootstrap.plan import NodeMarks, filled_content, lasting_content

REGISTRY = "registry:"  # a word of the record for each registry's file
ADDON = "addon:"  # a word of the record for each add-on that counts for one node


@dataclass(frozen=True)
class HostState(Membership[Cluster]):
    """One host of a cluster: its snap, files, services, and what is not as it shall be."""

    @property
    def kubectl(self) -> tuple[str, ...]:
        return self.cluster.kubectl()

    @property
    def minor(self) -> str:
        """Such as v1.36."""
        return kubelet_version(self.plan_input.inventory)

    @property
    def is_founder(self) -> bool:
        return self.cluster.is_new and self.host == self.cluster.founder

    @property
    def is_installed(self) -> bool:
        return is_installed(self.facts)

    @property
    def is_adopted(self) -> bool:
        """A member that somebody else has installed: what is there is judged by itself, for no record tells of it."""
        return self.is_member and not is_ours(self.facts)

    @property
    def is_down(self) -> bool:
        """A member that serves nobody, so that there is nothing to lose by starting it."""
        return self.is_member and not is_running(self.facts, self.cluster.service)

    @cached_property
    def is_mended(self) -> bool:
        """A voter that does not work, and that this plan brings back before it touches one that does."""
        if self.is_member:
            return self.is_down
        return self.host.role.controls and self.host.name in self.cluster.voters

    @cached_property
    def is_fresh(self) -> bool:
        """Whether the snap is there as an install leaves it: a node of its own that never joined."""
        facts = self.facts
        touched = any(has_trace(facts, word) for word in ("clustered", "joining", "joined"))
        return self.is_installed and not touched and is_alone(facts) and self.series_there == self.series

    @cached_property
    def needs_purge(self) -> bool:
        """Whether the host holds a membership that the cluster does not know, or what a try left that did not end well."""
        return self.is_installed and not self.is_member and not self.is_fresh

    # --- the snap ----------------------------------------------------------------------------

    @property
    def series(self) -> Series:
        return series_of(self.plan_input.inventory)

    @cached_property
    def series_there(self) -> Series | None:
        """Major and minor of the installed snap; None for one that tells no version."""
        snap = snap_of(self.facts)
        return snap_series(snap.version) if snap else None

    @property
    def channel(self) -> str:
        return channel_of(self.plan_input.inventory)

    @property
    def revision(self) -> str:
        return str(effective(self.host, "revision") or "")

    @property
    def is_strict(self) -> bool:
        return is_strict(self.plan_input.inventory)

    @cached_property
    def comes_as_file(self) -> bool:
        """Whether the snap is the mirror's, and not the store's: when `offline` says so, or the lock has all of it."""
        inventory, lock = self.plan_input.inventory, self.plan_input.lock
        is_whole = all(lock.find(name, inventory.version, self.facts.arch) for name in SNAP_FILES)
        return is_offline(inventory) or (is_whole and inventory.mirror is not None)

    @cached_property
    def snap_files(self) -> tuple[tuple[LockedFile, str], ...]:
        """Snaps and assertions of the lock, and where they shall lie. Raises LockError."""
        if not self.comes_as_file:
            return ()
        return tuple((self.locked(name), path) for name, path in SNAP_FILES.items())

    @cached_property
    def sideloads(self) -> tuple[tuple[LockedFile, str], ...]:
        """Archives of images and where the snap looks for them at its install. Raises LockError."""
        found = sideload_files(self.plan_input.inventory)
        return tuple((self.locked(name, version), path) for name, version, path in found)

    @cached_property
    def snap_reason(self) -> str:
        """Why a member's snap must be another one; empty when it is as wanted."""
        snap = snap_of(self.facts)
        if snap is None:
            return ""
        if self.series_there is not None and self.series_there != self.series:
            return f"it is {snap.version}"
        if self.comes_as_file:
            wanted = self.wanted["snap"]
            return "" if self.applied.get("snap", wanted) == wanted else "the lock has another file"
        if snap.tracking != self.channel:
            return f"it follows {snap.tracking if snap.tracking != '-' else 'no channel, but a file'}"
        return f"it is revision {snap.revision}" if self.revision and snap.revision != self.revision else ""

    @property
    def changes_minor(self) -> bool:
        return self.series_there is not None and self.series_there != self.series

    @property
    def hold_reason(self) -> str:
        snap = snap_of(self.facts)
        return "" if snap is None or "held" in snap.notes else "snapd would refresh it by itself, at a time of its own"

    # --- files and arguments -----------------------------------------------------------------

    @cached_property
    def artifacts(self) -> tuple[Artifact, ...]:
        return tuple(a for a in self.plan_input.artifacts if a.host == self.host.name)

    @property
    def early_files(self) -> tuple[Artifact, ...]:
        """What has a place before the snap is installed; fragments of a member come when their arguments are in force."""
        late = (f"{CURRENT}/", f"{FRAGMENTS}/") if self.is_member else (f"{CURRENT}/",)
        return tuple(a for a in self.artifacts if not a.path.startswith(late))

    @property
    def fragment_files(self) -> tuple[Artifact, ...]:
        return tuple(a for a in self.artifacts if a.path.startswith(f"{FRAGMENTS}/"))

    @property
    def registry_files(self) -> tuple[Artifact, ...]:
        return tuple(a for a in self.artifacts if a.path.startswith(f"{REGISTRIES}/"))

    @cached_property
    def fragments(self) -> Mapping[str, list[str]]:
        """File of arguments -> the lines of its fragment, references in them."""
        return {a.path.rpartition("/")[2]: fragment_lines(a.content) for a in self.fragment_files}

    @cached_property
    def stale_arguments(self) -> Mapping[str, list[str]]:
        """File of arguments -> names in it that were the inventory's, and are no more."""
        found = {}
        for file in READERS:
            before = self.facts.files.get(f"{FRAGMENTS}/{file}")
            if before is not None and self.is_member:
                found[file] = stale_names(before.content or "", self.fragments.get(file, []))
        return {file: names for file, names in found.items() if names}

    @cached_property
    def foreign_arguments(self) -> tuple[str, ...]:
        """Arguments of kubelet that the inventory gives other hosts: a join brings them, such as another's `--node-ip`."""
        path = f"{FRAGMENTS}/kubelet"
        lines = (line for a in self.plan_input.artifacts if a.path == path for line in fragment_lines(a.content))
        own = {name_of(line) for line in self.fragments.get("kubelet", ())}
        return tuple(dict.fromkeys(name for line in lines if (name := name_of(line)) not in own))

    @cached_property
    def argument_differences(self) -> Mapping[str, list[str]]:
        """File of arguments -> what is to change in it, on a host where it could be read."""
        found: dict[str, list[str]] = {}
        filled = {a.path.rpartition("/")[2]: filled_content(self.plan_input, a) for a in self.fragment_files}
        for file in dict.fromkeys((*filled, *self.stale_arguments)):
            there = self.facts.files.get(f"{ARGS}/{file}")
            text = (there.content or "") if there else ""
            lines = fragment_lines(filled.get(file, ""))
            found[file] = list(find_differences(text, lines, self.stale_arguments.get(file, ())))
        return {file: words for file, words in found.items() if words}

    @cached_property
    def argument_reasons(self) -> Mapping[str, str]:
        """Service -> why it must read its arguments anew; only members have any."""
        reasons: dict[str, list[str]] = {}
        for file, words in self.argument_differences.items():
            shown = [_mask(word) for word in words]
            reasons.setdefault(READERS[file], []).append(f"{file}: {', '.join(shown)}")
        found = {service: "; ".join(texts) for service, texts in reasons.items()}
        if self.is_adopted:
            return found
        for word in self.wanted:
            service = word.removeprefix("args:")
            if word.startswith("args:") and service not in found and self.applied.get(word) != self.wanted[word]:
                found[service] = "it is not on record that it was started with these arguments"
        return found

    @cached_property
    def missing_names(self) -> tuple[str, ...]:
        """Names that the template of the API's certificate lacks."""
        if not self.host.role.controls:
            return ()
        template = self.facts.files.get(TEMPLATE)
        there = certificate_names((template.content or "") if template else "")
        return tuple(name for name in self._names if name not in there)

    @property
    def _names(self) -> list[str]:
        return api_names(self.plan_input.inventory, self.host) if self.host.role.controls else []

    @property
    def names_reason(self) -> str:
        if self.missing_names:
            return f"its certificate lacks {', '.join(self.missing_names)}"
        if self._names and not self.is_adopted and self.applied.get("names") != self.wanted["names"]:
            return "it is not on record that the certificate was made with these names"
        return ""

    @property
    def launch_reason(self) -> str:
        """Why the launch configuration must be handed over again: keys of it that have no other way in."""
        if self.is_adopted:
            return "no record tells what it was installed with" if effective(self.host, "fragment") else ""
        changed = self.applied.get("launch") != self.wanted["launch"]
        return "`fragment` is not what was handed over last" if changed else ""

    @property
    def stale_registries(self) -> tuple[str, ...]:
        """Files of registries that we laid down, and the inventory has no more."""
        laid = (word.removeprefix(REGISTRY) for word in self.applied if word.startswith(REGISTRY))
        wanted = {a.path for a in self.registry_files}
        return tuple(sorted(path for path in laid if path not in wanted))

    # --- add-ons that count for one node -----------------------------------------------------

    @cached_property
    def node_addons(self) -> tuple[Chosen, ...]:
        """Add-ons that each controller is to enable for itself."""
        if not self.host.role.controls:
            return ()
        return tuple(each for each in choose_addons(self.plan_input.inventory) if each.known and each.known.is_per_node)

    # --- services ----------------------------------------------------------------------------

    @cached_property
    def stopped_services(self) -> tuple[str, ...]:
        wanted = (unit(name) for name in services(self.host))
        return tuple(name for name in wanted if not is_running(self.facts, name))

    @cached_property
    def start_reason(self) -> str:
        """Why a member's services are started or restarted; empty when they run with what is wanted."""
        if self.stopped_services:
            return f"{', '.join(self.stopped_services)} {'does' if len(self.stopped_services) == 1 else 'do'} not run"
        arguments = "; ".join(self.argument_reasons.values())
        return self.snap_reason or arguments or self.names_reason or self.launch_reason or self._missing_node

    @property
    def _missing_node(self) -> str:
        is_gone = self.is_member and self.cluster.nodes is not None and self.cluster.node(self.host) is None
        return "its Node is gone, and a kubelet registers one when it starts" if is_gone else ""

    # --- what the record shall say -----------------------------------------------------------

    @cached_property
    def wanted(self) -> Mapping[str, str]:
        """Digests of what is in force, by a word for each."""
        lasting = {a.path: lasting_content(self.plan_input, a) for a in self.artifacts}
        by_service: dict[str, dict[str, list[str]]] = {}
        for artifact in self.fragment_files:
            file = artifact.path.rpartition("/")[2]
            by_service.setdefault(READERS[file], {})[file] = fragment_lines(lasting[artifact.path])
        snap = [file.sha256 for file, _ in self.snap_files] or ["the store's"]
        wanted = {
            "snap": digest_value(snap),
            "launch": digest_value(effective(self.host, "fragment", {})),
            **{f"args:{service}": digest_value(files) for service, files in by_service.items()},
            **{f"{REGISTRY}{a.path}": digest(lasting[a.path]) for a in self.registry_files},
            **{f"{ADDON}{each.full_name}": digest_value(each.words) for each in self.node_addons},
        }
        if self._names:
            wanted["names"] = digest_value(sorted(self._names))
        return wanted

    # --- steps -------------------------------------------------------------------------------

    def unregistered_marks(self, wanted: NodeMarks) -> NodeMarks:
        """All of them: a join writes kubelet's arguments anew, so labels never go through those (canonical/microk8s#5236)."""
        return wanted


def _mask(word: str) -> str:
    """An argument as a plan may show it: the value may come from a reference."""
    return word if word.startswith("no ") else word.partition("=")[0]
