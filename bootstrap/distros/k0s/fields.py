"""The fields of k0s' ClusterConfig as of v1.36, as tables. Pure; what is wrong with a value is not judged here."""

from collections.abc import Mapping

from bootstrap.forms import Form, Items, Kind

# Source: the v1.36 types of k0s.k0sproject.io/v1beta1 (docs.k0sproject.io/stable/configuration). Fields stand in the
# order in which people write them.
IMAGE: Mapping[str, Form] = {"image": Kind.TEXT, "version": Kind.TEXT}
AUTHORITY: Mapping[str, Form] = {"expiresAfter": Kind.DURATION, "certificatesExpireAfter": Kind.DURATION}
ARGUMENTS: Mapping[str, Form] = {"extraArgs": Kind.PAIRS, "rawArgs": Kind.TEXTS}
PATCHES = Items(
    {
        "target": {"kind": Kind.TEXT, "name": Kind.TEXT, "namespace": Kind.TEXT},
        "patch": {"type": Kind.TEXT, "content": Kind.TEXT},
    },
    required=("target", "patch"),
)
VRRP = Items(
    {
        "virtualIPs": Kind.TEXTS,
        "authPass": Kind.TEXT,
        "interface": Kind.TEXT,
        "virtualRouterID": Kind.INT,
        "advertIntervalSeconds": Kind.INT,
        "unicastSourceIP": Kind.TEXT,
        "unicastPeers": Kind.TEXTS,
        "addressLabel": Kind.INT,
    },
    required=("virtualIPs", "authPass"),
)
VIRTUAL_SERVERS = Items(
    {
        "ipAddress": Kind.TEXT,
        "delayLoop": Kind.DURATION,
        "lbAlgo": Kind.TEXT,
        "lbKind": Kind.TEXT,
        "persistenceTimeoutSeconds": Kind.INT,
    },
    required=("ipAddress",),
)
PROXY: Mapping[str, Form] = {
    "image": IMAGE,
    "imagePullPolicy": Kind.TEXT,
    "apiServerBindPort": Kind.INT,
    "konnectivityServerBindPort": Kind.INT,
}
SYNC: Mapping[str, Form] = {
    "masqueradeBit": Kind.INT,
    "masqueradeAll": Kind.BOOL,
    "syncPeriod": Kind.DURATION,
    "minSyncPeriod": Kind.DURATION,
}
NETWORK: Mapping[str, Form] = {
    "provider": Kind.TEXT,
    "podCIDR": Kind.TEXT,
    "serviceCIDR": Kind.TEXT,
    "clusterDomain": Kind.TEXT,
    "primaryAddressFamily": Kind.TEXT,
    "dualStack": {"enabled": Kind.BOOL, "IPv6podCIDR": Kind.TEXT, "IPv6serviceCIDR": Kind.TEXT},
    "kuberouter": {
        "autoMTU": Kind.BOOL,
        "mtu": Kind.INT,
        "metricsPort": Kind.INT,
        "hairpin": Kind.TEXT,
        "hairpinMode": Kind.BOOL,
        "ipMasq": Kind.BOOL,
        "peerRouterIPs": Kind.TEXT,
        "peerRouterASNs": Kind.TEXT,
        **ARGUMENTS,
        "patches": PATCHES,
    },
    "calico": {
        "mode": Kind.TEXT,
        "overlay": Kind.TEXT,
        "mtu": Kind.INT,
        "vxlanPort": Kind.INT,
        "vxlanVNI": Kind.INT,
        "wireguard": Kind.BOOL,
        "flexVolumeDriverPath": Kind.TEXT,
        "ipAutodetectionMethod": Kind.TEXT,
        "ipV6AutodetectionMethod": Kind.TEXT,
        "envVars": Kind.PAIRS,
        "patches": PATCHES,
    },
    "kubeProxy": {
        "disabled": Kind.BOOL,
        "mode": Kind.TEXT,
        "metricsBindAddress": Kind.TEXT,
        "healthzBindAddress": Kind.TEXT,
        "iptables": {**SYNC, "localhostNodePorts": Kind.BOOL},
        "ipvs": {
            "scheduler": Kind.TEXT,
            "strictARP": Kind.BOOL,
            "excludeCIDRs": Kind.TEXTS,
            "syncPeriod": Kind.DURATION,
            "minSyncPeriod": Kind.DURATION,
            "tcpTimeout": Kind.DURATION,
            "tcpFinTimeout": Kind.DURATION,
            "udpTimeout": Kind.DURATION,
        },
        "nftables": SYNC,
        "nodePortAddresses": Kind.TEXTS,
        **ARGUMENTS,
        "patches": PATCHES,
    },
    "coreDNS": {"patches": PATCHES},
    "nodeLocalLoadBalancing": {"enabled": Kind.BOOL, "type": Kind.TEXT, "envoyProxy": PROXY, "traefik": PROXY},
    "controlPlaneLoadBalancing": {
        "enabled": Kind.BOOL,
        "type": Kind.TEXT,
        "keepalived": {
            "vrrpInstances": VRRP,
            "virtualServers": VIRTUAL_SERVERS,
            "userSpaceProxyBindPort": Kind.INT,
            "disableLoadBalancer": Kind.BOOL,
            "configTemplateVRRP": Kind.TEXT,
            "configTemplateVS": Kind.TEXT,
        },
    },
}
SPEC: Mapping[str, Form] = {
    "api": {
        "address": Kind.TEXT,
        "onlyBindToAddress": Kind.BOOL,
        "externalAddress": Kind.TEXT,
        "port": Kind.INT,
        "k0sApiPort": Kind.INT,
        "sans": Kind.TEXTS,
        **ARGUMENTS,
        "ca": AUTHORITY,
    },
    "storage": {
        "type": Kind.TEXT,
        "etcd": {
            "peerAddress": Kind.TEXT,
            "externalCluster": {
                "endpoints": Kind.TEXTS,
                "etcdPrefix": Kind.TEXT,
                "caFile": Kind.TEXT,
                "clientCertFile": Kind.TEXT,
                "clientKeyFile": Kind.TEXT,
            },
            **ARGUMENTS,
            "ca": AUTHORITY,
        },
        "kine": {"dataSource": Kind.TEXT, **ARGUMENTS},
    },
    "network": NETWORK,
    "controllerManager": ARGUMENTS,
    "scheduler": ARGUMENTS,
    "featureGates": Items(
        {"name": Kind.TEXT, "enabled": Kind.BOOL, "components": Kind.TEXTS}, required=("name", "enabled")
    ),
    "workerProfiles": Items({"name": Kind.TEXT, "values": Kind.ANY}, required=("name",)),
    "extensions": {
        "helm": {
            "concurrencyLevel": Kind.INT,
            "repositories": Items(
                {
                    "name": Kind.TEXT,
                    "url": Kind.TEXT,
                    "insecure": Kind.BOOL,
                    "caFile": Kind.TEXT,
                    "certFile": Kind.TEXT,
                    "keyfile": Kind.TEXT,
                    "username": Kind.TEXT,
                    "password": Kind.TEXT,
                },
                required=("name", "url"),
            ),
            "charts": Items(
                {
                    "name": Kind.TEXT,
                    "chartname": Kind.TEXT,
                    "version": Kind.TEXT,
                    "namespace": Kind.TEXT,
                    "order": Kind.INT,
                    "timeout": Kind.ANY,  # a duration, or nanoseconds as a number
                    "forceUpgrade": Kind.BOOL,
                    "values": Kind.TEXT,
                },
                required=("name", "chartname", "namespace"),
            ),
        },
        "storage": {"type": Kind.TEXT, "create_default_storage_class": Kind.BOOL},
    },
    "images": {
        "repository": Kind.TEXT,
        "default_pull_policy": Kind.TEXT,
        "pause": IMAGE,
        "coredns": IMAGE,
        "kubeproxy": IMAGE,
        "konnectivity": IMAGE,
        "metricsserver": IMAGE,
        "pushgateway": IMAGE,
        "kuberouter": {"cni": IMAGE, "cniInstaller": IMAGE},
        "calico": {
            "cni": IMAGE,
            "node": IMAGE,
            "kubecontrollers": IMAGE,
            "windows": {"cni": IMAGE, "node": IMAGE},
        },
        "windows": {"kubeproxy": IMAGE, "pause": IMAGE},
    },
    "konnectivity": {"agentPort": Kind.INT, "adminPort": Kind.INT, "externalAddress": Kind.TEXT},
    "metricsServer": {"patches": PATCHES},
    "telemetry": {"enabled": Kind.BOOL},
    "installConfig": {
        "users": dict.fromkeys(
            ("etcdUser", "kineUser", "konnectivityUser", "kubeAPIserverUser", "kubeSchedulerUser"), Kind.TEXT
        )
    },
}
# Fields that the inventory has in its own words.
OWNERS: Mapping[tuple[str, ...], str] = {
    ("api", "externalAddress"): "endpoint",
    ("api", "sans"): "sans",
    ("storage", "etcd", "peerAddress"): "node_address",
    ("network", "podCIDR"): "network.pods",
    ("network", "serviceCIDR"): "network.services",
    ("network", "clusterDomain"): "network.domain",
    ("network", "dualStack"): "network.pods",
    ("network", "primaryAddressFamily"): "network.pods",
}
# What may differ from controller to controller (docs.k0sproject.io/stable/dynamic-configuration).
PER_HOST: tuple[tuple[str, ...], ...] = (("api",), ("storage",), ("network", "controlPlaneLoadBalancing"))
# Words that a field takes.
PULL = ("Always", "IfNotPresent", "Never")
CHOICES: Mapping[tuple[str, ...], tuple[str, ...]] = {
    ("storage", "type"): ("etcd", "kine"),
    ("network", "provider"): ("kuberouter", "calico", "custom"),
    ("network", "kuberouter", "hairpin"): ("Enabled", "Allowed", "Disabled"),
    ("network", "calico", "mode"): ("bird", "vxlan", "ipip"),
    ("network", "kubeProxy", "mode"): ("iptables", "ipvs", "nftables"),
    ("network", "nodeLocalLoadBalancing", "type"): ("EnvoyProxy", "Traefik"),
    ("network", "nodeLocalLoadBalancing", "envoyProxy", "imagePullPolicy"): PULL,
    ("network", "nodeLocalLoadBalancing", "traefik", "imagePullPolicy"): PULL,
    ("network", "controlPlaneLoadBalancing", "type"): ("Keepalived",),
    ("images", "default_pull_policy"): PULL,
}
ITEM_CHOICES: Mapping[str, tuple[str, ...]] = {  # by name, inside of lists
    "lbAlgo": ("rr", "wrr", "lc", "wlc", "lblc", "dh", "sh", "sed", "nq"),
    "lbKind": ("NAT", "DR", "TUN"),
    "type": ("JSON", "StrategicMergePatch", "MergePatch"),
    "components": (),
}
PORTS = (
    ("api", "port"),
    ("api", "k0sApiPort"),
    ("konnectivity", "agentPort"),
    ("konnectivity", "adminPort"),
    ("network", "nodeLocalLoadBalancing", "envoyProxy", "apiServerBindPort"),
    ("network", "nodeLocalLoadBalancing", "envoyProxy", "konnectivityServerBindPort"),
    ("network", "nodeLocalLoadBalancing", "traefik", "apiServerBindPort"),
    ("network", "nodeLocalLoadBalancing", "traefik", "konnectivityServerBindPort"),
    ("network", "controlPlaneLoadBalancing", "keepalived", "userSpaceProxyBindPort"),
)
# Fields that hold a password, by name: in clear they would be in git.
PASSWORDS = ("password", "dataSource")
# What a worker profile can't set, for k0s does (k0s: pkg/apis/k0s/v1beta1/workerprofile.go).
RESERVED_BY_PROFILES = ("clusterDNS", "clusterDomain", "staticPodURL")
# Sections of `k0s:` that are the cluster's, so that they stand at the top level only.
CLUSTER_SECTIONS = ("dynamicConfig", "manifests", "pki", "cosign")
