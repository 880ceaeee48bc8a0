// The kinds of objects the API knows: groups, names, whether they live in a namespace, and where they are stored.
package kube

import "strings"

type Resource struct {
	Group, Version, Plural, Kind string
	Namespaced                   bool
	Short                        string
}

func (r Resource) ApiVersion() string {
	if r.Group == "" {
		return r.Version
	}
	return r.Group + "/" + r.Version
}

// FullName is the resource with its group, as error messages show it.
func (r Resource) FullName() string {
	if r.Group == "" {
		return r.Plural
	}
	return r.Plural + "." + r.Group
}

func (r Resource) Prefix(namespace string) string {
	prefix := "/registry/" + r.Group + "/" + r.Plural + "/"
	if r.Namespaced && namespace != "" {
		prefix += namespace + "/"
	}
	return prefix
}

func (r Resource) Key(namespace, name string) string { return r.Prefix(namespace) + name }

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
apiregistration.k8s.io/v1 apiservices APIService - -
admissionregistration.k8s.io/v1 validatingwebhookconfigurations ValidatingWebhookConfiguration - -
admissionregistration.k8s.io/v1 mutatingwebhookconfigurations MutatingWebhookConfiguration - -
`

var Resources = func() (list []Resource) {
	for _, line := range strings.Split(strings.TrimSpace(resourceTable), "\n") {
		list = append(list, parseResource(line))
	}
	return list
}()

func parseResource(line string) Resource {
	words := strings.Fields(line)
	group, version, found := strings.Cut(words[0], "/")
	if !found {
		group, version = "", words[0]
	}
	return Resource{group, version, words[1], words[2], words[3] == "ns", words[4]}
}

// AddResource makes a kind of the distribution known, in the words of the table above.
func AddResource(line string) Resource {
	added := parseResource(line)
	Resources = append(Resources, added)
	return added
}

func FindResource(group, version, plural string) (Resource, bool) {
	for _, r := range Resources {
		if r.Group == group && r.Version == version && r.Plural == plural {
			return r, true
		}
	}
	return Resource{}, false
}

func resourceOfKind(apiVersion, kind string) (Resource, bool) {
	for _, r := range Resources {
		if r.ApiVersion() == apiVersion && r.Kind == kind {
			return r, true
		}
	}
	return Resource{}, false
}

// resourceNamed finds a resource by any name kubectl takes.
func resourceNamed(name string) (Resource, bool) {
	name, _, _ = strings.Cut(strings.ToLower(name), ".")
	for _, r := range Resources {
		if name == r.Plural || name == strings.ToLower(r.Kind) || name == r.Short && name != "-" {
			return r, true
		}
	}
	return Resource{}, false
}

var (
	NodeResource      = MustResource("nodes")
	podResource       = MustResource("pods")
	namespaceResource = MustResource("namespaces")
	SecretResource    = MustResource("secrets")
	ConfigMapResource = MustResource("configmaps")
	leaseResource     = MustResource("leases")
)

func MustResource(name string) Resource {
	found, ok := resourceNamed(name)
	if !ok {
		panic(name)
	}
	return found
}
