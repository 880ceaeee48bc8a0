// The kubelet of a node: registers it, keeps its status and lease fresh, and "runs" the pods bound to it.
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
	"runtime"
	"strings"
	"syscall"
	"time"
)

const (
	leaseInterval  = 10 * time.Second
	statusInterval = 5 * time.Minute
	oldVersionFor  = 2 * time.Second // how long a restarted node still shows the version it ran before
)

type kubelet struct {
	*agent
	api        *kubeClient
	lastStatus time.Time
	lastLease  time.Time
	networkUp  time.Time
	pods       map[string]time.Time // by UID: when the pod was first seen
	ready      string
	registered bool
}

// run registers the node and works until it fails; a nil error never comes back.
func (a *agent) run() error {
	api, err := a.kubelet()
	if err != nil {
		return err
	}
	k := &kubelet{agent: a, api: api, pods: map[string]time.Time{}}
	a.importImages()
	infof("Running kubelet --hostname-override=%s --kubeconfig=%s", a.nodeName, a.certPath("kubelet.kubeconfig"))
	if err := a.checkKubeletArguments(); err != nil {
		if a.role == "agent" && k.configure() == nil { // a node that is known is ready before its kubelet has failed
			notifyReady()
		}
		time.Sleep(4 * time.Second)
		return fmt.Errorf("kubelet exited: failed to run Kubelet: %w", err)
	}
	k.awaitNode()
	k.startNetwork()
	if a.role == "agent" {
		infof("k3s agent is up and running")
		notifyReady()
	}
	k.startShim()
	failed := make(chan error, 1)
	go k.watchNetwork(failed)
	go k.work()
	return <-failed
}

// watchNetwork ends a node whose range of pod addresses lies outside the cluster's, as flannel does.
func (k *kubelet) watchNetwork(failed chan error) {
	if k.cluster.FlannelBackend == "none" {
		return
	}
	for {
		node, err := k.api.get(k.path())
		address, _, rangeErr := net.ParseCIDR(textAt(node, "spec", "podCIDR"))
		if err == nil && rangeErr == nil {
			first, _, _ := strings.Cut(k.cluster.ClusterCIDR, ",")
			if _, whole, err := net.ParseCIDR(first); err == nil && !whole.Contains(address) {
				time.Sleep(time.Second)
				failed <- fmt.Errorf("flannel exited: failed to register flannel network: failed to acquire lease: subnet %q specified in the flannel net config "+
					"doesn't contain %q PodCIDR of the %q node", first, textAt(node, "spec", "podCIDR"), k.nodeName)
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
	if onCgroupV1() && kubeletArgument(a.opts, "fail-cgroupv1") != "false" {
		return errors.New("kubelet is configured to not run on a host using cgroup v1. cgroup v1 support is unsupported and will be removed in a future release")
	}
	allowed := map[string]bool{"beta.kubernetes.io/arch": true, "beta.kubernetes.io/instance-type": true, "beta.kubernetes.io/os": true,
		"failure-domain.beta.kubernetes.io/region": true, "failure-domain.beta.kubernetes.io/zone": true, "kubernetes.io/arch": true,
		"kubernetes.io/hostname": true, "kubernetes.io/os": true, "node.kubernetes.io/instance-type": true,
		"topology.kubernetes.io/region": true, "topology.kubernetes.io/zone": true}
	var unknown []string
	for _, label := range a.opts.split("node-label") {
		key, _, _ := strings.Cut(label, "=")
		domain, _, found := strings.Cut(key, "/")
		official := found && (domain == "kubernetes.io" || strings.HasSuffix(domain, ".kubernetes.io") || domain == "k8s.io" || strings.HasSuffix(domain, ".k8s.io"))
		open := strings.HasSuffix(domain, "kubelet.kubernetes.io") || strings.HasSuffix(domain, "node.kubernetes.io")
		if official && !open && !allowed[key] {
			unknown = append(unknown, key)
		}
	}
	if len(unknown) > 0 {
		return fmt.Errorf("failed to validate kubelet flags: unknown 'kubernetes.io' or 'k8s.io' labels specified with --node-labels: %v\n"+
			"--node-labels in the 'kubernetes.io' namespace must begin with an allowed prefix (kubelet.kubernetes.io, node.kubernetes.io) or be in the specifically allowed set", unknown)
	}
	return nil
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

func onCgroupV1() bool {
	const cgroup2Magic = 0x63677270
	var stat syscall.Statfs_t
	return syscall.Statfs("/sys/fs/cgroup", &stat) == nil && stat.Type != cgroup2Magic
}

func (a *agent) importImages() {
	files, _ := filepath.Glob(filepath.Join(a.dir, "images", "*.tar*"))
	for _, file := range files {
		infof("Importing images from %s", file)
		infof("Imported images from %s in 100ms", file)
	}
}

func (k *kubelet) path() string { return "/api/v1/nodes/" + k.nodeName }

// awaitNode registers the node, if it is not known, and writes its labels and annotations.
func (k *kubelet) awaitNode() {
	for {
		err := k.register()
		if err == nil {
			err = k.configure()
		}
		if err == nil {
			infof("Annotations and labels have been set successfully on node: %s", k.nodeName)
			return
		}
		infof("Failed to set annotations and labels on node %s: %v", k.nodeName, err)
		time.Sleep(time.Second)
	}
}

// register creates the Node; labels and taints of the configuration count fully only here.
func (k *kubelet) register() error {
	_, err := k.api.get(k.path())
	if err == nil {
		if !k.registered { // after a restart the status stays as it was for a while
			k.lastStatus = time.Now().Add(oldVersionFor - statusInterval)
			k.networkUp = time.Now()
			k.ready = "True"
		}
		k.registered = true
		return nil
	}
	if !isNotFound(err) {
		return err
	}
	labels := object{"beta.kubernetes.io/arch": runtime.GOARCH, "beta.kubernetes.io/os": "linux", "kubernetes.io/arch": runtime.GOARCH,
		"kubernetes.io/os": "linux", "kubernetes.io/hostname": k.nodeName, "node.kubernetes.io/instance-type": "k3s", "beta.kubernetes.io/instance-type": "k3s"}
	for _, label := range k.opts.split("node-label") {
		key, value, _ := strings.Cut(label, "=")
		labels[key] = value
	}
	taints := []any{object{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}}
	for _, taint := range k.opts.split("node-taint") {
		taints = append(taints, parseTaint(taint))
	}
	k.ready, k.networkUp = "False", time.Now().Add(700*time.Millisecond)
	node := object{"apiVersion": "v1", "kind": "Node", "spec": object{"taints": taints, "providerID": "k3s://" + k.nodeName},
		"metadata": object{"name": k.nodeName, "labels": labels, "annotations": object{"volumes.kubernetes.io/controller-managed-attach-detach": "true"}},
		"status":   k.status()}
	_, err = k.api.do("POST", "/api/v1/nodes", "", node)
	if err == nil {
		k.registered = true
		k.lastStatus, k.lastLease = time.Now(), time.Time{}
	}
	return err
}

func parseTaint(text string) object {
	body, effect, _ := strings.Cut(text, ":")
	key, value, hasValue := strings.Cut(body, "=")
	taint := object{"key": key, "effect": effect}
	if hasValue && value != "" {
		taint["value"] = value
	}
	return taint
}

// configure adds labels of the configuration and the annotations that show how this start was configured.
func (k *kubelet) configure() error {
	arguments, environment := nodeArguments(k.role, k.args), nodeEnvironment()
	sum := sha256.Sum256([]byte(arguments + environment))
	host, _ := os.Hostname()
	annotations := object{
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
	labels := object{}
	for _, label := range k.opts.list("node-label") {
		key, value, _ := strings.Cut(label, "=")
		labels[key] = value
	}
	return k.api.patch(k.path(), mergePatchType, object{"metadata": object{"annotations": annotations, "labels": labels}})
}

func (k *kubelet) networkReady() bool {
	if time.Now().Before(k.networkUp) {
		return false
	}
	if k.cluster.FlannelBackend != "none" {
		return true
	}
	for _, dir := range []string{"/etc/cni/net.d", filepath.Join(k.dir, "etc", "cni", "net.d")} {
		if found, _ := filepath.Glob(filepath.Join(dir, "*.conf*")); len(found) > 0 {
			return true
		}
	}
	return false
}

func (k *kubelet) status() object {
	condition := func(kind, status, reason, message string) object {
		return object{"type": kind, "status": status, "reason": reason, "message": message,
			"lastHeartbeatTime": stamp(time.Now()), "lastTransitionTime": stamp(time.Now())}
	}
	ready := condition("Ready", "True", "KubeletReady", "kubelet is posting ready status")
	if !k.networkReady() {
		ready = condition("Ready", "False", "KubeletNotReady", "container runtime network not ready: NetworkReady=false "+
			"reason:NetworkPluginNotReady message:Network plugin returns error: cni plugin not initialized")
	}
	host, _ := os.Hostname()
	addresses := []any{}
	for _, address := range k.nodeIPs {
		addresses = append(addresses, object{"type": "InternalIP", "address": address})
	}
	for _, address := range k.opts.split("node-external-ip") {
		addresses = append(addresses, object{"type": "ExternalIP", "address": address})
	}
	addresses = append(addresses, object{"type": "Hostname", "address": host})
	capacity := object{"cpu": fmt.Sprint(runtime.NumCPU()), "memory": "2048000Ki", "pods": "110", "ephemeral-storage": "10Gi"}
	return object{"capacity": capacity, "allocatable": capacity, "addresses": addresses, "nodeInfo": nodeInfo(),
		"daemonEndpoints": object{"kubeletEndpoint": object{"Port": 10250}},
		"conditions": []any{
			condition("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
			condition("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
			condition("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"), ready}}
}

func nodeInfo() object {
	machine, _ := readTokenFile("/etc/machine-id")
	boot, _ := readTokenFile("/proc/sys/kernel/random/boot_id")
	kernel, _ := readTokenFile("/proc/sys/kernel/osrelease")
	image := "Linux"
	if content, err := os.ReadFile("/etc/os-release"); err == nil {
		for _, line := range strings.Split(string(content), "\n") {
			if value, ok := strings.CutPrefix(line, "PRETTY_NAME="); ok {
				image = strings.Trim(value, `"`)
			}
		}
	}
	return object{"machineID": machine, "systemUUID": machine, "bootID": boot, "kernelVersion": kernel, "osImage": image,
		"containerRuntimeVersion": "containerd://2.3.2-k3s1", "kubeletVersion": version, "kubeProxyVersion": "", "operatingSystem": "linux", "architecture": runtime.GOARCH}
}

func (k *kubelet) work() {
	for {
		k.renewLease()
		k.postStatus()
		k.syncPods()
		time.Sleep(time.Second)
	}
}

func (k *kubelet) postStatus() {
	now := "False"
	if k.networkReady() {
		now = "True"
	}
	if time.Since(k.lastStatus) < statusInterval && now == k.ready {
		return
	}
	fresh := k.status()
	old, err := k.api.get(k.path())
	if err != nil {
		return
	}
	for _, condition := range listAt(fresh, "conditions") {
		for _, before := range listAt(old, "status", "conditions") {
			if textAt(before, "type") == textAt(condition, "type") && textAt(before, "status") == textAt(condition, "status") {
				condition.(object)["lastTransitionTime"] = textAt(before, "lastTransitionTime")
			}
		}
	}
	if k.api.patch(k.path()+"/status", strategicPatchType, object{"status": fresh}) == nil {
		k.lastStatus, k.ready = time.Now(), now
	}
}

// renewLease also finds out whether the Node is gone, and registers it again.
func (k *kubelet) renewLease() {
	interval := leaseInterval
	if k.lastLease.IsZero() {
		interval = 0
	}
	if node, err := k.api.get(k.path()); isNotFound(err) {
		if k.register() == nil {
			k.configure()
		}
		return
	} else if err != nil {
		return
	} else if ready := conditionOf(node, "Ready"); textAt(ready, "status") == "Unknown" {
		k.lastStatus, interval = time.Time{}, 0
	}
	if time.Since(k.lastLease) < interval {
		return
	}
	path := "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
	spec := object{"holderIdentity": k.nodeName, "leaseDurationSeconds": 40, "renewTime": microStamp(time.Now())}
	err := k.api.patch(path+"/"+k.nodeName, mergePatchType, object{"spec": spec})
	if isNotFound(err) {
		_, err = k.api.do("POST", path, "", object{"metadata": object{"name": k.nodeName}, "spec": spec})
	}
	if err == nil {
		k.lastLease = time.Now()
	}
}

func conditionOf(o object, kind string) object {
	for _, condition := range listAt(o, "status", "conditions") {
		if textAt(condition, "type") == kind {
			return condition.(object)
		}
	}
	return nil
}

// syncPods makes the pods of this node run a second after they were bound, and ends those that are to be deleted.
func (k *kubelet) syncPods() {
	found, err := k.api.get("/api/v1/pods?fieldSelector=spec.nodeName%3D" + k.nodeName)
	if err != nil {
		return
	}
	alive := map[string]bool{}
	for _, item := range listAt(found, "items") {
		pod := item.(object)
		uid, namespace := textAt(pod, "metadata", "uid"), textAt(pod, "metadata", "namespace")
		path := "/api/v1/namespaces/" + namespace + "/pods/" + nameOf(pod)
		if textAt(pod, "metadata", "deletionTimestamp") != "" {
			removePodFolders(uid)
			k.api.do("DELETE", path, "", object{"gracePeriodSeconds": 0})
			continue
		}
		alive[uid] = true
		if _, known := k.pods[uid]; !known {
			k.pods[uid] = time.Now()
			makePodFolders(pod)
		}
		if textAt(pod, "status", "phase") == "Pending" && time.Since(k.pods[uid]) > time.Second {
			k.api.patch(path+"/status", mergePatchType, object{"status": runningStatus(pod, k.nodeIPs[0])})
		}
	}
	for uid := range k.pods {
		if !alive[uid] {
			delete(k.pods, uid)
			removePodFolders(uid)
		}
	}
}

// makePodFolders makes what a pod leaves on a host: folders, a mounted volume, a log and its link.
func makePodFolders(pod object) {
	namespace, name, uid := textAt(pod, "metadata", "namespace"), nameOf(pod), textAt(pod, "metadata", "uid")
	if volume := volumeFolder(uid); !exists(volume) && os.MkdirAll(volume, 0o750) == nil {
		syscall.Mount("tmpfs", volume, "tmpfs", 0, "size=64k")
	}
	folder := filepath.Join("/var/log/pods", namespace+"_"+name+"_"+uid)
	os.MkdirAll("/var/log/containers", 0o755)
	for _, container := range listAt(pod, "spec", "containers") {
		log := filepath.Join(folder, textAt(container, "name"), "0.log")
		if os.MkdirAll(filepath.Dir(log), 0o755) == nil && !exists(log) {
			os.WriteFile(log, []byte("the stand-in has no logs\n"), 0o640)
			os.Symlink(log, fmt.Sprintf("/var/log/containers/%s_%s_%s-%s.log", name, namespace, textAt(container, "name"), randomHex(32)))
		}
	}
}

func volumeFolder(uid string) string {
	return filepath.Join("/var/lib/kubelet/pods", uid, "volumes", "kubernetes.io~projected", "kube-api-access")
}

func removePodFolders(uid string) {
	syscall.Unmount(volumeFolder(uid), syscall.MNT_DETACH)
	os.RemoveAll(filepath.Join("/var/lib/kubelet/pods", uid))
}

func runningStatus(pod object, hostIP string) object {
	now := stamp(time.Now())
	phase, ready, state := "Running", "True", object{"running": object{"startedAt": now}}
	if textAt(pod, "spec", "restartPolicy") == "Never" || textAt(pod, "spec", "restartPolicy") == "OnFailure" {
		phase, ready, state = "Succeeded", "False", object{"terminated": object{"exitCode": 0, "reason": "Completed", "startedAt": now, "finishedAt": now}}
	}
	statuses := []any{}
	for _, container := range listAt(pod, "spec", "containers") {
		statuses = append(statuses, object{"name": textAt(container, "name"), "image": textAt(container, "image"), "imageID": textAt(container, "image"),
			"ready": ready == "True", "started": ready == "True", "restartCount": 0, "state": state, "containerID": "containerd://" + randomHex(32)})
	}
	conditions := []any{}
	for _, kind := range []string{"Initialized", "Ready", "ContainersReady", "PodScheduled"} {
		status := "True"
		if strings.HasSuffix(kind, "Ready") {
			status = ready
		}
		conditions = append(conditions, object{"type": kind, "status": status, "lastTransitionTime": now})
	}
	return object{"phase": phase, "startTime": now, "hostIP": hostIP, "podIP": "10.42.0.2", "conditions": conditions, "containerStatuses": statuses}
}

// startNetwork makes the devices and files that flannel leaves on a host, where that is possible.
func (k *kubelet) startNetwork() {
	os.MkdirAll("/usr/libexec/kubernetes/kubelet-plugins/volume/exec", 0o755)
	os.MkdirAll("/run/k3s/containerd", 0o711)
	if shm := "/run/k3s/containerd/shm"; !exists(shm) && os.Mkdir(shm, 0o700) == nil {
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

// startShim leaves a process that outlives the service, as containers do, unless one is there from before.
func (k *kubelet) startShim() {
	pidFile := "/run/k3s/containerd/standin-shim.pid"
	if pid, err := readTokenFile(pidFile); err == nil {
		if command, err := os.ReadFile("/proc/" + pid + "/cmdline"); err == nil && strings.Contains(string(command), "containerd-shim") {
			return
		}
	}
	shim := filepath.Join(unpackedDir(filepath.Dir(k.dir)), "bin", "containerd-shim-runc-v2")
	command := exec.Command(shim, "-namespace", "k8s.io", "-id", randomHex(32), "-address", "/run/k3s/containerd/containerd.sock")
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	command.Dir = "/"
	if err := command.Start(); err != nil {
		warnf("cannot start %s: %v", shim, err)
		return
	}
	go command.Wait()
	os.WriteFile(pidFile, []byte(fmt.Sprint(command.Process.Pid)), 0o600)
}
