// What k0s says of a ClusterConfig that it will not run with.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strings"

	"standin/kube"
)

var (
	dnsName  = regexp.MustCompile(`^([a-zA-Z0-9_]{1}[a-zA-Z0-9_-]{0,62}){1}(\.[a-zA-Z0-9_]{1}[a-zA-Z0-9_-]{0,62})*[\._]?$`)
	dnsLabel = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)
)

// findings collects errors below one path of section names.
type findings struct{ list []error }

func (f *findings) add(format string, args ...any) {
	f.list = append(f.list, fmt.Errorf(format, args...))
}

func (f *findings) invalid(path string, value any, detail string) {
	if text, ok := value.(string); ok {
		value = fmt.Sprintf("%q", text)
	}
	f.add("%s: Invalid value: %v: %s", path, value, detail)
}

func (f *findings) unsupported(path, value string, allowed ...string) {
	for i := range allowed {
		allowed[i] = fmt.Sprintf("%q", allowed[i])
	}
	f.add("%s: Unsupported value: %q: supported values: %s", path, value, strings.Join(allowed, ", "))
}

func (c *clusterConfig) validate() error {
	var all []error
	spec := c.Spec
	for _, section := range []struct {
		prefix string
		check  func(*findings)
	}{
		{"api: ", spec.API.validate}, {"storage: ", spec.Storage.validate}, {"network: ", spec.Network.validate}, {"extensions: ", spec.Extensions.validate},
		{"konnectivity: ", spec.Konnectivity.validate}, {"", spec.validateProfiles}, {"", spec.validateImages}, {"", spec.validateLoadBalancing},
	} {
		found := &findings{}
		section.check(found)
		for _, err := range found.list {
			all = append(all, fmt.Errorf("spec: %s%w", section.prefix, err))
		}
	}
	return errors.Join(all...)
}

func isName(text string) bool {
	return net.ParseIP(text) == nil && len(text) <= 255 && dnsName.MatchString(text)
}

func (f *findings) host(path, value string) {
	if net.ParseIP(value) == nil && !isName(value) {
		f.invalid(path, value, "invalid IP address / DNS name")
	}
}

func (f *findings) port(path string, value int) {
	if value < 1 || value > 65535 {
		f.invalid(path, value, "must be between 1 and 65535, inclusive")
	}
}

func (a *apiSpec) validate(f *findings) {
	if net.ParseIP(a.Address) == nil {
		f.invalid("address", a.Address, "invalid IP address")
	}
	if a.Address == "0.0.0.0" || a.Address == "::" {
		f.invalid("address", a.Address, "invalid INADDR_ANY")
	}
	if a.ExternalAddress != "" {
		f.host("externalAddress", a.externalHost())
		if a.ExternalAddress == "0.0.0.0" || a.ExternalAddress == "::" {
			f.invalid("externalAddress", a.Address, "invalid INADDR_ANY")
		}
	}
	f.port("k0sApiPort", a.K0sAPIPort)
	f.port("port", a.Port)
	for i, san := range a.SANs {
		f.host(fmt.Sprintf("sans[%d]", i), san)
	}
}

func (s *storageSpec) validate(f *findings) {
	if s.Type == "" {
		f.add("type: Required value")
	} else if s.Type != "etcd" && s.Type != "kine" {
		f.unsupported("type", s.Type, "etcd", "kine")
	}
	if s.Etcd == nil || s.Etcd.ExternalCluster == nil {
		return
	}
	external := s.Etcd.ExternalCluster
	if len(external.Endpoints) == 0 {
		f.add("spec.storage.etcd.externalCluster.endpoints cannot be null or empty")
	}
	for _, endpoint := range external.Endpoints {
		if endpoint == "" {
			f.add("spec.storage.etcd.externalCluster.endpoints cannot contain empty strings")
		}
	}
	if external.EtcdPrefix == "" {
		f.add("spec.storage.etcd.externalCluster.etcdPrefix cannot be empty")
	}
	given := 0
	for _, file := range []string{external.CaFile, external.ClientCertFile, external.ClientKeyFile} {
		if file != "" {
			given++
		}
	}
	if given == 1 || given == 2 {
		f.add("spec.storage.etcd.externalCluster is invalid: all TLS properties [caFile,clientCertFile,clientKeyFile] must be defined or none of those")
	}
}

func (n *networkSpec) validate(f *findings) {
	if n.Provider == "" {
		f.add("provider: Required value")
	} else if n.Provider != "calico" && n.Provider != "custom" && n.Provider != "kuberouter" {
		f.unsupported("provider", n.Provider, "kuberouter", "calico", "custom")
	}
	pods := f.cidr("podCIDR", n.PodCIDR)
	services := f.cidr("serviceCIDR", n.ServiceCIDR)
	if pods != nil && services != nil {
		n.validateFamilies(f, pods, services)
	}
	if !isName(n.ClusterDomain) {
		f.invalid("clusterDomain", n.ClusterDomain, "invalid DNS name")
	}
	if n.DualStack.Enabled {
		n.validateDualStack(f)
	}
	if family := n.PrimaryAddressFamily; family != "" && family != "IPv4" && family != "IPv6" {
		f.unsupported("addressFamily", family, "IPv4", "IPv6")
	}
	n.validateParts(f)
}

func (f *findings) cidr(path, value string) *net.IPNet {
	_, network, err := net.ParseCIDR(value)
	if err != nil {
		f.invalid(path, value, "invalid CIDR address")
		return nil
	}
	return network
}

func (n *networkSpec) validateFamilies(f *findings, pods, services *net.IPNet) {
	if (pods.IP.To4() != nil) != (services.IP.To4() != nil) {
		f.invalid("podCIDR", n.PodCIDR, "podCIDR and serviceCIDR must be both IPv4 or IPv6")
	}
	if ones, _ := services.Mask.Size(); services.IP.To4() == nil && ones < 108 {
		f.invalid("serviceCIDR", n.ServiceCIDR, "IPv6 service CIDR prefix must be <= 108")
	}
	if !n.DualStack.Enabled && pods.IP.To4() == nil {
		f.invalid("podCIDR", n.PodCIDR, "feature gate IPv6SingleStack must be explicitly enabled to use IPv6 single stack")
	}
}

func (n *networkSpec) validateDualStack(f *findings) {
	if n.Provider == "calico" && n.Calico.Mode != "bird" {
		f.add("calico.mode: Forbidden: dual-stack for calico is only supported for mode `bird`")
	}
	for path, value := range map[string]string{"dualStack.IPv6podCIDR": n.DualStack.IPv6PodCIDR, "dualStack.IPv6serviceCIDR": n.DualStack.IPv6ServiceCIDR} {
		network := f.cidr(path, value)
		if network == nil {
			continue
		}
		if network.IP.To4() != nil {
			f.invalid(path, value, "must be an IPv6 CIDR, not IPv4")
		} else if ones, _ := network.Mask.Size(); strings.HasSuffix(path, "serviceCIDR") && ones < 108 {
			f.invalid(path, value, "IPv6 service CIDR prefix must be <= 108")
		}
	}
}

func (n *networkSpec) validateParts(f *findings) {
	if proxy := n.KubeProxy; proxy != nil && !proxy.Disabled && !contains([]string{"iptables", "ipvs", "userspace", "nftables"}, proxy.Mode) {
		f.add("unsupported mode %s for kubeProxy config", proxy.Mode)
	}
	if calico := n.Calico; calico != nil && !contains([]string{"bird", "vxlan", "ipip"}, calico.Mode) {
		f.unsupported("calico.mode", calico.Mode, "bird", "vxlan", "ipip")
	}
	if local := n.NodeLocalLoadBalancing; local != nil {
		if local.Type != "EnvoyProxy" && local.Type != "Traefik" {
			f.unsupported("nodeLocalLoadBalancing.type", local.Type, "EnvoyProxy", "Traefik")
		}
		for name, proxy := range map[string]*localProxy{"envoyProxy": local.EnvoyProxy, "traefik": local.Traefik} {
			if proxy != nil {
				f.port("nodeLocalLoadBalancing."+name+".apiServerBindPort", int(proxy.APIServerBindPort))
			}
		}
	}
}

func contains(list []string, item string) bool {
	for _, other := range list {
		if other == item {
			return true
		}
	}
	return false
}

func (e *extensionsSpec) validate(f *findings) {
	if e.Helm == nil {
		return
	}
	for _, repository := range e.Helm.Repositories {
		if repository.Name == "" {
			f.add("repository must have Name field not empty")
		} else if repository.URL == "" {
			f.add("repository must have URL field not empty")
		}
	}
	for _, chart := range e.Helm.Charts {
		switch {
		case chart.Name == "":
			f.add("chart must have Name field not empty")
		case chart.ChartName == "":
			f.add("chart must have ChartName field not empty")
		case chart.TargetNS == "":
			f.add("chart must have TargetNS field not empty")
		}
	}
}

func (k *konnectivity) validate(f *findings) {
	f.port("adminPort", int(k.AdminPort))
	f.port("agentPort", int(k.AgentPort))
}

const cgroupRefusal = "kubelet is configured to not run on a host using cgroup v1. cgroup v1 support is unsupported and will be removed in a future release"

func (s *clusterSpec) validateProfiles(f *findings) {
	for i, profile := range s.WorkerProfiles {
		path := fmt.Sprintf("workerProfiles[%d]", i)
		if profile.Name == "" {
			f.add("%s.name: Required value", path)
		} else if !dnsLabel.MatchString(profile.Name) {
			f.invalid(path+".name", profile.Name, "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "+
				"an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')")
		}
		var values map[string]any
		if err := json.Unmarshal(profile.Values, &values); len(profile.Values) > 0 && err != nil {
			f.add("%s.values: Invalid value: %v", path, err)
		}
		for _, reserved := range []string{"clusterDNS", "clusterDomain", "staticPodURL"} {
			if _, set := values[reserved]; set {
				f.add("%s.values.%s: Forbidden: may not be used in k0s worker profiles", path, reserved)
			}
		}
		if len(profile.Values) > 0 && kube.OnCgroupV1() && values["failCgroupV1"] != false { // a kubelet would not start here
			f.add("%s.values: Invalid value: %s", path, cgroupRefusal)
		}
	}
}

func (s *clusterSpec) validateImages(f *findings) {
	if s.Images == nil {
		return
	}
	if policy := s.Images.DefaultPullPolicy; policy != "" && !contains([]string{"Always", "IfNotPresent", "Never"}, policy) {
		f.unsupported("images.default_pull_policy", policy, "Always", "IfNotPresent", "Never")
	}
}

func (s *clusterSpec) validateLoadBalancing(f *findings) {
	if s.Network.NodeLocalLoadBalancing != nil && s.Network.NodeLocalLoadBalancing.Enabled && s.API.ExternalAddress != "" {
		f.add("network.nodeLocalLoadBalancing.enabled: Forbidden: node-local load balancing cannot be used in conjunction with an external Kubernetes API server address")
	}
	lb := s.Network.ControlPlaneLoadBalancing
	if lb == nil {
		return
	}
	if lb.Type != "" && lb.Type != "Keepalived" {
		f.add("controlPlaneLoadBalancing: unsupported CPLB type: %s. Only allowed value: Keepalived", lb.Type)
	}
	if lb.Keepalived == nil {
		return
	}
	for _, instance := range lb.Keepalived.VRRPInstances {
		instance.validate(f)
	}
}

func (v *vrrpInstance) validate(f *findings) {
	const path = "controlPlaneLoadBalancing: "
	if v.VirtualRouterID < 0 || v.VirtualRouterID > 255 {
		f.add(path + "VirtualRouterID must be in the range of 1-255")
	}
	if v.AuthPass == "" {
		f.add(path + "AuthPass must be defined")
	}
	if len(v.AuthPass) > 8 {
		f.add(path + "AuthPass must be 8 characters or less")
	}
	if len(v.VirtualIPs) == 0 {
		f.add(path + "VirtualIPs must be defined")
	}
	for _, address := range v.VirtualIPs {
		if _, _, err := net.ParseCIDR(address); err != nil {
			f.add(path+"VirtualIPs must be a CIDR. Got: %s", address)
		}
	}
	if len(v.UnicastPeers) > 0 && net.ParseIP(v.UnicastSourceIP) == nil {
		f.add(path+"UnicastPeers require a valid UnicastSourceIP. Got: %s", v.UnicastSourceIP)
	}
	for _, peer := range v.UnicastPeers {
		if net.ParseIP(peer) == nil {
			f.add(path+"UnicastPeers require valid IP addresses. Got: %s", peer)
		}
		if peer == v.UnicastSourceIP {
			f.add(path+"UnicastPeers must not contain the UnicastSourceIP. Got: %s", peer)
		}
	}
}

func (a *apiSpec) externalHost() string {
	if host, _, err := net.SplitHostPort(a.ExternalAddress); err == nil && host != "" {
		return host
	}
	return a.ExternalAddress
}

// urlFor is the address that others use, on the given port unless the external address has its own.
func (a *apiSpec) urlFor(port int) string {
	if a.ExternalAddress != "" && a.externalHost() != a.ExternalAddress {
		return "https://" + a.ExternalAddress
	}
	return "https://" + net.JoinHostPort(orElse(a.ExternalAddress, a.Address), fmt.Sprint(port))
}

// joinable tells whether a second controller could share the storage.
func (s *storageSpec) joinable() bool {
	return s.Type == "etcd" || s.Kine != nil && !strings.HasPrefix(s.Kine.DataSource, "sqlite") && !strings.HasPrefix(s.Kine.DataSource, "nats")
}
