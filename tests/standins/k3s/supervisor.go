// The listener of a server: what agents and joining servers ask for, and the way to the Kubernetes API.
package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"standin/kube"
)

const (
	roleServer    = "k3s:server"
	roleAgent     = "k3s:agent"
	roleNode      = "system:nodes"
	roleBootstrap = "system:bootstrappers:k3s:default-node-token"
)

func (s *server) listen() error {
	if err := s.checkTombstone(); err != nil {
		return err
	}
	certificate := filepath.Join(s.dir, "tls", "serving-kube-apiserver")
	pair, err := tls.LoadX509KeyPair(certificate+".crt", certificate+".key")
	if err != nil {
		return err
	}
	host := s.opts.text("bind-address")
	config := &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequestClientCert}
	address := net.JoinHostPort(host, s.opts.text("https-listen-port"))
	return kube.ServeTLS(address, config, http.HandlerFunc(s.route))
}

func (s *server) route(w http.ResponseWriter, r *http.Request) {
	switch path := r.URL.Path; {
	case path == "/cacerts":
		w.Header().Set("Content-Type", "text/plain")
		w.Write(s.serverCA.PEM)
	case path == "/ping":
		fmt.Fprint(w, "pong")
	case strings.HasPrefix(path, "/v1-k3s/"):
		s.supervise(w, r, strings.TrimPrefix(path, "/v1-k3s/"))
	case path == "/db/info":
		s.dbInfo(w, r)
	case path == "/db/snapshot":
		s.withRole(w, r, s.dbSnapshot, roleServer)
	default:
		s.kubernetes(w, r)
	}
}

func (s *server) kubernetes(w http.ResponseWriter, r *http.Request) {
	if !s.apiReady.Load() {
		sendError(w, 503, "ServiceUnavailable", "apiserver not ready")
		return
	}
	who, ok := s.certificateUser(r)
	if !ok || r.Header.Get("Authorization") != "" {
		kube.WriteError(w, kube.NewError(401, "Unauthorized", "Unauthorized"))
		return
	}
	who.Groups = append(who.Groups, "system:authenticated")
	s.api.Serve(w, r, who)
}

func sendError(w http.ResponseWriter, code int, reason, message string) {
	w.Header().Set("Connection", "close")
	kube.WriteError(w, kube.NewError(code, reason, "%s", message))
}

// certificateUser reads the user from a client certificate of the cluster.
func (s *server) certificateUser(r *http.Request) (kube.User, bool) {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return kube.User{}, false
	}
	cert := r.TLS.PeerCertificates[0]
	options := x509.VerifyOptions{Roots: kube.CertPool(s.clientCA.PEM), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	if _, err := cert.Verify(options); err != nil {
		return kube.User{}, false
	}
	return kube.User{Name: cert.Subject.CommonName, Groups: cert.Subject.Organization}, true
}

var errNotAuthorized = errors.New("invalid username/password combination")

// authenticate tries the password, the certificate and the bearer token, in this order; the first that is given decides.
func (s *server) authenticate(r *http.Request) (kube.User, bool, error) {
	if name, password, given := r.BasicAuth(); given {
		secret, known := s.passwd.secrets[name]
		if !known || subtle.ConstantTimeCompare([]byte(secret), []byte(password)) != 1 {
			return kube.User{}, false, errNotAuthorized
		}
		return kube.User{Name: name, Groups: []string{map[string]string{"server": roleServer, "node": roleAgent}[name]}}, true, nil
	}
	if who, ok := s.certificateUser(r); ok {
		return who, true, nil
	}
	if bearer, found := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); found {
		if s.DB != nil && s.DB.ValidBootstrapToken(bearer, "authentication") {
			return kube.User{Name: "system:bootstrap:" + bearer[:6], Groups: []string{"system:bootstrappers", roleBootstrap}}, true, nil
		}
		return kube.User{}, false, errors.New("invalid bearer token")
	}
	return kube.User{}, false, nil
}

type roleHandler func(http.ResponseWriter, *http.Request, kube.User)

func (s *server) withRole(w http.ResponseWriter, r *http.Request, next roleHandler, roles ...string) {
	who, ok, err := s.authenticate(r)
	if err != nil {
		kube.Errorf("Failed to authenticate request from %s: %v", r.RemoteAddr, err)
		sendError(w, 401, "Unauthorized", "not authorized")
		return
	}
	for _, role := range roles {
		if ok && who.In(role) {
			next(w, r, who)
			return
		}
	}
	sendError(w, 403, "Forbidden", "forbidden")
}

func (s *server) supervise(w http.ResponseWriter, r *http.Request, name string) {
	files := map[string]*kube.Authority{"client-ca.crt": s.clientCA, "server-ca.crt": s.serverCA}
	forAgents := []string{roleAgent, roleNode, roleBootstrap}
	switch name {
	case "client-ca.crt", "server-ca.crt":
		s.withRole(w, r, func(w http.ResponseWriter, r *http.Request, who kube.User) { w.Write(files[name].PEM) }, forAgents...)
	case "serving-kubelet.crt", "client-kubelet.crt":
		s.withRole(w, r, func(w http.ResponseWriter, r *http.Request, who kube.User) { s.signForNode(w, r, who, name) }, forAgents...)
	case "client-kube-proxy.crt", "client-k3s-controller.crt":
		s.withRole(w, r, func(w http.ResponseWriter, r *http.Request, who kube.User) {
			common := map[string]string{"client-kube-proxy.crt": "system:kube-proxy", "client-k3s-controller.crt": "system:k3s-controller"}[name]
			signAnswer(w, r, s.clientCA, kube.Subject{Name: common})
		}, forAgents...)
	case "config":
		s.withRole(w, r, func(w http.ResponseWriter, r *http.Request, who kube.User) { kube.WriteJSON(w, 200, s.clusterConfig()) }, forAgents...)
	case "apiservers":
		s.withRole(w, r, func(w http.ResponseWriter, r *http.Request, who kube.User) { kube.WriteJSON(w, 200, s.apiServers()) }, forAgents...)
	case "readyz":
		s.withRole(w, r, s.coreReadyz, forAgents...)
	case "server-bootstrap":
		s.withRole(w, r, s.serveBootstrap, roleServer)
	case "token":
		s.withRole(w, r, s.rotateToken, roleServer)
	case "encrypt/status", "encrypt/config":
		s.withRole(w, r, s.encryption, roleServer)
	default:
		s.kubernetes(w, r)
	}
}

func (s *server) coreReadyz(w http.ResponseWriter, r *http.Request, who kube.User) {
	if !s.apiReady.Load() || s.DB.Barrier(time.Second) != nil {
		sendError(w, 503, "ServiceUnavailable", "runtime core not ready")
		return
	}
	fmt.Fprint(w, "ok")
}

func (s *server) apiServers() []string {
	var addresses []string
	if s.DB != nil {
		for _, node := range s.DB.All(kube.NodeResource, "") {
			if kube.TextAt(node, "metadata", "labels", "node-role.kubernetes.io/control-plane") == "true" {
				addresses = append(addresses, net.JoinHostPort(kube.TextAt(node, "metadata", "annotations", "k3s.io/internal-ip"), s.opts.text("https-listen-port")))
			}
		}
	}
	return addresses
}

func (s *server) serveBootstrap(w http.ResponseWriter, r *http.Request, who kube.User) {
	if !s.etcd {
		kube.Warnf("Received HTTP bootstrap request from %s, but embedded etcd is not enabled.", r.RemoteAddr)
		sendError(w, 400, "BadRequest", "etcd disabled")
		return
	}
	_, secret, _ := r.BasicAuth()
	if s.DB != nil {
		if files, err := storedFiles(s.DB.State, secret); err == nil && files != nil {
			kube.Infof("Serving HTTP bootstrap from datastore for %s", r.RemoteAddr)
			kube.WriteJSON(w, 200, files)
			return
		}
	}
	kube.WriteJSON(w, 200, s.readShared())
}

func (s *server) dbInfo(w http.ResponseWriter, r *http.Request) {
	if !s.etcd {
		sendError(w, 400, "BadRequest", "etcd datastore disabled")
		return
	}
	show := func(w http.ResponseWriter, r *http.Request, who kube.User) {
		if s.DB == nil {
			sendError(w, 500, "InternalError", "Internal error occurred: failed to get etcd MemberList: etcd not started")
		} else if err := s.DB.Barrier(2 * time.Second); err != nil {
			sendError(w, 500, "InternalError", "Internal error occurred: failed to get etcd MemberList: "+err.Error())
		} else {
			kube.WriteJSON(w, 200, kube.Object{"members": s.MemberInfos()})
		}
	}
	if host, _, _ := net.SplitHostPort(r.RemoteAddr); host == "127.0.0.1" || host == "::1" {
		show(w, r, kube.User{})
		return
	}
	s.withRole(w, r, show, roleServer)
}

// signForNode signs a kubelet's certificate if the node's password fits the one stored for its name.
func (s *server) signForNode(w http.ResponseWriter, r *http.Request, who kube.User, name string) {
	node, password := strings.ToLower(r.Header.Get("k3s-Node-Name")), r.Header.Get("k3s-Node-Password")
	if node == "" || password == "" {
		sendError(w, 400, "BadRequest", "node name not set")
		return
	}
	if code, err := s.checkNode(who, node, password); err != nil {
		kube.Errorf("Sending %s %d response to %s: %v", r.Proto, code, r.RemoteAddr, err)
		reason := map[int]string{400: "BadRequest", 401: "Unauthorized", 403: "Forbidden", 503: "ServiceUnavailable"}[code]
		sendError(w, code, reason, err.Error())
		return
	}
	if name == "client-kubelet.crt" {
		signAnswer(w, r, s.clientCA, kube.Subject{Name: "system:node:" + node, Groups: []string{"system:nodes"}})
		return
	}
	hosts := []string{node, "localhost", "127.0.0.1", "::1"}
	for _, address := range strings.Split(r.Header.Get("k3s-Node-IP"), ",") {
		if net.ParseIP(address) != nil {
			hosts = append(hosts, address)
		}
	}
	signAnswer(w, r, s.serverCA, kube.Subject{Name: node, Hosts: hosts})
}

func signAnswer(w http.ResponseWriter, r *http.Request, by *kube.Authority, who kube.Subject) {
	request, err := io.ReadAll(r.Body)
	if err == nil {
		var cert []byte
		if cert, err = by.SignRequest(who, request); err == nil {
			w.Write(cert)
			return
		}
	}
	sendError(w, 500, "InternalError", "Internal error occurred: "+err.Error())
}

func (s *server) checkNode(who kube.User, node, password string) (int, error) {
	own := strings.TrimPrefix(who.Name, "system:node:")
	byCertificate := who.In(roleNode)
	if byCertificate && own != node {
		return 400, errors.New("header node name does not match auth node name")
	}
	if !s.coreReady.Load() {
		if node == s.agentName() {
			s.deferred.Store(node, password)
			kube.Infof("Password verified locally for node %s", node)
			return 200, nil
		}
		return 503, errors.New("runtime core not ready")
	}
	if err := s.DB.Barrier(time.Second); err != nil {
		return 503, err
	}
	if byCertificate {
		if _, err := s.DB.Read(kube.NodeResource, "", node); err != nil {
			return 401, fmt.Errorf("unable to verify node identity: %w", err)
		}
	}
	if err := s.ensureNodePassword(node, password); err != nil {
		return 403, err
	}
	return 200, nil
}

func passwordSecret(node string) string { return strings.ToLower(node + ".node-password.k3s") }

// ensureNodePassword compares with the stored hash; the first password of a name is stored.
func (s *server) ensureNodePassword(node, password string) error {
	secret, err := s.DB.Read(kube.SecretResource, "kube-system", passwordSecret(node))
	if kube.IsNotFound(err) {
		_, err = s.DB.Create(kube.SecretResource, kube.Object{"metadata": kube.Object{"name": passwordSecret(node), "namespace": "kube-system"}, "immutable": true,
			"type": "k3s.cattle.io/node-password", "data": kube.Object{"hash": base64.StdEncoding.EncodeToString([]byte(hashPassword(password)))}})
		if !kube.IsConflict(err) {
			return err
		}
		secret, err = s.DB.Read(kube.SecretResource, "kube-system", passwordSecret(node))
	}
	if err != nil {
		return err
	}
	hash, _ := base64.StdEncoding.DecodeString(kube.TextAt(secret, "data", "hash"))
	if !passwordMatches(string(hash), password) {
		return fmt.Errorf("unable to verify password for node %s: hash does not match", node)
	}
	return nil
}

func hashPassword(password string) string {
	salt := kube.RandomHex(8)
	return "$1:" + salt + ":" + stretch(password, salt)
}

func stretch(password, salt string) string {
	key := []byte(salt)
	for i := 0; i < 1000; i++ {
		mac := hmac.New(sha256.New, []byte(password))
		mac.Write(key)
		key = mac.Sum(nil)
	}
	return hex.EncodeToString(key)
}

func passwordMatches(hash, password string) bool {
	parts := strings.Split(hash, ":")
	return len(parts) == 3 && subtle.ConstantTimeCompare([]byte(parts[2]), []byte(stretch(password, parts[1]))) == 1
}

func (s *server) rotateToken(w http.ResponseWriter, r *http.Request, who kube.User) {
	var wanted struct{ NewToken string }
	if r.Method != "PUT" {
		sendError(w, 405, "MethodNotAllowed", "method not allowed")
		return
	}
	if err := json.NewDecoder(r.Body).Decode(&wanted); err != nil {
		sendError(w, 400, "BadRequest", err.Error())
		return
	}
	if wanted.NewToken == "" {
		wanted.NewToken = kube.RandomHex(16)
	}
	secret, err := normalizeToken(wanted.NewToken)
	if err == nil {
		err = s.setToken(secret)
	}
	if err != nil {
		sendError(w, 500, "InternalError", "Internal error occurred: "+err.Error())
		return
	}
	w.WriteHeader(200)
}

func (s *server) setToken(secret string) error {
	old := s.passwd.secrets["server"]
	if s.passwd.secrets["node"] == old && s.opts.text("agent-token") == "" {
		s.passwd.secrets["node"] = secret
	}
	s.passwd.secrets["server"] = secret
	if err := s.passwd.write(); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(s.dir, "token"), []byte(formatToken("server:"+secret, s.serverCA.PEM)+"\n"), 0o600); err != nil {
		return err
	}
	s.token = secret
	if err := s.saveBootstrap(true); err != nil {
		return err
	}
	if old != secret {
		_, err := s.DB.Propose(kube.Operation{Kind: "delete", Key: bootstrapKey(old)}, kube.WriteTimeout)
		return err
	}
	return nil
}

const encryptionKey = "/standin/secrets-encryption"

func (s *server) encryption(w http.ResponseWriter, r *http.Request, who kube.User) {
	if r.Method == "PUT" {
		var wanted struct{ Enable *bool }
		if json.NewDecoder(r.Body).Decode(&wanted); wanted.Enable == nil {
			return
		}
		if _, err := s.DB.Propose(kube.Operation{Kind: "put", Key: encryptionKey, Value: json.RawMessage(kube.ToJSON(*wanted.Enable))}, kube.WriteTimeout); err != nil {
			kube.WriteError(w, kube.Unavailable(err))
		}
		return
	}
	enabled := s.opts.enabled("secrets-encryption")
	stored, found := s.DB.State.Get(encryptionKey)
	if !found && !enabled {
		kube.WriteJSON(w, 200, kube.Object{})
		return
	}
	if found {
		enabled = string(stored.Value) == "true"
	}
	kube.WriteJSON(w, 200, kube.Object{"enable": enabled, "stage": "start", "hashmatch": true, "activekey": "AES-CBC aescbckey"})
}
