"""Addresses, ranges and connections that are wrong by themselves or against each other."""

from .tables import HEAD, WHOLE, Bad, host

NET = f"{WHOLE}network:\n"

ROWS = [
    # connections
    Bad("an address with a user", host("address: »ops@10.0.0.1"), "holds a user", "`ssh: {user: ops}`"),
    Bad("an address with a port", host('address: »"10.0.0.1:2222"'), "more than an address", "`ssh: {port: 2222}`"),
    Bad("an address that is a URL", host("address: »https://10.0.0.1"), "is a URL"),
    Bad("an IPv4 address out of range", host("address: »10.0.0.300"), "not an IPv4 address"),
    Bad("an IPv6 address with a slip", host('address: »"2001:db8:::1"'), "not an IPv6 address"),
    Bad("an address with a prefix length", host("address: »10.0.0.1/24"), "not an address", "prefix length"),
    Bad(
        "an address that begins with a hyphen", host("address: »-oProxyCommand=id"), "neither an IP address nor a name"
    ),
    Bad(
        "two hosts behind one door",
        f"{WHOLE}  b: {{address: »10.0.0.1}}\n",
        "`b` and `a` have the same address and port",
        "line 6",
    ),
    Bad("a user with a space", f"{WHOLE}ssh: {{user: »my self}}\n", "not a user name"),
    Bad("a public key", f"{WHOLE}ssh: {{key: »~/.ssh/id_ed25519.pub}}\n", "is a public key", "~/.ssh/id_ed25519"),
    Bad("key and keys", f"{WHOLE}ssh: {{key: a, »keys: [b]}}\n", "both given", "`keys`"),
    Bad("a jump host with a bad port", f"{WHOLE}ssh: {{jump: »'jump@bastion:99999'}}\n", "not a port"),
    Bad("a host that is its own jump host", f"{WHOLE}ssh: {{jump: »10.0.0.1}}\n", "reached through itself", "jump: []"),
    Bad("a hop that stands twice", f"{WHOLE}ssh: {{jump: »[b.lan, b.lan]}}\n", "stands twice"),
    # ranges
    Bad(
        "ranges of different length",
        f'{HEAD}hosts:\n  a-{{1..3}}: {{address: »"10.0.0.{{1..2}}", role: controller+worker}}\n',
        "has 2 values, but `a-{1..3}` has 3 hosts",
        "same length",
    ),
    Bad("a range that counts down", f"{HEAD}hosts:\n  »a-{{3..1}}: {{address: 10.0.0.1}}\n", "counts down", "{1..3}"),
    Bad("two ranges in a name", f"{HEAD}hosts:\n  »a-{{1..2}}-{{1..2}}: {{address: 10.0.0.1}}\n", "two ranges"),
    Bad("a range that is far too long", f"{HEAD}hosts:\n  »a-{{1..5000}}: {{address: 10.0.0.1}}\n", "more than 1000"),
    Bad(
        "a range for a single host",
        host('address: »"10.0.0.{1..3}"'),
        "in the settings of the single host `a`",
        "name of the host",
    ),
    Bad(
        "a host and a range of one name",
        f'{HEAD}hosts:\n  a-{{1..3}}: {{address: "10.0.0.{{1..3}}", role: controller+worker}}\n  »a-2: {{address: 10.0.0.9}}\n',
        "host `a-2` is given twice",
        "line 6",
    ),
    # addresses
    Bad(
        "a node address that is a name",
        host("address: 10.0.0.1, node_address: »pi.lan"),
        "not an IP address",
        "`address`",
    ),
    Bad("a node address of the loopback", host("address: 10.0.0.1, node_address: »127.0.0.1"), "no address of a node"),
    Bad(
        "one node address for two hosts",
        f"{host('address: 10.0.0.1, node_address: 10.8.0.1')}  b: {{address: 10.0.0.2, node_address: »10.8.0.1}}\n",
        "host `b` and host `a` have the same node address",
        "line 6",
    ),
    Bad(
        "two node addresses of one family",
        host("address: 10.0.0.1, node_address: [10.8.0.1, »10.8.0.2]"),
        "two IPv4 addresses",
    ),
    Bad(
        "a node address of the wrong family",
        f"{host('address: 10.0.0.1, node_address: »10.8.0.1')}network: {{pods: [10.42.0.0/16, '2001:db8:42::/56'], services: [10.43.0.0/16, '2001:db8:43::/112']}}\n",
        "the node has IPv4, but the pod ranges are IPv4 then IPv6",
    ),
    Bad(
        "an endpoint that is a worker",
        f"{WHOLE}  b: {{address: 10.0.0.2}}\nendpoint: »10.0.0.2\n",
        "the address of the worker `b`",
        "virtual IP",
    ),
    Bad(
        "an endpoint that is a URL",
        f"{WHOLE}endpoint: »https://k8s.example.com:6443\n",
        "is a URL",
        "k8s.example.com:6443",
    ),
    Bad("an endpoint with a bad port", f"{WHOLE}endpoint: »k8s.example.com:64430000\n", "not a port"),
    Bad("a machine with a bad address", f"{WHOLE}others: {{nas: {{address: »10.0.0.999}}}}\n", "not an IPv4 address"),
    Bad(
        "a SAN that is a URL",
        f"{WHOLE}sans: [»https://k8s.example.com]\n",
        "neither an IP address nor a DNS name",
        "no scheme",
    ),
    # network
    Bad("a range with host bits", f"{NET}  pods: »10.42.3.1/16\n", "host bits set", "did you mean `10.42.0.0/16`?"),
    Bad("a range that is an address", f"{NET}  pods: »10.42.0.0\n", "one address, not a range", "10.42.0.0/16"),
    Bad("a range that is none", f"{NET}  pods: »10.42.0.0/99\n", "not an address range"),
    Bad("two ranges in one text", f"{NET}  pods: »10.42.0.0/16,2001:db8::/56\n", "not an address range", "list"),
    Bad("two ranges of one family", f"{NET}  pods: [10.42.0.0/16, »10.44.0.0/16]\n", "two IPv4 ranges"),
    Bad(
        "pods and services overlap",
        f"{NET}  pods: 10.42.0.0/15\n  services: »10.43.0.0/16\n",
        "overlaps the pod range 10.42.0.0/15",
        "apart",
    ),
    Bad(
        "pods and services of other families",
        f"{NET}  pods: 10.42.0.0/16\n  services: »'2001:db8:43::/112'\n",
        "the services have IPv6, but the pods have IPv4",
    ),
    Bad(
        "a service range that is too large",
        f"{NET}  pods: 172.16.0.0/16\n  services: »11.0.0.0/8\n",
        "too large for the API server",
        "/12",
    ),
    Bad(
        "a pod range that holds a host",
        f"{NET}  pods: »10.0.0.0/16\n",
        "holds host `a` (10.0.0.1)",
        "used nowhere else",
    ),
    Bad(
        "a pod range that holds the endpoint",
        f"{NET}  pods: »10.42.0.0/16\nendpoint: 10.42.0.9\n",
        "holds the endpoint (10.42.0.9)",
    ),
    Bad(
        "a service range that holds a machine",
        f"{NET}  services: »10.43.0.0/16\nothers: {{nas: {{address: 10.43.0.5}}}}\n",
        "holds `nas` (10.43.0.5)",
    ),
    Bad("a cluster domain in upper case", f"{NET}  domain: »Cluster.Local\n", "not a DNS domain"),
]
