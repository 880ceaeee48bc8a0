"""What kubeadm itself would not take, or would take and misread: reported by its driver at the place of the key."""

from .tables import Bad

HEAD = "schema: bootstrap/v1\ncluster: home\ndistro: kubeadm\nversion: v1.36.3\n"
HOSTS = "hosts:\n  a: {address: 10.0.0.1, role: controller+worker}\n"
WHOLE = HEAD + HOSTS
VERSION = "schema: bootstrap/v1\ncluster: home\ndistro: kubeadm\n»version: "
VIP = f"{WHOLE}endpoint: 10.0.0.9\nkubeadm: {{vip: {{interface: eth0}}}}\n"
PKI = ("ca.crt", "ca.key", "etcd/ca.crt", "etcd/ca.key", "front-proxy-ca.crt", "front-proxy-ca.key", "sa.key", "sa.pub")


def native(text: str) -> str:
    """A whole inventory with this as its section."""
    return f"{WHOLE}kubeadm: {{{text}}}\n"


def pki(**others: str) -> str:
    values = dict.fromkeys(PKI, "'${env:X}'") | others
    return ", ".join(f"{name}: {value}" for name, value in values.items())


def three(settings: str = "") -> str:
    hosts = "".join(
        f"  {name}: {{address: 10.0.0.{at}, role: controller+worker}}\n" for at, name in enumerate("abc", 1)
    )
    return f"{HEAD}{settings}»hosts:\n{hosts}"


ROWS = [
    Bad("another distribution's version", f"{VERSION}v1.36.3+k3s1\n{HOSTS}", "no Kubernetes release", "`v1.36.3`?"),
    Bad("a version without its v", f'{VERSION}"1.36.3"\n{HOSTS}', "no Kubernetes release", "did you mean `v1.36.3`?"),
    Bad("a channel for a kubeadm version", f"{VERSION}stable-1.36\n{HOSTS}", "no Kubernetes release", "exact release"),
    Bad("a release without v1beta4", f"{VERSION}v1.30.9\n{HOSTS}", "does not know kubeadm.k8s.io/v1beta4", "v1.31"),
    Bad(
        "a misspelt field of ClusterConfiguration",
        native("cluster: {»apiserver: {extraArgs: []}}"),
        "no field of ClusterConfiguration",
        "did you mean `apiServer`?",
    ),
    Bad(
        "a misspelt field further down",
        native("cluster: {etcd: {local: {»datadir: /srv/etcd}}}"),
        "no field of ClusterConfiguration.etcd.local",
        "did you mean `dataDir`?",
    ),
    Bad(
        "a kubelet field among the cluster's",
        native("cluster: {»maxPods: 50}"),
        "no field of ClusterConfiguration",
        "write it under `kubelet`",
    ),
    Bad(
        "arguments as a mapping, as in v1beta3",
        native("cluster: {apiServer: {»extraArgs: {audit-log-path: '-'}}}"),
        "is a list since v1beta4",
        '{name: audit-log-path, value: "-"}',
    ),
    Bad(
        "an argument as one text",
        native("cluster: {scheduler: {extraArgs: [»'--v=4']}}"),
        "an item of `extraArgs`",
        '{name: v, value: "4"}',
    ),
    Bad(
        "an argument with hyphens",
        native("cluster: {scheduler: {extraArgs: [{»name: --v, value: '4'}]}}"),
        "without hyphens",
        "write `v`",
    ),
    Bad(
        "an argument's value that is a number",
        native("cluster: {scheduler: {extraArgs: [{name: v, »value: 4}]}}"),
        "must be text",
        'in quotes: "4"',
    ),
    Bad(
        "an argument without a value",
        native("cluster: {scheduler: {extraArgs: [»{name: profiling}]}}"),
        "has no `value`",
        'value: "true"',
    ),
    Bad(
        "a pod range among kubeadm's fields",
        native("cluster: {networking: {»podSubnet: 10.1.0.0/16}}"),
        "has a field of its own",
        "network.pods",
    ),
    Bad(
        "two endpoints",
        f"{WHOLE}endpoint: 10.0.0.9\nkubeadm: {{cluster: {{»controlPlaneEndpoint: '10.0.0.8:6443'}}}}\n",
        "given twice, here and as `endpoint` (line 7)",
        "keep `endpoint`",
    ),
    Bad("certificate names twice", native("cluster: {apiServer: {»certSANs: [a.b]}}"), "field of its own", "`sans`"),
    Bad("a token among kubeadm's fields", native("init: {»bootstrapTokens: []}"), "field of its own", "${env:"),
    Bad("a version among kubeadm's fields", native("cluster: {»kubernetesVersion: v1.36.3}"), "`version`", "`version`"),
    Bad("a node name of kubeadm's", native("node: {»name: other}"), "the host's name", "rename the host"),
    Bad("taints of kubeadm's", native("node: {»taints: []}"), "field of its own", "`taints`"),
    Bad("discovery is not given", native("join: {»discovery: {}}"), "written for each join", "leave it out"),
    Bad(
        "labels as the kubelet's argument",
        native("node: {kubeletExtraArgs: [{»name: node-labels, value: disk=ssd}]}"),
        "field of its own",
        "`labels`",
    ),
    Bad(
        "a cluster's section at a host",
        f"{HEAD}hosts:\n  a:\n    address: 10.0.0.1\n    role: controller+worker\n    kubeadm: {{»cluster: {{}}}}\n",
        "the whole cluster's",
        "`kubeadm.cluster` at the top level",
    ),
    Bad(
        "the pod network at a group",
        f"{HEAD}hosts:\n  a: {{address: 10.0.0.1, role: controller+worker, groups: [x]}}\n"
        "groups: {x: {kubeadm: {»cni: none}}}\n",
        "the whole cluster's",
        "groups.x",
    ),
    Bad("an unknown network", native("»cni: flanel"), "`cni` can't be `flanel`", "did you mean `flannel`?"),
    Bad("an unknown runtime", native("»runtime: docker"), "`runtime` can't be `docker`", "release, packages"),
    Bad(
        "another runtime's socket",
        native("node: {»criSocket: 'unix:///var/run/crio/crio.sock'}"),
        "another runtime than containerd",
        "leave it out",
    ),
    Bad("an unknown proxy mode", native("proxy: {»mode: ipv}"), "no value of `mode`", "`ipvs`"),
    Bad("a proxy mode that is gone", native("proxy: {»mode: userspace}"), "gone since v1.26", "nftables"),
    Bad("cgroupfs beside systemd", native("kubelet: {»cgroupDriver: cgroupfs}"), "cgroupfs", "leave it out"),
    Bad("feature gates as text", native("kubelet: {»featureGates: 'A=true'}"), "true or false", "`Name: true`"),
    Bad("a feature gate in quotes", native("cluster: {»featureGates: {A: 'true'}}"), "true or false", "without quotes"),
    Bad("a duration without unit", native("kubelet: {»syncFrequency: '60'}"), "must be a duration", "90s"),
    Bad(
        "a field that came later",
        f"{HEAD.replace('1.36.3', '1.34.2')}{HOSTS}"
        "kubeadm: {cluster: {etcd: {external: {»httpEndpoints: []}}}}\n",
        "not in kubeadm v1.34.2",
        "v1.35",
    ),
    Bad(
        "containerd 1.x under a kubelet that needs 2",
        f"{HEAD.replace('1.36.3', '1.37.0')}{HOSTS}kubeadm: {{versions: {{»containerd: 1.7.29}}}}\n",
        "too old for a kubelet of v1.37.0",
        "2.0",
    ),
    Bad("a part's version with v", native("versions: {»runc: v1.4.0}"), "no version of runc", "`1.4.0`"),
    Bad("a part that has no version", native("versions: {»containrd: 2.2.1}"), "has no version here", "`containerd`"),
    Bad("a virtual IP without an address", native("»vip: {interface: eth0}"), "without an address", "`endpoint`"),
    Bad(
        "a virtual IP for a name",
        f"{WHOLE}endpoint: k8s.example.com\nkubeadm: {{»vip: {{interface: eth0}}}}\n",
        "is the name k8s.example.com",
        "`sans`",
    ),
    Bad(
        "a virtual IP that is a host's own",
        VIP.replace("endpoint: 10.0.0.9", "»endpoint: 10.0.0.1"),
        "the address of `a`",
        "a free address",
    ),
    Bad(
        "a virtual IP with another port",
        VIP.replace("endpoint: 10.0.0.9", "»endpoint: 10.0.0.9:8443"),
        "forwards no port",
        "6443",
    ),
    Bad("several controllers without an endpoint", three(), "3 controllers and no `endpoint`", "`kubeadm.vip`"),
    Bad(
        "a pod range too small for the hosts",
        f"{WHOLE}  b: {{address: 10.0.0.2}}\n  c: {{address: 10.0.0.3}}\n"
        "network: {»pods: 10.1.0.0/23, services: 10.96.0.0/16}\n",
        "room for 2 nodes of /24 each, and there are 3 hosts",
        "a /22 is the least",
    ),
    Bad(
        "a pod range too large for a mask",
        f"{WHOLE}network: {{»pods: 172.0.0.0/9}}\n"
        "kubeadm: {cluster: {controllerManager: {extraArgs: [{name: node-cidr-mask-size, value: '26'}]}}}\n",
        "too large",
        "/10 is the largest",
    ),
    Bad(
        "a pod range over the usual services",
        f"{WHOLE}network: {{»pods: 10.100.0.0/16}}\n",
        "overlaps 10.96.0.0/12",
        "network.services",
    ),
    Bad("services with room for eight", f"{WHOLE}network: {{pods: 10.1.0.0/16, »services: 10.2.0.0/29}}\n", "than 10"),
    Bad(
        "a host inside the usual pods",
        f"{HEAD}hosts:\n  a: {{»address: 10.244.3.4, role: controller+worker}}\n",
        "lies in 10.244.0.0/16",
        "network.pods",
    ),
    Bad(
        "two families on a bridge",
        f"{WHOLE}network: {{»pods: [10.1.0.0/16, '2001:db8:1::/56'], services: [10.2.0.0/16, '2001:db8:2::/112']}}\n"
        "kubeadm: {cni: bridge}\n",
        "one family",
        "one range",
    ),
    Bad("some authorities", native("»pki: {ca.crt: '${env:X}', ca.key: '${env:X}'}"), "2 of its 8 files", "or none"),
    Bad(
        "an authority in clear",
        native(f"pki: {{{pki(**{'sa.key': 'SECRET'})}}}").replace("sa.key", "»sa.key"),
        "in clear",
        "${secret:KEY}",
    ),
    Bad(
        "a patch of nothing",
        native("patches: {»api-server0.yaml: 'a: 1'}"),
        "patches nothing",
        "did you mean `kube-apiserver`?",
    ),
    Bad("a patch that is passed over", native("patches: {»etcd.yml: 'a: 1'}"), "passed over", "`etcd.yaml`"),
    Bad("a patch of an unknown type", native("patches: {»etcd0+deep.yaml: 'a: 1'}"), "no name of a patch", "strategic"),
    Bad("a patch that is no YAML", native("patches: {»etcd.yaml: 'a: [1'}"), "no YAML"),
    Bad(
        "the kubelet patch that bootstrap writes",
        native("patches: {»kubeletconfiguration0+strategic.yaml: 'a: 1'}"),
        "written by bootstrap",
        "`kubelet`",
    ),
    Bad(
        "a patch of the API server on a worker",
        f"{WHOLE}  b:\n    address: 10.0.0.2\n    kubeadm: {{patches: {{»kube-apiserver.yaml: 'a: 1'}}}}\n",
        "no effect here",
        "controllers",
    ),
    Bad("TOML without a table", native("»containerd: 'oom_score = -999'"), "must begin with a table", "[debug]"),
    Bad("TOML that is none", native("»containerd: '[debug'"), "no TOML", "would not start"),
    Bad(
        "a table of containerd's that is taken",
        native("»containerd: '[plugins.\"io.containerd.cri.v1.runtime\".cni]'"),
        "is written by bootstrap",
        "tables of their own",
    ),
    Bad("a registry named by URL", native("registries: {»'https://docker.io/v2': {}}"), "host and port", "`docker.io`"),
    Bad("a mirror without scheme", native("registries: {docker.io: {mirrors: [»m.lan]}}"), "no URL", "`https://m.lan`"),
    Bad(
        "a file that bootstrap writes for kubeadm",
        f"{WHOLE}files: [{{»path: /etc/kubernetes/pki/ca.crt, content: x}}]\n",
        "written by bootstrap",
        "kubeadm.pki",
    ),
]
