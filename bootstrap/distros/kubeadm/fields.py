"""The fields of kubeadm's documents as of v1.36, as tables. Pure; what is wrong with a value is not judged here."""

from collections.abc import Iterator, Mapping
from functools import cache

from bootstrap.forms import Form, Items, Kind

# Sources: the v1.36 types of kubeadm.k8s.io/v1beta4, kubelet.config.k8s.io/v1beta1 and kubeproxy.config.k8s.io/v1alpha1
# (kubernetes.io/docs/reference/config-api). Fields stand in the order of the types, in which they are written too.
ARGUMENTS = Items({"name": Kind.TEXT, "value": Kind.TEXT})
VARIABLES = Items({"name": Kind.TEXT, "value": Kind.TEXT, "valueFrom": Kind.ANY})
VOLUMES = Items(
    {
        "name": Kind.TEXT,
        "hostPath": Kind.TEXT,
        "mountPath": Kind.TEXT,
        "readOnly": Kind.BOOL,
        "pathType": Kind.TEXT,
    }
)
COMPONENT: Mapping[str, Form] = {"extraArgs": ARGUMENTS, "extraVolumes": VOLUMES, "extraEnvs": VARIABLES}
TIMEOUTS: Mapping[str, Form] = dict.fromkeys(
    (
        "controlPlaneComponentHealthCheck",
        "kubeletHealthCheck",
        "kubernetesAPICall",
        "etcdAPICall",
        "tlsBootstrap",
        "discovery",
        "upgradeManifests",
    ),
    Kind.DURATION,
)
CLUSTER: Mapping[str, Form] = {
    "etcd": {
        "local": {
            "imageRepository": Kind.TEXT,
            "imageTag": Kind.TEXT,
            "dataDir": Kind.TEXT,
            "extraArgs": ARGUMENTS,
            "extraEnvs": VARIABLES,
            "serverCertSANs": Kind.TEXTS,
            "peerCertSANs": Kind.TEXTS,
        },
        "external": {
            "endpoints": Kind.TEXTS,
            "httpEndpoints": Kind.TEXTS,
            "caFile": Kind.TEXT,
            "certFile": Kind.TEXT,
            "keyFile": Kind.TEXT,
        },
    },
    "networking": {"serviceSubnet": Kind.TEXT, "podSubnet": Kind.TEXT, "dnsDomain": Kind.TEXT},
    "kubernetesVersion": Kind.TEXT,
    "controlPlaneEndpoint": Kind.TEXT,
    "apiServer": {**COMPONENT, "certSANs": Kind.TEXTS},
    "controllerManager": COMPONENT,
    "scheduler": COMPONENT,
    "dns": {"imageRepository": Kind.TEXT, "imageTag": Kind.TEXT, "disabled": Kind.BOOL},
    "proxy": {"disabled": Kind.BOOL},
    "certificatesDir": Kind.TEXT,
    "imageRepository": Kind.TEXT,
    "featureGates": Kind.GATES,
    "clusterName": Kind.TEXT,
    "encryptionAlgorithm": Kind.TEXT,
    "certificateValidityPeriod": Kind.DURATION,
    "caCertificateValidityPeriod": Kind.DURATION,
}
NODE: Mapping[str, Form] = {
    "name": Kind.TEXT,
    "criSocket": Kind.TEXT,
    "taints": Kind.ANY,
    "kubeletExtraArgs": ARGUMENTS,
    "ignorePreflightErrors": Kind.TEXTS,
    "imagePullPolicy": Kind.TEXT,
    "imagePullSerial": Kind.BOOL,
}
INIT: Mapping[str, Form] = {
    "bootstrapTokens": Kind.ANY,
    "dryRun": Kind.BOOL,
    "nodeRegistration": NODE,
    "localAPIEndpoint": {"advertiseAddress": Kind.TEXT, "bindPort": Kind.INT},
    "certificateKey": Kind.TEXT,
    "skipPhases": Kind.TEXTS,
    "patches": {"directory": Kind.TEXT},
    "timeouts": TIMEOUTS,
}
JOIN: Mapping[str, Form] = {
    "dryRun": Kind.BOOL,
    "nodeRegistration": NODE,
    "caCertPath": Kind.TEXT,
    "discovery": Kind.ANY,
    "controlPlane": Kind.ANY,
    "skipPhases": Kind.TEXTS,
    "patches": {"directory": Kind.TEXT},
    "timeouts": TIMEOUTS,
}

KUBELET_TABLE = """
BOOL enableServer rotateCertificates serverTLSBootstrap enableDebuggingHandlers enableContentionProfiling cgroupsPerQOS
BOOL singleProcessOOMKill runOnce cpuCFSQuota serializeImagePulls protectKernelDefaults mergeDefaultEvictionSettings
BOOL enableControllerAttachDetach makeIPTablesUtilChains failSwapOn kernelMemcgNotification enableSystemLogHandler
BOOL enableSystemLogQuery enableProfilingHandler enableDebugFlagsHandler seccompDefault registerNode failCgroupV1
BOOL localStorageCapacityIsolation
TEXT staticPodPath podLogsDir staticPodURL address tlsCertFile tlsPrivateKeyFile tlsMinVersion healthzBindAddress
TEXT clusterDomain kubeletCgroups systemCgroups cgroupRoot cgroupDriver cpuManagerPolicy memoryManagerPolicy hairpinMode
TEXT topologyManagerPolicy topologyManagerScope podCIDR resolvConf contentType containerLogMaxSize reservedSystemCPUs
TEXT configMapAndSecretChangeDetectionStrategy showHiddenMetricsForVersion systemReservedCgroup kubeReservedCgroup
TEXT volumePluginDir providerID containerRuntimeEndpoint imageServiceEndpoint memoryReservationPolicy
TEXT imagePullCredentialsVerificationPolicy
INT port readOnlyPort registryPullQPS registryBurst eventRecordQPS eventBurst healthzPort oomScoreAdj podPidsLimit
INT nodeLeaseDurationSeconds imageGCHighThresholdPercent imageGCLowThresholdPercent maxPods maxOpenFiles kubeAPIQPS
INT nodeStatusMaxImages kubeAPIBurst maxParallelImagePulls evictionMaxPodGracePeriod podsPerCore iptablesMasqueradeBit
INT iptablesDropBit containerLogMaxFiles containerLogMaxWorkers
NUMBER memoryThrottlingFactor
DURATION syncFrequency fileCheckFrequency httpCheckFrequency streamingConnectionIdleTimeout nodeStatusUpdateFrequency
DURATION nodeStatusReportFrequency imageMinimumGCAge imageMaximumGCAge volumeStatsAggPeriod cpuManagerReconcilePeriod
DURATION runtimeRequestTimeout cpuCFSQuotaPeriod evictionPressureTransitionPeriod containerLogMonitorInterval
DURATION shutdownGracePeriod shutdownGracePeriodCriticalPods
TEXTS tlsCipherSuites clusterDNS enforceNodeAllocatable allowedUnsafeSysctls preloadedImagesVerificationAllowlist
INTS tlsCurvePreferences
PAIRS cpuManagerPolicyOptions topologyManagerPolicyOptions qosReserved evictionHard evictionSoft
PAIRS evictionSoftGracePeriod evictionMinimumReclaim systemReserved kubeReserved
GATES featureGates
ANY staticPodURLHeader logging tracing shutdownGracePeriodByPodPriority reservedMemory registerWithTaints
"""
KUBELET_NESTED: Mapping[str, Form] = {
    "authentication": {
        "x509": {"clientCAFile": Kind.TEXT},
        "webhook": {"enabled": Kind.BOOL, "cacheTTL": Kind.DURATION},
        "anonymous": {"enabled": Kind.BOOL},
    },
    "authorization": {
        "mode": Kind.TEXT,
        "webhook": {"cacheAuthorizedTTL": Kind.DURATION, "cacheUnauthorizedTTL": Kind.DURATION},
    },
    "memorySwap": {"swapBehavior": Kind.TEXT},
    "crashLoopBackOff": {"maxContainerRestartPeriod": Kind.DURATION},
    "userNamespaces": {"idsPerPod": Kind.INT},
}
SYNC: Mapping[str, Form] = {
    "masqueradeBit": Kind.INT,
    "masqueradeAll": Kind.BOOL,
    "syncPeriod": Kind.DURATION,
    "minSyncPeriod": Kind.DURATION,
}
PROXY: Mapping[str, Form] = {
    "featureGates": Kind.GATES,
    "clientConnection": {
        "kubeconfig": Kind.TEXT,
        "acceptContentTypes": Kind.TEXT,
        "contentType": Kind.TEXT,
        "qps": Kind.NUMBER,
        "burst": Kind.INT,
    },
    "logging": Kind.ANY,
    "hostnameOverride": Kind.TEXT,
    "bindAddress": Kind.TEXT,
    "healthzBindAddress": Kind.TEXT,
    "metricsBindAddress": Kind.TEXT,
    "bindAddressHardFail": Kind.BOOL,
    "enableProfiling": Kind.BOOL,
    "showHiddenMetricsForVersion": Kind.TEXT,
    "mode": Kind.TEXT,
    "iptables": {**SYNC, "localhostNodePorts": Kind.BOOL},
    "ipvs": {
        "syncPeriod": Kind.DURATION,
        "minSyncPeriod": Kind.DURATION,
        "scheduler": Kind.TEXT,
        "excludeCIDRs": Kind.TEXTS,
        "strictARP": Kind.BOOL,
        "tcpTimeout": Kind.DURATION,
        "tcpFinTimeout": Kind.DURATION,
        "udpTimeout": Kind.DURATION,
    },
    "nftables": SYNC,
    "detectLocalMode": Kind.TEXT,
    "detectLocal": {"bridgeInterface": Kind.TEXT, "interfaceNamePrefix": Kind.TEXT},
    "clusterCIDR": Kind.TEXT,
    "nodePortAddresses": Kind.TEXTS,
    "oomScoreAdj": Kind.INT,
    "conntrack": {
        "maxPerCore": Kind.INT,
        "min": Kind.INT,
        "tcpEstablishedTimeout": Kind.DURATION,
        "tcpCloseWaitTimeout": Kind.DURATION,
        "tcpBeLiberal": Kind.BOOL,
        "udpTimeout": Kind.DURATION,
        "udpStreamTimeout": Kind.DURATION,
    },
    "configSyncPeriod": Kind.DURATION,
    "portRange": Kind.TEXT,
}


@cache
def kubelet() -> Mapping[str, Form]:
    """The fields of KubeletConfiguration."""
    return dict(_read_table(KUBELET_TABLE)) | dict(KUBELET_NESTED)


def _read_table(table: str) -> Iterator[tuple[str, Form]]:
    for line in table.split("\n"):
        kind, *names = line.split() or [""]
        yield from ((name, Kind[kind]) for name in names)


@cache
def sections() -> Mapping[str, Mapping[str, Form]]:
    """Native section -> the fields that may stand in it."""
    return {"cluster": CLUSTER, "init": INIT, "join": JOIN, "node": NODE, "kubelet": kubelet(), "proxy": PROXY}


DOCUMENTS = {
    "cluster": "ClusterConfiguration",
    "init": "InitConfiguration",
    "join": "JoinConfiguration",
    "node": "nodeRegistration",
    "kubelet": "KubeletConfiguration",
    "proxy": "KubeProxyConfiguration",
}
# Sections that are the cluster's, so that they stand at the top level only.
CLUSTER_SECTIONS = ("cni", "programs", "repository", "vip", "pki", "versions", "cluster", "init", "join", "proxy")

# Fields that the inventory has in its own words, by path from the section on.
OWNERS: Mapping[tuple[str, ...], str] = {
    ("cluster", "networking", "podSubnet"): "network.pods",
    ("cluster", "networking", "serviceSubnet"): "network.services",
    ("cluster", "networking", "dnsDomain"): "network.domain",
    ("cluster", "kubernetesVersion"): "version",
    ("cluster", "controlPlaneEndpoint"): "endpoint",
    ("cluster", "clusterName"): "cluster",
    ("cluster", "apiServer", "certSANs"): "sans",
    ("init", "bootstrapTokens"): "token",
    ("init", "nodeRegistration"): "kubeadm.node",
    ("init", "localAPIEndpoint", "advertiseAddress"): "node_address",
    ("init", "patches"): "kubeadm.patches",
    ("join", "nodeRegistration"): "kubeadm.node",
    ("join", "patches"): "kubeadm.patches",
    ("node", "name"): "name",
    ("node", "taints"): "taints",
    ("kubelet", "clusterDomain"): "network.domain",
    ("kubelet", "registerWithTaints"): "taints",
    ("proxy", "clusterCIDR"): "network.pods",
    ("proxy", "hostnameOverride"): "name",
}
# Fields that are decided while hosts are brought up.
OURS: Mapping[tuple[str, ...], str] = {
    ("init", "certificateKey"): "made for each join",
    ("init", "dryRun"): "what `bootstrap plan` is for",
    ("join", "dryRun"): "what `bootstrap plan` is for",
    ("join", "discovery"): "written for each join, from what is found on the controllers",
    ("join", "controlPlane"): "written by bootstrap: a port stands as `init.localAPIEndpoint.bindPort`",
    ("join", "caCertPath"): "kubeadm's own path",
    ("cluster", "certificatesDir"): "/etc/kubernetes/pki, where bootstrap looks for it",
    ("kubelet", "staticPodPath"): "/etc/kubernetes/manifests, where kubeadm writes",
    ("kubelet", "podCIDR"): "given to the node by the network",
    ("kubelet", "containerRuntimeEndpoint"): "written by kubeadm from `node.criSocket`",
    ("proxy", "clientConnection", "kubeconfig"): "written by kubeadm",
}
# The same for arguments, by the path of their list and their name.
ARGUMENT_OWNERS: Mapping[tuple[tuple[str, ...], str], str] = {
    (("cluster", "apiServer", "extraArgs"), "service-cluster-ip-range"): "network.services",
    (("cluster", "apiServer", "extraArgs"), "advertise-address"): "node_address",
    (("cluster", "apiServer", "extraArgs"), "secure-port"): "kubeadm.init.localAPIEndpoint.bindPort",
    (("cluster", "controllerManager", "extraArgs"), "service-cluster-ip-range"): "network.services",
    (("cluster", "controllerManager", "extraArgs"), "cluster-cidr"): "network.pods",
    (("cluster", "controllerManager", "extraArgs"), "cluster-name"): "cluster",
    (("cluster", "etcd", "local", "extraArgs"), "data-dir"): "kubeadm.cluster.etcd.local.dataDir",
    (("node", "kubeletExtraArgs"), "node-ip"): "node_address",
    (("node", "kubeletExtraArgs"), "node-labels"): "labels",
    (("node", "kubeletExtraArgs"), "register-with-taints"): "taints",
    (("node", "kubeletExtraArgs"), "hostname-override"): "name",
    (("node", "kubeletExtraArgs"), "config"): "kubeadm.kubelet",
    (("node", "kubeletExtraArgs"), "container-runtime-endpoint"): "kubeadm.node.criSocket",
}
# Words that a field takes.
CHOICES: Mapping[tuple[str, ...], tuple[str, ...]] = {
    ("cluster", "encryptionAlgorithm"): ("RSA-2048", "RSA-3072", "RSA-4096", "ECDSA-P256", "ECDSA-P384"),
    ("node", "imagePullPolicy"): ("Always", "IfNotPresent", "Never"),
    ("proxy", "mode"): ("iptables", "ipvs", "nftables"),
    ("proxy", "detectLocalMode"): ("ClusterCIDR", "NodeCIDR", "BridgeInterface", "InterfaceNamePrefix"),
    ("kubelet", "cgroupDriver"): ("systemd",),
    ("kubelet", "memorySwap", "swapBehavior"): ("NoSwap", "LimitedSwap"),
    ("kubelet", "cpuManagerPolicy"): ("none", "static"),
    ("kubelet", "hairpinMode"): ("promiscuous-bridge", "hairpin-veth", "none"),
    ("kubelet", "authorization", "mode"): ("AlwaysAllow", "Webhook"),
}
# Section -> fields that came after 1.31, with the minor that brought them.
SINCE: Mapping[tuple[str, ...], int] = {
    ("cluster", "etcd", "external", "httpEndpoints"): 35,
}
