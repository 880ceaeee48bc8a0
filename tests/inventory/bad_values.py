"""What has the right shape and is wrong all the same: names, marks of nodes, payloads, the cluster as a whole."""

from .tables import HEAD, WHOLE, Bad, host

HOOK = "name: x, at: after-apply"
THREE = "  c: {address: 10.0.0.3, role: controller}\n  d: {address: 10.0.0.4, role: controller}\n"

ROWS = [
    # names
    Bad(
        "a host name in upper case",
        f"{HEAD}hosts:\n  »Den_D: {{address: 10.0.0.1, role: controller+worker}}\n",
        "`Den_D` is not a legal name",
        "did you mean `den-d`?",
    ),
    Bad(
        "a host name with dots",
        f"{HEAD}hosts:\n  »pi.lan: {{address: 10.0.0.1, role: controller+worker}}\n",
        "not a legal name",
        "`pi-lan`",
    ),
    Bad(
        "a host name that is too long",
        f"{HEAD}hosts:\n  »{'a' * 64}: {{address: 10.0.0.1, role: controller+worker}}\n",
        "longer than 63",
    ),
    Bad(
        "a cluster name with a space",
        WHOLE.replace("cluster: home", "cluster: »my home"),
        "`my home` is not a legal name",
        "`my-home`",
    ),
    Bad(
        "an unknown group", host("address: 10.0.0.1, groups: [»pi]"), "there is no group `pi`", "`groups:` defines none"
    ),
    Bad(
        "a misspelt group",
        f"{host('address: 10.0.0.1, groups: [»pie]')}groups: {{pis: {{}}}}\n",
        "there is no group `pie`",
        "did you mean `pis`?",
    ),
    Bad(
        "a group named twice", f"{host('address: 10.0.0.1, groups: [pis, »pis]')}groups: {{pis: {{}}}}\n", "named twice"
    ),
    Bad(
        "a machine with the name of a host",
        f"{WHOLE}others: {{»a: {{address: 10.0.0.9}}}}\n",
        "is a host of the cluster too",
        "line 6",
    ),
    # nodes
    Bad(
        "a label value with a space", f"{WHOLE}labels: {{rack: »left side}}\n", "not a legal label value", "annotation"
    ),
    Bad("a label value that is too long", f"{WHOLE}labels: {{rack: »{'x' * 64}}}\n", "longer than 63"),
    Bad("a label key with a space", f"{WHOLE}labels: {{»the rack: x}}\n", "not a legal label key"),
    Bad("a label key with a bad prefix", f"{WHOLE}labels: {{»Example.com/rack: x}}\n", "not a legal prefix"),
    Bad(
        "a label of the kubelet",
        f"{WHOLE}labels: {{»kubernetes.io/hostname: x}}\n",
        "belongs to Kubernetes",
        "remove it",
    ),
    Bad("a label of a reserved prefix", f"{WHOLE}labels: {{»kubernetes.io/rack: x}}\n", "reserved", "your own"),
    Bad("an annotation key that is none", f"{WHOLE}annotations: {{»a/b/c: x}}\n", "not a legal prefix"),
    Bad("a taint without effect", f"{WHOLE}taints: [»dedicated=db]\n", "not a taint", "dedicated=db:NoSchedule"),
    Bad(
        "a taint with a misspelt effect",
        f"{WHOLE}taints: [»'dedicated=db:noschedule']\n",
        "not a taint effect",
        "did you mean `NoSchedule`?",
    ),
    Bad(
        "a taint that comes twice",
        f"{WHOLE}taints:\n- a=x:PreferNoSchedule\n- »a=y:PreferNoSchedule\n",
        "has the taint `a` with PreferNoSchedule twice",
        "line 8",
    ),
    Bad("an interface that is none", f"{WHOLE}node_interface: »eth 0\n", "not the name of an interface"),
    # payloads
    Bad("a relative path", f"{WHOLE}files: [{{path: »etc/x, content: x}}]\n", "not an absolute path", "/etc/x"),
    Bad(
        "a path with a detour",
        f"{WHOLE}files: [{{path: »/etc/../etc//x, content: x}}]\n",
        "not the straight path",
        "did you mean `/etc/x`?",
    ),
    Bad(
        "a mode that is none",
        f"{WHOLE}files: [{{path: /etc/x, content: x, mode: »rw-r--r--}}]\n",
        "not a mode",
        '"0644"',
    ),
    Bad("a mode of too many digits", f"{WHOLE}files: [{{path: /etc/x, content: x, mode: »'00644'}}]\n", "not a mode"),
    Bad(
        "an owner that is none",
        f"{WHOLE}files: [{{path: /etc/x, content: x, owner: »'root:'}}]\n",
        "not an owner",
        "root:root",
    ),
    Bad("a file without content", f"{WHOLE}files: [»{{path: /etc/x}}]\n", "neither `content` nor `source`"),
    Bad("a file with content and source", f"{WHOLE}files: [»{{path: /etc/x, content: x, source: z}}]\n", "both given"),
    Bad(
        "a source that is not there",
        f"{WHOLE}files: [{{path: /etc/x, source: »nowhere.conf}}]\n",
        "there is no file `nowhere.conf`",
        "looked for",
    ),
    Bad(
        "a source outside of the repository",
        f"{WHOLE}files: [{{path: /etc/x, source: »../../etc/passwd}}]\n",
        "leads out of the repository",
    ),
    Bad(
        "a source by absolute path",
        f"{WHOLE}files: [{{path: /etc/x, source: »/etc/passwd}}]\n",
        "not inside the repository",
    ),
    Bad("a source that is a folder", f"{WHOLE}files: [{{path: /etc/x, source: »inventories}}]\n", "is a folder"),
    Bad(
        "one path twice",
        f"{host('address: 10.0.0.1, files: [{path: »/etc/x, content: b}]')}files: [{{path: /etc/x, content: a}}]\n",
        "host `a` gets `/etc/x` twice",
        "line 7",
    ),
    Bad("a hook without a script", f"{WHOLE}hooks: [»{{{HOOK}}}]\n", "neither `run` nor `source`"),
    Bad(
        "two hooks of one name",
        f"{WHOLE}hooks:\n- {{{HOOK}, run: id}}\n- {{name: »x, at: before-apply, run: id}}\n",
        "two hooks are named `x`",
        "line 8",
    ),
    Bad(
        "a hook name with a space",
        f"{WHOLE}hooks: [{{name: »the hook, at: after-apply, run: id}}]\n",
        "not a legal name",
    ),
    Bad(
        "a hook for an unknown host",
        f"{WHOLE}hooks: [{{{HOOK}, run: id, hosts: [»b]}}]\n",
        "there is no host `b`",
        "known: a",
    ),
    # references
    Bad("a variable that is not set", host("address: »'${env:NODE_IP}'"), "no variable `NODE_IP`", "NODE_IP=..."),
    Bad("a file reference to nowhere", host("address: »'${file:ip.txt}'"), "there is no file `ip.txt`"),
    Bad(
        "a secret where it would be shown",
        host("address: »'${secret:ip}'"),
        "can't stand here",
        "plans and rendered files",
    ),
    Bad(
        "a misspelt reference",
        host("address: »'${enw:NODE_IP}'"),
        "no reference `${enw:...}`",
        "did you mean `${env:...}`?",
    ),
    Bad("a token in clear", f"{WHOLE}token: »K10deadbeef\n", "in clear", "a token in git is public"),
    Bad("a token with a reference inside", f"{WHOLE}token: »x-${{env:TOKEN}}\n", "one whole reference"),
    Bad(
        "a token of an inner kind",
        f"{WHOLE}token: »${{generated:token}}\n",
        "can't stand here",
        "env, file, secret, command",
    ),
    Bad(
        "a secret token without a secrets file",
        f"{WHOLE}token: »${{secret:token}}\n",
        "needs a secrets file",
        "secrets: secrets.sops.yaml",
    ),
    Bad("a mirror by an unknown scheme", f"{WHOLE}mirror: »ftp://mirror.example.com\n", "not a mirror", "http"),
    # the cluster as a whole
    Bad(
        "no controller", f"{HEAD}»hosts:\n  a: {{address: 10.0.0.1}}\n", "no host is a controller", "controller+worker"
    ),
    Bad(
        "controllers only",
        f"{HEAD}»hosts:\n  a: {{address: 10.0.0.1, role: controller}}\n",
        "nothing ordinary can be scheduled",
        "controller+worker",
    ),
    Bad(
        "every worker tainted",
        f"{HEAD}»hosts:\n  a: {{address: 10.0.0.1, role: controller+worker, taints: ['x:NoExecute']}}\n",
        "nothing ordinary can be scheduled",
        "PreferNoSchedule",
    ),
    Bad(
        "two controllers",
        f"{HEAD}»hosts:\n  a: {{address: 10.0.0.1, role: controller+worker}}\n  b: {{address: 10.0.0.2, role: controller}}\n",
        "they survive the loss of none",
        "have 1 or 3 controllers",
    ),
    Bad(
        "four controllers",
        f"{HEAD}»hosts:\n  a: {{address: 10.0.0.1, role: controller+worker}}\n  b: {{address: 10.0.0.2, role: controller}}\n{THREE}",
        "only 1, as 3 do",
        "have 3 or 5",
    ),
]
