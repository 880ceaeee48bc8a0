"""What of one host of a k0s cluster differs from what is wanted, and what that asks for. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from bootstrap.control_plane import is_running
from bootstrap.diffs import count_lines, diff_file, find_differences
from bootstrap.distros.k0s import scripts
from bootstrap.distros.k0s.cluster import Cluster
from bootstrap.distros.k0s.documents import node_local
from bootstrap.distros.k0s.drift import compare_flags, load_document, read_unit
from bootstrap.distros.k0s.dynamic import find_local_differences, keep_text
from bootstrap.distros.k0s.layout import (
    BINARY,
    CONFIG,
    CONTAINERD_PARTS,
    FOLDER,
    INSTALL_FLAGS,
    SECRET_ENVIRONMENT,
    TOKEN,
    environment_path,
    is_dynamic,
    manifests_folder,
    pki_folder,
    service,
    unit_path,
)
from bootstrap.distros.k0s.probes import JOINED, kubectl_on, status
from bootstrap.distros.k0s.upstream import payloads
from bootstrap.facts import answers_api, has_trace
from bootstrap.membership import Membership
from bootstrap.model import Artifact, Fetch, LockedFile, Put, Reference, Run, Step, digest, digest_value
from bootstrap.plan import NodeMarks, filled_content, is_current, lasting_content
from bootstrap.references import fill_references
from bootstrap.shell import quote

MODES = ("0755", "0750")  # of the binary: ours, and k0sctl's
STACK = "manifest:"  # a word of the record for each manifest that we laid down


@dataclass(frozen=True)
class HostState(Membership[Cluster]):
    """One host of a cluster: its files, its service, and what is not as it shall be."""

    @property
    def kubectl(self) -> tuple[str, ...]:
        return self.cluster.kubectl()

    @property
    def kubectl_here(self) -> tuple[str, ...]:
        return kubectl_on(self.host)

    @property
    def version(self) -> str:
        return self.plan_input.inventory.version

    @property
    def service(self) -> str:
        return service(self.host)

    @property
    def unit(self) -> str:
        return unit_path(self.host, self.facts.init)

    @property
    def is_installed(self) -> bool:
        unit = self.facts.units.get(self.service)
        return unit is not None and unit.load == "loaded"

    @property
    def is_down(self) -> bool:
        """A member that serves nobody, so that there is nothing to lose by starting it."""
        return self.is_member and not is_running(self.facts, self.service)

    @property
    def is_adopted(self) -> bool:
        """A member that somebody else has installed: what lies there is judged by itself, for no record tells of it."""
        return self.is_member and self.facts.record is None

    @cached_property
    def needs_reset(self) -> bool:
        """Whether the host holds what an unfinished try left, or a membership that the cluster does not know."""
        return not self.is_member and any(has_trace(self.facts, word) for word in JOINED)

    @property
    def is_mended(self) -> bool:
        """A voter that does not work, and that this plan brings back before it touches one that does."""
        if self.is_member:
            return bool(self.start_reason) and self.host.role.controls and not answers_api(self.facts)
        unknown = self.cluster.has_etcd and self.cluster.nodes is None
        return self.host.role.controls and (unknown or self.host.name in self.cluster.voters)

    # --- files -------------------------------------------------------------------------------

    @cached_property
    def artifacts(self) -> tuple[Artifact, ...]:
        return tuple(a for a in self.plan_input.artifacts if a.host == self.host.name)

    def artifact(self, path: str) -> Artifact | None:
        return next((a for a in self.artifacts if a.path == path), None)

    @cached_property
    def flags(self) -> list[str]:
        """What `k0s install` is told."""
        file = self.artifact(INSTALL_FLAGS)
        lines = filled_content(self.plan_input, file).splitlines() if file else []
        return [line for line in lines if line.strip() and not line.startswith("#")]

    @cached_property
    def unit_flags(self) -> list[str]:
        """The flags with the token's file, for a host that joins, or joined with it: k0s reads it no more then."""
        joins = not self.is_member and not (self.cluster.is_new and self.host == self.cluster.founder)
        joined = any(word.startswith("--token-file=") for word in self.installed_flags)
        return [*self.flags, *([f"--token-file={TOKEN}"] if joins or (self.is_member and joined) else [])]

    @cached_property
    def installed_flags(self) -> list[str]:
        """Those of the service as it is."""
        there = self.facts.files.get(self.unit)
        return read_unit((there.content or "") if there else "")

    @property
    def plain_files(self) -> tuple[Artifact, ...]:
        """All but the configuration, which k0s is asked about first, and keys that the cluster has already."""
        kept = f"{pki_folder(self.host)}/"
        return tuple(a for a in self.artifacts if a.path != CONFIG and not (self.is_member and a.path.startswith(kept)))

    def is_read_at_start(self, path: str) -> bool:
        """Whether a change of this file counts only when k0s starts anew."""
        own = (environment_path(self.host, self.facts.init), SECRET_ENVIRONMENT)
        return path in own or path.startswith((f"{CONTAINERD_PARTS}/", f"{FOLDER}/containerd.toml"))

    @cached_property
    def changed_files(self) -> tuple[str, ...]:
        """Files read at the start that lie there otherwise."""
        return tuple(a.path for a in self.plain_files if self.is_read_at_start(a.path) and not self._lies_there(a))

    def _lies_there(self, artifact: Artifact) -> bool:
        return is_current(artifact, filled_content(self.plan_input, artifact), self.facts.files.get(artifact.path))

    @cached_property
    def is_dynamic(self) -> bool:
        return is_dynamic(self.plan_input.inventory)

    @cached_property
    def config(self) -> Artifact | None:
        """k0s.yaml as it shall lie on the host; with dynamic configuration a member keeps a part of it."""
        file = self.artifact(CONFIG)
        return replace(file, content=keep_text(file.content)) if file and self.is_member and self.is_dynamic else file

    @cached_property
    def config_wanted(self) -> Mapping[str, Any]:
        """Its document with references filled."""
        text = self.config.content if self.config else ""
        return load_document(fill_references(text, self._reveal)) or {}

    def _reveal(self, reference: Reference) -> str:
        value = self.plan_input.secrets.get(reference.text)
        return value.reveal() if value else reference.text

    @property
    def config_there(self) -> Mapping[str, Any] | None:
        there = self.facts.files.get(CONFIG)
        return load_document(there.content if there else None)

    @cached_property
    def config_differences(self) -> tuple[str, ...]:
        """Fields of k0s.yaml that are not as wanted: documents are compared, so another hand's spelling is none."""
        if self.config is None:
            return ()
        return (
            ("all of it",)
            if self.config_there is None
            else tuple(find_differences(self.config_wanted, self.config_there))
        )

    @property
    def start_differences(self) -> tuple[str, ...]:
        """Those of them that k0s reads at its start."""
        if not self.config_differences or self.config_there is None or not self.is_dynamic:
            return self.config_differences
        return find_local_differences(self.config_wanted, self.config_there)

    @cached_property
    def config_steps(self) -> tuple[Step, ...]:
        """Ask k0s about the configuration, then lay it down: a file that k0s refuses never lies on a host."""
        wanted, there = self.config, self.facts.files.get(CONFIG)
        if wanted is None:
            return ()
        placed = there is not None and (there.mode, there.owner) == (wanted.mode, wanted.owner)
        if placed and not self.config_differences:
            return ()
        ask = Run(scripts.validate(self.flags), stdin=wanted.content, deadline=90.0)
        reason = "k0s reads it strictly, and would not start with one that it refuses"
        return (self.step(f"validate {CONFIG}", reason, ask), self.put_config(wanted))

    def put_config(self, wanted: Artifact) -> Step:
        there = self.facts.files.get(CONFIG)
        diff = diff_file(CONFIG, there.content if there else None, wanted.content, self.plan_input.secrets)
        reason = (
            "does not exist yet"
            if there is None
            else f"differs: {count_lines(diff)}"
            if diff
            else "mode or owner differ"
        )
        return replace(
            self.step(f"write {CONFIG}", reason, Put(CONFIG, wanted.content, wanted.mode, wanted.owner)), diff=diff
        )

    @cached_property
    def stale_manifests(self) -> tuple[str, ...]:
        """Manifests that we laid down and the inventory has no more: k0s then deletes what they made."""
        laid = (word.removeprefix(STACK) for word in self.applied if word.startswith(STACK))
        wanted = {a.path for a in self.artifacts}
        return tuple(sorted(path for path in laid if path not in wanted))

    # --- the program -------------------------------------------------------------------------

    @cached_property
    def payloads(self) -> tuple[tuple[LockedFile, str], ...]:
        """Files of the lock and where they shall lie, the program first. Raises LockError."""
        found = payloads(self.plan_input.inventory, self.host)
        return tuple((self.locked(each.name, each.version), each.path) for each in found)

    @property
    def program(self) -> LockedFile:
        return self.payloads[0][0]

    @property
    def images(self) -> tuple[tuple[LockedFile, str], ...]:
        """Archives of images."""
        return self.payloads[1:]

    @property
    def runs_release(self) -> bool:
        """False with a program of the person's own, whose version only that program knows."""
        return self.program.version == self.version

    @cached_property
    def has_program(self) -> bool:
        there = self.facts.files.get(BINARY)
        return there is not None and there.sha256 == self.program.sha256 and there.mode in MODES

    def image_steps(self) -> Iterator[Step]:
        """Archives of images, by size: k0s imports them, and no look reads gigabytes."""
        for file, path in self.images:
            if (
                f"{file.size} {path}" not in (self.facts.values.get("laid") or ())
                or self.applied.get(f"file:{file.name}", file.sha256) != file.sha256
            ):
                title = f"bring {file.name} {file.version} to {path}"
                yield self.step(title, "no such file of this size lies there", Fetch(file, path, "0644"))

    # --- why k0s is installed, started -------------------------------------------------------

    @cached_property
    def install_reason(self) -> str:
        """Why `k0s install` must be run; empty when the service is as it shall be."""
        if not self.is_installed:
            return f"{self.service} is not installed"
        found = compare_flags(self.flags, self.installed_flags)
        if found:
            return f"flags of the service: {'; '.join(found)}"
        if self.is_adopted or self.applied.get("install") == self.wanted["install"]:
            return ""
        return "it is not on record that the installation ended well"

    @cached_property
    def start_reason(self) -> str:
        """Why k0s must be started or restarted; empty when it runs with what is wanted."""
        unit = self.facts.units.get(self.service)
        if unit is None or not unit.is_running:
            return f"{self.service} is {unit.active if unit and unit.load == 'loaded' else 'not installed'}"
        if not self.has_program:
            return f"the program is not {self.program.name} {self.program.version} of the lock"
        return self._read_reason() or self._running_reason() or self._record_reason()

    def _read_reason(self) -> str:
        """Changes of what k0s reads at its start."""
        if self.start_differences:
            return f"k0s.yaml changes, which k0s reads at its start: {_short(self.start_differences)}"
        if self.changed_files:
            names = ", ".join(path.rpartition("/")[2] for path in self.changed_files)
            return f"{names} changed, which k0s reads at its start"
        return self.install_reason

    def _running_reason(self) -> str:
        """The process itself, where it answers, against what is wanted."""
        seen = status(self.facts)
        arguments = [str(word) for word in seen.get("Args") or ()][2:]
        if arguments and (found := compare_flags(self.flags, arguments)):
            return f"it runs with other flags: {'; '.join(found)}"
        runs = str(seen.get("Version") or self.version)
        if seen.get("Pid") and self.runs_release and runs != self.version:
            return f"it runs {runs}"
        if self.is_member and self.misses_node:
            return "its Node is gone, and a kubelet registers one when it starts"
        return ""

    def _record_reason(self) -> str:
        if self.is_adopted or self.applied.get("k0s") == self.wanted["k0s"]:
            return ""
        return "it is not on record that the running k0s has read these files"

    @property
    def misses_node(self) -> bool:
        takes = self.host.role.takes_work
        return takes and self.cluster.nodes is not None and self.cluster.node(self.host) is None

    # --- what the record shall say -----------------------------------------------------------

    @cached_property
    def wanted(self) -> Mapping[str, str]:
        """Digests of what k0s reads at its start, of its installation, and of each manifest."""
        contents = {a.path: digest(lasting_content(self.plan_input, a)) for a in self.artifacts}
        config = self.artifact(CONFIG)
        document = load_document(lasting_content(self.plan_input, config)) if config else None
        if document and self.is_dynamic:
            document = node_local(document.get("spec") or {})
        read = {path: content for path, content in contents.items() if self.is_read_at_start(path)}
        installed = {"flags": sorted(self.flags), "program": self.program.sha256}
        stacks = f"{manifests_folder(self.host)}/"
        return {
            "install": digest_value(installed),
            "k0s": digest_value({**installed, "config": document, "files": read}),
            **{f"file:{file.name}": file.sha256 for file, _ in self.images},
            **{f"{STACK}{path}": content for path, content in contents.items() if path.startswith(stacks)},
        }

    # --- steps -------------------------------------------------------------------------------

    def removals(self) -> Iterator[Step]:
        for path in self.stale_manifests:
            reason = "the inventory has it no more, and k0s deletes what it made"
            yield self.run(
                f"remove {path}",
                reason,
                f"rm -f {quote(path)}\nrmdir {quote(path.rpartition('/')[0])} 2>/dev/null || true\n",
            )

    def mark_steps(self) -> list[Step]:
        """Labels and the like through the API alone: as flags of k0s each change would restart it."""
        if not self.host.role.takes_work:
            return []
        return super().mark_steps()

    def unregistered_marks(self, wanted: NodeMarks) -> NodeMarks:
        return wanted


def _short(paths: tuple[str, ...], most: int = 4) -> str:
    more = f" and {len(paths) - most} more" if len(paths) > most else ""
    return ", ".join(paths[:most]) + more
