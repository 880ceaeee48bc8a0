"""What of one host of a kubeadm cluster differs from what is wanted, and what that asks for. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from bootstrap.control_plane import is_running
from bootstrap.distros.kubeadm import packages, scripts
from bootstrap.distros.kubeadm.cluster import Cluster
from bootstrap.distros.kubeadm.drift import find_manifest_drift, find_map_drift, manifest_version
from bootstrap.distros.kubeadm.files import cluster_documents
from bootstrap.distros.kubeadm.images import pulled_images
from bootstrap.distros.kubeadm.layout import (
    BINARIES,
    CONFIG,
    CONTAINERD_CONFIG,
    IMAGES,
    JOIN,
    KUBE_VIP,
    KUBELET_DROP_IN,
    KUBELET_PATCH,
    KUBELET_UNIT,
    MANIFESTS,
    PATCHES,
    PKI,
    RUNTIME_FILES,
    SCRIPT,
    SERVICE,
    effective,
    is_patched,
)
from bootstrap.distros.kubeadm.probes import API_MANIFEST, UNFINISHED
from bootstrap.distros.kubeadm.upstream import part_version
from bootstrap.facts import STATE_FOLDER, answers_api, has_trace
from bootstrap.membership import Membership
from bootstrap.model import Artifact, Disruption, Fetch, LockedFile, Put, Run, Step, digest, digest_value
from bootstrap.plan import fetch_step, lasting_content, put_steps

# How the packaged runtime was before us: `reset` gives it back.
CONFIG_BEFORE = f"{CONTAINERD_CONFIG}.before-bootstrap"
WAS_DISABLED = f"{STATE_FOLDER}/containerd-was-disabled"
KUBELET_FILES = (KUBELET_UNIT, KUBELET_DROP_IN)
PULL_SECONDS = 1800.0  # for all images of a host on a slow line; each has 300 s
MANIFEST_TARGETS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")


@dataclass(frozen=True)
class HostState(Membership[Cluster]):
    """One host of a cluster: its files, its services, and what is not as it shall be."""

    @property
    def kubectl(self) -> tuple[str, ...]:
        return self.cluster.kubectl()

    @property
    def version(self) -> str:
        return self.plan_input.inventory.version

    @cached_property
    def artifacts(self) -> tuple[Artifact, ...]:
        """Rendered files of the host; join.yaml holds tokens and is there only while a join runs."""
        return tuple(a for a in self.plan_input.artifacts if a.host == self.host.name and a.path != JOIN)

    @cached_property
    def join_file(self) -> Artifact | None:
        mine = (a for a in self.plan_input.artifacts if a.host == self.host.name and a.path == JOIN)
        return next(mine, None)

    @cached_property
    def needs_reset(self) -> bool:
        """Whether the host holds what an unfinished init or join left, or a membership that the cluster does not know."""
        if self.is_member:
            return False
        return any(trace not in (f"{PKI}/ca.crt",) for trace in self.facts.values.get("traces") or ())

    @property
    def is_down(self) -> bool:
        """A member that serves nobody, so that there is nothing to lose by starting it."""
        return self.is_member and not is_running(self.facts, SERVICE)

    @cached_property
    def is_mended(self) -> bool:
        """A voter that does not work, and that this plan brings back before it touches one that does."""
        if self.is_member:
            return self.is_down
        return self.host.role.controls and self.host.name in self.cluster.voters

    # --- installation ------------------------------------------------------------------------

    @cached_property
    def install_steps(self) -> tuple[Step, ...]:
        """Programs, files, and the script that makes them count; nothing here starts or stops the kubelet."""
        steps = [step for step in self._fetches() if step]
        steps += self._keep_steps()
        early = [a for a in self.artifacts if not self._comes_late(a)]
        steps += put_steps(self.plan_input, early)
        steps += self._package_steps()
        reason = self._install_reason(steps)
        if reason:
            disruption = Disruption.RESTART if self.is_member and self._restarts(steps) else Disruption.NONE
            deadline = PULL_SECONDS if self._pulled else 600.0
            steps.append(
                self.step(self._prepare_title, reason, Run(f"exec sh {SCRIPT}", deadline=deadline), disruption)
            )
        return tuple(steps)

    def _restarts(self, steps: list[Step]) -> bool:
        """Whether the script starts containerd anew: for a new program or configuration, or one that was yet to come in force."""
        paths = {step.action.path for step in steps if isinstance(step.action, (Put, Fetch))}
        return not paths or not paths.isdisjoint((CONTAINERD_CONFIG, RUNTIME_FILES["containerd"]))

    @cached_property
    def _pulled(self) -> Mapping[str, str]:
        return pulled_images(self.plan_input.inventory, self.host, self.plan_input.lock, self.facts.arch)

    @property
    def _prepare_title(self) -> str:
        """Images that are there under the locked digests are not pulled again."""
        present = self.facts.values.get("images") or {}
        missing = sum(present.get(image) != digest for image, digest in self._pulled.items())
        return f"prepare the host, with {missing} image(s) by their digests" if missing else "prepare the host"

    def _keep_steps(self) -> Iterator[Step]:
        """The packaged runtime's own configuration, kept beside ours."""
        file = self.facts.files.get(CONTAINERD_CONFIG)
        if effective(self.host, "runtime") != "packages" or self.is_member or self.facts.record:
            return
        if file is None or "by bootstrap" in (file.content or ""):
            return
        script = (
            f"set -eu\n[ -e {CONFIG_BEFORE} ] || cp -p {CONTAINERD_CONFIG} {CONFIG_BEFORE}\n"
            f"mkdir -p -m 700 {STATE_FOLDER}\n"
            f"systemctl is-enabled --quiet containerd || : > {WAS_DISABLED}\n"
        )
        yield self.run("keep the host's own containerd configuration", "`bootstrap reset` gives it back", script)

    @property
    def is_packaged(self) -> bool:
        return packages.uses_packages(self.plan_input.inventory)

    def _package_steps(self) -> Iterator[Step]:
        seen = packages.find_packages(self.facts)
        reason = packages.install_reason(seen, self.version) if self.is_packaged else ""
        if reason:
            own = bool(self.plan_input.inventory.native.get("repository"))
            script = packages.install(seen.manager, self.version, own_repository=own)
            yield self.run(packages.install_title(seen, self.version), reason, script, deadline=900.0)

    def _comes_late(self, artifact: Artifact) -> bool:
        """What lies in kubeadm's own folders comes once `join` has made them; the founder's comes before `init`."""
        founds = self.cluster.is_new and self.host == self.cluster.founder
        return artifact.path == KUBE_VIP and not founds

    @property
    def late_files(self) -> list[Step]:
        return list(put_steps(self.plan_input, [a for a in self.artifacts if self._comes_late(a)]))

    def _fetches(self) -> Iterator[Step | None]:
        for name, path in () if self.is_packaged else BINARIES.items():
            yield fetch_step(self.facts, self.locked(name), path, "0755", Disruption.NONE)
        for file, path in self._archives():
            if self.applied.get(f"file:{file.name}") != file.sha256:
                title, reason = (
                    f"bring {file.name} {file.version} to {path}",
                    "it is not on record that this host has it",
                )
                yield self.step(title, reason, Fetch(file, path, "0755" if file.name == "runc" else "0644"))

    def _archives(self) -> Iterator[tuple[LockedFile, str]]:
        """Files that the prepare script unpacks, imports or calls: the record tells of them, so that no look reads their bytes."""
        if effective(self.host, "runtime") == "release":
            for name, path in RUNTIME_FILES.items():
                yield self.locked(name, part_version(self.plan_input.inventory, name)), path
        images = self.plan_input.lock.find("kubernetes-images", self.version, self.facts.arch)
        if images:
            yield images, IMAGES

    def _install_reason(self, steps: list[Step]) -> str:
        touched = [
            step for step in steps if not step.title.endswith((CONFIG, KUBELET_PATCH)) and PATCHES not in step.title
        ]
        if touched:
            return "what it puts in force changed" if self.is_member else "the host is new"
        return "" if self.applied.get("install") == self.wanted["install"] else "it is not on record that it ended well"

    # --- what the record shall say -----------------------------------------------------------

    @cached_property
    def wanted(self) -> Mapping[str, str]:
        """Digests of what is in force: the installation, the kubelet's settings, the control plane's, the network."""
        contents = {a.path: digest(lasting_content(self.plan_input, a)) for a in self.artifacts}
        archives = {f"file:{file.name}": file.sha256 for file, _ in self._archives()}
        binaries = {name: self.version if self.is_packaged else self.locked(name).sha256 for name in BINARIES}
        kubelet = {path: contents[path] for path in (*KUBELET_FILES, KUBELET_PATCH) if path in contents}
        installed = {p: d for p, d in contents.items() if self._is_installed_file(p)}
        wanted = {
            "install": digest_value({**installed, **archives, **binaries}),
            "kubelet": digest_value(
                {**kubelet, "kubelet": binaries["kubelet"], "settings": self.documents["KubeletConfiguration"]}
            ),
            **archives,
        }
        if self.host.role.controls:
            wanted["control plane"] = digest_value(
                {"config": contents.get(CONFIG, ""), "patches": self._manifest_patches(contents)}
            )
            wanted["network"] = self.network_digest
        return wanted

    def _is_installed_file(self, path: str) -> bool:
        placed = {file.path for file in self.host.files}
        return path not in placed and path != CONFIG and not path.startswith((PATCHES, PKI, MANIFESTS))

    def _manifest_patches(self, contents: Mapping[str, str]) -> dict[str, str]:
        return {
            p: d
            for p, d in contents.items()
            if p.startswith(PATCHES) and p.rpartition("/")[2].startswith(MANIFEST_TARGETS)
        }

    @cached_property
    def documents(self) -> Mapping[str, Mapping[str, Any]]:
        return cluster_documents(self.plan_input.inventory)

    @cached_property
    def network_digest(self) -> str:
        inventory = self.plan_input.inventory
        files = [f.sha256 for f in self.plan_input.lock.files if f.name in ("flannel", "calico", "cilium")]
        return digest_value({"cni": effective(self.host, "cni"), "files": files, "pods": list(inventory.network.pods)})

    # --- reasons -----------------------------------------------------------------------------

    @cached_property
    def upgrade_reason(self) -> str:
        """Why the host must go to another version; empty when it runs the wanted one."""
        node = self.cluster.node(self.host) or {}
        runs = str((node.get("status", {}).get("nodeInfo") or {}).get("kubeletVersion") or "")
        if self.host.role.controls and API_MANIFEST in self.facts.files:
            serves = manifest_version(self.facts.files[API_MANIFEST].content or "")
            if serves and serves != self.version:
                return f"its control plane is {serves}"
        return f"its kubelet is {runs}" if runs and runs != self.version else ""

    @cached_property
    def control_plane_reason(self) -> str:
        """Why the ConfigMaps and manifests must be made anew; empty when they are as wanted."""
        if not self.host.role.controls or not self.is_member:
            return ""
        drift = find_map_drift(self.documents, self.cluster.config_maps) if answers_api(self.facts) else {}
        fields = [f"{kind}: {', '.join(paths)}" for kind, paths in drift.items()]
        fields += find_manifest_drift(self.documents["ClusterConfiguration"], self.facts.files)
        if fields:
            return "the cluster has other settings: " + "; ".join(fields)
        if self.applied.get("control plane") != self.wanted["control plane"]:
            return "it is not on record that the control plane runs with kubeadm.yaml as it is wanted"
        return ""

    @cached_property
    def kubelet_reason(self) -> str:
        """Why the kubelet must take its settings anew; empty when it runs with what is wanted."""
        if self.applied.get("kubelet") != self.wanted["kubelet"]:
            return "it is not on record that the kubelet runs with these settings"
        drift = find_map_drift(
            {"KubeletConfiguration": self.documents["KubeletConfiguration"]}, self.cluster.config_maps
        )
        return "the cluster has other settings for kubelets" if drift and self.cluster.nodes is not None else ""

    @cached_property
    def start_reason(self) -> str:
        unit = self.facts.units.get(SERVICE)
        if unit is None or not unit.is_running:
            return f"{SERVICE} is {unit.active if unit and unit.load == 'loaded' else 'not installed'}"
        if self.is_member and self.cluster.nodes is not None and self.cluster.node(self.host) is None:
            return "its Node is gone, and a kubelet registers one when it starts"
        return self.upgrade_reason or self.control_plane_reason or self.kubelet_reason

    @property
    def is_unfinished(self) -> bool:
        return has_trace(self.facts, UNFINISHED)

    @property
    def has_patches(self) -> bool:
        return is_patched(self.host) or any(a.path.startswith(PATCHES) for a in self.artifacts)

    def reset_step(self) -> Step:
        reason = (
            "an init or join did not end well here"
            if self.is_unfinished
            else "it holds a membership that the cluster does not know"
        )
        return self.run(
            "undo what is left of an earlier try", reason, scripts.reset(), Disruption.RESTART, deadline=300.0
        )
