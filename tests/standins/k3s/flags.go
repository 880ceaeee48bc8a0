// The flags of each role by name and type, and how the command line is read.
package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

type flagKind int

const (
	textFlag flagKind = iota
	boolFlag
	intFlag
	durationFlag
	listFlag
)

type flagSpec struct {
	name     string
	aliases  []string
	kind     flagKind
	env      string
	fallback string
}

// flagTable reads lines "name[,alias..] kind [env] [=default]".
func flagTable(table string) []flagSpec {
	kinds := map[string]flagKind{"text": textFlag, "bool": boolFlag, "int": intFlag, "time": durationFlag, "list": listFlag}
	var flags []flagSpec
	for _, line := range strings.Split(strings.TrimSpace(table), "\n") {
		words := strings.Fields(line)
		names := strings.Split(words[0], ",")
		spec := flagSpec{name: names[0], aliases: names[1:], kind: kinds[words[1]]}
		for _, word := range words[2:] {
			if strings.HasPrefix(word, "=") {
				spec.fallback = word[1:]
			} else {
				spec.env = word
			}
		}
		flags = append(flags, spec)
	}
	return flags
}

const loggingFlags = `
config,c text K3S_CONFIG_FILE =/etc/rancher/k3s/config.yaml
debug bool K3S_DEBUG
v int
vmodule text
log,l text
alsologtostderr bool
`

const nodeFlags = `
bind-address text
data-dir,d text K3S_DATA_DIR
token,t text K3S_TOKEN
token-file text K3S_TOKEN_FILE
server,s text K3S_URL
node-name text K3S_NODE_NAME
with-node-id bool
node-label list
node-taint list
image-credential-provider-bin-dir text
image-credential-provider-config text
docker bool
container-runtime-endpoint text
default-runtime text
image-service-endpoint text
disable-default-registry-endpoint bool
nonroot-devices bool
pause-image text
snapshotter text =overlayfs
private-registry text =/etc/rancher/k3s/registries.yaml
airgap-extra-registry list
node-ip,i list
node-external-ip list
node-internal-dns list
node-external-dns list
resolv-conf text K3S_RESOLV_CONF
flannel-iface text
flannel-conf text
flannel-cni-conf text
vpn-auth text K3S_VPN_AUTH
vpn-auth-file text K3S_VPN_AUTH_FILE
kubelet-arg list
kube-proxy-arg list
protect-kernel-defaults bool
enable-pprof bool
rootless bool
prefer-bundled-bin bool
selinux bool K3S_SELINUX
lb-server-port int K3S_LB_SERVER_PORT =6444
`

const serverOnlyFlags = `
https-listen-port int =6443
supervisor-port int K3S_SUPERVISOR_PORT
apiserver-port int K3S_APISERVER_PORT
apiserver-bind-address text K3S_APISERVER_BIND_ADDRESS
advertise-address text
advertise-port int
tls-san list
tls-san-security bool =true
cluster-cidr list
service-cidr list
service-node-port-range text =30000-32767
cluster-dns list
cluster-domain text =cluster.local
flannel-backend text =vxlan
flannel-ipv6-masq bool
flannel-external-ip bool
egress-selector-mode text =agent
servicelb-namespace text =kube-system
write-kubeconfig,o text K3S_KUBECONFIG_OUTPUT
write-kubeconfig-mode text K3S_KUBECONFIG_MODE
write-kubeconfig-group text K3S_KUBECONFIG_GROUP
helm-job-image text
agent-token text K3S_AGENT_TOKEN
agent-token-file text K3S_AGENT_TOKEN_FILE
cluster-init bool K3S_CLUSTER_INIT
cluster-reset bool K3S_CLUSTER_RESET
cluster-reset-restore-path text
kube-apiserver-arg list
etcd-arg list
kube-controller-manager-arg list
kube-scheduler-arg list
helm-controller-arg list
kube-cloud-controller-manager-arg list
kine-tls bool
datastore-endpoint text K3S_DATASTORE_ENDPOINT
datastore-cafile text K3S_DATASTORE_CAFILE
datastore-certfile text K3S_DATASTORE_CERTFILE
datastore-keyfile text K3S_DATASTORE_KEYFILE
etcd-expose-metrics bool
etcd-disable-snapshots bool
etcd-snapshot-name text =etcd-snapshot
etcd-snapshot-schedule-cron text
etcd-snapshot-reconcile-interval time =10m
etcd-snapshot-retention int =5
etcd-snapshot-dir text
etcd-snapshot-compress bool
etcd-s3 bool
etcd-s3-endpoint text =s3.amazonaws.com
etcd-s3-endpoint-ca text
etcd-s3-skip-ssl-verify bool
etcd-s3-access-key text AWS_ACCESS_KEY_ID
etcd-s3-secret-key text AWS_SECRET_ACCESS_KEY
etcd-s3-session-token text AWS_SESSION_TOKEN
etcd-s3-bucket text
etcd-s3-bucket-lookup-type text
etcd-s3-region text =us-east-1
etcd-s3-folder text
etcd-s3-retention int =5
etcd-s3-proxy text
etcd-s3-config-secret text
etcd-s3-insecure bool
etcd-s3-timeout time =5m
default-local-storage-path text
disable list
disable-scheduler bool
disable-cloud-controller bool
disable-kube-proxy bool
disable-network-policy bool
disable-helm-controller bool
disable-apiserver bool
disable-controller-manager bool
disable-etcd bool
embedded-registry bool
supervisor-metrics bool
system-default-registry text K3S_SYSTEM_DEFAULT_REGISTRY
secrets-encryption bool
secrets-encryption-provider text =aescbc
disable-agent bool
kube-controller-arg list
kube-cloud-controller-arg list
`

const snapshotFlags = `
debug bool K3S_DEBUG
config,c text K3S_CONFIG_FILE
log,l text
alsologtostderr bool
node-name text K3S_NODE_NAME
data-dir,d text K3S_DATA_DIR
etcd-token,t text
etcd-server,s text =https://127.0.0.1:6443
dir,etcd-snapshot-dir text
name text =on-demand
snapshot-compress,etcd-snapshot-compress bool
snapshot-retention,etcd-snapshot-retention int =5
output,o text
s3,etcd-s3 bool
s3-endpoint,etcd-s3-endpoint text
s3-endpoint-ca,etcd-s3-endpoint-ca text
s3-skip-ssl-verify,etcd-s3-skip-ssl-verify bool
s3-access-key,etcd-s3-access-key text AWS_ACCESS_KEY_ID
s3-secret-key,etcd-s3-secret-key text AWS_SECRET_ACCESS_KEY
s3-session-token,etcd-s3-session-token text AWS_SESSION_TOKEN
s3-bucket,etcd-s3-bucket text
s3-bucket-lookup-type,etcd-s3-bucket-lookup-type text
s3-region,etcd-s3-region text
s3-retention,etcd-s3-retention int
s3-folder,etcd-s3-folder text
s3-proxy,etcd-s3-proxy text
s3-config-secret,etcd-s3-config-secret text
s3-insecure,etcd-s3-insecure bool
s3-timeout,etcd-s3-timeout time
`

var flagsByRole = map[string][]flagSpec{
	"server":        flagTable(loggingFlags[1:] + nodeFlags[1:] + serverOnlyFlags[1:]),
	"agent":         flagTable(loggingFlags[1:] + nodeFlags[1:] + "disable-apiserver-lb bool\n"),
	"etcd-snapshot": flagTable(snapshotFlags),
}

// options holds the parsed flags; later values win, lists collect.
type options struct {
	values map[string][]string
	rest   []string
}

func (o *options) text(name string) string {
	if v := o.values[name]; len(v) > 0 {
		return v[len(v)-1]
	}
	return ""
}
func (o *options) isSet(name string) bool    { return len(o.values[name]) > 0 }
func (o *options) list(name string) []string { return o.values[name] }
func (o *options) number(name string) int    { n, _ := strconv.Atoi(o.text(name)); return n }
func (o *options) enabled(name string) bool  { b, _ := strconv.ParseBool(o.text(name)); return b }

// split gives the values of a list flag of which each may be a comma list itself.
func (o *options) split(name string) []string {
	var out []string
	for _, value := range o.values[name] {
		for _, part := range strings.Split(value, ",") {
			if part = strings.TrimSpace(part); part != "" {
				out = append(out, part)
			}
		}
	}
	return out
}

// parseFlags reads args as the real program's flag package does; environment twins count only where no argument is given.
func parseFlags(specs []flagSpec, args []string) (*options, error) {
	byName := map[string]flagSpec{}
	for _, spec := range specs {
		for _, name := range append([]string{spec.name}, spec.aliases...) {
			byName[name] = spec
		}
	}
	result := &options{values: map[string][]string{}}
	for i := 0; i < len(args); i++ {
		arg := args[i]
		if len(arg) < 2 || arg[0] != '-' {
			result.rest = append(result.rest, args[i:]...)
			break
		}
		if arg == "--" {
			result.rest = append(result.rest, args[i+1:]...)
			break
		}
		name, value, hasValue := strings.Cut(strings.TrimPrefix(arg[1:], "-"), "=")
		spec, known := byName[name]
		switch {
		case !known:
			return nil, fmt.Errorf("flag provided but not defined: -%s", name)
		case !hasValue && spec.kind == boolFlag:
			value = "true"
		case !hasValue && i+1 < len(args):
			i++
			value = args[i]
		case !hasValue:
			return nil, fmt.Errorf("flag needs an argument: -%s", name)
		}
		if err := checkValue(spec, name, value); err != nil {
			return nil, err
		}
		result.values[spec.name] = append(result.values[spec.name], value)
	}
	return result, fillFromEnvironment(specs, result)
}

func checkValue(spec flagSpec, name, value string) error {
	var err error
	switch spec.kind {
	case boolFlag:
		if _, err = strconv.ParseBool(value); err != nil {
			return fmt.Errorf("invalid boolean value %q for -%s: parse error", value, name)
		}
	case intFlag:
		_, err = strconv.ParseInt(value, 0, 64)
	case durationFlag:
		_, err = time.ParseDuration(value)
	}
	if err != nil {
		return fmt.Errorf("invalid value %q for flag -%s: parse error", value, name)
	}
	return nil
}

func fillFromEnvironment(specs []flagSpec, result *options) error {
	for _, spec := range specs {
		if result.isSet(spec.name) {
			continue
		}
		value := spec.fallback
		if spec.env != "" && os.Getenv(spec.env) != "" {
			value = os.Getenv(spec.env)
			if checkValue(spec, spec.name, value) != nil {
				kinds := map[flagKind]string{boolFlag: "bool", intFlag: "int", durationFlag: "duration"}
				return fmt.Errorf("could not parse %q as %s value from environment variable %q for flag %s: parse error",
					value, kinds[spec.kind], spec.env, spec.name)
			}
		}
		if value != "" {
			result.values[spec.name] = []string{value}
		}
	}
	return nil
}

// parseRole parses the arguments of a role and shows the usage when they are wrong.
func parseRole(role string, args []string) (*options, error) {
	parsed, err := parseFlags(flagsByRole[role], args)
	if err != nil {
		fmt.Printf("Incorrect Usage: %v\n\n", err)
		printUsage(role)
		return nil, err
	}
	if len(parsed.rest) > 0 && role == "agent" {
		return parsed, nil
	}
	return parsed, nil
}

var errToken = errors.New("--token is required")
