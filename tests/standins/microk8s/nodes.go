// Nodes that come and go: `add-node`, `join`, `leave`, `remove-node`.
package main

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"standin/kube"
)

const tokenLength, checkLength = 32, 12

func runAddNode(words []string) int {
	if locked("clustered.lock") {
		fmt.Println(actingAsNode + " Please use the microk8s add-node on the master.")
		return 1
	}
	formats := shuffled("pretty", "short", "token", "token-check", "json", "yaml")
	usage := "[-h] [--token-ttl TOKEN_TTL] [--token TOKEN]\n                         [--format {" + strings.Join(formats, ",") + "}]"
	if strings.Contains(strings.Join(words, " "), "help") {
		fmt.Printf("usage: microk8s add-node %s\n\nProduce a connection string for a node to join the cluster.\n", usage)
		return 0
	}
	if refuseUnprivileged() || refuseStrangers() || refuseStopped() {
		return 1
	}
	path := credential("cluster-tokens.txt")
	if !kube.Exists(path) {
		writeOwned(path, "")
	}
	options := []option{{names: []string{"--token-ttl", "-l"}, value: true, integer: true}, {names: []string{"--token", "-t"}, value: true},
		{names: []string{"--format"}, value: true, choices: formats}, {names: []string{"-h", "--help"}}}
	found, problem := parseArgparse(options, words)
	if problem == "" && len(found.words) > 0 {
		problem = "unrecognized arguments: " + strings.Join(found.words, " ")
	}
	if problem != "" {
		return refuseArgparse("microk8s add-node", usage, problem)
	}
	if found.has("-h") {
		fmt.Printf("usage: microk8s add-node %s\n", usage)
		return 0
	}
	token := kube.RandomHex(16)
	if found.has("--token") {
		token = found.values["--token"]
	}
	if len(token) < tokenLength {
		fmt.Println("Invalid token size.  It must be 32 characters long.")
		return 1
	}
	line, seconds := token, -1
	if found.has("--token-ttl") {
		seconds, _ = strconv.Atoi(strings.TrimSpace(found.values["--token-ttl"]))
	}
	if seconds != -1 {
		line = fmt.Sprintf("%s|%d", token, time.Now().Unix()+int64(seconds))
	}
	if err := appendLine(path, line); err != nil {
		return pythonTraceback(err)
	}
	check, err := serverCheck()
	if err != nil {
		fmt.Println("Failed to call utility function.")
		return 1
	}
	showToken(orElse(found.values["--format"], "pretty"), token, check)
	return 0
}

func showToken(format, token, check string) {
	port, whole := agentPort(), token+"/"+check
	at := func(address string) string { return fmt.Sprintf("%s:%s/%s", address, port, whole) }
	addresses := hostAddresses()
	if len(addresses) == 0 {
		addresses = []string{"none"}
	}
	switch format {
	case "token":
		fmt.Println(token)
	case "token-check":
		fmt.Println(whole)
	case "short":
		fmt.Println("microk8s join " + at(defaultAddress()))
		for _, address := range addresses {
			if address != defaultAddress() {
				fmt.Println("microk8s join " + at(address))
			}
		}
	case "json":
		var urls []string
		for _, address := range addresses {
			urls = append(urls, "    \""+at(address)+"\"")
		}
		fmt.Printf("{\n  \"token\": %q,\n  \"urls\": [\n%s\n  ]\n}\n", whole, strings.Join(urls, ",\n"))
	case "yaml":
		fmt.Printf("token: %s\nurls:\n", whole)
		for _, address := range addresses {
			fmt.Println("- " + at(address))
		}
		fmt.Println()
	default:
		fmt.Printf("From the node you wish to join to this cluster, run the following:\nmicrok8s join %s\n\n", at(defaultAddress()))
		if locked("ha-cluster") {
			fmt.Printf("Use the '--worker' flag to join a node as a worker not running the control plane, eg:\nmicrok8s join %s --worker\n\n", at(defaultAddress()))
		}
		fmt.Println("If the node you are adding is not reachable through the default interface you can use one of the following:")
		for _, address := range addresses {
			fmt.Println("microk8s join " + at(address))
		}
	}
}

const badConnection = "Expected format: <master_IP>:<master_PORT>/<token>[/<fingerprint>]"

// connection is the address of a node to join at.
type connection struct{ host, port, token, check string }

func parseConnection(given string) (connection, string) {
	parts := strings.Split(given, "/")
	if len(parts) != 2 && len(parts) != 3 {
		return connection{}, badConnection
	}
	endpoint := strings.Split(parts[0], ":")
	if len(endpoint) != 2 {
		return connection{}, badConnection
	}
	if !isAddress(endpoint[0]) {
		return connection{}, "Invalid master IP"
	}
	port, err := strconv.Atoi(strings.TrimSpace(endpoint[1]))
	switch {
	case err != nil:
		return connection{}, "Master PORT not a number"
	case port < 1 || port > 65535:
		return connection{}, "Master PORT not in range 1:65535"
	case len(parts[1]) < tokenLength:
		return connection{}, "Cluster token size should be at least 32 bytes"
	case len(parts) == 3 && len(parts[2]) < checkLength:
		return connection{}, "Fingerprint should be at least 12 bytes"
	}
	return connection{endpoint[0], endpoint[1], parts[1], append(parts, "")[2]}, ""
}

var joinCommand = clickCommand{program: "microk8s join", usage: "[OPTIONS] CONNECTION", help: "-h", ignoreUnknown: true, required: []string{"CONNECTION"},
	options: []option{{names: []string{"--worker"}}, {names: []string{"--controlplane"}}, {names: []string{"--skip-verify"}}, {names: []string{"--disable-low-memory-guard"}}}}

func runJoin(words []string) int {
	if kube.Exists(filepath.Join(snapCommon(), "default-storage")) {
		fmt.Print("WARNING: Hostpath storage is enabled and is not suitable for multi node clusters.\n\n")
	}
	if refuseStrangers() {
		return 1
	}
	found, code := joinCommand.parse(words)
	if found == nil {
		return code
	}
	at, problem := parseConnection(found.words[0])
	if problem != "" {
		fmt.Println("Invalid connection:", problem)
		return 1
	}
	worker := found.has("--worker") || found.has("--controlplane") // both give a text that counts as true
	if found.has("--disable-low-memory-guard") {
		os.Remove(lockPath("low-memory-guard.lock"))
	}
	if locked("low-memory-guard.lock") && !worker {
		fmt.Printf("\nThis node does not have enough RAM to host the Kubernetes control plane services\nand join the database quorum. You may consider joining this node as a worker instead:\n\n"+
			"    microk8s join %[1]s --worker\n\nIf you would still like to join the cluster as a control plane node, use:\n\n    microk8s join %[1]s --disable-low-memory-guard\n\n\n", found.words[0])
		return 1
	}
	touchLock("join-in-progress")
	if code := joinCluster(at, found.has("--worker") && !found.has("--controlplane"), !found.has("--skip-verify")); code != 0 {
		return code
	}
	os.Remove(lockPath("join-in-progress"))
	fmt.Println("Successfully joined the cluster.")
	return 0
}

// connectionError is a traceback of Python, with its last line.
func connectionError(err error) int {
	name := "OSError: " + err.Error()
	if strings.Contains(err.Error(), "refused") {
		name = "ConnectionRefusedError: [Errno 111] Connection refused"
	} else if strings.Contains(err.Error(), "no route") {
		name = "OSError: [Errno 113] No route to host"
	}
	fmt.Fprintf(os.Stderr, "Traceback (most recent call last):\n  File \"%s/scripts/wrappers/join.py\", line 1, in <module>\n%s\n", snapDir(), name)
	return 1
}

var agentHTTP = &http.Client{Timeout: 240 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}

func joinCluster(at connection, worker, verify bool) int {
	fmt.Println("Contacting cluster at", at.host)
	address := net.JoinHostPort(at.host, at.port)
	probe, err := tls.DialWithDialer(&net.Dialer{Timeout: 130 * time.Second}, "tcp", address, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		var record tls.RecordHeaderError
		if errors.As(err, &record) {
			fmt.Printf("Peer node verification failed with %v.\n", err)
			return 4
		}
		return connectionError(err)
	}
	sum := sha256.Sum256(probe.ConnectionState().PeerCertificates[0].Raw)
	probe.Close()
	if verify && at.check != "" && !strings.HasPrefix(hex.EncodeToString(sum[:]), at.check) {
		fmt.Printf("Joining cluster failed. Could not verify the identity of %s. Use '--skip-verify' to skip server certificate check.\n", at.host)
		return 4
	}
	_, port, _ := net.SplitHostPort(agentAddress())
	body := kube.ToJSON(kube.Object{"token": at.token, "hostname": hostName(), "port": port, "worker": worker, "can_handle_x509_auth": true, "can_handle_custom_etcd": true})
	response, err := agentHTTP.Post("https://"+address+agentV2+"join", "application/json", strings.NewReader(body))
	if err != nil {
		var failure *url.Error
		errors.As(err, &failure)
		return connectionError(err)
	}
	defer response.Body.Close()
	content, _ := io.ReadAll(response.Body)
	if response.StatusCode != 200 {
		message := "Connection failed."
		if text := kube.TextAt(kube.Decode(content), "error"); text != "" {
			message += " " + text
		}
		fmt.Printf("%s (%d).\n", message, response.StatusCode)
		return 6
	}
	var info joinAnswer
	if err := json.Unmarshal(content, &info); err != nil {
		return pythonTraceback(err)
	}
	if own := argument("kube-proxy", "--cluster-cidr"); info.ClusterCIDR != own {
		fmt.Printf("WARNING: Joining a cluster that has a different CIDR. The kube-proxy CIDR configuration will be overwritten.\nCluster CIDR: %s -- Node CIDR: %s(will be overwritten)\n",
			info.ClusterCIDR, own)
		setArgument("kube-proxy", "--cluster-cidr", text(info.ClusterCIDR))
	}
	if worker {
		return joinAsWorker(at, info)
	}
	return joinAsController(at, info)
}

// takeKubeletArguments overwrites the file with that of the other node.
func takeKubeletArguments(info joinAnswer) {
	setArgument("kube-apiserver", "--authorization-mode", text(info.AuthorizationMode))
	setArgument("kube-apiserver", "--secure-port", text(info.APIPort))
	writeOwned(argsPath("kubelet"), info.KubeletArgs)
	if strings.Contains(info.KubeletArgs, "--node-ip") {
		setArgument("kubelet", "--node-ip", text(info.HostnameOverride))
	}
	setArgument("kubelet", "--hostname-override", nil)
	os.WriteFile(credential("callback-token.txt"), []byte(info.CallbackToken+"\n"), 0o600)
}

func joinAsController(at connection, info joinAnswer) int {
	if info.CAKey == nil {
		return pythonTraceback(errors.New("no key of the CA"))
	}
	for name, content := range map[string]string{"ca.crt": info.CA, "ca.key": *info.CAKey, "serviceaccount.key": info.ServiceKey} {
		if before, err := os.ReadFile(certPath(name)); err == nil {
			writeOwned(certPath(name+".backup"), string(before))
		}
		writeOwned(certPath(name), content)
	}
	if err := createUserFiles(); err != nil {
		return pythonTraceback(err)
	}
	takeKubeletArguments(info)
	systemctl("stop", unitOf("kubelite"), unitOf("k8s-dqlite"))
	if _, err := ensureServerOfAuthority(); err != nil { // the kicker does it, for which the real one waits ten seconds
		return pythonTraceback(err)
	}
	backup := strings.TrimRight(backend(""), "/") + ".backup"
	os.RemoveAll(backup)
	os.Rename(strings.TrimRight(backend(""), "/"), backup)
	if err := os.MkdirAll(backend(""), 0o770); err != nil {
		return pythonTraceback(err)
	}
	writeOwned(backend("cluster.crt"), info.ClusterCert)
	writeOwned(backend("cluster.key"), info.ClusterKey)
	start := fmt.Sprintf("Address: %s:19001\nCluster:\n", info.HostnameOverride)
	for _, voter := range info.Voters {
		start += "- " + voter + "\n"
	}
	writeOwned(backend("init.yaml"), start)
	systemctl("start", unitOf("k8s-dqlite"))
	awaitMember(info.HostnameOverride)
	systemctl("start", unitOf("kubelite"))
	systemctl("restart", unitOf("cluster-agent"))
	touchLock("cni-loaded")
	touchLock("no-cert-reissue")
	return 0
}

// awaitMember waits ten rounds, and goes on whatever came of it.
func awaitMember(address string) {
	fmt.Print("Waiting for this node to finish joining the cluster. ")
	for waits := 10; waits > 0; waits-- {
		out, err := askForMembers()
		if err == nil && strings.Contains(out, address) {
			break
		}
		pause := 2.0
		if err == nil {
			fmt.Print(". ")
			pause = 5
		} else {
			fmt.Print(".. ")
		}
		time.Sleep(kube.SecondsFromEnvironment("STANDIN_DQLITE_PAUSE_SECONDS", pause))
	}
	fmt.Println(" ")
}

func joinAsWorker(at connection, info joinAnswer) int {
	if info.CAKey != nil {
		fmt.Println("Joining process failed. Make sure the cluster you connect to supports joining worker nodes.")
		return 1
	}
	writeOwned(certPath("ca.remote.crt"), info.CA)
	takeKubeletArguments(info)
	subjects := identities()
	for file, use := range map[string]string{"proxy": "-proxy", "kubelet": "-kubelet"} {
		if code := requestCertificate(at, file, at.token+use, subjects[file]); code != 0 {
			return code
		}
	}
	setArgument("kubelet", "--client-ca-file", text("${SNAP_DATA}/certs/ca.remote.crt"))
	setArgument("kubelet", "--node-labels", text("microk8s.io/cluster=true,node.kubernetes.io/microk8s-worker=microk8s-worker"))
	for _, file := range []string{"proxy", "kubelet"} {
		if err := writeKubeconfig(file, subjects[file].Name, "ca.remote.crt"); err != nil {
			return pythonTraceback(err)
		}
	}
	os.Remove(lockPath("no-apiserver-proxy"))
	writeProvider([]string{net.JoinHostPort(at.host, info.APIPort)})
	systemctl("stop", unitOf("kubelite")) // frees the port
	for _, lock := range []string{"clustered.lock", "no-k8s-dqlite"} {
		touchLock(lock)
	}
	for _, service := range []string{"k8s-dqlite", "apiserver-kicker", "apiserver-proxy", "kubelite"} {
		systemctl("restart", unitOf(service))
	}
	touchLock("no-cert-reissue")
	fmt.Print("\nThe node has joined the cluster and will appear in the nodes list in a few seconds.\n\nThis worker node gets automatically configured with the API server endpoints.\n" +
		"If the API servers are behind a loadbalancer please set the '--refresh-interval' to '0s' in:\n    /var/snap/microk8s/current/args/apiserver-proxy\n" +
		"and replace the API server endpoints with the one provided by the loadbalancer in:\n    /var/snap/microk8s/current/args/traefik/provider.yaml\n\n")
	return 0
}

// requestCertificate lets the other node sign for this one.
func requestCertificate(at connection, file, token string, who kube.Subject) int {
	if _, err := clientKey(file); err != nil {
		return pythonTraceback(err)
	}
	key, err := loadKey(certPath(file + ".key"))
	if err != nil {
		return pythonTraceback(err)
	}
	wanted := &x509.CertificateRequest{Subject: pkix.Name{CommonName: who.Name, Organization: who.Groups}}
	for _, host := range who.Hosts {
		if ip := net.ParseIP(host); ip != nil {
			wanted.IPAddresses = append(wanted.IPAddresses, ip)
		} else {
			wanted.DNSNames = append(wanted.DNSNames, host)
		}
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, wanted, key)
	if err != nil {
		return pythonTraceback(err)
	}
	body, _ := json.Marshal(signRequest{token, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))})
	response, err := agentHTTP.Post("https://"+net.JoinHostPort(at.host, at.port)+agentV1+"sign-cert", "application/json", bytes.NewReader(body))
	if err != nil {
		return connectionError(err)
	}
	defer response.Body.Close()
	content, _ := io.ReadAll(response.Body)
	if response.StatusCode != 200 {
		fmt.Printf("Failed to sign %s certificate (%d). %s\n", file, response.StatusCode, kube.TextAt(kube.Decode(content), "error"))
		return 1
	}
	writeOwned(certPath(file+".crt"), kube.TextAt(kube.Decode(content), "certificate"))
	return 0
}

func runLeave(words []string) int {
	if refuseStopped() || refuseUnprivileged() || refuseStrangers() {
		return 1
	}
	if !locked("no-cert-reissue") || !locked("clustered.lock") && !kube.Exists(argsPath("k8s-dqlite")) {
		fmt.Println("This MicroK8s deployment is not acting as a node in a cluster.")
		return 1
	}
	found, code := clickCommand{program: "microk8s leave", usage: "[OPTIONS]", help: "-h"}.parse(words)
	if found == nil {
		return code
	}
	if locked("clustered.lock") {
		return leaveAsWorker()
	}
	return leaveAsController()
}

func leaveAsWorker() int {
	fmt.Println("Configuring services.")
	touchLock("no-apiserver-proxy")
	systemctl("stop", unitOf("apiserver-proxy"), unitOf("kubelite"))
	os.Remove(certPath("ca.remote.crt"))
	fmt.Println("Generating new cluster certificates.")
	for _, name := range []string{"kubelet", "kube-proxy"} {
		writeOwned(argsPath(name), defaultArguments()[name])
	}
	for _, lock := range []string{"clustered.lock", "no-k8s-dqlite"} {
		if !locked(lock) {
			fmt.Println("Not in clustering mode.")
			return 2
		}
		os.Remove(lockPath(lock))
	}
	os.Remove(lockPath("no-cert-reissue"))
	return startOver()
}

// startOver makes a fresh single node with its own certificates.
func startOver() int {
	os.RemoveAll(strings.TrimRight(backend(""), "/"))
	os.Remove(lockPath("cni-loaded"))
	if err := initBackend(); err != nil {
		return pythonTraceback(err)
	}
	if err := createUserFiles(); err != nil {
		return pythonTraceback(err)
	}
	for _, service := range []string{"containerd", "k8s-dqlite", "kubelite", "apiserver-kicker", "cluster-agent"} {
		systemctl("restart", unitOf(service))
	}
	fmt.Print("Waiting for node to start. ")
	for waits := 10; waits > 0; waits-- {
		if _, err := kubectlOutput("get", "service/kubernetes"); err == nil {
			break
		}
		fmt.Print(". ")
		time.Sleep(kube.SecondsFromEnvironment("STANDIN_DQLITE_PAUSE_SECONDS", 5))
	}
	fmt.Println(" ")
	return 0
}

// endpoints are dqlite's addresses of this node, and of the others.
func endpoints() (own, other []string, roles map[string]int, err error) {
	out, err := askForMembers()
	if err != nil {
		return nil, nil, nil, err
	}
	var members []member
	if err := json.Unmarshal([]byte(out), &members); err != nil {
		return nil, nil, nil, err
	}
	roles = map[string]int{}
	for _, m := range members {
		roles[m.Address] = m.Role
		host, _, _ := net.SplitHostPort(m.Address)
		if ownAddress(host) {
			own = append(own, m.Address)
		} else {
			other = append(other, m.Address)
		}
	}
	return own, other, roles, nil
}

func leaveAsController() int {
	own, other, roles, err := endpoints()
	if err != nil {
		return pythonTraceback(err)
	}
	voters, isVoter := 0, false
	for address, role := range roles {
		if role == 0 {
			voters++
			for _, each := range own {
				isVoter = isVoter || each == address
			}
		}
	}
	if voters == 1 && isVoter && len(roles) > 1 {
		fmt.Println("This node currently holds the only copy of the Kubernetes database so it cannot leave the cluster.\nTo remove this node you can either first remove all other " +
			"nodes with 'microk8s remove-node' or\nform a highly available cluster by adding at least three nodes.")
		return 3
	}
	systemctl("stop", unitOf("kubelite"), unitOf("k8s-dqlite"))
	time.Sleep(kube.SecondsFromEnvironment("STANDIN_LEAVE_SECONDS", 1)) // the real one waits ten
	if len(own) > 0 && !strings.HasPrefix(own[0], "127.0.0.1") && len(other) > 0 {
		if code := removeMember(own[0], other); code != 0 {
			return code
		}
	}
	fmt.Println("Generating new cluster certificates.")
	os.Remove(lockPath("no-cert-reissue"))
	return startOver()
}

func removeMember(gone string, through []string) int {
	for range through {
		if _, err := outputOf(filepath.Join(snapDir(), "bin", "dqlite"), "-s", "file://"+backend("cluster.yaml"), "-c", backend("cluster.crt"), "-k", backend("cluster.key"),
			"-f", "json", "k8s", ".remove "+gone); err != nil {
			fmt.Printf("Contacting node %s failed. Error:\nCalledProcessError(1, %q)\n", through[0], ".remove "+gone)
			return 2
		}
		break
	}
	return 0
}

func runRemoveNode(words []string) int {
	if refuseStrangers() {
		return 1
	}
	if locked("clustered.lock") {
		fmt.Println(actingAsNode + " Please use microk8s leave.")
		return 1
	}
	if len(words) == 0 {
		fmt.Println("Please provide the node you want to remove.")
		return 1
	}
	if locked("ha-cluster") && len(words) == 2 && words[1] != "--force" {
		fmt.Println("Please provide the node and the optional --force flag.")
		return 1
	}
	command := clickCommand{program: "microk8s remove-node", usage: "[OPTIONS] NODE", help: "--help", required: []string{"NODE"}, options: []option{{names: []string{"--force"}}}}
	found, code := command.parse(words)
	if found == nil {
		return code
	}
	if locked("ha-cluster") {
		return removeDqliteNode(found.words[0], found.has("--force"))
	}
	return removeKubernetesNode(found.words[0])
}

func nodeNamed(name string) (kube.Object, bool) {
	out, err := kubectlOutput("get", "no", name, "-o", "json")
	found, ok := kube.Decode([]byte(out)).(kube.Object)
	return found, err == nil && ok
}

func internalAddress(node any) string {
	for _, address := range kube.ListAt(node, "status", "addresses") {
		if kube.TextAt(address, "type") == "InternalIP" {
			return kube.TextAt(address, "address")
		}
	}
	return ""
}

func removeDqliteNode(name string, force bool) int {
	if isAddress(name) {
		out, err := kubectlOutput("get", "no", "-o", "json")
		if err != nil {
			return removeUnknown(name, force)
		}
		for _, node := range kube.ListAt(kube.Decode([]byte(out)), "items") {
			if internalAddress(node) == name {
				name = kube.NameOf(node.(kube.Object))
				break
			}
		}
	}
	node, found := nodeNamed(name)
	if !found {
		return removeUnknown(name, force)
	}
	address := internalAddress(node)
	if address == "" {
		fmt.Printf("Node %s is not part of the cluster.\n", name)
		return 1
	}
	own, other, _, err := endpoints()
	if err != nil {
		return removeUnknown(name, force)
	}
	for _, endpoint := range other {
		if !strings.HasPrefix(endpoint, address+":") {
			continue
		}
		if !force {
			fmt.Printf("Removal failed. Node %s is registered with dqlite. Please, run first 'microk8s leave' on the departing node. \n"+
				"If the node is not available anymore and will never attempt to join the cluster in the future use the '--force' flag \nto unregister the node while removing it.\n", name)
			return 1
		}
		if code := removeMember(endpoint, own); code != 0 {
			return code
		}
	}
	return removeKubernetesNode(name)
}

// removeUnknown still takes an address out of dqlite, and fails nevertheless.
func removeUnknown(name string, force bool) int {
	fmt.Printf("Node %s does not exist in Kubernetes.\n", name)
	if !force {
		return 1
	}
	fmt.Printf("Attempting to remove %s from dqlite.\n", name)
	own, other, _, err := endpoints()
	if err != nil {
		return pythonTraceback(err)
	}
	for _, endpoint := range other {
		if strings.HasPrefix(endpoint, name+":") {
			fmt.Println("Removing node entry found in dqlite.")
			removeMember(endpoint, own)
		}
	}
	return 1
}

func removeKubernetesNode(name string) int {
	if _, found := nodeNamed(name); !found {
		fmt.Printf("Node %s does not exist.\n", name)
		return 1
	}
	content, _ := os.ReadFile(credential("callback-tokens.txt"))
	kept := regexp.MustCompile(`(?m)^`+regexp.QuoteMeta(name)+`:.*\n?`).ReplaceAllString(string(content), "")
	os.WriteFile(credential("callback-tokens.txt"), []byte(kept), 0o600)
	if _, err := kubectlOutput("delete", "no", name); err != nil {
		return pythonTraceback(err)
	}
	return 0
}
