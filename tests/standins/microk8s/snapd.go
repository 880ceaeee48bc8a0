// snapd: its socket, its state, and changes that go on when the one who asked is gone.
package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"standin/kube"
)

const (
	snapdSocket = "/run/snapd.socket"
	stateFile   = "/var/lib/snapd/state.json"
)

// installedSnap is what snapd remembers of a snap.
type installedSnap struct {
	Name        string    `json:"name"`
	Version     string    `json:"version"`
	Revision    string    `json:"revision"`
	Previous    []string  `json:"previous,omitempty"` // revisions before, newest last
	Tracking    string    `json:"tracking,omitempty"` // empty: of a file
	Confinement string    `json:"confinement"`
	Classic     bool      `json:"classic,omitempty"`
	Asserted    bool      `json:"asserted,omitempty"`
	Disabled    bool      `json:"disabled,omitempty"`
	Hold        string    `json:"hold,omitempty"` // forever, or a time
	Installed   time.Time `json:"installed"`
}

// change is one thing that snapd does, and how far it is.
type change struct {
	ID      string    `json:"id"`
	Kind    string    `json:"kind"`
	Summary string    `json:"summary"`
	Status  string    `json:"status"` // Doing, Done, Error, Undone
	Snap    string    `json:"snap"`
	Error   string    `json:"error,omitempty"`
	Message string    `json:"message,omitempty"` // what the command prints
	Spawn   time.Time `json:"spawn"`
	Ready   time.Time `json:"ready,omitempty"`
	Request request   `json:"request"`
}

// request is what the command asks of the daemon.
type request struct {
	Action    string   `json:"action"`
	Snap      string   `json:"snap"`
	Path      string   `json:"path,omitempty"`
	Channel   string   `json:"channel,omitempty"`
	Revision  string   `json:"revision,omitempty"`
	Classic   bool     `json:"classic,omitempty"`
	Dangerous bool     `json:"dangerous,omitempty"`
	Purge     bool     `json:"purge,omitempty"`
	Hold      string   `json:"hold,omitempty"`
	Names     []string `json:"names,omitempty"`
	Enable    bool     `json:"enable,omitempty"`
}

type snapd struct {
	mu    sync.Mutex
	state struct {
		Snaps      map[string]*installedSnap `json:"snaps"`
		Changes    []*change                 `json:"changes"`
		Assertions []assertion               `json:"assertions"`
		Last       int                       `json:"last-change-id"`
	}
}

func snapdMain() int {
	daemon := &snapd{}
	daemon.load()
	listener, err := snapdListener()
	if err != nil {
		fmt.Fprintln(os.Stderr, "cannot run daemon:", err)
		return 1
	}
	daemon.resume()
	if err := http.Serve(listener, daemon.mux()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// snapdListener takes the socket of systemd, or makes one.
func snapdListener() (net.Listener, error) {
	if os.Getenv("LISTEN_FDS") != "" && os.Getenv("LISTEN_PID") == strconv.Itoa(os.Getpid()) {
		return net.FileListener(os.NewFile(3, "snapd.socket"))
	}
	os.Remove(snapdSocket)
	listener, err := net.Listen("unix", snapdSocket)
	if err == nil {
		err = os.Chmod(snapdSocket, 0o666)
	}
	return listener, err
}

func (d *snapd) load() {
	content, _ := os.ReadFile(stateFile)
	json.Unmarshal(content, &d.state)
	if d.state.Snaps == nil {
		d.state.Snaps = map[string]*installedSnap{}
	}
}

// save is called with the lock held.
func (d *snapd) save() {
	os.MkdirAll(filepath.Dir(stateFile), 0o755)
	if os.WriteFile(stateFile+"~", []byte(kube.IndentJSON(d.state)), 0o600) == nil {
		os.Rename(stateFile+"~", stateFile)
	}
}

// resume goes on with what a stop of snapd cut off.
func (d *snapd) resume() {
	for _, c := range d.state.Changes {
		if c.Status == "Doing" && c.Request.Action != "nothing" {
			go d.run(c)
		}
	}
}

// answer has the shape of snapd's own.
func answer(w http.ResponseWriter, code int, kind string, result any, changeID string) {
	body := kube.Object{"type": kind, "status-code": code, "status": http.StatusText(code), "result": result}
	if changeID != "" {
		body["change"] = changeID
	}
	kube.WriteJSON(w, code, body)
}

func refuse(w http.ResponseWriter, code int, kind, message string, value any) {
	answer(w, code, "error", kube.Object{"message": message, "kind": kind, "value": value}, "")
}

func (d *snapd) mux() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		folder, name := r.URL.Path, ""
		if words := strings.Split(r.URL.Path, "/"); len(words) == 4 {
			folder, name = strings.Join(words[:3], "/"), words[3]
		}
		switch r.Method + " " + folder {
		case "GET /v2/system-info":
			answer(w, 200, "sync", kube.Object{"series": "16", "version": snapdVersion, "on-classic": true, "confinement": "partial"}, "")
		case "GET /v2/snaps":
			d.tellSnaps(w, name)
		case "POST /v2/snaps":
			d.takeRequest(w, r, name)
		case "GET /v2/changes":
			d.tellChanges(w, name)
		case "POST /v2/changes":
			d.abort(w, name)
		case "POST /v2/assertions":
			d.takeAssertions(w, r)
		default:
			refuse(w, 404, "", "not found", nil)
		}
	})
}

func (d *snapd) tellSnaps(w http.ResponseWriter, name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	list := []any{}
	for _, each := range kube.SortedKeys(d.state.Snaps) {
		list = append(list, d.state.Snaps[each].describe())
	}
	switch found := d.state.Snaps[name]; {
	case name == "":
		answer(w, 200, "sync", list, "")
	case found == nil:
		refuse(w, 404, "snap-not-found", "snap not installed", name)
	default:
		answer(w, 200, "sync", found.describe(), "")
	}
}

func (d *snapd) tellChanges(w http.ResponseWriter, id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	list := []any{}
	for _, c := range d.state.Changes {
		if c.ID == id {
			answer(w, 200, "sync", c.describe(), "")
			return
		}
		list = append(list, c.describe())
	}
	if id != "" {
		refuse(w, 404, "", fmt.Sprintf("cannot find change with id %q", id), nil)
		return
	}
	answer(w, 200, "sync", list, "")
}

func (s *installedSnap) describe() kube.Object {
	o := kube.Object{"name": s.Name, "version": s.Version, "revision": s.Revision, "confinement": s.Confinement, "status": "active", "type": "app",
		"tracking-channel": s.Tracking, "channel": s.Tracking, "classic": s.Classic, "asserted": s.Asserted, "hold": s.Hold, "install-date": s.Installed.Format(time.RFC3339)}
	if s.Name != "microk8s" {
		o["type"] = "base"
	}
	if s.Disabled {
		o["status"] = "installed"
	}
	if s.Hold != "" {
		o["hold"] = s.holdTime()
	}
	if s.Asserted {
		o["publisher"] = kube.Object{"id": "canonical", "username": "canonical", "display-name": "Canonical", "validation": "verified"}
	}
	return o
}

// holdTime is far away for holds without an end, as snapd says it.
func (s *installedSnap) holdTime() string {
	if s.Hold == "forever" {
		return time.Now().AddDate(290, 0, 0).Format(time.RFC3339)
	}
	return s.Hold
}

func (c *change) describe() kube.Object {
	o := kube.Object{"id": c.ID, "kind": c.Kind, "summary": c.Summary, "status": c.Status, "ready": c.Status != "Doing", "spawn-time": c.Spawn.Format(time.RFC3339),
		"err": c.Error, "message": c.Message, "snap": c.Snap}
	if c.Status != "Doing" {
		o["ready-time"] = c.Ready.Format(time.RFC3339)
	}
	return o
}

// takeRequest begins a change, unless another one of the same snap is on its way.
func (d *snapd) takeRequest(w http.ResponseWriter, r *http.Request, name string) {
	var wanted request
	if err := json.NewDecoder(r.Body).Decode(&wanted); err != nil {
		refuse(w, 400, "", err.Error(), nil)
		return
	}
	wanted.Snap = name
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.state.Changes {
		if c.Status == "Doing" && c.Snap == wanted.Snap {
			refuse(w, 409, "snap-change-conflict", fmt.Sprintf("snap %q has %q change in progress", c.Snap, c.Kind), nil)
			return
		}
	}
	if kind, err := d.check(&wanted); err != nil {
		refuse(w, 400, kind, err.Error(), wanted.Snap)
		return
	}
	d.state.Last++
	c := &change{ID: strconv.Itoa(d.state.Last), Kind: wanted.Action + "-snap", Status: "Doing", Snap: wanted.Snap, Spawn: time.Now(), Request: wanted,
		Summary: summaryOf(wanted)}
	if wanted.Action == "nothing" {
		c.Kind = orElse(wanted.Channel, "refresh-snap") // a change that tests want to be stuck
		c.Summary = fmt.Sprintf("%s %q snap", strings.TrimSuffix(strings.ToUpper(c.Kind[:1])+c.Kind[1:], "-snap"), c.Snap)
	}
	d.state.Changes = append(d.state.Changes, c)
	d.save()
	if wanted.Action != "nothing" {
		go d.run(c)
	}
	answer(w, 202, "async", nil, c.ID)
}

func summaryOf(wanted request) string {
	verb := strings.ToUpper(wanted.Action[:1]) + wanted.Action[1:]
	text := fmt.Sprintf("%s %q snap", verb, wanted.Snap)
	switch {
	case wanted.Path != "":
		text += fmt.Sprintf(" from file %q", filepath.Base(wanted.Path))
	case wanted.Channel != "" && wanted.Action != "nothing":
		text += fmt.Sprintf(" from %q channel", wanted.Channel)
	}
	return text
}

func (d *snapd) run(c *change) {
	message, err := d.perform(c.Request)
	d.mu.Lock()
	defer d.mu.Unlock()
	c.Status, c.Message, c.Ready = "Done", message, time.Now()
	if err != nil {
		c.Status, c.Error = "Error", err.Error()
	}
	d.save()
}

func (d *snapd) abort(w http.ResponseWriter, id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.state.Changes {
		if c.ID == id && c.Status == "Doing" {
			c.Status, c.Ready = "Undone", time.Now()
			d.save()
			answer(w, 200, "sync", c.describe(), "")
			return
		}
	}
	refuse(w, 400, "", fmt.Sprintf("cannot abort change %s with nothing pending", id), nil)
}

func (d *snapd) takeAssertions(w http.ResponseWriter, r *http.Request) {
	var content string
	if json.NewDecoder(r.Body).Decode(&content) != nil {
		content = ""
	}
	found, err := parseAssertions(content)
	if err != nil {
		refuse(w, 400, "", "cannot decode request body into assertions: "+err.Error(), nil)
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.state.Assertions = append(d.state.Assertions, found...)
	d.save()
	answer(w, 200, "sync", nil, "")
}
