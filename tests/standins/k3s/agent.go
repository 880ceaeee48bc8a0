// `k3s agent`, and the agent inside a server: how it gets its configuration and certificates, and waits when it cannot.
package main

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"standin/kube"
)

const nodePasswordFile = "/etc/rancher/node/password"

type agent struct {
	opts      *options
	role      string
	args      []string
	dir       string // <data-dir>/agent
	serverURL string // as configured, for messages
	proxyURL  string // where requests go
	token     string
	nodeName  string
	nodeIPs   []string
	cluster   clusterConfig
	balancer  *balancer
	refusal   atomic.Pointer[string] // why the agent has no configuration yet
}

func runAgent(args []string) error {
	expanded, err := expandArguments("agent", args)
	if err != nil {
		kube.Fatalf("%v", err)
	}
	opts, err := parseRole("agent", expanded)
	if err != nil {
		return err
	}
	a := &agent{opts: opts, role: "agent", args: expanded, serverURL: opts.text("server"), dir: filepath.Join(stateDir(opts), "agent")}
	failed := make(chan error, 1)
	go func() { failed <- a.start() }()
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	select {
	case <-signals:
		return a.whyWaiting()
	case err := <-failed:
		return err
	}
}

// whyWaiting is what ends an agent that is stopped while it waits for its configuration: code 1, not 0.
func (a *agent) whyWaiting() error {
	if reason := a.refusal.Load(); reason != nil {
		return fmt.Errorf("failed to retrieve agent configuration: %s", *reason)
	}
	return errCanceled
}

// start returns an error that ends the program with code 1, or errCanceled after a request to shut down.
func (a *agent) start() error {
	a.token = a.opts.text("token")
	if file := a.opts.text("token-file"); file != "" {
		var err error
		if a.token, err = kube.ReadLine(file); err != nil {
			return err
		}
	}
	_, certErr := tls.LoadX509KeyPair(a.certPath("client-kubelet")+".crt", a.certPath("client-kubelet")+".key")
	if certErr != nil && a.token == "" {
		return errToken
	}
	if a.serverURL == "" {
		return errors.New("--server is required")
	}
	kube.Infof("Starting k3s agent %s (%s)", version, commit)
	if err := a.prepare(); err != nil {
		return err
	}
	if err := a.startBalancer(); err != nil {
		return err
	}
	a.validateToken()
	a.retrieve()
	a.learnServers()
	if err := a.run(); err != nil {
		kube.Errorf("Shutdown request received: %q", err.Error())
	}
	return errCanceled
}

func (a *agent) certPath(name string) string { return filepath.Join(a.dir, name) }

func (a *agent) prepare() error {
	if err := os.MkdirAll(a.dir, 0o700); err != nil {
		return err
	}
	var err error
	if a.nodeName, a.nodeIPs, err = hostNameAndIPs(a.opts); err != nil {
		return fmt.Errorf("failed to get node name and addresses: %w", err)
	}
	return nil
}

func (a *agent) startBalancer() error {
	parsed, err := url.Parse(a.serverURL)
	if err != nil {
		return err
	}
	host := parsed.Host
	if parsed.Port() == "" {
		host = net.JoinHostPort(parsed.Hostname(), "443")
	}
	port := a.opts.text("lb-server-port")
	a.balancer = &balancer{file: filepath.Join(a.dir, "etc", "k3s-agent-load-balancer.json"), serverURL: a.serverURL, first: host,
		sick: map[string]bool{}, open: map[net.Conn]string{}}
	a.balancer.load()
	if err := a.balancer.listen(net.JoinHostPort("127.0.0.1", port)); err != nil {
		return err
	}
	a.proxyURL = "https://127.0.0.1:" + port
	return nil
}

// validateToken tries for ever: a server that is away or another CA is only a line in the log.
func (a *agent) validateToken() {
	for {
		found, err := connect(a.proxyURL, a.token, "node", nil, a.certPath("client-kubelet")+".crt", a.certPath("client-kubelet")+".key")
		if err == nil {
			a.token = found.String()
			return
		}
		kube.Errorf("Failed to validate connection to cluster at %s: %v", a.serverURL, err)
		time.Sleep(2 * time.Second)
	}
}

// retrieve asks the server until it gets configuration and certificates. A refusal is only an INFO line.
func (a *agent) retrieve() {
	for {
		err := a.retrieveOnce()
		if err == nil {
			a.refusal.Store(nil)
			return
		}
		reason := err.Error()
		a.refusal.Store(&reason)
		kube.Infof("Waiting to retrieve agent configuration; server is not ready: %v", err)
		time.Sleep(5*time.Second + time.Duration(rand.Int63n(int64(5*time.Second))))
	}
}

func (a *agent) retrieveOnce() error {
	info, err := connect(a.proxyURL, a.token, "", nil, a.certPath("client-kubelet")+".crt", a.certPath("client-kubelet")+".key")
	if err != nil {
		return err
	}
	content, err := info.get("/v1-k3s/config")
	if err != nil {
		return fmt.Errorf("failed to retrieve configuration from server: %w", err)
	}
	if err := json.Unmarshal(content, &a.cluster); err != nil {
		return err
	}
	for _, name := range []string{"client-ca.crt", "server-ca.crt"} {
		content, err := info.get("/v1-k3s/" + name)
		if err != nil {
			return err
		}
		if err := os.WriteFile(a.certPath(name), content, 0o600); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(filepath.Dir(nodePasswordFile), 0o755); err != nil {
		return err
	}
	if err := a.appendNodeID(); err != nil {
		return err
	}
	if err := checkRegistries(a.opts.text("private-registry")); err != nil {
		return err
	}
	for _, name := range []string{"serving-kubelet", "client-kubelet"} {
		if err := a.nodeCertificate(info, name); err != nil {
			return fmt.Errorf("%s.crt: %w", a.certPath(name), err)
		}
	}
	for _, name := range []string{"client-kube-proxy", "client-k3s-controller"} {
		if err := a.plainCertificate(info, name); err != nil {
			return fmt.Errorf("%s.crt: %w", a.certPath(name), err)
		}
	}
	return a.checkSnapshotter()
}

func (a *agent) appendNodeID() error {
	if !a.opts.enabled("with-node-id") {
		return nil
	}
	file := filepath.Join(filepath.Dir(nodePasswordFile), "id")
	id, err := kube.ReadLine(file)
	if os.IsNotExist(err) {
		id = kube.RandomHex(4)
		err = os.WriteFile(file, []byte(id+"\n"), 0o644)
	}
	if !strings.HasSuffix(a.nodeName, "-"+id) {
		a.nodeName += "-" + id
	}
	return err
}

// checkRegistries fails on a registries.yaml that cannot be read, which only shows in the waiting line.
func checkRegistries(path string) error {
	content, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	document, err := kube.ParseYAML(string(content))
	if err != nil {
		return err
	}
	if _, ok := document.(*kube.YamlMap); document != nil && !ok {
		return errors.New("yaml: unmarshal errors:\n  line 1: cannot unmarshal !!seq into registries.Registry")
	}
	return nil
}

func nodePassword() (string, error) {
	password, err := kube.ReadLine(nodePasswordFile)
	if !os.IsNotExist(err) {
		return password, err
	}
	password = kube.RandomHex(16)
	return password, os.WriteFile(nodePasswordFile, []byte(password+"\n"), 0o600)
}

// nodeCertificate asks for a certificate in the node's name. After a refused client certificate the request is sent
// again without one, and with the body already read when no password goes along: that never succeeds.
func (a *agent) nodeCertificate(info *access, name string) error {
	csr, err := kube.RequestFor(a.certPath(name) + ".key")
	if err != nil {
		return fmt.Errorf("failed to create certificate request %s: %w", a.certPath(name)+".crt", err)
	}
	password, err := nodePassword()
	if err != nil {
		return err
	}
	path := "/v1-k3s/" + name + ".crt"
	request, err := info.request("POST", path, csr)
	if err != nil {
		return err
	}
	request.Header.Set("k3s-Node-Name", a.nodeName)
	request.Header.Set("k3s-Node-Password", password)
	request.Header.Set("k3s-Node-IP", strings.Join(append(append([]string{}, a.nodeIPs...), a.opts.split("node-external-ip")...), ","))
	client := info.client(true, 10*time.Second)
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	withCert := len(client.Transport.(*http.Transport).TLSClientConfig.Certificates) > 0
	if response.StatusCode == 401 && withCert {
		response.Body.Close()
		kube.Infof("Node authorization rejected, retrying without client certificate authentication")
		return fmt.Errorf("Post %q: http: ContentLength=%d with Body length 0", info.url+path, len(csr))
	}
	if response.StatusCode == 403 {
		response.Body.Close()
		return fmt.Errorf("Node password rejected, duplicate hostname or contents of '%s' may not match server node-passwd entry, "+
			"try enabling a unique node name with the --with-node-id flag", nodePasswordFile)
	}
	if response.StatusCode != 200 {
		response.Body.Close()
		return fmt.Errorf("%s: %s", info.url+path, response.Status)
	}
	content, err := readAnswer(response)
	if err != nil {
		return err
	}
	return os.WriteFile(a.certPath(name)+".crt", content, 0o600)
}

func (a *agent) plainCertificate(info *access, name string) error {
	csr, err := kube.RequestFor(a.certPath(name) + ".key")
	if err != nil {
		return err
	}
	content, err := info.do("POST", "/v1-k3s/"+name+".crt", csr, 10*time.Second)
	if err != nil {
		return err
	}
	return os.WriteFile(a.certPath(name)+".crt", content, 0o600)
}

// checkSnapshotter knows the two snapshotters that need no mount; STANDIN_SNAPSHOTTER_FAILS makes overlayfs fail.
func (a *agent) checkSnapshotter() error {
	name := a.opts.text("snapshotter")
	if name == "overlayfs" && os.Getenv("STANDIN_SNAPSHOTTER_FAILS") != "" {
		return fmt.Errorf("\"overlayfs\" snapshotter cannot be enabled for %q, try using \"fuse-overlayfs\" or \"native\": "+
			"failed to mount overlay: invalid argument", filepath.Join(a.dir, "containerd"))
	}
	return nil
}

// learnServers keeps the balancer's list of servers up to date, and knows which of them are well.
func (a *agent) learnServers() {
	certFile, keyFile := a.certPath("client-kubelet")+".crt", a.certPath("client-kubelet")+".key"
	go func() {
		for {
			if info, err := connect(a.proxyURL, a.token, "", nil, certFile, keyFile); err == nil {
				if content, err := info.get("/v1-k3s/apiservers"); err == nil {
					var servers []string
					if json.Unmarshal(content, &servers) == nil && len(servers) > 0 {
						a.balancer.set(servers)
					}
				}
				a.checkServers(*info)
			}
			time.Sleep(2 * time.Second)
		}
	}()
}

func (a *agent) checkServers(info access) {
	for _, address := range a.balancer.candidates() {
		info.url = "https://" + address
		_, err := info.do("GET", "/v1-k3s/readyz", nil, 2*time.Second)
		a.balancer.mark(address, err == nil)
	}
}

// balancer passes connections on to one of the known servers: the last good one, then the others, sick ones at the end.
type balancer struct {
	mu              sync.Mutex
	file, serverURL string
	first           string
	servers         []string
	lastGood        string
	sick            map[string]bool
	open            map[net.Conn]string
}

// mark notes how a server is; connections to one that fell sick are closed, so that clients go elsewhere.
func (b *balancer) mark(address string, well bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	fell := !well && !b.sick[address]
	b.sick[address] = !well
	if !fell {
		return
	}
	for conn, server := range b.open {
		if server == address {
			conn.Close()
		}
	}
}

func (b *balancer) track(conn net.Conn, address string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if address == "" {
		delete(b.open, conn)
		return
	}
	b.lastGood, b.open[conn] = address, address
}

type balancerFile struct {
	ServerURL       string   `json:"ServerURL"`
	ServerAddresses []string `json:"ServerAddresses"`
}

func (b *balancer) load() {
	var stored balancerFile
	if content, err := os.ReadFile(b.file); err == nil && json.Unmarshal(content, &stored) == nil && stored.ServerURL == b.serverURL {
		b.servers = stored.ServerAddresses
	}
}

func (b *balancer) set(servers []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if strings.Join(servers, ",") == strings.Join(b.servers, ",") {
		return
	}
	b.servers = servers
	os.MkdirAll(filepath.Dir(b.file), 0o700)
	content, _ := json.MarshalIndent(balancerFile{b.serverURL, servers}, "", "  ")
	os.WriteFile(b.file, content, 0o600)
	kube.Infof("Updated load balancer k3s-agent-load-balancer server addresses -> %v [default: %s]", servers, b.first)
}

func (b *balancer) candidates() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	seen := map[string]bool{"": true}
	var well, sick []string
	for _, address := range append(append([]string{b.lastGood}, b.servers...), b.first) {
		if seen[address] {
			continue
		}
		seen[address] = true
		if b.sick[address] {
			sick = append(sick, address)
		} else {
			well = append(well, address)
		}
	}
	return append(well, sick...)
}

func (b *balancer) listen(address string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	kube.Infof("Running load balancer k3s-agent-load-balancer %s -> %v [default: %s]", address, b.servers, b.first)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go b.pass(conn)
		}
	}()
	return nil
}

func (b *balancer) pass(conn net.Conn) {
	defer conn.Close()
	for _, address := range b.candidates() {
		upstream, err := net.DialTimeout("tcp", address, time.Second)
		if err != nil {
			continue
		}
		defer upstream.Close()
		b.track(conn, address)
		defer b.track(conn, "")
		done := make(chan struct{}, 2)
		go copyHalf(upstream, conn, done)
		go copyHalf(conn, upstream, done)
		<-done
		return
	}
	time.Sleep(100 * time.Millisecond) // the client writes first, then finds that
	if tcp, ok := conn.(*net.TCPConn); ok {
		tcp.SetLinger(0) // "connection reset by peer", as the real balancer's clients see it
	}
}

func copyHalf(to, from net.Conn, done chan struct{}) {
	buffer := make([]byte, 16<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			if _, werr := to.Write(buffer[:n]); werr != nil {
				break
			}
		}
		if err != nil {
			break
		}
	}
	done <- struct{}{}
}

// localAgent is the agent inside a server; nil when it is disabled.
func (s *server) localAgent() (*agent, error) {
	if s.opts.enabled("disable-agent") {
		return nil, nil
	}
	a := &agent{opts: s.opts, role: "server", args: s.args, dir: filepath.Join(filepath.Dir(s.dir), "agent"),
		serverURL: "https://127.0.0.1:" + s.opts.text("https-listen-port"), token: formatToken("node:"+s.passwd.secrets["node"], s.serverCA.PEM)}
	a.proxyURL = a.serverURL
	if err := a.prepare(); err != nil {
		return nil, err
	}
	s.localNode.Store(&a.nodeName)
	a.validateToken()
	a.retrieve()
	s.localNode.Store(&a.nodeName)
	return a, nil
}

// agentName is the name of the node on this server, with its ID when that was asked for.
func (s *server) agentName() string {
	if name := s.localNode.Load(); name != nil {
		return *name
	}
	return s.nodeName
}

func (a *agent) kubeletClient() (*kube.KubeClient, error) {
	pair, err := tls.LoadX509KeyPair(a.certPath("client-kubelet")+".crt", a.certPath("client-kubelet")+".key")
	if err != nil {
		return nil, err
	}
	ca, err := os.ReadFile(a.certPath("server-ca.crt"))
	if err != nil {
		return nil, err
	}
	return kube.NewKubeClient(a.proxyURL, bytes.TrimSpace(ca), &pair), nil
}
