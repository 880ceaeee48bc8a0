// The packaged components and the user's manifests: files in server/manifests become Addons and objects.
package main

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"standin/kube"
)

const (
	ownerAnnotation   = "objectset.rio.cattle.io/owner-name"
	manifestsInterval = 5 * time.Second
)

var (
	addonResource    = kube.AddResource("k3s.cattle.io/v1 addons Addon ns -")
	snapshotResource = kube.AddResource("k3s.cattle.io/v1 etcdsnapshotfiles ETCDSnapshotFile - -")
	_                = kube.AddResource("helm.cattle.io/v1 helmcharts HelmChart ns -")
	_                = kube.AddResource("helm.cattle.io/v1 helmchartconfigs HelmChartConfig ns -")
)

// deploymentManifest is the packaged deployment of one component, small but with what schedulers and clients look at.
func deploymentManifest(name, label, image string) string {
	return `apiVersion: v1
kind: ServiceAccount
metadata:
  name: ` + name + `
  namespace: kube-system
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: ` + name + `
  namespace: kube-system
  labels:
    ` + label + `
spec:
  replicas: 1
  selector:
    matchLabels:
      ` + label + `
  template:
    metadata:
      labels:
        ` + label + `
    spec:
      priorityClassName: system-cluster-critical
      serviceAccountName: ` + name + `
      tolerations:
      - key: CriticalAddonsOnly
        operator: Exists
      - key: node-role.kubernetes.io/control-plane
        operator: Exists
        effect: NoSchedule
      containers:
      - name: ` + name + `
        image: ` + image + `
`
}

// emptyVolume follows a deployment's containers: a pod with local data, which a careful drain does not evict.
const emptyVolume = `      volumes:
      - name: tmp-dir
        emptyDir: {}
`

const traefikManifest = `apiVersion: helm.cattle.io/v1
kind: HelmChart
metadata:
  name: traefik
  namespace: kube-system
spec:
  chart: https://%{KUBERNETES_API}%/static/charts/traefik.tgz
---
apiVersion: batch/v1
kind: Job
metadata:
  name: helm-install-traefik
  namespace: kube-system
spec:
  template:
    metadata:
      labels:
        helmcharts.helm.cattle.io/chart: traefik
    spec:
      restartPolicy: OnFailure
      containers:
      - name: helm
        image: rancher/klipper-helm:v0.9.10
`

const serviceLBManifest = `apiVersion: apps/v1
kind: DaemonSet
metadata:
  name: svclb-traefik
  namespace: kube-system
spec:
  selector:
    matchLabels:
      app: svclb-traefik
  template:
    metadata:
      labels:
        app: svclb-traefik
    spec:
      tolerations:
      - key: node-role.kubernetes.io/control-plane
        operator: Exists
        effect: NoSchedule
      - key: CriticalAddonsOnly
        operator: Exists
      containers:
      - name: lb-tcp-80
        image: rancher/klipper-lb:v0.4.13
`

const runtimesManifest = `apiVersion: node.k8s.io/v1
kind: RuntimeClass
metadata:
  name: crun
handler: crun
`

const storageClassManifest = `---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata:
  name: local-path
  annotations:
    storageclass.kubernetes.io/is-default-class: "true"
provisioner: rancher.io/local-path
volumeBindingMode: WaitForFirstConsumer
reclaimPolicy: Delete
`

const rolesManifest = `apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: kube-apiserver-kubelet-admin
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: system:kubelet-api-admin
subjects:
- apiGroup: rbac.authorization.k8s.io
  kind: User
  name: kube-apiserver
`

// packaged gives the files that a server writes, by path below manifests/, and the item of "disable" they belong to.
func packaged() map[string]string {
	return map[string]string{
		"coredns.yaml":       deploymentManifest("coredns", "k8s-app: kube-dns", "rancher/mirrored-coredns-coredns:1.14.2"),
		"local-storage.yaml": deploymentManifest("local-path-provisioner", "app: local-path-provisioner", "rancher/local-path-provisioner:v0.0.34") + storageClassManifest,
		"metrics-server/metrics-server-deployment.yaml": deploymentManifest("metrics-server", "k8s-app: metrics-server", "rancher/mirrored-metrics-server:v0.8.1") + emptyVolume,
		"traefik.yaml":      traefikManifest + "---\n" + deploymentManifest("traefik", "app.kubernetes.io/name: traefik", "rancher/mirrored-library-traefik:3.6.10"),
		"servicelb.yaml":    serviceLBManifest,
		"runtimes.yaml":     runtimesManifest,
		"rolebindings.yaml": rolesManifest,
	}
}

func (s *server) deployManifests() {
	base := filepath.Join(s.dir, "manifests")
	disabled := map[string]bool{}
	for _, item := range s.opts.split("disable") {
		disabled[item] = true
	}
	if disabled["traefik"] {
		disabled["servicelb"] = true // without a service of its type there is no balancer
	}
	for name, content := range packaged() {
		path := filepath.Join(base, name)
		item := strings.TrimSuffix(strings.SplitN(name, "/", 2)[0], ".yaml")
		if disabled[item] {
			s.removeAddon(path)
			continue
		}
		os.MkdirAll(filepath.Dir(path), 0o700)
		os.WriteFile(path, []byte(content), 0o600)
	}
	applied := map[string]string{}
	for !s.DB.IsRemoved() {
		s.applyManifests(base, applied, disabled)
		time.Sleep(manifestsInterval)
	}
}

func (s *server) applyManifests(base string, applied map[string]string, disabled map[string]bool) {
	var files []string
	filepath.Walk(base, func(path string, info os.FileInfo, err error) error {
		lower := strings.ToLower(path)
		if err == nil && !info.IsDir() && (strings.HasSuffix(lower, ".yaml") || strings.HasSuffix(lower, ".yml") || strings.HasSuffix(lower, ".json")) {
			files = append(files, path)
		}
		return nil
	})
	sort.Strings(files)
	for _, path := range files {
		item := strings.SplitN(filepath.Base(path), ".", 2)[0]
		if disabled[item] {
			s.removeAddon(path)
			continue
		}
		content, err := os.ReadFile(path)
		sum := sha256.Sum256(content)
		checksum := hex.EncodeToString(sum[:])
		if err != nil || kube.Exists(path+".skip") || applied[path] == checksum {
			continue
		}
		if err := s.applyAddon(path, string(content), checksum); err != nil {
			kube.Errorf("Failed to process config: failed to process %s: %v", path, err)
			continue
		}
		applied[path] = checksum
	}
}

func addonName(path string) string { return strings.SplitN(filepath.Base(path), ".", 2)[0] }

func (s *server) applyAddon(path, content, checksum string) error {
	objects, err := kube.ReadManifest(content)
	if err != nil {
		return err
	}
	addon := addonName(path)
	if err := s.DB.Ensure(addonResource, kube.Object{"metadata": kube.Object{"name": addon, "namespace": "kube-system"},
		"spec": kube.Object{"source": path, "checksum": checksum}}); err != nil {
		return err
	}
	for _, o := range objects {
		kube.PutAt(o, addon, "metadata", "annotations", ownerAnnotation)
		if err := s.DB.Apply(o); err != nil {
			return err
		}
	}
	return nil
}

// removeAddon deletes a file and all objects it made, also those that another server's copy of it made.
func (s *server) removeAddon(path string) {
	addon := addonName(path)
	for _, r := range kube.Resources {
		for _, o := range s.DB.All(r, "") {
			if kube.TextAt(o, "metadata", "annotations", ownerAnnotation) == addon {
				s.DB.Remove(r, kube.TextAt(o, "metadata", "namespace"), kube.NameOf(o))
			}
		}
	}
	s.DB.Remove(addonResource, "kube-system", addon)
	os.Remove(path)
}
