// The add-ons of the core repository as data: their check, the objects that they bring, and what their scripts ask and say.
package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"standin/kube"
)

var (
	addressPools = kube.AddResource("metallb.io/v1beta1 ipaddresspools IPAddressPool ns -")
	_            = kube.AddResource("metallb.io/v1beta1 l2advertisements L2Advertisement ns -")
	_            = kube.AddResource("cert-manager.io/v1 issuers Issuer ns -")
	_            = kube.AddResource("cert-manager.io/v1 clusterissuers ClusterIssuer - -")
	_            = kube.AddResource("cert-manager.io/v1 certificates Certificate ns cert")
	_            = kube.AddResource("traefik.io/v1alpha1 ingressroutes IngressRoute ns -")
	_            = kube.AddResource("crd.projectcalico.org/v1 ippools IPPool - -")
)

// addon is one row; `brings` are objects as "kind namespace/name" or "kind name".
type addon struct {
	name, description, version, check, confinement string

	brings  []string
	enable  func(s *script) int
	disable func(s *script) int
}

// script is one run of an add-on's enable or disable.
type script struct {
	addon  addon
	words  []string
	client *kube.KubeClient
}

func addonTable() []addon {
	table := []addon{
		{name: "dns", description: "CoreDNS", version: "1.13.1", check: "pod/coredns", enable: enableDNS, disable: disableDNS},
		{name: "rbac", description: "Role-Based Access Control for authorisation", check: "clusterrole.rbac.authorization.k8s.io/cluster-admin", enable: enableRBAC, disable: disableRBAC},
		{name: "ingress", description: "Ingress controller for external access", version: "3.6.2", check: "ingressclass.networking.k8s.io/public", enable: enableIngress,
			brings: []string{"daemonset ingress/traefik", "service ingress/traefik", "ingressclass public", "ingressclass traefik", "ingressclass nginx"}},
		{name: "hostpath-storage", description: "Storage class; allocates storage from host directory", version: "1.5.0", check: "deployment.apps/hostpath-provisioner",
			brings: []string{"deployment kube-system/hostpath-provisioner"}, enable: enableStorage, disable: disableStorage},
		{name: "storage", description: "Alias to hostpath-storage add-on, deprecated", version: "1.5.0", check: "deployment.apps/hostpath-provisioner",
			enable: aliasOf("hostpath-storage"), disable: disableStorage},
		{name: "registry", description: "Private image registry exposed on localhost:32000", version: "2.8.3", check: "deployment.apps/registry",
			brings: []string{"deployment container-registry/registry", "service container-registry/registry"}, enable: enableRegistry},
		{name: "metrics-server", description: "K8s Metrics Server for API access to service metrics", version: "0.8.0", check: "pod/metrics-server",
			brings: []string{"deployment kube-system/metrics-server", "service kube-system/metrics-server", "apiservice v1beta1.metrics.k8s.io"}, enable: enablePlain},
		{name: "nvidia", description: "NVIDIA hardware (GPU and network) support", version: "gpu=25.10.0/network=25.7.0/microk8s-1", check: "operator-node-feature-discovery", confinement: "classic",
			brings: []string{"deployment gpu-operator-resources/gpu-operator", "daemonset gpu-operator-resources/gpu-operator-node-feature-discovery-worker"}, enable: enableNvidia},
		{name: "gpu", description: "Alias to nvidia add-on", version: "25.10.0", check: "operator-node-feature-discovery", confinement: "classic", enable: aliasOf("nvidia")},
		{name: "helm", description: "Helm - the package manager for Kubernetes", version: "3.18.6", check: "${SNAP}/bin/helm", enable: enableHelm},
		{name: "helm3", description: "Helm 3 - the package manager for Kubernetes", version: "3.18.6", check: "${SNAP}/bin/helm", enable: enableHelm},
		{name: "metallb", description: "Loadbalancer for your Kubernetes cluster", version: "0.15.2", check: "pod/speaker",
			brings: []string{"deployment metallb-system/controller", "daemonset metallb-system/speaker", "clusterrole metallb-system:controller", "clusterrole metallb-system:speaker"},
			enable: enableMetalLB, disable: disableMetalLB},
		{name: "host-access", description: "Allow Pods connecting to Host services smoothly", version: "1.0.0", check: "${SNAP_DATA}/var/lock/host-access-enabled", enable: enableHostAccess,
			disable: disableHostAccess},
		{name: "ha-cluster", description: "Configure high availability on the current node", version: "0.1.0", check: "${SNAP_DATA}/var/lock/ha-cluster", enable: enableHA, disable: disableHA},
		{name: "mayastor", description: "OpenEBS MayaStor", version: "2.0.0-microk8s-1", check: "daemonset.apps/mayastor", brings: []string{"daemonset mayastor/mayastor-io-engine"}, enable: enableMayastor},
		{name: "prometheus", description: "Prometheus operator for monitoring and logging", version: "v0.8.0", check: "pod/prometheus-k8s-0", enable: aliasOf("observability")},
		{name: "observability", description: "A lightweight observability stack for logs, traces and metrics", version: "77.6.2",
			check: "statefulset.apps/prometheus-kube-prom-stack-kube-prome-prometheus", brings: []string{"statefulset observability/prometheus-kube-prom-stack-kube-prome-prometheus",
				"statefulset observability/alertmanager-kube-prom-stack-kube-prome-alertmanager", "statefulset observability/loki", "statefulset observability/tempo",
				"deployment observability/kube-prom-stack-kube-prome-operator", "deployment observability/kube-prom-stack-grafana", "deployment observability/kube-prom-stack-kube-state-metrics",
				"daemonset observability/kube-prom-stack-prometheus-node-exporter", "daemonset observability/loki-promtail"}, enable: enableObservability},
		{name: "community", description: "The community addons repository", check: "${SNAP_COMMON}/addons/community/addons.yaml", enable: enableCommunity, disable: disableCommunity},
		{name: "cert-manager", description: "Cloud native certificate management", version: "1.19.1", check: "deployment.apps/cert-manager",
			brings: []string{"deployment cert-manager/cert-manager", "deployment cert-manager/cert-manager-cainjector", "deployment cert-manager/cert-manager-webhook"}, enable: enableCertManager},
		{name: "kube-ovn", description: "An advanced network fabric for Kubernetes", version: "1.13.8", check: "deployment.apps/kube-ovn-controller", confinement: "classic",
			brings: []string{"deployment kube-system/kube-ovn-controller", "daemonset kube-system/kube-ovn-cni"}, enable: enableKubeOVN},
		{name: "minio", version: "v7.1.1", check: "deployment.apps/minio-operator", enable: enableMinio,
			description: "MinIO object storage (DEPRECATED). This addon is deprecated and will be completely removed in the upcoming versions"},
		{name: "cis-hardening", version: "1.0.0", description: "Apply CIS K8s hardening", check: "${SNAP_DATA}/var/lock/cis-hardening", enable: enableCIS, disable: disableCIS},
		{name: "rook-ceph", version: "1.18.7", description: "Distributed Ceph storage using Rook", check: "deployment.apps/rook-ceph-operator",
			brings: []string{"deployment rook-ceph/rook-ceph-operator"}, enable: enableRook},
	}
	if minorVersion() < 36 {
		table = append(table, addon{name: "dashboard", description: "The Kubernetes dashboard", version: "7.13.0", check: "pod/kubernetes-dashboard",
			brings: []string{"deployment kubernetes-dashboard/kubernetes-dashboard-kong", "deployment kubernetes-dashboard/kubernetes-dashboard-web"}, enable: enablePlain})
	}
	return table
}

// runAddonScript is what the scripts of the repository call: NAME enable|disable ARGUMENTS.
func runAddonScript(words []string) int {
	if len(words) < 2 {
		return 2
	}
	client, err := adminClient()
	if err != nil {
		return exitCodeOf(err)
	}
	s := &script{addon: addon{name: words[0], brings: []string{"deployment default/" + words[0]}}, words: words[2:], client: client}
	for _, row := range addonTable() {
		if row.name == words[0] {
			s.addon = row
		}
	}
	run := s.addon.enable
	if words[1] == "disable" {
		run = s.addon.disable
	}
	switch {
	case run != nil:
		return run(s)
	case words[1] == "disable":
		return disablePlain(s)
	}
	return enablePlain(s)
}

func (s *script) first() string { return append(s.words, "")[0] }

func fail(format string, args ...any) int {
	fmt.Printf(format+"\n", args...)
	return 1
}

// objectOf makes "kind namespace/name".
func objectOf(text string) kube.Object {
	kind, where, _ := strings.Cut(text, " ")
	namespace, name, namespaced := strings.Cut(where, "/")
	if !namespaced {
		namespace, name = "", where
	}
	o := kube.Object{"metadata": kube.Object{"name": name}}
	if namespaced {
		kube.PutAt(o, namespace, "metadata", "namespace")
	}
	for _, r := range kube.Resources {
		if strings.ToLower(r.Kind) == kind {
			o["apiVersion"], o["kind"] = r.ApiVersion(), r.Kind
		}
	}
	labels := kube.Object{"app": name}
	switch kind {
	case "deployment", "daemonset", "statefulset":
		kube.PutAt(o, labels, "metadata", "labels")
		container := kube.Object{"name": name, "image": "stand-in/" + name + ":1"}
		podSpec := kube.Object{"containers": []any{container}}
		if kind == "daemonset" {
			podSpec["tolerations"] = []any{kube.Object{"operator": "Exists"}}
		}
		o["spec"] = kube.Object{"selector": kube.Object{"matchLabels": labels}, "template": kube.Object{"metadata": kube.Object{"labels": labels}, "spec": podSpec}}
	case "service":
		o["spec"] = kube.Object{"type": "ClusterIP", "selector": labels, "ports": []any{kube.Object{"port": float64(80), "protocol": "TCP"}}}
	case "apiservice":
		o["status"] = kube.Object{"conditions": []any{kube.Object{"type": "Available", "status": "True"}}}
	case "ingressclass":
		o["spec"] = kube.Object{"controller": "traefik.io/ingress-controller"}
	}
	return o
}

// apply makes all that an add-on brings, namespaces first.
func (s *script) apply(more ...kube.Object) int {
	seen := map[string]bool{"": true, "default": true, "kube-system": true}
	var objects []kube.Object
	for _, line := range s.addon.brings {
		objects = append(objects, objectOf(line))
	}
	for _, o := range append(objects, more...) {
		namespace := kube.TextAt(o, "metadata", "namespace")
		if !seen[namespace] {
			seen[namespace] = true
			if err := applyObject(s.client, objectOf("namespace "+namespace)); err != nil {
				return exitCodeOf(err)
			}
		}
		if err := applyObject(s.client, o); err != nil {
			return exitCodeOf(err)
		}
		word := "created"
		fmt.Printf("%s/%s %s\n", strings.ToLower(kube.TextAt(o, "kind")), kube.NameOf(o), word)
	}
	return 0
}

// remove deletes what it brings, and namespaces of its own.
func (s *script) remove(more ...kube.Object) int {
	namespaces := map[string]bool{}
	for _, line := range s.addon.brings {
		more = append(more, objectOf(line))
	}
	for _, o := range more {
		if namespace := kube.TextAt(o, "metadata", "namespace"); namespace != "" && namespace != "kube-system" && namespace != "default" {
			namespaces[namespace] = true
		}
		if err := deleteObject(s.client, o); err != nil {
			return exitCodeOf(err)
		}
		fmt.Printf("%s %q deleted\n", strings.ToLower(kube.TextAt(o, "kind")), kube.NameOf(o))
	}
	for namespace := range namespaces {
		deleteObject(s.client, objectOf("namespace "+namespace))
		fmt.Printf("namespace %q deleted\n", namespace)
	}
	return 0
}

func title(name string) string { return strings.ToUpper(name[:1]) + name[1:] }

func enablePlain(s *script) int {
	fmt.Println("Enabling", title(s.addon.name))
	if code := s.apply(); code != 0 {
		return code
	}
	fmt.Println(title(s.addon.name), "is enabled")
	return 0
}

func disablePlain(s *script) int {
	fmt.Println("Disabling", title(s.addon.name))
	if code := s.remove(); code != 0 {
		return code
	}
	fmt.Println(title(s.addon.name), "is disabled")
	return 0
}

func aliasOf(name string) func(*script) int {
	return func(s *script) int {
		fmt.Printf("DEPRECATION WARNING: '%s' is deprecated and will soon be removed. Please use '%s' instead.\n\n", s.addon.name, name)
		command := exec.Command(filepath.Join(snapDir(), "bin", "microk8s"), append([]string{"enable", "core/" + name}, s.words...)...)
		command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
		if command.Run() != nil {
			return 1
		}
		return 0
	}
}

func isAddress(text string) bool { return net.ParseIP(text) != nil }

func enableDNS(s *script) int {
	fmt.Println("Enabling DNS")
	servers := "/etc/resolv.conf"
	if first := s.first(); first != "" && first != "/etc/resolv.conf" {
		servers = ""
		for _, server := range strings.Fields(strings.ReplaceAll(first, ",", " ")) {
			if !isAddress(server) {
				return fail("Your input value (%s) is not a valid and reachable IP address", server)
			}
			servers += " " + server
		}
		fmt.Printf("Will use %s as upstream nameservers\n", servers)
	} else {
		fmt.Println("Using host configuration from /etc/resolv.conf")
	}
	words := append(s.words, "", "", "")
	address, domain := words[1], orElse(words[2], "cluster.local")
	ranges := argument("kube-apiserver", "--service-cluster-ip-range")
	if address == "" && ranges == "10.152.183.0/24" {
		address = "10.152.183.10"
	}
	if address == "" {
		address = kube.ServiceAddress(ranges, 77) // the API server picks one
	}
	fmt.Println("Applying manifest")
	service := objectOf("service kube-system/kube-dns")
	kube.PutAt(service, address, "spec", "clusterIP")
	kube.PutAt(service, kube.Object{"k8s-app": "kube-dns"}, "metadata", "labels")
	config := objectOf("configmap kube-system/coredns")
	config["data"] = kube.Object{"Corefile": fmt.Sprintf(".:53 {\n    kubernetes %s in-addr.arpa ip6.arpa {\n    }\n    forward . %s\n}\n", domain, servers)}
	deployment := objectOf("deployment kube-system/coredns")
	labels := kube.Object{"k8s-app": "kube-dns"}
	kube.PutAt(deployment, labels, "spec", "template", "metadata", "labels")
	kube.PutAt(deployment, kube.Object{"matchLabels": labels}, "spec", "selector")
	if code := s.apply(objectOf("serviceaccount kube-system/coredns"), config, deployment, service); code != 0 {
		return code
	}
	time.Sleep(kube.SecondsFromEnvironment("STANDIN_ADDON_SECONDS", 1))
	fmt.Printf("CoreDNS service deployed with IP address %s\n", address)
	changed := everywhere("kubelet", map[string]string{"--cluster-domain": domain, "--cluster-dns": address}, nil)
	if changed {
		fmt.Println("Restarting kubelet")
		restartEverywhere("kubelet")
	}
	fmt.Println("DNS is enabled")
	return 0
}

func disableDNS(s *script) int {
	fmt.Println("Disabling DNS\nReconfiguring kubelet\nRemoving DNS manifest")
	if code := s.remove(objectOf("deployment kube-system/coredns"), objectOf("service kube-system/kube-dns"), objectOf("configmap kube-system/coredns"),
		objectOf("serviceaccount kube-system/coredns")); code != 0 {
		return code
	}
	everywhere("kubelet", nil, []string{"--cluster-domain", "--cluster-dns"})
	restartEverywhere("kubelet")
	fmt.Println("DNS is disabled")
	return 0
}

func enableRBAC(*script) int {
	fmt.Println("Enabling RBAC\nReconfiguring apiserver")
	if everywhere("kube-apiserver", map[string]string{"--authorization-mode": "RBAC,Node"}, nil) {
		fmt.Println("Restarting apiserver")
		restartEverywhere("apiserver")
	}
	fmt.Println("RBAC is enabled")
	return 0
}

func disableRBAC(s *script) int {
	fmt.Println("Disabling RBAC\nReconfiguring apiserver")
	everywhere("kube-apiserver", map[string]string{"--authorization-mode": "AlwaysAllow"}, nil)
	restartEverywhere("apiserver")
	waitForReady(30, false)
	fmt.Println("Removing default RBAC resources")
	for _, name := range []string{"cluster-admin", "admin", "edit", "view", "system:node"} {
		deleteObject(s.client, objectOf("clusterrole "+name))
	}
	fmt.Println("RBAC is disabled")
	return 0
}

const ingressUsage = `Usage: microk8s enable ingress [OPTIONS]

Enable the Traefik ingress controller addon.

   -h               Print this help message
   -r REPOSITORY    Traefik Helm chart repository (default: https://traefik.github.io/charts)
   -V VERSION       Traefik Helm chart version (default: 39.0.8)
   -g GW_VERSION    Gateway API CRD version (default: v1.5.1)
   --default-ssl-certificate NAMESPACE/NAME
                    Kubernetes TLS Secret to use as Traefik's default TLS certificate`

func enableIngress(s *script) int {
	for n := 0; n < len(s.words) && strings.HasPrefix(s.words[n], "-"); n++ {
		switch word := s.words[n]; word {
		case "-V", "-r", "-g", "--default-ssl-certificate":
			value := append(s.words, "")[n+1]
			if value == "" || strings.HasPrefix(value, "-") {
				return fail("Missing argument for option %s\n%s", word, ingressUsage)
			}
			if parts := strings.Split(value, "/"); word == "--default-ssl-certificate" && (len(parts) != 2 || parts[0] == "" || parts[1] == "") {
				return fail("Invalid value for --default-ssl-certificate; expected NAMESPACE/NAME")
			}
			n++
		case "-h", "--help":
			fmt.Println(ingressUsage)
			return 0
		case "--":
			n = len(s.words)
		default:
			return fail("Invalid option %s\n%s", word, ingressUsage)
		}
	}
	if code := needInternet("https://traefik.github.io/charts"); code != 0 {
		return code
	}
	fmt.Println("Adding Traefik Helm repository\nInstalling Gateway API CRDs\nInstalling Traefik CRDs\nInstalling Traefik ingress controller")
	if code := s.apply(); code != 0 {
		return code
	}
	fmt.Println("Traefik ingress controller is enabled")
	return 0
}

// needInternet fails like helm where tests say that hosts have no way out.
func needInternet(address string) int {
	if os.Getenv("STANDIN_OFFLINE") == "" {
		return 0
	}
	fmt.Fprintf(os.Stderr, "Error: looks like %q is not a valid chart repository or cannot be reached: Get \"%s/index.yaml\": dial tcp: lookup failed\n", address, address)
	return 1
}

func enableStorage(s *script) int {
	reclaim, byDefault := "Delete", "true"
	for n := 0; n < len(s.words); n++ {
		name, value, hasValue := strings.Cut(s.words[n], "=")
		if !strings.HasPrefix(name, "-") {
			continue
		}
		short := map[string]string{"--reclaim-policy": "-r", "--default-class": "-d", "--help": "-h"}[name]
		switch flag := orElse(short, name); flag {
		case "-h":
			fmt.Println("Options:\n -h, --help            Show this help\n -r, --reclaim-policy  Set the reclaim policy. Available options are Delete (default) and Retain.\n" +
				" -d, --default-class   Set the storage class as default. Available options are true (default) and false.")
			return 0
		case "-r", "-d":
			if !hasValue {
				if n+1 >= len(s.words) {
					fmt.Fprintf(os.Stderr, "getopt: option '%s' requires an argument\n", name)
					return 1
				}
				n++
				value = s.words[n]
			}
			if flag == "-r" {
				reclaim = value
			} else {
				byDefault = value
			}
		default:
			fmt.Fprintf(os.Stderr, "getopt: unrecognized option '%s'\n", name)
			return 1
		}
	}
	if reclaim != "Delete" && reclaim != "Retain" {
		return fail("\nPlease check submitted arguments.\nYou can use '--reclaim-policy' to set the reclaim policy. Allowed values: Retain Delete. Defaults to 'Delete'.\n" +
			"   microk8s enable hostpath-storage --reclaim-policy=Retain")
	}
	if byDefault != "true" && byDefault != "false" {
		return fail("\nPlease check submitted arguments.\nYou can use '--default-class' to set the storage class as default. Allowed values: false true. Defaults to 'true'.\n" +
			"   microk8s enable hostpath-storage --default-class=true")
	}
	fmt.Print("Enabling default storage class.\nWARNING: Hostpath storage is not suitable for production environments.\n" +
		"         A hostpath volume can grow beyond the size limit set in the volume claim manifest.\n\n")
	if err := os.MkdirAll(filepath.Join(snapCommon(), "default-storage"), 0o755); err != nil {
		return exitCodeOf(err)
	}
	class := objectOf("storageclass microk8s-hostpath")
	class["provisioner"], class["reclaimPolicy"], class["volumeBindingMode"] = "microk8s.io/hostpath", reclaim, "WaitForFirstConsumer"
	kube.PutAt(class, kube.Object{"storageclass.kubernetes.io/is-default-class": byDefault}, "metadata", "annotations")
	if code := s.apply(class); code != 0 {
		return code
	}
	fmt.Println("Storage will be available soon.")
	return 0
}

func disableStorage(s *script) int {
	fmt.Println("Disabling hostpath storage.")
	s.addon.brings = []string{"deployment kube-system/hostpath-provisioner", "storageclass microk8s-hostpath"}
	if code := s.remove(); code != 0 {
		return code
	}
	fmt.Println("Storage removed.")
	storage := filepath.Join(snapCommon(), "default-storage")
	if s.first() != "destroy-storage" {
		reply, read := prompt(fmt.Sprintf("Remove PVC storage at %s ? (Y/N): ", storage))
		if lower := strings.ToLower(reply); !read || lower != "y" && lower != "yes" {
			return 1
		}
	}
	os.RemoveAll(storage)
	fmt.Println("Storage space reclaimed.")
	return 0
}

// prompt shows its text on a terminal only, as the shell's `read -p` does, and waits for a line.
func prompt(text string) (string, bool) {
	if isTerminal(os.Stdin) {
		fmt.Fprint(os.Stderr, text)
	}
	line, err := bufio.NewReader(os.Stdin).ReadString('\n')
	return strings.TrimSpace(line), err == nil
}

func isTerminal(file *os.File) bool {
	var state [64]byte
	_, _, code := syscall.Syscall(syscall.SYS_IOCTL, file.Fd(), syscall.TCGETS, uintptr(unsafe.Pointer(&state)))
	return code == 0
}

func enableRegistry(s *script) int {
	command := clickCommand{program: "enable", usage: "[OPTIONS] [SIZE_OPT]", help: "--help", optional: 1, options: []option{{names: []string{"--size"}, value: true},
		{names: []string{"--storageclass"}, value: true}}}
	found, code := command.parse(s.words)
	if found == nil {
		return code
	}
	class, size := found.values["--storageclass"], orElse(found.values["--size"], "20Gi")
	if class == "" {
		enableOther("hostpath-storage")
	} else if _, err := s.client.Get("/apis/storage.k8s.io/v1/storageclasses/" + class); err != nil {
		return fail("ERROR: Storage class %s doesn't exist.", class)
	}
	if len(found.words) > 0 && found.words[0] != "" {
		name, value, _ := strings.Cut(found.words[0], "=")
		if name != "size" || strings.Contains(value, "=") || value == "" {
			return fail("ERROR: Failed to parse arguments. Use --size and --storageclass to specify custom size and storage class.")
		}
		fmt.Println("WARNING: This style of specifying size is deprecated. Use newer --size argument instead.")
		size = value
	}
	const shape = "(^[2-9][0-9]{1,}|^[1-9][0-9]{2,})(Gi$)"
	if !regexp.MustCompile(shape).MatchString(size) {
		return fail("ERROR: The size of the registry should be higher or equal to 20Gi and match the regex: %s", shape)
	}
	fmt.Printf("The registry will be created with the size of %s.\n", size)
	claim := objectOf("persistentvolumeclaim container-registry/registry-claim")
	claim["spec"] = kube.Object{"accessModes": []any{"ReadWriteMany"}, "resources": kube.Object{"requests": kube.Object{"storage": size}}}
	if class != "" {
		kube.PutAt(claim, class, "spec", "storageClassName")
		fmt.Printf("Storage class %s will be used.\n", class)
	} else {
		fmt.Println("Default storage class will be used.")
	}
	s.apply(claim) // its result is not looked at
	fmt.Println("The registry is enabled")
	return 0
}

func enableNvidia(s *script) int {
	var options []option
	for _, name := range strings.Fields("--gpu-operator-driver --gpu-operator-version --gpu-operator-toolkit-version --gpu-operator-set --gpu-operator-values " +
		"--network-operator-version --network-operator-set --network-operator-values --driver --version --toolkit-version --set --values -f") {
		options = append(options, option{names: []string{name}, value: true})
	}
	for _, name := range strings.Fields("--gpu-operator --no-gpu-operator --network-operator --no-network-operator --gpu-operator-set-as-default-runtime " +
		"--gpu-operator-no-set-as-default-runtime --set-as-default-runtime --no-set-as-default-runtime") {
		options = append(options, option{names: []string{name}})
	}
	found, code := clickCommand{program: "enable", usage: "[OPTIONS]", help: "-h", options: options}.parse(s.words)
	if found == nil {
		return code
	}
	enableOther("core/dns")
	enableOther("core/helm3")
	if found.has("--no-gpu-operator") {
		s.addon.brings = nil
	}
	s.apply()
	fmt.Println("Enabled NVIDIA support")
	return 0
}

func enableHelm(*script) int {
	fmt.Println("Helm comes pre-installed with MicroK8s\nHelm is enabled")
	return 0
}

const metallbPrompt = "Enter each IP address range delimited by comma (e.g. '10.64.140.43-10.64.140.49,192.168.0.105-192.168.0.111'): "

var poolShapes = []*regexp.Regexp{regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+-[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+$`),
	regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+\.[0-9]{1,3}/[0-9]{1,3}$`),
	regexp.MustCompile(`^[0-9a-fA-F:]*:[0-9a-fA-F:]*-[0-9a-fA-F:]*:[0-9a-fA-F:]*$`), regexp.MustCompile(`^[0-9a-fA-F:]*:[0-9a-fA-F:]*/[0-9]{1,3}$`)}

func enableMetalLB(s *script) int {
	fmt.Println("Enabling MetalLB")
	ranges := strings.TrimSpace(s.first())
	if ranges == "" {
		reply, read := prompt(metallbPrompt)
		if !read {
			return 1
		}
		if ranges = reply; ranges == "" {
			return fail("You have to input an IP Range value when asked, or provide it as an argument to the enable command, eg:\n" +
				"  microk8s enable metallb 10.64.140.43-10.64.140.49,192.168.0.105-192.168.0.111\nYou can also use CIDR notation, eg.\n  microk8s enable metallb 192.168.1.240/24")
		}
	}
	addresses := []any{}
	for _, each := range strings.Fields(strings.ReplaceAll(ranges, ",", " ")) {
		valid := false
		for _, shape := range poolShapes {
			valid = valid || shape.MatchString(each)
		}
		if !valid {
			return fail("Your input value (%s) is not a valid IP Range", each)
		}
		addresses = append(addresses, each)
	}
	fmt.Println("Applying Metallb manifest")
	pool := kube.Object{"apiVersion": "metallb.io/v1beta1", "kind": "IPAddressPool", "metadata": kube.Object{"name": "default-addresspool", "namespace": "metallb-system"},
		"spec": kube.Object{"addresses": addresses}}
	advertisement := kube.Object{"apiVersion": "metallb.io/v1beta1", "kind": "L2Advertisement", "metadata": kube.Object{"name": "default-advertise-all-pools", "namespace": "metallb-system"}}
	if code := s.apply(objectOf("customresourcedefinition ipaddresspools.metallb.io"), objectOf("customresourcedefinition l2advertisements.metallb.io")); code != 0 {
		return code
	}
	fmt.Println("Waiting for Metallb controller to be ready.")
	s.awaitDeployment("metallb-system", "controller")
	for _, o := range []kube.Object{pool, advertisement} {
		if err := applyObject(s.client, o); err != nil {
			return exitCodeOf(err)
		}
	}
	fmt.Println("MetalLB is enabled")
	return 0
}

// awaitDeployment has no limit, as the script's loop has none.
func (s *script) awaitDeployment(namespace, name string) {
	for {
		found, err := s.client.Get("/apis/apps/v1/namespaces/" + namespace + "/deployments/" + name)
		if err == nil && kube.TextAt(kube.ConditionOf(found, "Available"), "status") == "True" {
			fmt.Printf("deployment.apps/%s condition met\n", name)
			return
		}
		time.Sleep(500 * time.Millisecond)
	}
}

func disableMetalLB(s *script) int {
	fmt.Println("Disabling MetalLB")
	pools, err := s.client.Get("/apis/metallb.io/v1beta1/" + addressPools.Plural)
	if err != nil {
		return exitCodeOf(err)
	}
	var gone []kube.Object
	for _, item := range kube.ListAt(pools, "items") {
		o := item.(kube.Object)
		o["apiVersion"], o["kind"] = "metallb.io/v1beta1", "IPAddressPool"
		gone = append(gone, o)
	}
	gone = append(gone, objectOf("customresourcedefinition ipaddresspools.metallb.io"), objectOf("customresourcedefinition l2advertisements.metallb.io"),
		objectOf("l2advertisement metallb-system/default-advertise-all-pools"))
	if code := s.remove(gone...); code != 0 {
		return code
	}
	fmt.Println("MetalLB is terminated")
	return 0
}

func enableHostAccess(s *script) int {
	key, value, _ := strings.Cut(strings.TrimSpace(s.first()), "=")
	if key != "" && key != "ip" {
		fmt.Printf("You should use the the 'ip' as key in the argument passed and not '%s'. Eg. microk8s.enable host-access:ip=%s\n", key, value)
		return 0
	}
	address := orElse(value, "10.0.1.1")
	if ip := net.ParseIP(address); ip == nil || ip.To4() == nil {
		fmt.Printf("Bad IP[%s]. Please provide a valid IP address. Default is 10.0.1.1\n", address)
		return 0
	}
	if err := os.WriteFile(lockPath("host-access-enabled"), []byte(address+"\n"), 0o660); err != nil {
		return exitCodeOf(err)
	}
	fmt.Printf("Setting %s as host-access\n", address)
	exec.Command("ip", "addr", "add", address+"/32", "dev", "lo", "label", "lo:microk8s").Run()
	fmt.Println("Host-access is enabled")
	return 0
}

func disableHostAccess(*script) int {
	if address, err := kube.ReadLine(lockPath("host-access-enabled")); err == nil {
		exec.Command("ip", "addr", "del", address+"/32", "dev", "lo").Run()
	}
	os.Remove(lockPath("host-access-enabled"))
	fmt.Println("Host-access is disabled")
	return 0
}

func enableHA(*script) int {
	fmt.Println("Enabling HA\nUpgrading the network CNI\nWaiting for the cluster to restart")
	for _, name := range []string{"no-k8s-dqlite"} {
		os.Remove(lockPath(name))
	}
	for _, name := range []string{"ha-cluster", "no-etcd", "no-flanneld"} {
		touchLock(name)
	}
	setArgument("kube-apiserver", "--etcd-servers", text(`"unix://${SNAP_DATA}/var/kubernetes/backend/kine.sock:12379"`))
	freshDatastore("etcd", "k8s-dqlite")
	fmt.Println("HA is enabled")
	return 0
}

func disableHA(s *script) int {
	force := s.first() == "-f" || s.first() == "--force"
	nodes, err := s.client.Get("/api/v1/nodes")
	if err != nil {
		return exitCodeOf(err)
	}
	if len(kube.ListAt(nodes, "items")) == 1 && !force {
		fmt.Println("Disabling HA will reset your cluster in a clean state.\nAny running workloads will be stopped and any cluster configuration will be lost.\n" +
			"As this is a single node cluster and this is a destructive operation,\nplease use the '--force' flag.")
		return 2
	}
	fmt.Println("Reverting to a non-HA setup\nEnabling flanneld and etcd")
	for _, name := range []string{"ha-cluster", "no-etcd", "no-flanneld"} {
		os.Remove(lockPath(name))
	}
	touchLock("no-k8s-dqlite")
	setArgument("kube-apiserver", "--etcd-servers", text("https://127.0.0.1:12379"))
	freshDatastore("k8s-dqlite", "etcd")
	fmt.Println("HA disabled")
	return 0
}

// freshDatastore starts over with the other datastore; all objects are gone.
func freshDatastore(from, to string) {
	systemctl("stop", unitOf("kubelite"), unitOf(from))
	os.RemoveAll(backend(""))
	os.Remove(lockPath("cni-loaded"))
	initBackend()
	systemctl("start", unitOf(to))
	systemctl("start", unitOf("kubelite"))
	waitForReady(30, true)
}

func enableMayastor(s *script) int {
	var options []option
	options = append(options, option{names: []string{"--default-pool-size"}, value: true})
	for _, name := range strings.Fields("--skip-hugepages-check --skip-kernel-check --create-storage-classes --no-create-storage-classes") {
		options = append(options, option{names: []string{name}})
	}
	found, code := clickCommand{program: "enable", usage: "[OPTIONS]", help: "-h", options: options}.parse(s.words)
	if found == nil {
		return code
	}
	if !found.has("--skip-hugepages-check") {
		pages, _ := kube.ReadLine("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages")
		if pages == "" || len(pages) < 4 {
			return fail("Mayastor requires at least 1024 hugepages (2MB size)")
		}
	}
	return enablePlain(s)
}

func enableObservability(s *script) int {
	for _, name := range []string{"core/dns", "core/helm3", "core/hostpath-storage"} {
		enableOther(name)
	}
	fmt.Println("Enabling observability")
	for _, word := range s.words {
		if !regexp.MustCompile(`^(--(kube-prometheus-stack|loki-stack|tempo)-(values|version)=.*|--without-tempo)$`).MatchString(word) {
			fmt.Fprintln(os.Stderr, "Unknown option", word)
			return 1
		}
		if word == "--without-tempo" {
			s.addon.brings = without(s.addon.brings, "statefulset observability/tempo")
		}
	}
	if code := needInternet("https://prometheus-community.github.io/helm-charts"); code != 0 {
		return code
	}
	if code := s.apply(); code != 0 {
		return code
	}
	fmt.Print("\nNote: the observability stack is setup to monitor only the current nodes of the MicroK8s cluster.\n" +
		"For any nodes joining the cluster at a later stage this addon will need to be set up again.\n\nObservability has been enabled (user/pass: admin/prom-operator)\n")
	return 0
}

func without(list []string, drop string) []string {
	var kept []string
	for _, item := range list {
		if item != drop {
			kept = append(kept, item)
		}
	}
	return kept
}

func enableCommunity(*script) int {
	if err := layCommunity(filepath.Join(snapCommon(), "addons", "community")); err != nil {
		return exitCodeOf(err)
	}
	fmt.Println("Community repository is now enabled")
	return 0
}

func disableCommunity(*script) int {
	folder := filepath.Join(snapCommon(), "addons", "community")
	fmt.Println("Removing", folder)
	os.RemoveAll(folder)
	return 0
}

const certManagerUsage = `Usage: microk8s enable cert-manager [OPTIONS]

Enable the cert-manager addon.

   -h             Print this help message
   -r REPOSITORY  cert-manager Helm chart repository (default: https://charts.jetstack.io)
   -V VERSION     cert-manager Helm chart version (default: v1.20.2)`

func enableCertManager(s *script) int {
	for n := 0; n < len(s.words) && strings.HasPrefix(s.words[n], "-"); n++ {
		word := s.words[n]
		switch word[:min(2, len(word))] {
		case "-h":
			fmt.Println(certManagerUsage)
			return 0
		case "-r", "-V":
			if len(word) > 2 {
				continue
			}
			if n++; n >= len(s.words) {
				return fail("Missing argument for option %s\n%s", word, certManagerUsage)
			}
		default:
			return fail("Invalid option %s\n%s", word[:min(2, len(word))], certManagerUsage)
		}
	}
	fmt.Println("Enable DNS addon")
	enableOther("dns")
	fmt.Println("Enable helm")
	enableOther("helm3")
	fmt.Println("Enabling cert-manager")
	if code := needInternet("https://charts.jetstack.io"); code != 0 {
		return code
	}
	if code := s.apply(objectOf("customresourcedefinition certificates.cert-manager.io"), objectOf("customresourcedefinition issuers.cert-manager.io")); code != 0 {
		return code
	}
	fmt.Print("Waiting for cert-manager to be ready.\n")
	s.awaitDeployment("cert-manager", "cert-manager-webhook")
	fmt.Println("ready\nEnabled cert-manager")
	return 0
}

func enableKubeOVN(s *script) int {
	command := clickCommand{program: "enable", usage: "[OPTIONS]", help: "-h", options: []option{{names: []string{"--hostname"}, value: true}, {names: []string{"--force"}}}}
	found, code := command.parse(s.words)
	if found == nil {
		return code
	}
	if !found.has("--force") {
		fmt.Fprint(os.Stderr, "\nWarning: this is a potentially destructive operation. Please enable kube-ovn\nwith:\n\n    microk8s enable kube-ovn --force\n\n")
		return 1
	}
	if !locked("ha-cluster") {
		fmt.Fprint(os.Stderr, "\nError: kube-ovn requires ha-cluster to be enabled. Please enable with:\n\n    microk8s enable ha-cluster\n    microk8s enable kube-ovn\n\n")
		return 1
	}
	for _, line := range []string{"daemonset kube-system/calico-node", "deployment kube-system/calico-kube-controllers"} {
		deleteObject(s.client, objectOf(line))
	}
	os.Rename(argsPath("cni-network/cni.yaml"), argsPath("cni-network/cni.yaml.backup"))
	return enablePlain(s)
}

func enableMinio(*script) int {
	fmt.Println("The Minio addon is deprecated and cannot be enabled. It will be completely removed in the upcoming versions.\n" +
		"You can run 'microk8s disable minio' to remove the minio-operator from your cluster.")
	return 0
}

func enableCIS(s *script) int {
	for _, word := range s.words {
		if name, _, _ := strings.Cut(word, "="); strings.HasPrefix(word, "-") && name != "--kubebench-version" && name != "--skip-kubebench-installation" {
			return clickCommand{program: "enable", usage: "[OPTIONS]", help: "--help"}.refuse("No such option: " + word)
		}
	}
	touchLock("cis-hardening")
	fmt.Println("CIS hardening configuration has been applied. All microk8s commands require sudo from now on.")
	return 0
}

func disableCIS(*script) int {
	os.Remove(lockPath("cis-hardening"))
	fmt.Println("CIS hardening removed")
	return 0
}

func enableRook(s *script) int {
	var options []option
	for _, name := range strings.Fields("--rook-version --rook-repository --set --values -f") {
		options = append(options, option{names: []string{name}, value: true})
	}
	found, code := clickCommand{program: "enable", usage: "[OPTIONS]", help: "--help", options: options}.parse(s.words)
	if found == nil {
		return code
	}
	if code := needInternet("https://charts.rook.io/release"); code != 0 {
		return code
	}
	plugin := filepath.Join(snapCommon(), "plugins", "connect-external-ceph")
	os.WriteFile(plugin, []byte("#!/bin/sh\necho 'the stand-in has no Ceph'\nexit 1\n"), 0o755)
	return enablePlain(s)
}
