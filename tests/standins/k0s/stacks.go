// Manifests: each folder in manifests/ is a stack that the leading controller applies, and prunes when files go.
package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"time"

	"standin/kube"
)

const (
	stackLabel     = "k0s.k0sproject.io/stack"
	checksumMark   = "k0s.k0sproject.io/stack-checksum"
	stacksInterval = 3 * time.Second
)

// component is the manifest of one packaged part, small but with what schedulers and clients look at.
func component(kind, name, image string) string {
	return `apiVersion: apps/v1
kind: ` + kind + `
metadata:
  name: ` + name + `
  namespace: kube-system
  labels:
    k8s-app: ` + name + `
spec:
  selector:
    matchLabels:
      k8s-app: ` + name + `
  template:
    metadata:
      labels:
        k8s-app: ` + name + `
    spec:
      tolerations:
      - operator: Exists
      containers:
      - name: ` + name + `
        image: quay.io/k0sproject/` + image + "\n"
}

// packaged gives the stacks of k0s itself by folder name, each with one file.
func (c *controller) packaged() map[string]string {
	stacks := map[string]string{}
	add := func(disabledBy, stack, content string) {
		if !c.disabled(disabledBy) {
			stacks[stack] = content
		}
	}
	add("coredns", "coredns", component("Deployment", "coredns", "coredns:1.14.6-k0s.0"))
	add("metrics-server", "metricserver", component("Deployment", "metrics-server", "metrics-server:v0.9.0-k0s.0"))
	if !c.i.enabled("single") {
		add("konnectivity-server", "konnectivity", component("DaemonSet", "konnectivity-agent", "apiserver-network-proxy-agent:v0.36.0-k0s.0"))
	}
	if !c.config.Spec.Network.KubeProxy.Disabled {
		add("kube-proxy", "kubeproxy", component("DaemonSet", "kube-proxy", "kube-proxy:v1.36.3-1"))
	}
	switch c.config.Spec.Network.Provider {
	case "kuberouter":
		add("network-provider", "kuberouter", component("DaemonSet", "kube-router", "kube-router:v2.10.0-iptables1.8.13-k0s.1"))
	case "calico":
		add("network-provider", "calico", component("DaemonSet", "calico-node", "calico-node:v3.32.1-2"))
	}
	return stacks
}

func (c *controller) deployStacks() {
	for stack, content := range c.packaged() {
		dir := filepath.Join(c.v.ManifestsDir, stack)
		os.MkdirAll(dir, 0o755)
		os.WriteFile(filepath.Join(dir, stack+".yaml"), []byte(content), 0o644)
	}
	applied := map[string]string{}
	for !c.DB.IsRemoved() && !c.disabled("applier-manager") {
		time.Sleep(stacksInterval)
		if !c.DB.Leading() {
			applied = map[string]string{}
			continue
		}
		c.applyStacks(applied)
	}
}

// applyStacks applies what changed since it was last seen. Only *.yaml right in a stack's folder counts.
func (c *controller) applyStacks(applied map[string]string) {
	folders, _ := filepath.Glob(filepath.Join(c.v.ManifestsDir, "*"))
	sort.Strings(folders)
	present := map[string]bool{}
	for _, folder := range folders {
		if info, err := os.Stat(folder); err != nil || !info.IsDir() {
			continue
		}
		stack := filepath.Base(folder)
		present[stack] = true
		files, _ := filepath.Glob(filepath.Join(folder, "*.yaml"))
		sort.Strings(files)
		content := ""
		for _, file := range files {
			text, _ := os.ReadFile(file)
			content += "---\n" + string(text) + "\n"
		}
		sum := sha256.Sum256([]byte(content))
		checksum := hex.EncodeToString(sum[:])
		if applied[stack] == checksum {
			continue
		}
		if err := c.applyStack(stack, content, checksum); err != nil {
			kube.LogWith("warning", fmt.Sprintf(" component=applier-manager error=%q stack=%s", err, stack), "Failed to apply manifests")
			continue
		}
		applied[stack] = checksum
	}
	for stack := range applied {
		if !present[stack] {
			c.prune(stack, nil)
			delete(applied, stack)
		}
	}
}

func (c *controller) applyStack(stack, content, checksum string) error {
	objects, err := kube.ReadManifest(content)
	if err != nil {
		return err
	}
	wanted := map[string]bool{}
	for _, o := range objects {
		kube.PutAt(o, stack, "metadata", "labels", stackLabel)
		kube.PutAt(o, checksum, "metadata", "annotations", checksumMark)
		if err := c.DB.Apply(o); err != nil {
			return err
		}
		wanted[identity(o)] = true
	}
	c.prune(stack, wanted)
	return nil
}

func identity(o kube.Object) string {
	return kube.TextAt(o, "apiVersion") + "/" + kube.TextAt(o, "kind") + "/" + kube.TextAt(o, "metadata", "namespace") + "/" + kube.NameOf(o)
}

// prune removes objects of a stack that no file names any more.
func (c *controller) prune(stack string, wanted map[string]bool) {
	for _, r := range kube.Resources {
		for _, o := range c.DB.All(r, "") {
			if kube.TextAt(o, "metadata", "labels", stackLabel) == stack && !wanted[identity(o)] {
				kube.Infof("deleting resource %s from stack %s", identity(o), stack)
				c.DB.Remove(r, kube.TextAt(o, "metadata", "namespace"), kube.NameOf(o))
			}
		}
	}
}
