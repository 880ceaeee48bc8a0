"""What the schema refuses: unknown keys, wrong types, missing values."""

from .tables import HEAD, HOSTS, MARK, WHOLE, Bad

ROWS = [
    Bad(
        "a misspelt key",
        f"{HEAD}hosts:\n  a: {{»adress: 10.0.0.1, role: controller+worker}}\n",
        "unknown key `adress`",
        "did you mean `address`?",
    ),
    Bad(
        "a misspelt key at the top",
        f"{WHOLE}»newtork: {{pods: 10.42.0.0/16}}\n",
        "unknown key `newtork`",
        "did you mean `network`?",
    ),
    Bad(
        "a key of ssh at the host",
        f"{HEAD}hosts:\n  a: {{address: 10.0.0.1, role: controller+worker, »user: ops}}\n",
        "unknown key `user`",
        "`user` belongs under `ssh:`",
    ),
    Bad(
        "a key of the top level at the host",
        f"{HEAD}hosts:\n  a: {{address: 10.0.0.1, role: controller+worker, »network: {{}}}}\n",
        "unknown key `network`",
        "belongs at the top level",
    ),
    Bad(
        "another tool's word for the address",
        f"{HEAD}hosts:\n  a: {{»ansible_host: 10.0.0.1, role: controller+worker}}\n",
        "unknown key `ansible_host`",
        "did you mean `address`?",
    ),
    Bad(
        "another tool's word for the node address",
        f"{HEAD}hosts:\n  a: {{address: 10.0.0.1, role: controller+worker, »privateAddress: 10.0.0.2}}\n",
        "unknown key",
        "did you mean `node_address`?",
    ),
    Bad(
        "an unknown key without a near one",
        f"{WHOLE}network: {{»zzz: 1}}\n",
        "unknown key `zzz`",
        "known here: pods, services, domain",
    ),
    Bad("a key of another distribution", f"{WHOLE}»rke2: {{}}\n", "unknown key `rke2`", "known here: schema, cluster"),
    Bad(
        "a host without address",
        f"{HEAD}hosts:\n  »a: {{role: controller+worker}}\n",
        "host `a` has no `address`",
        "for example address: 192.168.1.11",
    ),
    Bad(
        "an inventory without cluster",
        MARK + WHOLE.replace("cluster: home\n", ""),
        "the inventory has no `cluster`",
        "for example cluster: home",
    ),
    Bad(
        "an inventory without version",
        MARK + WHOLE.replace("version: v1.36.3+k3s1\n", ""),
        "the inventory has no `version`",
        "v1.36.3+k3s1",
    ),
    Bad(
        "an inventory without format",
        MARK + WHOLE.replace("schema: bootstrap/v1\n", ""),
        "the inventory has no `schema`",
        "bootstrap/v1",
    ),
    Bad("an inventory without hosts", f"»{HEAD}", "the inventory has no `hosts`"),
    Bad("no hosts at all", f"{HEAD}hosts: »{{}}\n", "`hosts` is empty", "pi-1"),
    Bad("hosts without a value", f"{HEAD}»hosts:\n", "`hosts` has no value", "give it one"),
    Bad(
        "hosts as a list",
        f"{HEAD}hosts:\n  »- {{name: a, address: 10.0.0.1}}\n",
        "`hosts` must be a mapping, but a list",
        "pi-1: {address",
    ),
    Bad(
        "a host as text", f"{HEAD}hosts:\n  a: »10.0.0.1\n", "`a` must be a mapping, but the text `10.0.0.1`", "address"
    ),
    Bad("labels as a list", f"{WHOLE}labels: »[disk=ssd]\n", "`labels` must be a mapping, but a list", "disk"),
    Bad(
        "taints as a mapping",
        f"{WHOLE}taints: »{{dedicated: db}}\n",
        "`taints` must be a list, but a mapping",
        "NoSchedule",
    ),
    Bad(
        "sans with a number",
        f"{WHOLE}sans: [good.example.com, »5]\n",
        "item 2 of `sans` must be text, but the number 5",
        '"5"',
    ),
    Bad("a key without a value", f"{WHOLE}»labels:\n", "`labels` has no value", "remove the key"),
    Bad(
        "an unknown role",
        f"{HEAD}hosts:\n  a: {{address: 10.0.0.1, role: »master}}\n",
        "`role` can't be `master`",
        "did you mean `controller`?",
    ),
    Bad(
        "a misspelt role",
        f"{HEAD}hosts:\n  a: {{address: 10.0.0.1, role: »controler}}\n",
        "`role` can't be `controler`",
        "choose one of controller, controller+worker, worker",
    ),
    Bad(
        "an unknown distribution",
        f"schema: bootstrap/v1\ncluster: home\ndistro: »k4s\nversion: v1.36.3+k3s1\n{HOSTS}",
        "`distro` can't be `k4s`",
        "k3s",
    ),
    Bad(
        "an unknown format",
        WHOLE.replace("bootstrap/v1", "»bootstrap/v9"),
        "`schema` can't be `bootstrap/v9`",
        "write bootstrap/v1",
    ),
    Bad(
        "an unknown hook point",
        f"{WHOLE}hooks: [{{name: x, at: »after-founding, run: id}}]\n",
        "`at` can't be `after-founding`",
        "did you mean `after-founder`?",
    ),
    Bad("an unknown way to root", f"{WHOLE}ssh: {{become: »su}}\n", "`become` can't be `su`", "auto, sudo, doas, none"),
    Bad("an unknown architecture", f"{WHOLE}arch: »riscv\n", "`arch` can't be `riscv`", "amd64, arm64, arm"),
    Bad("a port of zero", f"{WHOLE}ssh: {{port: »0}}\n", "not a port", "1 to 65535"),
    Bad("a port too high", f"{WHOLE}ssh: {{port: »65536}}\n", "not a port", "1 to 65535"),
    Bad("a port in words", f"{WHOLE}ssh: {{port: »ssh}}\n", "not a port", "1 to 65535"),
    Bad(
        "a range of ports without quotes",
        f"{HEAD}hosts:\n  a-{{1..3}}: {{address: 10.0.0.1, role: controller+worker, ssh: {{port: »{{1..3}}}}}}\n",
        "`port` must be text or a whole number, but a mapping",
        '"{1..3}"',
    ),
    Bad("a timeout of zero", f"{WHOLE}ssh: {{connect_timeout: »0}}\n", "must be more than 0", "10"),
    Bad("an empty user", f"{WHOLE}ssh: {{user: »''}}\n", "`user` is empty", "ops"),
    Bad(
        "three pod ranges",
        f"{WHOLE}network: {{pods: »[10.1.0.0/16, 10.2.0.0/16, 10.3.0.0/16]}}\n",
        "`pods` takes at most 2 items",
    ),
    Bad(
        "a file without a path",
        f"{WHOLE}files: [»{{content: x}}]\n",
        "item 1 of `files` has no `path`",
        "/etc/sysctl.d",
    ),
    Bad("a hook without a name", f"{WHOLE}hooks: [»{{at: after-apply, run: id}}]\n", "item 1 of `hooks` has no `name`"),
    Bad(
        "hosts for the hook of one host",
        f"{HEAD}hosts:\n  a: {{address: 10.0.0.1, role: controller+worker, hooks: [{{name: x, at: after-apply, run: id, »hosts: [a]}}]}}\n",
        "unknown key `hosts`",
    ),
    Bad(
        "a machine without address", f"{WHOLE}others: {{»nas: {{}}}}\n", "machine `nas` has no `address`", "192.168.1.5"
    ),
    Bad(
        "a native section that is unknown",
        f"{WHOLE}k3s: {{»servers: {{}}}}\n",
        "unknown key `servers`",
        "did you mean `server`?",
    ),
    Bad(
        "native keys outside of a section",
        f"{WHOLE}k3s: {{»disable: [traefik]}}\n",
        "unknown key `disable`",
        "config, server, agent",
    ),
]
