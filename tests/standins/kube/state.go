// The replicated state: keys with JSON values and revisions, the list of members, and who watches.
package kube

import (
	"encoding/json"
	"sort"
	"strings"
	"sync"
)

type Member struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	PeerURL   string `json:"peerURL"`
	ClientURL string `json:"clientURL"`
	Learner   bool   `json:"isLearner,omitempty"`
	// Role names what a member without a vote is for, where a datastore has several such and may take a vote away again.
	Role string `json:"role,omitempty"`
}

// over is a member's entry as it stands after a change: a member that publishes its name after a restart may know less.
func (m Member) over(old Member) Member {
	m.Learner = m.Learner && (old.Learner || m.Role != "")
	return m
}

// Operation is one change. Previous nil: always; 0: the key must not exist; else the key must have that revision.
type Operation struct {
	Kind     string          `json:"kind"` // put, delete, member, remove, noop
	Key      string          `json:"key,omitempty"`
	Value    json.RawMessage `json:"value,omitempty"`
	Previous *int64          `json:"previous,omitempty"`
	Member   *Member         `json:"member,omitempty"`
}

type Outcome struct {
	OK       bool   `json:"ok"`
	Revision int64  `json:"revision"`
	Error    string `json:"error,omitempty"`
}

type record struct {
	Value    json.RawMessage `json:"value"`
	Created  int64           `json:"created"`
	Revision int64           `json:"revision"`
}

type change struct {
	Kind string // ADDED, MODIFIED, DELETED
	Key  string
	record
}

type State struct {
	mu       sync.RWMutex
	Revision int64             `json:"revision"`
	Keys     map[string]record `json:"keys"`
	Members  []Member          `json:"members"`
	Removed  map[string]bool   `json:"removed,omitempty"`
	watchers map[chan change]string
}

func NewState() *State {
	return &State{Keys: map[string]record{}, Removed: map[string]bool{}, watchers: map[chan change]string{}}
}

func (s *State) apply(index int64, op Operation) Outcome {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Revision = index
	switch op.Kind {
	case "put":
		return s.put(index, op)
	case "delete":
		return s.remove(index, op)
	case "member":
		return s.setMember(*op.Member)
	case "remove":
		return s.dropMember(op.Member.ID)
	}
	return Outcome{OK: true, Revision: index}
}

func (s *State) put(index int64, op Operation) Outcome {
	old, exists := s.Keys[op.Key]
	if op.Previous != nil && *op.Previous != old.Revision {
		return Outcome{Revision: old.Revision}
	}
	next := record{Value: op.Value, Created: index, Revision: index}
	kind := "ADDED"
	if exists {
		next.Created, kind = old.Created, "MODIFIED"
	}
	s.Keys[op.Key] = next
	s.tell(change{kind, op.Key, next})
	return Outcome{OK: true, Revision: index}
}

func (s *State) remove(index int64, op Operation) Outcome {
	old, exists := s.Keys[op.Key]
	if !exists || op.Previous != nil && *op.Previous != old.Revision {
		return Outcome{Revision: old.Revision}
	}
	delete(s.Keys, op.Key)
	old.Revision = index
	s.tell(change{"DELETED", op.Key, old})
	return Outcome{OK: true, Revision: index}
}

func (s *State) setMember(m Member) Outcome {
	for i := range s.Members {
		if s.Members[i].ID == m.ID {
			s.Members[i] = m.over(s.Members[i])
			return Outcome{OK: true}
		}
		if m.Learner && m.Role == "" && s.Members[i].Learner {
			return Outcome{Error: "etcdserver: too many learner members in cluster"}
		}
		if s.Members[i].PeerURL == m.PeerURL {
			return Outcome{Error: "etcdserver: Peer URLs already exists"}
		}
	}
	s.Members = append(s.Members, m)
	sort.Slice(s.Members, func(i, j int) bool { return s.Members[i].ID < s.Members[j].ID })
	return Outcome{OK: true}
}

func (s *State) dropMember(id string) Outcome {
	for i := range s.Members {
		if s.Members[i].ID == id {
			s.Members = append(s.Members[:i:i], s.Members[i+1:]...)
			s.Removed[id] = true
			return Outcome{OK: true}
		}
	}
	return Outcome{Error: "etcdserver: member not found"}
}

// tell drops a watcher that does not read: its stream ends, and a client lists again.
func (s *State) tell(event change) {
	for watcher, prefix := range s.watchers {
		if !strings.HasPrefix(event.Key, prefix) {
			continue
		}
		select {
		case watcher <- event:
		default:
			delete(s.watchers, watcher)
			close(watcher)
		}
	}
}

func (s *State) watch(prefix string) chan change {
	s.mu.Lock()
	defer s.mu.Unlock()
	watcher := make(chan change, 1000)
	s.watchers[watcher] = prefix
	return watcher
}

func (s *State) unwatch(watcher chan change) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.watchers, watcher)
}

func (s *State) Get(key string) (record, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	found, ok := s.Keys[key]
	return found, ok
}

type keyed struct {
	Key string
	record
}

// List gives the records below a prefix in key order, and the state's revision.
func (s *State) List(prefix string) ([]keyed, int64) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var found []keyed
	for key, item := range s.Keys {
		if strings.HasPrefix(key, prefix) {
			found = append(found, keyed{key, item})
		}
	}
	sort.Slice(found, func(i, j int) bool { return found[i].Key < found[j].Key })
	return found, s.Revision
}

func (s *State) MemberList() []Member {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return append([]Member{}, s.Members...)
}

func (s *State) wasRemoved(id string) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.Removed[id]
}

func (s *State) Encode() json.RawMessage {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return out
}

// Restore replaces the content; watchers are ended since they missed what happened between.
func (s *State) Restore(encoded json.RawMessage) error {
	fresh := NewState()
	if err := json.Unmarshal(encoded, fresh); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Revision, s.Keys, s.Members, s.Removed = fresh.Revision, fresh.Keys, fresh.Members, fresh.Removed
	if s.Keys == nil {
		s.Keys = map[string]record{}
	}
	if s.Removed == nil {
		s.Removed = map[string]bool{}
	}
	for watcher := range s.watchers {
		delete(s.watchers, watcher)
		close(watcher)
	}
	return nil
}
