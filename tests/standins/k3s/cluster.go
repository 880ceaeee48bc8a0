// The datastore of a running server: opened, founded, moved over from sqlite, or joined; members in and out.
package main

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

var (
	errTooManyLearners = errors.New("etcdserver: too many learner members in cluster")
	errUnhealthy       = errors.New("etcdserver: unhealthy cluster")
)

// peers carries messages between members with mutual TLS.
type peers struct{ client *http.Client }

func (p *peers) send(to member, path string, message, reply any, timeout time.Duration) error {
	body, err := json.Marshal(message)
	if err != nil {
		return err
	}
	request, err := http.NewRequest("POST", to.PeerURL+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	client := *p.client
	client.Timeout = timeout
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != 200 {
		return errors.New(strings.TrimSpace(string(content)))
	}
	return json.Unmarshal(content, reply)
}

func (s *server) newPeers() (*peers, error) {
	config, err := s.peerTLS("etcd/peer-server-client", s.etcdPeerCA)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{TLSClientConfig: config, DialContext: (&net.Dialer{Timeout: time.Second}).DialContext, IdleConnTimeout: time.Minute}
	return &peers{&http.Client{Transport: transport}}, nil
}

func (s *server) peerTLS(name string, by *authority) (*tls.Config, error) {
	path := filepath.Join(s.dir, "tls", name)
	pair, err := tls.LoadX509KeyPair(path+".crt", path+".key")
	if err != nil {
		return nil, err
	}
	pool := certPool(by.pem)
	return &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: pool, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert}, nil
}

func (s *server) peerURL() string   { return "https://" + net.JoinHostPort(s.nodeIPs[0], "2380") }
func (s *server) clientURL() string { return "https://" + net.JoinHostPort(s.nodeIPs[0], "2379") }
func (s *server) resetFlag() string { return filepath.Join(s.dir, "db", "reset-flag") }
func (s *server) nameFile() string  { return filepath.Join(s.etcdDir(), "name") }

// checkTombstone lets a member that was removed start over as a new one, if it knows whom to join.
func (s *server) checkTombstone() error {
	if !s.etcd || !exists(filepath.Join(s.etcdDir(), "tombstone")) {
		return nil
	}
	if s.opts.text("server") == "" {
		return errors.New("tombstone file has been detected but --server is empty: backup and delete ${datadir}/server/db to create a new cluster, " +
			"or set --server to rejoin the cluster")
	}
	infof("tombstone file has been detected, removing ${datadir}/server/db to rejoin the cluster")
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
	name := s.nodeName + "-" + randomHex(4)
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
	transport, err := s.newPeers()
	if err != nil {
		return err
	}
	initialized := exists(filepath.Dir(s.etcdJournal()))
	c, err := openConsensus(s.etcdJournal(), transport)
	if err != nil && (initialized || !os.IsNotExist(err)) {
		return fmt.Errorf("starting kubernetes: start managed database: %w", err)
	}
	s.setDatabase(c)
	if err := s.listenPeers(); err != nil {
		return fmt.Errorf("starting kubernetes: start managed database: %w", err)
	}
	switch {
	case initialized:
		infof("Starting etcd for existing cluster member")
	case s.join == nil:
		infof("Starting etcd for new cluster, cluster-reset=false")
		s.isNew = true
		if err := s.foundCluster(name); err != nil {
			return err
		}
	default:
		if err := s.pollJoin(name); err != nil {
			return fmt.Errorf("etcd cluster join failed: %w", err)
		}
	}
	c.start()
	os.Remove(s.resetFlag())
	go s.publish(name)
	go s.manageMembers()
	return nil
}

func (s *server) setDatabase(c *consensus) {
	s.db = &database{c}
	s.api = &apiServer{s.db}
	c.onRemoved = func() {
		if err := os.WriteFile(filepath.Join(s.etcdDir(), "tombstone"), nil, 0o600); err != nil {
			fatalf("Failed to write tombstone file to %s: %v", s.etcdDir(), err)
		}
		infof("This node has been removed from the cluster - please restart k3s to rejoin the cluster")
	}
}

func (s *server) startSQLite() error {
	c, err := openConsensus(s.sqliteFile(), nil)
	if os.IsNotExist(err) {
		s.isNew = true
		err = c.found(member{ID: "sqlite", Name: s.nodeName}, nil)
	}
	if err != nil {
		return fmt.Errorf("starting kubernetes: %w", err)
	}
	s.setDatabase(c)
	c.start()
	return nil
}

func (s *server) foundCluster(name string) error {
	var content *state
	if exists(s.sqliteFile()) {
		infof("Migrating content from sqlite to etcd")
		var err error
		if content, err = readDatastore(s.sqliteFile()); err != nil {
			return err
		}
	}
	self := member{ID: randomHex(8), Name: name, PeerURL: s.peerURL(), ClientURL: s.clientURL()}
	if err := s.db.found(self, content); err != nil {
		return err
	}
	if content != nil {
		return os.Rename(s.sqliteFile(), s.sqliteFile()+".migrated")
	}
	return nil
}

type memberInfo struct {
	ID         uint64   `json:"ID"`
	Name       string   `json:"name,omitempty"`
	PeerURLs   []string `json:"peerURLs"`
	ClientURLs []string `json:"clientURLs,omitempty"`
	IsLearner  bool     `json:"isLearner,omitempty"`
}

func (s *server) memberInfos() []memberInfo {
	var infos []memberInfo
	for _, m := range s.db.state.members() {
		number, _ := strconv.ParseUint(m.ID, 16, 64)
		info := memberInfo{ID: number, Name: m.Name, PeerURLs: []string{m.PeerURL}, IsLearner: m.Learner}
		if m.Name != "" {
			info.ClientURLs = []string{m.ClientURL}
		}
		infos = append(infos, info)
	}
	return infos
}

// pollJoin tries every second until this server is a member, or an error says that it cannot be.
func (s *server) pollJoin(name string) error {
	for {
		err := s.joinOnce(name)
		switch {
		case err == nil:
			return nil
		case err.Error() == errTooManyLearners.Error() || err.Error() == errUnhealthy.Error():
			infof("Waiting for other members to finish joining etcd cluster: %v", err)
		case strings.HasPrefix(err.Error(), "failed to get MemberList"):
			infof("Waiting to retrieve etcd cluster member list: %v", err)
		case err == errTimeout:
			infof("Retrying etcd cluster join: MemberAdd request timed out")
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
	var found struct{ Members []memberInfo }
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
		infof("Adding member %s=%s to etcd cluster %v", name, s.peerURL(), cluster)
		if known, err = s.askToAdd(found.Members); err != nil {
			return err
		}
	}
	infof("Starting etcd to join cluster with members %v", append(cluster, name+"="+s.peerURL()))
	return s.db.consensus.join(known)
}

// askToAdd asks any member to add this server as a learner, and gives the new member's ID.
func (s *server) askToAdd(members []memberInfo) (string, error) {
	failure := errTimeout
	for _, m := range members {
		if m.IsLearner {
			continue
		}
		var answer struct{ ID string }
		err := s.db.carrier.send(member{PeerURL: m.PeerURLs[0]}, "/member/add", member{PeerURL: s.peerURL(), ClientURL: s.clientURL()}, &answer, 5*time.Second)
		if err == nil {
			return answer.ID, nil
		}
		if strings.HasPrefix(err.Error(), "etcdserver:") {
			failure = err
		}
	}
	return "", failure
}

// addMember serves a joining server.
func (s *server) addMember(m member) (string, error) {
	if !s.db.leading() {
		leader, ok := func() (member, bool) { s.db.mu.Lock(); defer s.db.mu.Unlock(); return s.db.leaderMember() }()
		if !ok || leader.PeerURL == s.peerURL() {
			return "", errNoLeader
		}
		var answer struct{ ID string }
		err := s.db.carrier.send(leader, "/member/add", m, &answer, 4*time.Second)
		return answer.ID, err
	}
	for _, other := range s.db.state.members() {
		if other.Learner {
			return "", errTooManyLearners
		}
	}
	if !s.db.allConnected() {
		return "", errUnhealthy
	}
	m.ID, m.Learner = randomHex(8), true
	_, err := s.db.propose(operation{Kind: "member", Member: &m}, writeTimeout)
	return m.ID, err
}

// allConnected tells a leader whether every voter answers: no member is added while one is away.
func (c *consensus) allConnected() bool {
	c.mu.Lock()
	voters := c.voters()
	c.mu.Unlock()
	for _, m := range voters {
		if m.ID != c.id && !c.answers(m.ID) {
			return false
		}
	}
	return true
}

// answers tells a leader whether it heard of a member lately.
func (c *consensus) answers(id string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Since(c.heard[id]) < leaseTime
}

// publish makes the member's name known once it takes part; before, it is a member without a name.
func (s *server) publish(name string) {
	for !s.db.isRemoved() {
		for _, m := range s.db.state.members() {
			if m.ID != s.db.id {
				continue
			}
			if m.Name == name && m.PeerURL == s.peerURL() {
				return
			}
			m.Name, m.PeerURL, m.ClientURL = name, s.peerURL(), s.clientURL()
			s.db.propose(operation{Kind: "member", Member: &m}, writeTimeout)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

func (s *server) isVoter() bool {
	for _, m := range s.db.state.members() {
		if m.ID == s.db.id {
			return !m.Learner
		}
	}
	return false
}

// manageMembers promotes a learner that has caught up, and drops one that never does, if this member leads.
func (s *server) manageMembers() {
	caughtUp, stalled := map[string]time.Time{}, map[string]time.Time{}
	for !s.db.isRemoved() {
		time.Sleep(500 * time.Millisecond)
		for _, m := range s.db.state.members() {
			if !m.Learner || !s.db.leading() {
				delete(stalled, m.ID)
				continue
			}
			if m.Name == "" || !s.db.caughtUp(m.ID) || !s.db.answers(m.ID) {
				delete(caughtUp, m.ID)
				s.dropStalled(m, stalled)
				continue
			}
			delete(stalled, m.ID)
			if _, seen := caughtUp[m.ID]; !seen {
				caughtUp[m.ID] = time.Now()
			}
			if time.Since(caughtUp[m.ID]) > secondsFromEnvironment("STANDIN_LEARNER_SECONDS", 1.5) {
				m.Learner = false
				infof("Promoted learner %s to voting member", m.Name)
				s.db.propose(operation{Kind: "member", Member: &m}, writeTimeout)
			}
		}
	}
}

func (s *server) dropStalled(m member, stalled map[string]time.Time) {
	if _, seen := stalled[m.ID]; !seen {
		stalled[m.ID] = time.Now()
	}
	if time.Since(stalled[m.ID]) > secondsFromEnvironment("STANDIN_STALL_SECONDS", 300) {
		warnf("Learner %s stalled at RaftAppliedIndex=0 for 5m0s, removing it", m.Name)
		s.db.propose(operation{Kind: "remove", Member: &m}, writeTimeout)
	}
}

// removePeer takes the member of a deleted Node out of the cluster.
func (s *server) removePeer(name, address string) error {
	members := s.db.state.members()
	for _, m := range members {
		peer, err := url.Parse(m.PeerURL)
		if err != nil || m.Name != name || peer.Hostname() != address {
			continue
		}
		voters := 0
		for _, other := range members {
			if !other.Learner && other.ID != m.ID {
				voters++
			}
		}
		if voters == 0 {
			return errors.New("etcdserver: re-configuration failed due to not enough started members")
		}
		infof("Removing name=%s id=%s address=%s from etcd", m.Name, m.ID, address)
		gone := m
		_, err = s.db.propose(operation{Kind: "remove", Member: &gone}, writeTimeout)
		return err
	}
	return nil
}

func (s *server) listenPeers() error {
	mux := http.NewServeMux()
	answer(mux, "/raft/vote", func(m voteRequest) (any, error) { return s.db.onVote(m), nil })
	answer(mux, "/raft/append", func(m appendRequest) (any, error) { return s.db.onAppend(m), nil })
	answer(mux, "/raft/propose", func(m operation) (any, error) { return s.db.onPropose(m), nil })
	answer(mux, "/raft/position", func(struct{}) (any, error) { return object{"Index": s.db.onPosition()}, nil })
	answer(mux, "/raft/lead", func(struct{}) (any, error) { s.db.onLead(); return object{}, nil })
	answer(mux, "/member/add", func(m member) (any, error) {
		id, err := s.addMember(m)
		return object{"ID": id}, err
	})
	config, err := s.peerTLS("etcd/peer-server-client", s.etcdPeerCA)
	if err != nil {
		return err
	}
	if err := serveTLS(net.JoinHostPort(s.nodeIPs[0], "2380"), config, mux); err != nil {
		return err
	}
	health := http.NewServeMux()
	health.HandleFunc("/health", func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, 200, object{"health": fmt.Sprint(s.db.barrier(time.Second) == nil), "reason": ""})
	})
	config, err = s.peerTLS("etcd/server-client", s.etcdServerCA)
	if err != nil {
		return err
	}
	for _, host := range []string{s.nodeIPs[0], "127.0.0.1"} {
		if err := serveTLS(net.JoinHostPort(host, "2379"), config, health); err != nil {
			return err
		}
	}
	return nil
}

func answer[M any](mux *http.ServeMux, path string, handle func(M) (any, error)) {
	mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
		var message M
		if err := json.NewDecoder(r.Body).Decode(&message); err != nil {
			http.Error(w, err.Error(), 400)
			return
		}
		reply, err := handle(message)
		if err != nil {
			http.Error(w, err.Error(), 500)
			return
		}
		writeJSON(w, 200, reply)
	})
}

func serveTLS(address string, config *tls.Config, handler http.Handler) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	httpServer := &http.Server{Handler: handler, TLSConfig: config, ErrorLog: quietLog}
	go httpServer.ServeTLS(listener, "", "")
	return nil
}
