// The datastore daemon: one member of a replicated log with dqlite's roles and files; it also holds the Kubernetes API
// behind a socket, which kubelite serves to the outside.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"standin/kube"
)

const (
	userHeader  = "X-Standin-User"
	groupHeader = "X-Standin-Group"
)

func kinePath() string { return backend("kine.sock:12379") }

// member is one line of what the tool `dqlite` shows.
type member struct {
	ID      uint64
	Address string
	Role    int // 0 voter, 1 standby, 2 spare
}

func roleOf(m kube.Member) int {
	switch {
	case !m.Learner:
		return 0
	case m.Role == "standby":
		return 1
	}
	return 2
}

func describeMember(m kube.Member) member {
	number, _ := strconv.ParseUint(m.ID, 16, 64)
	return member{number, strings.TrimPrefix(m.PeerURL, "https://"), roleOf(m)}
}

type dqliteNode struct {
	kube.Membership
	id    string
	api   *kube.APIServer
	plane *kube.Controllers
}

func runK8sDqlite() int {
	if locked("no-k8s-dqlite") || !locked("ha-cluster") || locked("low-memory-guard.lock") {
		fmt.Println("k8s-dqlite will not run")
		return 0
	}
	node := &dqliteNode{}
	if err := node.run(); err != nil {
		kube.Errorf("Failed to start server: %v", err)
		return 1
	}
	return 0
}

// runEtcd is the datastore of a lone node without high availability: the same log, under another port.
func runEtcd() int {
	if locked("no-etcd") {
		fmt.Println("etcd will not run")
		return 0
	}
	if !kube.Exists(backend("info.yaml")) {
		writeOwned(backend("init.yaml"), "Address: 127.0.0.1:12379\n")
	}
	node := &dqliteNode{}
	if err := node.run(); err != nil {
		kube.Errorf("Failed to start server: %v", err)
		return 1
	}
	return 0
}

// yamlField reads one field of the small files of dqlite.
func yamlField(path, name string) string {
	content, _ := os.ReadFile(path)
	found := regexp.MustCompile(`(?m)^` + name + `:\s*(\S+)\s*$`).FindStringSubmatch(string(content))
	if found == nil {
		return ""
	}
	return strings.Trim(found[1], `"'`)
}

func yamlList(path string) []string {
	content, _ := os.ReadFile(path)
	var items []string
	for _, found := range regexp.MustCompile(`(?m)^\s*- (\S+)\s*$`).FindAllStringSubmatch(string(content), -1) {
		items = append(items, strings.Trim(found[1], `"'`))
	}
	return items
}

func (n *dqliteNode) run() error {
	os.Remove(kinePath())
	config, err := clusterTLS()
	if err != nil {
		return err
	}
	address, known := yamlField(backend("info.yaml"), "Address"), kube.Exists(backend("info.yaml"))
	if !known {
		address = orElse(yamlField(backend("init.yaml"), "Address"), "127.0.0.1:19001")
	}
	if moved := yamlField(backend("update.yaml"), "Address"); moved != "" {
		address = moved
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	n.Address, n.Port = host, port
	db, err := kube.OpenConsensus(backend("standin.wal"), kube.NewPeers(config))
	if err != nil && (known || !os.IsNotExist(err)) {
		return err
	}
	n.DB = &kube.Database{Consensus: db}
	mux := n.PeerMux()
	kube.Answer(mux, "/dqlite/add", n.addMember)
	kube.Answer(mux, "/dqlite/remove", n.removeMember)
	kube.Answer(mux, "/dqlite/cluster", func(struct{}) (any, error) { return n.cluster() })
	if err := kube.ServeTLS(address, config, mux); err != nil {
		return err
	}
	if err := n.enter(known); err != nil {
		return err
	}
	os.Remove(backend("update.yaml"))
	os.Remove(backend("init.yaml"))
	db.OnRemoved = func() { kube.Errorf("this node was removed from the cluster") }
	db.Start()
	go n.writeFiles()
	go n.publish()
	go n.manageRoles()
	return n.serveKine()
}

// enter founds a cluster, joins one, or goes on with what is on disk.
func (n *dqliteNode) enter(known bool) error {
	if known {
		number, _ := strconv.ParseUint(yamlField(backend("info.yaml"), "ID"), 10, 64)
		n.id = fmt.Sprintf("%016x", number)
		return nil
	}
	voters := yamlList(backend("init.yaml"))
	if len(voters) == 0 {
		n.id = kube.RandomHex(8)
		if err := n.DB.Found(kube.Member{ID: n.id, Name: hostName(), PeerURL: n.PeerURL(), ClientURL: n.PeerURL()}, nil); err != nil {
			return err
		}
		return n.writeInfo(0)
	}
	if joinStalls() {
		kube.Errorf("server: failed to join: no available dqlite leader server found")
		time.Sleep(5 * time.Second)
		return errors.New("timed out waiting for the cluster")
	}
	var failure error
	for attempt := 0; attempt < 20; attempt++ {
		for _, voter := range voters {
			var answer struct{ ID string }
			if failure = askDqlite(voter, "/dqlite/add", kube.Member{Name: hostName(), PeerURL: n.PeerURL(), ClientURL: n.PeerURL()}, &answer, 5*time.Second); failure == nil {
				n.id = answer.ID
				if err := n.DB.Join(n.id); err != nil {
					return err
				}
				return n.writeInfo(2)
			}
			kube.Warnf("attempt %d: server %s: %v", attempt, voter, failure)
		}
		time.Sleep(time.Second)
	}
	return failure
}

// joinStalls is what tests switch on: a join that tells success, and a member that never comes up.
func joinStalls() bool {
	return kube.Exists("/etc/standin-join-stalls") || os.Getenv("STANDIN_JOIN_STALLS") != ""
}

func (n *dqliteNode) writeInfo(role int) error {
	number, _ := strconv.ParseUint(n.id, 16, 64)
	return writeOwned(backend("info.yaml"), fmt.Sprintf("Address: %s\nID: %d\nRole: %d\n", net.JoinHostPort(n.Address, n.Port), number, role))
}

func clusterText(members []kube.Member) string {
	var out strings.Builder
	for _, m := range members {
		shown := describeMember(m)
		fmt.Fprintf(&out, "- Address: %s\n  ID: %d\n  Role: %d\n", shown.Address, shown.ID, shown.Role)
	}
	return out.String()
}

// writeFiles keeps cluster.yaml and info.yaml as the members are.
func (n *dqliteNode) writeFiles() {
	before := ""
	for ; ; time.Sleep(500 * time.Millisecond) {
		members := n.DB.State.MemberList()
		if now := clusterText(members); now != before && now != "" && writeOwned(backend("cluster.yaml"), now) == nil {
			before = now
			for _, m := range members {
				if m.ID == n.id {
					n.writeInfo(roleOf(m))
				}
			}
		}
	}
}

// publish tells the others a new address of this member.
func (n *dqliteNode) publish() {
	for !n.DB.IsRemoved() {
		for _, m := range n.DB.State.MemberList() {
			if m.ID == n.id && m.PeerURL != n.PeerURL() {
				m.PeerURL, m.ClientURL = n.PeerURL(), n.PeerURL()
				n.DB.Propose(kube.Operation{Kind: "member", Member: &m}, kube.WriteTimeout)
			}
		}
		time.Sleep(300 * time.Millisecond)
	}
}

func (n *dqliteNode) cluster() ([]member, error) {
	if err := n.DB.Barrier(time.Second); err != nil {
		return nil, err
	}
	var list []member
	for _, m := range n.DB.State.MemberList() {
		list = append(list, describeMember(m))
	}
	return list, nil
}

func (n *dqliteNode) addMember(m kube.Member) (any, error) {
	for _, other := range n.DB.State.MemberList() {
		if other.PeerURL == m.PeerURL {
			return nil, fmt.Errorf("a node with address %s already exists", strings.TrimPrefix(m.PeerURL, "https://"))
		}
	}
	m.ID, m.Learner, m.Role = kube.RandomHex(8), true, "spare"
	_, err := n.DB.Propose(kube.Operation{Kind: "member", Member: &m}, kube.WriteTimeout)
	return kube.Object{"ID": m.ID}, err
}

func (n *dqliteNode) removeMember(gone kube.Member) (any, error) {
	if err := n.DB.Barrier(time.Second); err != nil {
		return nil, err
	}
	for _, m := range n.DB.State.MemberList() {
		if m.PeerURL == gone.PeerURL {
			leaving := m
			_, err := n.DB.Propose(kube.Operation{Kind: "remove", Member: &leaving}, kube.WriteTimeout)
			return kube.Object{}, err
		}
	}
	return nil, fmt.Errorf("no node has address %s", strings.TrimPrefix(gone.PeerURL, "https://"))
}

// manageRoles does on the leader what dqlite does: three votes, three standbys, the rest spare; nothing below three members.
func (n *dqliteNode) manageRoles() {
	for !n.DB.IsRemoved() {
		time.Sleep(kube.SecondsFromEnvironment("STANDIN_ROLES_SECONDS", 1))
		if n.DB.Leading() {
			if changed := nextRole(n.DB.State.MemberList(), func(m kube.Member) bool { return m.ID == n.id || n.DB.Answers(m.ID) }); changed != nil {
				n.DB.Propose(kube.Operation{Kind: "member", Member: changed}, kube.WriteTimeout)
			}
		}
	}
}

// nextRole is the next member to change, or nil where all is as it should be.
func nextRole(members []kube.Member, online func(kube.Member) bool) *kube.Member {
	count, all, dead := [3]int{}, [3]int{}, (*kube.Member)(nil)
	for i, m := range members {
		all[roleOf(m)]++
		if online(m) {
			count[roleOf(m)]++
		} else if roleOf(m) == 0 {
			dead = &members[i]
		}
	}
	if len(members) < 3 {
		return nil
	}
	pick := func(role int) *kube.Member {
		for _, m := range members {
			if roleOf(m) == role && online(m) {
				found := m
				return &found
			}
		}
		return nil
	}
	if count[0] < 3 {
		for _, role := range []int{1, 2} {
			if found := pick(role); found != nil {
				found.Learner, found.Role = false, ""
				return found
			}
		}
	}
	if all[0] > 3 && dead != nil {
		demoted := *dead
		demoted.Learner, demoted.Role = true, "spare"
		return &demoted
	}
	if found := pick(2); count[0] >= 3 && count[1] < 3 && found != nil {
		found.Role = "standby"
		return found
	}
	return nil
}

// serveKine answers kubelite on the socket.
func (n *dqliteNode) serveKine() error {
	ca, _ := os.ReadFile(certPath("ca.crt"))
	n.api = &kube.APIServer{DB: n.DB}
	pods := orElse(argument("kube-proxy", "--cluster-cidr"), "10.1.0.0/16")
	n.plane = kube.NewControllers(n.DB, pods, ca, kube.SecondsFromEnvironment("STANDIN_NODE_GRACE_SECONDS", 40))
	go n.control()
	listener, err := net.Listen("unix", kinePath())
	if err != nil {
		return err
	}
	os.Chmod(kinePath(), 0o660)
	mux := http.NewServeMux()
	mux.HandleFunc("/standin/", n.serveMaintenance)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		n.api.Serve(w, r, kube.User{Name: r.Header.Get(userHeader), Groups: r.Header[groupHeader]})
	})
	return http.Serve(listener, mux)
}

// serveMaintenance gives and takes the whole content, for backups.
func (n *dqliteNode) serveMaintenance(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/standin/backup" {
		w.Write(n.DB.State.Encode())
		return
	}
	content, _ := io.ReadAll(r.Body)
	fresh := kube.NewState()
	if err := json.Unmarshal(content, fresh); err != nil {
		http.Error(w, err.Error(), 500)
		return
	}
	for key, item := range fresh.Keys {
		if _, err := n.DB.Propose(kube.Operation{Kind: "put", Key: key, Value: item.Value}, kube.WriteTimeout); err != nil {
			http.Error(w, err.Error(), 500)
			return
		}
	}
}

// control runs what a control plane does by itself, on the leader.
func (n *dqliteNode) control() {
	services := strings.Split(orElse(argument("kube-apiserver", "--service-cluster-ip-range"), "10.152.183.0/24"), ",")[0]
	for seeded := false; !n.DB.IsRemoved(); time.Sleep(300 * time.Millisecond) {
		if !seeded && n.DB.Barrier(time.Second) == nil {
			n.plane.Seed(services, orElse(argument("kube-apiserver", "--advertise-address"), defaultAddress()), n.plane.RootCA)
			seeded = true
		}
		if n.plane.Work() {
			n.keepEndpoints()
		}
	}
}

// keepEndpoints lists the API servers of ready controllers, for the proxies of workers.
func (n *dqliteNode) keepEndpoints() {
	addresses := []any{}
	for _, node := range n.DB.All(kube.NodeResource, "") {
		if kube.TextAt(node, "metadata", "labels", "node.kubernetes.io/microk8s-controlplane") == "" || !kube.IsReady(node) {
			continue
		}
		for _, address := range kube.ListAt(node, "status", "addresses") {
			if kube.TextAt(address, "type") == "InternalIP" {
				addresses = append(addresses, kube.Object{"ip": kube.TextAt(address, "address")})
				break
			}
		}
	}
	if len(addresses) == 0 {
		return
	}
	port, _ := strconv.Atoi(apiPort())
	wanted := []any{kube.Object{"addresses": addresses, "ports": []any{kube.Object{"name": "https", "port": float64(port), "protocol": "TCP"}}}}
	n.DB.Change(kube.MustResource("endpoints"), "default", "kubernetes", func(o kube.Object) (kube.Object, error) {
		o["subsets"] = wanted
		return o, nil
	})
}

// askDqlite sends a message to one member.
func askDqlite(address, path string, message, reply any, timeout time.Duration) error {
	config, err := clusterTLS()
	if err != nil {
		return err
	}
	client := &http.Client{Timeout: timeout, Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}
	return kube.Exchange(client, "https://"+address+path, message, reply)
}

// runDqlite is the tool: `dqlite -s file://cluster.yaml -c CRT -k KEY -f json k8s .cluster`.
func runDqlite(words []string) int {
	servers, statement := backend("cluster.yaml"), ""
	for n := 0; n < len(words); n++ {
		switch word := words[n]; {
		case word == "-s" && n+1 < len(words):
			n++
			servers = strings.TrimPrefix(words[n], "file://")
		case (word == "-c" || word == "-k" || word == "-f") && n+1 < len(words):
			n++
		default:
			statement = word
		}
	}
	content, err := os.ReadFile(servers)
	if err != nil {
		fmt.Fprintln(os.Stderr, "Error: open servers file:", err)
		return 1
	}
	path, message := "/dqlite/cluster", any(struct{}{})
	if gone, found := strings.CutPrefix(statement, ".remove "); found {
		path, message = "/dqlite/remove", kube.Member{PeerURL: "https://" + gone}
	}
	addresses := regexp.MustCompile(`Address: (\S+)`).FindAllStringSubmatch(string(content), -1)
	deadline := time.Now().Add(10 * time.Second)
	for failure := errors.New("no available dqlite leader server found"); ; time.Sleep(300 * time.Millisecond) {
		for _, address := range addresses {
			var reply json.RawMessage
			if failure = askDqlite(address[1], path, message, &reply, 2*time.Second); failure == nil {
				if path == "/dqlite/cluster" {
					fmt.Println(string(reply))
				}
				return 0
			}
		}
		if time.Now().After(deadline) || failure != nil && strings.HasPrefix(failure.Error(), "no node has") {
			fmt.Fprintln(os.Stderr, "Error:", failure)
			return 1
		}
	}
}
