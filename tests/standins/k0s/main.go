// A stand-in for the k0s program: the same commands, files, messages and exit codes, without any container.
// This file picks the command; nothing else lives here.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"standin/kube"
)

// version is stamped by the build (-X main.version=v1.36.3+k0s.2).
var version = "v0.0.0+k0s.0"

func init() {
	kube.Version, kube.Commit = kubernetesVersion(), "standin0"
	kube.LogTime, kube.LogLevel = "2006-01-02 15:04:05", "warning"
	kube.NodeMayRead = func(r kube.Resource, namespace, name string) bool {
		return r.Plural == "configmaps" && namespace == "kube-system" && strings.HasPrefix(name, "worker-config-")
	}
}

// kubernetesVersion is the part of the version that Kubernetes itself tells: without the number of the k0s release.
func kubernetesVersion() string {
	return regexp.MustCompile(`^(v[0-9.]+\+k0s)\.?.*$`).ReplaceAllString(version, "$1")
}

// errHelp asks for the help text of a command group, which is no failure.
var errHelp = errors.New("help requested")

// command is a leaf or a group of the command tree.
type command struct {
	flags      []flagSpec
	persistent []flagSpec // also of all commands below
	arguments  argumentRule
	children   map[string]*command
	longRun    bool // logs at level info, on stdout
	raw        func(args []string) error
	run        func(*invocation) error
}

func root() *command {
	return &command{children: map[string]*command{
		"install":    installCommand(),
		"start":      {persistent: debugFlags, run: runStart},
		"stop":       {persistent: debugFlags, run: runStop},
		"reset":      {persistent: debugFlags, flags: join(dataFlags, resetFlags, configFlags), run: runReset},
		"status":     statusCommand(),
		"controller": {persistent: debugFlags, flags: controllerFlagSet, arguments: atMost(1), longRun: true, run: runController},
		"server":     {persistent: debugFlags, flags: controllerFlagSet, arguments: atMost(1), longRun: true, run: runController},
		"worker":     {persistent: debugFlags, flags: workerFlagSet, arguments: atMost(1), longRun: true, run: runWorker},
		"token":      tokenCommand(),
		"etcd":       etcdCommand(),
		"kubeconfig": kubeconfigCommand(),
		"config":     configCommand(),
		"sysinfo":    {persistent: debugFlags, flags: sysinfoFlags, run: runSysinfo},
		"airgap":     airgapCommand(),
		"backup":     {persistent: debugFlags, flags: join(dataFlags, flags("save-path text")), run: runBackup},
		"restore":    {persistent: debugFlags, flags: join(dataFlags, flags("config-out text")), arguments: exactly(1), run: runRestore},
		"version":    {flags: flags("all,a switch\njson,j switch"), run: runVersion},
		"kubectl":    {raw: runKubectl},
		"kc":         {raw: runKubectl},
		"ctr":        {raw: runCtr},
		"completion": {arguments: atMost(1), run: func(*invocation) error { return nil }},
	}}
}

func main() {
	words := os.Args[1:]
	if tool := strings.TrimPrefix(filepath.Base(os.Args[0]), "k0s-"); tool == "kubectl" || tool == "ctr" {
		words = append([]string{tool}, words...)
	}
	os.Exit(exitCodeOf(execute(words)))
}

// exitCodeOf prints an error as cobra does, on stderr.
func exitCodeOf(err error) int {
	var quiet kube.ExitCode
	switch {
	case err == nil:
		return 0
	case errors.As(err, &quiet):
		return int(quiet)
	}
	fmt.Fprintf(os.Stderr, "Error: %v\n", err)
	return 1
}

// execute walks down the command tree, then parses the flags of the command that it found.
func execute(words []string) error {
	found, path, persistent := root(), "k0s", []flagSpec(nil)
	for len(words) > 0 && found.raw == nil && found.children != nil {
		index := firstWord(words, join(persistent, found.persistent, found.flags))
		if index < 0 {
			break
		}
		next, known := found.children[words[index]]
		if !known {
			return unknownCommand(words[index], path)
		}
		persistent = join(persistent, found.persistent)
		path += " " + words[index]
		words = append(append([]string{}, words[:index]...), words[index+1:]...)
		found = next
	}
	if found.raw != nil {
		return found.raw(words)
	}
	given, err := parseFlags(join(persistent, found.persistent, found.flags), words)
	if errors.Is(err, errHelp) || err == nil && found.run == nil {
		return printHelp(path, found)
	}
	if err != nil {
		return err
	}
	if err := checkArguments(found, given, path); err != nil {
		return err
	}
	given.setUpLogs(found.longRun)
	return found.run(given)
}

func unknownCommand(word, path string) error {
	text := fmt.Sprintf("unknown command %q for %q", word, path)
	if path == "k0s" {
		text += "\nRun 'k0s --help' for usage."
	}
	return errors.New(text)
}

func printHelp(path string, c *command) error {
	fmt.Printf("This is a STAND-IN for k0s, made for tests: it runs no containers.\n\nUsage:\n  %s [flags]\n", path)
	for _, name := range kube.SortedKeys(c.children) {
		fmt.Printf("  %s %s\n", path, name)
	}
	for _, flag := range c.flags {
		fmt.Printf("      --%s\n", flag.name)
	}
	return nil
}

func runVersion(i *invocation) error {
	plain := strings.TrimPrefix(strings.SplitN(version, "+", 2)[0], "v")
	parts := [][2]string{{"k0s", version}, {"runc", "1.4.3"}, {"containerd", containerdVersion}, {"kubernetes", plain}, {"kine", "0.16.3"}, {"etcd", "3.6.14"},
		{"konnectivity", "0.36.0"}}
	switch {
	case i.enabled("all"):
		for _, part := range parts {
			fmt.Println(part[0], ":", part[1])
		}
	case i.enabled("json"):
		lines := make([]string, len(parts))
		for n, part := range parts {
			lines[n] = fmt.Sprintf("   %q: %q", part[0], part[1])
		}
		fmt.Printf("{\n%s\n}\n", strings.Join(lines, ",\n"))
	default:
		fmt.Println(version)
	}
	return nil
}

func runCtr([]string) error { return nil }
