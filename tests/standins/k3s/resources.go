// The kinds of objects the API knows: groups, names, whether they live in a namespace, and where they are stored.
package main

import "strings"

type resource struct {
	group, version, plural, kind string
	namespaced                   bool
	short                        string
}

func (r resource) apiVersion() string {
	if r.group == "" {
		return r.version
	}
	return r.group + "/" + r.version
}

// fullName is the resource with its group, as error messages show it.
func (r resource) fullName() string {
	if r.group == "" {
		return r.plural
	}
	return r.plural + "." + r.group
}

func (r resource) prefix(namespace string) string {
	prefix := "/registry/" + r.group + "/" + r.plural + "/"
	if r.namespaced && namespace != "" {
		prefix += namespace + "/"
	}
	return prefix
}

func (r resource) key(namespace, name string) string { return r.prefix(namespace) + name }

const resourceTable = `
v1 nodes Node - no
v1 namespaces Namespace - ns
v1 persistentvolumes PersistentVolume - pv
v1 pods Pod ns po
v1 services Service ns svc
v1 endpoints Endpoints ns ep
v1 events Event ns ev
v1 configmaps ConfigMap ns cm
v1 secrets Secret ns -
v1 serviceaccounts ServiceAccount ns sa
v1 persistentvolumeclaims PersistentVolumeClaim ns pvc
apps/v1 deployments Deployment ns deploy
apps/v1 daemonsets DaemonSet ns ds
apps/v1 replicasets ReplicaSet ns rs
apps/v1 statefulsets StatefulSet ns sts
batch/v1 jobs Job ns -
batch/v1 cronjobs CronJob ns cj
coordination.k8s.io/v1 leases Lease ns -
policy/v1 poddisruptionbudgets PodDisruptionBudget ns pdb
networking.k8s.io/v1 ingresses Ingress ns ing
networking.k8s.io/v1 ingressclasses IngressClass - -
networking.k8s.io/v1 networkpolicies NetworkPolicy ns netpol
discovery.k8s.io/v1 endpointslices EndpointSlice ns -
rbac.authorization.k8s.io/v1 clusterroles ClusterRole - -
rbac.authorization.k8s.io/v1 clusterrolebindings ClusterRoleBinding - -
rbac.authorization.k8s.io/v1 roles Role ns -
rbac.authorization.k8s.io/v1 rolebindings RoleBinding ns -
storage.k8s.io/v1 storageclasses StorageClass - sc
scheduling.k8s.io/v1 priorityclasses PriorityClass - pc
apiextensions.k8s.io/v1 customresourcedefinitions CustomResourceDefinition - crd
node.k8s.io/v1 runtimeclasses RuntimeClass - -
k3s.cattle.io/v1 addons Addon ns -
k3s.cattle.io/v1 etcdsnapshotfiles ETCDSnapshotFile - -
helm.cattle.io/v1 helmcharts HelmChart ns -
helm.cattle.io/v1 helmchartconfigs HelmChartConfig ns -
`

var resources = readResourceTable()

func readResourceTable() []resource {
	var list []resource
	for _, line := range strings.Split(strings.TrimSpace(resourceTable), "\n") {
		words := strings.Fields(line)
		group, version, found := strings.Cut(words[0], "/")
		if !found {
			group, version = "", words[0]
		}
		list = append(list, resource{group, version, words[1], words[2], words[3] == "ns", words[4]})
	}
	return list
}

func findResource(group, version, plural string) (resource, bool) {
	for _, r := range resources {
		if r.group == group && r.version == version && r.plural == plural {
			return r, true
		}
	}
	return resource{}, false
}

func resourceOfKind(apiVersion, kind string) (resource, bool) {
	for _, r := range resources {
		if r.apiVersion() == apiVersion && r.kind == kind {
			return r, true
		}
	}
	return resource{}, false
}

// resourceNamed finds a resource by any name kubectl takes.
func resourceNamed(name string) (resource, bool) {
	name, _, _ = strings.Cut(strings.ToLower(name), ".")
	for _, r := range resources {
		if name == r.plural || name == strings.ToLower(r.kind) || name == r.short && name != "-" {
			return r, true
		}
	}
	return resource{}, false
}

var (
	nodeResource      = mustResource("nodes")
	podResource       = mustResource("pods")
	namespaceResource = mustResource("namespaces")
	secretResource    = mustResource("secrets")
	configMapResource = mustResource("configmaps")
	leaseResource     = mustResource("leases")
	addonResource     = mustResource("addons")
	snapshotResource  = mustResource("etcdsnapshotfiles")
)

func mustResource(name string) resource {
	found, ok := resourceNamed(name)
	if !ok {
		panic(name)
	}
	return found
}
