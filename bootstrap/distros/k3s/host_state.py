"""What of one host differs from what is wanted, and why k3s must be started. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from bootstrap.control_plane import is_running
from bootstrap.diffs import diff_removed_file
from bootstrap.distros.k3s.cluster import Cluster
from bootstrap.distros.k3s.files import join_artifact
from bootstrap.distros.k3s.layout import (
    BINARY,
    CONFIG,
    INSTALLER,
    JOIN,
    KUBECTL,
    REGISTRATION,
    REGISTRIES,
    SCRIPT,
    image_path,
    service,
)
from bootstrap.facts import answers_api
from bootstrap.membership import Membership
from bootstrap.model import Artifact, Disruption, Run, Step, digest, digest_value
from bootstrap.plan import (
    fetch_step,
    filled_content,
    is_current,
    lasting_content,
    put_steps,
)
from bootstrap.shell import quote

RESTARTED_BY = (CONFIG, REGISTRIES)  # files that k3s reads at its start only


@dataclass(frozen=True)
class HostState(Membership[Cluster]):
    """One host of a cluster: its files, its service, and what is not as it shall be."""

    @property
    def kubectl(self) -> tuple[str, ...]:
        return KUBECTL

    @property
    def service(self) -> str:
        return service(self.host)

    @cached_property
    def artifacts(self) -> tuple[Artifact, ...]:
        """Rendered files of the host; the join file depends on facts and is not compared once the host is in."""
        rendered = [a for a in self.plan_input.artifacts if a.host == self.host.name and a.path != JOIN]
        return (*rendered, *self._join_files())

    @property
    def becomes_etcd(self) -> bool:
        return self.cluster.wants_etcd and self.facts.values.get("datastore") == "sqlite"

    def _join_files(self) -> Iterator[Artifact]:
        if self.is_member and (JOIN in self.facts.files or self.host.role.controls) and not self.becomes_etcd:
            return
        founds = self.host == self.cluster.founder and (self.cluster.is_new or self.becomes_etcd)
        yield join_artifact(
            self.host,
            founds_etcd=founds and self.cluster.wants_etcd,
            server_url=""
            if founds or (self.cluster.is_external and self.host.role.controls)
            else self.cluster.server_url(),
        )

    @property
    def is_down(self) -> bool:
        """A member that serves nobody, so that there is nothing to lose by starting it."""
        return self.is_member and not is_running(self.facts, self.service)

    @property
    def is_mended(self) -> bool:
        """A voter that does not work, and that this plan brings back before it touches one that does."""
        if self.is_member:
            return bool(self.start_reason) and not answers_api(self.facts)
        unknown = self.cluster.has_etcd and self.cluster.nodes is None
        return self.host.role.controls and (unknown or self.host.name in self.cluster.voters)

    # --- what differs ------------------------------------------------------------------------

    @cached_property
    def install_steps(self) -> tuple[Step, ...]:
        """Files, binary, installer: nothing here stops or starts k3s."""
        disruption = Disruption.REINSTALL if self.is_installed and self.is_member else Disruption.NONE
        fetched = [
            fetch_step(self.facts, self.locked("k3s"), BINARY, "0755", disruption),
            fetch_step(self.facts, self.locked("install.sh"), INSTALLER, "0755", Disruption.NONE),
            *self._image_steps(),
        ]
        puts = list(put_steps(self.plan_input, self.artifacts))
        steps = [*(step for step in fetched if step), *puts, *self._removals()]
        changed = any(step.title.endswith((SCRIPT, INSTALLER, BINARY)) for step in steps)
        reason = self._install_reason(changed)
        if reason:
            run = Run(f"exec sh {SCRIPT}", deadline=300.0)
            steps.append(
                self.step(
                    f"install the {self.service} service", reason, run, disruption if changed else Disruption.NONE
                )
            )
        return tuple(steps)

    def _install_reason(self, changed: bool) -> str:  # noqa: FBT001
        if not self.is_installed:
            return f"{self.service} is not installed"
        if changed:
            return "the binary, the installer or its call changed"
        return (
            ""
            if self.applied.get("install") == self.wanted["install"]
            else "it is not on record that the installer ended well"
        )

    def _removals(self) -> Iterator[Step]:
        """Files that the inventory has no content for any more; k3s would go on reading them."""
        for path in self.stale_files:
            diff = diff_removed_file(path, self.facts.files[path].content or "", self.plan_input.secrets)
            run = Run(f"rm -f {quote(path)}")
            yield replace(self.step(f"remove {path}", "the inventory has nothing for it any more", run), diff=diff)

    @cached_property
    def stale_files(self) -> tuple[str, ...]:
        wanted = {artifact.path for artifact in self.artifacts}
        return tuple(path for path in (REGISTRIES, REGISTRATION) if path in self.facts.files and path not in wanted)

    def _image_steps(self) -> Iterator[Step | None]:
        images = self.plan_input.lock.find("k3s-airgap-images", self.plan_input.inventory.version, self.facts.arch)
        if images:
            yield fetch_step(self.facts, images, image_path(self.host, self.facts.arch), "0644", Disruption.NONE)

    @property
    def is_installed(self) -> bool:
        unit = self.facts.units.get(self.service)
        return unit is not None and unit.load == "loaded"

    @cached_property
    def wanted(self) -> Mapping[str, str]:
        """What the record shall say: digests over all that k3s reads at its start only, and over its installation."""
        contents = {a.path: digest(lasting_content(self.plan_input, a)) for a in self.artifacts}
        binaries = {name: self.locked(name).sha256 for name in ("k3s", "install.sh")}
        read = {path: contents[path] for path in RESTARTED_BY if path in contents}
        started = {**read, **binaries, "service": self.service}
        installed = {**binaries, "script": contents.get(SCRIPT, "")}
        return {
            "k3s": digest_value(started),
            "install": digest_value(installed),
        }

    @cached_property
    def start_reason(self) -> str:
        """Why k3s must be started or restarted; empty when it runs with what is wanted."""
        unit = self.facts.units.get(self.service)
        if unit is None or not unit.is_running:
            return f"{self.service} is {unit.active if unit and unit.load == 'loaded' else 'not installed'}"
        changed = [a.path for a in self.artifacts if a.path in (*RESTARTED_BY, JOIN) and not self._lies_there(a)]
        changed += [path for path in self.stale_files if path in RESTARTED_BY]
        if changed:
            return f"{', '.join(path.rsplit('/', 1)[-1] for path in changed)} changed, which k3s reads at its start"
        if any(step.disruption is Disruption.REINSTALL for step in self.install_steps):
            return "the binary or its service changed"
        if self.applied.get("k3s") != self.wanted["k3s"]:
            return "it is not on record that the running k3s has read these files"
        return "its datastore is to become etcd" if self.becomes_etcd else ""

    def _lies_there(self, artifact: Artifact) -> bool:
        return is_current(artifact, filled_content(self.plan_input, artifact), self.facts.files.get(artifact.path))
