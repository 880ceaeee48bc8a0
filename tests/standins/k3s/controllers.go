// What the control plane does by itself: first objects, node health, clean-up after deleted nodes and namespaces.
package main

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"fmt"
	"strings"
	"time"
)

var serviceResource = mustResource("services")

// seed makes the objects every cluster has. It is done by each server; what is there stays.
func (s *server) seed() {
	for _, name := range []string{"default", "kube-system", "kube-public", "kube-node-lease"} {
		namespace := object{"metadata": object{"name": name}}
		applyDefaults(namespaceResource, namespace)
		s.createIfMissing(namespaceResource, namespace)
	}
	address := serviceAddress(s.clusterConfig().Critical["service-cidr"], 1)
	s.createIfMissing(serviceResource, object{"metadata": object{"name": "kubernetes", "namespace": "default", "labels": object{"component": "apiserver", "provider": "kubernetes"}},
		"spec": object{"type": "ClusterIP", "clusterIP": address, "clusterIPs": []any{address}, "ports": []any{object{"name": "https", "port": 443, "protocol": "TCP", "targetPort": 6443}}}})
	s.createIfMissing(configMapResource, object{"metadata": object{"name": "cluster-dns", "namespace": "kube-system"},
		"data": object{"clusterDNS": s.clusterConfig().Critical["cluster-dns"], "clusterDomain": s.opts.text("cluster-domain")}})
	s.db.ensure(mustResource("endpoints"), object{"metadata": object{"name": "kubernetes", "namespace": "default"}, "subsets": []any{object{
		"addresses": []any{object{"ip": s.nodeIPs[0]}}, "ports": []any{object{"name": "https", "port": 6443, "protocol": "TCP"}}}}})
	s.createIfMissing(configMapResource, object{"metadata": object{"name": "extension-apiserver-authentication", "namespace": "kube-system"},
		"data": object{"client-ca-file": string(s.clientCA.pem)}})
	s.createIfMissing(secretResource, object{"metadata": object{"name": "k3s-serving", "namespace": "kube-system"}, "type": "kubernetes.io/tls",
		"data": object{"tls.crt": base64.StdEncoding.EncodeToString(s.serverCA.pem), "tls.key": ""}})
	s.seedLeases()
}

// seedLeases: controllers of a server that shares its datastore hold leases; every API server has one.
func (s *server) seedLeases() {
	sum := sha256.Sum256([]byte(s.nodeName))
	identity := "apiserver-" + strings.ToLower(base32.StdEncoding.EncodeToString(sum[:16]))[:26]
	names := []string{identity}
	if s.etcd {
		names = append(names, "k3s", "k3s-etcd", "kube-controller-manager", "kube-scheduler", "k3s-cloud-controller-manager")
	}
	for _, name := range names {
		s.db.ensure(leaseResource, object{"metadata": object{"name": name, "namespace": "kube-system"},
			"spec": object{"holderIdentity": s.nodeName, "leaseDurationSeconds": 15, "renewTime": microStamp(time.Now())}})
	}
}

func (s *server) createIfMissing(r resource, o object) {
	if _, err := s.db.read(r, textAt(o, "metadata", "namespace"), nameOf(o)); isNotFound(err) {
		s.db.create(r, o)
	}
}

// labelOwnNode marks the node of this server once it is registered, and keeps its etcd annotations right.
func (s *server) labelOwnNode() {
	for {
		time.Sleep(500 * time.Millisecond)
		labels := object{"node-role.kubernetes.io/control-plane": "true"}
		annotations := object{}
		if s.etcd {
			name, _ := s.memberName(false)
			labels["node-role.kubernetes.io/etcd"] = "true"
			annotations["etcd.k3s.cattle.io/node-name"], annotations["etcd.k3s.cattle.io/node-address"] = name, s.nodeIPs[0]
		}
		s.db.change(nodeResource, "", s.agentName(), func(node object) (object, error) {
			finalizers := []any{"wrangler.cattle.io/node"}
			if s.etcd {
				finalizers = append(finalizers, "wrangler.cattle.io/managed-etcd-controller")
			}
			if textAt(node, "metadata", "deletionTimestamp") == "" {
				putAt(node, union(listAt(node, "metadata", "finalizers"), finalizers), "metadata", "finalizers")
			}
			if s.etcd {
				s.markVoter(node)
			}
			return mergePatch(node, object{"metadata": object{"labels": clone(labels), "annotations": clone(annotations)}}).(object), nil
		})
	}
}

// markVoter keeps the node's condition EtcdIsVoter: False while the member learns, True once it votes.
func (s *server) markVoter(node object) {
	fresh := object{"type": "EtcdIsVoter", "status": "False", "reason": "MemberIsLearner",
		"message": "Node has not been promoted to voting member of the etcd cluster"}
	if s.db.votes() {
		fresh = object{"type": "EtcdIsVoter", "status": "True", "reason": "MemberNotLearner",
			"message": "Node is a voting member of the etcd cluster"}
	}
	before := conditionOf(node, "EtcdIsVoter")
	if textAt(before, "status") == textAt(fresh, "status") {
		return
	}
	fresh["lastTransitionTime"], fresh["lastHeartbeatTime"] = stamp(time.Now()), stamp(time.Now())
	var kept []any
	for _, condition := range listAt(node, "status", "conditions") {
		if textAt(condition, "type") != "EtcdIsVoter" {
			kept = append(kept, condition)
		}
	}
	putAt(node, append(kept, fresh), "status", "conditions")
}

// controllers runs on every server; only the leader of the datastore works, the others deploy their manifests.
func (s *server) controllers() {
	go s.deployManifests()
	s.coreReady.Store(true)
	s.deferred.Range(func(node, password any) bool {
		if err := s.ensureNodePassword(node.(string), password.(string)); err != nil {
			warnf("Deferred node password secret validation failed: %v", err)
		}
		return true
	})
	health := &nodeHealth{seen: map[string]leaseSeen{}, grace: secondsFromEnvironment("STANDIN_NODE_GRACE_SECONDS", 40)}
	for !s.db.isRemoved() {
		time.Sleep(500 * time.Millisecond)
		if !s.db.leading() {
			health.seen = map[string]leaseSeen{}
			continue
		}
		s.checkNodes(health)
		s.removeMembersOnRequest()
		s.finishDeletedNodes()
		s.collectGarbage()
		s.finishNamespaces()
		s.runWorkloads()
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

// checkNodes marks nodes whose lease was not renewed for the grace period, measured from when this server saw it.
func (s *server) checkNodes(health *nodeHealth) {
	for index, node := range s.db.all(nodeResource, "") {
		name := nameOf(node)
		s.assignPodRange(node, index)
		renewed := ""
		if lease, err := s.db.read(leaseResource, "kube-node-lease", name); err == nil {
			renewed = textAt(lease, "spec", "renewTime")
		}
		if last, known := health.seen[name]; !known || last.renewed != renewed {
			health.seen[name] = leaseSeen{renewed, time.Now()}
		}
		ready := textAt(conditionOf(node, "Ready"), "status")
		switch {
		case time.Since(health.seen[name].at) > health.grace:
			if ready != "Unknown" {
				s.markUnknown(name)
			}
		case ready == "True":
			s.setNodeTaints(name, "node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
		}
	}
}

// assignPodRange gives a new node the first free range of the pods' network.
func (s *server) assignPodRange(node object, _ int) {
	if textAt(node, "spec", "podCIDR") != "" {
		return
	}
	used := map[string]bool{}
	for _, other := range s.db.all(nodeResource, "") {
		used[textAt(other, "spec", "podCIDR")] = true
	}
	base := strings.SplitN(s.clusterConfig().Critical["cluster-cidr"], ".", 3)
	for third := 0; third < 256 && len(base) == 3; third++ {
		if cidr := fmt.Sprintf("%s.%s.%d.0/24", base[0], base[1], third); !used[cidr] {
			s.db.change(nodeResource, "", nameOf(node), func(o object) (object, error) {
				putAt(o, cidr, "spec", "podCIDR")
				putAt(o, []any{cidr}, "spec", "podCIDRs")
				return o, nil
			})
			return
		}
	}
}

func (s *server) markUnknown(name string) {
	infof("Node %s has not been updated for the grace period, marking it Unknown", name)
	s.db.change(nodeResource, "", name, func(node object) (object, error) {
		for _, item := range listAt(node, "status", "conditions") {
			condition := item.(object)
			if kind := textAt(condition, "type"); kind != "Ready" && !strings.HasSuffix(kind, "Pressure") {
				continue
			}
			condition["status"], condition["reason"], condition["message"] = "Unknown", "NodeStatusUnknown", "Kubelet stopped posting node status."
			condition["lastTransitionTime"] = stamp(time.Now())
		}
		taints := without(listAt(node, "spec", "taints"), nil)
		for _, effect := range []string{"NoSchedule", "NoExecute"} {
			taints = append(taints, object{"key": "node.kubernetes.io/unreachable", "effect": effect, "timeAdded": stamp(time.Now())})
		}
		putAt(node, taints, "spec", "taints")
		return node, nil
	})
}

// setNodeTaints takes off taints that the control plane itself had put on, and mirrors "unschedulable" as one.
func (s *server) setNodeTaints(name string, drop ...string) {
	s.db.change(nodeResource, "", name, func(node object) (object, error) {
		kept := []any{}
		cordoned := at(node, "spec", "unschedulable") == true
		const cordon = "node.kubernetes.io/unschedulable"
		hasCordon := false
		for _, taint := range listAt(node, "spec", "taints") {
			key := textAt(taint, "key")
			if contains([]any{drop[0], drop[1]}, key) || key == cordon && !cordoned {
				continue
			}
			hasCordon = hasCordon || key == cordon
			kept = append(kept, taint)
		}
		if cordoned && !hasCordon {
			kept = append(kept, object{"key": cordon, "effect": "NoSchedule", "timeAdded": stamp(time.Now())})
		}
		if len(kept) == 0 {
			delete(mapAt(node, "spec"), "taints")
		} else {
			putAt(node, kept, "spec", "taints")
		}
		return node, nil
	})
}

// removeMembersOnRequest serves the annotation that takes a server out of etcd and leaves its Node.
func (s *server) removeMembersOnRequest() {
	const request, done = "etcd.k3s.cattle.io/remove", "etcd.k3s.cattle.io/removed-node-name"
	for _, node := range s.db.all(nodeResource, "") {
		name := textAt(node, "metadata", "annotations", "etcd.k3s.cattle.io/node-name")
		if strings.ToLower(textAt(node, "metadata", "annotations", request)) != "true" || textAt(node, "metadata", "annotations", done) != "" || name == "" {
			continue
		}
		if err := s.removePeer(name, textAt(node, "metadata", "annotations", "etcd.k3s.cattle.io/node-address")); err != nil {
			errorf("etcd member removal rejected, clearing remove annotation: %v", err)
			s.annotateNode(nameOf(node), object{request: nil})
			continue
		}
		s.annotateNode(nameOf(node), object{done: name, request: nil, "etcd.k3s.cattle.io/node-name": nil, "etcd.k3s.cattle.io/node-address": nil})
	}
}

func (s *server) annotateNode(name string, annotations object) {
	s.db.change(nodeResource, "", name, func(node object) (object, error) {
		return mergePatch(node, object{"metadata": object{"annotations": clone(annotations)}}).(object), nil
	})
}

// finishDeletedNodes takes the members of deleted servers out of etcd, then lets the Nodes go.
func (s *server) finishDeletedNodes() {
	for _, node := range s.db.all(nodeResource, "") {
		if textAt(node, "metadata", "deletionTimestamp") == "" {
			continue
		}
		name := textAt(node, "metadata", "annotations", "etcd.k3s.cattle.io/node-name")
		if s.etcd && name != "" {
			infof("Removing etcd member from cluster due to node delete")
			if err := s.removePeer(name, textAt(node, "metadata", "annotations", "etcd.k3s.cattle.io/node-address")); err != nil {
				errorf("error syncing '%s': handler managed-etcd-controller: %v, requeuing", nameOf(node), err)
				continue
			}
		}
		if s.db.isRemoved() {
			return // it was this server; the next leader lets the Node go
		}
		s.db.remove(nodeResource, "", nameOf(node))
	}
}

// collectGarbage removes what belonged to nodes and owners that are gone, a moment after they went.
func (s *server) collectGarbage() {
	nodes := map[string]string{}
	for _, node := range s.db.all(nodeResource, "") {
		nodes[nameOf(node)] = textAt(node, "metadata", "uid")
	}
	for _, secret := range s.db.all(secretResource, "kube-system") {
		if node, isPassword := strings.CutSuffix(nameOf(secret), ".node-password.k3s"); isPassword {
			s.ownPassword(secret, node, nodes)
		}
	}
	for _, lease := range s.db.all(leaseResource, "kube-node-lease") {
		if _, alive := nodes[nameOf(lease)]; !alive {
			s.db.remove(leaseResource, "kube-node-lease", nameOf(lease))
		}
	}
	for _, pod := range s.db.all(podResource, "") {
		bound := textAt(pod, "spec", "nodeName")
		if _, alive := nodes[bound]; bound != "" && !alive {
			s.db.remove(podResource, textAt(pod, "metadata", "namespace"), nameOf(pod))
		}
	}
}

// ownPassword ties a node's password to its Node, so that it goes when the Node goes.
func (s *server) ownPassword(secret object, node string, nodes map[string]string) {
	uid, alive := nodes[node]
	owners := listAt(secret, "metadata", "ownerReferences")
	for _, owner := range owners {
		if !alive || textAt(owner, "uid") != uid {
			s.db.remove(secretResource, "kube-system", nameOf(secret))
			return
		}
	}
	if alive && len(owners) == 0 {
		s.db.change(secretResource, "kube-system", nameOf(secret), func(o object) (object, error) {
			putAt(o, []any{object{"apiVersion": "v1", "kind": "Node", "name": node, "uid": uid}}, "metadata", "ownerReferences")
			return o, nil
		})
	}
}

func (s *server) finishNamespaces() {
	for _, namespace := range s.db.all(namespaceResource, "") {
		if textAt(namespace, "metadata", "deletionTimestamp") == "" {
			s.createIfMissing(mustResource("serviceaccounts"), object{"metadata": object{"name": "default", "namespace": nameOf(namespace)}})
			s.createIfMissing(configMapResource, object{"metadata": object{"name": "kube-root-ca.crt", "namespace": nameOf(namespace)},
				"data": object{"ca.crt": string(s.serverCA.pem)}})
			continue
		}
		for _, r := range resources {
			if r.namespaced {
				for _, o := range s.db.all(r, nameOf(namespace)) {
					s.db.remove(r, nameOf(namespace), nameOf(o))
				}
			}
		}
		s.db.remove(namespaceResource, "", nameOf(namespace))
	}
}
