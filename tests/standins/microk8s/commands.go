// The smaller commands: start, stop, config, version, kubectl and other tools, and the network's manifest.
package main

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"standin/kube"
)

func runVersion([]string) int {
	if refuseStrangers() {
		return 1
	}
	fmt.Printf("MicroK8s %s revision %s\n", orElse(os.Getenv("SNAP_VERSION"), "(unknown)"), orElse(os.Getenv("SNAP_REVISION"), "(unknown)"))
	return 0
}

// readVerbFlags is what start, stop and config share: getopt first, then flags that the verb itself knows.
func readVerbFlags(verb string, words, long, known []string, help string) (map[string]bool, int) {
	flags, code := parseGetopt(verb, words, long, "lho")
	if code >= 0 {
		return nil, code
	}
	found := map[string]bool{}
	for _, flag := range flags {
		switch {
		case flag == "-h" || flag == "--help":
			fmt.Println(help)
			return nil, 0
		case holdsText(known, flag):
			found[flag] = true
		default:
			fmt.Printf("microk8s %s: invalid option -- %s\n", verb, flag)
			return nil, 1
		}
	}
	return found, -1
}

func holdsText(list []string, wanted string) bool {
	for _, item := range list {
		if item == wanted {
			return true
		}
	}
	return false
}

func runStart(words []string) int {
	if locked("clustered.lock") {
		fmt.Println(actingAsNode + "\nUse 'snap start microk8s' to start services on this node.")
		return 0
	}
	if refuseUnprivileged() || refuseStrangers() {
		return 1
	}
	help := "Usage: microk8s start [OPTIONS]\n\nStart Kubernetes services\n\nOptions:\n -h, --help                   Show this help\n" +
		" --disable-low-memory-guard   Start MicroK8s in machines with RAM < 512MB"
	flags, code := readVerbFlags("start", words, []string{"help", "output:", "disable-low-memory-guard"}, []string{"--disable-low-memory-guard"}, help)
	if code >= 0 {
		return code
	}
	if flags["--disable-low-memory-guard"] {
		os.Remove(lockPath("low-memory-guard.lock"))
	}
	if refuseLowMemory() {
		return 1
	}
	if startServices() != nil {
		fmt.Println(`Failed to start microk8s services. Check snapd logs with "journalctl -u snapd.service"`)
		return 1
	}
	os.Remove(lockPath("stopped.lock"))
	waitForReady(60, true)
	return 0
}

func runStop(words []string) int {
	if locked("clustered.lock") {
		fmt.Println(actingAsNode + "\nUse 'snap stop microk8s' to stop services on this node.")
		return 0
	}
	if refuseUnprivileged() || refuseStrangers() {
		return 1
	}
	help := "Usage: microk8s stop [OPTIONS]\n\nStop Kubernetes services\n\nOptions:\n -h, --help          Show this help"
	if _, code := readVerbFlags("stop", words, []string{"force", "help", "output:"}, nil, help); code >= 0 {
		return code
	}
	if systemctl("stop", unitOf("kubelite")) != nil {
		fmt.Println(`Failed to stop microk8s services. Check snapd logs with "journalctl -u snapd.service"`)
		return 1
	}
	endShims()
	systemctl(append([]string{"stop"}, allUnits()...)...)
	systemctl(append([]string{"disable"}, allUnits()...)...)
	touchLock("stopped.lock")
	fmt.Println("Stopped.")
	return 0
}

func runConfig(words []string) int {
	if locked("clustered.lock") {
		fmt.Println(actingAsNode + " Please use the microk8s config on the master.")
		return 0
	}
	help := "Usage: microk8s config [OPTIONS]\n\nRetrieve the client config, similar to microk8s kubectl config view --raw\n\nOptions:\n -h, --help          Show this help\n" +
		" -l, --use-loopback  Report the cluster address using the loopback address\n                     (127.0.0.1) rather than the default interface address"
	flags, code := readVerbFlags("config", words, []string{"use-loopback", "help", "output:"}, []string{"-l", "--use-loopback"}, help)
	if code >= 0 {
		return code
	}
	if refuseStrangers() {
		return 1
	}
	content, err := os.ReadFile(credential("client.config"))
	if err != nil {
		return exitCodeOf(err)
	}
	lines := strings.Split(string(content), "\n")
	if len(flags) == 0 {
		for n := range lines {
			lines[n] = strings.Replace(lines[n], "127.0.0.1", defaultAddress(), 1)
		}
	}
	fmt.Println(strings.Join(lines, "\n"))
	return 0
}

// onWorker is what tools say on a worker, with exit code 0.
func onWorker(name string) bool {
	if locked("clustered.lock") {
		fmt.Printf("%s Please use the microk8s %s on the master.\n", actingAsNode, name)
		return true
	}
	return false
}

func runKubectlWrapper(words []string) int {
	if onWorker("kubectl") {
		return 0
	}
	if refuseStopped() {
		return 1
	}
	if !strings.Contains(strings.Join(words, " "), "--kubeconfig") && refuseStrangers() {
		return 1
	}
	return runProgram(filepath.Join(snapDir(), "kubectl"), words...)
}

func runKubectl(words []string) int {
	kube.DefaultKubeconfig = credential("client.config")
	return exitCodeOf(kube.RunKubectl(words))
}

func runHelm(words []string) int {
	if onWorker("helm") {
		return 0
	}
	if refuseStopped() {
		return 1
	}
	fmt.Fprintln(os.Stderr, "Error: the stand-in for MicroK8s has no helm")
	return 1
}

func runIstioctl([]string) int {
	if onWorker("istioctl") {
		return 0
	}
	fmt.Println("Istio not available, try enabling Istio. 'microk8s enable istio'")
	return 0
}

func runLinkerd([]string) int {
	if onWorker("linkerd") {
		return 0
	}
	fmt.Println("Linkerd not available, try enabling Linkerd. 'microk8s enable linkerd' or 'microk8s enable linkerd:--proxy-auto-inject' ")
	return 0
}

func imagesFolder() string {
	return filepath.Join(snapCommon(), "var", "lib", "containerd", "standin-images")
}

// importImages keeps the names that are in an archive's manifest, or one of its own.
func importImages(content []byte) string {
	os.MkdirAll(imagesFolder(), 0o755)
	name := "import-" + kube.RandomHex(4)
	if index := bytes.Index(content, []byte(`"RepoTags":["`)); index >= 0 {
		rest := content[index+len(`"RepoTags":["`):]
		if end := bytes.IndexByte(rest, '"'); end > 0 {
			name = string(rest[:end])
		}
	}
	os.WriteFile(filepath.Join(imagesFolder(), strings.ReplaceAll(name, "/", "\\")), nil, 0o644)
	return name
}

func imageNames() []string {
	files, _ := filepath.Glob(filepath.Join(imagesFolder(), "*"))
	var names []string
	for _, file := range files {
		names = append(names, strings.ReplaceAll(filepath.Base(file), "\\", "/"))
	}
	return names
}

func runCtr(words []string) int {
	if refuseStrangers() {
		return 1
	}
	if !kube.Exists(argsPath("ctr")) {
		fmt.Printf("Arguments file %s is missing.\n", argsPath("ctr"))
		return 1
	}
	line := strings.Join(words, " ")
	if connection, err := net.Dial("unix", filepath.Join(snapCommon(), "run", "containerd.sock")); err != nil {
		fmt.Fprintln(os.Stderr, "ctr: failed to dial: connection refused")
		return 1
	} else {
		connection.Close()
	}
	switch {
	case strings.HasPrefix(line, "images ls") || strings.HasPrefix(line, "image ls") || strings.HasPrefix(line, "i ls"):
		quiet := strings.Contains(line, "-q")
		if !quiet {
			fmt.Println("REF TYPE DIGEST SIZE PLATFORMS LABELS")
		}
		for _, name := range imageNames() {
			if quiet {
				fmt.Println(name)
			} else {
				fmt.Printf("%s application/vnd.oci.image.manifest.v1+json sha256:0 1.0 KiB linux/amd64 -\n", name)
			}
		}
	case strings.HasPrefix(line, "images import") || strings.HasPrefix(line, "image import"):
		content, err := os.ReadFile(words[len(words)-1])
		if err != nil {
			fmt.Fprintln(os.Stderr, "ctr:", err)
			return 1
		}
		fmt.Println("unpacking", importImages(content), "...done")
	}
	return 0
}

// everywhere sets arguments here and, by their agents, on all other nodes. It tells whether something changed here.
func everywhere(service string, set map[string]string, remove []string) bool {
	changed := false
	for name, value := range set {
		done, _ := setArgument(service, name, text(value))
		changed = changed || done
	}
	for _, name := range remove {
		done, _ := setArgument(service, name, nil)
		changed = changed || done
	}
	update := []map[string]string{}
	if len(set) > 0 {
		update = append(update, set)
	}
	tellOthers(kube.Object{"name": service, "arguments_update": update, "arguments_remove": remove})
	return changed
}

func restartEverywhere(service string) {
	systemctl("restart", unitOf("kubelite"))
	tellOthers(kube.Object{"name": service, "restart": true})
	waitForReady(30, false)
}

// tellOthers only prints what fails.
func tellOthers(service kube.Object) {
	if !locked("no-cert-reissue") {
		return
	}
	token := callbackToken()
	for _, address := range otherNodes() {
		body := kube.ToJSON(kube.Object{"callback": token, "service": []any{service}})
		response, err := agentHTTP.Post("https://"+net.JoinHostPort(address, "25000")+agentV1+"configure", "application/json", strings.NewReader(body))
		if err != nil {
			fmt.Printf("Contacting node %s failed.\n", address)
			continue
		}
		response.Body.Close()
		if response.StatusCode != http.StatusOK {
			fmt.Printf("Failed to apply configuration on node %s\n", address)
		}
	}
}

func otherNodes() []string {
	client, err := adminClient()
	if err != nil {
		return nil
	}
	nodes, err := client.Get("/api/v1/nodes")
	if err != nil {
		return nil
	}
	var found []string
	for _, node := range kube.ListAt(nodes, "items") {
		if address := internalAddress(node); address != "" && !ownAddress(address) {
			found = append(found, address)
		}
	}
	return found
}

// networkManifest is Calico's, as far as clients look at it.
func networkManifest() string {
	pods := orElse(readArguments("cni-env")["IPv4_CLUSTER_CIDR"], "10.1.0.0/16")
	part := func(kind, name, extra string) string {
		return "---\napiVersion: apps/v1\nkind: " + kind + "\nmetadata:\n  name: " + name + "\n  namespace: kube-system\n  labels:\n    k8s-app: " + name + "\nspec:\n  selector:\n    matchLabels:\n" +
			"      k8s-app: " + name + "\n  template:\n    metadata:\n      labels:\n        k8s-app: " + name + "\n    spec:\n      tolerations:\n      - operator: Exists\n      containers:\n" +
			"      - name: " + name + "\n        image: docker.io/calico/" + strings.TrimPrefix(name, "calico-") + ":v3.29.3\n" + extra
	}
	environment := "        env:\n        - name: CALICO_IPV4POOL_CIDR\n          value: \"" + pods + "\"\n        - name: IP_AUTODETECTION_METHOD\n          value: \"first-found\"\n"
	return part("DaemonSet", "calico-node", environment) + part("Deployment", "calico-kube-controllers", "")
}

func writeNetworkManifest() error {
	return writeOwned(argsPath("cni-network/cni.yaml"), networkManifest())
}

// applyNetwork loads the manifest once the API answers.
func applyNetwork() {
	if locked("cni-loaded") || !locked("ha-cluster") || !kube.Exists(argsPath("cni-network/cni.yaml")) {
		return
	}
	for waited := 0; waited < 20; waited++ {
		if exec.Command(filepath.Join(snapDir(), "kubectl"), "apply", "-f", argsPath("cni-network/cni.yaml")).Run() == nil {
			touchLock("cni-loaded")
			return
		}
		time.Sleep(500 * time.Millisecond)
	}
}
