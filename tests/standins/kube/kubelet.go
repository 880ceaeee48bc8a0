// The kubelet of a node: registers it, keeps its status and lease fresh, and "runs" the pods bound to it.
package kube

import (
	"fmt"
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

// Kubelet is what a distribution tells of its node, and what the node remembers.
type Kubelet struct {
	API               *KubeClient
	NodeName          string
	Addresses         []string
	ExternalIPs       []string
	Labels, Taints    []string // as on the command line: key=value, key=value:effect
	NodeLabels        Object   // labels that the distribution gives to each node
	ProviderID        string
	Runtime           string // name://version of the container runtime
	Root              string // folder of the pods
	PodAddress        string
	NetworkConfigDirs []string // where a network plugin's configuration is looked for; none: the distribution brings the network
	Configure         func() error
	CanRun            func(pod Object) bool // whether the pod's images are at hand; nil: always

	LastStatus time.Time
	LastLease  time.Time
	NetworkUp  time.Time
	Pods       map[string]time.Time // by UID: when the pod was first seen
	Ready      string
	Registered bool
	uid        string
}

func OnCgroupV1() bool {
	const cgroup2Magic = 0x63677270
	var stat syscall.Statfs_t
	return syscall.Statfs("/sys/fs/cgroup", &stat) == nil && stat.Type != cgroup2Magic
}

func (k *Kubelet) Path() string { return "/api/v1/nodes/" + k.NodeName }

// AwaitNode registers the node, if it is not known, and writes its labels and annotations.
func (k *Kubelet) AwaitNode() {
	for {
		err := k.Register()
		if err == nil {
			err = k.Configure()
		}
		if err == nil {
			Infof("Annotations and labels have been set successfully on node: %s", k.NodeName)
			return
		}
		Infof("Failed to set annotations and labels on node %s: %v", k.NodeName, err)
		time.Sleep(time.Second)
	}
}

// Register creates the Node; labels and taints of the configuration count fully only here.
func (k *Kubelet) Register() error {
	_, err := k.API.Get(k.Path())
	if err == nil {
		if !k.Registered { // after a restart the status stays as it was for a while
			k.LastStatus = time.Now().Add(oldVersionFor - statusInterval)
			k.NetworkUp = time.Now()
			k.Ready = "True"
		}
		k.Registered = true
		return nil
	}
	if !IsNotFound(err) {
		return err
	}
	labels := Object{"beta.kubernetes.io/arch": runtime.GOARCH, "beta.kubernetes.io/os": "linux", "kubernetes.io/arch": runtime.GOARCH,
		"kubernetes.io/os": "linux", "kubernetes.io/hostname": k.NodeName}
	for key, value := range k.NodeLabels {
		labels[key] = value
	}
	for _, label := range k.Labels {
		key, value, _ := strings.Cut(label, "=")
		labels[key] = value
	}
	taints := []any{Object{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}}
	for _, taint := range k.Taints {
		taints = append(taints, parseTaint(taint))
	}
	k.Ready, k.NetworkUp = "False", time.Now().Add(700*time.Millisecond)
	spec := Object{"taints": taints}
	if k.ProviderID != "" {
		spec["providerID"] = k.ProviderID
	}
	node := Object{"apiVersion": "v1", "kind": "Node", "spec": spec,
		"metadata": Object{"name": k.NodeName, "labels": labels, "annotations": Object{"volumes.kubernetes.io/controller-managed-attach-detach": "true"}},
		"status":   k.Status()}
	_, err = k.API.Do("POST", "/api/v1/nodes", "", node)
	if err == nil {
		k.Registered = true
		k.LastStatus, k.LastLease = time.Now(), time.Time{}
	}
	return err
}

func parseTaint(text string) Object {
	body, effect, _ := strings.Cut(text, ":")
	key, value, hasValue := strings.Cut(body, "=")
	taint := Object{"key": key, "effect": effect}
	if hasValue && value != "" {
		taint["value"] = value
	}
	return taint
}

// NetworkReady tells whether pods would get addresses.
func (k *Kubelet) NetworkReady() bool {
	if time.Now().Before(k.NetworkUp) {
		return false
	}
	for _, dir := range k.NetworkConfigDirs {
		if found, _ := filepath.Glob(filepath.Join(dir, "*.conf*")); len(found) > 0 {
			return true
		}
	}
	return len(k.NetworkConfigDirs) == 0
}

func (k *Kubelet) Status() Object {
	condition := func(kind, status, reason, message string) Object {
		return Object{"type": kind, "status": status, "reason": reason, "message": message,
			"lastHeartbeatTime": Stamp(time.Now()), "lastTransitionTime": Stamp(time.Now())}
	}
	ready := condition("Ready", "True", "KubeletReady", "kubelet is posting ready status")
	if !k.NetworkReady() {
		ready = condition("Ready", "False", "KubeletNotReady", "container runtime network not ready: NetworkReady=false "+
			"reason:NetworkPluginNotReady message:Network plugin returns error: cni plugin not initialized")
	}
	host, _ := os.Hostname()
	addresses := []any{}
	for _, address := range k.Addresses {
		addresses = append(addresses, Object{"type": "InternalIP", "address": address})
	}
	for _, address := range k.ExternalIPs {
		addresses = append(addresses, Object{"type": "ExternalIP", "address": address})
	}
	addresses = append(addresses, Object{"type": "Hostname", "address": host})
	capacity := Object{"cpu": fmt.Sprint(runtime.NumCPU()), "memory": "2048000Ki", "pods": "110", "ephemeral-storage": "10Gi"}
	return Object{"capacity": capacity, "allocatable": capacity, "addresses": addresses, "nodeInfo": nodeInfo(k.Runtime),
		"daemonEndpoints": Object{"kubeletEndpoint": Object{"Port": 10250}},
		"conditions": []any{
			condition("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
			condition("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
			condition("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"), ready}}
}

func nodeInfo(runtimeVersion string) Object {
	machine, _ := ReadLine("/etc/machine-id")
	boot, _ := ReadLine("/proc/sys/kernel/random/boot_id")
	kernel, _ := ReadLine("/proc/sys/kernel/osrelease")
	image := "Linux"
	if content, err := os.ReadFile("/etc/os-release"); err == nil {
		for _, line := range strings.Split(string(content), "\n") {
			if value, ok := strings.CutPrefix(line, "PRETTY_NAME="); ok {
				image = strings.Trim(value, `"`)
			}
		}
	}
	return Object{"machineID": machine, "systemUUID": machine, "bootID": boot, "kernelVersion": kernel, "osImage": image,
		"containerRuntimeVersion": runtimeVersion, "kubeletVersion": Version, "kubeProxyVersion": "", "operatingSystem": "linux", "architecture": runtime.GOARCH}
}

func (k *Kubelet) Work() {
	for {
		k.RenewLease()
		k.PostStatus()
		k.SyncPods()
		time.Sleep(time.Second)
	}
}

func (k *Kubelet) PostStatus() {
	now := "False"
	if k.NetworkReady() {
		now = "True"
	}
	if time.Since(k.LastStatus) < statusInterval && now == k.Ready {
		return
	}
	fresh := k.Status()
	old, err := k.API.Get(k.Path())
	if err != nil {
		return
	}
	for _, condition := range ListAt(fresh, "conditions") {
		for _, before := range ListAt(old, "status", "conditions") {
			if TextAt(before, "type") == TextAt(condition, "type") && TextAt(before, "status") == TextAt(condition, "status") {
				condition.(Object)["lastTransitionTime"] = TextAt(before, "lastTransitionTime")
			}
		}
	}
	if k.API.Patch(k.Path()+"/status", strategicPatchType, Object{"status": fresh}) == nil {
		k.LastStatus, k.Ready = time.Now(), now
	}
}

// RenewLease also finds out whether the Node is gone, and registers it again.
func (k *Kubelet) RenewLease() {
	interval := leaseInterval
	if k.LastLease.IsZero() {
		interval = 0
	}
	node, err := k.API.Get(k.Path())
	if IsNotFound(err) {
		if k.Register() == nil {
			k.Configure()
		}
		return
	}
	if err != nil {
		return
	}
	k.uid = TextAt(node, "metadata", "uid")
	if ready := ConditionOf(node, "Ready"); TextAt(ready, "status") == "Unknown" {
		k.LastStatus, interval = time.Time{}, 0
	}
	if time.Since(k.LastLease) < interval {
		return
	}
	path := "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
	spec := Object{"holderIdentity": k.NodeName, "leaseDurationSeconds": 40, "renewTime": microStamp(time.Now())}
	err = k.API.Patch(path+"/"+k.NodeName, MergePatchType, Object{"spec": spec})
	if IsNotFound(err) {
		_, err = k.API.Do("POST", path, "", Object{"spec": spec,
			"metadata": Object{"name": k.NodeName, "ownerReferences": []any{Object{"apiVersion": "v1", "kind": "Node", "name": k.NodeName, "uid": k.uid}}}})
	}
	if err == nil {
		k.LastLease = time.Now()
	}
}

func ConditionOf(o Object, kind string) Object {
	for _, condition := range ListAt(o, "status", "conditions") {
		if TextAt(condition, "type") == kind {
			return condition.(Object)
		}
	}
	return nil
}

// SyncPods makes the pods of this node run a second after they were bound, and ends those that are to be deleted.
func (k *Kubelet) SyncPods() {
	found, err := k.API.Get("/api/v1/pods?fieldSelector=spec.nodeName%3D" + k.NodeName)
	if err != nil {
		return
	}
	alive := map[string]bool{}
	for _, item := range ListAt(found, "items") {
		pod := item.(Object)
		uid, namespace := TextAt(pod, "metadata", "uid"), TextAt(pod, "metadata", "namespace")
		path := "/api/v1/namespaces/" + namespace + "/pods/" + NameOf(pod)
		if TextAt(pod, "metadata", "deletionTimestamp") != "" {
			k.RemovePodFolders(uid)
			k.API.Do("DELETE", path, "", Object{"gracePeriodSeconds": 0})
			continue
		}
		alive[uid] = true
		if _, known := k.Pods[uid]; !known {
			k.Pods[uid] = time.Now()
			k.MakePodFolders(pod)
		}
		if TextAt(pod, "status", "phase") == "Pending" && (k.CanRun == nil || k.CanRun(pod)) && time.Since(k.Pods[uid]) > time.Second {
			k.API.Patch(path+"/status", MergePatchType, Object{"status": runningStatus(pod, k.Addresses[0], k.PodAddress)})
		}
	}
	for uid := range k.Pods {
		if !alive[uid] {
			delete(k.Pods, uid)
			k.RemovePodFolders(uid)
		}
	}
}

// MakePodFolders makes what a pod leaves on a host: folders, a mounted volume, a log and its link.
func (k *Kubelet) MakePodFolders(pod Object) {
	namespace, name, uid := TextAt(pod, "metadata", "namespace"), NameOf(pod), TextAt(pod, "metadata", "uid")
	if volume := k.VolumeFolder(uid); !Exists(volume) && os.MkdirAll(volume, 0o750) == nil {
		syscall.Mount("tmpfs", volume, "tmpfs", 0, "size=64k")
	}
	folder := filepath.Join("/var/log/pods", namespace+"_"+name+"_"+uid)
	os.MkdirAll("/var/log/containers", 0o755)
	for _, container := range ListAt(pod, "spec", "containers") {
		log := filepath.Join(folder, TextAt(container, "name"), "0.log")
		if os.MkdirAll(filepath.Dir(log), 0o755) == nil && !Exists(log) {
			os.WriteFile(log, []byte("the stand-in has no logs\n"), 0o640)
			os.Symlink(log, fmt.Sprintf("/var/log/containers/%s_%s_%s-%s.log", name, namespace, TextAt(container, "name"), RandomHex(32)))
		}
	}
}

func (k *Kubelet) VolumeFolder(uid string) string {
	return filepath.Join(k.Root, "pods", uid, "volumes", "kubernetes.io~projected", "kube-api-access")
}

func (k *Kubelet) RemovePodFolders(uid string) {
	syscall.Unmount(k.VolumeFolder(uid), syscall.MNT_DETACH)
	os.RemoveAll(filepath.Join(k.Root, "pods", uid))
}

func runningStatus(pod Object, hostIP, podIP string) Object {
	now := Stamp(time.Now())
	phase, ready, state := "Running", "True", Object{"running": Object{"startedAt": now}}
	if TextAt(pod, "spec", "restartPolicy") == "Never" || TextAt(pod, "spec", "restartPolicy") == "OnFailure" {
		phase, ready, state = "Succeeded", "False", Object{"terminated": Object{"exitCode": 0, "reason": "Completed", "startedAt": now, "finishedAt": now}}
	}
	statuses := []any{}
	for _, container := range ListAt(pod, "spec", "containers") {
		statuses = append(statuses, Object{"name": TextAt(container, "name"), "image": TextAt(container, "image"), "imageID": TextAt(container, "image"),
			"ready": ready == "True", "started": ready == "True", "restartCount": 0, "state": state, "containerID": "containerd://" + RandomHex(32)})
	}
	conditions := []any{}
	for _, kind := range []string{"Initialized", "Ready", "ContainersReady", "PodScheduled"} {
		status := "True"
		if strings.HasSuffix(kind, "Ready") {
			status = ready
		}
		conditions = append(conditions, Object{"type": kind, "status": status, "lastTransitionTime": now})
	}
	return Object{"phase": phase, "startTime": now, "hostIP": hostIP, "podIP": podIP, "conditions": conditions, "containerStatuses": statuses}
}

// ShimScript stands for the process that keeps a pod's containers: it outlives the service.
const ShimScript = "#!/bin/sh\n# stand-in for the container shim: sleeps until it is killed\nwhile :; do sleep 3600; done\n"

// StartShim leaves a process that outlives the service, as containers do, unless one is there from before.
func StartShim(program, socket, pidFile string) {
	if pid, err := ReadLine(pidFile); err == nil {
		if command, err := os.ReadFile("/proc/" + pid + "/cmdline"); err == nil && strings.Contains(string(command), filepath.Base(program)) {
			return
		}
	}
	command := exec.Command(program, "-namespace", "k8s.io", "-id", RandomHex(32), "-address", socket)
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	command.Dir = "/"
	if err := command.Start(); err != nil {
		Warnf("cannot start %s: %v", program, err)
		return
	}
	go command.Wait()
	os.WriteFile(pidFile, []byte(fmt.Sprint(command.Process.Pid)), 0o600)
}

// CheckNodeLabels refuses labels that a kubelet may not give to its own node.
func CheckNodeLabels(labels []string) error {
	allowed := map[string]bool{"beta.kubernetes.io/arch": true, "beta.kubernetes.io/instance-type": true, "beta.kubernetes.io/os": true,
		"failure-domain.beta.kubernetes.io/region": true, "failure-domain.beta.kubernetes.io/zone": true, "kubernetes.io/arch": true,
		"kubernetes.io/hostname": true, "kubernetes.io/os": true, "node.kubernetes.io/instance-type": true,
		"topology.kubernetes.io/region": true, "topology.kubernetes.io/zone": true}
	var unknown []string
	for _, label := range labels {
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
