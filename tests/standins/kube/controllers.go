// What a control plane does by itself: first objects, node health, clean-up after deleted nodes and namespaces.
package kube

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"strings"
	"time"
)

var serviceResource = MustResource("services")

// Controllers work on the leader of a cluster's servers.
type Controllers struct {
	DB         *Database
	PodNetwork string // the first range, IPv4
	RootCA     []byte // what pods are given to trust
	Health     nodeHealth
}

func NewControllers(db *Database, podNetwork string, rootCA []byte, grace time.Duration) *Controllers {
	return &Controllers{db, podNetwork, rootCA, nodeHealth{seen: map[string]leaseSeen{}, grace: grace}}
}

// Work does what is due now, if this server leads; it tells whether it does.
func (c *Controllers) Work() bool {
	if !c.DB.Leading() {
		c.Health.seen = map[string]leaseSeen{}
		return false
	}
	c.CheckNodes(&c.Health)
	c.CollectGarbage()
	c.FinishNamespaces()
	c.RunWorkloads()
	return true
}

// Seed makes the objects every cluster has. It is done by each server; what is there stays.
func (c *Controllers) Seed(serviceNetwork, address string, clientCA []byte) {
	for _, name := range []string{"default", "kube-system", "kube-public", "kube-node-lease"} {
		namespace := Object{"metadata": Object{"name": name}}
		applyDefaults(namespaceResource, namespace)
		c.CreateIfMissing(namespaceResource, namespace)
	}
	service := ServiceAddress(serviceNetwork, 1)
	c.CreateIfMissing(serviceResource, Object{"metadata": Object{"name": "kubernetes", "namespace": "default", "labels": Object{"component": "apiserver", "provider": "kubernetes"}},
		"spec": Object{"type": "ClusterIP", "clusterIP": service, "clusterIPs": []any{service}, "ports": []any{Object{"name": "https", "port": 443, "protocol": "TCP", "targetPort": 6443}}}})
	c.DB.Ensure(MustResource("endpoints"), Object{"metadata": Object{"name": "kubernetes", "namespace": "default"}, "subsets": []any{Object{
		"addresses": []any{Object{"ip": address}}, "ports": []any{Object{"name": "https", "port": 6443, "protocol": "TCP"}}}}})
	c.CreateIfMissing(ConfigMapResource, Object{"metadata": Object{"name": "extension-apiserver-authentication", "namespace": "kube-system"},
		"data": Object{"client-ca-file": string(clientCA)}})
}

// SeedLeases makes the lease of this API server and those of the given controllers.
func (c *Controllers) SeedLeases(holder string, names ...string) {
	sum := sha256.Sum256([]byte(holder))
	identity := "apiserver-" + strings.ToLower(base32.StdEncoding.EncodeToString(sum[:16]))[:26]
	for _, name := range append([]string{identity}, names...) {
		c.DB.Ensure(leaseResource, Object{"metadata": Object{"name": name, "namespace": "kube-system"},
			"spec": Object{"holderIdentity": holder, "leaseDurationSeconds": 15, "renewTime": microStamp(time.Now())}})
	}
}

// NodeUIDs gives the UIDs of all nodes by name.
func (c *Controllers) NodeUIDs() map[string]string {
	nodes := map[string]string{}
	for _, node := range c.DB.All(NodeResource, "") {
		nodes[NameOf(node)] = TextAt(node, "metadata", "uid")
	}
	return nodes
}

func (c *Controllers) CreateIfMissing(r Resource, o Object) {
	if _, err := c.DB.Read(r, TextAt(o, "metadata", "namespace"), NameOf(o)); IsNotFound(err) {
		c.DB.Create(r, o)
	}
}

type leaseSeen struct {
	renewed string
	at      time.Time
}

type nodeHealth struct {
	seen  map[string]leaseSeen
	grace time.Duration
}

// CheckNodes marks nodes whose lease was not renewed for the grace period, measured from when this server saw it.
func (c *Controllers) CheckNodes(health *nodeHealth) {
	for index, node := range c.DB.All(NodeResource, "") {
		name := NameOf(node)
		c.AssignPodRange(node, index)
		renewed := ""
		if lease, err := c.DB.Read(leaseResource, "kube-node-lease", name); err == nil {
			renewed = TextAt(lease, "spec", "renewTime")
		}
		if last, known := health.seen[name]; !known || last.renewed != renewed {
			health.seen[name] = leaseSeen{renewed, time.Now()}
		}
		ready := TextAt(ConditionOf(node, "Ready"), "status")
		switch {
		case time.Since(health.seen[name].at) > health.grace:
			if ready != "Unknown" {
				c.MarkUnknown(name)
			}
		case ready == "True":
			c.SetNodeTaints(name, "node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
		}
	}
}

// AssignPodRange gives a new node the first free range of the pods' network.
func (c *Controllers) AssignPodRange(node Object, _ int) {
	if TextAt(node, "spec", "podCIDR") != "" {
		return
	}
	used := map[string]bool{}
	for _, other := range c.DB.All(NodeResource, "") {
		used[TextAt(other, "spec", "podCIDR")] = true
	}
	base := strings.SplitN(c.PodNetwork, ".", 3)
	for third := 0; third < 256 && len(base) == 3; third++ {
		if cidr := fmt.Sprintf("%s.%s.%d.0/24", base[0], base[1], third); !used[cidr] {
			c.DB.Change(NodeResource, "", NameOf(node), func(o Object) (Object, error) {
				PutAt(o, cidr, "spec", "podCIDR")
				PutAt(o, []any{cidr}, "spec", "podCIDRs")
				return o, nil
			})
			return
		}
	}
}

func (c *Controllers) MarkUnknown(name string) {
	Infof("Node %s has not been updated for the grace period, marking it Unknown", name)
	c.DB.Change(NodeResource, "", name, func(node Object) (Object, error) {
		for _, item := range ListAt(node, "status", "conditions") {
			condition := item.(Object)
			if kind := TextAt(condition, "type"); kind != "Ready" && !strings.HasSuffix(kind, "Pressure") {
				continue
			}
			condition["status"], condition["reason"], condition["message"] = "Unknown", "NodeStatusUnknown", "Kubelet stopped posting node status."
			condition["lastTransitionTime"] = Stamp(time.Now())
		}
		taints := without(ListAt(node, "spec", "taints"), nil)
		for _, effect := range []string{"NoSchedule", "NoExecute"} {
			taints = append(taints, Object{"key": "node.kubernetes.io/unreachable", "effect": effect, "timeAdded": Stamp(time.Now())})
		}
		PutAt(node, taints, "spec", "taints")
		return node, nil
	})
}

// SetNodeTaints takes off taints that the control plane itself had put on, and mirrors "unschedulable" as one.
func (c *Controllers) SetNodeTaints(name string, drop ...string) {
	c.DB.Change(NodeResource, "", name, func(node Object) (Object, error) {
		kept := []any{}
		cordoned := At(node, "spec", "unschedulable") == true
		const cordon = "node.kubernetes.io/unschedulable"
		hasCordon := false
		for _, taint := range ListAt(node, "spec", "taints") {
			key := TextAt(taint, "key")
			if contains([]any{drop[0], drop[1]}, key) || key == cordon && !cordoned {
				continue
			}
			hasCordon = hasCordon || key == cordon
			kept = append(kept, taint)
		}
		if cordoned && !hasCordon {
			kept = append(kept, Object{"key": cordon, "effect": "NoSchedule", "timeAdded": Stamp(time.Now())})
		}
		if len(kept) == 0 {
			delete(MapAt(node, "spec"), "taints")
		} else {
			PutAt(node, kept, "spec", "taints")
		}
		return node, nil
	})
}

// CollectGarbage removes what belonged to nodes and owners that are gone, a moment after they went.
func (c *Controllers) CollectGarbage() {
	nodes := c.NodeUIDs()
	for _, lease := range c.DB.All(leaseResource, "kube-node-lease") {
		owners := ListAt(lease, "metadata", "ownerReferences")
		if len(owners) == 0 {
			continue // of no node
		}
		if _, alive := nodes[TextAt(owners[0], "name")]; !alive {
			c.DB.Remove(leaseResource, "kube-node-lease", NameOf(lease))
		}
	}
	for _, pod := range c.DB.All(podResource, "") {
		bound := TextAt(pod, "spec", "nodeName")
		if _, alive := nodes[bound]; bound != "" && !alive {
			c.DB.Remove(podResource, TextAt(pod, "metadata", "namespace"), NameOf(pod))
		}
	}
}

func (c *Controllers) FinishNamespaces() {
	for _, namespace := range c.DB.All(namespaceResource, "") {
		if TextAt(namespace, "metadata", "deletionTimestamp") == "" {
			c.CreateIfMissing(MustResource("serviceaccounts"), Object{"metadata": Object{"name": "default", "namespace": NameOf(namespace)}})
			c.CreateIfMissing(ConfigMapResource, Object{"metadata": Object{"name": "kube-root-ca.crt", "namespace": NameOf(namespace)},
				"data": Object{"ca.crt": string(c.RootCA)}})
			continue
		}
		for _, r := range Resources {
			if r.Namespaced {
				for _, o := range c.DB.All(r, NameOf(namespace)) {
					c.DB.Remove(r, NameOf(namespace), NameOf(o))
				}
			}
		}
		c.DB.Remove(namespaceResource, "", NameOf(namespace))
	}
}
