"""What k0s or k0sctl would not take, or would take and misread: reported by the driver at the place of the key."""

from .tables import Bad

HEAD = "schema: bootstrap/v1\ncluster: home\ndistro: k0s\nversion: v1.36.3+k0s.2\n"
HOSTS = "hosts:\n  a: {address: 10.0.0.1, role: controller}\n  b: {address: 10.0.0.2, role: worker}\n"
WHOLE = HEAD + HOSTS
SINGLE = f"{HEAD}hosts:\n  a: {{address: 10.0.0.1, role: single}}\n"
VERSION = "schema: bootstrap/v1\ncluster: home\ndistro: k0s\n»version: "
THREE = "".join(f"  {name}: {{address: 10.0.0.{at}, role: controller}}\n" for at, name in enumerate("abc", 1))
SIX = f"{HEAD}hosts:\n{THREE}  w: {{address: 10.0.0.9}}\n"
PKI = ("ca.crt", "ca.key", "sa.key", "sa.pub", "etcd/ca.crt", "etcd/ca.key")


def native(text: str, hosts: str = WHOLE) -> str:
    """A whole inventory with this as its section."""
    return f"{hosts}k0s: {{{text}}}\n"


def config(text: str, hosts: str = WHOLE) -> str:
    return native(f"config: {{{text}}}", hosts)


def network(text: str, hosts: str = WHOLE) -> str:
    return config(f"network: {{{text}}}", hosts)


def vrrp(text: str, hosts: str = SIX) -> str:
    keepalived = f"keepalived: {{vrrpInstances: [{{{text}}}]}}"
    return network(f"controlPlaneLoadBalancing: {{enabled: true, type: Keepalived, {keepalived}}}", hosts)


def flags(text: str, hosts: str = WHOLE) -> str:
    return native(f"installFlags: [{text}]", hosts)


def pki(*names: str) -> str:
    return ", ".join(f"{name}: '${{env:X}}'" for name in names)


ROWS = [
    Bad(
        "a Kubernetes version for k0s", f"{VERSION}v1.36.3\n{HOSTS}", "no k0s release", "did you mean `v1.36.3+k0s.0`?"
    ),
    Bad("a k0s version without its number", f"{VERSION}v1.36.3+k0s\n{HOSTS}", "no k0s release", "`v1.36.3+k0s.0`?"),
    Bad("a k0s version as images are tagged", f"{VERSION}v1.36.3-k0s.2\n{HOSTS}", "no k0s release", "`v1.36.3+k0s.2`?"),
    Bad("a channel for a k0s version", f"{VERSION}stable\n{HOSTS}", "no k0s release", "the exact release"),
    Bad("a k0s that can't be asked", f"{VERSION}v1.27.4+k0s.0\n{HOSTS}", "is too old", "v1.31"),
    Bad(
        "a single node among others",
        f"{HEAD}hosts:\n  a: {{address: 10.0.0.1, role: »single}}\n  b: {{address: 10.0.0.2}}\n",
        "`single` stands alone",
        "`controller+worker`",
    ),
    Bad(
        "a single node of k3s",
        "schema: bootstrap/v1\ncluster: home\ndistro: k3s\nversion: v1.36.3+k3s1\n"
        "hosts:\n  a: {address: 10.0.0.1, role: »single}\n",
        "k3s has no role `single`",
        "did you mean `controller+worker`?",
    ),
    Bad(
        "the wrapper of a ClusterConfig",
        config("»spec: {api: {port: 6443}}"),
        "`spec` is written by bootstrap",
        "what stands under `spec`",
    ),
    Bad(
        "a misspelt field of ClusterConfig",
        config("»netwrok: {provider: calico}"),
        "no field of ClusterConfig",
        "did you mean `network`?",
    ),
    Bad(
        "a misspelt field further down in ClusterConfig",
        network("calico: {»wireGuard: true}"),
        "no field of ClusterConfig (spec.network.calico)",
        "did you mean `wireguard`?",
    ),
    Bad(
        "a field of ClusterConfig one level too high",
        config("»provider: calico"),
        "no field of ClusterConfig",
        "`provider` belongs under `network`",
    ),
    Bad(
        "a number where k0s wants text", config("api: {»extraArgs: {v: 4}}"), "must be a mapping of texts", "in quotes"
    ),
    Bad("text where k0s wants a port", config("api: {»port: '6443'}"), "`port` must be a whole number"),
    Bad("a port of k0s that is none", config("api: {»k0sApiPort: 94430}"), "is no port", "1 to 65535"),
    Bad("a provider that k0s does not have", network("»provider: cilium"), "no value of `provider`", "kuberouter"),
    Bad("a provider called none", network("»provider: none"), "no provider of k0s", "did you mean `custom`?"),
    Bad("a storage that k0s does not have", config("storage: {»type: sqlite}"), "no value of `type`", "etcd, kine"),
    Bad("a mode of kube-proxy", network("kubeProxy: {»mode: ebpf}"), "no value of `mode`", "iptables, ipvs, nftables"),
    Bad("a pod range in k0s' words", network("»podCIDR: 10.1.0.0/16"), "has a field of its own", "`network.pods`"),
    Bad("two families in k0s' words", network("»dualStack: {enabled: true}"), "a field of its own", "as two values"),
    Bad("names of the API in k0s' words", config("api: {»sans: [k8s.lan]}"), "has a field of its own", "`sans`"),
    Bad("an external address", config("api: {»externalAddress: k8s.lan}"), "has a field of its own", "`endpoint`"),
    Bad(
        "an external address given twice",
        f"{WHOLE}endpoint: k8s.lan\nk0s: {{config: {{api: {{»externalAddress: k8s.lan}}}}}}\n",
        "is given twice, here and as `endpoint`",
        "keep `endpoint`",
    ),
    Bad(
        "one API address for three controllers",
        config("api: {»address: 10.0.0.1}", SIX),
        "would be the same on all controllers",
        "`node_address`",
    ),
    Bad("an API address that is a name", config("api: {»address: c1.lan}"), "is no IP address", "`endpoint`"),
    Bad(
        "an API address for all addresses", config("api: {»address: 0.0.0.0}"), "k0s refuses `0.0.0.0`", "leave it out"
    ),
    Bad(
        "a cluster's field at one controller",
        f"{HEAD}hosts:\n  a: {{address: 10.0.0.1, role: controller, k0s: {{config: {{»images: {{repository: x}}}}}}}}\n"
        "  b: {address: 10.0.0.2}\n",
        "`images` is the whole cluster's",
        "`k0s.config` at the top",
    ),
    Bad(
        "a configuration at a worker",
        f"{HEAD}hosts:\n  a: {{address: 10.0.0.1, role: controller}}\n"
        "  b: {address: 10.0.0.2, k0s: {config: {»api: {port: 6444}}}}\n",
        "has no controller",
        "move it to a controller",
    ),
    Bad(
        "kine with three controllers",
        config("storage: {»type: kine}", SIX),
        "a file of one controller, and here are 3",
        "etcd is the default",
    ),
    Bad(
        "a data source without kine",
        config("storage: {type: etcd, »kine: {extraArgs: {}}}"),
        "`kine` has no effect",
        "write `type: kine`",
    ),
    Bad(
        "an external etcd without prefix",
        config("storage: {etcd: {»externalCluster: {endpoints: ['https://10.0.0.5:2379']}}}"),
        "an external etcd needs `etcdPrefix`",
    ),
    Bad(
        "an external etcd with half of its files",
        config("storage: {etcd: {»externalCluster: {endpoints: [x], etcdPrefix: home, caFile: /a}}}"),
        "lacks clientCertFile, clientKeyFile",
        "all three files, or none",
    ),
    Bad(
        "a data source with its password",
        config("storage: {type: kine, kine: {»dataSource: 'mysql://k0s:secret@tcp(10.0.0.5)/k0s'}}"),
        "a password in clear",
        "${secret:KEY}",
    ),
    Bad(
        "a chart repository with its password",
        config("extensions: {helm: {repositories: [{name: a, url: 'https://a', »password: hunter2}]}}"),
        "a password in clear",
    ),
    Bad(
        "a chart without namespace",
        config("extensions: {helm: {charts: [»{name: a, chartname: b/a}]}}"),
        "an item of `charts` has no `namespace`",
    ),
    Bad("charts as a mapping", config("extensions: {helm: {»charts: {name: a}}}"), "`charts` must be a list"),
    Bad(
        "a worker profile with a field of k0s",
        config("workerProfiles: [{name: a, values: {»clusterDNS: [10.0.0.10]}}]"),
        "k0s sets `clusterDNS` itself",
    ),
    Bad(
        "node-local balancing beside an endpoint",
        f"{WHOLE}endpoint: k8s.lan\n"
        "k0s: {config: {network: {nodeLocalLoadBalancing: {»enabled: true, type: EnvoyProxy}}}}\n",
        "refuses node-local load balancing beside an external address",
        "choose one of them",
    ),
    Bad(
        "node-local balancing of one node",
        network("nodeLocalLoadBalancing: {»enabled: true, type: EnvoyProxy}", SINGLE),
        "a single node has nothing to balance",
    ),
    Bad("a long password of VRRP", vrrp("virtualIPs: [10.0.0.50/24], »authPass: passphrase"), "has 10 characters"),
    Bad("a virtual IP without prefix", vrrp("virtualIPs: [»10.0.0.50], authPass: home"), "no prefix", "10.0.0.50/24"),
    Bad("a virtual IP that is none", vrrp("virtualIPs: [»vip.lan], authPass: home"), "no address with a prefix"),
    Bad(
        "a virtual IP that a host has",
        vrrp("virtualIPs: [»10.0.0.9/24], authPass: home"),
        "is the address of w",
        "that nobody has",
    ),
    Bad(
        "a virtual IP of another network",
        vrrp("virtualIPs: [»192.168.7.10/24], authPass: home"),
        "not in the network of controller a (10.0.0.1)",
        "controllers' own network",
    ),
    Bad(
        "virtual servers on controllers that take pods",
        network(
            "controlPlaneLoadBalancing: {enabled: true, keepalived: {vrrpInstances: [{virtualIPs: [10.0.0.50/24], "
            "authPass: home}], »virtualServers: [{ipAddress: 10.0.0.50}]}}",
            f"{HEAD}hosts:\n  a: {{address: 10.0.0.1, role: controller+worker}}\n  b: {{address: 10.0.0.2}}\n",
        ),
        "don't work on a controller that takes pods",
    ),
    Bad(
        "an unknown install flag", flags("»--enable-metric-scraper=true"), "no flag of `k0s install`", "metrics-scraper"
    ),
    Bad("a flag without a value", flags("»--disable-components"), "needs a value", "--disable-components="),
    Bad("a true flag with another value", flags("»--enable-metrics-scraper=yes"), "is true or false", "=true"),
    Bad("quotes that don't close", flags('»"--kubelet-extra-args=\'--v=4"'), "don't close", "its other half"),
    Bad("a flag for what is a role", flags("»--single"), "has a key of its own", "`role: single`"),
    Bad("a flag for labels", flags("»--labels=a=b"), "has a key of its own", "`labels`"),
    Bad("a flag that bootstrap gives", flags("»--token-file=/etc/x"), "is not given here", "leave it out"),
    Bad("a flag twice", flags("--debug, »--debug=true"), "stands twice", "keep one"),
    Bad("a secret among flags", flags("»'--kubelet-extra-args=--x=${env:X}'"), "can't hold a reference"),
    Bad("an unknown component", flags("»--disable-components=metric-server"), "no component", "`metrics-server`?"),
    Bad(
        "a kubelet argument of ours",
        flags("»--kubelet-extra-args=--node-ip=10.0.0.1"),
        "a place of its own",
        "node_add",
    ),
    Bad(
        "a controller's flag at a worker",
        f"{HEAD}hosts:\n  a: {{address: 10.0.0.1, role: controller}}\n"
        "  b: {address: 10.0.0.2, k0s: {installFlags: [»--enable-metrics-scraper=true]}}\n",
        "is a flag of controllers",
        "move it to a controller",
    ),
    Bad("an unknown profile", native("»profile: small"), "no worker profile `small`", "define it there"),
    Bad("a relative data folder", native("»dataDir: srv/k0s"), "a folder of its own", "absolute"),
    Bad("a variable that is none", native("environment: {»HTTPS-PROXY: x}"), "is no name of a variable"),
    Bad(
        "a proxy with its password",
        native("environment: {»HTTPS_PROXY: 'http://me:secret@proxy:3128'}"),
        "a password in clear",
        "${secret:proxy}",
    ),
    Bad("taints lifted where none are", native("»noTaints: true"), "`noTaints` has no effect", "controller+worker"),
    Bad(
        "no room for ordinary pods",
        f"{HEAD}hosts:\n  »a: {{address: 10.0.0.1, role: controller+worker}}\n",
        "nothing ordinary can be scheduled",
        "noTaints: true",
    ),
    Bad("a file by URL", native("files: [{»src: 'https://a/b', dst: /x}]"), "is a URL", "into the repository"),
    Bad("a file without place", native("files: [»{data: x}]"), "neither is given", "give one of them"),
    Bad("a file to a relative place", native("files: [{data: x, »dst: etc/x}]"), "an absolute path", "such as /etc/x"),
    Bad("a file of k0s itself", native("files: [{data: x, »dst: /etc/k0s/k0s.yaml}]"), "written by bootstrap or k0s"),
    Bad("permissions that are none", native("files: [{data: x, dst: /x, »perm: '0988'}]"), "are no permissions"),
    Bad("half of an identity", native(f"»pki: {{{pki('ca.crt', 'ca.key')}}}"), "`pki` lacks sa.key, sa.pub"),
    Bad("a CA in clear", native(f"pki: {{{pki(*PKI[1:])}, »ca.crt: x}}"), "stands here in clear", "a whole reference"),
    Bad(
        "etcd's CA where there is no etcd",
        native(f"pki: {{{pki(*PKI[:5])}, »etcd/ca.key: '${{env:X}}'}}", SINGLE).replace(
            "etcd/ca.crt: '${env:X}', ", ""
        ),
        "k0s runs no etcd",
        "leave it out",
    ),
    Bad(
        "the whole cluster's key at a host",
        f"{HEAD}hosts:\n  a: {{address: 10.0.0.1, role: controller, k0s: {{»dynamicConfig: true}}}}\n"
        "  b: {address: 10.0.0.2}\n",
        "is the whole cluster's",
        "at the top level",
    ),
    Bad("a program of this machine", native("»k0sBinaryPath: /usr/bin/k0s"), "no file of the repository"),
    Bad("manifests that are not there", native("manifests: »stacks"), "no folder with manifests"),
    Bad("a token for k0s", f"{WHOLE}»token: ${{env:TOKEN}}\n", "no token of its own", "leave it out"),
    Bad(
        "IPv6 alone without its gate", f"{WHOLE}network: {{»pods: 'fd00:1::/64', services: 'fd00:2::/112'}}\n", "a gate"
    ),
    Bad(
        "calico with two families",
        f"{WHOLE}network: {{pods: [10.1.0.0/16, 'fd00:1::/56'], services: [10.2.0.0/16, 'fd00:2::/112']}}\n"
        "k0s: {config: {network: {»provider: calico}}}\n",
        "must be in mode `bird`",
    ),
]
