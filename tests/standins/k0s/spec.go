// The ClusterConfig: its fields, defaults, and where k0s reads strictly and where it does not.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"standin/kube"
)

const configAPI = "k0s.k0sproject.io/v1beta1"

type clusterConfig struct {
	APIVersion string         `json:"apiVersion,omitempty"`
	Kind       string         `json:"kind,omitempty"`
	Metadata   objectMeta     `json:"metadata"`
	Spec       *clusterSpec   `json:"spec,omitempty"`
	Status     map[string]any `json:"status,omitempty"`
}

type objectMeta struct {
	Name              string            `json:"name,omitempty"`
	GenerateName      string            `json:"generateName,omitempty"`
	Namespace         string            `json:"namespace,omitempty"`
	UID               string            `json:"uid,omitempty"`
	ResourceVersion   string            `json:"resourceVersion,omitempty"`
	Generation        int64             `json:"generation,omitempty"`
	CreationTimestamp *string           `json:"creationTimestamp,omitempty"`
	Labels            map[string]string `json:"labels,omitempty"`
	Annotations       map[string]string `json:"annotations,omitempty"`
	Finalizers        []string          `json:"finalizers,omitempty"`
	OwnerReferences   []any             `json:"ownerReferences,omitempty"`
	ManagedFields     []any             `json:"managedFields,omitempty"`
}

type clusterSpec struct {
	API               *apiSpec         `json:"api,omitempty"`
	ControllerManager *extraArguments  `json:"controllerManager,omitempty"`
	Scheduler         *extraArguments  `json:"scheduler,omitempty"`
	Storage           *storageSpec     `json:"storage,omitempty"`
	Network           *networkSpec     `json:"network,omitempty"`
	WorkerProfiles    []workerProfile  `json:"workerProfiles,omitempty"`
	Telemetry         *telemetrySpec   `json:"telemetry,omitempty"`
	Install           *installSpec     `json:"installConfig,omitempty"`
	Images            *imagesSpec      `json:"images,omitempty"`
	Extensions        *extensionsSpec  `json:"extensions,omitempty"`
	Konnectivity      *konnectivity    `json:"konnectivity,omitempty"`
	FeatureGates      []featureGate    `json:"featureGates,omitempty"`
	MetricsServer     *patchesOnlySpec `json:"metricsServer,omitempty"`
}

type extraArguments struct {
	ExtraArgs map[string]string `json:"extraArgs,omitempty"`
	RawArgs   []string          `json:"rawArgs,omitempty"`
}

type caSpec struct {
	ExpiresAfter            duration `json:"expiresAfter"`
	CertificatesExpireAfter duration `json:"certificatesExpireAfter"`
}

type duration struct{ time.Duration }

func (d duration) MarshalJSON() ([]byte, error) { return json.Marshal(d.String()) }

func (d *duration) UnmarshalJSON(data []byte) error {
	var text string
	err := json.Unmarshal(data, &text)
	if err == nil {
		d.Duration, err = time.ParseDuration(text)
	}
	return err
}

type apiSpec struct {
	Address           string            `json:"address,omitempty"`
	OnlyBindToAddress bool              `json:"onlyBindToAddress,omitempty"`
	ExternalAddress   string            `json:"externalAddress,omitempty"`
	ExtraArgs         map[string]string `json:"extraArgs,omitempty"`
	RawArgs           []string          `json:"rawArgs,omitempty"`
	K0sAPIPort        int               `json:"k0sApiPort,omitempty"`
	Port              int               `json:"port,omitempty"`
	SANs              []string          `json:"sans,omitempty"`
	CA                *caSpec           `json:"ca,omitempty"`
}

type storageSpec struct {
	Etcd *etcdSpec `json:"etcd,omitempty"`
	Kine *kineSpec `json:"kine,omitempty"`
	Type string    `json:"type,omitempty"`
}

type kineSpec struct {
	DataSource string            `json:"dataSource,omitempty"`
	ExtraArgs  map[string]string `json:"extraArgs,omitempty"`
	RawArgs    []string          `json:"rawArgs,omitempty"`
}

type etcdSpec struct {
	ExternalCluster *externalCluster  `json:"externalCluster,omitempty"`
	PeerAddress     string            `json:"peerAddress,omitempty"`
	ExtraArgs       map[string]string `json:"extraArgs,omitempty"`
	RawArgs         []string          `json:"rawArgs,omitempty"`
	CA              *caSpec           `json:"ca,omitempty"`
}

type externalCluster struct {
	Endpoints      []string `json:"endpoints"`
	EtcdPrefix     string   `json:"etcdPrefix,omitempty"`
	CaFile         string   `json:"caFile,omitempty"`
	ClientCertFile string   `json:"clientCertFile,omitempty"`
	ClientKeyFile  string   `json:"clientKeyFile,omitempty"`
}

type networkSpec struct {
	Calico                    *calicoSpec      `json:"calico,omitempty"`
	DualStack                 dualStack        `json:"dualStack"`
	KubeProxy                 *kubeProxy       `json:"kubeProxy,omitempty"`
	KubeRouter                *kubeRouter      `json:"kuberouter,omitempty"`
	CoreDNS                   *patchesOnlySpec `json:"coreDNS,omitempty"`
	NodeLocalLoadBalancing    *nodeLocal       `json:"nodeLocalLoadBalancing,omitempty"`
	ControlPlaneLoadBalancing *controlPlaneLB  `json:"controlPlaneLoadBalancing,omitempty"`
	PodCIDR                   string           `json:"podCIDR,omitempty"`
	Provider                  string           `json:"provider,omitempty"`
	ServiceCIDR               string           `json:"serviceCIDR,omitempty"`
	ClusterDomain             string           `json:"clusterDomain,omitempty"`
	PrimaryAddressFamily      string           `json:"primaryAddressFamily,omitempty"`
}

type dualStack struct {
	Enabled         bool   `json:"enabled"`
	IPv6PodCIDR     string `json:"IPv6podCIDR,omitempty"`
	IPv6ServiceCIDR string `json:"IPv6serviceCIDR,omitempty"`
}

type calicoSpec struct {
	EnableWireguard         bool              `json:"wireguard,omitempty"`
	EnvVars                 map[string]string `json:"envVars,omitempty"`
	FlexVolumeDriverPath    string            `json:"flexVolumeDriverPath,omitempty"`
	IPAutodetectionMethod   string            `json:"ipAutodetectionMethod,omitempty"`
	IPv6AutodetectionMethod string            `json:"ipV6AutodetectionMethod,omitempty"`
	MTU                     int               `json:"mtu,omitempty"`
	Mode                    string            `json:"mode,omitempty"`
	Overlay                 string            `json:"overlay,omitempty"`
	VxlanPort               int               `json:"vxlanPort,omitempty"`
	VxlanVNI                int               `json:"vxlanVNI,omitempty"`
	Patches                 []patchSpec       `json:"patches,omitempty"`
}

type patchesOnlySpec struct {
	Patches []patchSpec `json:"patches,omitempty"`
}

type patchSpec struct {
	Target struct {
		Kind      string `json:"kind"`
		Name      string `json:"name"`
		Namespace string `json:"namespace,omitempty"`
	} `json:"target"`
	Patch struct {
		Type    string `json:"type"`
		Content string `json:"content"`
	} `json:"patch"`
}

type kubeProxy struct {
	Disabled           bool              `json:"disabled,omitempty"`
	Mode               string            `json:"mode,omitempty"`
	MetricsBindAddress string            `json:"metricsBindAddress,omitempty"`
	HealthzBindAddress string            `json:"healthzBindAddress,omitempty"`
	IPTables           proxyTables       `json:"iptables"`
	IPVS               proxyIPVS         `json:"ipvs"`
	NFTables           proxyNFTables     `json:"nftables"`
	NodePortAddresses  []string          `json:"nodePortAddresses,omitempty"`
	ExtraArgs          map[string]string `json:"extraArgs,omitempty"`
	RawArgs            []string          `json:"rawArgs,omitempty"`
	Patches            []patchSpec       `json:"patches,omitempty"`
}

type proxyTables struct {
	MasqueradeBit      *int32   `json:"masqueradeBit,omitempty"`
	MasqueradeAll      bool     `json:"masqueradeAll,omitempty"`
	LocalhostNodePorts *bool    `json:"localhostNodePorts,omitempty"`
	SyncPeriod         duration `json:"syncPeriod"`
	MinSyncPeriod      duration `json:"minSyncPeriod"`
}

type proxyIPVS struct {
	SyncPeriod    duration `json:"syncPeriod"`
	MinSyncPeriod duration `json:"minSyncPeriod"`
	Scheduler     string   `json:"scheduler,omitempty"`
	ExcludeCIDRs  []string `json:"excludeCIDRs,omitempty"`
	StrictARP     bool     `json:"strictARP,omitempty"`
	TCPTimeout    duration `json:"tcpTimeout"`
	TCPFinTimeout duration `json:"tcpFinTimeout"`
	UDPTimeout    duration `json:"udpTimeout"`
}

type proxyNFTables struct {
	SyncPeriod    duration `json:"syncPeriod"`
	MasqueradeBit *int32   `json:"masqueradeBit,omitempty"`
	MasqueradeAll bool     `json:"masqueradeAll,omitempty"`
	MinSyncPeriod duration `json:"minSyncPeriod"`
}

type kubeRouter struct {
	AutoMTU        *bool             `json:"autoMTU,omitempty"`
	MTU            int               `json:"mtu,omitempty"`
	MetricsPort    int               `json:"metricsPort,omitempty"`
	Hairpin        string            `json:"hairpin,omitempty"`
	HairpinMode    bool              `json:"hairpinMode,omitempty"`
	IPMasq         bool              `json:"ipMasq,omitempty"`
	PeerRouterASNs string            `json:"peerRouterASNs,omitempty"`
	PeerRouterIPs  string            `json:"peerRouterIPs,omitempty"`
	ExtraArgs      map[string]string `json:"extraArgs,omitempty"`
	RawArgs        []string          `json:"rawArgs,omitempty"`
	Patches        []patchSpec       `json:"patches,omitempty"`
}

type nodeLocal struct {
	Enabled    bool        `json:"enabled"`
	Type       string      `json:"type,omitempty"`
	EnvoyProxy *localProxy `json:"envoyProxy,omitempty"`
	Traefik    *localProxy `json:"traefik,omitempty"`
}

type localProxy struct {
	Image                      *imageSpec `json:"image,omitempty"`
	ImagePullPolicy            string     `json:"imagePullPolicy,omitempty"`
	APIServerBindPort          int32      `json:"apiServerBindPort,omitempty"`
	KonnectivityServerBindPort *int32     `json:"konnectivityServerBindPort,omitempty"`
}

type controlPlaneLB struct {
	Enabled    bool        `json:"enabled"`
	Type       string      `json:"type,omitempty"`
	Keepalived *keepalived `json:"keepalived,omitempty"`
}

type keepalived struct {
	VRRPInstances       []vrrpInstance  `json:"vrrpInstances,omitempty"`
	VirtualServers      []virtualServer `json:"virtualServers,omitempty"`
	UserSpaceProxyPort  int             `json:"userSpaceProxyBindPort,omitempty"`
	DisableLoadBalancer bool            `json:"disableLoadBalancer,omitempty"`
	ConfigTemplateVRRP  string          `json:"configTemplateVRRP,omitempty"`
	ConfigTemplateVS    string          `json:"configTemplateVS,omitempty"`
}

type vrrpInstance struct {
	VirtualIPs            []string `json:"virtualIPs"`
	Interface             string   `json:"interface,omitempty"`
	VirtualRouterID       int32    `json:"virtualRouterID,omitempty"`
	AdvertIntervalSeconds int32    `json:"advertIntervalSeconds,omitempty"`
	AuthPass              string   `json:"authPass"`
	UnicastPeers          []string `json:"unicastPeers,omitempty"`
	UnicastSourceIP       string   `json:"unicastSourceIP,omitempty"`
	AddressLabel          uint32   `json:"addressLabel,omitempty"`
}

type virtualServer struct {
	IPAddress                 string   `json:"ipAddress"`
	DelayLoop                 duration `json:"delayLoop"`
	LBAlgo                    string   `json:"lbAlgo,omitempty"`
	LBKind                    string   `json:"lbKind,omitempty"`
	PersistenceTimeoutSeconds int      `json:"persistenceTimeoutSeconds,omitempty"`
}

type workerProfile struct {
	Name   string          `json:"name"`
	Values json.RawMessage `json:"values,omitempty"`
}

type telemetrySpec struct {
	Enabled *bool `json:"enabled,omitempty"`
}

type installSpec struct {
	Users *systemUsers `json:"users,omitempty"`
}

type systemUsers struct {
	Etcd          string `json:"etcdUser,omitempty"`
	Kine          string `json:"kineUser,omitempty"`
	Konnectivity  string `json:"konnectivityUser,omitempty"`
	KubeAPIServer string `json:"kubeAPIserverUser,omitempty"`
	KubeScheduler string `json:"kubeSchedulerUser,omitempty"`
}

type imageSpec struct {
	Image   string `json:"image"`
	Version string `json:"version"`
}

type imageGroup map[string]*imageSpec

type imagesSpec struct {
	Konnectivity      *imageSpec `json:"konnectivity,omitempty"`
	PushGateway       *imageSpec `json:"pushgateway,omitempty"`
	MetricsServer     *imageSpec `json:"metricsserver,omitempty"`
	KubeProxy         *imageSpec `json:"kubeproxy,omitempty"`
	CoreDNS           *imageSpec `json:"coredns,omitempty"`
	Pause             *imageSpec `json:"pause,omitempty"`
	Windows           imageGroup `json:"windows,omitempty"`
	Calico            any        `json:"calico,omitempty"`
	KubeRouter        imageGroup `json:"kuberouter,omitempty"`
	Repository        string     `json:"repository,omitempty"`
	DefaultPullPolicy string     `json:"default_pull_policy,omitempty"`
}

type extensionsSpec struct {
	Storage *struct {
		Type                      string `json:"type,omitempty"`
		CreateDefaultStorageClass bool   `json:"create_default_storage_class,omitempty"`
	} `json:"storage,omitempty"`
	Helm *helmSpec `json:"helm,omitempty"`
}

type helmSpec struct {
	ConcurrencyLevel int              `json:"concurrencyLevel,omitempty"`
	Repositories     []helmRepository `json:"repositories,omitempty"`
	Charts           []helmChart      `json:"charts,omitempty"`
}

type helmRepository struct {
	Name     string `json:"name"`
	URL      string `json:"url"`
	Insecure *bool  `json:"insecure,omitempty"`
	CAFile   string `json:"caFile,omitempty"`
	CertFile string `json:"certFile,omitempty"`
	KeyFile  string `json:"keyfile,omitempty"`
	Username string `json:"username,omitempty"`
	Password string `json:"password,omitempty"`
}

type helmChart struct {
	Name         string `json:"name"`
	ChartName    string `json:"chartname"`
	Version      string `json:"version,omitempty"`
	Values       string `json:"values,omitempty"`
	TargetNS     string `json:"namespace"`
	Timeout      any    `json:"timeout,omitempty"`
	ForceUpgrade *bool  `json:"forceUpgrade,omitempty"`
	Order        int    `json:"order,omitempty"`
}

type konnectivity struct {
	AdminPort       int32  `json:"adminPort,omitempty"`
	AgentPort       int32  `json:"agentPort,omitempty"`
	ExternalAddress string `json:"externalAddress,omitempty"`
}

type featureGate struct {
	Name       string   `json:"name"`
	Enabled    bool     `json:"enabled"`
	Components []string `json:"components,omitempty"`
}

// UnmarshalJSON of a section reads it alone, and then unknown fields in it pass: k0s is strict outside of these.
func (a *apiSpec) UnmarshalJSON(data []byte) error {
	type plain apiSpec
	if err := json.Unmarshal(data, (*plain)(a)); err != nil {
		return err
	}
	a.fill()
	return nil
}

func (s *storageSpec) UnmarshalJSON(data []byte) error {
	s.Type, s.Etcd = "etcd", defaultEtcd()
	type plain storageSpec
	if err := json.Unmarshal(data, (*plain)(s)); err != nil {
		return err
	}
	if s.Type == "kine" {
		if s.Kine == nil {
			s.Kine = defaultKine("/var/lib/k0s")
		}
		s.Kine.DataSource = orElse(s.Kine.DataSource, defaultKine("/var/lib/k0s").DataSource)
	}
	return nil
}

func (n *networkSpec) UnmarshalJSON(data []byte) error {
	n.Provider = "kuberouter"
	type plain networkSpec
	if err := json.Unmarshal(data, (*plain)(n)); err != nil {
		return err
	}
	if n.Provider == "calico" {
		n.KubeRouter = nil
		if n.Calico == nil {
			n.Calico = defaultCalico()
		}
	}
	if n.Provider == "kuberouter" {
		n.Calico = nil
		if n.KubeRouter == nil {
			n.KubeRouter = defaultKubeRouter()
		}
	}
	if n.KubeProxy == nil {
		n.KubeProxy = defaultKubeProxy()
	}
	return nil
}

func (c *calicoSpec) UnmarshalJSON(data []byte) error {
	*c = *defaultCalico()
	type plain calicoSpec
	return json.Unmarshal(data, (*plain)(c))
}

func (n *nodeLocal) UnmarshalJSON(data []byte) error {
	type plain nodeLocal
	if err := json.Unmarshal(data, (*plain)(n)); err != nil {
		return err
	}
	n.fill()
	return nil
}

func (p *localProxy) UnmarshalJSON(data []byte) error {
	type plain localProxy
	if err := json.Unmarshal(data, (*plain)(p)); err != nil {
		return err
	}
	p.fill("quay.io/k0sproject/envoy-distroless", "v1.39.0")
	return nil
}

func (c *clusterConfig) UnmarshalJSON(data []byte) error {
	c.Kind = orElse(c.Kind, "ClusterConfig")
	storage := c.Spec.Storage
	c.Spec = defaultSpec()
	c.Spec.Storage = storage
	type plain clusterConfig
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode((*plain)(c)); err != nil {
		return err
	}
	fresh := defaultSpec()
	if c.Spec == nil {
		c.Spec = fresh
		c.Spec.Storage = storage
		return nil
	}
	c.Spec.fill(fresh)
	return nil
}

// fill sets sections that were given as null.
func (s *clusterSpec) fill(fresh *clusterSpec) {
	if s.Storage == nil {
		s.Storage = fresh.Storage
	}
	if s.Extensions == nil {
		s.Extensions = fresh.Extensions
	}
	if s.Network == nil {
		s.Network = fresh.Network
	}
	if s.API == nil {
		s.API = fresh.API
	}
	if s.ControllerManager == nil {
		s.ControllerManager = fresh.ControllerManager
	}
	if s.Scheduler == nil {
		s.Scheduler = fresh.Scheduler
	}
	if s.Install == nil {
		s.Install = fresh.Install
	}
	if s.Telemetry == nil {
		s.Telemetry = fresh.Telemetry
	}
	if s.Konnectivity == nil {
		s.Konnectivity = fresh.Konnectivity
	}
}

func defaultSpec() *clusterSpec {
	api := &apiSpec{}
	api.fill()
	local := &nodeLocal{}
	local.fill()
	off := false
	return &clusterSpec{API: api, ControllerManager: &extraArguments{}, Scheduler: &extraArguments{}, Storage: &storageSpec{Type: "etcd", Etcd: defaultEtcd()},
		Network: &networkSpec{PodCIDR: "10.244.0.0/16", ServiceCIDR: "10.96.0.0/12", Provider: "kuberouter", KubeRouter: defaultKubeRouter(), KubeProxy: defaultKubeProxy(),
			NodeLocalLoadBalancing: local, ClusterDomain: "cluster.local"},
		Telemetry: &telemetrySpec{&off}, Extensions: &extensionsSpec{Helm: &helmSpec{ConcurrencyLevel: 5}}, Konnectivity: &konnectivity{AgentPort: 8132, AdminPort: 8133},
		Install: &installSpec{&systemUsers{Etcd: "etcd", Kine: "kube-apiserver", Konnectivity: "konnectivity-server", KubeAPIServer: "kube-apiserver", KubeScheduler: "kube-scheduler"}}}
}

func defaultConfigOf(v *vars) *clusterConfig {
	config := &clusterConfig{APIVersion: configAPI, Kind: "ClusterConfig", Metadata: objectMeta{Name: "k0s", Namespace: "kube-system"}, Spec: defaultSpec()}
	if v != nil && v.DefaultStorageType == "kine" {
		config.Spec.Storage = &storageSpec{Type: "kine", Kine: defaultKine(v.DataDir)}
	}
	return config
}

func (a *apiSpec) fill() {
	a.Address = orElse(a.Address, firstPublicAddress())
	if a.K0sAPIPort == 0 {
		a.K0sAPIPort = 9443
	}
	if a.Port == 0 {
		a.Port = 6443
	}
	if a.CA == nil {
		a.CA = defaultCA()
	}
}

func (n *nodeLocal) fill() {
	n.Type = orElse(n.Type, "EnvoyProxy")
	if n.Type == "EnvoyProxy" && n.EnvoyProxy == nil {
		n.EnvoyProxy = &localProxy{}
		n.EnvoyProxy.fill("quay.io/k0sproject/envoy-distroless", "v1.39.0")
	}
	if n.Type == "Traefik" && n.Traefik == nil {
		n.Traefik = &localProxy{}
		n.Traefik.fill("quay.io/k0sproject/traefik", "v3.7.7-k0s.0")
	}
}

func (p *localProxy) fill(image, version string) {
	if p.Image == nil {
		p.Image = &imageSpec{}
	}
	p.Image.Image, p.Image.Version = orElse(p.Image.Image, image), orElse(p.Image.Version, version)
	if p.APIServerBindPort == 0 {
		p.APIServerBindPort = 7443
	}
	if p.KonnectivityServerBindPort == nil {
		port := int32(7132)
		p.KonnectivityServerBindPort = &port
	}
}

func defaultCA() *caSpec { return &caSpec{duration{87600 * time.Hour}, duration{8760 * time.Hour}} }

func defaultEtcd() *etcdSpec { return &etcdSpec{PeerAddress: firstPublicAddress(), CA: defaultCA()} }

func defaultKine(dataDir string) *kineSpec {
	return &kineSpec{DataSource: "sqlite://file:" + dataDir + "/db/state.db?mode=rwc&_journal=WAL"}
}

func defaultCalico() *calicoSpec {
	return &calicoSpec{Mode: "vxlan", VxlanPort: 4789, VxlanVNI: 4096, MTU: 1450, Overlay: "Always",
		FlexVolumeDriverPath: "/usr/libexec/k0s/kubelet-plugins/volume/exec/nodeagent~uds"}
}

func defaultKubeRouter() *kubeRouter {
	on := true
	return &kubeRouter{AutoMTU: &on, MetricsPort: 8080, Hairpin: "Enabled"}
}

func defaultKubeProxy() *kubeProxy {
	return &kubeProxy{Mode: "iptables", MetricsBindAddress: "0.0.0.0:10249", HealthzBindAddress: "0.0.0.0:10256"}
}

// firstPublicAddress is the first IPv4 address that is not of the host itself or of a pod network, else an IPv6 one.
func firstPublicAddress() string {
	sixth := ""
	interfaces, _ := net.Interfaces()
	for _, device := range interfaces {
		name := device.Name
		if name == "vxlan.calico" || name == "kube-bridge" || name == "dummyvip0" || strings.HasPrefix(name, "veth") || strings.HasPrefix(name, "cali") {
			continue
		}
		addresses, _ := device.Addrs()
		for _, address := range addresses {
			network, ok := address.(*net.IPNet)
			switch {
			case !ok || network.IP.IsLoopback():
			case network.IP.To4() != nil:
				return network.IP.String()
			case sixth == "":
				sixth = network.IP.String()
			}
		}
	}
	return orElse(sixth, "127.0.0.1")
}

// repeatedKey finds a key that some map has twice.
func repeatedKey(value any) (string, bool) {
	switch v := value.(type) {
	case *kube.YamlMap:
		if len(v.Repeated) > 0 {
			return v.Repeated[0], true
		}
		for _, key := range v.Keys {
			if found, yes := repeatedKey(v.Values[key]); yes {
				return found, true
			}
		}
	case []any:
		for _, item := range v {
			if found, yes := repeatedKey(item); yes {
				return found, true
			}
		}
	}
	return "", false
}

// merge reads a configuration file over the defaults.
func (c *clusterConfig) merge(content []byte) (*clusterConfig, error) {
	document, err := kube.ParseYAML(string(content))
	if err != nil {
		return nil, fmt.Errorf("error converting YAML to JSON: %w", err)
	}
	if document == nil {
		return c, nil
	}
	if key, found := repeatedKey(document); found {
		return nil, fmt.Errorf("error converting YAML to JSON: yaml: unmarshal errors:\n  key %q already set in map", key)
	}
	encoded, err := json.Marshal(kube.Plain(document))
	if err != nil {
		return nil, err
	}
	err = json.Unmarshal(encoded, c)
	if err != nil && (strings.Contains(err.Error(), `unknown field "interval"`) || strings.Contains(err.Error(), `unknown field "podSecurityPolicy"`)) {
		err = nil
	}
	if err != nil {
		return nil, fmt.Errorf("error unmarshaling JSON: while decoding JSON: %w", err)
	}
	return c, nil
}

// nodeConfig is the configuration that a start here would use; a missing file at the default place is none.
func (v *vars) nodeConfig() (*clusterConfig, error) {
	if v.StartupConfigPath == "-" {
		return nil, errors.New("cannot read configuration from standard input when installing k0s")
	}
	content, err := os.ReadFile(v.StartupConfigPath)
	if os.IsNotExist(err) && v.StartupConfigPath == defaultConfig {
		return defaultConfigOf(v), nil
	}
	if err != nil {
		return nil, err
	}
	return defaultConfigOf(v).merge(content)
}
