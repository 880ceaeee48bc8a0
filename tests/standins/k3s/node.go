// The node of k3s: what it tells its kubelet, and what an agent adds to the Node and to the host.
package main

import (
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"standin/kube"
)

// node is an agent with its kubelet.
type node struct {
	*agent
	*kube.Kubelet
}

func (a *agent) newNode(api *kube.KubeClient) *node {
	n := &node{agent: a}
	n.Kubelet = &kube.Kubelet{API: api, NodeName: a.nodeName, Addresses: a.nodeIPs, ExternalIPs: a.opts.split("node-external-ip"),
		Labels: a.opts.split("node-label"), Taints: a.opts.split("node-taint"), ProviderID: "k3s://" + a.nodeName,
		NodeLabels: kube.Object{"node.kubernetes.io/instance-type": "k3s", "beta.kubernetes.io/instance-type": "k3s"},
		Runtime:    "containerd://2.3.2-k3s1", Root: "/var/lib/kubelet", PodAddress: "10.42.0.2", Configure: n.configure, Pods: map[string]time.Time{}}
	if a.cluster.FlannelBackend == "none" {
		n.Kubelet.NetworkConfigDirs = []string{"/etc/cni/net.d", filepath.Join(a.dir, "etc", "cni", "net.d")}
	}
	return n
}

// run registers the node and works until it fails; a nil error never comes back.
func (a *agent) run() error {
	api, err := a.kubeletClient()
	if err != nil {
		return err
	}
	k := a.newNode(api)
	a.importImages()
	kube.Infof("Running kubelet --hostname-override=%s --kubeconfig=%s", a.nodeName, a.certPath("kubelet.kubeconfig"))
	if err := a.checkKubeletArguments(); err != nil {
		if a.role == "agent" && k.configure() == nil { // a node that is known is ready before its kubelet has failed
			notifyReady()
		}
		time.Sleep(4 * time.Second)
		return fmt.Errorf("kubelet exited: failed to run Kubelet: %w", err)
	}
	k.AwaitNode()
	k.startNetwork()
	if a.role == "agent" {
		kube.Infof("k3s agent is up and running")
		notifyReady()
	}
	kube.StartShim(filepath.Join(unpackedDir(filepath.Dir(k.dir)), "bin", "containerd-shim-runc-v2"), "/run/k3s/containerd/containerd.sock", "/run/k3s/containerd/standin-shim.pid")
	failed := make(chan error, 1)
	go k.watchNetwork(failed)
	go k.Work()
	return <-failed
}

// watchNetwork ends a node whose range of pod addresses lies outside the cluster's, as flannel does.
func (k *node) watchNetwork(failed chan error) {
	if k.cluster.FlannelBackend == "none" {
		return
	}
	for {
		node, err := k.API.Get(k.Path())
		address, _, rangeErr := net.ParseCIDR(kube.TextAt(node, "spec", "podCIDR"))
		if err == nil && rangeErr == nil {
			first, _, _ := strings.Cut(k.cluster.ClusterCIDR, ",")
			if _, whole, err := net.ParseCIDR(first); err == nil && !whole.Contains(address) {
				time.Sleep(time.Second)
				failed <- fmt.Errorf("flannel exited: failed to register flannel network: failed to acquire lease: subnet %q specified in the flannel net config "+
					"doesn't contain %q PodCIDR of the %q node", first, kube.TextAt(node, "spec", "podCIDR"), k.agent.nodeName)
			}
			addAddresses(address)
			return
		}
		time.Sleep(time.Second)
	}
}

// addAddresses gives flannel's devices theirs, the first of the node's range of pod addresses.
func addAddresses(network net.IP) {
	gateway := append(net.IP{}, network...)
	gateway[len(gateway)-1]++
	exec.Command("ip", "addr", "replace", network.String()+"/32", "dev", "flannel.1").Run()
	exec.Command("ip", "addr", "replace", gateway.String()+"/24", "dev", "cni0").Run()
}

// checkKubeletArguments refuses what a kubelet of this version refuses.
func (a *agent) checkKubeletArguments() error {
	if kube.OnCgroupV1() && kubeletArgument(a.opts, "fail-cgroupv1") != "false" {
		return errors.New("kubelet is configured to not run on a host using cgroup v1. cgroup v1 support is unsupported and will be removed in a future release")
	}
	return kube.CheckNodeLabels(a.opts.split("node-label"))
}

func kubeletArgument(o *options, name string) string {
	value := ""
	for _, argument := range o.list("kubelet-arg") {
		if found, ok := strings.CutPrefix(strings.TrimLeft(argument, "-"), name+"="); ok {
			value = found
		}
	}
	return value
}

func (a *agent) importImages() {
	files, _ := filepath.Glob(filepath.Join(a.dir, "images", "*.tar*"))
	for _, file := range files {
		kube.Infof("Importing images from %s", file)
		kube.Infof("Imported images from %s in 100ms", file)
	}
}

// configure adds labels of the configuration and the annotations that show how this start was configured.
func (k *node) configure() error {
	arguments, environment := nodeArguments(k.role, k.args), nodeEnvironment()
	sum := sha256.Sum256([]byte(arguments + environment))
	host, _ := os.Hostname()
	annotations := kube.Object{
		"k3s.io/hostname": host, "k3s.io/internal-ip": strings.Join(k.nodeIPs, ","), "k3s.io/node-args": arguments, "k3s.io/node-env": environment,
		"k3s.io/node-config-hash": base32.StdEncoding.EncodeToString(sum[:]), "node.alpha.kubernetes.io/ttl": "0",
	}
	for flag, annotation := range map[string]string{"node-external-ip": "k3s.io/external-ip", "node-internal-dns": "k3s.io/internal-dns", "node-external-dns": "k3s.io/external-dns"} {
		if values := k.opts.split(flag); len(values) > 0 {
			annotations[annotation] = strings.Join(values, ",")
		}
	}
	if k.cluster.FlannelBackend != "none" {
		annotations["flannel.alpha.coreos.com/backend-type"] = k.cluster.FlannelBackend
		annotations["flannel.alpha.coreos.com/public-ip"] = k.nodeIPs[0]
		annotations["flannel.alpha.coreos.com/kube-subnet-manager"] = "true"
	}
	labels := kube.Object{}
	for _, label := range k.opts.list("node-label") {
		key, value, _ := strings.Cut(label, "=")
		labels[key] = value
	}
	return k.API.Patch(k.Path(), kube.MergePatchType, kube.Object{"metadata": kube.Object{"annotations": annotations, "labels": labels}})
}

// startNetwork makes the devices and files that flannel leaves on a host, where that is possible.
func (k *node) startNetwork() {
	os.MkdirAll("/usr/libexec/kubernetes/kubelet-plugins/volume/exec", 0o755)
	os.MkdirAll("/run/k3s/containerd", 0o711)
	if shm := "/run/k3s/containerd/shm"; !kube.Exists(shm) && os.Mkdir(shm, 0o700) == nil {
		syscall.Mount("shm", shm, "tmpfs", 0, "size=64k")
	}
	os.MkdirAll(filepath.Join(k.dir, "containerd"), 0o700)
	os.MkdirAll(filepath.Join(k.dir, "etc", "containerd"), 0o700)
	os.WriteFile(filepath.Join(k.dir, "etc", "containerd", "config.toml"), []byte("# stand-in\nversion = 3\n"), 0o600)
	if k.cluster.FlannelBackend == "none" || k.cluster.FlannelBackend == "" {
		return
	}
	os.MkdirAll("/run/flannel", 0o755)
	os.WriteFile("/run/flannel/subnet.env", []byte("FLANNEL_NETWORK="+k.cluster.ClusterCIDR+"\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n"), 0o644)
	os.MkdirAll("/var/lib/cni/networks/cbr0", 0o755)
	for _, words := range []string{"link add cni0 type bridge", "link set cni0 up", "link add flannel.1 type vxlan id 1 dstport 8472 nolearning", "link set flannel.1 up"} {
		exec.Command("ip", strings.Fields(words)...).Run()
	}
}
