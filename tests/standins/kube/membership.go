// A server's part in the datastore of several: messages between members, who comes, who learns, who goes.
package kube

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

var (
	ErrTooManyLearners = errors.New("etcdserver: too many learner members in cluster")
	ErrUnhealthy       = errors.New("etcdserver: unhealthy cluster")
)

var quietLog = log.New(io.Discard, "", 0)

// Peers carries messages between members with mutual TLS.
type Peers struct{ client *http.Client }

// Membership is this server as a member: its database, and the address under which the others reach it.
type Membership struct {
	DB      *Database
	Address string
	Port    string // where members reach each other; empty: that of etcd
}

func (p *Membership) PeerURL() string   { return "https://" + net.JoinHostPort(p.Address, p.peerPort()) }
func (p *Membership) ClientURL() string { return "https://" + net.JoinHostPort(p.Address, "2379") }

func (p *Membership) peerPort() string {
	if p.Port == "" {
		return "2380"
	}
	return p.Port
}

// ListenPeers serves the other members.
func (p *Membership) ListenPeers(config *tls.Config) error {
	return ServeTLS(net.JoinHostPort(p.Address, p.peerPort()), config, p.PeerMux())
}

// PeerMux answers the messages of other members.
func (p *Membership) PeerMux() *http.ServeMux {
	mux := http.NewServeMux()
	Answer(mux, "/raft/vote", func(m voteRequest) (any, error) { return p.DB.onVote(m), nil })
	Answer(mux, "/raft/append", func(m appendRequest) (any, error) { return p.DB.onAppend(m), nil })
	Answer(mux, "/raft/propose", func(m Operation) (any, error) { return p.DB.onPropose(m), nil })
	Answer(mux, "/raft/position", func(struct{}) (any, error) { return Object{"Index": p.DB.onPosition()}, nil })
	Answer(mux, "/raft/lead", func(struct{}) (any, error) { p.DB.onLead(); return Object{}, nil })
	Answer(mux, "/member/add", func(m Member) (any, error) {
		id, err := p.AddMember(m)
		return Object{"ID": id}, err
	})
	return mux
}

// HealthMux answers what health checks ask the clients' port of a member.
func (p *Membership) HealthMux() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("/health", func(w http.ResponseWriter, r *http.Request) {
		WriteJSON(w, 200, Object{"health": fmt.Sprint(p.DB.Barrier(time.Second) == nil), "reason": ""})
	})
	return mux
}

func (p *Peers) send(to Member, path string, message, reply any, timeout time.Duration) error {
	client := *p.client
	client.Timeout = timeout
	return Exchange(&client, to.PeerURL+path, message, reply)
}

// Exchange posts a message as JSON and reads the answer into reply; what is not 200 is an error with the answer's text.
func Exchange(client *http.Client, url string, message, reply any) error {
	body, err := json.Marshal(message)
	if err != nil {
		return err
	}
	response, err := client.Post(url, "application/json", bytes.NewReader(body))
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

func NewPeers(config *tls.Config) *Peers {
	transport := &http.Transport{TLSClientConfig: config.Clone(), // a server that uses it too adds protocols to it
		DialContext: (&net.Dialer{Timeout: time.Second}).DialContext, IdleConnTimeout: time.Minute}
	return &Peers{&http.Client{Transport: transport}}
}

// PeerTLS is the configuration between members: both sides show a certificate of one authority.
func PeerTLS(path string, by *Authority) (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(path+".crt", path+".key")
	if err != nil {
		return nil, err
	}
	pool := CertPool(by.PEM)
	return &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: pool, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert}, nil
}

// AskToAdd asks any member to add this server as a learner, and gives the new member's ID.
func (p *Membership) AskToAdd(members []MemberInfo) (string, error) {
	failure := ErrTimeout
	for _, m := range members {
		if m.IsLearner {
			continue
		}
		var answer struct{ ID string }
		err := p.DB.carrier.send(Member{PeerURL: m.PeerURLs[0]}, "/member/add", Member{PeerURL: p.PeerURL(), ClientURL: p.ClientURL()}, &answer, 5*time.Second)
		if err == nil {
			return answer.ID, nil
		}
		if strings.HasPrefix(err.Error(), "etcdserver:") {
			failure = err
		}
	}
	return "", failure
}

// AddMember serves a joining server.
func (p *Membership) AddMember(m Member) (string, error) {
	if !p.DB.Leading() {
		leader, ok := func() (Member, bool) { p.DB.mu.Lock(); defer p.DB.mu.Unlock(); return p.DB.leaderMember() }()
		if !ok || leader.PeerURL == p.PeerURL() {
			return "", ErrNoLeader
		}
		var answer struct{ ID string }
		err := p.DB.carrier.send(leader, "/member/add", m, &answer, 4*time.Second)
		return answer.ID, err
	}
	for _, other := range p.DB.State.MemberList() {
		if other.Learner {
			return "", ErrTooManyLearners
		}
	}
	if !p.DB.allConnected() {
		return "", ErrUnhealthy
	}
	m.ID, m.Learner = RandomHex(8), true
	_, err := p.DB.Propose(Operation{Kind: "member", Member: &m}, WriteTimeout)
	return m.ID, err
}

// allConnected tells a leader whether every voter answers: no member is added while one is away.
func (c *Consensus) allConnected() bool {
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

// Answers tells a leader whether it heard of a member lately.
func (c *Consensus) Answers(id string) bool { return c.answers(id) }

func (c *Consensus) answers(id string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Since(c.heard[id]) < leaseTime
}

// Publish makes the member's name known once it takes part; before, it is a member without a name.
func (p *Membership) Publish(name string) {
	for !p.DB.IsRemoved() {
		for _, m := range p.DB.State.MemberList() {
			if m.ID != p.DB.id {
				continue
			}
			if m.Name == name && m.PeerURL == p.PeerURL() {
				return
			}
			m.Name, m.PeerURL, m.ClientURL = name, p.PeerURL(), p.ClientURL()
			p.DB.Propose(Operation{Kind: "member", Member: &m}, WriteTimeout)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

func (p *Membership) IsVoter() bool {
	for _, m := range p.DB.State.MemberList() {
		if m.ID == p.DB.id {
			return !m.Learner
		}
	}
	return false
}

// ManageMembers promotes a learner that has caught up, and drops one that never does, if this member leads.
func (p *Membership) ManageMembers() {
	caughtUp, stalled := map[string]time.Time{}, map[string]time.Time{}
	for !p.DB.IsRemoved() {
		time.Sleep(500 * time.Millisecond)
		for _, m := range p.DB.State.MemberList() {
			if !m.Learner || !p.DB.Leading() {
				delete(stalled, m.ID)
				continue
			}
			if m.Name == "" || !p.DB.caughtUp(m.ID) || !p.DB.answers(m.ID) {
				delete(caughtUp, m.ID)
				p.DropStalled(m, stalled)
				continue
			}
			delete(stalled, m.ID)
			if _, seen := caughtUp[m.ID]; !seen {
				caughtUp[m.ID] = time.Now()
			}
			if time.Since(caughtUp[m.ID]) > SecondsFromEnvironment("STANDIN_LEARNER_SECONDS", 1.5) {
				m.Learner = false
				Infof("Promoted learner %s to voting member", m.Name)
				p.DB.Propose(Operation{Kind: "member", Member: &m}, WriteTimeout)
			}
		}
	}
}

func (p *Membership) DropStalled(m Member, stalled map[string]time.Time) {
	if _, seen := stalled[m.ID]; !seen {
		stalled[m.ID] = time.Now()
	}
	if time.Since(stalled[m.ID]) > SecondsFromEnvironment("STANDIN_STALL_SECONDS", 300) {
		Warnf("Learner %s stalled at RaftAppliedIndex=0 for 5m0s, removing it", m.Name)
		p.DB.Propose(Operation{Kind: "remove", Member: &m}, WriteTimeout)
	}
}

// RemovePeer takes the member of a deleted Node out of the cluster.
func (p *Membership) RemovePeer(name, address string) error {
	members := p.DB.State.MemberList()
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
		Infof("Removing name=%s id=%s address=%s from etcd", m.Name, m.ID, address)
		gone := m
		_, err = p.DB.Propose(Operation{Kind: "remove", Member: &gone}, WriteTimeout)
		return err
	}
	return nil
}

// Answer serves JSON messages at a path; an error of the handler is the text of code 500.
func Answer[M any](mux *http.ServeMux, path string, handle func(M) (any, error)) {
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
		WriteJSON(w, 200, reply)
	})
}

func ServeTLS(address string, config *tls.Config, handler http.Handler) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	httpServer := &http.Server{Handler: handler, TLSConfig: config, ErrorLog: quietLog}
	go httpServer.ServeTLS(listener, "", "")
	return nil
}

func (p *Membership) MemberInfos() []MemberInfo {
	var infos []MemberInfo
	for _, m := range p.DB.State.MemberList() {
		number, _ := strconv.ParseUint(m.ID, 16, 64)
		info := MemberInfo{ID: number, Name: m.Name, PeerURLs: []string{m.PeerURL}, IsLearner: m.Learner}
		if m.Name != "" {
			info.ClientURLs = []string{m.ClientURL}
		}
		infos = append(infos, info)
	}
	return infos
}

type MemberInfo struct {
	ID         uint64   `json:"ID"`
	Name       string   `json:"name,omitempty"`
	PeerURLs   []string `json:"peerURLs"`
	ClientURLs []string `json:"clientURLs,omitempty"`
	IsLearner  bool     `json:"isLearner,omitempty"`
}
