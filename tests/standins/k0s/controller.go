// `k0s controller`: the order of its start, and how it ends.
package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"standin/kube"
)

// childNames are processes that may outlive the service: what runs a pod, and an API server without its datastore.
var childNames = []string{"containerd-shim-runc-v2", "kube-apiserver"}

// orphanScript stands for the API server that a stop without a working etcd leaves behind for a while.
const orphanScript = "#!/bin/sh\nparent=$PPID\nwhile kill -0 $parent 2>/dev/null; do sleep 2; done\nsleep 150\n"

var components = []string{"applier-manager", "autopilot", "control-api", "coredns", "csr-approver", "endpoint-reconciler", "helm", "konnectivity-server",
	"kube-controller-manager", "kube-proxy", "kube-scheduler", "metrics-server", "network-provider", "node-role", "system-rbac", "update-prober", "windows-node",
	"worker-config"}

type controller struct {
	i      *invocation
	v      *vars
	config *clusterConfig
	node   string // the node's name, and the name of this controller's objects
	kube.Membership
	api    *kube.APIServer
	plane  *kube.Controllers
	ca     *kube.Authority
	worker *worker

	mu      sync.Mutex
	closers []func()
	leaving chan struct{} // closed when this member was asked to leave
	failed  chan error
}

func (c *controller) workloads() bool { return c.i.enabled("enable-worker") || c.i.enabled("single") }
func (c *controller) embedded() bool  { return c.config.Spec.Storage.Type == "etcd" }
func (c *controller) disabled(component string) bool {
	return contains(c.i.list("disable-components"), component)
}

func runController(i *invocation) error {
	if err := checkTokenSources(i); err != nil {
		return err
	}
	for _, name := range i.list("disable-components") {
		if !contains(components, name) {
			return fmt.Errorf("unknown component %s", name)
		}
	}
	c := &controller{i: i, v: newVars(i), leaving: make(chan struct{}), failed: make(chan error, 1)}
	if err := preFlight(probeOptions{controller: true, worker: c.workloads(), dataDir: c.v.DataDir}, i.enabled("ignore-pre-flight-checks")); err != nil {
		return err
	}
	var err error
	if c.config, err = c.v.nodeConfig(); err != nil {
		return fmt.Errorf("failed to load node config: %w", err)
	}
	if err := c.config.validate(); err != nil {
		return fmt.Errorf("invalid node config: %w", err)
	}
	if err := makeDirs(c.v, true); err != nil {
		return err
	}
	release, err := holdRuntimeConfig(c.v, c.config)
	if err != nil {
		return err
	}
	defer release()
	return c.untilSignal()
}

// untilSignal starts everything, and ends with an error of the start or on a signal.
func (c *controller) untilSignal() error {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		if err := c.start(); err != nil {
			c.failed <- err
		}
	}()
	select {
	case err := <-c.failed:
		c.stopComponents()
		return err
	case <-c.leaving:
		c.stopComponents()
		kube.Infof("Awaiting process shutdown")
		<-signals
	case <-signals:
		kube.Infof("Shutting down k0s: received signal terminated")
		c.stop()
	}
	return nil
}

// stop is slow, and leaves a process behind, where the datastore has no majority.
func (c *controller) stop() {
	orphaned := false
	if c.DB != nil && c.DB.Barrier(2*time.Second) != nil {
		kube.Errorf("failed to stop component APIServer: timed out")
		time.Sleep(secondsOf("STANDIN_STOP_SECONDS", 20))
		orphaned = true
	}
	c.stopComponents()
	if !orphaned {
		if pid, err := kube.ReadLine(filepath.Join(c.v.RunDir, "kube-apiserver.pid")); err == nil {
			exec.Command("kill", "-9", pid).Run()
		}
	}
	kube.Infof("All node components stopped")
}

func (c *controller) stopComponents() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, end := range c.closers {
		end()
	}
	c.closers = nil
	if c.DB != nil {
		c.DB.Stop()
	}
}

func (c *controller) onStop(end func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closers = append(c.closers, end)
}

func secondsOf(name string, fallback float64) time.Duration {
	return kube.SecondsFromEnvironment(name, fallback)
}

func (c *controller) start() error {
	var err error
	if c.node, err = nodeName(c.i); err != nil {
		return fmt.Errorf("failed to determine node name: %w", err)
	}
	join, err := c.joinIfNeeded()
	if err != nil {
		return err
	}
	kube.Infof("using api address: %s", c.config.Spec.API.Address)
	kube.Infof("using listen port: %d", c.config.Spec.API.Port)
	kube.Infof("using sans: %s", c.config.Spec.API.SANs)
	if err := c.checkCombinations(); err != nil {
		return err
	}
	if c.i.enabled("init-only") {
		return c.issueCertificates()
	}
	if err := c.issueCertificates(); err != nil {
		return err
	}
	if err := c.startNodeComponents(join); err != nil {
		return fmt.Errorf("failed to start controller node components: %w", err)
	}
	if err := c.startClusterComponents(); err != nil {
		return fmt.Errorf("failed to start cluster components: %w", err)
	}
	if c.workloads() {
		return c.startWorker()
	}
	kube.Infof("Controller has started")
	return nil
}

func (c *controller) checkCombinations() error {
	network := c.config.Spec.Network
	if lb := network.ControlPlaneLoadBalancing; lb != nil && lb.Enabled && c.i.enabled("single") {
		return errors.New("control plane load balancing cannot be used in a single-node cluster")
	}
	storage := c.config.Spec.Storage
	if storage.Type == "etcd" && storage.Etcd.ExternalCluster != nil || storage.Type == "kine" && storage.joinable() {
		return errors.New("the stand-in speaks to no database of others")
	}
	return nil
}

// startNodeComponents brings up the datastore, the API, the API for joining, and the status, each when the one before is ready.
func (c *controller) startNodeComponents(join *joinClient) error {
	if err := c.startDatastore(join); err != nil {
		return err
	}
	if err := c.startChild("kube-apiserver", orphanScript); err != nil {
		return err
	}
	if err := c.listenAPI(); err != nil {
		return err
	}
	c.plane.Seed(c.config.Spec.Network.ServiceCIDR, c.config.Spec.API.Address, c.ca.PEM)
	c.ensureLease()
	if c.config.Spec.Storage.joinable() && !c.disabled("control-api") {
		if err := c.listenJoin(); err != nil {
			return err
		}
	}
	end, err := serveStatus(statusInfo{Version: version, Pid: os.Getpid(), Role: "controller", Args: os.Args, Workloads: c.workloads(), SingleNode: c.i.enabled("single"),
		K0sVars: c.v, ClusterConfig: c.config}, c.v.StatusSocketPath, func() error { return probeAPI(c.v) })
	if err != nil {
		return err
	}
	c.onStop(end)
	return nil
}

func (c *controller) startChild(name, script string) error {
	program := filepath.Join(c.v.BinDir, name)
	if err := os.WriteFile(program, []byte(script), 0o755); err != nil && !errors.Is(err, syscall.ETXTBSY) {
		return err
	}
	kube.StartShim(program, filepath.Join(c.v.RunDir, "containerd.sock"), filepath.Join(c.v.RunDir, name+".pid"))
	return nil
}

// listen serves TLS with a certificate of pki/ until the components stop.
func (c *controller) listen(certificate string, port int, handler http.Handler) error {
	host := ""
	if c.config.Spec.API.OnlyBindToAddress {
		host = c.config.Spec.API.Address
	}
	base := filepath.Join(c.v.CertRootDir, certificate)
	pair, err := tls.LoadX509KeyPair(base+".crt", base+".key")
	if err != nil {
		return err
	}
	config := &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequestClientCert}
	end, err := serveTLS(net.JoinHostPort(host, fmt.Sprint(port)), config, handler)
	if err == nil {
		c.onStop(end)
	}
	return err
}
