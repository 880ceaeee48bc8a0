// `microk8s status`, and what other commands ask before they do something.
package main

import (
	"encoding/json"
	"fmt"
	"math/rand"
	"os"
	"os/user"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"standin/kube"
)

const (
	notRunning = "microk8s is not running. Use microk8s inspect for a deeper inspection."
	stopped    = "microk8s is not running, try microk8s start"
)

// refuseStrangers is exit_if_no_permissions of the wrappers: true where the user may not.
func refuseStrangers() bool {
	file, err := os.Open(credential("client.config"))
	if err == nil {
		file.Close()
		return false
	}
	name := os.Getenv("USER")
	if who, err := user.Current(); err == nil && name == "" {
		name = who.Username
	}
	group := groupName()
	fmt.Fprintf(os.Stderr, "Insufficient permissions to access MicroK8s.\nYou can either try again with sudo or add the user %s to the '%s' group:\n\n"+
		"    sudo usermod -a -G %s %s\n    sudo chown -R %s ~/.kube\n\nAfter this, reload the user groups either via a reboot or by running 'newgrp %s'.\n",
		name, group, group, name, name, group)
	return true
}

func refuseStopped() bool {
	if locked("stopped.lock") {
		fmt.Fprintln(os.Stderr, stopped)
		return true
	}
	return false
}

// refuseUnprivileged holds for strict confinement only.
func refuseUnprivileged() bool {
	if isStrict() && os.Geteuid() != 0 {
		fmt.Println("Elevated permissions are needed for this command. Please use sudo.")
		return true
	}
	return false
}

func refuseLowMemory() bool {
	if !locked("low-memory-guard.lock") {
		return false
	}
	fmt.Print("\nThis node does not have enough RAM to host the Kubernetes control plane services\nand join the database quorum. You may consider joining this node as a worker\n" +
		"node to a cluster.\n\nIf you would still like to start the control plane services, start MicroK8s with:\n\n    microk8s start --disable-low-memory-guard\n\n")
	return true
}

const actingAsNode = "This MicroK8s deployment is acting as a node in a cluster."

func kubectlOutput(words ...string) (string, error) {
	return outputOf(filepath.Join(snapDir(), "kubectl"), words...)
}

func isClusterReady(withNode bool) bool {
	all, err := kubectlOutput("get", "all", "--all-namespaces")
	if err != nil || !strings.Contains(all, "service/kubernetes") {
		return false
	}
	if !withNode {
		return true
	}
	nodes, err := kubectlOutput("get", "nodes", "--all-namespaces")
	return err == nil && strings.Contains(nodes, " Ready ")
}

func waitForReady(limit int, withNode bool) bool {
	end := time.Now().Add(time.Duration(limit) * time.Second)
	for {
		if isClusterReady(withNode) {
			return true
		}
		if limit != 0 && time.Now().After(end) {
			return false
		}
		time.Sleep(2 * time.Second)
	}
}

// addonInfo is one entry of an addons.yaml.
type addonInfo struct {
	name, repository, description, version, check string
}

// availableAddons reads all repositories; those that can't be read are told and left out.
func availableAddons() []addonInfo {
	files, _ := filepath.Glob(filepath.Join(snapCommon(), "addons", "*"))
	var found []addonInfo
	for _, folder := range files {
		list, err := readRepository(folder)
		if err != nil {
			fmt.Fprintf(os.Stderr, "could not load addons from %s: %v\n", filepath.Join(folder, "addons.yaml"), err)
		}
		found = append(found, list...)
	}
	sort.SliceStable(found, func(i, j int) bool {
		if found[i].repository != found[j].repository {
			return found[i].repository < found[j].repository
		}
		return found[i].name < found[j].name
	})
	return found
}

func readRepository(folder string) ([]addonInfo, error) {
	content, err := os.ReadFile(filepath.Join(folder, "addons.yaml"))
	if err != nil {
		return nil, err
	}
	value, err := kube.ParseYAML(string(content))
	if err != nil {
		return nil, err
	}
	var found []addonInfo
	for _, item := range kube.ListAt(kube.Plain(value), "microk8s-addons", "addons") {
		if !holds(kube.ListAt(item, "supported_architectures"), os.Getenv("SNAP_ARCH")) {
			continue
		}
		if confinement := kube.TextAt(item, "confinement"); confinement != "" && strings.Contains(confinement, "strict") != isStrict() {
			continue
		}
		found = append(found, addonInfo{kube.TextAt(item, "name"), filepath.Base(folder), kube.TextAt(item, "description"), kube.ToText(kube.At(item, "version")),
			kube.TextAt(item, "check_status")})
	}
	return found, nil
}

func holds(list []any, wanted string) bool {
	for _, item := range list {
		if item == wanted {
			return true
		}
	}
	return false
}

// addonsByName picks name or repository/name; an unknown one picks nothing.
func addonsByName(all []addonInfo, wanted string) []addonInfo {
	repository, name, both := strings.Cut(wanted, "/")
	if !both {
		repository, name = "", wanted
	}
	var found []addonInfo
	for _, addon := range all {
		if addon.name == name && (repository == "" || repository == addon.repository) {
			found = append(found, addon)
		}
	}
	return found
}

// addonStatus sorts add-ons by their check: a text within a line of what kubectl shows, or a file.
func addonStatus(all []addonInfo, ready bool) (enabled, disabled []addonInfo, err error) {
	if !ready {
		return nil, nil, nil
	}
	shown, err := kubectlOutput("get", "all,ingress,ingressclass", "--all-namespaces")
	if err != nil {
		return nil, nil, err
	}
	roles, err := kubectlOutput("get", "clusterroles", "--show-kind", "--no-headers")
	if err != nil {
		return nil, nil, err
	}
	for _, addon := range all {
		info, failure := os.Stat(expand(addon.check))
		if strings.Contains(shown+roles, addon.check) || failure == nil && info.Mode().IsRegular() {
			enabled = append(enabled, addon)
		} else {
			disabled = append(disabled, addon)
		}
	}
	return enabled, disabled, nil
}

// dqliteMembers asks the datastore, up to ten times.
func dqliteMembers() []member {
	if !locked("ha-cluster") {
		return nil
	}
	own := yamlField(backend("info.yaml"), "Address")
	for waits := 10; waits > 0; waits-- {
		out, err := askForMembers()
		if err == nil && strings.Contains(out, own) {
			var found []member
			json.Unmarshal([]byte(out), &found)
			return found
		}
		pause := 2.0
		if err == nil {
			pause = 5
		}
		time.Sleep(kube.SecondsFromEnvironment("STANDIN_DQLITE_PAUSE_SECONDS", pause))
	}
	return nil
}

// askForMembers gives up after four seconds.
func askForMembers() (string, error) {
	type result struct {
		out string
		err error
	}
	done := make(chan result, 1)
	go func() {
		out, err := outputOf(filepath.Join(snapDir(), "bin", "dqlite"), "-s", "file://"+backend("cluster.yaml"), "-c", backend("cluster.crt"), "-k", backend("cluster.key"),
			"-f", "json", "k8s", ".cluster")
		done <- result{out, err}
	}()
	select {
	case r := <-done:
		return r.out, r.err
	case <-time.After(4 * time.Second):
		return "", fmt.Errorf("timed out")
	}
}

func shuffled(words ...string) []string {
	rand.Shuffle(len(words), func(i, j int) { words[i], words[j] = words[j], words[i] })
	return words
}

func runStatus(words []string) int {
	if refuseStrangers() {
		return 1
	}
	if locked("clustered.lock") {
		fmt.Println(actingAsNode)
		fmt.Println("Please use the control plane node.")
		return 0
	}
	if refuseLowMemory() {
		return 1
	}
	if locked("stopped.lock") {
		fmt.Println(stopped)
		return 0
	}
	formats := shuffled("pretty", "yaml", "short")
	options := []option{{names: []string{"--format"}, value: true, choices: formats}, {names: []string{"-w", "--wait-ready"}}, {names: []string{"-t", "--timeout"}, value: true, integer: true},
		{names: []string{"-a", "--addon"}, value: true}, {names: []string{"--yaml"}}, {names: []string{"-h", "--help"}}}
	usage := "[-h] [--format {" + strings.Join(formats, ",") + "}] [-w]\n                       [-t TIMEOUT] [-a ADDON] [--yaml]"
	found, problem := parseArgparse(options, words)
	if found.has("-h") && problem == "" {
		fmt.Printf("usage: microk8s status %s\n\nMicrok8s cluster status check.\n", usage)
		return 0
	}
	if problem == "" && len(found.words) > 0 {
		problem = "unrecognized arguments: " + strings.Join(found.words, " ")
	}
	if problem != "" {
		return refuseArgparse("microk8s status", usage, problem)
	}
	return showStatus(found)
}

func showStatus(found *given) int {
	limit := 0
	fmt.Sscanf(found.values["-t"], "%d", &limit)
	ready := false
	if found.has("-w") {
		ready = waitForReady(limit, true)
	} else {
		ready = isClusterReady(true)
	}
	all, only := availableAddons(), orElse(found.values["-a"], "all")
	if only != "all" {
		all = addonsByName(all, only)
	}
	enabled, disabled, err := addonStatus(all, ready)
	if err != nil {
		return pythonTraceback(err)
	}
	switch format := orElse(found.values["--format"], "pretty"); {
	case only != "all" && len(enabled) > 0:
		fmt.Println("enabled")
	case only != "all":
		fmt.Println("disabled")
	case format == "yaml":
		printYAML(ready, enabled, disabled)
	case format == "short":
		printShort(ready, enabled, disabled)
	case found.has("--yaml"):
		printShortYAML(ready, enabled, disabled)
	default:
		printPretty(ready, enabled, disabled)
	}
	if !ready {
		return 1
	}
	return 0
}

// pythonTraceback is what an error that nobody expected looks like.
func pythonTraceback(err error) int {
	fmt.Fprintf(os.Stderr, "Traceback (most recent call last):\n  File \"%s/scripts/wrappers/common/utils.py\", line 1, in <module>\nsubprocess.CalledProcessError: %v\n", snapDir(), err)
	return 1
}

func printShort(ready bool, enabled, disabled []addonInfo) {
	if !ready {
		fmt.Println(notRunning)
		return
	}
	fmt.Println("microk8s is running\naddons:")
	for _, addon := range enabled {
		fmt.Printf("%s/%s: enabled\n", addon.repository, addon.name)
	}
	for _, addon := range disabled {
		fmt.Printf("%s/%s: disabled\n", addon.repository, addon.name)
	}
}

func truth(value bool) string {
	if value {
		return "True"
	}
	return "False"
}

func printShortYAML(ready bool, enabled, disabled []addonInfo) {
	fmt.Printf("microk8s:\n  running: %s\n", truth(ready))
	if !ready {
		fmt.Println("  message: " + notRunning)
		return
	}
	fmt.Println("addons:")
	for _, addon := range enabled {
		fmt.Printf("  %s/%s: enabled\n", addon.repository, addon.name)
	}
	for _, addon := range disabled {
		fmt.Printf("  %s/%s: disabled\n", addon.repository, addon.name)
	}
}

func printYAML(ready bool, enabled, disabled []addonInfo) {
	fmt.Printf("microk8s:\n  running: %s\nhigh-availability:\n  enabled: %s\n", truth(ready), truth(locked("ha-cluster")))
	if locked("ha-cluster") {
		members := dqliteMembers()
		fmt.Println("  nodes:")
		for _, m := range members {
			fmt.Printf("    - address: %s\n      role: %s\n", m.Address, roleNames[m.Role])
		}
	}
	if !ready {
		fmt.Println("  message: " + notRunning)
		return
	}
	fmt.Println("addons:")
	printEntries(enabled, true)
	printEntries(disabled, false)
}

func printEntries(list []addonInfo, enabled bool) {
	status := "disabled"
	if enabled {
		status = "enabled"
	}
	for _, addon := range list {
		shown := addon.version
		if shown == "" {
			shown = " "
		}
		fmt.Printf("  - name: %s\n    repository: %s\n    description: %s\n    version: %s\n    status: %s\n", addon.name, addon.repository, addon.description, shown, status)
	}
}

var roleNames = [3]string{"voter", "standby", "spare"}

// etcdEndpoints are those of the API server's arguments, without what comes before "//".
func etcdEndpoints() []string {
	content, _ := os.ReadFile(argsPath("kube-apiserver"))
	for _, line := range strings.Split(string(content), "\n") {
		if !strings.Contains(line, "etcd-servers") {
			continue
		}
		_, servers, _ := strings.Cut(line, "=")
		var found []string
		for _, server := range strings.Split(servers, ",") {
			if _, address, ok := strings.Cut(server, "//"); ok {
				found = append(found, address)
			}
		}
		return found
	}
	return nil
}

func externalDatastore() bool {
	content, _ := os.ReadFile(argsPath("kube-apiserver"))
	return !strings.Contains(string(content), "var/kubernetes/backend/kine.sock")
}

func printEndpoints() {
	if endpoints := etcdEndpoints(); len(endpoints) > 0 {
		fmt.Println("  datastore endpoints:")
		for _, endpoint := range endpoints {
			fmt.Println("    " + endpoint)
		}
	}
}

func printPretty(ready bool, enabled, disabled []addonInfo) {
	if !ready {
		fmt.Println(notRunning)
		return
	}
	fmt.Println("microk8s is running")
	switch {
	case !locked("ha-cluster"):
		fmt.Println("high-availability: no")
		printEndpoints()
	case externalDatastore():
		printEndpoints()
	default:
		printHighAvailability(dqliteMembers())
	}
	fmt.Println("addons:")
	for _, list := range []struct {
		title  string
		addons []addonInfo
	}{{"enabled", enabled}, {"disabled", disabled}} {
		if len(list.addons) > 0 {
			fmt.Printf("  %s:\n", list.title)
		}
		for _, addon := range list.addons {
			fmt.Printf("    %-20s # (%s) %s\n", addon.name, addon.repository, addon.description)
		}
	}
}

func printHighAvailability(members []member) {
	var masters, standbys []string
	for _, m := range members {
		switch m.Role {
		case 0:
			masters = append(masters, m.Address)
		case 1:
			standbys = append(standbys, m.Address)
		}
	}
	formed := "no"
	if len(masters) > 2 {
		formed = "yes"
	}
	fmt.Printf("high-availability: %s\n  datastore master nodes: %s\n  datastore standby nodes: %s\n", formed, orElse(strings.Join(masters, " "), "none"),
		orElse(strings.Join(standbys, " "), "none"))
}
