// Certificates below certs/ and kubeconfigs below credentials/, as the snap's scripts make them.
package main

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"strings"
	"time"

	"standin/kube"
)

const (
	serverDays = 365
	clientDays = 3650
)

// makeRSAKey keeps a key that is there.
func makeRSAKey(path string) error {
	if kube.Exists(path) {
		return nil
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	block := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	return os.WriteFile(path, block, 0o600)
}

func loadKey(path string) (crypto.Signer, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(content)
	if block == nil {
		return nil, fmt.Errorf("%s holds no key", path)
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	if key, err := x509.ParseECPrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%s cannot sign", path)
	}
	return signer, nil
}

func serial() *big.Int {
	number, _ := rand.Int(rand.Reader, big.NewInt(1<<62))
	return number
}

func certificatePEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func template(name string, groups []string, days int) *x509.Certificate {
	return &x509.Certificate{SerialNumber: serial(), Subject: pkix.Name{CommonName: name, Organization: groups}, NotBefore: time.Now().Add(-time.Minute),
		NotAfter: time.Now().AddDate(0, 0, days)}
}

// selfSign makes a certificate authority for a key.
func selfSign(path, keyPath, name string) error {
	key, err := loadKey(keyPath)
	if err != nil {
		return err
	}
	made := template(name, nil, clientDays)
	made.IsCA, made.BasicConstraintsValid, made.KeyUsage = true, true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
	der, err := x509.CreateCertificate(rand.Reader, made, made, key.Public(), key)
	if err != nil {
		return err
	}
	return os.WriteFile(path, certificatePEM(der), 0o600)
}

func loadAuthority(name string) (*kube.Authority, error) {
	return kube.LoadAuthority(certPath(name), "")
}

// sign makes a certificate of the given authority.
func sign(by *kube.Authority, made *x509.Certificate, hosts []string, public crypto.PublicKey) ([]byte, error) {
	made.KeyUsage = x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment
	made.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	kube.NameHosts(made, hosts)
	der, err := x509.CreateCertificate(rand.Reader, made, by.Cert, public, by.Key)
	if err != nil {
		return nil, err
	}
	return certificatePEM(der), nil
}

// subjectNames reads a rendered csr.conf.
func subjectNames(content string) []string {
	var names []string
	for _, line := range strings.Split(content, "\n") {
		name, value, found := strings.Cut(line, "=")
		name = strings.TrimSpace(name)
		if found && (strings.HasPrefix(name, "DNS.") || strings.HasPrefix(name, "IP.")) {
			names = append(names, strings.TrimSpace(value))
		}
	}
	return names
}

// renderRequest writes csr.conf.rendered from the template and the host's addresses.
func renderRequest() (string, error) {
	content, err := os.ReadFile(certPath("csr.conf.template"))
	if err != nil {
		return "", err
	}
	var lines []string
	number := 3
	for _, address := range hostAddresses() {
		for bytes.Contains(content, []byte(fmt.Sprintf("\nIP.%d ", number))) {
			number++
		}
		lines = append(lines, fmt.Sprintf("IP.%d = %s", number, address))
		number++
	}
	rendered := strings.ReplaceAll(string(content), "#MOREIPS", strings.Join(lines, "\n"))
	return rendered, os.WriteFile(certPath("csr.conf.rendered"), []byte(rendered), 0o660)
}

// refreshRequest makes csr.conf that of the template.
func refreshRequest() error {
	rendered, err := renderRequest()
	if err != nil {
		return err
	}
	return os.WriteFile(certPath("csr.conf"), []byte(rendered), 0o660)
}

func issueServer() error {
	by, err := loadAuthority("ca")
	if err != nil {
		return err
	}
	key, err := loadKey(certPath("server.key"))
	if err != nil {
		return err
	}
	content, err := os.ReadFile(certPath("csr.conf"))
	if err != nil {
		return err
	}
	cert, err := sign(by, template("127.0.0.1", []string{"Canonical"}, serverDays), subjectNames(string(content)), key.Public())
	if err != nil {
		return err
	}
	return os.WriteFile(certPath("server.crt"), cert, 0o660)
}

func issueFrontProxy() error {
	by, err := loadAuthority("front-proxy-ca")
	if err != nil {
		return err
	}
	key, err := loadKey(certPath("front-proxy-client.key"))
	if err != nil {
		return err
	}
	cert, err := sign(by, template("front-proxy-client", nil, serverDays), nil, key.Public())
	if err != nil {
		return err
	}
	return os.WriteFile(certPath("front-proxy-client.crt"), cert, 0o660)
}

// produceCertificates makes what is missing, and issues anew when names or addresses changed. It tells whether it did.
func produceCertificates() (bool, error) {
	for _, name := range []string{"serviceaccount", "ca", "server", "front-proxy-ca", "front-proxy-client"} {
		if err := makeRSAKey(certPath(name + ".key")); err != nil {
			return false, err
		}
	}
	for name, subject := range map[string]string{"ca": "10.152.183.1", "front-proxy-ca": "front-proxy-ca"} {
		if !kube.Exists(certPath(name + ".crt")) {
			if err := selfSign(certPath(name+".crt"), certPath(name+".key"), subject); err != nil {
				return false, err
			}
		}
	}
	rendered, err := renderRequest()
	if err != nil {
		return false, err
	}
	before, _ := os.ReadFile(certPath("csr.conf"))
	if string(before) == rendered && kube.Exists(certPath("server.crt")) {
		return false, nil
	}
	if err := os.WriteFile(certPath("csr.conf"), []byte(rendered), 0o660); err != nil {
		return false, err
	}
	if err := issueServer(); err != nil {
		return false, err
	}
	return true, issueFrontProxy()
}

// ensureServerOfAuthority issues the server's certificate where it is of another authority, as after a join.
func ensureServerOfAuthority() (bool, error) {
	by, err := loadAuthority("ca")
	if err != nil {
		return false, err
	}
	cert, err := loadCertificate(certPath("server.crt"))
	if err == nil && cert.CheckSignatureFrom(by.Cert) == nil {
		return false, nil
	}
	return true, issueServer()
}

func loadCertificate(path string) (*x509.Certificate, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(content)
	if block == nil {
		return nil, fmt.Errorf("%s holds no certificate", path)
	}
	return x509.ParseCertificate(block.Bytes)
}

// serverCheck is the short fingerprint in join addresses.
func serverCheck() (string, error) {
	cert, err := loadCertificate(certPath("server.crt"))
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(cert.Raw)
	return hex.EncodeToString(sum[:])[:12], nil
}

// identities are the users of the node's own kubeconfigs.
func identities() map[string]kube.Subject {
	node := append([]string{hostName()}, hostAddresses()...)
	return map[string]kube.Subject{"client": {Name: "admin", Groups: []string{"system:masters"}}, "proxy": {Name: "system:kube-proxy"},
		"scheduler": {Name: "system:kube-scheduler"}, "controller": {Name: "system:kube-controller-manager"},
		"kubelet":                  {Name: "system:node:" + hostName(), Groups: []string{"system:nodes"}, Hosts: node},
		"apiserver-kubelet-client": {Name: "kube-apiserver-kubelet-client", Groups: []string{"system:masters"}}}
}

func createUserFiles() error {
	by, err := loadAuthority("ca")
	if err != nil {
		return err
	}
	for file, who := range identities() {
		public, err := clientKey(file)
		if err != nil {
			return err
		}
		cert, err := sign(by, template(who.Name, who.Groups, clientDays), who.Hosts, public)
		if err != nil {
			return err
		}
		if err := os.WriteFile(certPath(file+".crt"), cert, 0o660); err != nil {
			return err
		}
		if file == "apiserver-kubelet-client" {
			continue
		}
		user := who.Name
		if err := writeKubeconfig(file, user, "ca.crt"); err != nil {
			return err
		}
	}
	return nil
}

// clientKey is small, since each is made on a busy machine: an ECDSA key where the real one has RSA.
func clientKey(file string) (crypto.PublicKey, error) {
	path := certPath(file + ".key")
	if key, err := loadKey(path); err == nil {
		return key.Public(), nil
	}
	key := kube.NewKey()
	return key.Public(), os.WriteFile(path, kube.EncodeKey(key), 0o600)
}

func apiPort() string { return orElse(argument("kube-apiserver", "--secure-port"), "16443") }

func writeKubeconfig(file, user, authority string) error {
	ca, err := os.ReadFile(certPath(authority))
	if err != nil {
		return err
	}
	cert, err := os.ReadFile(certPath(file + ".crt"))
	if err != nil {
		return err
	}
	key, err := os.ReadFile(certPath(file + ".key"))
	if err != nil {
		return err
	}
	names := kube.ContextNames{Cluster: "microk8s-cluster", User: user, Context: "microk8s"}
	content := kube.KubeconfigText(names, "https://127.0.0.1:"+apiPort(), ca, cert, key)
	return writeOwned(credential(file+".config"), strings.Replace(content, "\nkind: Config\n", "\nkind: Config\npreferences: {}\n", 1))
}

func adminClient() (*kube.KubeClient, error) { return kube.LoadKubeconfig(credential("client.config")) }

// clusterTLS trusts only those who show the very certificate that all members of dqlite share.
func clusterTLS() (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(backend("cluster.crt"), backend("cluster.key"))
	if err != nil {
		return nil, err
	}
	same := func(raw [][]byte, _ [][]*x509.Certificate) error {
		if len(raw) == 0 || !bytes.Equal(raw[0], pair.Certificate[0]) {
			return errors.New("x509: certificate signed by unknown authority")
		}
		return nil
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, InsecureSkipVerify: true, ClientAuth: tls.RequireAnyClientCert, VerifyPeerCertificate: same}, nil
}

// initBackend makes the folder of a fresh dqlite with one member.
func initBackend() error {
	if err := os.MkdirAll(backend(""), 0o770); err != nil {
		return err
	}
	key := kube.NewKey()
	made := template("k8s", nil, clientDays)
	made.DNSNames, made.IPAddresses = []string{hostName()}, []net.IP{net.ParseIP("127.0.0.1")}
	der, err := x509.CreateCertificate(rand.Reader, made, made, key.Public(), (*ecdsa.PrivateKey)(key))
	if err != nil {
		return err
	}
	for name, content := range map[string][]byte{"cluster.crt": certificatePEM(der), "cluster.key": kube.EncodeKey(key), "init.yaml": []byte("Address: 127.0.0.1:19001\n")} {
		if err := os.WriteFile(backend(name), content, 0o660); err != nil {
			return err
		}
	}
	return nil
}
