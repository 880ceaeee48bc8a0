// `k0s worker`, and the worker inside a controller: credentials, profile, kubelet.
package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"standin/kube"
)

type worker struct {
	i    *invocation
	v    *vars
	node string
	// server is the API server of the controller around this worker; empty: that of the kubeconfig
	server  string
	labels  []string
	taints  []string
	profile profile
}

type profile struct {
	kubelet   kube.Object
	provider  string
	local     kube.Object
	addresses []string
}

func runWorker(i *invocation) error {
	if err := checkTokenSources(i); err != nil {
		return err
	}
	w := &worker{i: i, v: newVars(i)}
	var err error
	if w.node, err = nodeName(i); err != nil {
		return fmt.Errorf("failed to determine node name: %w", err)
	}
	if err := preFlight(probeOptions{worker: true, dataDir: w.v.DataDir}, i.enabled("ignore-pre-flight-checks")); err != nil {
		return err
	}
	if err := makeDirs(w.v, false); err != nil {
		return err
	}
	release, err := holdRuntimeConfig(w.v, nil)
	if err != nil {
		return err
	}
	defer release()
	signals, failed := make(chan os.Signal, 2), make(chan error, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		if err := w.start(w.tokenClient); err != nil {
			failed <- err
		}
	}()
	select {
	case err = <-failed:
	case <-signals:
		kube.Infof("Shutting down k0s: received signal terminated")
		kube.Infof("All worker components stopped")
	}
	os.Remove(w.v.StatusSocketPath)
	return err
}

// tokenClient is a client with the join token; an error when there is none.
func (w *worker) tokenClient() (*kube.KubeClient, error) {
	token, err := givenToken(w.i)
	if err != nil {
		return nil, fmt.Errorf("failed to get bootstrap kubeconfig: %w", err)
	}
	if token == "" {
		return nil, errors.New("neither regular nor bootstrap kubeconfig files exist and no join token given; dunno how to make kubelet authenticate to API server")
	}
	client, err := parseToken(token, "worker")
	if err != nil {
		return nil, fmt.Errorf("failed to get bootstrap kubeconfig: %w", err)
	}
	return client, nil
}

// start returns after everything runs; what fails before that ends the process.
func (w *worker) start(bootstrap func() (*kube.KubeClient, error)) error {
	if err := w.bootstrapCredentials(bootstrap); err != nil {
		return fmt.Errorf("failed to bootstrap kubelet client configuration: %w", err)
	}
	if err := w.loadProfile(); err != nil {
		return err
	}
	if w.server == "" {
		info := statusInfo{Version: version, Pid: os.Getpid(), Role: "worker", Args: os.Args, Workloads: true, K0sVars: w.v}
		if _, err := serveStatus(info, w.v.StatusSocketPath, func() error { return probeAPI(w.v) }); err != nil {
			return err
		}
	}
	if err := w.runKubelet(); err != nil {
		return fmt.Errorf("failed to start worker components: %w", err)
	}
	if w.server == "" {
		kube.Infof("Worker has started")
	} else {
		kube.Infof("Controller has started")
	}
	return nil
}

// bootstrapCredentials asks for a certificate, unless there is a kubeconfig from before: that one always wins.
func (w *worker) bootstrapCredentials(bootstrap func() (*kube.KubeClient, error)) error {
	if kube.Exists(w.v.KubeletAuthConfigPath) {
		return nil
	}
	fields := " component=bootstrap-kubelet node_name=" + w.node
	client, err := bootstrap()
	if prepared := filepath.Join(w.v.DataDir, "kubelet-bootstrap.conf"); kube.Exists(prepared) {
		client, err = kube.LoadKubeconfig(prepared)
	}
	if err != nil {
		return err
	}
	kube.LogWith("info", fields, "Bootstrapping client configuration")
	if err := retry(time.Second, time.Hour, func() error { return w.askCertificate(client) }); err != nil {
		return fmt.Errorf("failed to bootstrap client configuration: %w", err)
	}
	kube.LogWith("info", fields, "Successfully bootstrapped client configuration")
	return nil
}

func (w *worker) askCertificate(client *kube.KubeClient) error {
	dir := filepath.Join(w.v.KubeletRootDir, "pki")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	keyFile := filepath.Join(dir, "kubelet-client.key.tmp")
	request, err := kube.RequestFor(keyFile)
	if err != nil {
		return err
	}
	content, err := client.Do("POST", signingPath, "", kube.Object{"metadata": kube.Object{"name": w.node},
		"spec": kube.Object{"request": base64.StdEncoding.EncodeToString(request), "signerName": "kubernetes.io/kube-apiserver-client-kubelet"}})
	if err != nil {
		return fmt.Errorf("cannot create certificate signing request: %w", err)
	}
	var answer kube.Object
	if err := json.Unmarshal(content, &answer); err != nil {
		return err
	}
	cert, _ := base64.StdEncoding.DecodeString(kube.TextAt(answer, "status", "certificate"))
	key, err := os.ReadFile(keyFile)
	if err != nil {
		return err
	}
	os.Remove(keyFile)
	return w.storeCredentials(client, dir, append(cert, key...))
}

func (w *worker) storeCredentials(client *kube.KubeClient, dir string, pair []byte) error {
	dated := filepath.Join(dir, "kubelet-client-"+time.Now().Format("2006-01-02-15-04-05")+".pem")
	current := filepath.Join(dir, "kubelet-client-current.pem")
	if err := os.WriteFile(dated, pair, 0o600); err != nil {
		return err
	}
	os.Remove(current)
	if err := os.Symlink(dated, current); err != nil {
		return err
	}
	text := fmt.Sprintf("apiVersion: v1\nclusters:\n- cluster:\n    certificate-authority-data: %s\n    server: %s\n  name: default-cluster\ncontexts:\n- context:\n"+
		"    cluster: default-cluster\n    namespace: default\n    user: default-auth\n  name: default-context\ncurrent-context: default-context\nkind: Config\n"+
		"users:\n- name: default-auth\n  user:\n    client-certificate: %s\n    client-key: %s\n",
		base64.StdEncoding.EncodeToString(client.CA), client.URL, current, current)
	return os.WriteFile(w.v.KubeletAuthConfigPath, []byte(text), 0o600)
}

func (w *worker) client() (*kube.KubeClient, error) {
	client, err := kube.LoadKubeconfig(w.v.KubeletAuthConfigPath)
	if err == nil && w.server != "" {
		client.URL = w.server
	}
	return client, err
}

// probeAPI tells whether the node's own credentials reach the API.
func probeAPI(v *vars) error {
	client, err := kube.LoadKubeconfig(v.KubeletAuthConfigPath)
	if err != nil {
		return err
	}
	client.HTTP.Timeout = 5 * time.Second
	_, err = client.Get("/version")
	return err
}

// loadProfile reads the worker's configuration from the cluster; without it no kubelet starts.
func (w *worker) loadProfile() error {
	name := orElse(w.i.text("profile"), "default")
	var found kube.Object
	err := retry(500*time.Millisecond, time.Hour, func() error {
		client, err := w.client()
		if err != nil {
			return err
		}
		found, err = client.Get("/api/v1/namespaces/kube-system/configmaps/" + profileMap(name))
		return err
	})
	var failure *kube.APIError
	if errors.As(err, &failure) && failure.Code == 401 {
		return fmt.Errorf("the k0s worker node credentials are invalid, the node needs to be rejoined into the cluster with a fresh bootstrap token: %w", err)
	}
	if err != nil {
		return err
	}
	read := func(field string, target any) { json.Unmarshal([]byte(kube.TextAt(found, "data", field)), target) }
	var network kube.Object
	read("kubeletConfiguration", &w.profile.kubelet)
	read("network", &network)
	read("nodeLocalLoadBalancing", &w.profile.local)
	read("apiServerAddresses", &w.profile.addresses)
	w.profile.provider = kube.TextAt(network, "provider")
	return os.WriteFile(filepath.Join(w.v.DataDir, "worker-profile.yaml"), []byte(kube.ToJSON(found["data"])), 0o600)
}

func (w *worker) runKubelet() error {
	client, err := w.client()
	if err != nil {
		return err
	}
	if kube.OnCgroupV1() && w.profile.kubelet["failCgroupV1"] != false {
		go w.crashLoop(cgroupRefusal)
		return nil
	}
	if err := kube.CheckNodeLabels(w.i.list("labels")); err != nil {
		go w.crashLoop(err.Error())
		return nil
	}
	os.MkdirAll(filepath.Join(w.v.DataDir, "containerd"), 0o711)
	w.importImages()
	program := filepath.Join(w.v.BinDir, "containerd-shim-runc-v2")
	if err := os.WriteFile(program, []byte(kube.ShimScript), 0o755); err != nil && !errors.Is(err, syscall.ETXTBSY) {
		return err
	}
	kube.StartShim(program, filepath.Join(w.v.RunDir, "containerd.sock"), filepath.Join(w.v.RunDir, "containerd-shim-runc-v2.pid"))
	k := w.kubelet(client)
	if w.profile.local["enabled"] == true && w.server == "" {
		go w.balance(client)
	}
	go func() {
		k.AwaitNode()
		k.Work()
	}()
	return nil
}

// crashLoop is a kubelet that its supervisor starts again and again; k0s itself stays up.
func (w *worker) crashLoop(reason string) {
	for {
		kube.LogWith("info", " component=kubelet stream=stderr", "\"command failed\" err=%q", "failed to run Kubelet: "+reason)
		kube.LogWith("warning", " component=kubelet error=\"exit status 1\"", "Process terminated")
		time.Sleep(5 * time.Second)
	}
}

func (w *worker) kubelet(client *kube.KubeClient) *kube.Kubelet {
	k := &kube.Kubelet{API: client, NodeName: w.node, Addresses: []string{w.address()}, Labels: append(w.labels, w.i.list("labels")...),
		Taints: append(w.taints, w.i.list("taints")...), Runtime: "containerd://" + containerdVersion, Root: w.v.KubeletRootDir, PodAddress: "10.244.0.2",
		Configure: func() error { return nil }, Pods: map[string]time.Time{}, CanRun: w.hasImages}
	if w.profile.provider == "custom" || !w.hasBundle() {
		k.NetworkConfigDirs = []string{"/etc/cni/net.d"}
	}
	return k
}

// address is what the kubelet is told, else the first of the host.
func (w *worker) address() string {
	for _, word := range strings.Fields(w.i.text("kubelet-extra-args")) {
		if address, ok := strings.CutPrefix(word, "--node-ip="); ok {
			return address
		}
	}
	return firstPublicAddress()
}

func (w *worker) importImages() {
	files, _ := filepath.Glob(filepath.Join(w.v.OCIBundleDir, "*"))
	for _, file := range files {
		kube.LogWith("info", " component=OCIBundleReconciler", "Loading OCI bundle file %s", file)
	}
}

// hasBundle tells whether the images of k0s are at hand: a bundle was laid down, or STANDIN_REGISTRY says that they can be pulled.
func (w *worker) hasBundle() bool {
	found, _ := filepath.Glob(filepath.Join(w.v.OCIBundleDir, "*airgap*"))
	return len(found) > 0 || os.Getenv("STANDIN_REGISTRY") != ""
}

// hasImages keeps pods of k0s itself waiting where their images are not; the images of other pods are taken to be there.
func (w *worker) hasImages(pod kube.Object) bool {
	for _, container := range kube.ListAt(pod, "spec", "containers") {
		image := kube.TextAt(container, "image")
		if strings.HasPrefix(image, "quay.io/k0sproject/") && !strings.HasPrefix(image, "quay.io/k0sproject/pause:") && !w.hasBundle() {
			return false
		}
	}
	return true
}

// balance goes to another API server when the one in use does not answer, as the proxy on the node does.
func (w *worker) balance(client *kube.KubeClient) {
	probe := *client
	for {
		time.Sleep(2 * time.Second)
		for _, address := range append([]string{strings.TrimPrefix(client.URL, "https://")}, w.profile.addresses...) {
			probe.URL = "https://" + address
			if _, err := probe.Do("GET", "/readyz", "", nil); err == nil {
				client.URL = probe.URL
				break
			}
		}
	}
}

// startWorker is the worker of a controller: it gets its credentials with those of the administrator.
func (c *controller) startWorker() error {
	c.worker = &worker{i: c.i, v: c.v, node: c.node, server: strings.Replace(c.localURL(), "localhost", "127.0.0.1", 1), labels: []string{roleLabel + "=control-plane"}}
	if !c.i.enabled("single") && !c.i.enabled("no-taints") {
		c.worker.taints = []string{"node-role.kubernetes.io/control-plane:NoSchedule"}
	}
	if local := c.config.Spec.Network.NodeLocalLoadBalancing; local != nil && local.Enabled && c.i.enabled("single") {
		return errors.New("node-local load balancing cannot be used in a single-node cluster")
	}
	return c.worker.start(func() (*kube.KubeClient, error) { return kube.LoadKubeconfig(c.v.AdminKubeConfigPath) })
}
