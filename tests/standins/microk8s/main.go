// A stand-in for snap, snapd and MicroK8s: one program that behaves by the name it is called by, without any container.
// This file picks what to be; nothing else lives here.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"standin/kube"
)

// version is stamped by the build: the track, such as 1.36 or 1.36-strict.
var version = "1.0"

// verbs are the commands of `microk8s`, in the order in which it lists them.
var verbs = map[string]func(words []string) int{
	"add-node": runAddNode, "addons": runAddons, "config": runConfig, "ctr": runCtr, "dbctl": runDbctl, "disable": runDisable, "enable": runEnable,
	"helm": runHelm, "helm3": runHelm, "images": runImages, "istioctl": runIstioctl, "join": runJoin, "kubectl": runKubectlWrapper, "leave": runLeave,
	"linkerd": runLinkerd, "refresh-certs": runRefreshCerts, "remove-node": runRemoveNode, "reset": runReset, "start": runStart, "status": runStatus,
	"stop": runStop, "version": runVersion,
}

func main() {
	loadSettings()
	name, words := filepath.Base(os.Args[0]), os.Args[1:]
	kube.Version, kube.Commit = "v"+plainVersion(), "standin0"
	switch {
	case name == "snap":
		os.Exit(snapMain(words))
	case name == "snapd":
		os.Exit(snapdMain())
	case name == "snapctl":
		os.Exit(0)
	}
	if isOutsideSnap() {
		runSnap(name, words) // /snap/bin/NAME is a link to snap
	}
	setSnapEnvironment()
	os.Exit(insideMain(name, words))
}

// insideMain is what runs with the environment of the snap.
func insideMain(name string, words []string) int {
	if daemon, found := strings.CutPrefix(name, "microk8s.daemon-"); found {
		return runDaemon(daemon)
	}
	if verb, found := strings.CutPrefix(name, "microk8s."); found && verbs[verb] != nil {
		return verbs[verb](words)
	}
	switch name {
	case "microk8s":
		return runMicrok8s(words)
	case "kubectl", "microk8s-kubectl.wrapper":
		return runKubectl(words)
	case "dqlite":
		return runDqlite(words)
	case "standin-addon":
		return runAddonScript(words)
	case "microk8s-standin":
		return runInternal(words)
	}
	fmt.Fprintf(os.Stderr, "the stand-in for MicroK8s has no program %q\n", name)
	return 127
}

func runMicrok8s(words []string) int {
	if len(words) == 0 || words[0] == "" {
		listVerbs()
		return 1
	}
	verb, rest := words[0], words[1:]
	switch plugin := filepath.Join(snapCommon(), "plugins", verb); {
	case verbs[verb] != nil:
		return verbs[verb](rest)
	case verb == "inspect":
		fmt.Println("the stand-in for MicroK8s has no inspect")
		return 1
	case verb == "help" || verb == "--help" || verb == "-h":
		if listVerbs() {
			return 0
		}
		return 1 // the wrapper's own quirk: without plugins its `find` ends it
	case kube.Exists(plugin):
		return runProgram(plugin, rest...)
	}
	fmt.Printf("'%s' is not a valid MicroK8s subcommand.\n", verb)
	listVerbs()
	return 1
}

// listVerbs tells whether there are plugins.
func listVerbs() bool {
	fmt.Println("Available subcommands are:")
	names := kube.SortedKeys(verbs)
	sort.Strings(names)
	for _, name := range append(names, "inspect") {
		fmt.Printf("\t%s\n", name)
	}
	plugins, _ := filepath.Glob(filepath.Join(snapCommon(), "plugins", "*"))
	if len(plugins) > 0 {
		fmt.Println("Available subcommands from addons are:")
	}
	for _, plugin := range plugins {
		fmt.Printf("\t%s\n", filepath.Base(plugin))
	}
	return len(plugins) > 0
}

// runInternal are entries of the stand-in that no user calls: hooks, and what the build and snapd ask.
func runInternal(words []string) int {
	var err error
	switch {
	case len(words) == 1 && words[0] == "meta":
		fmt.Println(kube.ToJSON(ownMeta()))
	case len(words) == 2 && words[0] == "hook":
		err = runHook(words[1])
	case len(words) == 2 && words[0] == "lay-addons":
		err = layAddons(words[1])
	default:
		err = fmt.Errorf("unknown entry %q", words)
	}
	if err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

func exitCodeOf(err error) int {
	var code kube.ExitCode
	switch {
	case err == nil:
		return 0
	case errors.As(err, &code):
		return int(code)
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}
