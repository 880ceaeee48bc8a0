"""What MicroK8s would not take, would misread or would pass over in silence: reported by its driver at the key's place."""

from .tables import Bad

HEAD = 'schema: bootstrap/v1\ncluster: home\ndistro: microk8s\nversion: "1.36"\n'
HOSTS = "hosts:\n  a: {address: 192.168.1.11, role: controller+worker}\n"
WHOLE = HEAD + HOSTS
VERSION = "schema: bootstrap/v1\ncluster: home\ndistro: microk8s\n»version: "
WORKER = "  b: {address: 192.168.1.12}\n"


def native(text: str) -> str:
    """A whole inventory with this as its section."""
    return f"{WHOLE}microk8s: {{{text}}}\n"


def addons(text: str, version: str = "1.36") -> str:
    """A whole inventory with these add-ons."""
    return f"{HEAD.replace('1.36', version)}{HOSTS}addons: [{text}]\n"


def at_worker(text: str) -> str:
    return f"{WHOLE}  b:\n    address: 192.168.1.12\n    microk8s: {{{text}}}\n"


ROWS = [
    # --- the version and where the snap comes from
    Bad(
        "a release as a MicroK8s version", f"{VERSION}v1.36.1\n{HOSTS}", "no track of MicroK8s", 'did you mean "1.36"?'
    ),
    Bad("a moving track", f"{VERSION}latest\n{HOSTS}", "from minor to minor by itself", '"1.36"'),
    Bad("a channel as version", f"{VERSION}1.36/candidate\n{HOSTS}", "is a channel", "{channel: 1.36/candidate}"),
    Bad("a track of joins by /etc/hosts", f'{VERSION}"1.26"\n{HOSTS}', "too old", "1.28"),
    Bad("a track that is no track", f"{VERSION}edge\n{HOSTS}", "no track of MicroK8s", '"1.36-strict"'),
    Bad("a channel of another track", native("»channel: 1.35/stable"), "of another track", "1.36/candidate"),
    Bad("a channel without a track", native("»channel: candidate"), "TRACK/RISK", "1.36/candidate"),
    Bad("a risk that is none", native("»channel: 1.36/testing"), "the risk is one of", "1.36/candidate"),
    Bad(
        "one revision for two architectures",
        f"{HEAD}hosts:\n  a: {{address: 192.168.1.11, role: controller+worker, arch: amd64}}\n"
        "  b: {address: 192.168.1.12, arch: arm64}\nmicrok8s: {»revision: 8612}\n",
        "one architecture, and hosts are of amd64 and arm64",
        "group",
    ),
    Bad("a revision without a store", native("offline: true, »revision: 8612"), "asked of the store", "artifacts.lock"),
    # --- hosts
    Bad(
        "a host with an underscore",
        f"{HEAD}hosts:\n  »node_1: {{address: 192.168.1.11, role: controller+worker}}\n",
        "node_1",
    ),
    Bad("a host in capitals", f"{HEAD}hosts:\n  »Node1: {{address: 192.168.1.11, role: controller+worker}}\n", "Node1"),
    Bad(
        "a host of 32 bits",
        f"{HEAD}hosts:\n  a: {{address: 192.168.1.11, role: controller+worker, »arch: arm}}\n",
        "no snap for arm",
        "64-bit",
    ),
    Bad(
        "two controllers with dqlite",
        f"{HEAD}»hosts:\n  a: {{address: 192.168.1.11, role: controller+worker}}\n"
        "  b: {address: 192.168.1.12, role: controller+worker}\n",
        "the loss of either stops both",
        "3 and more",
    ),
    Bad("no dqlite for two hosts", f"{WHOLE}{WORKER}microk8s: {{»ha: false}}\n", "a lone node, and here are 2 hosts"),
    Bad("a failure domain of a worker", at_worker("»failureDomain: 2"), "no effect here", "controllers"),
    Bad(
        "an endpoint with the port of others",
        f"{WHOLE}»endpoint: 192.168.1.10\n",
        "listens on 16443",
        "192.168.1.10:16443",
    ),
    # --- the network
    Bad(
        "pods over MicroK8s' services",
        f"{WHOLE}network: {{»pods: 10.152.0.0/16}}\n",
        "overlaps 10.152.183.0/24",
        "network.services",
    ),
    Bad(
        "two families of pods and one of services",
        f"{WHOLE}network: {{»pods: [10.3.0.0/16, 'fd02::/64']}}\n",
        "IPv4 only",
        "network.services",
    ),
    Bad(
        "a host inside MicroK8s' pods",
        f"{HEAD}hosts:\n  a: {{»address: 10.1.3.4, role: controller+worker}}\n",
        "lies in 10.1.0.0/16",
        "network.pods",
    ),
    Bad("services without room for DNS", f"{WHOLE}network: {{pods: 10.1.0.0/16, »services: 10.2.0.0/29}}\n", "than 16"),
    Bad(
        "a domain that dns does not serve yet",
        f"{HEAD.replace('1.36', '1.32')}{HOSTS}network: {{»domain: home.arpa}}\naddons: [dns]\n",
        "serves cluster.local only",
        "1.33",
    ),
    # --- arguments
    Bad(
        "a section of the launch configuration's name", native("»extraKubeletArgs: {--max-pods: 5}"), "extraKubeletArgs"
    ),
    Bad(
        "arguments of an unknown service",
        native("args: {»kubelite: {--v: 4}}"),
        "no arguments of `kubelite`",
        "kubelet",
    ),
    Bad(
        "a service in upstream's spelling",
        native("args: {»KubeAPIServer: {--v: 4}}"),
        "no arguments",
        "`kube-apiserver`",
    ),
    Bad("an argument without dashes", native("args: {kubelet: {»max-pods: 200}}"), "no argument", "`--max-pods: 200`"),
    Bad(
        "an argument with its value in it",
        native("args: {kubelet: {»--max-pods=200: ''}}"),
        "no argument",
        "--max-pods: 200",
    ),
    Bad(
        "labels among the arguments", native("args: {kubelet: {»--node-labels: a=b}}"), "a field of its own", "`labels`"
    ),
    Bad(
        "pods twice",
        f"{WHOLE}network: {{pods: 10.3.0.0/16}}\nmicrok8s: {{args: {{kube-proxy: {{»--cluster-cidr: 10.4.0.0/16}}}}}}\n",
        "given twice, here and as `network.pods`",
        "keep `network.pods`",
    ),
    Bad("rbac as an argument", native("args: {kube-apiserver: {»--authorization-mode: RBAC}}"), "the add-on `rbac`"),
    Bad("an argument of two lines", native('args: {kubelet: {»--v: "1\\n2"}}'), "one line", 'or ""'),
    Bad(
        "an API server's argument at a worker",
        at_worker("args: {»kube-apiserver: {--v: 4}}"),
        "no effect here",
        "move it",
    ),
    Bad("a proxy that a shell reads", native("containerdEnv: {»NO_PROXY: 'a, b'}"), "takes for its own", "blanks"),
    Bad(
        "a variable of containerd that is none",
        native("containerdEnv: {»HTTPS-PROXY: x}"),
        "no name of a variable",
        "`HTTPS_PROXY`",
    ),
    # --- the rest
    Bad(
        "an unknown key of the launch configuration",
        native("fragment: {»extraKubeletEnv: {A: b}}"),
        "passes over",
        "did you mean `extraKubeliteEnv`?",
    ),
    Bad("certificate names in the fragment", native("fragment: {»extraSANs: [a.b]}"), "is not given here", "`sans`"),
    Bad("a join in the fragment", native("fragment: {»join: {url: x}}"), "is not given here", "roles say who joins"),
    Bad(
        "ranges in the fragment",
        native("fragment: {extraCNIEnv: {»IPv4_CLUSTER_CIDR: 10.3.0.0/16}}"),
        "not given",
        "pods",
    ),
    Bad(
        "a failure domain as a file",
        native("fragment: {extraConfigFiles: {»ha-conf: x}}"),
        "failure domain",
        "failureDomain",
    ),
    Bad("a file in a folder of arguments", native("fragment: {extraConfigFiles: {»a/b: x}}"), "no name of a file"),
    Bad(
        "a registry by URL",
        native("registries: {»'https://docker.io/v2': 'server = \"x\"'}"),
        "host and port",
        "`docker.io`",
    ),
    Bad("a registry's file that is no TOML", native("registries: {»docker.io: 'server: x'}"), "no hosts.toml"),
    Bad("a registry's file without a host", native("registries: {»docker.io: 'a = 1'}"), "neither `server` nor `host`"),
    Bad("the core repository anew", native("repositories: {»core: {source: 'https://a.b/c'}}"), "comes with MicroK8s"),
    Bad(
        "the community's repository by hand",
        native("repositories: {»community: {source: 'https://a.b/c'}}"),
        "an add-on itself",
        "`addons`",
    ),
    Bad("a repository with a login", native("repositories: {own: {»source: 'https://me:pw@a.b/c'}}"), "no login"),
    Bad("a repository that is none", native("repositories: {own: {»source: home/addons}}"), "no git repository"),
    Bad("packed images", native("»sideload: images/base.tar.gz"), "passed over", "unpack"),
    Bad("a certificate without its key", native("»pki: {ca.crt: '${env:X}'}"), "has no ca.key", "or none"),
    Bad("an authority's key in clear", native("pki: {ca.crt: '${env:X}', »ca.key: KEY}"), "in clear", "${secret:KEY}"),
    Bad("the cluster's section of a host", at_worker("»channel: 1.36/edge"), "the whole cluster's", "at the top level"),
    Bad(
        "the launch configuration as a file",
        f"{WHOLE}files: [{{»path: /etc/microk8s.yaml, content: x}}]\n",
        "written by bootstrap",
        "`microk8s`",
    ),
    Bad(
        "a file in the snap's folder",
        f"{WHOLE}files: [{{»path: /var/snap/microk8s/common/x, content: x}}]\n",
        "gone with it",
        "another folder",
    ),
    # --- names of add-ons
    Bad("a misspelt add-on", addons("»metalb"), "1.36 has no add-on `metalb`", "did you mean `metallb`?"),
    Bad("an add-on in capitals", addons("»MetalLB"), "no add-on `MetalLB`", "did you mean `metallb`?"),
    Bad("an add-on with a colon", addons("»'dns:1.1.1.1'"), "in one word", '{name: dns, args: "1.1.1.1"}'),
    Bad("an add-on with a blank", addons("{»name: ingress -V 1}"), "in one word", '{name: ingress, args: "-V 1"}'),
    Bad("the dashboard after its end", addons("»dashboard"), "gone since 1.36", "its own chart"),
    Bad("minio that does nothing", addons("dns, »minio", "1.35"), "reports success", "its own chart"),
    Bad("nvidia before its time", addons("»nvidia", "1.28"), "came with 1.29"),
    Bad("an old name of the storage", addons("»storage"), "another name of", "`hostpath-storage`"),
    Bad("an old name of observability", addons("»prometheus"), "another name of", "`observability`"),
    Bad("an add-on that is always on", addons("»ha-cluster"), "is on from the start", "ha: false"),
    Bad("a community add-on by its bare name", addons("»argocd"), "is the community's", "`community/argocd`"),
    Bad("a misspelt community add-on", addons("»community/argocdd"), "has no add-on", "`argocd`"),
    Bad("an add-on of an unknown repository", addons("»own/thing"), "no add-on repository `own`", "repositories"),
    Bad("a misspelt repository", addons("»cor/dns"), "no add-on repository `cor`", "did you mean `core`?"),
    Bad("an add-on three levels deep", addons("»a/b/c"), "NAME or REPOSITORY/NAME"),
    Bad("an add-on twice", addons("dns, »core/dns"), "stands here twice", "keep one"),
    Bad(
        "an add-on from two repositories",
        f"{native('repositories: {own: {source: https://a.b/c}}')}addons: [dns, »own/dns]\n",
        "from two repositories, core and own",
        "keep one",
    ),
    Bad(
        "a classic add-on on a strict track", addons("»{}".format("nvidia"), "1.36-strict"), "classic confinement only"
    ),
    Bad(
        "an add-on of another architecture",
        f"{HEAD}hosts:\n  a: {{address: 192.168.1.11, role: controller+worker, arch: arm64}}\naddons: [»nvidia]\n",
        "for amd64 only",
        "leave it out",
    ),
    Bad(
        "kube-ovn without ha-cluster",
        f"{native('ha: false')}addons: [{{»name: kube-ovn, args: --force}}]\n",
        "needs the ha-cluster",
        "leave `ha` out",
    ),
    # --- arguments of add-ons
    Bad("metallb without a range", addons("»metallb"), "asks on the terminal", "args: 192.168.1.240"),
    Bad(
        "metallb with one address", addons("{name: metallb, »args: 192.168.1.240}"), "one address", "240-192.168.1.240`"
    ),
    Bad(
        "metallb with a range upside down", addons("{name: metallb, »args: 192.168.1.9-192.168.1.3}"), "after its last"
    ),
    Bad("metallb with words that are none", addons("{name: metallb, »args: lan}"), "no range of addresses"),
    Bad(
        "metallb with blanks between ranges",
        addons("{name: metallb, »args: '192.168.1.3-192.168.1.5, 192.168.2.3-192.168.2.5'}"),
        "takes one word",
        "192.168.1.3-192.168.1.5,192.168.2.3-192.168.2.5",
    ),
    Bad("metallb with IPv6 too early", addons("{name: metallb, »args: 'fd00::1-fd00::9'}", "1.30"), "since 1.31"),
    Bad("metallb over a host", addons("{name: metallb, »args: 192.168.1.0/28}"), "the address of `a`", "nobody has"),
    Bad("metallb over the pods", addons("{name: metallb, »args: 10.1.2.0/24}"), "the range of pods", "your own"),
    Bad("arguments that begin with a colon", addons("{name: dns, »args: ':1.1.1.1'}"), "a colon", "`1.1.1.1`"),
    Bad("a name server that is none", addons("{name: dns, »args: one.one}"), "no IP address"),
    Bad(
        "a name server inside each pod", addons("{name: dns, »args: 127.0.0.53}"), "each pod itself", "leave `args` out"
    ),
    Bad(
        "a DNS address outside of the services",
        addons("{name: dns, »args: 1.1.1.1 10.9.9.9}"),
        "outside of the service range",
    ),
    Bad(
        "the new ingress with the old argument",
        addons("{name: ingress, »args: default-ssl-certificate=a/b}"),
        "no place",
    ),
    Bad("the old ingress with a flag", addons("{name: ingress, »args: -V 39.0.8}", "1.34"), "has no `-V`"),
    Bad(
        "the old ingress with another key",
        addons("{name: ingress, »args: cert=a/b}", "1.34"),
        "default-ssl-certificate=",
    ),
    Bad("an ingress flag with its value joined", addons("{name: ingress, »args: -V=39.0.8}"), "apart", "`-V 39.0.8`"),
    Bad("a misspelt flag", addons("{name: registry, »args: --sise 40Gi}"), "has no `--sise`", "`--size`"),
    Bad("a small registry", addons("{name: registry, »args: --size 10Gi}"), "20Gi or more", "40Gi"),
    Bad("a flag without its value", addons("{name: registry, »args: --size}"), "has no value", "--size SIZE"),
    Bad(
        "a reclaim policy that is none", addons("{name: hostpath-storage, »args: -r Keep}"), "can't be `Keep`", "Delete"
    ),
    Bad("a flag that came later", addons("{name: hostpath-storage, »args: -d false}", "1.28"), "since 1.29"),
    Bad(
        "a joined flag apart",
        addons("{name: observability, »args: --tempo-version 1}"),
        "has no value",
        "--tempo-version=",
    ),
    Bad(
        "a file that is not on the controllers",
        addons("{name: observability, »args: --loki-stack-values=v.yaml}"),
        "absolute",
    ),
    Bad("kube-ovn without its consent", addons("»kube-ovn"), "with `--force` only", "--force"),
    Bad(
        "host-access without its key", addons("{name: host-access, »args: 10.0.1.5}"), "takes `ip=IP`", "`ip=10.0.1.5`"
    ),
    Bad(
        "arguments where there are none", addons("{name: rbac, »args: Node}"), "no place for `Node`", "leave `args` out"
    ),
    Bad("an open quote", addons('{name: dns, »args: "\'1.1.1.1"}'), "never closed"),
    Bad("arguments as a mapping", addons("{name: dns, »args: {servers: 1.1.1.1}}"), "text, or a list"),
    Bad(
        "a secret on a command line", addons("{name: minio, »args: '-s ${secret:x}'}", "1.34"), "every user of the host"
    ),
]
