"""What is known of MicroK8s' add-ons: where they are, what they take, need, bring and lose. Data, and how to find in it."""

from collections.abc import Iterator

from bootstrap.distros.microk8s.addon_forms import Addon, Flag, Form, Ready, Spelling, Word
from bootstrap.distros.microk8s.versions import Series


def _deployments(namespace: str, *names: str) -> tuple[Ready, ...]:
    return tuple(Ready("deployment", name, namespace) for name in names)


def _daemonsets(namespace: str, *names: str) -> tuple[Ready, ...]:
    return tuple(Ready("daemonset", name, namespace) for name in names)


CHART = (Flag(("-r",), Form.URL), Flag(("-V",), Form.VERSION))
OBSERVED = tuple(
    Flag((f"--{chart}-{setting}",), form, spelling=Spelling.JOINED)
    for chart in ("kube-prometheus-stack", "loki-stack", "tempo")
    for setting, form in (("values", Form.FILE), ("version", Form.VERSION))
)
GPU = (
    Flag(("--gpu-operator-driver",), choices=("auto", "operator", "host")),
    Flag(("--gpu-operator-version",), Form.VERSION),
    Flag(("--gpu-operator-toolkit-version",), Form.VERSION),
    Flag(("--gpu-operator-set-as-default-runtime",)),
    Flag(("--gpu-operator-no-set-as-default-runtime",)),
    Flag(("--gpu-operator-set",), Form.SETTING),
    Flag(("--gpu-operator-values",), Form.FILE),
    Flag(("--gpu-operator",)),
    Flag(("--no-gpu-operator",)),
    Flag(("--network-operator",)),
    Flag(("--no-network-operator",)),
    Flag(("--network-operator-version",), Form.VERSION),
    Flag(("--network-operator-set",), Form.SETTING),
    Flag(("--network-operator-values",), Form.FILE),
)
RENAMED = "is another name of `{}`, and goes away"

# The core repository's, by the enable and disable scripts of its branches 1.28 to 1.35 and of 1.36
# (github.com/canonical/microk8s-core-addons), in the order in which they are listed to people.
CORE: tuple[Addon, ...] = (
    Addon(
        "dns",
        "CoreDNS",
        words=(Word(Form.SERVERS), Word(Form.ADDRESS), Word(Form.DOMAIN, since=(1, 33))),
        ready=_deployments("kube-system", "coredns"),
        note="name servers (or /etc/resolv.conf, as without), the Service's address, the domain; the last two follow from `network`",
    ),
    Addon(
        "rbac",
        "Role-based access control",
        ready=(Ready("clusterrole", "cluster-admin"),),
        note="without it the API allows everything to everybody who has a certificate or token",
    ),
    Addon(
        "hostpath-storage",
        "StorageClass microk8s-hostpath: folders of the node where the pod runs",
        flags=(
            Flag(("-r", "--reclaim-policy"), choices=("Delete", "Retain")),
            Flag(("-d", "--default-class"), Form.BOOL, since=(1, 29)),
        ),
        ready=(*_deployments("kube-system", "hostpath-provisioner"), Ready("storageclass", "microk8s-hostpath")),
        loses="all volumes of its class: /var/snap/microk8s/common/default-storage",
        disable=("destroy-storage",),
        note="volumes stay on the node where they were made",
    ),
    Addon(
        "metallb",
        "Addresses for Services of type LoadBalancer",
        words=(Word(Form.RANGES, is_required=True),),
        ready=(
            *_deployments("metallb-system", "controller"),
            *_daemonsets("metallb-system", "speaker"),
            Ready("ipaddresspool", "default-addresspool", "metallb-system"),
        ),
        loses="its pools, so that Services lose their addresses",
        note="ranges of your network that nobody else gives away, such as 192.168.1.240-192.168.1.250; IPv6 since 1.31",
    ),
    Addon(
        "ingress",
        "nginx on ports 80 and 443 of each node",
        words=(Word(Form.SECRET, key="default-ssl-certificate"),),
        ready=(*_daemonsets("ingress", "nginx-ingress-microk8s-controller"), Ready("ingressclass", "public")),
        before=(1, 35),
        note="Traefik takes its place in 1.35",
    ),
    Addon(
        "ingress",
        "Traefik on ports 80 and 443 of each node",
        flags=(
            Flag(("-V",), Form.VERSION, spelling=Spelling.APART),
            Flag(("-r",), Form.URL, spelling=Spelling.APART),
            Flag(("-g",), Form.VERSION, spelling=Spelling.APART),
            Flag(("--default-ssl-certificate",), Form.SECRET, spelling=Spelling.APART),
        ),
        ready=(
            *_daemonsets("ingress", "traefik"),
            *(Ready("ingressclass", name) for name in ("public", "traefik", "nginx")),
        ),
        since=(1, 35),
        wants_internet=True,
        note="classes public (the default), traefik and nginx; nginx' own annotations are read in part",
    ),
    Addon(
        "cert-manager",
        "Certificates by ACME and others",
        needs=("dns",),
        ready=_deployments("cert-manager", "cert-manager", "cert-manager-cainjector", "cert-manager-webhook"),
        before=(1, 33),
        loses="every Certificate and Issuer, for its CRDs go too",
    ),
    Addon(
        "cert-manager",
        "Certificates by ACME and others",
        flags=CHART,
        needs=("dns",),
        ready=_deployments("cert-manager", "cert-manager", "cert-manager-cainjector", "cert-manager-webhook"),
        since=(1, 33),
        loses="every Certificate and Issuer, for its CRDs go too",
        wants_internet=True,
    ),
    Addon(
        "metrics-server",
        "`kubectl top` and autoscaling",
        ready=(*_deployments("kube-system", "metrics-server"), Ready("apiservice", "v1beta1.metrics.k8s.io")),
    ),
    Addon(
        "observability",
        "Prometheus, Grafana, Loki, Tempo",
        flags=(*OBSERVED, Flag(("--without-tempo",))),
        needs=("dns", "hostpath-storage"),
        ready=(
            Ready("statefulset", "prometheus-kube-prom-stack-kube-prome-prometheus", "observability"),
            *_deployments("observability", "kube-prom-stack-kube-prome-operator"),
            Ready("statefulset", "loki", "observability"),
        ),
        loses="all metrics, logs and traces, for its namespace goes too",
        lists_nodes=True,
        wants_internet=True,
        note="Grafana's login is admin/prom-operator",
    ),
    Addon(
        "registry",
        "Registry of images on port 32000 of each node",
        flags=(Flag(("--size",), Form.SIZE), Flag(("--storageclass",), Form.NAME)),
        needs=("hostpath-storage",),
        ready=_deployments("container-registry", "registry"),
        loses="every image in it",
        note="with `--storageclass` it does not need hostpath-storage",
    ),
    Addon(
        "dashboard",
        "Kubernetes Dashboard",
        needs=("metrics-server",),
        ready=_deployments("kube-system", "kubernetes-dashboard"),
        before=(1, 33),
    ),
    Addon(
        "dashboard",
        "Kubernetes Dashboard",
        flags=CHART,
        needs=("metrics-server",),
        ready=_deployments("kubernetes-dashboard", "kubernetes-dashboard-kong", "kubernetes-dashboard-web"),
        since=(1, 33),
        before=(1, 36),
        wants_internet=True,
        note="gone in 1.36",
    ),
    Addon("helm", "Comes with MicroK8s: nothing is done"),
    Addon("helm3", "Comes with MicroK8s: nothing is done"),
    Addon(
        "community",
        "The repository of community add-ons",
        note="add-ons of it are written `community/NAME`, and not checked here",
    ),
    Addon(
        "host-access",
        "An address by which pods reach their own host",
        words=(Word(Form.ADDRESS, key="ip"),),
        is_per_node=True,
        note="10.0.1.1 without",
    ),
    Addon(
        "cis-hardening",
        "The CIS benchmark's settings",
        flags=(Flag(("--kubebench-version",), Form.VERSION), Flag(("--skip-kubebench-installation",))),
        is_per_node=True,
        note="afterwards only root may use microk8s",
    ),
    Addon(
        "gpu",
        "NVIDIA's GPU operator",
        flags=(
            Flag(("--driver",), choices=("auto", "operator", "host")),
            Flag(("--version",), Form.VERSION),
            Flag(("--toolkit-version",), Form.VERSION),
            Flag(("--set-as-default-runtime",)),
            Flag(("--no-set-as-default-runtime",)),
            Flag(("--set",), Form.SETTING),
            Flag(("-f", "--values"), Form.FILE),
        ),
        needs=("dns",),
        ready=_deployments("gpu-operator-resources", "gpu-operator"),
        before=(1, 29),
        is_classic=True,
        wants_internet=True,
        arches=("amd64",),
        note="called nvidia since 1.29",
    ),
    Addon("gpu", "Another name of nvidia", since=(1, 29), dead=RENAMED.format("nvidia"), hint="nvidia"),
    Addon(
        "nvidia",
        "NVIDIA's operators for GPUs and network cards",
        flags=GPU,
        needs=("dns",),
        ready=(Ready("deployment", "gpu-operator", "gpu-operator-resources", unless="--no-gpu-operator"),),
        since=(1, 29),
        is_classic=True,
        wants_internet=True,
        arches=("amd64",),
    ),
    Addon(
        "rook-ceph",
        "Ceph by Rook's operator",
        flags=(
            Flag(("--rook-version",), Form.VERSION),
            Flag(("--rook-repository",), Form.URL),
            Flag(("--set",), Form.SETTING),
            Flag(("-f", "--values"), Form.FILE),
        ),
        ready=_deployments("rook-ceph", "rook-ceph-operator"),
        loses="with `--force` every Ceph cluster; without, it refuses while there is one",
        wants_internet=True,
        note="brings the operator; `microk8s connect-external-ceph` or a CephCluster comes after it",
    ),
    Addon(
        "mayastor",
        "OpenEBS Mayastor 2.0",
        flags=(
            Flag(("--default-pool-size",), Form.QUANTITY),
            Flag(("--skip-hugepages-check",)),
            Flag(("--skip-kernel-check",)),
            Flag(("--create-storage-classes",)),
            Flag(("--no-create-storage-classes",)),
        ),
        needs=("dns",),
        ready=_daemonsets("mayastor", "mayastor-io-engine"),
        loses="every pool and what is in it",
        wants_internet=True,
        note="wants 1024 huge pages and the module nvme_tcp; unchanged since 2023",
    ),
    Addon(
        "kube-ovn",
        "Kube-OVN in place of Calico",
        flags=(Flag(("--force",), is_required=True), Flag(("--hostname",), Form.NAME)),
        ready=_deployments("kube-system", "kube-ovn-controller"),
        loses="the pod network: every pod is without one until Calico is back",
        is_classic=True,
        wants_internet=True,
    ),
    Addon(
        "minio",
        "MinIO object storage",
        flags=(
            *(Flag((name,)) for name in ("-k", "-T", "-p")),
            Flag(("-s",), Form.NAME),
            Flag(("-c",), Form.QUANTITY),
            Flag(("-n",), Form.NUMBER),
            Flag(("-v",), Form.NUMBER),
            Flag(("-t",), Form.NAME),
            *CHART,
        ),
        needs=("dns", "hostpath-storage"),
        ready=_deployments("minio-operator", "minio-operator"),
        before=(1, 35),
        loses="every bucket of its tenants",
        wants_internet=True,
        note="does nothing since 1.35",
    ),
    Addon(
        "minio",
        "Does nothing any more",
        since=(1, 35),
        dead="does nothing since 1.35: it says so, and reports success",
        hint="install MinIO's operator by its own chart",
    ),
    Addon(
        "storage", "Another name of hostpath-storage", dead=RENAMED.format("hostpath-storage"), hint="hostpath-storage"
    ),
    Addon("prometheus", "Another name of observability", dead=RENAMED.format("observability"), hint="observability"),
    Addon(
        "ha-cluster",
        "dqlite and Calico, on from the start",
        dead="is on from the start",
        hint="leave it out; `microk8s: {ha: false}` turns it off on a lone node",
    ),
)
CLASSIC_COMMUNITY = frozenset(
    ["cilium", "multus", "nfs", "kata", "kwasm", "kubearmor", "cloudnative-pg", "ngrok", "amd"]
)
# github.com/canonical/microk8s-community-addons: names, for hints; their arguments are not known here.
COMMUNITY = frozenset(
    [
        "microcks",
        "istio",
        "knative",
        "fluentd",
        "jaeger",
        "linkerd",
        "portainer",
        "traefik",
        "keda",
        "openfaas",
        "openebs",
        "inaccel",
        "trivy",
        "argocd",
        "osm-edge",
        "sosivio",
        "gopaddle",
        "parking",
        "easyhaproxy",
        "shifu",
        "falco",
        "stunner",
        "sriov-device-plugin",
        "forgejo",
        "dashboard-ingress",
    ]
).union(CLASSIC_COMMUNITY)


def find_addon(name: str, series: Series) -> Addon | None:
    """A core add-on as it is in a minor."""
    return next((addon for addon in CORE if addon.name == name and addon.is_in(series)), None)


def list_spans(name: str) -> Iterator[Addon]:
    """Every entry of an add-on, the oldest first."""
    return (addon for addon in CORE if addon.name == name)


def names_in(series: Series) -> tuple[str, ...]:
    """Core add-ons that can be enabled in a minor."""
    return tuple(addon.name for addon in CORE if addon.is_in(series) and not addon.dead)
