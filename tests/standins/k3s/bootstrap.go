// How a server comes to its CA and users: founds a cluster, joins one, or finds its own datastore again; and what it
// compares before it trusts what it finds.
package main

import (
	"crypto/sha256"
	"encoding/hex"
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

// sharedFiles are the files (below <data-dir>/server) that all servers have in common.
var sharedFiles = []string{
	"tls/server-ca.crt", "tls/server-ca.key", "tls/client-ca.crt", "tls/client-ca.key", "tls/request-header-ca.crt", "tls/request-header-ca.key",
	"tls/etcd/server-ca.crt", "tls/etcd/server-ca.key", "tls/etcd/peer-ca.crt", "tls/etcd/peer-ca.key", "tls/service.key", "cred/passwd", "cred/ipsec.psk",
}

type sharedFile struct {
	Timestamp time.Time
	Content   []byte
}

func (s *server) prepare() error {
	for _, dir := range []string{s.dir, s.dir + "/etc", s.dir + "/tls", s.dir + "/cred"} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("can not mkdir %s: %w", dir, err)
		}
	}
	if err := s.bootstrap(); err != nil {
		return fmt.Errorf("failed to bootstrap cluster data: %w", err)
	}
	if err := s.generate(); err != nil {
		return fmt.Errorf("failed to generate server dependencies: %w", err)
	}
	return nil
}

func (s *server) etcdDir() string     { return filepath.Join(s.dir, "db", "etcd") }
func (s *server) etcdJournal() string { return filepath.Join(s.etcdDir(), "member", "wal", "0.wal") }
func (s *server) sqliteFile() string  { return filepath.Join(s.dir, "db", "state.db") }

func (s *server) bootstrap() error {
	initialized := kube.Exists(filepath.Dir(s.etcdJournal()))
	joinURL, endpoint := s.opts.text("server"), s.opts.text("datastore-endpoint")
	s.etcd = initialized || endpoint == "" && (s.opts.enabled("cluster-init") || s.opts.enabled("cluster-reset") || s.token != "" && joinURL != "")
	switch {
	case !s.etcd && endpoint != "":
		return dialDatastore(endpoint)
	case !s.etcd:
		return s.bootstrapFromSQLite()
	case initialized:
		kube.Infof("Managed etcd cluster bootstrap already complete and initialized")
		return s.reconcileMember(joinURL)
	case joinURL == "":
		kube.Infof("Managed etcd cluster initializing")
		return nil
	}
	return s.bootstrapFromPeer(joinURL)
}

// dialDatastore fails as the real program does where no database listens; the stand-in speaks to none.
func dialDatastore(endpoint string) error {
	host := endpoint[strings.Index(endpoint, "@")+1:]
	if parsed, err := url.Parse(endpoint); err == nil && parsed.Host != "" {
		host = parsed.Host
	}
	host, _, _ = strings.Cut(strings.TrimSuffix(strings.TrimPrefix(host, "tcp("), ")"), ")")
	if _, _, err := net.SplitHostPort(host); err != nil {
		host = net.JoinHostPort(host, map[bool]string{true: "3306", false: "5432"}[strings.HasPrefix(endpoint, "mysql")])
	}
	conn, err := net.DialTimeout("tcp", host, 5*time.Second)
	if err != nil {
		return fmt.Errorf("failed to create storage endpoint: building kine: %w", err)
	}
	conn.Close()
	return errors.New("failed to create storage endpoint: building kine: the stand-in speaks to no database")
}

// currentToken is the token given, else the one this server wrote before.
func (s *server) currentToken() string {
	if s.token != "" {
		return s.token
	}
	stored, _ := kube.ReadLine(filepath.Join(s.dir, "token"))
	return stored
}

func bootstrapKey(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return "/bootstrap/" + hex.EncodeToString(sum[:])[:12]
}

var errOtherToken = errors.New("bootstrap data already found and encrypted with different token")

// storedFiles reads the shared files out of a datastore. Nil when there are none yet.
func storedFiles(content *kube.State, token string) (map[string]sharedFile, error) {
	secret, err := normalizeToken(token)
	if err != nil {
		return nil, err
	}
	found, _ := content.List("/bootstrap/")
	if len(found) == 0 {
		return nil, nil
	}
	for _, item := range found {
		if item.Key == bootstrapKey(secret) {
			files := map[string]sharedFile{}
			return files, json.Unmarshal(item.Value, &files)
		}
	}
	return nil, errOtherToken
}

func (s *server) bootstrapFromSQLite() error {
	token := s.currentToken()
	if token == "" {
		kube.Infof("Datastore connection validated successfully, proceeding with bootstrap data generation")
		return nil
	}
	content := kube.NewState()
	if kube.Exists(s.sqliteFile()) {
		var err error
		if content, err = kube.ReadDatastore(s.sqliteFile()); err != nil {
			return err
		}
	}
	files, err := storedFiles(content, token)
	if err != nil {
		return err
	}
	if files == nil {
		kube.Infof("Bootstrap key locked for initial create")
		return nil
	}
	return s.reconcile(files)
}

func (s *server) knownCA() []byte {
	content, _ := os.ReadFile(filepath.Join(s.dir, "tls", "server-ca.crt"))
	return content
}

// reconcileMember checks the files of a server whose datastore is there, against a peer's or else its own datastore.
func (s *server) reconcileMember(joinURL string) error {
	if s.opts.enabled("cluster-reset") {
		return nil
	}
	if joinURL != "" && s.token != "" {
		if a, err := connect(joinURL, s.token, "server", s.knownCA(), "", ""); err == nil {
			s.join = a
			files, err := peerFiles(a)
			if err == nil {
				err = s.reconcile(files)
			}
			if err == nil {
				kube.Infof("Successfully reconciled with remote datastore")
				return nil
			}
			kube.Warnf("Unable to reconcile with remote datastore: %v", err)
		}
	}
	content, err := kube.ReadDatastore(s.etcdJournal())
	if err != nil {
		return fmt.Errorf("failed to reconcile with local datastore: %w", err)
	}
	files, err := storedFiles(content, s.currentToken())
	if err == nil && files == nil && len(content.Members) > 0 {
		err = errors.New("no bootstrap data found in datastore - check server token value and verify datastore integrity")
	}
	if err != nil {
		return fmt.Errorf("failed to reconcile with local datastore: %w", err)
	}
	if err := s.reconcile(files); err != nil {
		return fmt.Errorf("failed to reconcile with local datastore: %w", err)
	}
	kube.Infof("Successfully reconciled with local datastore")
	return nil
}

func peerFiles(a *access) (map[string]sharedFile, error) {
	content, err := a.do("GET", "/v1-k3s/server-bootstrap", nil, 15*time.Second)
	if err != nil {
		return nil, err
	}
	files := map[string]sharedFile{}
	return files, json.Unmarshal(content, &files)
}

func (s *server) bootstrapFromPeer(joinURL string) error {
	a, err := connect(joinURL, s.token, "server", s.knownCA(), "", "")
	if err != nil {
		return fmt.Errorf("failed to check if bootstrap data has been initialized: failed to validate token: %w", err)
	}
	s.join = a
	kube.Infof("Managed etcd cluster not yet initialized")
	if err := s.compareWithPeer(joinURL); err != nil {
		return fmt.Errorf("failed to validate server configuration: %w", err)
	}
	files, err := peerFiles(a)
	if err != nil {
		return err
	}
	return s.reconcile(files)
}

// compareWithPeer asks for the cluster's settings with the agent's credentials. A refusal skips the comparison.
func (s *server) compareWithPeer(joinURL string) error {
	token := s.opts.text("agent-token")
	if token == "" {
		token = s.token
	}
	a, err := connect(joinURL, token, "node", s.knownCA(), "", "")
	if err != nil {
		return err
	}
	content, err := a.get("/v1-k3s/config")
	if err != nil {
		kube.Warnf("Skipping cluster configuration validation: %v", err)
		return nil
	}
	var theirs clusterConfig
	if err := json.Unmarshal(content, &theirs); err != nil {
		return err
	}
	ours := s.clusterConfig()
	mismatch := false
	for _, flag := range criticalFlags {
		if ours.Critical[flag] != theirs.Critical[flag] {
			kube.Warnf("critical configuration mismatched: %s", flag)
			mismatch = true
		}
	}
	if mismatch {
		return errors.New("critical configuration value mismatch between servers")
	}
	return nil
}

var criticalFlags = []string{
	"cluster-dns", "cluster-cidr", "cluster-domain", "disable-cloud-controller", "disable-helm-controller", "disable-network-policy",
	"secrets-encryption", "secrets-encryption-provider", "embedded-registry", "flannel-backend", "flannel-ipv6-masq", "flannel-external-ip",
	"egress-selector-mode", "service-cidr", "supervisor-metrics",
}

// clusterConfig is what a server tells agents and joining servers.
type clusterConfig struct {
	Critical       map[string]string `json:"critical"`
	FlannelBackend string            `json:"flannelBackend"`
	ClusterCIDR    string            `json:"clusterCIDR"`
	HTTPSPort      int               `json:"httpsPort"`
}

func (s *server) clusterConfig() clusterConfig {
	critical := map[string]string{}
	for _, flag := range criticalFlags {
		value := strings.Join(s.opts.split(flag), ",")
		if value == "" {
			value = map[string]string{"cluster-cidr": "10.42.0.0/16", "service-cidr": "10.43.0.0/16"}[flag]
		}
		if value == "" {
			value = "false"
		}
		critical[flag] = value
	}
	if !s.opts.isSet("cluster-dns") {
		critical["cluster-dns"] = kube.ServiceAddress(critical["service-cidr"], 10)
	}
	return clusterConfig{critical, critical["flannel-backend"], critical["cluster-cidr"], s.opts.number("https-listen-port")}
}

// reconcile compares the shared files on disk with those of the datastore. Newer files on disk are fatal; older and
// missing ones are written.
func (s *server) reconcile(files map[string]sharedFile) error {
	kube.Infof("Reconciling bootstrap data between datastore and disk")
	fresh := emptyDir(filepath.Join(s.dir, "cred")) || emptyDir(filepath.Join(s.dir, "tls")) || emptyDir(filepath.Join(s.dir, "tls", "etcd"))
	update := fresh
	var newer []string
	for _, name := range sharedFiles {
		stored, known := files[name]
		path := filepath.Join(s.dir, name)
		content, err := os.ReadFile(path)
		if !known || err == nil && string(content) == string(stored.Content) {
			continue
		}
		update = true
		info, statErr := os.Stat(path)
		if statErr != nil {
			if !fresh {
				kube.Warnf("%s doesn't exist. continuing...", path)
			}
		} else if info.ModTime().Unix()-stored.Timestamp.Unix() >= 3 && !fresh {
			newer = append(newer, path)
		} else if !fresh {
			kube.Warnf("%s will be updated from the datastore.", path)
		}
	}
	if len(newer) > 0 {
		kube.Fatalf("%s newer than datastore and could cause a cluster outage. Remove the file(s) from disk and restart to be recreated from datastore.",
			strings.Join(newer, ", "))
	}
	if !update {
		return nil
	}
	if !fresh {
		kube.Warnf("Updating bootstrap data on disk from datastore")
	}
	return s.writeShared(files)
}

func emptyDir(path string) bool {
	entries, err := os.ReadDir(path)
	return err != nil || len(entries) == 0
}

func (s *server) writeShared(files map[string]sharedFile) error {
	for name, file := range files {
		path := filepath.Join(s.dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(path, file.Content, 0o600); err != nil {
			return err
		}
		os.Chtimes(path, file.Timestamp, file.Timestamp)
	}
	return nil
}

func (s *server) readShared() map[string]sharedFile {
	files := map[string]sharedFile{}
	for _, name := range sharedFiles {
		path := filepath.Join(s.dir, name)
		content, err := os.ReadFile(path)
		info, statErr := os.Stat(path)
		if err == nil && statErr == nil {
			files[name] = sharedFile{info.ModTime(), content}
		}
	}
	return files
}

// saveBootstrap stores the shared files below a key made of the token, unless they are there.
func (s *server) saveBootstrap(replace bool) error {
	kube.Infof("Saving cluster bootstrap data to datastore")
	token := s.currentToken()
	secret, err := normalizeToken(token)
	if err != nil {
		return err
	}
	files, err := storedFiles(s.DB.State, token)
	if err != nil && !replace {
		return err
	}
	if files != nil && !replace {
		kube.Warnf("Bootstrap key already exists")
		return nil
	}
	encoded, err := json.Marshal(s.readShared())
	if err != nil {
		return err
	}
	for try := 0; ; try++ {
		_, err = s.DB.Propose(kube.Operation{Kind: "put", Key: bootstrapKey(secret), Value: encoded}, kube.WriteTimeout)
		if err == nil || try == 5 {
			return err
		}
	}
}

// generate makes or loads CAs, certificates, users and tokens.
func (s *server) generate() error {
	var err error
	load := func(target **kube.Authority, path, name string) {
		if err == nil {
			*target, err = kube.LoadAuthority(filepath.Join(s.dir, "tls", path), fmt.Sprintf("%s@%d", name, time.Now().Unix()))
		}
	}
	var requestHeader *kube.Authority
	load(&s.serverCA, "server-ca", "k3s-server-ca")
	load(&s.clientCA, "client-ca", "k3s-client-ca")
	load(&requestHeader, "request-header-ca", "k3s-request-header-ca")
	load(&s.etcdServerCA, "etcd/server-ca", "etcd-server-ca")
	load(&s.etcdPeerCA, "etcd/peer-ca", "etcd-peer-ca")
	if err != nil {
		return err
	}
	for _, name := range []string{"tls/service.key", "cred/ipsec.psk"} {
		path := filepath.Join(s.dir, name)
		content := []byte(kube.RandomHex(48) + "\n")
		if strings.HasSuffix(name, ".key") {
			content = kube.EncodeKey(kube.NewKey())
		}
		if !kube.Exists(path) {
			if err := os.WriteFile(path, content, 0o600); err != nil {
				return err
			}
		}
	}
	if err := s.issueCertificates(); err != nil {
		return err
	}
	return s.setUsers()
}

func (s *server) issueCertificates() error {
	tls := filepath.Join(s.dir, "tls")
	hosts := append([]string{"localhost", "127.0.0.1", "::1", s.nodeName, "kubernetes", "kubernetes.default", "kubernetes.default.svc",
		"kubernetes.default.svc." + s.opts.text("cluster-domain"), kube.ServiceAddress(s.clusterConfig().Critical["service-cidr"], 1)}, s.nodeIPs...)
	hosts = append(hosts, s.opts.split("tls-san")...)
	hosts = append(hosts, s.opts.split("node-external-ip")...)
	if advertised := s.opts.text("advertise-address"); advertised != "" {
		hosts = append(hosts, advertised)
	}
	peers := append([]string{"localhost", "127.0.0.1", "::1", s.nodeName}, s.nodeIPs...)
	for _, wanted := range []struct {
		by   *kube.Authority
		path string
		who  kube.Subject
	}{
		{s.serverCA, "serving-kube-apiserver", kube.Subject{Name: "kube-apiserver", Hosts: hosts}},
		{s.clientCA, "client-admin", kube.Subject{Name: "system:admin", Groups: []string{"system:masters"}}},
		{s.clientCA, "client-supervisor", kube.Subject{Name: "system:k3s-supervisor", Groups: []string{"system:masters"}}},
		{s.clientCA, "client-controller", kube.Subject{Name: "system:kube-controller-manager"}},
		{s.clientCA, "client-scheduler", kube.Subject{Name: "system:kube-scheduler"}},
		{s.etcdServerCA, "etcd/server-client", kube.Subject{Name: "etcd-server", Hosts: peers}},
		{s.etcdServerCA, "etcd/client", kube.Subject{Name: "etcd-client"}},
		{s.etcdPeerCA, "etcd/peer-server-client", kube.Subject{Name: "etcd-peer", Hosts: peers}},
	} {
		if err := wanted.by.Issue(filepath.Join(tls, wanted.path), wanted.who); err != nil {
			return err
		}
	}
	return nil
}

// passwdFile holds the secrets of the users "server" and "node", one line "secret,name,name,role" each.
type passwdFile struct {
	path    string
	secrets map[string]string
}

func readPasswd(path string) (*passwdFile, error) {
	p := &passwdFile{path, map[string]string{}}
	content, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return p, nil
	}
	for _, line := range strings.Split(string(content), "\n") {
		if words := strings.Split(line, ","); len(words) >= 3 {
			p.secrets[words[1]] = words[0]
		}
	}
	return p, err
}

func (p *passwdFile) write() error {
	var text strings.Builder
	for _, name := range kube.SortedKeys(p.secrets) {
		role := map[string]string{"server": "k3s:server", "node": "k3s:agent"}[name]
		fmt.Fprintf(&text, "%s,%s,%s,%s\n", p.secrets[name], name, name, role)
	}
	if old, err := os.ReadFile(p.path); err == nil && string(old) == text.String() {
		return nil
	}
	if err := os.WriteFile(p.path+".tmp", []byte(text.String()), 0o600); err != nil {
		return err
	}
	return os.Rename(p.path+".tmp", p.path)
}

// withoutPrefix takes the secret out of a K10 token; anything else stays as it is.
func withoutPrefix(token, user string) string {
	if index := strings.Index(token, "::"+user+":"); index > 0 && strings.HasPrefix(token, "K10") {
		return token[index+len(user)+3:]
	}
	return token
}

func (s *server) setUsers() error {
	var err error
	if s.passwd, err = readPasswd(filepath.Join(s.dir, "cred", "passwd")); err != nil {
		return err
	}
	secret := s.token
	if secret == "" {
		secret = s.passwd.secrets["server"]
	}
	if secret == "" {
		secret = kube.RandomHex(16)
	}
	node := s.opts.text("agent-token")
	if node == "" {
		node = secret
		if parsed, err := parseToken(secret); err == nil && parsed.bootstrap == "" {
			node = parsed.password
		}
	}
	s.passwd.secrets["server"] = withoutPrefix(secret, "server")
	s.passwd.secrets["node"] = withoutPrefix(node, "node")
	return s.passwd.write()
}

// writeClientFiles writes the token files and the administrator's kubeconfig.
func (s *server) writeClientFiles() error {
	tokenFile := filepath.Join(s.dir, "token")
	if err := os.WriteFile(tokenFile, []byte(formatToken("server:"+s.passwd.secrets["server"], s.serverCA.PEM)+"\n"), 0o600); err != nil {
		return err
	}
	os.Chmod(tokenFile, 0o600)
	if err := linkTo(tokenFile, filepath.Join(s.dir, "node-token")); err != nil {
		return err
	}
	kube.Infof("Server node token is available at %s", tokenFile)
	kube.Infof("To join server node to cluster: k3s server -s https://%s:%d -t ${SERVER_NODE_TOKEN}", s.nodeIPs[0], s.opts.number("https-listen-port"))
	agentFile := filepath.Join(s.dir, "agent-token")
	if s.opts.text("agent-token") == "" {
		if err := linkTo(tokenFile, agentFile); err != nil {
			return err
		}
	} else {
		os.Remove(agentFile)
		if err := os.WriteFile(agentFile, []byte(formatToken("node:"+s.passwd.secrets["node"], s.serverCA.PEM)+"\n"), 0o600); err != nil {
			return err
		}
	}
	kube.Infof("Agent node token is available at %s", agentFile)
	kube.Infof("To join agent node to cluster: k3s agent -s https://%s:%d -t ${AGENT_NODE_TOKEN}", s.nodeIPs[0], s.opts.number("https-listen-port"))
	return s.writeKubeconfig()
}

func linkTo(target, link string) error {
	if info, err := os.Lstat(link); err == nil && info.Mode()&os.ModeSymlink != 0 {
		return nil
	}
	os.RemoveAll(link)
	return os.Symlink(target, link)
}
