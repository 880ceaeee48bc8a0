// `k0s kubeconfig` and `k0s kubectl`.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"standin/kube"
)

func kubeconfigCommand() *command {
	return &command{persistent: debugFlags, children: map[string]*command{
		"admin": {flags: dataFlags, run: adminKubeconfig},
		"create": {flags: join(dataFlags, configFlags, flags("groups text\ncertificate-expires-after time =8760h0m0s\ncontext-name text =k0s")),
			arguments: exactly(1), run: createKubeconfig},
	}}
}

// adminKubeconfig needs the files of pki/ only, not a running k0s.
func adminKubeconfig(i *invocation) error {
	v := effectiveVars(i)
	config, err := v.nodeConfig()
	if err != nil {
		return err
	}
	contents := map[string][]byte{}
	for _, name := range []string{"ca.crt", "admin.crt", "admin.key"} {
		path := filepath.Join(v.CertRootDir, name)
		content, err := os.ReadFile(path)
		if os.IsNotExist(err) {
			return fmt.Errorf("admin PKI file %q not found, check if the control plane is initialized on this node", path)
		}
		if err != nil {
			return fmt.Errorf("failed to create admin kubeconfig: %w", err)
		}
		contents[name] = content
	}
	api := config.Spec.API
	fmt.Print(kube.KubeconfigText(kube.ContextNames{Cluster: "local", User: "user", Context: "Default"}, api.urlFor(api.Port), contents["ca.crt"], contents["admin.crt"], contents["admin.key"]))
	return nil
}

func createKubeconfig(i *invocation) error {
	name, context := i.words[0], i.text("context-name")
	switch {
	case name == "":
		return errors.New("username cannot be empty")
	case context == "":
		return errors.New("context-name cannot be empty")
	}
	v := effectiveVars(i)
	config, err := v.nodeConfig()
	if err != nil {
		return err
	}
	base := filepath.Join(v.CertRootDir, "ca")
	if !kube.Exists(base + ".key") {
		return fmt.Errorf("failed generate user certificate: open %s: no such file or directory, check if the control plane is initialized on this node", base+".crt")
	}
	ca, err := kube.LoadAuthority(base, "")
	if err != nil {
		return fmt.Errorf("failed generate user certificate: %w, check if the control plane is initialized on this node", err)
	}
	var groups []string
	if i.text("groups") != "" {
		groups = []string{i.text("groups")}
	}
	path := filepath.Join(v.CertRootDir, name)
	if err := issue(ca, path, certificate{who: kube.Subject{Name: name, Groups: groups}, owner: "root"}); err != nil {
		return err
	}
	cert, _ := os.ReadFile(path + ".crt")
	key, _ := os.ReadFile(path + ".key")
	api := config.Spec.API
	fmt.Print(kube.KubeconfigText(kube.ContextNames{Cluster: context, User: name, Context: context}, api.urlFor(api.Port), ca.PEM, cert, key))
	return nil
}

// runKubectl takes flags of k0s out of the words, and uses the administrator's file unless told otherwise.
func runKubectl(words []string) error {
	dataDir, kept, chosen := "", []string(nil), os.Getenv("KUBECONFIG") != ""
	for n := 0; n < len(words); n++ {
		name, value, hasValue := strings.Cut(words[n], "=")
		if name != "--data-dir" {
			chosen = chosen || name == "--kubeconfig"
			kept = append(kept, words[n])
			continue
		}
		if dataDir = value; !hasValue && n+1 < len(words) {
			n++
			dataDir = words[n]
		}
	}
	if chosen {
		return kube.RunKubectl(kept)
	}
	given, err := parseFlags(dataFlags, []string{"--data-dir=" + orElse(dataDir, "/var/lib/k0s")})
	if err != nil {
		return err
	}
	path := effectiveVars(given).AdminKubeConfigPath
	if _, err := os.Stat(path); err != nil {
		return fmt.Errorf("cannot stat k0s kubeconfig, is the server running?: %w", err)
	}
	kube.DefaultKubeconfig = path
	return kube.RunKubectl(kept)
}
