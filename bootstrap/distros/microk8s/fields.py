"""What services, the launch configuration and their keys are called, and which of them have a field of their own. Data."""

from collections.abc import Mapping

from bootstrap.forms import Form, Kind

# File of arguments -> its key in the launch configuration (microk8s-cluster-agent: pkg/k8sinit/apply.go).
ARGUMENT_KEYS: Mapping[str, str] = {
    "kubelet": "extraKubeletArgs",
    "kube-apiserver": "extraKubeAPIServerArgs",
    "kube-proxy": "extraKubeProxyArgs",
    "kube-controller-manager": "extraKubeControllerManagerArgs",
    "kube-scheduler": "extraKubeSchedulerArgs",
    "containerd": "extraContainerdArgs",
    "k8s-dqlite": "extraDqliteArgs",
    "cluster-agent": "extraMicroK8sClusterAgentArgs",
    "apiserver-proxy": "extraMicroK8sAPIServerProxyArgs",
    "etcd": "extraEtcdArgs",
    "flanneld": "extraFlanneldArgs",
}
CONTROLLER_FILES = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "k8s-dqlite", "etcd")
WORKER_FILES = ("apiserver-proxy",)
CLUSTER_SECTIONS = ("channel", "offline", "ha", "repositories", "pki", "sideload")

# Keys of the launch configuration (pkg/k8sinit/schema.go) that `fragment` takes.
LAUNCH: Mapping[str, Form] = {
    **dict.fromkeys(
        (
            "extraKubeliteEnv",
            "extraDqliteEnv",
            "extraMicroK8sClusterAgentEnv",
            "extraMicroK8sAPIServerProxyEnv",
            "extraEtcdEnv",
            "extraFlanneldEnv",
            "extraFIPSEnv",
            "extraConfigFiles",
        ),
        Kind.PAIRS,
    ),
    "extraCNIEnv": {"CALICO_VETH_MTU": Kind.TEXT},
}
# Keys that the inventory has in its own words.
LAUNCH_OWNERS: Mapping[str, str] = {
    "version": "written by bootstrap",
    "addons": "`addons` at the top level",
    "addonRepositories": "`microk8s.repositories`",
    "extraSANs": "`sans` at the top level",
    "join": "written by bootstrap: roles say who joins",
    "persistentClusterToken": "`token` at the top level",
    "containerdRegistryConfigs": "`microk8s.registries`",
    "extraContainerdEnv": "`microk8s.containerdEnv`",
    **{key: f"`microk8s.args.{file}`" for file, key in ARGUMENT_KEYS.items()},
}
CNI_OWNERS: Mapping[str, str] = {
    **{f"IPv{family}_CLUSTER_CIDR": "network.pods" for family in (4, 6)},
    **{f"IPv{family}_SERVICE_CIDR": "network.services" for family in (4, 6)},
    **{f"IPv{family}_SUPPORT": "network" for family in (4, 6)},
}

# (file, argument) -> the inventory's own field.
ARGUMENT_OWNERS: Mapping[tuple[str, str], str] = {
    ("kubelet", "--node-ip"): "node_address",
    ("kubelet", "--node-labels"): "labels",
    ("kubelet", "--register-with-taints"): "taints",
    ("kubelet", "--hostname-override"): "name",
    ("kubelet", "--cluster-domain"): "network.domain",
    ("kubelet", "--cluster-dns"): "network.services",
    ("kube-apiserver", "--service-cluster-ip-range"): "network.services",
    ("kube-apiserver", "--advertise-address"): "node_address",
    ("kube-controller-manager", "--service-cluster-ip-range"): "network.services",
    ("kube-controller-manager", "--cluster-cidr"): "network.pods",
    ("kube-proxy", "--cluster-cidr"): "network.pods",
}
# (file, argument) -> who decides it.
OURS: Mapping[tuple[str, str], str] = {
    ("kube-apiserver", "--authorization-mode"): "the add-on `rbac` sets it on all nodes",
    ("kube-apiserver", "--etcd-servers"): "the snap's own",
    ("kubelet", "--kubeconfig"): "the snap's own",
    ("kubelet", "--root-dir"): "the snap's own",
    ("kubelet", "--cert-dir"): "the snap's own",
    ("kubelet", "--container-runtime-endpoint"): "the snap's own",
    ("containerd", "--address"): "the snap's own",
    ("containerd", "--root"): "the snap's own",
    ("k8s-dqlite", "--storage-dir"): "the snap's own",
    ("k8s-dqlite", "--listen"): "the snap's own",
    ("cluster-agent", "--bind"): "nodes join at port 25000 only",
}
