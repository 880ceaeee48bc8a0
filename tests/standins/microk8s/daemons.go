// The other services: kubelite, containerd, the kicker of certificates, the proxy of workers.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"standin/kube"
)

const runtimeVersion = "containerd://2.2.3"

func runDaemon(name string) int {
	switch name {
	case "kubelite":
		return runKubelite()
	case "k8s-dqlite":
		return runK8sDqlite()
	case "containerd":
		return runContainerd()
	case "cluster-agent":
		return runAgent()
	case "apiserver-kicker":
		return runKicker()
	case "apiserver-proxy":
		return runAPIServerProxy()
	case "etcd":
		return runEtcd()
	}
	fmt.Printf("%s will not run\n", name)
	return 0
}

// checkKubeArguments refuses what no Kubernetes program takes: names of flags are words with dashes, some values are numbers.
func checkKubeArguments(service string) error {
	content, _ := os.ReadFile(argsPath(service))
	for _, line := range strings.Split(string(content), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name := strings.FieldsFunc(line, func(r rune) bool { return r == '=' || r == ' ' })[0]
		if !regexp.MustCompile(`^--?[a-z][a-z0-9-]*$`).MatchString(name) || strings.Contains(name, "no-such") {
			return fmt.Errorf("unknown flag: %s", name)
		}
	}
	for _, name := range []string{"--max-pods", "--v", "--secure-port"} {
		if value := argument(service, name); value != "" && !regexp.MustCompile(`^\d+$`).MatchString(value) {
			return fmt.Errorf("invalid argument %q for %q flag: strconv.ParseInt: parsing %q: invalid syntax", value, name, value)
		}
	}
	return nil
}

func runKubelite() int {
	worker := locked("clustered.lock")
	switch {
	case !locked("lite.lock"):
		fmt.Println("kubelite will not run")
		return 0
	case !worker && locked("low-memory-guard.lock"):
		fmt.Println("kubelite will not run, memory guard is enabled")
		return 0
	}
	os.Remove(lockPath("stopped.lock"))
	for _, service := range []string{"kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy"} {
		if err := checkKubeArguments(service); err != nil {
			fmt.Fprintf(os.Stderr, "Error: %s: %v\n", service, err)
			return 1
		}
	}
	if value := argument("ha-conf", "failure-domain"); value != "" {
		writeOwned(backend("failure-domain"), value+"\n")
	}
	if kube.OnCgroupV1() && argument("kubelet", "--fail-cgroupv1") != "false" {
		fmt.Fprintln(os.Stderr, "failed to run Kubelet: kubelet is configured to not run on a host using cgroup v1")
		time.Sleep(2 * time.Second)
		return 1
	}
	if !worker {
		if err := serveAPI(); err != nil {
			fmt.Fprintln(os.Stderr, "Error:", err)
			return 1
		}
	}
	return runKubelet()
}

func runKubelet() int {
	arguments := readArguments("kubelet")
	labels := splitList(arguments["--node-labels"])
	if err := kube.CheckNodeLabels(withoutOwn(labels)); err != nil {
		fmt.Fprintln(os.Stderr, "failed to run Kubelet:", err)
		return 1
	}
	var client *kube.KubeClient
	for {
		var err error
		if client, err = kube.LoadKubeconfig(orElse(arguments["--kubeconfig"], credential("kubelet.config"))); err == nil {
			break
		}
		time.Sleep(time.Second)
	}
	name := orElse(arguments["--hostname-override"], hostName())
	kubelet := &kube.Kubelet{API: client, NodeName: name, Addresses: splitList(orElse(arguments["--node-ip"], defaultAddress())), Labels: labels,
		Taints: splitList(arguments["--register-with-taints"]), Runtime: runtimeVersion, Root: orElse(arguments["--root-dir"], filepath.Join(snapCommon(), "var", "lib", "kubelet")),
		PodAddress: "10.1.0.2", Pods: map[string]time.Time{}, CanRun: func(pod kube.Object) bool { return canRun(name, pod) }}
	kubelet.Configure = func() error { return nil }
	kubelet.AwaitNode()
	kubelet.Work()
	return 0
}

// withoutOwn leaves out labels that a kubelet may not set by the rules for names, and MicroK8s' kubelet does, as its user may all.
func withoutOwn(labels []string) []string {
	var kept []string
	for _, label := range labels {
		if !strings.HasPrefix(label, "microk8s.io/") {
			kept = append(kept, label)
		}
	}
	return kept
}

// canRun keeps a pod waiting where tests say that its image can't be had.
func canRun(node string, pod kube.Object) bool {
	missing := os.Getenv("STANDIN_MISSING_IMAGES")
	for _, container := range kube.ListAt(pod, "spec", "containers") {
		if missing != "" && strings.Contains(kube.TextAt(container, "image"), missing) {
			return false
		}
	}
	return true
}

func splitList(value string) []string {
	var list []string
	for _, item := range strings.Split(value, ",") {
		if item = strings.TrimSpace(item); item != "" {
			list = append(list, item)
		}
	}
	return list
}

// kineTransport reaches the datastore's socket.
func kineTransport() *http.Transport {
	return &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", kinePath())
	}}
}

// serveAPI listens once the datastore answers, as the API server needs it for its start.
func serveAPI() error {
	pair, err := tls.LoadX509KeyPair(certPath("server.crt"), certPath("server.key"))
	if err != nil {
		return err
	}
	ca, err := os.ReadFile(certPath("ca.crt"))
	if err != nil {
		return err
	}
	transport := kineTransport()
	client := &http.Client{Transport: transport, Timeout: 3 * time.Second}
	for waited := time.Duration(0); ; waited += 300 * time.Millisecond {
		response, err := client.Get("http://kine/healthz")
		if err == nil {
			response.Body.Close()
			if response.StatusCode == 200 {
				break
			}
		}
		if waited > 60*time.Second {
			return fmt.Errorf("timed out waiting for the datastore")
		}
		time.Sleep(300 * time.Millisecond)
	}
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: "kine"})
	proxy.Transport, proxy.FlushInterval, proxy.ErrorLog = transport, -1, log.New(io.Discard, "", 0)
	proxy.ErrorHandler = func(w http.ResponseWriter, r *http.Request, err error) {
		kube.WriteError(w, kube.NewError(500, "InternalError", "etcdserver: request timed out: %v", err))
	}
	arguments := readArguments("kube-apiserver")
	roles := strings.Contains(arguments["--authorization-mode"], "RBAC")
	if roles {
		go seedRoles()
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, known := userOf(r, ca)
		if !known && roles && anybodysPath(r.URL.Path) {
			who, known = kube.User{Name: "system:anonymous"}, true
		}
		if !known {
			kube.WriteError(w, kube.NewError(401, "Unauthorized", "Unauthorized"))
			return
		}
		if !roles {
			who.Groups = append(who.Groups, "system:masters") // everything is allowed
		}
		r.Header.Set(userHeader, who.Name)
		r.Header[groupHeader] = append(who.Groups, "system:authenticated")
		proxy.ServeHTTP(w, r)
	})
	config := &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequestClientCert}
	host := arguments["--bind-address"]
	return kube.ServeTLS(net.JoinHostPort(host, orElse(arguments["--secure-port"], "16443")), config, handler)
}

func anybodysPath(path string) bool {
	return path == "/version" || path == "/healthz" || path == "/livez" || path == "/readyz"
}

func userOf(r *http.Request, ca []byte) (kube.User, bool) {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return kube.User{}, false
	}
	cert := r.TLS.PeerCertificates[0]
	if _, err := cert.Verify(x509.VerifyOptions{Roots: kube.CertPool(ca), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		return kube.User{}, false
	}
	return kube.User{Name: cert.Subject.CommonName, Groups: cert.Subject.Organization}, true
}

// seedRoles makes the roles that an API server makes once it goes by them.
func seedRoles() {
	for {
		if client, err := adminClient(); err == nil {
			done := true
			for _, name := range []string{"cluster-admin", "admin", "edit", "view", "system:node"} {
				done = applyObject(client, kube.Object{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": kube.Object{"name": name}}) == nil && done
			}
			if done {
				return
			}
		}
		time.Sleep(time.Second)
	}
}

// runContainerd stands for the runtime: a socket, what was sideloaded, and a process that outlives the service.
func runContainerd() int {
	run := filepath.Join(snapCommon(), "run")
	for _, folder := range []string{run, filepath.Join(snapCommon(), "var", "lib", "containerd")} {
		if err := os.MkdirAll(folder, 0o711); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	socket := filepath.Join(run, "containerd.sock")
	os.Remove(socket)
	listener, err := net.Listen("unix", socket)
	if err != nil {
		fmt.Fprintln(os.Stderr, "containerd:", err)
		return 1
	}
	files, _ := filepath.Glob(filepath.Join(snapCommon(), "etc", "sideload", "*.tar"))
	for _, file := range files {
		if content, err := os.ReadFile(file); err == nil {
			importImages(content)
		}
	}
	kube.StartShim(filepath.Join(snapDir(), "bin", "containerd-shim-runc-v2"), socket, filepath.Join(run, "shim.pid"))
	for {
		connection, err := listener.Accept()
		if err != nil {
			return 1
		}
		connection.Close()
	}
}

// runKicker issues certificates anew when addresses change, and applies the network once.
func runKicker() int {
	if locked("clustered.lock") {
		fmt.Println("api service kicker will not run on a cluster node")
		return 0
	}
	if locked("low-memory-guard.lock") {
		fmt.Println("not starting api service kicker because of low memory guard lock")
		return 0
	}
	for {
		applyNetwork()
		time.Sleep(5 * time.Second)
		if systemctl("is-active", "--quiet", unitOf("kubelite")) != nil {
			continue
		}
		changed := false
		if arguments := readArguments("kube-apiserver"); !locked("no-cert-reissue") && arguments["--advertise-address"] == "" && arguments["--bind-address"] == "" {
			changed, _ = produceCertificates()
		} else {
			changed, _ = ensureServerOfAuthority()
		}
		if changed && !locked("join-in-progress") {
			fmt.Println("cert change detected. Restarting the cluster-agent")
			systemctl("restart", unitOf("cluster-agent"))
			fmt.Println("cert change detected. Reconfiguring the kube-apiserver")
			systemctl("restart", unitOf("kubelite"))
		}
	}
}

// runAPIServerProxy carries the API of any controller to workers.
func runAPIServerProxy() int {
	if locked("no-apiserver-proxy") {
		fmt.Println("not starting apiserver proxy")
		return 0
	}
	listener, err := net.Listen("tcp", ":16443")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	go refreshEndpoints()
	for {
		connection, err := listener.Accept()
		if err != nil {
			return 1
		}
		go carry(connection)
	}
}

func providerFile() string { return argsPath("traefik/provider.yaml") }

func proxyEndpoints() []string {
	content, _ := os.ReadFile(providerFile())
	var found []string
	for _, match := range regexp.MustCompile(`address:\s*"?([^"\s]+)`).FindAllStringSubmatch(string(content), -1) {
		found = append(found, match[1])
	}
	return found
}

func writeProvider(addresses []string) error {
	var out strings.Builder
	out.WriteString("tcp:\n  services:\n    kube-apiserver:\n      loadBalancer:\n        servers:\n")
	for _, address := range addresses {
		fmt.Fprintf(&out, "        - address: %s\n", address)
	}
	if before, _ := os.ReadFile(providerFile()); string(before) == out.String() {
		return nil
	}
	return writeOwned(providerFile(), out.String())
}

func carry(from net.Conn) {
	defer from.Close()
	for _, address := range proxyEndpoints() {
		to, err := net.DialTimeout("tcp", address, 2*time.Second)
		if err != nil {
			continue
		}
		defer to.Close()
		go func() { io.Copy(to, from); to.Close() }()
		io.Copy(from, to)
		return
	}
}

// refreshEndpoints reads the addresses of all API servers every 30 seconds, unless told not to.
func refreshEndpoints() {
	interval, err := time.ParseDuration(orElse(argument("apiserver-proxy", "--refresh-interval"), "30s"))
	for ; err == nil && interval > 0; time.Sleep(interval) {
		client, err := kube.LoadKubeconfig(credential("kubelet.config"))
		if err != nil {
			continue
		}
		found, err := client.Get("/api/v1/namespaces/default/endpoints/kubernetes")
		if err != nil {
			continue
		}
		var addresses []string
		for _, subset := range kube.ListAt(found, "subsets") {
			port := kube.ToText(kube.At(kube.ListAt(subset, "ports")[0], "port"))
			for _, address := range kube.ListAt(subset, "addresses") {
				addresses = append(addresses, net.JoinHostPort(kube.TextAt(address, "ip"), port))
			}
		}
		if len(addresses) > 0 {
			writeProvider(addresses)
		}
	}
}
