// `microk8s enable` and `disable`: which add-on is meant, and the call of its script.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"standin/kube"
)

func runEnable(words []string) int  { return runXable("enable", words) }
func runDisable(words []string) int { return runXable("disable", words) }

func runXable(action string, words []string) int {
	if refuseUnprivileged() || refuseStrangers() {
		return 1
	}
	command := clickCommand{program: "microk8s " + action, usage: "[OPTIONS] ADDONS...", help: "-h", ignoreUnknown: true, required: []string{"ADDONS..."}, optional: -1}
	found, code := command.parse(words)
	if found == nil {
		return code
	}
	for _, word := range found.words {
		if word == "-h" || word == "--help" {
			fmt.Printf("Addon %s does not yet have a help message.\nFor more information about it, visit https://microk8s.io/docs/addons\n", found.words[0])
			return 0
		}
	}
	if locked("clustered.lock") {
		fmt.Println(actingAsNode)
		fmt.Println("Please use the master node.")
		return 1
	}
	if refuseStopped() {
		return 1
	}
	waitForReady(30, false)
	unlock, err := holdAddons()
	if err != nil {
		return pythonTraceback(err)
	}
	defer unlock()
	return xable(action, found.words)
}

// holdAddons lets one caller at a time in; scripts that enable others are let through.
func holdAddons() (func(), error) {
	if os.Getenv("MICROK8S_ADDONS_SKIP_LOCK") == "1" {
		return func() {}, nil
	}
	file, err := os.OpenFile(lockPath(".microk8s-addon-lock"), os.O_CREATE|os.O_RDWR, 0o660)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		return nil, err
	}
	os.Setenv("MICROK8S_ADDONS_SKIP_LOCK", "1")
	return func() { file.Close() }, nil
}

// wantedAddon is one add-on of the command line.
type wantedAddon struct {
	repository, name string
	words            []string
}

func (w wantedAddon) full() string { return w.repository + "/" + w.name }

func xable(action string, words []string) int {
	all := availableAddons()
	enabled, disabled, err := addonStatus(all, true)
	if err != nil {
		return pythonTraceback(err)
	}
	done, known := map[string]bool{}, map[string]bool{}
	if action == "disable" {
		enabled = disabled
	}
	for _, addon := range enabled {
		done[addon.repository+"/"+addon.name] = true
	}
	for _, addon := range all {
		known[addon.repository+"/"+addon.name] = true
	}
	wanted, code := parseAddons(words, all)
	if code >= 0 {
		return code
	}
	if len(wanted) > 1 {
		fmt.Printf("WARNING: Do not enable or disable multiple addons in one command.\n         This form of chained operations on addons will be DEPRECATED in the future.\n"+
			"         Please, %s one addon at a time: 'microk8s %s <addon>'\n", action, action)
	}
	for _, addon := range wanted {
		switch {
		case !known[addon.full()]:
			fmt.Printf("Addon %s not found\n", addon.full())
			continue
		case done[addon.full()]:
			fmt.Printf("Addon %s is already %sd\n", addon.full(), action)
			continue
		}
		waitForReady(30, false)
		script := filepath.Join(snapCommon(), "addons", addon.repository, "addons", addon.name, action)
		if code := runProgram(script, addon.words...); code != 0 {
			return code
		}
		waitForReady(30, false)
	}
	return 0
}

// parseAddons takes several add-ons only where each of them is one; else all words behind the first are its arguments.
func parseAddons(words []string, all []addonInfo) ([]wantedAddon, int) {
	names, given := map[string]bool{}, map[string]bool{}
	for _, addon := range all {
		names[addon.name], names[addon.repository+"/"+addon.name] = true, true
	}
	several := true
	for _, word := range words {
		name := strings.Split(word, ":")[0]
		given[name] = true
		several = several && names[name]
	}
	if several && len(given) < len(names) {
		var list []wantedAddon
		for _, word := range words {
			addon, code := parseAddon(word, all)
			if code >= 0 {
				return nil, code
			}
			list = append(list, addon)
		}
		return list, -1
	}
	addon, code := parseAddon(words[0], all)
	if code >= 0 {
		return nil, code
	}
	if len(addon.words) > 0 && len(words) > 1 {
		fmt.Print("Can't pass string arguments and flag arguments simultaneously!\nEnable or disable addons with only one argument style at a time:\n\n" +
			"    microk8s enable foo:'bar'\nor\n    microk8s enable foo --bar\n\n")
		return nil, 1
	}
	addon.words = words[1:]
	return []wantedAddon{addon}, -1
}

func parseAddon(word string, all []addonInfo) (wantedAddon, int) {
	parts := strings.Split(word, ":")
	path := strings.Split(parts[0], "/")
	switch len(path) {
	case 2:
		return wantedAddon{path[0], path[1], parts[1:]}, -1
	case 1:
	default:
		fmt.Printf("Invalid addon name %s\n", parts[0])
		return wantedAddon{}, 1
	}
	var repositories []string
	for _, addon := range all {
		if addon.name == path[0] {
			repositories = append(repositories, addon.repository)
		}
	}
	switch len(repositories) {
	case 1:
		fmt.Fprintf(os.Stderr, "Infer repository %s for addon %s\n", repositories[0], path[0])
		return wantedAddon{repositories[0], path[0], parts[1:]}, -1
	case 0:
		fmt.Fprintf(os.Stderr, "Addon %s was not found in any repository\n", path[0])
		if communityHas(path[0]) {
			fmt.Print("To use the community maintained flavor enable the respective repository:\n\n    microk8s enable community\n\n")
		}
		return wantedAddon{}, 1
	}
	fmt.Fprintf(os.Stderr, "Addon %s exists in more than repository. Please explicitly specify\nthe repository using any of:\n\n", path[0])
	for _, repository := range repositories {
		fmt.Fprintf(os.Stderr, "    %s/%s\n", repository, path[0])
	}
	fmt.Fprintln(os.Stderr)
	return wantedAddon{}, 1
}

// communityAddons are the names of the repository that the snap carries.
var communityAddons = strings.Fields("microcks istio knative fluentd jaeger linkerd cilium multus nfs portainer traefik keda openfaas openebs kata inaccel trivy argocd osm-edge " +
	"sosivio kwasm gopaddle parking easyhaproxy shifu kubearmor falco cloudnative-pg ngrok stunner sriov-device-plugin amd forgejo dashboard-ingress")

func communityHas(name string) bool {
	for _, each := range communityAddons {
		if each == name {
			return true
		}
	}
	return false
}

// layAddons writes a repository of add-ons as the snap carries it; its scripts call the stand-in.
func layAddons(folder string) error {
	var out strings.Builder
	out.WriteString("microk8s-addons:\n  description: \"List of all addons included in Microk8s.\"\n  addons:\n")
	for _, addon := range addonTable() {
		writeEntry(&out, addon.name, addon.description, addon.version, addon.check, addon.confinement)
		if err := layScripts(folder, addon.name); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(folder, "addons.yaml"), []byte(out.String()), 0o664)
}

func layCommunity(folder string) error {
	var out strings.Builder
	out.WriteString("microk8s-addons:\n  description: \"Community addons\"\n  addons:\n")
	for _, name := range communityAddons {
		writeEntry(&out, name, "The stand-in has "+name+" by name only", "1.0", "deployment.apps/"+name, "")
		if err := layScripts(folder, name); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(folder, "addons.yaml"), []byte(out.String()), 0o664)
}

func writeEntry(out *strings.Builder, name, description, version, check, confinement string) {
	fmt.Fprintf(out, "    - name: %q\n      description: %q\n      version: %q\n      check_status: %q\n", name, description, version, check)
	if confinement != "" {
		fmt.Fprintf(out, "      confinement: %q\n", confinement)
	}
	out.WriteString("      supported_architectures:\n        - amd64\n        - arm64\n")
}

func layScripts(folder, name string) error {
	for _, action := range []string{"enable", "disable"} {
		path := filepath.Join(folder, "addons", name, action)
		if err := os.MkdirAll(filepath.Dir(path), 0o775); err != nil {
			return err
		}
		content := fmt.Sprintf("#!/bin/sh\nexec \"$SNAP/bin/standin-addon\" %s %s \"$@\"\n", name, action)
		if err := os.WriteFile(path, []byte(content), 0o775); err != nil {
			return err
		}
	}
	return nil
}

// enableOther is how a script enables what it needs.
func enableOther(name string) {
	command := exec.Command(filepath.Join(snapDir(), "bin", "microk8s"), "enable", name)
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
	command.Run()
}

// applyObject makes or merges one object.
func applyObject(client *kube.KubeClient, o kube.Object) error {
	path, err := pathOf(o)
	if err != nil {
		return err
	}
	_, err = client.Do("POST", path, "", o)
	if kube.IsConflict(err) {
		return client.Patch(path+"/"+kube.NameOf(o), kube.MergePatchType, o)
	}
	return err
}

func pathOf(o kube.Object) (string, error) {
	group, version, found := strings.Cut(kube.TextAt(o, "apiVersion"), "/")
	prefix := "/apis/" + group + "/" + version
	if !found {
		group, version, prefix = "", kube.TextAt(o, "apiVersion"), "/api/"+kube.TextAt(o, "apiVersion")
	}
	for _, r := range kube.Resources {
		if r.Group == group && r.Version == version && r.Kind == kube.TextAt(o, "kind") {
			if !r.Namespaced {
				return prefix + "/" + r.Plural, nil
			}
			return prefix + "/namespaces/" + orElse(kube.TextAt(o, "metadata", "namespace"), "default") + "/" + r.Plural, nil
		}
	}
	return "", fmt.Errorf("no matches for kind %q in version %q", kube.TextAt(o, "kind"), kube.TextAt(o, "apiVersion"))
}

func deleteObject(client *kube.KubeClient, o kube.Object) error {
	path, err := pathOf(o)
	if err == nil {
		_, err = client.Do("DELETE", path+"/"+kube.NameOf(o), "", nil)
	}
	if kube.IsNotFound(err) {
		return nil
	}
	return err
}
