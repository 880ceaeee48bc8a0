"""What of the cluster's settings is not as wanted, read from kubeadm's ConfigMaps and static manifests. Pure."""

from collections.abc import Mapping
from typing import Any

import yaml

from bootstrap.diffs import find_missing
from bootstrap.distros.kubeadm.layout import MANIFESTS
from bootstrap.model import FileFacts

# Kind of a wanted document -> the ConfigMap in kube-system and its key.
PLACES = {
    "ClusterConfiguration": ("kubeadm-config", "ClusterConfiguration"),
    "KubeletConfiguration": ("kubelet-config", "kubelet"),
    "KubeProxyConfiguration": ("kube-proxy", "config.conf"),
}
# Component of ClusterConfiguration -> its manifest.
COMPONENTS = {
    "apiServer": "kube-apiserver",
    "controllerManager": "kube-controller-manager",
    "scheduler": "kube-scheduler",
}


def find_map_drift(
    wanted: Mapping[str, Mapping[str, Any]], config_maps: Mapping[str, Mapping[str, str]]
) -> dict[str, list[str]]:
    """By kind of document, the fields that the cluster keeps otherwise; kubeadm's own defaults are none of our business."""
    found = {}
    for kind, document in wanted.items():
        name, key = PLACES[kind]
        if name not in config_maps:
            found[kind] = [f"ConfigMap {name} is missing"]
            continue
        differing = list(find_missing(document, _load(config_maps[name].get(key, ""))))
        if differing:
            found[kind] = differing
    return found


def find_manifest_drift(cluster: Mapping[str, Any], files: Mapping[str, FileFacts]) -> list[str]:
    """Manifests on a host that lack an argument which the ClusterConfiguration gives, or that are missing."""
    found = []
    for part, name in COMPONENTS.items():
        path = f"{MANIFESTS}/{name}.yaml"
        if path not in files:
            found.append(f"{name}.yaml is missing")
            continue
        arguments = manifest_arguments(files[path].content or "")
        given = (cluster.get(part) or {}).get("extraArgs") or ()
        found += [
            f"{name}.yaml lacks --{each['name']}={each['value']}"
            for each in given
            if f"--{each['name']}={each['value']}" not in arguments
        ]
    return found


def manifest_arguments(text: str) -> list[str]:
    """The arguments of a static pod's only container."""
    try:
        containers = yaml.safe_load(text)["spec"]["containers"]
        return [str(word) for word in containers[0]["command"][1:]]
    except (yaml.YAMLError, KeyError, TypeError, IndexError):
        return []


def manifest_version(text: str) -> str:
    """The tag of a static pod's image, such as v1.36.3; empty when it can't be read."""
    try:
        image = str(yaml.safe_load(text)["spec"]["containers"][0]["image"])
    except (yaml.YAMLError, KeyError, TypeError, IndexError):
        return ""
    return image.rpartition(":")[2]


def _load(text: str) -> Any:  # noqa: ANN401
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return None
