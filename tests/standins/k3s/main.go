// A stand-in for the k3s program: the same commands, files, messages and exit codes, without any container.
// This file picks the command; nothing else lives here.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"standin/kube"
)

// version is stamped by the build (-X main.version=v1.36.3+k3s1).
var version = "v0.0.0+k3s0"

const commit = "standin0"

// errCanceled ends the program with exit code 0 and no message, as a signal or an own shutdown request does.
var errCanceled = errors.New("context canceled")

type command func(args []string) error

func init() {
	kube.Version, kube.Commit, kube.DefaultKubeconfig = version, commit, globalKubeconfig
}

func main() {
	argv := make([]string, len(os.Args))
	for i, arg := range os.Args {
		argv[i] = strings.Clone(arg) // hideArguments overwrites the memory of the originals
	}
	if name := filepath.Base(argv[0]); isClientTool(name) {
		exitWith(runClientTool(name, argv[1:]))
	}
	exitWith(run(argv))
}

func run(argv []string) error {
	words := argv[1:]
	if wantsHelpOrVersion(words) {
		return printHelpOrVersion(words)
	}
	name, rest := words[0], words[1:]
	if isClientTool(name) {
		return runClientTool(name, rest)
	}
	commands := map[string]command{
		"server": runServer, "agent": runAgent, "token": runToken, "etcd-snapshot": runEtcdSnapshot,
		"secrets-encrypt": runSecretsEncrypt, "certificate": runCertificate, "etcd-standin": runMembers,
		"check-config": runCheckConfig, "completion": func([]string) error { return nil },
	}
	found, ok := commands[name]
	if !ok {
		fmt.Printf("No help topic for '%s'\n", name)
		os.Exit(3)
	}
	if err := unpack(dataDirOf(words, true)); err != nil {
		return err
	}
	hideArguments(argv[0] + " " + name)
	return found(rest)
}

// exitWith reports an error as logrus.Fatal does and ends the program.
func exitWith(err error) {
	if err == nil || errors.Is(err, errCanceled) {
		os.Exit(0)
	}
	var quiet kube.ExitCode
	if errors.As(err, &quiet) {
		os.Exit(int(quiet))
	}
	kube.Fatalf("Error: %v", err)
}

func isClientTool(name string) bool { return name == "kubectl" || name == "crictl" || name == "ctr" }

func wantsHelpOrVersion(words []string) bool {
	if len(words) == 0 {
		return true
	}
	switch words[0] {
	case "help", "h", "--help", "-h", "--version", "-v":
		return true
	}
	last := words[len(words)-1]
	return !isClientTool(words[0]) && (last == "--help" || last == "-h")
}

func printHelpOrVersion(words []string) error {
	if len(words) > 0 && (words[0] == "--version" || words[0] == "-v") {
		fmt.Printf("k3s version %s (%s)\ngo version %s\n", version, commit, runtime.Version())
		return nil
	}
	role := ""
	if len(words) > 0 && !strings.HasPrefix(words[0], "-") {
		role = words[0]
	}
	printUsage(role)
	return nil
}

func printUsage(role string) {
	fmt.Printf("This is a STAND-IN for k3s, made for tests: it runs no containers.\n\n")
	if flags, ok := flagsByRole[role]; ok {
		fmt.Printf("NAME:\n   k3s %s\n\nUSAGE:\n   k3s %s [OPTIONS]\n\nOPTIONS:\n", role, role)
		for _, f := range flags {
			fmt.Printf("   --%s\n", f.name)
		}
		return
	}
	fmt.Printf("NAME:\n   k3s - Kubernetes, but small and simple\n\nUSAGE:\n   k3s [global options] command [command options]\n\n")
	fmt.Printf("VERSION:\n   %s (%s)\n\nCOMMANDS:\n   server\n   agent\n   kubectl\n   crictl\n   ctr\n   check-config\n   token\n", version, commit)
	fmt.Printf("   etcd-snapshot\n   secrets-encrypt\n   certificate\n   completion\n")
}

func runClientTool(name string, args []string) error {
	if err := unpack(dataDirOf(nil, false)); err != nil {
		return err
	}
	switch name {
	case "crictl":
		return runCrictl(args)
	case "ctr":
		return nil
	}
	return kube.RunKubectl(args)
}

func runCrictl(args []string) error {
	headers := map[string]string{"ps": "CONTAINER\tIMAGE\tCREATED\tSTATE\tNAME\tATTEMPT\tPOD ID\tPOD", "pods": "POD ID\tCREATED\tSTATE\tNAME\tNAMESPACE\tATTEMPT\tRUNTIME",
		"images": "IMAGE\tTAG\tIMAGE ID\tSIZE"}
	for _, arg := range args {
		if header, ok := headers[arg]; ok {
			fmt.Println(strings.ReplaceAll(header, "\t", "               "))
		}
	}
	return nil
}
