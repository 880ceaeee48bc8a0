// Deployments, daemon sets and jobs become pods, and pods are bound to nodes.
package kube

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

var (
	deploymentResource  = MustResource("deployments")
	daemonSetResource   = MustResource("daemonsets")
	statefulSetResource = MustResource("statefulsets")
	jobResource         = MustResource("jobs")
)

func (c *Controllers) RunWorkloads() {
	nodes := c.DB.All(NodeResource, "")
	owned := map[string][]Object{}
	for _, pod := range c.DB.All(podResource, "") {
		for _, owner := range ListAt(pod, "metadata", "ownerReferences") {
			owned[TextAt(owner, "uid")] = append(owned[TextAt(owner, "uid")], pod)
		}
	}
	alive := map[string]bool{}
	for _, r := range []Resource{deploymentResource, daemonSetResource, statefulSetResource, jobResource} {
		for _, workload := range c.DB.All(r, "") {
			uid := TextAt(workload, "metadata", "uid")
			alive[uid] = true
			switch r.Plural {
			case "daemonsets":
				c.RunDaemonSet(workload, owned[uid], nodes)
			default:
				c.RunReplicas(r, workload, owned[uid])
			}
		}
	}
	for uid, pods := range owned {
		if !alive[uid] {
			for _, pod := range pods {
				c.MarkDeleted(pod)
			}
		}
	}
	c.EvictUntolerated(nodes)
	c.BindPods(nodes)
}

func templateHash(workload Object) string {
	sum := sha256.Sum256([]byte(ToJSON(At(workload, "spec", "template"))))
	return hex.EncodeToString(sum[:])[:10]
}

func (c *Controllers) MarkDeleted(pod Object) {
	if TextAt(pod, "metadata", "deletionTimestamp") != "" {
		return
	}
	if TextAt(pod, "spec", "nodeName") == "" {
		c.DB.Remove(podResource, TextAt(pod, "metadata", "namespace"), NameOf(pod))
		return
	}
	c.DB.Change(podResource, TextAt(pod, "metadata", "namespace"), NameOf(pod), func(o Object) (Object, error) {
		PutAt(o, Stamp(time.Now()), "metadata", "deletionTimestamp")
		PutAt(o, float64(30), "metadata", "deletionGracePeriodSeconds")
		return o, nil
	})
}

func (c *Controllers) NewPod(workload Object, name, ownerKind, ownerName, node string) {
	template := cloneObject(MapAt(workload, "spec", "template"))
	pod := Object{"metadata": Object{"name": name, "namespace": TextAt(workload, "metadata", "namespace"), "labels": Object{}}, "spec": template["spec"],
		"status": Object{"phase": "Pending"}}
	for key, value := range MapAt(template, "metadata", "labels") {
		PutAt(pod, value, "metadata", "labels", key)
	}
	PutAt(pod, templateHash(workload), "metadata", "labels", "pod-template-hash")
	apiVersion := "apps/v1"
	if ownerKind == "Job" {
		apiVersion = "batch/v1"
	}
	PutAt(pod, []any{Object{"apiVersion": apiVersion, "kind": ownerKind, "name": ownerName, "uid": TextAt(workload, "metadata", "uid"),
		"controller": true, "blockOwnerDeletion": true}}, "metadata", "ownerReferences")
	if node != "" {
		PutAt(pod, node, "spec", "nodeName")
	}
	c.DB.Create(podResource, pod)
}

func IsReady(o Object) bool { return TextAt(ConditionOf(o, "Ready"), "status") == "True" }

func (c *Controllers) RunReplicas(r Resource, workload Object, pods []Object) {
	wanted := 1
	if number, ok := At(workload, "spec", "replicas").(float64); ok && r.Plural != "jobs" {
		wanted = int(number)
	}
	hash := templateHash(workload)
	active, ready, completed := 0, 0, 0
	for _, pod := range pods {
		if TextAt(pod, "metadata", "deletionTimestamp") != "" {
			continue
		}
		if r.Plural != "jobs" && TextAt(pod, "metadata", "labels", "pod-template-hash") != hash || active >= wanted {
			c.MarkDeleted(pod)
			continue
		}
		active++
		if IsReady(pod) {
			ready++
		}
		if TextAt(pod, "status", "phase") == "Succeeded" {
			completed++
		}
	}
	if done, ok := At(workload, "status", "succeeded").(float64); ok && int(done) >= wanted && r.Plural == "jobs" {
		return
	}
	kind, owner := "ReplicaSet", NameOf(workload)+"-"+hash
	if r.Plural != "deployments" {
		kind, owner = r.Kind, NameOf(workload)
	}
	for ; active < wanted; active++ {
		name := owner + "-" + RandomHex(3)[:5]
		if r.Plural == "statefulsets" {
			name = fmt.Sprintf("%s-%d", owner, active)
		}
		c.NewPod(workload, name, kind, owner, "")
	}
	status := Object{"observedGeneration": At(workload, "metadata", "generation"), "replicas": wanted, "updatedReplicas": wanted, "readyReplicas": ready,
		"availableReplicas": ready, "unavailableReplicas": wanted - ready, "conditions": []any{Object{"type": "Available", "status": boolText(ready >= wanted)}}}
	if r.Plural == "jobs" {
		status = Object{"active": wanted - completed, "succeeded": completed, "conditions": []any{Object{"type": "Complete", "status": boolText(completed >= wanted)}}}
	}
	c.SetStatus(r, workload, status)
}

func boolText(b bool) string {
	if b {
		return "True"
	}
	return "False"
}

func (c *Controllers) SetStatus(r Resource, o, status Object) {
	c.DB.Change(r, TextAt(o, "metadata", "namespace"), NameOf(o), func(fresh Object) (Object, error) {
		fresh["status"] = Clone(status)
		return fresh, nil
	})
}

// RunDaemonSet wants one pod on each node, cordoned or not, that its tolerations and selector allow.
func (c *Controllers) RunDaemonSet(workload Object, pods []Object, nodes []Object) {
	byNode := map[string]Object{}
	for _, pod := range pods {
		byNode[TextAt(pod, "spec", "nodeName")] = pod
	}
	ready, wanted := 0, 0
	for _, node := range nodes {
		if !tolerates(MapAt(workload, "spec", "template"), node, true) || !matchesNodeSelector(MapAt(workload, "spec", "template"), node) {
			continue
		}
		wanted++
		pod, found := byNode[NameOf(node)]
		if !found {
			c.NewPod(workload, NameOf(workload)+"-"+RandomHex(3)[:5], "DaemonSet", NameOf(workload), NameOf(node))
		} else if IsReady(pod) {
			ready++
		}
	}
	c.SetStatus(daemonSetResource, workload, Object{"currentNumberScheduled": wanted, "desiredNumberScheduled": wanted, "numberReady": ready,
		"numberAvailable": ready, "numberMisscheduled": 0, "updatedNumberScheduled": wanted, "observedGeneration": At(workload, "metadata", "generation")})
}

func matchesNodeSelector(pod, node Object) bool {
	for key, value := range MapAt(pod, "spec", "nodeSelector") {
		if At(node, "metadata", "labels", key) != value {
			return false
		}
	}
	return true
}

// tolerates tells whether a pod may stay on a node; daemons also tolerate what the control plane puts on by itself.
func tolerates(pod, node Object, daemon bool) bool {
	for _, taint := range ListAt(node, "spec", "taints") {
		if TextAt(taint, "effect") == "PreferNoSchedule" || daemon && strings.HasPrefix(TextAt(taint, "key"), "node.kubernetes.io/") {
			continue
		}
		if !tolerated(pod, taint) {
			return false
		}
	}
	return true
}

func tolerated(pod Object, taint any) bool {
	for _, toleration := range ListAt(pod, "spec", "tolerations") {
		key, effect, operator := TextAt(toleration, "key"), TextAt(toleration, "effect"), TextAt(toleration, "operator")
		sameEffect := effect == "" || effect == TextAt(taint, "effect")
		sameKey := key == "" && operator == "Exists" || key == TextAt(taint, "key")
		sameValue := operator == "Exists" || TextAt(toleration, "value") == TextAt(taint, "value")
		if sameEffect && sameKey && sameValue {
			return true
		}
	}
	return false
}

// EvictUntolerated removes pods from nodes with NoExecute taints; for unreachable nodes after the usual 300 seconds.
func (c *Controllers) EvictUntolerated(nodes []Object) {
	for _, node := range nodes {
		for _, taint := range ListAt(node, "spec", "taints") {
			if TextAt(taint, "effect") != "NoExecute" {
				continue
			}
			added, _ := time.Parse(time.RFC3339, TextAt(taint, "timeAdded"))
			if strings.HasPrefix(TextAt(taint, "key"), "node.kubernetes.io/") && time.Since(added) < 300*time.Second {
				continue
			}
			for _, pod := range c.DB.All(podResource, "") {
				if TextAt(pod, "spec", "nodeName") == NameOf(node) && !tolerated(pod, taint) && !ownedByDaemonSet(pod) {
					c.MarkDeleted(pod)
				}
			}
		}
	}
}

func ownedByDaemonSet(pod Object) bool {
	for _, owner := range ListAt(pod, "metadata", "ownerReferences") {
		if TextAt(owner, "kind") == "DaemonSet" {
			return true
		}
	}
	return false
}

func (c *Controllers) BindPods(nodes []Object) {
	for _, pod := range c.DB.All(podResource, "") {
		if TextAt(pod, "spec", "nodeName") != "" || TextAt(pod, "metadata", "deletionTimestamp") != "" {
			continue
		}
		for _, node := range nodes {
			if At(node, "spec", "unschedulable") == true || !IsReady(node) || !tolerates(pod, node, false) || !matchesNodeSelector(pod, node) {
				continue
			}
			name := NameOf(node)
			c.DB.Change(podResource, TextAt(pod, "metadata", "namespace"), NameOf(pod), func(o Object) (Object, error) {
				PutAt(o, name, "spec", "nodeName")
				return o, nil
			})
			break
		}
	}
}
