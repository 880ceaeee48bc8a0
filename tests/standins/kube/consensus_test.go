package kube

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// wires carries messages between members of one process; a member that is cut off gets none.
type wires struct {
	mu      sync.Mutex
	members map[string]*Consensus // by peer URL
	cut     map[string]bool
}

type plug struct {
	wires *wires
	from  string
}

func (p plug) send(to Member, path string, message, reply any, timeout time.Duration) error {
	p.wires.mu.Lock()
	target, away := p.wires.members[to.PeerURL], p.wires.cut[to.PeerURL] || p.wires.cut[p.from]
	p.wires.mu.Unlock()
	if target == nil || away {
		return syscall.ECONNREFUSED
	}
	encoded, _ := json.Marshal(message)
	var answer any
	switch path {
	case "/raft/vote":
		var m voteRequest
		json.Unmarshal(encoded, &m)
		answer = target.onVote(m)
	case "/raft/append":
		var m appendRequest
		json.Unmarshal(encoded, &m)
		answer = target.onAppend(m)
	case "/raft/propose":
		var m Operation
		json.Unmarshal(encoded, &m)
		answer = target.onPropose(m)
	case "/raft/position":
		answer = Object{"Index": target.onPosition()}
	case "/raft/lead":
		target.onLead()
		answer = Object{}
	}
	encoded, _ = json.Marshal(answer)
	return json.Unmarshal(encoded, reply)
}

func (w *wires) open(t *testing.T, dir, name string) *Consensus {
	t.Helper()
	c, _ := OpenConsensus(filepath.Join(dir, name), plug{w, name})
	w.mu.Lock()
	w.members[name] = c
	w.mu.Unlock()
	t.Cleanup(func() { c.mu.Lock(); c.stopped = true; c.mu.Unlock() })
	return c
}

func put(t *testing.T, c *Consensus, key, value string) {
	t.Helper()
	result, err := c.Propose(Operation{Kind: "put", Key: key, Value: json.RawMessage(`"` + value + `"`)}, 10*time.Second)
	if err != nil || !result.OK {
		t.Fatalf("put %s: %v %v", key, result, err)
	}
}

func get(t *testing.T, c *Consensus, key string) string {
	t.Helper()
	if err := c.Barrier(10 * time.Second); err != nil {
		t.Fatalf("barrier: %v", err)
	}
	found, _ := c.State.Get(key)
	return string(found.Value)
}

// three makes a cluster of the members a, b and c.
func three(t *testing.T) (*wires, map[string]*Consensus) {
	t.Helper()
	w := &wires{members: map[string]*Consensus{}, cut: map[string]bool{}}
	dir := t.TempDir()
	first := w.open(t, dir, "a")
	if err := first.Found(Member{ID: "a", Name: "a", PeerURL: "a"}, nil); err != nil {
		t.Fatal(err)
	}
	first.Start()
	for i := 0; i < 2*compactAfter; i++ {
		put(t, first, fmt.Sprintf("/k/%d", i%10), fmt.Sprint(i))
	}
	all := map[string]*Consensus{"a": first}
	for _, name := range []string{"b", "c"} {
		m := Member{ID: name, Name: name, PeerURL: name, Learner: true}
		if _, err := first.Propose(Operation{Kind: "member", Member: &m}, time.Second); err != nil {
			t.Fatal(err)
		}
		c := w.open(t, dir, name)
		if err := c.Join(name); err != nil {
			t.Fatal(err)
		}
		c.Start()
		for deadline := time.Now().Add(10 * time.Second); !first.caughtUp(name); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("the learner never caught up")
			}
		}
		m.Learner = false
		if _, err := first.Propose(Operation{Kind: "member", Member: &m}, time.Second); err != nil {
			t.Fatal(err)
		}
		all[name] = c
	}
	for _, c := range all { // each knows that it is one of three
		for len(c.State.MemberList()) < 3 {
			time.Sleep(10 * time.Millisecond)
		}
	}
	return w, all
}

func TestAVoterStaysOneWhenItPublishesWhatItKnewAsALearner(t *testing.T) {
	_, all := three(t)
	for _, name := range []string{"b", "c"} {
		m := Member{ID: name, Name: name, PeerURL: name, Learner: true}
		if _, err := all["a"].Propose(Operation{Kind: "member", Member: &m}, time.Second); err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range all["a"].State.MemberList() {
		if m.Learner {
			t.Fatalf("%s is a learner again", m.Name)
		}
	}
	if voters := all["a"].voters(); len(voters) != 3 {
		t.Fatalf("voters: %v", voters)
	}
}

func TestEveryMemberReadsWhatAnotherWrote(t *testing.T) {
	_, all := three(t)
	for name, c := range all {
		put(t, c, "/from", name)
		for reader, other := range all {
			if found := get(t, other, "/from"); found != `"`+name+`"` {
				t.Errorf("%s reads %s, %s wrote", reader, found, name)
			}
		}
	}
	if found := get(t, all["c"], "/k/7"); found != fmt.Sprintf(`"%d"`, 2*compactAfter-3) {
		t.Errorf("a member that joined reads %s", found)
	}
}

func TestTwoOfThreeGoOnAndOneAloneDoesNot(t *testing.T) {
	w, all := three(t)
	w.mu.Lock()
	w.cut["a"] = true
	w.mu.Unlock()
	put(t, all["b"], "/x", "1")
	if found := get(t, all["c"], "/x"); found != `"1"` {
		t.Errorf("the other survivor reads %s", found)
	}
	w.mu.Lock()
	w.cut["b"] = true
	w.mu.Unlock()
	time.Sleep(2 * electionMinimum)
	if _, err := all["c"].Propose(Operation{Kind: "noop"}, time.Second); err == nil {
		t.Error("one of three could write")
	}
	if all["c"].Barrier(time.Second) == nil {
		t.Error("one of three could read")
	}
	w.mu.Lock()
	w.cut = map[string]bool{}
	w.mu.Unlock()
	put(t, all["a"], "/x", "2")
	if found := get(t, all["c"], "/x"); found != `"2"` {
		t.Errorf("after it came back it reads %s", found)
	}
}

func TestARemovedLeaderStopsAndTheOthersGoOn(t *testing.T) {
	_, all := three(t)
	left := make(chan struct{})
	all["a"].OnRemoved = func() { close(left) }
	if _, err := all["b"].Propose(Operation{Kind: "remove", Member: &Member{ID: "a"}}, 5*time.Second); err != nil {
		t.Fatal(err)
	}
	select {
	case <-left:
	case <-time.After(10 * time.Second):
		t.Fatal("the removed member does not know")
	}
	put(t, all["c"], "/y", "1")
	if members := all["b"].State.MemberList(); len(members) != 2 {
		t.Errorf("members: %v", members)
	}
}

func TestAWriteWithAnOldRevisionIsRefused(t *testing.T) {
	w := &wires{members: map[string]*Consensus{}}
	c := w.open(t, t.TempDir(), "a")
	if err := c.Found(Member{ID: "a", PeerURL: "a"}, nil); err != nil {
		t.Fatal(err)
	}
	c.Start()
	put(t, c, "/x", "1")
	none := int64(0)
	result, err := c.Propose(Operation{Kind: "put", Key: "/x", Value: json.RawMessage("2"), Previous: &none}, time.Second)
	if err != nil || result.OK {
		t.Errorf("an existing key was created again: %v %v", result, err)
	}
}

func TestAMemberFindsItsDataAgain(t *testing.T) {
	w := &wires{members: map[string]*Consensus{}}
	dir := t.TempDir()
	c := w.open(t, dir, "a")
	if err := c.Found(Member{ID: "a", PeerURL: "a"}, nil); err != nil {
		t.Fatal(err)
	}
	c.Start()
	for i := 0; i < compactAfter+10; i++ {
		put(t, c, "/x", fmt.Sprint(i))
	}
	c.Stop()
	again := w.open(t, dir, "a")
	again.Start()
	if found := get(t, again, "/x"); found != fmt.Sprintf(`"%d"`, compactAfter+9) {
		t.Errorf("it reads %s", found)
	}
}

func TestAMemberThatComesBackAloneDoesNotLead(t *testing.T) {
	w, all := three(t)
	put(t, all["a"], "/x", "1")
	all["a"].Stop()
	w.mu.Lock()
	w.cut = map[string]bool{"b": true, "c": true}
	w.mu.Unlock()
	again := w.open(t, filepath.Dir(all["a"].journal.path), "a")
	again.Start()
	if again.Barrier(2*electionMinimum) == nil {
		t.Error("one of three founded a cluster of its own")
	}
}
