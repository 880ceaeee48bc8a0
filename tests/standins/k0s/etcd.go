// The datastore of a controller, etcd or sqlite by name, and the commands that ask it.
package main

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"standin/kube"
)

func (v *vars) etcdJournal() string { return filepath.Join(v.EtcdDataDir, "member", "wal", "0.wal") }
func (v *vars) etcdDatabase() string {
	return filepath.Join(v.EtcdDataDir, "member", "snap", "db")
}
func (v *vars) sqliteFile() string { return filepath.Join(v.DataDir, "db", "state.db") }

func (c *controller) memberName() string {
	if name := c.config.Spec.Storage.Etcd.ExtraArgs["name"]; name != "" {
		return name
	}
	name, _ := os.Hostname()
	return name
}

func (c *controller) setDatabase(db *kube.Consensus) {
	c.Membership.DB = &kube.Database{Consensus: db}
	c.api = &kube.APIServer{DB: c.DB}
	c.plane = kube.NewControllers(c.DB, c.config.Spec.Network.PodCIDR, c.ca.PEM, secondsOf("STANDIN_NODE_GRACE_SECONDS", 40))
}

// startDatastore returns when reads and writes work: for a joining member, when it has a vote.
func (c *controller) startDatastore(join *joinClient) error {
	kube.Infof("using storage backend %s", c.config.Spec.Storage.Type)
	if !c.embedded() {
		return c.startSQLite()
	}
	kube.Infof("Starting etcd")
	c.Membership.Address = c.config.Spec.Storage.Etcd.PeerAddress
	if err := makeDir(c.v.EtcdDataDir, 0o700); err != nil {
		return err
	}
	if err := makeDir(c.v.EtcdCertDir, 0o711); err != nil {
		return err
	}
	name, id := c.memberName(), ""
	known := kube.Exists(c.v.etcdDatabase())
	if known {
		kube.Warnf("etcd db file(s) already exist, not gonna run join process")
	} else if join != nil {
		var err error
		if id, err = c.joinEtcd(join, name); err != nil {
			return err
		}
	}
	return c.runEtcd(name, id, known)
}

func (c *controller) runEtcd(name, id string, known bool) error {
	peers, clients, err := c.etcdCertificates()
	if err != nil {
		return err
	}
	db, err := kube.OpenConsensus(c.v.etcdJournal(), kube.NewPeers(peers))
	if err != nil && (known || !os.IsNotExist(err)) {
		return err
	}
	c.setDatabase(db)
	if err := c.ListenPeers(peers); err != nil {
		return err
	}
	switch {
	case known:
	case id != "":
		err = db.Join(id)
	default:
		err = db.Found(kube.Member{ID: kube.RandomHex(8), Name: name, PeerURL: c.PeerURL(), ClientURL: c.ClientURL()}, nil)
	}
	if err == nil {
		err = touch(c.v.etcdDatabase())
	}
	if err != nil {
		return err
	}
	if err := c.listenEtcd(clients); err != nil {
		return err
	}
	db.Start()
	go c.Publish(name)
	go c.ManageMembers()
	return c.awaitDatastore("Etcd")
}

func touch(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return os.WriteFile(path, []byte("stand-in\n"), 0o600)
}

// awaitDatastore gives up after two minutes, and the process with it.
func (c *controller) awaitDatastore(component string) error {
	deadline := time.Now().Add(secondsOf("STANDIN_READY_SECONDS", 120))
	for time.Now().Before(deadline) {
		if c.DB.Barrier(time.Second) == nil && (!c.embedded() || c.IsVoter()) {
			return nil
		}
		time.Sleep(200 * time.Millisecond)
	}
	return fmt.Errorf("%s health-check timed out", component)
}

func (c *controller) startSQLite() error {
	if err := os.MkdirAll(filepath.Dir(c.v.sqliteFile()), 0o750); err != nil {
		return err
	}
	db, err := kube.OpenConsensus(c.v.sqliteFile(), nil)
	if os.IsNotExist(err) {
		err = db.Found(kube.Member{ID: "sqlite", Name: c.node}, nil)
	}
	if err != nil {
		return err
	}
	c.setDatabase(db)
	db.Start()
	return c.awaitDatastore("Kine")
}

func (c *controller) etcdCertificates() (peers, clients *tls.Config, err error) {
	by, err := authority(filepath.Join(c.v.EtcdCertDir, "ca"), "etcd-ca")
	if err != nil {
		return nil, nil, err
	}
	local := []string{"127.0.0.1", "localhost"}
	for path, who := range map[string]certificate{
		filepath.Join(c.v.CertRootDir, "apiserver-etcd-client"): {who: kube.Subject{Name: "apiserver-etcd-client", Groups: []string{"apiserver-etcd-client"}, Hosts: local}, owner: "kube-apiserver"},
		filepath.Join(c.v.EtcdCertDir, "server"):                {who: kube.Subject{Name: "etcd-server", Groups: []string{"etcd-server"}, Hosts: local}, owner: "etcd"},
		filepath.Join(c.v.EtcdCertDir, "peer"):                  {who: kube.Subject{Name: c.Address, Groups: []string{"etcd-peer"}, Hosts: []string{c.Address}}, owner: "etcd"},
	} {
		if err := issue(by, path, who); err != nil {
			return nil, nil, err
		}
	}
	if peers, err = kube.PeerTLS(filepath.Join(c.v.EtcdCertDir, "peer"), by); err != nil {
		return nil, nil, err
	}
	clients, err = kube.PeerTLS(filepath.Join(c.v.EtcdCertDir, "server"), by)
	return peers, clients, err
}

// listenEtcd serves this host's clients: health, the list of members, and taking one out.
func (c *controller) listenEtcd(config *tls.Config) error {
	mux := c.HealthMux()
	kube.Answer(mux, "/members", func(struct{}) (any, error) {
		if err := c.DB.Barrier(time.Second); err != nil {
			return nil, err
		}
		return c.DB.State.MemberList(), nil
	})
	kube.Answer(mux, "/remove", func(m kube.Member) (any, error) { return kube.Object{}, c.removeMember(m) })
	end, err := serveTLS("127.0.0.1:2379", config, mux)
	if err != nil {
		return err
	}
	c.DB.OnRemoved = func() {
		kube.Errorf("the member has been permanently removed from the cluster")
		end() // etcd exits, and whoever asks it waits
	}
	c.onStop(end)
	return nil
}

func (c *controller) removeMember(gone kube.Member) error {
	if err := c.DB.Barrier(time.Second); err != nil {
		return err
	}
	others := 0
	for _, m := range c.DB.State.MemberList() {
		if m.ID != gone.ID && !m.Learner {
			others++
		}
	}
	if others == 0 {
		return errors.New("etcdserver: re-configuration failed due to not enough started members")
	}
	_, err := c.DB.Propose(kube.Operation{Kind: "remove", Member: &gone}, 5*time.Second)
	return err
}

func etcdCommand() *command {
	leave := flags("peer-address text")
	return &command{persistent: join(debugFlags, dataFlags), children: map[string]*command{
		"leave":       {flags: leave, run: func(i *invocation) error { return withEtcd(i, leaveEtcd) }},
		"member-list": {run: func(i *invocation) error { return withEtcd(i, listMembers) }},
	}}
}

// withEtcd refuses other storages, and opens a client for the member of this host.
func withEtcd(i *invocation, run func(*invocation, *clusterConfig, *etcdClient) error) error {
	if address := i.text("peer-address"); i.isSet("peer-address") && net.ParseIP(address) == nil && !isName(address) {
		return fmt.Errorf("invalid argument %q for \"--peer-address\" flag: neither an IP address nor a DNS name", address)
	}
	v := effectiveVars(i)
	config, err := v.nodeConfig()
	if err != nil {
		return err
	}
	switch storage := config.Spec.Storage; {
	case storage.Type != "etcd":
		return fmt.Errorf("wrong storage type: %s", storage.Type)
	case storage.Etcd.ExternalCluster != nil:
		return errors.New("command 'k0s etcd' does not support external etcd cluster")
	}
	client, err := newEtcdClient(v)
	if err != nil {
		what := map[bool]string{true: "can't connect to the etcd", false: "can't list etcd cluster members"}[i.specs["peer-address"].name != ""]
		return fmt.Errorf("%s: %w", what, err)
	}
	return run(i, config, client)
}

type etcdClient struct{ *kube.KubeClient }

func newEtcdClient(v *vars) (*etcdClient, error) {
	base := filepath.Join(v.CertRootDir, "apiserver-etcd-client")
	pair, err := tls.LoadX509KeyPair(base+".crt", base+".key")
	if err != nil {
		return nil, err
	}
	ca, err := os.ReadFile(filepath.Join(v.EtcdCertDir, "ca.crt"))
	if err != nil {
		return nil, err
	}
	return &etcdClient{kube.NewKubeClient("https://127.0.0.1:2379", ca, &pair)}, nil
}

// ask has no deadline: without a member here, or without a majority, it waits for ever.
func (e *etcdClient) ask(path string, body any) ([]byte, error) {
	for {
		content, err := e.Do("POST", path, "", body)
		var unreachable *url.Error
		if err == nil || !errors.As(err, &unreachable) && string(content) != kube.ErrNoLeader.Error()+"\n" {
			if err != nil && len(content) > 0 {
				return nil, errors.New(string(content[:len(content)-1]))
			}
			return content, err
		}
		time.Sleep(time.Second)
	}
}

func (e *etcdClient) members() ([]kube.Member, error) {
	content, err := e.ask("/members", struct{}{})
	var members []kube.Member
	if err == nil {
		err = json.Unmarshal(content, &members)
	}
	return members, err
}

func listMembers(_ *invocation, _ *clusterConfig, client *etcdClient) error {
	members, err := client.members()
	if err != nil {
		return fmt.Errorf("can't list etcd cluster members: etcd member list failed: %w", err)
	}
	urls := map[string]string{}
	for _, m := range members {
		urls[m.Name] = m.PeerURL
	}
	return json.NewEncoder(os.Stdout).Encode(kube.Object{"members": urls})
}

func leaveEtcd(i *invocation, config *clusterConfig, client *etcdClient) error {
	address := orElse(i.text("peer-address"), config.Spec.Storage.Etcd.PeerAddress)
	if address == "" {
		return errors.New("can't leave etcd cluster: this node doesn't have an etcd peer address, check the k0s configuration or use --peer-address")
	}
	peer := "https://" + net.JoinHostPort(address, "2380")
	members, err := client.members()
	if err != nil {
		return err
	}
	for _, m := range members {
		if m.PeerURL != peer {
			continue
		}
		number, _ := strconv.ParseUint(m.ID, 16, 64)
		if _, err := client.ask("/remove", m); err != nil {
			kube.LogWith("error", fmt.Sprintf(" peerID=%x peerURL=%q", number, peer), "Failed to delete node from cluster")
			return err
		}
		kube.LogWith("info", fmt.Sprintf(" peerID=%x", number), "Successfully deleted")
		return nil
	}
	kube.LogWith("error", fmt.Sprintf(" peerURL=%q", peer), "Failed to get peer name")
	return fmt.Errorf("peer not found: %s", peer)
}
