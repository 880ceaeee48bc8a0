// `k0s config` and `k0s airgap`: what can be said of a configuration without a cluster.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"standin/kube"
)

func configCommand() *command {
	return &command{persistent: flags("feature-gates map"), children: map[string]*command{
		"create":   {persistent: join(debugFlags, dataFlags), flags: flags("include-images switch"), run: createConfig},
		"validate": {persistent: join(debugFlags, dataFlags), flags: flags("config,c text required"), run: validateConfig},
		"status":   {persistent: join(debugFlags, dataFlags), flags: flags("output,o text"), run: configStatus},
		"edit": {persistent: join(debugFlags, dataFlags), run: func(i *invocation) error {
			return runKubectl([]string{"get", "clusterconfig", "k0s", "-n", "kube-system"})
		}},
	}}
}

func createConfig(*invocation) error {
	var text strings.Builder
	kube.WriteYAML(&text, kube.Clone(defaultConfigOf(nil)), "")
	fmt.Print(text.String())
	return nil
}

func validateConfig(i *invocation) error {
	var content []byte
	var err error
	switch path := i.text("config"); path {
	case "-":
		if content, err = io.ReadAll(os.Stdin); err != nil {
			return fmt.Errorf("failed to read configuration from standard input: %w", err)
		}
	case "":
		return errors.New("--config can't be empty")
	default:
		if content, err = os.ReadFile(path); err != nil {
			return fmt.Errorf("failed to read configuration file: %w", err)
		}
	}
	config, err := defaultConfigOf(nil).merge(content)
	if err != nil {
		return fmt.Errorf("failed to parse configuration: %w", err)
	}
	return config.validate()
}

func configStatus(i *invocation) error {
	words := []string{"--data-dir", i.text("data-dir"), "-n", "kube-system", "get", "event", "--field-selector", "involvedObject.name=k0s"}
	if i.text("output") != "" {
		words = append(words, "-o", i.text("output"))
	}
	return runKubectl(words)
}

func airgapCommand() *command {
	return &command{children: map[string]*command{
		"list-images": {persistent: debugFlags, flags: join(dataFlags, configFlags, flags("platform text\nall switch")), run: listImages},
		"bundle-artifacts": {persistent: debugFlags, flags: flags("output,o text\nplatform text\nconcurrency number =3"), arguments: atLeast(0),
			run: func(*invocation) error { return errors.New("the stand-in has no images to bundle") }},
	}}
}

func listImages(i *invocation) error {
	config, err := effectiveVars(i).nodeConfig()
	if err != nil {
		return fmt.Errorf("failed to get config: %w", err)
	}
	images := []string{"pause:3.10.2-0", "apiserver-network-proxy-agent:v0.36.0-k0s.0", "kube-proxy:v1.36.3-1", "coredns:1.14.6-k0s.0", "metrics-server:v0.9.0-k0s.0"}
	network := config.Spec.Network.Provider
	if network == "kuberouter" || i.enabled("all") {
		images = append(images, "cni-node:v1.9.1-k0s.1", "kube-router:v2.10.0-iptables1.8.13-k0s.1")
	}
	if network == "calico" || i.enabled("all") {
		images = append(images, "calico-cni:v3.32.1-2", "calico-kube-controllers:v3.32.1-2", "calico-node:v3.32.1-2")
	}
	registry := "quay.io/k0sproject"
	if config.Spec.Images != nil && config.Spec.Images.Repository != "" {
		registry = config.Spec.Images.Repository + "/k0sproject"
	}
	for _, image := range images {
		fmt.Println(registry + "/" + image)
	}
	return nil
}
