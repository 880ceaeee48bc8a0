// `k3s server`: the order of its start, and how it ends.
package main

import (
	"errors"
	"fmt"
	"net"
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

type server struct {
	opts     *options
	args     []string // with the values of the configuration file, for the node's annotations
	dir      string   // <data-dir>/server
	nodeName string
	nodeIPs  []string
	token    string // as given, empty when not

	authorities
	kube.Membership
	passwd      *passwdFile
	controllers *kube.Controllers
	api         *kube.APIServer
	etcd        bool
	join        *access // how to reach the cluster that this server joins
	isNew       bool    // the datastore was made by this start

	apiReady  atomic.Bool // the API answers
	coreReady atomic.Bool // controllers run: node passwords can be checked
	shutdown  chan error
	deferred  sync.Map // node passwords to be stored once the API answers
	localNode atomic.Pointer[string]
}

type authorities struct{ serverCA, clientCA, etcdServerCA, etcdPeerCA *kube.Authority }

func runServer(args []string) error {
	expanded, err := expandArguments("server", args)
	if err != nil {
		kube.Fatalf("%v", err)
	}
	opts, err := parseRole("server", expanded)
	if err != nil {
		return err
	}
	s := &server{opts: opts, args: expanded, shutdown: make(chan error, 1)}
	if err := s.run(); err != nil && !errors.Is(err, errCanceled) {
		kube.Infof("Shutdown request received")
		return err
	}
	return errCanceled
}

func (s *server) run() error {
	if err := s.readOptions(); err != nil {
		return err
	}
	kube.Infof("Starting k3s %s (%s)", version, commit)
	if err := s.prepare(); err != nil {
		return fmt.Errorf("preparing server: %w", err)
	}
	if s.opts.enabled("cluster-reset") {
		return s.resetCluster()
	}
	if err := s.listen(); err != nil {
		return fmt.Errorf("preparing server: failed to start supervisor listener: %w", err)
	}
	go s.start()
	return s.wait()
}

// wait ends the program on a signal or on an own request to shut down; both are exit code 0.
func (s *server) wait() error {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	select {
	case <-signals:
	case err := <-s.shutdown:
		kube.Errorf("Shutdown request received: %q", err.Error())
	}
	if s.DB != nil {
		s.DB.Stop()
	}
	return errCanceled
}

func (s *server) requestShutdown(err error) {
	select {
	case s.shutdown <- err:
	default:
	}
}

func (s *server) readOptions() error {
	o := s.opts
	s.dir = filepath.Join(stateDir(o), "server")
	s.token = o.text("token")
	for flag, target := range map[string]string{"token-file": "token", "agent-token-file": "agent-token"} {
		if file := o.text(flag); file != "" {
			content, err := kube.ReadLine(file)
			if err != nil {
				return err
			}
			o.values[target] = []string{content}
			s.token = o.text("token")
		}
	}
	if err := checkCombinations(o); err != nil {
		return err
	}
	var err error
	s.nodeName, s.nodeIPs, err = hostNameAndIPs(o)
	if err != nil {
		return err
	}
	s.Address = s.nodeIPs[0]
	return checkNetwork(o)
}

func stateDir(o *options) string {
	if dir := o.text("data-dir"); dir != "" {
		return dir
	}
	return "/var/lib/rancher/k3s"
}

func checkCombinations(o *options) error {
	endpoint := o.text("datastore-endpoint") != ""
	switch {
	case o.text("cluster-reset-restore-path") != "" && !o.enabled("cluster-reset"):
		return errors.New("invalid flag use; --cluster-reset required with --cluster-reset-restore-path")
	case o.enabled("disable-etcd") && o.text("server") == "":
		return errors.New("invalid flag use; --server is required with --disable-etcd")
	case endpoint && o.enabled("disable-apiserver"):
		return errors.New("invalid flag use; cannot use --disable-apiserver with --datastore-endpoint")
	case endpoint && o.enabled("disable-etcd"):
		return errors.New("invalid flag use; cannot use --disable-etcd with --datastore-endpoint")
	case o.enabled("cluster-reset") && o.text("server") != "":
		return errors.New("cannot perform cluster-reset while server URL is set - remove server from configuration before resetting")
	}
	return nil
}

func checkNetwork(o *options) error {
	for _, flag := range []string{"cluster-cidr", "service-cidr"} {
		for _, cidr := range o.split(flag) {
			if _, _, err := net.ParseCIDR(cidr); err != nil {
				return fmt.Errorf("invalid %s %s: %w", flag, cidr, err)
			}
		}
	}
	for _, address := range o.split("cluster-dns") {
		if net.ParseIP(address) == nil {
			return fmt.Errorf("invalid cluster-dns address %s", address)
		}
	}
	if mode := o.text("egress-selector-mode"); mode != "agent" && mode != "cluster" && mode != "pod" && mode != "disabled" {
		return fmt.Errorf("invalid egress-selector-mode %s", mode)
	}
	return nil
}

// hostNameAndIPs gives the node's name in lower case and its addresses: node-ip, else that of the default route.
func hostNameAndIPs(o *options) (string, []string, error) {
	addresses := o.split("node-ip")
	for _, address := range addresses {
		if net.ParseIP(address) == nil {
			return "", nil, fmt.Errorf("invalid node-ip: invalid ip format '%s'", address)
		}
	}
	if device := o.text("flannel-iface"); device != "" && len(addresses) == 0 {
		found, err := kube.AddressOfInterface(device)
		if err != nil {
			return "", nil, err
		}
		addresses = []string{found}
	}
	if len(addresses) == 0 {
		found, err := kube.AddressOfDefaultRoute()
		if err != nil {
			return "", nil, err
		}
		addresses = []string{found}
	}
	name := o.text("node-name")
	if name == "" {
		host, err := os.Hostname()
		if err != nil {
			return "", nil, err
		}
		name = host
	}
	return strings.ToLower(name), addresses, nil
}

// start brings up the node's agent, the datastore and the API, in that order, while the supervisor answers already.
func (s *server) start() {
	node, err := s.localAgent()
	if err != nil {
		s.requestShutdown(err)
		return
	}
	if err := s.startDatastore(); err != nil {
		s.requestShutdown(err)
		return
	}
	if err := s.writeClientFiles(); err != nil {
		s.requestShutdown(err)
		return
	}
	for s.DB.Barrier(time.Second) != nil || !s.IsVoter() {
		if s.DB.IsRemoved() {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	if s.etcd {
		kube.Infof("ETCD server is now running")
	}
	if err := s.saveBootstrap(false); err != nil {
		s.requestShutdown(fmt.Errorf("failed to save bootstrap data: %w", err))
		return
	}
	time.Sleep(300 * time.Millisecond)
	s.seed()
	s.apiReady.Store(true)
	kube.Infof("Kube API server is now running")
	kube.Infof("k3s is up and running")
	notifyReady()
	go s.control()
	go s.guardQuorum()
	if node != nil {
		go s.labelOwnNode()
		if err := node.run(); err != nil {
			s.requestShutdown(err)
		}
	}
}

// guardQuorum ends a server that had a majority and lost it, as its controllers do when they cannot renew their leases.
func (s *server) guardQuorum() {
	limit := kube.SecondsFromEnvironment("STANDIN_QUORUM_SECONDS", 10)
	last := time.Now()
	for {
		time.Sleep(500 * time.Millisecond)
		if s.DB.Barrier(time.Second) == nil || s.DB.IsRemoved() {
			last = time.Now()
		}
		if time.Since(last) > limit {
			kube.Errorf("error retrieving resource lock kube-system/k3s-etcd: etcdserver: no leader")
			kube.Fatalf("leaderelection lost for k3s-etcd")
		}
	}
}
