// Launch configurations: read strictly where the real agent is strict, and applied in its order.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"standin/kube"
)

// launchArguments are the keys that hold arguments: the file they go to, and the service that is restarted.
var launchArguments = []struct{ key, file, service string }{
	{"extraKubeAPIServerArgs", "kube-apiserver", "kubelite"}, {"extraKubeletArgs", "kubelet", "kubelite"}, {"extraKubeProxyArgs", "kube-proxy", "kubelite"},
	{"extraKubeControllerManagerArgs", "kube-controller-manager", "kubelite"}, {"extraKubeSchedulerArgs", "kube-scheduler", "kubelite"},
	{"extraKubeliteEnv", "kubelite-env", "kubelite"}, {"extraContainerdArgs", "containerd", "containerd"}, {"extraContainerdEnv", "containerd-env", "containerd"},
	{"extraDqliteArgs", "k8s-dqlite", "k8s-dqlite"}, {"extraDqliteEnv", "k8s-dqlite-env", "k8s-dqlite"},
	{"extraMicroK8sClusterAgentArgs", "cluster-agent", "cluster-agent"}, {"extraMicroK8sClusterAgentEnv", "cluster-agent-env", "cluster-agent"},
	{"extraMicroK8sAPIServerProxyArgs", "apiserver-proxy", "apiserver-proxy"}, {"extraMicroK8sAPIServerProxyEnv", "apiserver-proxy-env", "apiserver-proxy"},
	{"extraEtcdArgs", "etcd", "etcd"}, {"extraEtcdEnv", "etcd-env", "etcd"}, {"extraFlanneldArgs", "flanneld", "flanneld"}, {"extraFlanneldEnv", "flanneld-env", "flanneld"},
	{"extraCNIEnv", "cni-env", ""}, {"extraFIPSEnv", "fips-env", "kubelite"},
}

// readLaunch gives the parts of a file. Unknown keys are passed over, with a word in the log.
func readLaunch(content string) ([]kube.Object, error) {
	var parts []kube.Object
	for n, document := range regexp.MustCompile(`(?m)^---.*$`).Split(content, -1) {
		value, err := kube.ParseYAML(document)
		if err != nil {
			return nil, fmt.Errorf("failed to parse config part %d: failed to decode configuration: %w", n, err)
		}
		if value = kube.Plain(value); value == nil {
			continue
		}
		part, ok := value.(kube.Object)
		if !ok {
			return nil, fmt.Errorf("failed to parse config part %d: failed to decode configuration: yaml: unmarshal errors", n)
		}
		if len(part) == 0 {
			continue
		}
		if err := checkLaunch(part); err != nil {
			return nil, fmt.Errorf("failed to parse config part %d: %w", n, err)
		}
		parts = append(parts, part)
	}
	return parts, nil
}

func checkLaunch(part kube.Object) error {
	given := kube.ToText(part["version"])
	words := regexp.MustCompile(`^(\d+)\.(\d+)\.(\d+)$`).FindStringSubmatch(given)
	if words == nil {
		return fmt.Errorf("could not parse version %q as semantic version", given)
	}
	major, _ := strconv.Atoi(words[1])
	minor, _ := strconv.Atoi(words[2])
	patch, _ := strconv.Atoi(words[3])
	if major > 0 || minor < 1 || minor > 2 || minor == 2 && patch > 0 {
		return fmt.Errorf("config file version %q is not between the supported versions 0.1.0 and 0.2.0", given)
	}
	for _, item := range launchArguments {
		value, given := part[item.key]
		if !given || value == nil {
			continue
		}
		values, ok := value.(kube.Object)
		if !ok {
			return fmt.Errorf("yaml: unmarshal errors:\n  cannot unmarshal !!seq into map[string]*string (%s)", item.key)
		}
		for name, each := range values {
			switch each.(type) {
			case kube.Object, []any:
				return fmt.Errorf("yaml: unmarshal errors:\n  cannot unmarshal !!map into string (%s of %s)", name, item.key)
			}
		}
	}
	for key, list := range map[string]bool{"addons": true, "addonRepositories": true, "extraSANs": true, "containerdRegistryConfigs": false, "extraConfigFiles": false, "join": false} {
		value, given := part[key]
		if _, isMap := value.(kube.Object); given && value != nil && (list != kube.IsList(value) || !list && !isMap) {
			return fmt.Errorf("yaml: unmarshal errors:\n  cannot unmarshal %s", key)
		}
	}
	return nil
}

func applyLaunchFile(path string, before bool) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	parts, err := readLaunch(string(content))
	if err != nil {
		return fmt.Errorf("failed to parse config file: %w", err)
	}
	restart := map[string]bool{}
	for n, part := range parts {
		if err := applyLaunchPart(part, before, restart); err != nil {
			return fmt.Errorf("failed to apply configuration: failed to apply config part %d: %w", n, err)
		}
	}
	for service := range restart {
		if before {
			break
		}
		if err := systemctl("restart", unitOf(service)); err != nil {
			return fmt.Errorf("failed to restart service %s to apply configuration: %w", service, err)
		}
	}
	return nil
}

// applyLaunchPart does add-ons first, then arguments, then the join; before the services there are no add-ons and no join.
func applyLaunchPart(part kube.Object, before bool, restart map[string]bool) error {
	if !before {
		if err := applyLaunchAddons(part); err != nil {
			return err
		}
	}
	if token := kube.TextAt(part, "persistentClusterToken"); token != "" {
		if err := appendLine(credential("persistent-cluster-tokens.txt"), token); err != nil {
			return err
		}
	}
	for name, content := range kube.MapAt(part, "extraConfigFiles") {
		if err := writeOwned(argsPath(name), kube.ToText(content)); err != nil {
			return fmt.Errorf("failed to create extra config file %q: %w", name, err)
		}
	}
	for _, item := range launchArguments {
		for name, value := range kube.MapAt(part, item.key) {
			given := text(kube.ToText(value))
			if value == nil {
				given = nil
			}
			changed, err := setArgument(item.file, name, given)
			if err != nil {
				return fmt.Errorf("failed to reconcile config file %q: %w", item.file, err)
			}
			if changed && item.service != "" {
				restart[item.service] = true
			}
		}
	}
	if names, given := part["extraSANs"].([]any); given {
		if err := os.WriteFile(certPath("csr.conf.template"), []byte(fmt.Sprintf(requestTemplate, requestNames(names))), 0o660); err != nil {
			return err
		}
	}
	for registry, content := range kube.MapAt(part, "containerdRegistryConfigs") {
		path := argsPath(filepath.Join("certs.d", registry, "hosts.toml"))
		if err := os.MkdirAll(filepath.Dir(path), 0o770); err != nil {
			return err
		}
		if err := writeOwned(path, kube.ToText(content)); err != nil {
			return err
		}
	}
	if address := kube.TextAt(part, "join", "url"); address != "" && !before {
		words := []string{"join", address}
		if kube.At(part, "join", "worker") == true {
			words = append(words, "--worker")
		}
		if out, err := exec.Command(filepath.Join(snapDir(), "bin", "microk8s"), words...).CombinedOutput(); err != nil {
			return fmt.Errorf("failed to join cluster: %s: %w", out, err)
		}
	}
	return nil
}

func applyLaunchAddons(part kube.Object) error {
	program := filepath.Join(snapDir(), "bin", "microk8s")
	for _, repository := range kube.ListAt(part, "addonRepositories") {
		words := []string{"addons", "repo", "add", kube.TextAt(repository, "name"), kube.TextAt(repository, "url"), "--force"}
		if reference := kube.TextAt(repository, "reference"); reference != "" {
			words = append(words, "--reference", reference)
		}
		if err := exec.Command(program, words...).Run(); err != nil {
			return fmt.Errorf("failed to reconcile addon repositories: failed to add repository %s: %w", kube.TextAt(repository, "name"), err)
		}
	}
	for _, addon := range kube.ListAt(part, "addons") {
		verb := "enable"
		if kube.At(addon, "disable") == true {
			verb = "disable"
		}
		words := []string{verb, kube.TextAt(addon, "name")}
		for _, word := range kube.ListAt(addon, "args") {
			words = append(words, kube.ToText(word))
		}
		if err := exec.Command(program, words...).Run(); err != nil {
			return fmt.Errorf("failed to reconcile addons: failed to %s addon %q: %w", verb, kube.TextAt(addon, "name"), err)
		}
	}
	return nil
}

func requestNames(extra []any) string {
	dns := []string{"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster", "kubernetes.default.svc.cluster.local"}
	ips := []string{"127.0.0.1", "10.152.183.1"}
	for _, name := range extra {
		if value := kube.ToText(name); isAddress(value) {
			ips = append(ips, value)
		} else {
			dns = append(dns, value)
		}
	}
	var out strings.Builder
	for n, name := range dns {
		fmt.Fprintf(&out, "DNS.%d = %s\n", n, name)
	}
	for n, address := range ips {
		fmt.Fprintf(&out, "IP.%d = %s\n", n, address)
	}
	return out.String()
}

func appendLine(path, line string) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o660)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = fmt.Fprintln(file, line)
	return err
}
