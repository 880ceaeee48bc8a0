// Deployments, daemon sets and jobs become pods, and pods are bound to nodes.
package main

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"
)

var (
	deploymentResource = mustResource("deployments")
	daemonSetResource  = mustResource("daemonsets")
	jobResource        = mustResource("jobs")
)

func (s *server) runWorkloads() {
	nodes := s.db.all(nodeResource, "")
	owned := map[string][]object{}
	for _, pod := range s.db.all(podResource, "") {
		for _, owner := range listAt(pod, "metadata", "ownerReferences") {
			owned[textAt(owner, "uid")] = append(owned[textAt(owner, "uid")], pod)
		}
	}
	alive := map[string]bool{}
	for _, r := range []resource{deploymentResource, daemonSetResource, jobResource} {
		for _, workload := range s.db.all(r, "") {
			uid := textAt(workload, "metadata", "uid")
			alive[uid] = true
			switch r.plural {
			case "daemonsets":
				s.runDaemonSet(workload, owned[uid], nodes)
			default:
				s.runReplicas(r, workload, owned[uid])
			}
		}
	}
	for uid, pods := range owned {
		if !alive[uid] {
			for _, pod := range pods {
				s.markDeleted(pod)
			}
		}
	}
	s.evictUntolerated(nodes)
	s.bindPods(nodes)
}

func templateHash(workload object) string {
	sum := sha256.Sum256([]byte(toJSON(at(workload, "spec", "template"))))
	return hex.EncodeToString(sum[:])[:10]
}

func (s *server) markDeleted(pod object) {
	if textAt(pod, "metadata", "deletionTimestamp") != "" {
		return
	}
	if textAt(pod, "spec", "nodeName") == "" {
		s.db.remove(podResource, textAt(pod, "metadata", "namespace"), nameOf(pod))
		return
	}
	s.db.change(podResource, textAt(pod, "metadata", "namespace"), nameOf(pod), func(o object) (object, error) {
		putAt(o, stamp(time.Now()), "metadata", "deletionTimestamp")
		putAt(o, float64(30), "metadata", "deletionGracePeriodSeconds")
		return o, nil
	})
}

func (s *server) newPod(workload object, name, ownerKind, ownerName, node string) {
	template := cloneObject(mapAt(workload, "spec", "template"))
	pod := object{"metadata": object{"name": name, "namespace": textAt(workload, "metadata", "namespace"), "labels": object{}}, "spec": template["spec"],
		"status": object{"phase": "Pending"}}
	for key, value := range mapAt(template, "metadata", "labels") {
		putAt(pod, value, "metadata", "labels", key)
	}
	putAt(pod, templateHash(workload), "metadata", "labels", "pod-template-hash")
	apiVersion := "apps/v1"
	if ownerKind == "Job" {
		apiVersion = "batch/v1"
	}
	putAt(pod, []any{object{"apiVersion": apiVersion, "kind": ownerKind, "name": ownerName, "uid": textAt(workload, "metadata", "uid"),
		"controller": true, "blockOwnerDeletion": true}}, "metadata", "ownerReferences")
	if node != "" {
		putAt(pod, node, "spec", "nodeName")
	}
	s.db.create(podResource, pod)
}

func isReady(o object) bool { return textAt(conditionOf(o, "Ready"), "status") == "True" }

func (s *server) runReplicas(r resource, workload object, pods []object) {
	wanted := 1
	if number, ok := at(workload, "spec", "replicas").(float64); ok && r.plural == "deployments" {
		wanted = int(number)
	}
	hash := templateHash(workload)
	active, ready, completed := 0, 0, 0
	for _, pod := range pods {
		if textAt(pod, "metadata", "deletionTimestamp") != "" {
			continue
		}
		if r.plural == "deployments" && textAt(pod, "metadata", "labels", "pod-template-hash") != hash || active >= wanted {
			s.markDeleted(pod)
			continue
		}
		active++
		if isReady(pod) {
			ready++
		}
		if textAt(pod, "status", "phase") == "Succeeded" {
			completed++
		}
	}
	if done, ok := at(workload, "status", "succeeded").(float64); ok && int(done) >= wanted && r.plural == "jobs" {
		return
	}
	kind, owner := "ReplicaSet", nameOf(workload)+"-"+hash
	if r.plural == "jobs" {
		kind, owner = "Job", nameOf(workload)
	}
	for ; active < wanted; active++ {
		s.newPod(workload, owner+"-"+randomHex(3)[:5], kind, owner, "")
	}
	status := object{"observedGeneration": at(workload, "metadata", "generation"), "replicas": wanted, "updatedReplicas": wanted, "readyReplicas": ready,
		"availableReplicas": ready, "unavailableReplicas": wanted - ready, "conditions": []any{object{"type": "Available", "status": boolText(ready >= wanted)}}}
	if r.plural == "jobs" {
		status = object{"active": wanted - completed, "succeeded": completed, "conditions": []any{object{"type": "Complete", "status": boolText(completed >= wanted)}}}
	}
	s.setStatus(r, workload, status)
}

func boolText(b bool) string {
	if b {
		return "True"
	}
	return "False"
}

func (s *server) setStatus(r resource, o, status object) {
	s.db.change(r, textAt(o, "metadata", "namespace"), nameOf(o), func(fresh object) (object, error) {
		fresh["status"] = clone(status)
		return fresh, nil
	})
}

// runDaemonSet wants one pod on each node, cordoned or not, that its tolerations and selector allow.
func (s *server) runDaemonSet(workload object, pods []object, nodes []object) {
	byNode := map[string]object{}
	for _, pod := range pods {
		byNode[textAt(pod, "spec", "nodeName")] = pod
	}
	ready, wanted := 0, 0
	for _, node := range nodes {
		if !tolerates(mapAt(workload, "spec", "template"), node, true) || !matchesNodeSelector(mapAt(workload, "spec", "template"), node) {
			continue
		}
		wanted++
		pod, found := byNode[nameOf(node)]
		if !found {
			s.newPod(workload, nameOf(workload)+"-"+randomHex(3)[:5], "DaemonSet", nameOf(workload), nameOf(node))
		} else if isReady(pod) {
			ready++
		}
	}
	s.setStatus(daemonSetResource, workload, object{"currentNumberScheduled": wanted, "desiredNumberScheduled": wanted, "numberReady": ready,
		"numberAvailable": ready, "numberMisscheduled": 0, "updatedNumberScheduled": wanted, "observedGeneration": at(workload, "metadata", "generation")})
}

func matchesNodeSelector(pod, node object) bool {
	for key, value := range mapAt(pod, "spec", "nodeSelector") {
		if at(node, "metadata", "labels", key) != value {
			return false
		}
	}
	return true
}

// tolerates tells whether a pod may stay on a node; daemons also tolerate what the control plane puts on by itself.
func tolerates(pod, node object, daemon bool) bool {
	for _, taint := range listAt(node, "spec", "taints") {
		if textAt(taint, "effect") == "PreferNoSchedule" || daemon && strings.HasPrefix(textAt(taint, "key"), "node.kubernetes.io/") {
			continue
		}
		if !tolerated(pod, taint) {
			return false
		}
	}
	return true
}

func tolerated(pod object, taint any) bool {
	for _, toleration := range listAt(pod, "spec", "tolerations") {
		key, effect, operator := textAt(toleration, "key"), textAt(toleration, "effect"), textAt(toleration, "operator")
		sameEffect := effect == "" || effect == textAt(taint, "effect")
		sameKey := key == "" && operator == "Exists" || key == textAt(taint, "key")
		sameValue := operator == "Exists" || textAt(toleration, "value") == textAt(taint, "value")
		if sameEffect && sameKey && sameValue {
			return true
		}
	}
	return false
}

// evictUntolerated removes pods from nodes with NoExecute taints; for unreachable nodes after the usual 300 seconds.
func (s *server) evictUntolerated(nodes []object) {
	for _, node := range nodes {
		for _, taint := range listAt(node, "spec", "taints") {
			if textAt(taint, "effect") != "NoExecute" {
				continue
			}
			added, _ := time.Parse(time.RFC3339, textAt(taint, "timeAdded"))
			if strings.HasPrefix(textAt(taint, "key"), "node.kubernetes.io/") && time.Since(added) < 300*time.Second {
				continue
			}
			for _, pod := range s.db.all(podResource, "") {
				if textAt(pod, "spec", "nodeName") == nameOf(node) && !tolerated(pod, taint) && !ownedByDaemonSet(pod) {
					s.markDeleted(pod)
				}
			}
		}
	}
}

func ownedByDaemonSet(pod object) bool {
	for _, owner := range listAt(pod, "metadata", "ownerReferences") {
		if textAt(owner, "kind") == "DaemonSet" {
			return true
		}
	}
	return false
}

func (s *server) bindPods(nodes []object) {
	for _, pod := range s.db.all(podResource, "") {
		if textAt(pod, "spec", "nodeName") != "" || textAt(pod, "metadata", "deletionTimestamp") != "" {
			continue
		}
		for _, node := range nodes {
			if at(node, "spec", "unschedulable") == true || !isReady(node) || !tolerates(pod, node, false) || !matchesNodeSelector(pod, node) {
				continue
			}
			name := nameOf(node)
			s.db.change(podResource, textAt(pod, "metadata", "namespace"), nameOf(pod), func(o object) (object, error) {
				putAt(o, name, "spec", "nodeName")
				return o, nil
			})
			break
		}
	}
}
