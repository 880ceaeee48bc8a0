// config.yaml and its drop-ins become arguments, put before those of the command line.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"standin/kube"
)

const defaultConfigFile = "/etc/rancher/k3s/config.yaml"

// expandArguments puts the values of the configuration file after the command's name.
// Servers leave out unknown keys with a warning; agents keep them and fail on them.
func expandArguments(role string, args []string) ([]string, error) {
	values, err := readConfigFiles(configFileOf(args))
	if err != nil {
		return nil, err
	}
	if role != "agent" {
		values = dropUnknown(flagsByRole[role], values)
	}
	return append(values, args...), nil
}

func configFileOf(args []string) string {
	if file := os.Getenv("K3S_CONFIG_FILE"); file != "" {
		return file
	}
	for i, arg := range args {
		for _, name := range []string{"--config", "-c"} {
			if arg == name && i+1 < len(args) {
				return args[i+1]
			}
			if value, ok := strings.CutPrefix(arg, name+"="); ok {
				return value
			}
		}
	}
	return defaultConfigFile
}

func dropUnknown(specs []flagSpec, args []string) []string {
	known := map[string]bool{}
	for _, spec := range specs {
		for _, name := range append([]string{spec.name}, spec.aliases...) {
			known[name] = true
		}
	}
	var kept []string
	for _, arg := range args {
		name, _, _ := strings.Cut(arg, "=")
		if known[strings.TrimLeft(name, "-")] {
			kept = append(kept, arg)
		} else {
			kube.Warnf("Unknown flag %s found in config.yaml, skipping\n", name)
		}
	}
	return kept
}

// readConfigFiles reads the file and then file.d/*.yaml in name order; "key+" appends to what came before.
func readConfigFiles(file string) ([]string, error) {
	merged := kube.NewYAMLMap()
	for _, name := range append([]string{file}, dropIns(file)...) {
		content, err := os.ReadFile(name)
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if err := mergeConfig(merged, string(content)); err != nil {
			return nil, err
		}
	}
	return asArguments(merged), nil
}

func dropIns(file string) []string {
	entries, _ := os.ReadDir(file + ".d")
	var names []string
	for _, entry := range entries {
		lower := strings.ToLower(entry.Name())
		if !entry.IsDir() && (strings.HasSuffix(lower, ".yaml") || strings.HasSuffix(lower, ".yml")) {
			names = append(names, filepath.Join(file+".d", entry.Name()))
		}
	}
	return names
}

func mergeConfig(merged *kube.YamlMap, text string) error {
	document, err := kube.ParseYAML(text)
	if err != nil || document == nil {
		return err
	}
	mapping, ok := document.(*kube.YamlMap)
	if !ok {
		kind := map[bool]string{true: "seq", false: "str"}[kube.IsList(document)]
		return fmt.Errorf("yaml: unmarshal errors:\n  line 1: cannot unmarshal !!%s into yaml.MapSlice", kind)
	}
	for _, key := range mapping.Keys {
		name, value := strings.TrimSuffix(key, "+"), mapping.Values[key]
		old, seen := merged.Values[name]
		if name != key && seen {
			value = append(asList(old), asList(value)...)
		}
		merged.Set(name, value)
	}
	return nil
}

func asList(value any) []any {
	if list, ok := value.([]any); ok {
		return list
	}
	if text := strings.TrimSpace(kube.ToText(value)); text != "" {
		return []any{text}
	}
	return nil
}

func asArguments(merged *kube.YamlMap) []string {
	var args []string
	for _, key := range merged.Keys {
		prefix := "--"
		if len(key) == 1 {
			prefix = "-"
		}
		if list, ok := merged.Values[key].([]any); ok {
			for _, item := range list {
				args = append(args, prefix+key+"="+kube.ToText(item))
			}
			continue
		}
		args = append(args, prefix+key+"="+kube.ToText(merged.Values[key]))
	}
	return args
}

// dataDirOf finds the state folder before any command runs. It reads the configuration file, so that broken YAML
// ends every command (strict), or is a warning for kubectl, crictl and ctr.
func dataDirOf(words []string, strict bool) string {
	values, err := readConfigFiles(configFileOf(words))
	if err != nil && strict {
		kube.Fatalf("%v", err)
	} else if err != nil {
		kube.Warnf("%v", err)
	}
	for i, arg := range words {
		if (arg == "--data-dir" || arg == "-d") && i+1 < len(words) && strict {
			return words[i+1]
		}
		if value, ok := strings.CutPrefix(arg, "--data-dir="); ok {
			return value
		}
	}
	for _, arg := range values {
		if value, ok := strings.CutPrefix(arg, "--data-dir="); ok {
			return value
		}
	}
	if dir := os.Getenv("K3S_DATA_DIR"); dir != "" {
		return dir
	}
	if os.Getuid() == 0 {
		return "/var/lib/rancher/k3s"
	}
	return filepath.Join(os.Getenv("HOME"), ".rancher", "k3s")
}

const hiddenValue = "********"

var secretWords = map[string]bool{
	"K3S_TOKEN": true, "K3S_DATASTORE_ENDPOINT": true, "K3S_AGENT_TOKEN": true, "K3S_CLUSTER_SECRET": true, "K3S_VPN_AUTH": true,
	"AWS_ACCESS_KEY_ID": true, "AWS_SECRET_ACCESS_KEY": true, "--token": true, "-t": true, "--agent-token": true,
	"--datastore-endpoint": true, "--etcd-s3-access-key": true, "--etcd-s3-secret-key": true, "--vpn-auth": true,
}

// nodeArguments is the value of the annotation k3s.io/node-args: flag and value apart, secrets hidden.
func nodeArguments(role string, args []string) string {
	list := []string{role}
	for _, arg := range args {
		name, value, found := strings.Cut(arg, "=")
		if strings.HasPrefix(arg, "-") && found {
			list = append(list, name, value)
		} else {
			list = append(list, arg)
		}
	}
	for i, word := range list {
		if secretWords[word] && i+1 < len(list) {
			list[i+1] = hiddenValue
		}
	}
	return kube.ToJSON(list)
}

// nodeEnvironment is the value of the annotation k3s.io/node-env.
func nodeEnvironment() string {
	found := map[string]string{}
	for _, pair := range os.Environ() {
		name, value, _ := strings.Cut(pair, "=")
		if strings.HasPrefix(name, "K3S_") {
			found[name] = value
			if secretWords[name] {
				found[name] = hiddenValue
			}
		}
	}
	return kube.ToJSON(found)
}
