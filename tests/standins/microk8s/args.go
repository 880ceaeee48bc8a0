// The files below args/: one argument a line, in the manner of the snap's own scripts.
package main

import (
	"os"
	"strings"
)

// readArguments gives the arguments of a service by name; values may hold variables of the snap, and quotes.
func readArguments(service string) map[string]string {
	content, _ := os.ReadFile(argsPath(service))
	found := map[string]string{}
	for _, line := range strings.Split(string(content), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		cut := strings.IndexAny(line, "= ")
		if cut < 0 {
			found[line] = ""
			continue
		}
		found[line[:cut]] = expand(strings.Trim(strings.TrimSpace(line[cut+1:]), `"'`))
	}
	return found
}

func argument(service, name string) string { return readArguments(service)[name] }

func expand(text string) string {
	return os.Expand(text, func(name string) string {
		switch name {
		case "SNAP":
			return snapDir()
		case "SNAP_DATA":
			return snapData()
		case "SNAP_COMMON":
			return snapCommon()
		}
		return os.Getenv(name)
	})
}

// setArgument replaces every line that begins with the name, or adds one; nil takes them out. It tells what changed.
func setArgument(service, name string, value *string) (bool, error) {
	content, err := os.ReadFile(argsPath(service))
	if err != nil && !os.IsNotExist(err) {
		return false, err
	}
	var kept []string
	done := value == nil
	for _, line := range strings.Split(strings.TrimRight(string(content), "\n"), "\n") {
		cut := strings.IndexAny(line, "= ")
		if line != name && (cut < 0 || line[:cut] != name) {
			kept = append(kept, line)
			continue
		}
		if !done {
			kept, done = append(kept, name+"="+*value), true
		}
	}
	if !done {
		kept = append(kept, name+"="+*value)
	}
	text := strings.TrimLeft(strings.Join(kept, "\n")+"\n", "\n")
	if text == string(content) {
		return false, nil
	}
	return true, writeOwned(argsPath(service), text)
}

// writeOwned writes a file that the snap's group may read and write.
func writeOwned(path, text string) error {
	if err := os.WriteFile(path, []byte(text), 0o660); err != nil {
		return err
	}
	return os.Chmod(path, 0o660)
}

func text(value string) *string { return &value }

// defaultArguments are the files that the snap ships.
func defaultArguments() map[string]string {
	ciphers := "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"
	return map[string]string{
		"kubelet": `--kubeconfig=${SNAP_DATA}/credentials/kubelet.config
--cert-dir=${SNAP_DATA}/certs
--client-ca-file=${SNAP_DATA}/certs/ca.crt
--anonymous-auth=false
--root-dir=${SNAP_COMMON}/var/lib/kubelet
--fail-swap-on=false
--eviction-hard="memory.available<100Mi,nodefs.available<1Gi,imagefs.available<1Gi"
--container-runtime-endpoint=${SNAP_COMMON}/run/containerd.sock
--containerd=${SNAP_COMMON}/run/containerd.sock
--node-labels="microk8s.io/cluster=true,node.kubernetes.io/microk8s-controlplane=microk8s-controlplane"
--authentication-token-webhook=true
--read-only-port=0
--tls-cipher-suites=` + ciphers + `
--serialize-image-pulls=false
`,
		"kube-apiserver": `--cert-dir=${SNAP_DATA}/certs
--service-cluster-ip-range=10.152.183.0/24
--authorization-mode=AlwaysAllow
--service-account-key-file=${SNAP_DATA}/certs/serviceaccount.key
--client-ca-file=${SNAP_DATA}/certs/ca.crt
--tls-cert-file=${SNAP_DATA}/certs/server.crt
--tls-private-key-file=${SNAP_DATA}/certs/server.key
--tls-cipher-suites=` + ciphers + `
--kubelet-client-certificate=${SNAP_DATA}/certs/apiserver-kubelet-client.crt
--kubelet-client-key=${SNAP_DATA}/certs/apiserver-kubelet-client.key
--secure-port=16443
--etcd-servers="unix://${SNAP_DATA}/var/kubernetes/backend/kine.sock:12379"
--allow-privileged=true
--service-account-issuer='https://kubernetes.default.svc'
--service-account-signing-key-file=${SNAP_DATA}/certs/serviceaccount.key
--event-ttl=5m
--profiling=false
--feature-gates=ListFromCacheSnapshot=false,SizeBasedListCostEstimate=false,DetectCacheInconsistency=false

# Enable the aggregation layer
--requestheader-client-ca-file=${SNAP_DATA}/certs/front-proxy-ca.crt
--requestheader-allowed-names=front-proxy-client
--requestheader-extra-headers-prefix=X-Remote-Extra-
--requestheader-group-headers=X-Remote-Group
--requestheader-username-headers=X-Remote-User
--proxy-client-cert-file=${SNAP_DATA}/certs/front-proxy-client.crt
--proxy-client-key-file=${SNAP_DATA}/certs/front-proxy-client.key
#~Enable the aggregation layer
--enable-admission-plugins=EventRateLimit
--admission-control-config-file=${SNAP_DATA}/args/admission-control-config-file.yaml
--kubelet-certificate-authority=${SNAP_DATA}/certs/ca.crt
--kubelet-preferred-address-types=InternalIP,Hostname,InternalDNS,ExternalDNS,ExternalIP
`,
		"kube-proxy": "--kubeconfig=${SNAP_DATA}/credentials/proxy.config\n--cluster-cidr=10.1.0.0/16\n--healthz-bind-address=127.0.0.1\n--profiling=false\n",
		"kube-controller-manager": `--kubeconfig=${SNAP_DATA}/credentials/controller.config
--service-account-private-key-file=${SNAP_DATA}/certs/serviceaccount.key
--root-ca-file=${SNAP_DATA}/certs/ca.crt
--cluster-signing-cert-file=${SNAP_DATA}/certs/ca.crt
--cluster-signing-key-file=${SNAP_DATA}/certs/ca.key
--use-service-account-credentials
--leader-elect-lease-duration=60s
--leader-elect-renew-deadline=30s
--profiling=false
`,
		"kube-scheduler": "--kubeconfig=${SNAP_DATA}/credentials/scheduler.config\n--leader-elect-lease-duration=60s\n--leader-elect-renew-deadline=30s\n--profiling=false\n",
		"kubelite": `--scheduler-args-file=$SNAP_DATA/args/kube-scheduler
--controller-manager-args-file=$SNAP_DATA/args/kube-controller-manager
--proxy-args-file=$SNAP_DATA/args/kube-proxy
--kubelet-args-file=$SNAP_DATA/args/kubelet
--apiserver-args-file=$SNAP_DATA/args/kube-apiserver
--kubeconfig-file=$SNAP_DATA/credentials/client.config
--start-control-plane=true
`,
		"containerd": "--config ${SNAP_DATA}/args/containerd.toml\n--root ${SNAP_COMMON}/var/lib/containerd\n--state ${SNAP_COMMON}/run/containerd\n" +
			"--address ${SNAP_COMMON}/run/containerd.sock\n",
		"containerd-env":           "# Remember to restart MicroK8s after editing this file\nPATH=$PATH:$KATA_PATH\nulimit -n 65536 || true\nulimit -l 16384 || true\n",
		"containerd-template.toml": "version = 3\n",
		"k8s-dqlite":               "--storage-dir=${SNAP_DATA}/var/kubernetes/backend/\n--listen=unix://${SNAP_DATA}/var/kubernetes/backend/kine.sock:12379\n",
		"k8s-dqlite-env":           "",
		"cluster-agent":            "--bind 0.0.0.0:25000\n--keyfile \"${SNAP_DATA}/certs/server.key\"\n--certfile \"${SNAP_DATA}/certs/server.crt\"\n--timeout 240\n",
		"apiserver-proxy": "--traefik-config ${SNAP_DATA}/args/traefik/traefik.yaml\n--kubeconfig ${SNAP_DATA}/credentials/kubelet.config\n" +
			"--refresh-interval 30s\n",
		"etcd":                               "--data-dir=${SNAP_COMMON}/var/run/etcd\n",
		"flanneld":                           "--iface=\"\"\n",
		"ha-conf":                            "failure-domain=1\n",
		"kubectl":                            "--kubeconfig=${SNAP_DATA}/credentials/client.config\n",
		"ctr":                                "--address=${SNAP_COMMON}/run/containerd.sock\n--namespace k8s.io\n",
		"admission-control-config-file.yaml": "apiVersion: apiserver.config.k8s.io/v1\nkind: AdmissionConfiguration\n",
		"cni-env": `# Choose CNI to deploy. Only 'calico' is supported at the moment
CNI=calico

# IPv4 configuration
IPv4_SUPPORT=true
IPv4_CLUSTER_CIDR=10.1.0.0/16
IPv4_SERVICE_CIDR=10.152.183.0/24

# IPv6 configuration
IPv6_SUPPORT=false
`,
		"traefik/traefik-template.yaml":      "entryPoints:\n  apiserver:\n    address: \":16443\"\nproviders:\n  file:\n    filename: ${SNAP_DATA}/args/traefik/provider.yaml\n    watch: true\n",
		"traefik/provider-template.yaml":     "tcp:\n  services:\n    kube-apiserver:\n      loadBalancer:\n        servers:\n# APISERVERS\n",
		"certs.d/docker.io/hosts.toml":       "server = \"https://docker.io\"\n\n[host.\"https://registry-1.docker.io\"]\n  capabilities = [\"pull\", \"resolve\"]\n",
		"certs.d/localhost:32000/hosts.toml": "server = \"http://localhost:32000\"\n\n[host.\"http://localhost:32000\"]\n  capabilities = [\"pull\", \"resolve\"]\n",
	}
}
