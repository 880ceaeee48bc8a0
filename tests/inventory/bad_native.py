"""What k3s itself would not take, or would take and misread: reported by its driver at the place of the key."""

from .tables import HEAD, HOSTS, WHOLE, Bad

WORKER = f"{WHOLE}  b:\n    address: 10.0.0.2\n"
VERSION = "schema: bootstrap/v1\ncluster: home\ndistro: k3s\n»version: "

ROWS = [
    Bad(
        "a version without the k3s part", f"{VERSION}v1.36.3\n{HOSTS}", "no k3s release", "did you mean `v1.36.3+k3s1`?"
    ),
    Bad("a version with a hyphen", f"{VERSION}v1.36.3-k3s1\n{HOSTS}", "no k3s release", "did you mean `v1.36.3+k3s1`?"),
    Bad("a channel for a version", f"{VERSION}stable\n{HOSTS}", "no k3s release", "exact tag"),
    Bad(
        "a server key in the agent section",
        f"{WHOLE}k3s: {{agent: {{»tls-san-security: true}}}}\n",
        "is a server key",
        "`server`",
    ),
    Bad(
        "an unknown native key",
        f"{WHOLE}k3s: {{server: {{»flanel-backend: vxlan}}}}\n",
        "no key of k3s",
        "did you mean `flannel-backend`?",
    ),
    Bad(
        "a cluster-critical key at one host",
        f"{HEAD}hosts:\n  a:\n    address: 10.0.0.1\n    role: controller+worker\n    k3s: {{server: {{»flannel-backend: none}}}}\n",
        "the same on all servers",
        "`k3s.server` at the top level",
    ),
    Bad(
        "a critical key in a group",
        f"{HEAD}hosts:\n  a: {{address: 10.0.0.1, role: controller+worker, groups: [x]}}\ngroups: {{x: {{k3s: {{server: {{»disable: [traefik]}}}}}}}}\n",
        "the same on all servers",
        "groups.x",
    ),
    Bad(
        "labels given natively too",
        f"{WHOLE}labels: {{disk: ssd}}\nk3s: {{config: {{»node-label: [disk=ssd]}}}}\n",
        "given twice",
        "keep `labels`",
    ),
    Bad(
        "a pod range given natively",
        f"{WHOLE}k3s: {{server: {{»cluster-cidr: 10.42.0.0/16}}}}\n",
        "has a field of its own",
        "network.pods",
    ),
    Bad(
        "a token given natively",
        f"{WHOLE}k3s: {{config: {{»token: '${{env:T}}'}}}}\n",
        "has a field of its own",
        "token",
    ),
    Bad(
        "server keys on a worker", f"{WORKER}    k3s: {{»server: {{debug: true}}}}\n", "have no effect here", "`agent`"
    ),
    Bad(
        "an unknown packaged part",
        f"{WHOLE}k3s: {{server: {{»disable: [treafik]}}}}\n",
        "`treafik` is no value of `disable`",
        "traefik",
    ),
    Bad(
        "a native boolean that is text",
        f"{WHOLE}k3s: {{server: {{»disable-kube-proxy: maybe}}}}\n",
        "must be true or false",
    ),
    Bad(
        "a manifest of a bad name",
        f"{WHOLE}k3s: {{manifests: {{»vip: 'a: 1'}}}}\n",
        "no file name that k3s applies",
        "vip.yaml",
    ),
    Bad(
        "a manifest from nowhere",
        f"{WHOLE}k3s: {{manifests: {{vip.yaml: {{source: »vip.yaml}}}}}}\n",
        "there is no file `vip.yaml`",
    ),
    Bad(
        "a file that k3s's driver writes",
        f"{WHOLE}files: [{{»path: /etc/rancher/k3s/config.yaml, content: x}}]\n",
        "written by bootstrap itself",
    ),
]
