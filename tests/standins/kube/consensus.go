// One member of the datastore: elections and a replicated log in the manner of Raft. A single member is the "sqlite"
// of a one-server cluster; more members are its "etcd". Only voters count for a majority; learners just receive.
package kube

import (
	"encoding/json"
	"errors"
	"math/rand"
	"sync"
	"syscall"
	"time"
)

const (
	heartbeatInterval = 200 * time.Millisecond
	electionMinimum   = 2 * time.Second
	leaseTime         = 1500 * time.Millisecond // a leader stops this long after it last heard of a majority, before another can be elected
	compactAfter      = 500
)

var (
	ErrNoLeader = errors.New("etcdserver: no leader")
	errRemoved  = errors.New("etcdserver: server stopped")
	ErrTimeout  = errors.New("etcdserver: request timed out")
)

// carrier sends a message to another member and decodes the answer into reply.
type carrier interface {
	send(to Member, path string, message, reply any, timeout time.Duration) error
}

type Consensus struct {
	mu       sync.Mutex
	id       string
	term     int64
	vote     string
	log      []logEntry // follows the snapshot
	snapshot logEntry   // index and term of the last entry that is only in the snapshot
	commit   int64
	applied  int64
	State    *State
	journal  *journal
	carrier  carrier

	leader      string
	isLeader    bool
	next        map[string]int64
	match       map[string]int64
	heard       map[string]time.Time // leader: last answer of each member
	sent        map[string]time.Time // leader: last message to each member
	lastContact time.Time            // follower: last message of a leader
	election    time.Time
	sending     map[string]bool
	waiting     map[int64]chan Outcome
	progress    chan struct{} // closed and renewed whenever applied or leader changes
	removed     bool
	OnRemoved   func()
	stopped     bool
}

// OpenConsensus loads a member's file. A file that does not exist gives an empty member without a cluster.
func OpenConsensus(path string, transport carrier) (*Consensus, error) {
	c := &Consensus{State: NewState(), journal: &journal{path: path}, carrier: transport,
		waiting: map[int64]chan Outcome{}, progress: make(chan struct{})}
	lines, err := readJournal(path)
	if err != nil {
		return c, err
	}
	for _, line := range lines {
		if err := c.replay(line); err != nil {
			return c, err
		}
	}
	return c, nil
}

func (c *Consensus) replay(line journalLine) error {
	if line.ID != "" {
		c.id = line.ID
	}
	switch {
	case line.Snapshot != nil:
		c.snapshot = logEntry{Index: line.Index, Term: line.Term}
		c.commit, c.applied, c.log = line.Index, line.Index, nil
		return c.State.Restore(line.Snapshot)
	case line.Entry != nil:
		c.log = append(c.log, *line.Entry)
	default:
		c.term, c.vote = line.Term, line.Vote
	}
	return nil
}

// Found makes the file of a new cluster with one member; content may come from an older datastore.
func (c *Consensus) Found(self Member, content *State) error {
	if content == nil {
		content = NewState()
	}
	content.Members, content.Removed = []Member{self}, map[string]bool{}
	if content.Revision == 0 {
		content.Revision = 1
	}
	c.id, c.term = self.ID, 1
	if err := c.State.Restore(content.Encode()); err != nil {
		return err
	}
	c.snapshot = logEntry{Index: content.Revision, Term: 1}
	c.commit, c.applied = content.Revision, content.Revision
	return c.rewriteJournal()
}

// Join makes the file of an empty member that waits for a leader to fill it.
func (c *Consensus) Join(id string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.id = id
	return c.rewriteJournal()
}

func (c *Consensus) rewriteJournal() error {
	lines := []journalLine{{ID: c.id, Snapshot: c.State.Encode(), Index: c.snapshot.Index, Term: c.snapshot.Term}, {Term: c.term, Vote: c.vote}}
	for i := range c.log {
		lines = append(lines, journalLine{Entry: &c.log[i]})
	}
	return c.journal.rewrite(lines)
}

func (c *Consensus) Start() {
	c.mu.Lock()
	c.resetElection()
	if voters := c.voters(); len(voters) == 1 && voters[0].ID == c.id {
		c.election = time.Now()
	}
	c.mu.Unlock()
	go func() {
		for {
			time.Sleep(heartbeatInterval / 4)
			c.mu.Lock()
			if c.stopped || c.removed {
				c.mu.Unlock()
				return
			}
			c.tick()
			c.mu.Unlock()
		}
	}()
}

func (c *Consensus) resetElection() {
	c.election = time.Now().Add(electionMinimum + time.Duration(rand.Int63n(int64(electionMinimum))))
}

func (c *Consensus) tick() {
	now := time.Now()
	if c.isLeader {
		if !c.hasMajority(func(m Member) bool { return now.Sub(c.heard[m.ID]) < leaseTime }) {
			Infof("raft: %s stepped down at term %d: it does not hear of a majority", c.id, c.term)
			c.follow(c.term, "")
			return
		}
		c.broadcast(false)
		return
	}
	if now.After(c.election) && c.isVoter(c.id) {
		c.campaign()
	}
}

// members is the newest configuration in the log, committed or not: it decides who is asked and who counts.
func (c *Consensus) members() []Member {
	list := c.State.MemberList()
	for _, entry := range c.log[c.applied-c.snapshot.Index:] {
		if entry.Op.Kind != "member" && entry.Op.Kind != "remove" {
			continue
		}
		kept, changed := list[:0:0], *entry.Op.Member
		for _, m := range list {
			if m.ID != changed.ID {
				kept = append(kept, m)
			} else {
				changed = changed.over(m)
			}
		}
		if entry.Op.Kind == "member" {
			kept = append(kept, changed)
		}
		list = kept
	}
	return list
}

func (c *Consensus) voters() []Member {
	var voters []Member
	for _, m := range c.members() {
		if !m.Learner {
			voters = append(voters, m)
		}
	}
	return voters
}

func (c *Consensus) isVoter(id string) bool {
	for _, m := range c.voters() {
		if m.ID == id {
			return true
		}
	}
	return false
}

// Votes tells whether this member itself is a voter.
func (c *Consensus) Votes() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.isVoter(c.id)
}

func (c *Consensus) hasMajority(counts func(Member) bool) bool {
	voters, agreed := c.voters(), 0
	for _, m := range voters {
		if m.ID == c.id || counts(m) {
			agreed++
		}
	}
	return agreed*2 > len(voters)
}

func (c *Consensus) last() logEntry {
	if len(c.log) == 0 {
		return c.snapshot
	}
	return c.log[len(c.log)-1]
}

func (c *Consensus) termAt(index int64) (int64, bool) {
	if index == c.snapshot.Index {
		return c.snapshot.Term, true
	}
	if index < c.snapshot.Index || index > c.last().Index {
		return 0, false
	}
	return c.log[index-c.snapshot.Index-1].Term, true
}

func (c *Consensus) saveVote() { c.must(c.journal.append(journalLine{Term: c.term, Vote: c.vote})) }

// must ends the program when the member's file cannot be written, as a datastore does on a full disk.
func (c *Consensus) must(err error) {
	if err != nil {
		Fatalf("Failed to write datastore: %v", err)
	}
}

func (c *Consensus) follow(term int64, leader string) {
	if term > c.term {
		c.term, c.vote = term, ""
		c.saveVote()
	}
	if c.isLeader || leader != "" { // a candidate that lost does not put off the others' turn
		c.resetElection()
	}
	c.isLeader = false
	if leader != c.leader {
		c.leader = leader
		c.signal()
	}
	for index, waiter := range c.waiting {
		waiter <- Outcome{Error: ErrTimeout.Error()} // it may still be applied: the caller must not try again
		delete(c.waiting, index)
	}
}

func (c *Consensus) signal() {
	close(c.progress)
	c.progress = make(chan struct{})
}

type voteRequest struct {
	Term, LastIndex, LastTerm int64
	From                      string
	Transfer                  bool
}

type voteReply struct {
	Term    int64
	Granted bool
	Removed bool
}

func (c *Consensus) campaign() { c.campaignAs(false) }

func (c *Consensus) campaignAs(transfer bool) {
	Infof("raft: %s is starting a new election at term %d", c.id, c.term)
	c.follow(c.term+1, "")
	c.resetElection()
	c.vote = c.id
	c.saveVote()
	term, last := c.term, c.last()
	granted := map[string]bool{}
	if c.hasMajority(func(Member) bool { return false }) {
		c.lead()
		return
	}
	for _, m := range c.voters() {
		if m.ID == c.id {
			continue
		}
		go func(m Member) {
			var reply voteReply
			request := voteRequest{term, last.Index, last.Term, c.id, transfer}
			if c.carrier.send(m, "/raft/vote", request, &reply, time.Second) != nil {
				return
			}
			c.mu.Lock()
			defer c.mu.Unlock()
			if reply.Removed {
				c.leave()
			} else if reply.Term > c.term {
				c.follow(reply.Term, "")
			} else if reply.Granted && c.term == term && !c.isLeader && c.vote == c.id {
				granted[m.ID] = true
				if c.hasMajority(func(v Member) bool { return granted[v.ID] }) {
					c.lead()
				}
			}
		}(m)
	}
}

func (c *Consensus) onVote(request voteRequest) voteReply {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.State.wasRemoved(request.From) {
		return voteReply{Removed: true}
	}
	if !request.Transfer && (c.isLeader || c.leader != "" && time.Since(c.lastContact) < leaseTime) {
		return voteReply{Term: c.term} // a live leader is not disturbed
	}
	if request.Term > c.term {
		c.follow(request.Term, "")
	}
	last := c.last()
	current := request.LastTerm > last.Term || request.LastTerm == last.Term && request.LastIndex >= last.Index
	if request.Term < c.term || !current || c.vote != "" && c.vote != request.From {
		return voteReply{Term: c.term}
	}
	c.vote = request.From
	c.saveVote()
	c.resetElection()
	return voteReply{Term: c.term, Granted: true}
}

func (c *Consensus) lead() {
	Infof("raft: %s became leader at term %d", c.id, c.term)
	c.isLeader, c.leader = true, c.id
	c.next, c.match, c.heard = map[string]int64{}, map[string]int64{}, map[string]time.Time{}
	c.sent, c.sending = map[string]time.Time{}, map[string]bool{}
	for _, m := range c.members() {
		c.next[m.ID], c.heard[m.ID] = c.last().Index+1, time.Now()
	}
	c.appendEntry(Operation{Kind: "noop"})
	c.signal()
}

func (c *Consensus) appendEntry(op Operation) int64 {
	entry := logEntry{Term: c.term, Index: c.last().Index + 1, Op: op}
	c.log = append(c.log, entry)
	c.must(c.journal.append(journalLine{Entry: &entry}))
	c.advance()
	c.broadcast(true)
	return entry.Index
}

type appendRequest struct {
	Term, PrevIndex, PrevTerm, Commit int64
	From                              string
	Entries                           []logEntry
	Snapshot                          json.RawMessage `json:",omitempty"`
}

type appendReply struct {
	Term, Match int64
	OK          bool
	Removed     bool
}

func (c *Consensus) broadcast(force bool) {
	for _, m := range c.members() {
		if m.ID != c.id && !c.sending[m.ID] && (force || time.Since(c.sent[m.ID]) >= heartbeatInterval) {
			c.sendAppend(m)
		}
	}
}

func (c *Consensus) messageFor(m Member) appendRequest {
	next := c.next[m.ID]
	if next == 0 {
		next = c.last().Index + 1
	}
	request := appendRequest{Term: c.term, Commit: c.commit, From: c.id, PrevIndex: next - 1}
	prevTerm, known := c.termAt(next - 1)
	if known {
		request.PrevTerm = prevTerm
		request.Entries = append([]logEntry{}, c.log[next-c.snapshot.Index-1:]...)
	} else {
		request.Snapshot = c.State.Encode()
		request.PrevIndex = c.applied
		request.PrevTerm, _ = c.termAt(c.applied)
	}
	return request
}

func (c *Consensus) sendAppend(m Member) {
	request := c.messageFor(m)
	c.sending[m.ID], c.sent[m.ID] = true, time.Now()
	term := c.term
	go func() {
		var reply appendReply
		err := c.carrier.send(m, "/raft/append", request, &reply, 2*time.Second)
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.sending, m.ID)
		if err != nil || !c.isLeader || c.term != term {
			return
		}
		c.onReply(m, reply)
	}()
}

func (c *Consensus) onReply(m Member, reply appendReply) {
	switch {
	case reply.Removed:
		c.leave()
	case reply.Term > c.term:
		c.follow(reply.Term, "")
	case reply.OK:
		c.heard[m.ID] = time.Now()
		c.match[m.ID], c.next[m.ID] = reply.Match, reply.Match+1
		before := c.commit
		c.advance()
		if c.isLeader && (c.match[m.ID] < c.last().Index || before != c.commit) {
			c.broadcast(true)
		}
	default:
		c.heard[m.ID] = time.Now()
		c.next[m.ID] = min64(reply.Match+1, c.next[m.ID]-1)
		if c.next[m.ID] < 1 {
			c.next[m.ID] = 1
		}
		c.sendAppend(m)
	}
}

func min64(a, b int64) int64 {
	if a < b {
		return a
	}
	return b
}

// advance moves the commit index to what a majority holds.
func (c *Consensus) advance() {
	for index := c.last().Index; index > c.commit; index-- {
		if term, _ := c.termAt(index); term != c.term {
			break
		}
		if c.hasMajority(func(m Member) bool { return c.match[m.ID] >= index }) {
			c.commit = index
			break
		}
	}
	c.applyCommitted()
}

func (c *Consensus) applyCommitted() {
	moved := false
	for c.applied < c.commit && !c.removed {
		entry := c.log[c.applied-c.snapshot.Index]
		result := c.State.apply(entry.Index, entry.Op)
		c.applied++
		moved = true
		if waiter := c.waiting[entry.Index]; waiter != nil {
			waiter <- result
			delete(c.waiting, entry.Index)
		}
		if entry.Op.Kind == "remove" && entry.Op.Member.ID == c.id && result.OK {
			if c.isLeader {
				c.broadcastRemoval()
			}
			c.leave()
		}
	}
	if moved {
		c.signal()
	}
	if c.applied-c.snapshot.Index > compactAfter {
		c.compact()
	}
}

// broadcastRemoval lets the others learn of the last commit of a leader that goes.
func (c *Consensus) broadcastRemoval() {
	for _, m := range c.members() {
		request := c.messageFor(m)
		go func(m Member) {
			var reply appendReply
			c.carrier.send(m, "/raft/append", request, &reply, time.Second)
		}(m)
	}
}

func (c *Consensus) compact() {
	term, _ := c.termAt(c.applied)
	c.log = append([]logEntry{}, c.log[c.applied-c.snapshot.Index:]...)
	c.snapshot = logEntry{Index: c.applied, Term: term}
	c.must(c.rewriteJournal())
}

func (c *Consensus) onAppend(request appendRequest) appendReply {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.State.wasRemoved(request.From) {
		return appendReply{Removed: true}
	}
	if request.Term < c.term || c.id == "" { // without an ID the member has not joined yet
		return appendReply{Term: c.term}
	}
	c.follow(request.Term, request.From)
	c.lastContact = time.Now()
	if request.Snapshot != nil {
		c.install(request)
		return appendReply{Term: c.term, Match: request.PrevIndex, OK: true}
	}
	if term, known := c.termAt(request.PrevIndex); !known || term != request.PrevTerm {
		return appendReply{Term: c.term, Match: min64(c.last().Index, request.PrevIndex-1)}
	}
	c.take(request.Entries)
	match := request.PrevIndex + int64(len(request.Entries))
	if commit := min64(request.Commit, match); commit > c.commit {
		c.commit = commit
		c.applyCommitted()
	}
	return appendReply{Term: c.term, Match: match, OK: true}
}

func (c *Consensus) install(request appendRequest) {
	if request.PrevIndex <= c.applied {
		return
	}
	c.must(c.State.Restore(request.Snapshot))
	c.snapshot = logEntry{Index: request.PrevIndex, Term: request.PrevTerm}
	c.log, c.commit, c.applied = nil, request.PrevIndex, request.PrevIndex
	c.must(c.rewriteJournal())
	c.signal()
}

func (c *Consensus) take(entries []logEntry) {
	for _, entry := range entries {
		if term, known := c.termAt(entry.Index); known && term == entry.Term || entry.Index <= c.snapshot.Index {
			continue
		} else if known {
			c.log = c.log[:entry.Index-c.snapshot.Index-1]
			c.must(c.rewriteJournal())
		}
		kept := entry
		c.log = append(c.log, kept)
		c.must(c.journal.append(journalLine{Entry: &kept}))
	}
}

// leave stops a member that was removed from the cluster.
func (c *Consensus) leave() {
	if c.removed {
		return
	}
	c.removed, c.isLeader, c.leader = true, false, ""
	for index, waiter := range c.waiting {
		waiter <- Outcome{Error: errRemoved.Error()}
		delete(c.waiting, index)
	}
	c.signal()
	if c.OnRemoved != nil {
		go c.OnRemoved()
	}
}

// Stop hands leadership over, as a clean shutdown does.
func (c *Consensus) Stop() {
	c.mu.Lock()
	var heir *Member
	if c.isLeader {
		for _, m := range c.voters() {
			if m.ID != c.id && (heir == nil || c.match[m.ID] > c.match[heir.ID]) {
				chosen := m
				heir = &chosen
			}
		}
	}
	c.stopped, c.isLeader, c.leader = true, false, ""
	c.signal()
	c.mu.Unlock()
	if heir != nil {
		var reply struct{}
		c.carrier.send(*heir, "/raft/lead", struct{}{}, &reply, time.Second)
	}
}

func (c *Consensus) onLead() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.isLeader && !c.stopped && !c.removed && c.isVoter(c.id) {
		c.campaignAs(true)
	}
}

// Propose brings a change through the leader to a majority, and waits until it is applied here.
func (c *Consensus) Propose(op Operation, timeout time.Duration) (Outcome, error) {
	if op.Member != nil { // the log keeps the operation: nobody else may change it
		own := *op.Member
		op.Member = &own
	}
	deadline := time.Now().Add(timeout)
	for {
		result, err := c.proposeOnce(op, time.Until(deadline))
		if err == nil && result.Error == "" || err == errRemoved {
			return result, err
		}
		if err == nil && result.Error != ErrNoLeader.Error() {
			return result, errors.New(result.Error)
		}
		if time.Now().Add(100 * time.Millisecond).After(deadline) {
			return Outcome{}, ErrNoLeader
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func (c *Consensus) proposeOnce(op Operation, timeout time.Duration) (Outcome, error) {
	c.mu.Lock()
	if c.removed || c.stopped {
		c.mu.Unlock()
		return Outcome{}, errRemoved
	}
	if c.isLeader {
		waiter := make(chan Outcome, 1)
		index := c.last().Index + 1
		c.waiting[index] = waiter
		c.appendEntry(op)
		c.mu.Unlock()
		select {
		case result := <-waiter:
			return result, nil
		case <-time.After(timeout):
			return Outcome{}, ErrTimeout
		}
	}
	leader, known := c.leaderMember()
	c.mu.Unlock()
	if !known {
		return Outcome{}, ErrNoLeader
	}
	var result Outcome
	if err := c.carrier.send(leader, "/raft/propose", op, &result, timeout); errors.Is(err, syscall.ECONNREFUSED) {
		return Outcome{}, ErrNoLeader
	} else if err != nil {
		return Outcome{Error: ErrTimeout.Error()}, nil
	}
	if result.OK && !c.waitApplied(result.Revision, timeout) {
		return Outcome{}, ErrTimeout
	}
	return result, nil
}

func (c *Consensus) leaderMember() (Member, bool) {
	for _, m := range c.members() {
		if m.ID == c.leader {
			return m, true
		}
	}
	return Member{}, false
}

// onPropose serves a follower's proposal on the leader.
func (c *Consensus) onPropose(op Operation) Outcome {
	c.mu.Lock()
	leading := c.isLeader
	c.mu.Unlock()
	if !leading {
		return Outcome{Error: ErrNoLeader.Error()}
	}
	result, err := c.proposeOnce(op, 5*time.Second)
	if err == ErrTimeout {
		return Outcome{Error: ErrTimeout.Error()}
	} else if err != nil {
		return Outcome{Error: ErrNoLeader.Error()}
	}
	return result
}

func (c *Consensus) waitApplied(index int64, timeout time.Duration) bool {
	deadline := time.After(timeout)
	for {
		c.mu.Lock()
		done, progress := c.applied >= index, c.progress
		c.mu.Unlock()
		if done {
			return true
		}
		select {
		case <-progress:
		case <-deadline:
			return false
		}
	}
}

// Barrier returns once reads here show everything that was written before the call.
func (c *Consensus) Barrier(timeout time.Duration) error {
	deadline := time.Now().Add(timeout)
	for {
		c.mu.Lock()
		if c.removed || c.stopped {
			c.mu.Unlock()
			return errRemoved
		}
		if c.isLeader && c.applied >= c.commit && c.termIsCommitted() {
			c.mu.Unlock()
			return nil
		}
		leader, known := c.leaderMember()
		progress := c.progress
		c.mu.Unlock()
		var position struct{ Index int64 }
		if known && leader.ID != c.id && c.carrier.send(leader, "/raft/position", struct{}{}, &position, time.Second) == nil && position.Index > 0 {
			if c.waitApplied(position.Index, time.Until(deadline)) {
				return nil
			}
		}
		left := time.Until(deadline)
		if left <= 0 {
			return ErrNoLeader
		}
		select {
		case <-progress:
		case <-time.After(shorter(left, 100*time.Millisecond)):
		}
	}
}

func (c *Consensus) termIsCommitted() bool {
	term, _ := c.termAt(c.commit)
	return term == c.term
}

// onPosition tells a follower the commit index; 0 when this member does not lead.
func (c *Consensus) onPosition() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.isLeader || !c.termIsCommitted() {
		return 0
	}
	return c.commit
}

func (c *Consensus) Leading() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.isLeader && c.termIsCommitted()
}

func (c *Consensus) IsRemoved() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.removed
}

// caughtUp tells a leader whether a member holds all that is committed.
func (c *Consensus) caughtUp(id string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.isLeader && c.match[id] >= c.commit-1 && c.match[id] > 0
}

func shorter(a, b time.Duration) time.Duration {
	if a < b {
		return a
	}
	return b
}

// ReadDatastore opens a member's file and applies all of its log, without starting it.
func ReadDatastore(path string) (*State, error) {
	c, err := OpenConsensus(path, nil)
	if err != nil {
		return nil, err
	}
	for _, entry := range c.log {
		c.State.apply(entry.Index, entry.Op)
	}
	return c.State, nil
}
