// The cluster agent: launch configurations every five seconds, and what joining nodes and other nodes ask on port 25000.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"standin/kube"
)

const (
	agentV1 = "/cluster/api/v1.0/"
	agentV2 = "/cluster/api/v2.0/"
)

type joinRequest struct {
	Token    string `json:"token"`
	Hostname string `json:"hostname"`
	Port     string `json:"port"`
	Worker   bool   `json:"worker"`
}

// joinAnswer has the names of the real agent's answer.
type joinAnswer struct {
	CA                string   `json:"ca"`
	CAKey             *string  `json:"ca_key"`
	CallbackToken     string   `json:"callback_token"`
	APIPort           string   `json:"apiport"`
	AuthorizationMode string   `json:"api_authz_mode"`
	KubeletArgs       string   `json:"kubelet_args"`
	HostnameOverride  string   `json:"hostname_override"`
	Voters            []string `json:"voters,omitempty"`
	ServiceKey        string   `json:"service_account_key"`
	ClusterCert       string   `json:"cluster_cert,omitempty"`
	ClusterKey        string   `json:"cluster_key,omitempty"`
	ControlPlane      []string `json:"control_plane_nodes"`
	ClusterCIDR       string   `json:"cluster_cidr,omitempty"`
}

type signRequest struct {
	Token   string `json:"token"`
	Request string `json:"request"`
}

type configureRequest struct {
	Callback string `json:"callback"`
	Service  []struct {
		Name    string              `json:"name"`
		Update  []map[string]string `json:"arguments_update"`
		Remove  []string            `json:"arguments_remove"`
		Restart bool                `json:"restart"`
	} `json:"service"`
}

var agentMutex sync.Mutex

func agentAddress() string { return orElse(argument("cluster-agent", "--bind"), "0.0.0.0:25000") }

// agentPort is as the snap's scripts read it: without the word "port" in the file it is the usual one.
func agentPort() string {
	content, _ := os.ReadFile(argsPath("cluster-agent"))
	if !strings.Contains(string(content), "port") {
		return "25000"
	}
	var words []string
	for _, line := range strings.Split(strings.TrimSpace(string(content)), "\n") {
		words = append(words, append(strings.Fields(line), "", "")[1])
	}
	return strings.Join(words, "\n")
}

func runAgent() int {
	go watchLaunchFiles()
	mux := http.NewServeMux()
	mux.HandleFunc("/health", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "OK") })
	mux.HandleFunc(agentV2+"join", func(w http.ResponseWriter, r *http.Request) {
		var wanted joinRequest
		if json.NewDecoder(r.Body).Decode(&wanted) != nil {
			agentError(w, 400, errors.New("invalid request"))
			return
		}
		agentMutex.Lock()
		defer agentMutex.Unlock()
		reply, code, err := acceptJoin(wanted, r)
		if err != nil {
			agentError(w, code, err)
			return
		}
		kube.WriteJSON(w, 200, reply)
	})
	mux.HandleFunc(agentV1+"sign-cert", func(w http.ResponseWriter, r *http.Request) {
		var wanted signRequest
		json.NewDecoder(r.Body).Decode(&wanted)
		cert, err := signForNode(wanted)
		if err != nil {
			agentError(w, 500, err)
			return
		}
		kube.WriteJSON(w, 200, kube.Object{"certificate": string(cert)})
	})
	mux.HandleFunc(agentV1+"configure", configureNode)
	mux.HandleFunc(agentV2+"image/import", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("x-microk8s-callback-token") != callbackToken() {
			agentError(w, 401, errors.New("not authorized to upload images to this node"))
			return
		}
		content, _ := io.ReadAll(r.Body)
		importImages(content)
		kube.WriteJSON(w, 200, kube.Object{})
	})
	pair, err := tls.LoadX509KeyPair(orElse(argument("cluster-agent", "--certfile"), certPath("server.crt")), orElse(argument("cluster-agent", "--keyfile"), certPath("server.key")))
	if err != nil {
		fmt.Println("Failed to listen:", err)
		return 1
	}
	fmt.Printf("Starting cluster agent on https://%s\n", agentAddress())
	if err := kube.ServeTLS(agentAddress(), &tls.Config{Certificates: []tls.Certificate{pair}}, mux); err != nil {
		fmt.Println("Failed to listen:", err)
		return 1
	}
	select {}
}

func agentError(w http.ResponseWriter, code int, err error) {
	kube.WriteJSON(w, code, kube.Object{"error": err.Error()})
}

// watchLaunchFiles applies and renames; a failure is a line in the journal, every five seconds.
func watchLaunchFiles() {
	fmt.Println("Starting watch for launch configurations")
	for {
		time.Sleep(5 * time.Second)
		files, _ := filepath.Glob(launcherFile("*.yaml"))
		for _, file := range files {
			fmt.Println("Applying", file)
			if err := applyLaunchFile(file, false); err != nil {
				fmt.Printf("Failed to apply configuration file %s: %v\n", file, err)
				continue
			}
			os.Rename(file, file+".applied")
			fmt.Println("Successfully applied", file)
		}
	}
}

// consumeToken looks a token up; one without a time is gone afterwards.
func consumeToken(token string) bool {
	if hasLine(credential("persistent-cluster-tokens.txt"), token) {
		return true
	}
	path := credential("cluster-tokens.txt")
	content, _ := os.ReadFile(path)
	valid, once := false, false
	var kept []string
	for _, line := range strings.Split(strings.TrimSpace(string(content)), "\n") {
		name, expiry, timed := strings.Cut(strings.TrimSpace(line), "|")
		end, _ := strconv.ParseInt(expiry, 10, 64)
		switch {
		case name != token:
			kept = append(kept, line)
		case timed:
			valid = valid || time.Now().Unix() <= end
			kept = append(kept, line)
		default:
			valid, once = true, true
		}
	}
	if once {
		writeOwned(path, strings.Join(kept, "\n")+"\n")
	}
	return valid && token != ""
}

func hasLine(path, wanted string) bool {
	content, _ := os.ReadFile(path)
	for _, line := range strings.Split(string(content), "\n") {
		if wanted != "" && strings.TrimSpace(line) == wanted {
			return true
		}
	}
	return false
}

func callbackToken() string {
	if token, err := kube.ReadLine(credential("callback-token.txt")); err == nil && token != "" {
		return token
	}
	token := kube.RandomLetters(64)
	os.WriteFile(credential("callback-token.txt"), []byte(token+"\n"), 0o600)
	return token
}

// acceptJoin serves a joining node; the token is gone even where the node is refused.
func acceptJoin(wanted joinRequest, r *http.Request) (*joinAnswer, int, error) {
	if !consumeToken(wanted.Token) {
		return nil, 500, errors.New("invalid token")
	}
	if !locked("ha-cluster") {
		return nil, 501, errors.New("not possible to join. This is not an HA MicroK8s cluster")
	}
	if _, port, _ := net.SplitHostPort(agentAddress()); port != wanted.Port {
		return nil, 502, fmt.Errorf("the port of the cluster agent port has to be set to %s", port)
	}
	remote, _, _ := net.SplitHostPort(r.RemoteAddr)
	host, _, _ := net.SplitHostPort(r.Host)
	if remote == host {
		return nil, 503, fmt.Errorf("the joining node has the same IP (%s) as the node we contact", host)
	}
	if err := moveDqlite(host, remote); err != nil {
		return nil, 500, fmt.Errorf("failed to retrieve dqlite cluster nodes: %w", err)
	}
	if err := touchLock("no-cert-reissue"); err != nil {
		return nil, 500, err
	}
	read := func(path string) string { content, _ := os.ReadFile(path); return string(content) }
	reply := &joinAnswer{CA: read(certPath("ca.crt")), CallbackToken: callbackToken(), APIPort: apiPort(), AuthorizationMode: argument("kube-apiserver", "--authorization-mode"),
		KubeletArgs: read(argsPath("kubelet")), HostnameOverride: remote, ClusterCIDR: argument("kube-proxy", "--cluster-cidr")}
	if wanted.Worker {
		for _, use := range []string{"-kubelet", "-proxy"} {
			if err := appendLine(credential("certs-request-tokens.txt"), wanted.Token+use); err != nil {
				return nil, 500, err
			}
		}
		return reply, 200, nil
	}
	key := read(certPath("ca.key"))
	reply.CAKey, reply.ServiceKey = &key, read(certPath("serviceaccount.key"))
	reply.ClusterCert, reply.ClusterKey = read(backend("cluster.crt")), read(backend("cluster.key"))
	for _, m := range knownMembers() {
		if m.Role == 0 {
			reply.Voters = append(reply.Voters, m.Address)
		}
	}
	return reply, 200, nil
}

var memberShape = regexp.MustCompile(`Address: (\S+)\s+ID: (\d+)\s+Role: (\d)`)

// knownMembers is what cluster.yaml says.
func knownMembers() []member {
	content, _ := os.ReadFile(backend("cluster.yaml"))
	var list []member
	for _, found := range memberShape.FindAllStringSubmatch(string(content), -1) {
		role, _ := strconv.Atoi(found[3])
		list = append(list, member{Address: found[1], Role: role})
	}
	return list
}

// moveDqlite takes the first member from the loopback address to the one that the other node called.
func moveDqlite(host, remote string) error {
	members := knownMembers()
	for _, m := range members {
		if strings.HasPrefix(m.Address, remote+":") {
			return fmt.Errorf("the joining node (%s) is already known to dqlite", remote)
		}
	}
	if len(members) != 1 || !strings.HasPrefix(members[0].Address, "127.0.0.1:") {
		return nil
	}
	if !ownAddress(host) {
		return fmt.Errorf("failed to find matching dqlite bind address for %s: no interface has it", host)
	}
	if err := writeOwned(backend("update.yaml"), "Address: "+host+":19001\n"); err != nil {
		return err
	}
	if err := systemctl("restart", unitOf("k8s-dqlite")); err != nil {
		return err
	}
	for waited := 0; waited < 100; waited++ {
		if members := knownMembers(); len(members) > 0 && !strings.HasPrefix(members[0].Address, "127.0.0.1:") {
			return nil
		}
		time.Sleep(300 * time.Millisecond)
	}
	return errors.New("failed waiting for dqlite cluster to come up: timed out")
}

// signForNode signs a worker's request, once for each token.
func signForNode(wanted signRequest) ([]byte, error) {
	path := credential("certs-request-tokens.txt")
	if !hasLine(path, wanted.Token) {
		return nil, errors.New("invalid token")
	}
	content, _ := os.ReadFile(path)
	writeOwned(path, strings.Replace(string(content), wanted.Token+"\n", "", 1))
	block, _ := pem.Decode([]byte(wanted.Request))
	if block == nil {
		return nil, errors.New("failed to sign certificate: no request")
	}
	request, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, err
	}
	by, err := loadAuthority("ca")
	if err != nil {
		return nil, err
	}
	var hosts []string
	for _, address := range request.IPAddresses {
		hosts = append(hosts, address.String())
	}
	return sign(by, template(request.Subject.CommonName, request.Subject.Organization, clientDays), append(hosts, request.DNSNames...), request.PublicKey)
}

func configureNode(w http.ResponseWriter, r *http.Request) {
	var wanted configureRequest
	json.NewDecoder(r.Body).Decode(&wanted)
	if wanted.Callback != callbackToken() {
		agentError(w, 500, errors.New("invalid token"))
		return
	}
	for _, service := range wanted.Service {
		for _, update := range service.Update {
			for name, value := range update {
				setArgument(service.Name, name, text(value))
			}
		}
		for _, name := range service.Remove {
			setArgument(service.Name, name, nil)
		}
		if service.Restart {
			unit := service.Name
			if strings.HasPrefix(unit, "kube") || unit == "apiserver" {
				unit = "kubelite"
			}
			systemctl("restart", unitOf(unit))
		}
	}
	kube.WriteJSON(w, 200, kube.Object{"result": "ok"})
}
