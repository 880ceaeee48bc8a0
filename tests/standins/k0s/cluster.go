// What a controller does for the cluster: its own objects, worker profiles, roles of nodes, members of etcd that shall go.
package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"time"

	"standin/kube"
)

var (
	etcdMembers    = kube.AddResource("etcd.k0sproject.io/v1beta1 etcdmembers EtcdMember - -")
	controlNodes   = kube.AddResource("autopilot.k0sproject.io/v1beta2 controlnodes ControlNode - -")
	plans          = kube.AddResource("autopilot.k0sproject.io/v1beta2 plans Plan - -")
	updateConfigs  = kube.AddResource("autopilot.k0sproject.io/v1beta2 updateconfigs UpdateConfig - -")
	clusterConfigs = kube.AddResource("k0s.k0sproject.io/v1beta1 clusterconfigs ClusterConfig ns -")
	charts         = kube.AddResource("helm.k0sproject.io/v1beta1 charts Chart ns -")
	leases         = kube.MustResource("leases")
	crds           = kube.MustResource("customresourcedefinitions")
)

const (
	memberInterval = 3 * time.Second // the real one takes ten
	leaseDuration  = 60
	roleLabel      = "node.k0sproject.io/role"
)

func (c *controller) startClusterComponents() error {
	for _, r := range []kube.Resource{etcdMembers, controlNodes, plans, updateConfigs, clusterConfigs, charts} {
		c.plane.CreateIfMissing(crds, kube.Object{"metadata": kube.Object{"name": r.Plural + "." + r.Group},
			"status": kube.Object{"conditions": []any{kube.Object{"type": "Established", "status": "True"}}}})
	}
	if c.i.enabled("enable-dynamic-config") {
		c.storeConfig()
	}
	if !c.disabled("autopilot") {
		c.DB.Ensure(controlNodes, c.controlNode())
	}
	if c.embedded() {
		c.ensureMember()
	}
	go c.work()
	go c.deployStacks()
	go c.watchLeave()
	return nil
}

// storeConfig makes the cluster-wide part of the configuration an object, once.
func (c *controller) storeConfig() {
	spec := kube.Clone(c.config.Spec).(kube.Object)
	for _, local := range []string{"api", "storage", "installConfig"} {
		delete(spec, local)
	}
	if network := kube.MapAt(spec, "network"); network != nil {
		for _, local := range []string{"serviceCIDR", "clusterDomain", "controlPlaneLoadBalancing", "primaryAddressFamily"} {
			delete(network, local)
		}
	}
	c.plane.CreateIfMissing(clusterConfigs, kube.Object{"metadata": kube.Object{"name": "k0s", "namespace": "kube-system"}, "spec": spec})
}

func (c *controller) controlNode() kube.Object {
	mode := "controller"
	if c.workloads() {
		mode = "controller+worker"
	}
	return kube.Object{"metadata": kube.Object{"name": c.node, "annotations": kube.Object{"autopilot.k0sproject.io/mode": mode},
		"labels": kube.Object{"kubernetes.io/hostname": c.node, "kubernetes.io/os": "linux", "kubernetes.io/arch": runtime.GOARCH}},
		"status": kube.Object{"addresses": []any{kube.Object{"type": "InternalIP", "address": c.config.Spec.API.Address}, kube.Object{"type": "Hostname", "address": c.node}},
			"k0sVersion": version}}
}

// ensureLease shows that this controller is alive, under the ID of this run.
func (c *controller) ensureLease() {
	c.DB.Ensure(leases, kube.Object{"metadata": kube.Object{"name": "k0s-ctrl-" + c.node, "namespace": "kube-node-lease"},
		"spec": kube.Object{"holderIdentity": c.v.InvocationID, "leaseDurationSeconds": leaseDuration, "renewTime": time.Now().UTC().Format("2006-01-02T15:04:05.000000Z")}})
}

func (c *controller) ownMemberID() string {
	for _, m := range c.DB.State.MemberList() {
		if m.PeerURL == c.PeerURL() {
			return m.ID
		}
	}
	return ""
}

func (c *controller) ensureMember() {
	joined := kube.Object{"type": "Joined", "status": "True", "lastTransitionTime": kube.Stamp(time.Now()), "message": "Member joined"}
	c.DB.Ensure(etcdMembers, kube.Object{"metadata": kube.Object{"name": c.memberName(), "labels": kube.Object{"k0s.k0sproject.io/controller-lease": "k0s-ctrl-" + c.node}},
		"spec":   kube.Object{"leave": false},
		"status": kube.Object{"peerAddress": c.Address, "memberID": strings.TrimLeft(c.ownMemberID(), "0"), "conditions": []any{joined}, "message": nil, "reconcileStatus": nil}})
}

// work runs on every controller; only the one that leads the datastore changes objects of the others.
func (c *controller) work() {
	renewed, checked := time.Now(), time.Time{}
	for !c.DB.IsRemoved() {
		time.Sleep(500 * time.Millisecond)
		if time.Since(renewed) > 10*time.Second {
			renewed = time.Now()
			c.ensureLease()
		}
		if !c.plane.Work() {
			continue
		}
		c.markControlPlane()
		c.writeProfiles()
		if c.embedded() && time.Since(checked) > memberInterval {
			checked = time.Now()
			c.reconcileMembers()
		}
	}
}

// markControlPlane gives the usual role label to nodes of controllers, some seconds after they came.
func (c *controller) markControlPlane() {
	if c.disabled("node-role") {
		return
	}
	for _, node := range c.DB.All(kube.NodeResource, "") {
		made, _ := time.Parse(time.RFC3339, kube.TextAt(node, "metadata", "creationTimestamp"))
		labels := kube.MapAt(node, "metadata", "labels")
		if labels[roleLabel] != "control-plane" || labels["node-role.kubernetes.io/control-plane"] != nil || time.Since(made) < 15*time.Second {
			continue
		}
		c.DB.Change(kube.NodeResource, "", kube.NameOf(node), func(o kube.Object) (kube.Object, error) {
			kube.PutAt(o, "true", "metadata", "labels", "node-role.kubernetes.io/control-plane")
			return o, nil
		})
	}
}

func profileMap(name string) string {
	parts := strings.SplitN(strings.TrimPrefix(version, "v"), ".", 3)
	return fmt.Sprintf("worker-config-%s-%s.%s", name, parts[0], parts[1])
}

// writeProfiles keeps a ConfigMap for each worker profile; workers do not start without theirs.
func (c *controller) writeProfiles() {
	profiles := map[string]kube.Object{"default": {}, "default-windows": {}}
	spec := c.effectiveSpec()
	for _, profile := range spec.WorkerProfiles {
		values := kube.Object{}
		json.Unmarshal(profile.Values, &values)
		profiles[profile.Name] = values
	}
	addresses := []string{}
	for _, node := range c.DB.All(controlNodes, "") {
		for _, address := range kube.ListAt(node, "status", "addresses") {
			if kube.TextAt(address, "type") == "InternalIP" {
				addresses = append(addresses, kube.TextAt(address, "address")+":"+fmt.Sprint(spec.API.Port))
			}
		}
	}
	for name, values := range profiles {
		data := kube.Object{"kubeletConfiguration": kube.ToJSON(values), "apiServerAddresses": kube.ToJSON(addresses),
			"nodeLocalLoadBalancing": kube.ToJSON(spec.Network.NodeLocalLoadBalancing), "network": kube.ToJSON(kube.Object{"provider": spec.Network.Provider})}
		c.DB.Ensure(kube.ConfigMapResource, kube.Object{"metadata": kube.Object{"name": profileMap(name), "namespace": "kube-system",
			"labels": kube.Object{"k0s.k0sproject.io/worker-profile": name}}, "data": data})
	}
}

// effectiveSpec is this controller's configuration, with what the cluster's object says where that is used.
func (c *controller) effectiveSpec() *clusterSpec {
	if !c.i.enabled("enable-dynamic-config") {
		return c.config.Spec
	}
	stored, err := c.DB.Read(clusterConfigs, "kube-system", "k0s")
	if err != nil {
		return c.config.Spec
	}
	spec := *c.config.Spec
	profiles, network := spec.WorkerProfiles, *spec.Network
	spec.WorkerProfiles = nil
	if json.Unmarshal([]byte(kube.ToJSON(kube.At(stored, "spec", "workerProfiles"))), &spec.WorkerProfiles) != nil {
		spec.WorkerProfiles = profiles
	}
	json.Unmarshal([]byte(kube.ToJSON(kube.At(stored, "spec", "network"))), &network)
	spec.Network = &network
	return &spec
}

// reconcileMembers compares the objects with etcd. A member that shall go and is alive goes by itself; a dead one is
// waited for, for ever.
func (c *controller) reconcileMembers() {
	known := map[string]bool{}
	for _, m := range c.DB.State.MemberList() {
		known[strings.TrimLeft(m.ID, "0")] = true
	}
	for _, o := range c.DB.All(etcdMembers, "") {
		joined := kube.TextAt(kube.ConditionOf(o, "Joined"), "status")
		switch leave := kube.At(o, "spec", "leave") == true; {
		case !known[kube.TextAt(o, "status", "memberID")]:
			if joined != "False" {
				c.setMember(o, "No such member ID", "Success", "False")
			}
		case leave && !c.alive(kube.NameOf(o)):
			c.setMember(o, "Member is offline; waiting for it to leave", "", joined)
		case leave && len(known) < 2:
			c.setMember(o, "The only active controller cannot leave the etcd cluster; either bring another controller online or clear spec.leave", "", joined)
		case leave:
			c.setMember(o, "Member is still active; waiting for it to shutdown", "", joined)
		}
	}
}

func (c *controller) alive(member string) bool {
	lease, err := c.DB.Read(leases, "kube-node-lease", "k0s-ctrl-"+member)
	renewed, _ := time.Parse("2006-01-02T15:04:05.000000Z", kube.TextAt(lease, "spec", "renewTime"))
	return err == nil && time.Since(renewed) < leaseDuration*time.Second
}

func (c *controller) setMember(o kube.Object, message, reconciled, joined string) {
	c.DB.Change(etcdMembers, "", kube.NameOf(o), func(fresh kube.Object) (kube.Object, error) {
		kube.PutAt(fresh, message, "status", "message")
		kube.PutAt(fresh, reconciled, "status", "reconcileStatus")
		if kube.TextAt(kube.ConditionOf(fresh, "Joined"), "status") != joined {
			kube.PutAt(fresh, []any{kube.Object{"type": "Joined", "status": joined, "lastTransitionTime": kube.Stamp(time.Now()), "message": message}}, "status", "conditions")
		}
		return fresh, nil
	})
}

// watchLeave stops this controller's components once it was asked to leave etcd and has left; the process stays.
func (c *controller) watchLeave() {
	for c.embedded() && !c.DB.IsRemoved() {
		time.Sleep(memberInterval)
		o, err := c.DB.Read(etcdMembers, "", c.memberName())
		if err != nil || kube.At(o, "spec", "leave") != true || len(c.DB.State.MemberList()) < 2 || c.DB.Barrier(time.Second) != nil {
			continue
		}
		kube.Infof("Etcd member marked for shutdown; stopping components and waiting for external termination")
		kube.Infof("Will leave etcd cluster before shutting down")
		if err := c.removeMember(kube.Member{ID: c.ownMemberID()}); err != nil {
			kube.Errorf("Failed to remove member: %v", err)
			continue
		}
		kube.Infof("Left the cluster")
		close(c.leaving)
		return
	}
}
