// What the control plane of k3s adds: its first objects, marks on nodes, members and passwords of deleted nodes.
package main

import (
	"encoding/base64"
	"strings"
	"time"

	"standin/kube"
)

// seed makes the objects every cluster has. It is done by each server; what is there stays.
func (s *server) seed() {
	s.controllers.Seed(s.clusterConfig().Critical["service-cidr"], s.Address, s.clientCA.PEM)
	s.controllers.CreateIfMissing(kube.ConfigMapResource, kube.Object{"metadata": kube.Object{"name": "cluster-dns", "namespace": "kube-system"},
		"data": kube.Object{"clusterDNS": s.clusterConfig().Critical["cluster-dns"], "clusterDomain": s.opts.text("cluster-domain")}})
	s.controllers.CreateIfMissing(kube.SecretResource, kube.Object{"metadata": kube.Object{"name": "k3s-serving", "namespace": "kube-system"}, "type": "kubernetes.io/tls",
		"data": kube.Object{"tls.crt": base64.StdEncoding.EncodeToString(s.serverCA.PEM), "tls.key": ""}})
	s.seedLeases()
}

// seedLeases: controllers of a server that shares its datastore hold leases; every API server has one.
func (s *server) seedLeases() {
	var names []string
	if s.etcd {
		names = []string{"k3s", "k3s-etcd", "kube-controller-manager", "kube-scheduler", "k3s-cloud-controller-manager"}
	}
	s.controllers.SeedLeases(s.nodeName, names...)
}

// labelOwnNode marks the node of this server once it is registered, and keeps its etcd annotations right.
func (s *server) labelOwnNode() {
	for {
		time.Sleep(500 * time.Millisecond)
		labels := kube.Object{"node-role.kubernetes.io/control-plane": "true"}
		annotations := kube.Object{}
		if s.etcd {
			name, _ := s.memberName(false)
			labels["node-role.kubernetes.io/etcd"] = "true"
			annotations["etcd.k3s.cattle.io/node-name"], annotations["etcd.k3s.cattle.io/node-address"] = name, s.nodeIPs[0]
		}
		s.DB.Change(kube.NodeResource, "", s.agentName(), func(node kube.Object) (kube.Object, error) {
			finalizers := []any{"wrangler.cattle.io/node"}
			if s.etcd {
				finalizers = append(finalizers, "wrangler.cattle.io/managed-etcd-controller")
			}
			if kube.TextAt(node, "metadata", "deletionTimestamp") == "" {
				kube.PutAt(node, kube.Union(kube.ListAt(node, "metadata", "finalizers"), finalizers), "metadata", "finalizers")
			}
			if s.etcd {
				s.markVoter(node)
			}
			return kube.MergePatch(node, kube.Object{"metadata": kube.Object{"labels": kube.Clone(labels), "annotations": kube.Clone(annotations)}}).(kube.Object), nil
		})
	}
}

// markVoter keeps the node's condition EtcdIsVoter: False while the member learns, True once it votes.
func (s *server) markVoter(node kube.Object) {
	fresh := kube.Object{"type": "EtcdIsVoter", "status": "False", "reason": "MemberIsLearner",
		"message": "Node has not been promoted to voting member of the etcd cluster"}
	if s.DB.Votes() {
		fresh = kube.Object{"type": "EtcdIsVoter", "status": "True", "reason": "MemberNotLearner",
			"message": "Node is a voting member of the etcd cluster"}
	}
	before := kube.ConditionOf(node, "EtcdIsVoter")
	if kube.TextAt(before, "status") == kube.TextAt(fresh, "status") {
		return
	}
	fresh["lastTransitionTime"], fresh["lastHeartbeatTime"] = kube.Stamp(time.Now()), kube.Stamp(time.Now())
	var kept []any
	for _, condition := range kube.ListAt(node, "status", "conditions") {
		if kube.TextAt(condition, "type") != "EtcdIsVoter" {
			kept = append(kept, condition)
		}
	}
	kube.PutAt(node, append(kept, fresh), "status", "conditions")
}

// control runs on every server; only the leader of the datastore works, the others deploy their manifests.
func (s *server) control() {
	go s.deployManifests()
	s.coreReady.Store(true)
	s.deferred.Range(func(node, password any) bool {
		if err := s.ensureNodePassword(node.(string), password.(string)); err != nil {
			kube.Warnf("Deferred node password secret validation failed: %v", err)
		}
		return true
	})
	for !s.DB.IsRemoved() {
		time.Sleep(500 * time.Millisecond)
		if s.controllers.Work() {
			s.removeMembersOnRequest()
			s.finishDeletedNodes()
			s.collectPasswords()
		}
	}
}

func (s *server) newControllers() *kube.Controllers {
	return kube.NewControllers(s.DB, s.clusterConfig().Critical["cluster-cidr"], s.serverCA.PEM, kube.SecondsFromEnvironment("STANDIN_NODE_GRACE_SECONDS", 40))
}

// collectPasswords removes the passwords of nodes that are gone.
func (s *server) collectPasswords() {
	nodes := s.controllers.NodeUIDs()
	for _, secret := range s.DB.All(kube.SecretResource, "kube-system") {
		if node, isPassword := strings.CutSuffix(kube.NameOf(secret), ".node-password.k3s"); isPassword {
			s.ownPassword(secret, node, nodes)
		}
	}
}

// removeMembersOnRequest serves the annotation that takes a server out of etcd and leaves its Node.
func (s *server) removeMembersOnRequest() {
	const request, done = "etcd.k3s.cattle.io/remove", "etcd.k3s.cattle.io/removed-node-name"
	for _, node := range s.DB.All(kube.NodeResource, "") {
		name := kube.TextAt(node, "metadata", "annotations", "etcd.k3s.cattle.io/node-name")
		if strings.ToLower(kube.TextAt(node, "metadata", "annotations", request)) != "true" || kube.TextAt(node, "metadata", "annotations", done) != "" || name == "" {
			continue
		}
		if err := s.RemovePeer(name, kube.TextAt(node, "metadata", "annotations", "etcd.k3s.cattle.io/node-address")); err != nil {
			kube.Errorf("etcd member removal rejected, clearing remove annotation: %v", err)
			s.annotateNode(kube.NameOf(node), kube.Object{request: nil})
			continue
		}
		s.annotateNode(kube.NameOf(node), kube.Object{done: name, request: nil, "etcd.k3s.cattle.io/node-name": nil, "etcd.k3s.cattle.io/node-address": nil})
	}
}

func (s *server) annotateNode(name string, annotations kube.Object) {
	s.DB.Change(kube.NodeResource, "", name, func(node kube.Object) (kube.Object, error) {
		return kube.MergePatch(node, kube.Object{"metadata": kube.Object{"annotations": kube.Clone(annotations)}}).(kube.Object), nil
	})
}

// finishDeletedNodes takes the members of deleted servers out of etcd, then lets the Nodes go.
func (s *server) finishDeletedNodes() {
	for _, node := range s.DB.All(kube.NodeResource, "") {
		if kube.TextAt(node, "metadata", "deletionTimestamp") == "" {
			continue
		}
		name := kube.TextAt(node, "metadata", "annotations", "etcd.k3s.cattle.io/node-name")
		if s.etcd && name != "" {
			kube.Infof("Removing etcd member from cluster due to node delete")
			if err := s.RemovePeer(name, kube.TextAt(node, "metadata", "annotations", "etcd.k3s.cattle.io/node-address")); err != nil {
				kube.Errorf("error syncing '%s': handler managed-etcd-controller: %v, requeuing", kube.NameOf(node), err)
				continue
			}
		}
		if s.DB.IsRemoved() {
			return // it was this server; the next leader lets the Node go
		}
		s.DB.Remove(kube.NodeResource, "", kube.NameOf(node))
	}
}

// ownPassword ties a node's password to its Node, so that it goes when the Node goes.
func (s *server) ownPassword(secret kube.Object, node string, nodes map[string]string) {
	uid, alive := nodes[node]
	owners := kube.ListAt(secret, "metadata", "ownerReferences")
	for _, owner := range owners {
		if !alive || kube.TextAt(owner, "uid") != uid {
			s.DB.Remove(kube.SecretResource, "kube-system", kube.NameOf(secret))
			return
		}
	}
	if alive && len(owners) == 0 {
		s.DB.Change(kube.SecretResource, "kube-system", kube.NameOf(secret), func(o kube.Object) (kube.Object, error) {
			kube.PutAt(o, []any{kube.Object{"apiVersion": "v1", "kind": "Node", "name": node, "uid": uid}}, "metadata", "ownerReferences")
			return o, nil
		})
	}
}
