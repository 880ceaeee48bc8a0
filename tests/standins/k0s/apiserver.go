// The listeners of a controller: the Kubernetes API, and the API that joining controllers ask.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"standin/kube"
)

const signingPath = "/apis/certificates.k8s.io/v1/certificatesigningrequests"

// serveTLS gives a function that ends it, connections included.
func serveTLS(address string, config *tls.Config, handler http.Handler) (func(), error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	server := &http.Server{Handler: handler, ErrorLog: log.New(io.Discard, "", 0), TLSConfig: config}
	go server.ServeTLS(listener, "", "")
	return func() { server.Close() }, nil
}

func (c *controller) listenAPI() error {
	return c.listen("server", c.config.Spec.API.Port, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, known := c.userOf(r)
		if !known {
			kube.WriteError(w, kube.NewError(401, "Unauthorized", "Unauthorized"))
			return
		}
		who.Groups = append(who.Groups, "system:authenticated")
		if r.URL.Path == signingPath && r.Method == "POST" {
			c.signNode(w, r, who)
			return
		}
		c.api.Serve(w, r, who)
	}))
}

// userOf reads the user from a client certificate of the cluster, or from a bootstrap token.
func (c *controller) userOf(r *http.Request) (kube.User, bool) {
	if bearer, given := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); given {
		if !c.DB.ValidBootstrapToken(bearer, "authentication") {
			return kube.User{}, false
		}
		return kube.User{Name: "system:bootstrap:" + bearer[:6], Groups: []string{"system:bootstrappers"}}, true
	}
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return kube.User{Name: "system:anonymous", Groups: []string{"system:unauthenticated"}}, healthPath(r.URL.Path)
	}
	cert := r.TLS.PeerCertificates[0]
	options := x509.VerifyOptions{Roots: kube.CertPool(c.ca.PEM), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	if _, err := cert.Verify(options); err != nil {
		return kube.User{}, false
	}
	return kube.User{Name: cert.Subject.CommonName, Groups: cert.Subject.Organization}, true
}

// healthPath tells what anybody may ask.
func healthPath(path string) bool {
	return path == "/version" || path == "/healthz" || path == "/livez" || path == "/readyz"
}

// signNode answers a kubelet's request at once; the node's name is that of the request.
func (c *controller) signNode(w http.ResponseWriter, r *http.Request, who kube.User) {
	if !who.In("system:bootstrappers") && !who.In("system:masters") {
		kube.WriteError(w, kube.NewError(403, "Forbidden", "certificatesigningrequests.certificates.k8s.io is forbidden: User %q cannot create resource "+
			"\"certificatesigningrequests\" in API group \"certificates.k8s.io\" at the cluster scope", who.Name))
		return
	}
	body, _ := io.ReadAll(r.Body)
	var wanted kube.Object
	json.Unmarshal(body, &wanted)
	request, err := base64.StdEncoding.DecodeString(kube.TextAt(wanted, "spec", "request"))
	if err == nil {
		var cert []byte
		node := kube.NameOf(wanted)
		if cert, err = c.ca.SignRequest(kube.Subject{Name: "system:node:" + node, Groups: []string{"system:nodes"}}, request); err == nil {
			kube.WriteJSON(w, 201, kube.Object{"status": kube.Object{"certificate": base64.StdEncoding.EncodeToString(cert)}})
			return
		}
	}
	kube.WriteError(w, kube.NewError(400, "BadRequest", "%v", err))
}

// caAnswer has the names of the real API for joining; keys and certificates are base64 in JSON.
type caAnswer struct {
	Key   []byte `json:"key"`
	Cert  []byte `json:"cert"`
	SAKey []byte `json:"saKey"`
	SAPub []byte `json:"saPub"`
}

type etcdRequest struct {
	Node        string `json:"node"`
	PeerAddress string `json:"peerAddress"`
}

type etcdAnswer struct {
	CA             caAnswer `json:"ca"`
	InitialCluster []string `json:"initialCluster"`
	MemberID       string   `json:"standinMemberID"`
}

func (c *controller) listenJoin() error {
	mux := http.NewServeMux()
	mux.HandleFunc("/v1beta1/ca", c.withJoinToken(func(w http.ResponseWriter, r *http.Request) {
		answer := caAnswer{}
		for name, target := range map[string]*[]byte{"ca.key": &answer.Key, "ca.crt": &answer.Cert, "sa.key": &answer.SAKey, "sa.pub": &answer.SAPub} {
			content, err := os.ReadFile(filepath.Join(c.v.CertRootDir, name))
			if err != nil {
				http.Error(w, err.Error(), 500)
				return
			}
			*target = content
		}
		kube.WriteJSON(w, 200, answer)
	}))
	if c.embedded() {
		mux.HandleFunc("/v1beta1/etcd/members", c.withJoinToken(c.addMember))
	}
	return c.listen("k0s-api", c.config.Spec.API.K0sAPIPort, mux)
}

func (c *controller) withJoinToken(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		bearer, given := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !given || !c.DB.ValidBootstrapToken(bearer, "controller-join") {
			kube.WriteError(w, kube.NewError(401, "Unauthorized", "the server has asked for the client to provide credentials"))
			return
		}
		next(w, r)
	}
}

func (c *controller) addMember(w http.ResponseWriter, r *http.Request) {
	var wanted etcdRequest
	if err := json.NewDecoder(r.Body).Decode(&wanted); err != nil {
		http.Error(w, err.Error(), 500)
		return
	}
	kube.Infof("etcd API, adding new learner member: %s", wanted.PeerAddress)
	id, err := c.Membership.AddMember(kube.Member{PeerURL: wanted.PeerAddress, ClientURL: "https://127.0.0.1:2379"})
	answer := etcdAnswer{MemberID: id}
	if err == nil {
		answer.CA.Key, err = os.ReadFile(filepath.Join(c.v.EtcdCertDir, "ca.key"))
	}
	if err == nil {
		answer.CA.Cert, err = os.ReadFile(filepath.Join(c.v.EtcdCertDir, "ca.crt"))
	}
	if err != nil {
		http.Error(w, "etcd member add as learner failed: "+err.Error(), 500)
		return
	}
	for _, m := range c.DB.State.MemberList() {
		name := m.Name
		if m.ID == id {
			name = wanted.Node
		}
		answer.InitialCluster = append(answer.InitialCluster, name+"="+m.PeerURL)
	}
	kube.WriteJSON(w, 200, answer)
}
