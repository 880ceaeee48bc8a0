// The datastore of a running server: opened, founded, moved over from sqlite, or joined; members in and out.
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
	"strings"
	"time"

	"standin/kube"
)

func (s *server) resetFlag() string { return filepath.Join(s.dir, "db", "reset-flag") }
func (s *server) nameFile() string  { return filepath.Join(s.etcdDir(), "name") }

// checkTombstone lets a member that was removed start over as a new one, if it knows whom to join.
func (s *server) checkTombstone() error {
	if !s.etcd || !kube.Exists(filepath.Join(s.etcdDir(), "tombstone")) {
		return nil
	}
	if s.opts.text("server") == "" {
		return errors.New("tombstone file has been detected but --server is empty: backup and delete ${datadir}/server/db to create a new cluster, " +
			"or set --server to rejoin the cluster")
	}
	kube.Infof("tombstone file has been detected, removing ${datadir}/server/db to rejoin the cluster")
	return os.Rename(s.etcdDir(), fmt.Sprintf("%s-backup-%d", s.etcdDir(), time.Now().Unix()))
}

// memberName reads or makes the member's name: the node's name and eight random digits.
func (s *server) memberName(renew bool) (string, error) {
	if content, err := os.ReadFile(s.nameFile()); err == nil && !renew {
		return string(content), nil
	}
	if err := os.MkdirAll(s.etcdDir(), 0o700); err != nil {
		return "", err
	}
	name := s.nodeName + "-" + kube.RandomHex(4)
	return name, os.WriteFile(s.nameFile(), []byte(name), 0o600)
}

func (s *server) startDatastore() error {
	if !s.etcd {
		return s.startSQLite()
	}
	name, err := s.memberName(false)
	if err != nil {
		return err
	}
	peerConfig, err := kube.PeerTLS(filepath.Join(s.dir, "tls", "etcd/peer-server-client"), s.etcdPeerCA)
	if err != nil {
		return err
	}
	clientConfig, err := kube.PeerTLS(filepath.Join(s.dir, "tls", "etcd/server-client"), s.etcdServerCA)
	if err != nil {
		return err
	}
	initialized := kube.Exists(filepath.Dir(s.etcdJournal()))
	c, err := kube.OpenConsensus(s.etcdJournal(), kube.NewPeers(peerConfig))
	if err != nil && (initialized || !os.IsNotExist(err)) {
		return fmt.Errorf("starting kubernetes: start managed database: %w", err)
	}
	s.setDatabase(c)
	if err := s.listenPeers(peerConfig, clientConfig); err != nil {
		return fmt.Errorf("starting kubernetes: start managed database: %w", err)
	}
	switch {
	case initialized:
		kube.Infof("Starting etcd for existing cluster member")
	case s.join == nil:
		kube.Infof("Starting etcd for new cluster, cluster-reset=false")
		s.isNew = true
		if err := s.foundCluster(name); err != nil {
			return err
		}
	default:
		if err := s.pollJoin(name); err != nil {
			return fmt.Errorf("etcd cluster join failed: %w", err)
		}
	}
	c.Start()
	os.Remove(s.resetFlag())
	go s.Publish(name)
	go s.ManageMembers()
	return nil
}

func (s *server) setDatabase(c *kube.Consensus) {
	s.Membership = kube.Membership{DB: &kube.Database{Consensus: c}, Address: s.nodeIPs[0]}
	s.api = &kube.APIServer{DB: s.DB}
	s.controllers = s.newControllers()
	c.OnRemoved = func() {
		if err := os.WriteFile(filepath.Join(s.etcdDir(), "tombstone"), nil, 0o600); err != nil {
			kube.Fatalf("Failed to write tombstone file to %s: %v", s.etcdDir(), err)
		}
		kube.Infof("This node has been removed from the cluster - please restart k3s to rejoin the cluster")
	}
}

func (s *server) listenPeers(peerConfig, clientConfig *tls.Config) error {
	if err := s.ListenPeers(peerConfig); err != nil {
		return err
	}
	for _, host := range []string{s.Address, "127.0.0.1"} {
		if err := kube.ServeTLS(net.JoinHostPort(host, "2379"), clientConfig, s.HealthMux()); err != nil {
			return err
		}
	}
	return nil
}

func (s *server) startSQLite() error {
	c, err := kube.OpenConsensus(s.sqliteFile(), nil)
	if os.IsNotExist(err) {
		s.isNew = true
		err = c.Found(kube.Member{ID: "sqlite", Name: s.nodeName}, nil)
	}
	if err != nil {
		return fmt.Errorf("starting kubernetes: %w", err)
	}
	s.setDatabase(c)
	c.Start()
	return nil
}

func (s *server) foundCluster(name string) error {
	var content *kube.State
	if kube.Exists(s.sqliteFile()) {
		kube.Infof("Migrating content from sqlite to etcd")
		var err error
		if content, err = kube.ReadDatastore(s.sqliteFile()); err != nil {
			return err
		}
	}
	self := kube.Member{ID: kube.RandomHex(8), Name: name, PeerURL: s.PeerURL(), ClientURL: s.ClientURL()}
	if err := s.DB.Found(self, content); err != nil {
		return err
	}
	if content != nil {
		return os.Rename(s.sqliteFile(), s.sqliteFile()+".migrated")
	}
	return nil
}

// pollJoin tries every second until this server is a member, or an error says that it cannot be.
func (s *server) pollJoin(name string) error {
	for {
		err := s.joinOnce(name)
		switch {
		case err == nil:
			return nil
		case err.Error() == kube.ErrTooManyLearners.Error() || err.Error() == kube.ErrUnhealthy.Error():
			kube.Infof("Waiting for other members to finish joining etcd cluster: %v", err)
		case strings.HasPrefix(err.Error(), "failed to get MemberList"):
			kube.Infof("Waiting to retrieve etcd cluster member list: %v", err)
		case err == kube.ErrTimeout:
			kube.Infof("Retrying etcd cluster join: MemberAdd request timed out")
		default:
			return err
		}
		time.Sleep(time.Second)
	}
}

func (s *server) joinOnce(name string) error {
	content, err := s.join.get("/db/info")
	if err != nil {
		return fmt.Errorf("failed to get MemberList from server: %w", err)
	}
	var found struct{ Members []kube.MemberInfo }
	if err := json.Unmarshal(content, &found); err != nil {
		return fmt.Errorf("failed to get MemberList from server: %w", err)
	}
	known := ""
	var cluster []string
	for _, m := range found.Members {
		peer, err := url.Parse(m.PeerURLs[0])
		if err != nil {
			return err
		}
		if m.Name == "" && peer.Hostname() == s.nodeIPs[0] {
			m.Name = name // a member that never started has no name; with our address it is us
		}
		if m.Name == name && peer.Hostname() == s.nodeIPs[0] {
			known = fmt.Sprintf("%016x", m.ID)
		}
		cluster = append(cluster, m.Name+"="+m.PeerURLs[0])
		if index := strings.LastIndex(m.Name, "-"); m.Name != name && index > 1 && m.Name[:index] == s.nodeName {
			os.Remove(s.nameFile())
			return errors.New("duplicate node name found, please use a unique name for this node")
		}
	}
	if known == "" {
		kube.Infof("Adding member %s=%s to etcd cluster %v", name, s.PeerURL(), cluster)
		if known, err = s.AskToAdd(found.Members); err != nil {
			return err
		}
	}
	kube.Infof("Starting etcd to join cluster with members %v", append(cluster, name+"="+s.PeerURL()))
	return s.DB.Consensus.Join(known)
}
