// The certificates of a controller, in the files and with the modes of the real program.
package main

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"

	"standin/kube"
)

// certificate is one pair of files below pki/.
type certificate struct {
	name  string
	who   kube.Subject
	owner string
}

// issueCertificates makes what is missing or does not fit any more, and the kubeconfigs.
func (c *controller) issueCertificates() error {
	pki := c.v.CertRootDir
	var err error
	if c.ca, err = authority(filepath.Join(pki, "ca"), "kubernetes-ca"); err != nil {
		return err
	}
	if _, err = authority(filepath.Join(pki, "front-proxy-ca"), "kubernetes-front-proxy-ca"); err != nil {
		return err
	}
	hosts := c.serverNames()
	for _, wanted := range []certificate{
		{"admin", kube.Subject{Name: "kubernetes-admin", Groups: []string{"system:masters"}}, "root"},
		{"konnectivity", kube.Subject{Name: "kubernetes-konnectivity", Groups: []string{"system:masters"}}, "konnectivity-server"},
		{"ccm", kube.Subject{Name: "system:kube-controller-manager", Groups: []string{"system:kube-controller-manager"}}, "kube-apiserver"},
		{"scheduler", kube.Subject{Name: "system:kube-scheduler", Groups: []string{"system:kube-scheduler"}}, "kube-scheduler"},
		{"apiserver-kubelet-client", kube.Subject{Name: "apiserver-kubelet-client", Groups: []string{"system:masters"}}, "kube-apiserver"},
		{"server", kube.Subject{Name: "kubernetes", Groups: []string{"kubernetes"}, Hosts: hosts}, "kube-apiserver"},
		{"k0s-api", kube.Subject{Name: "k0s-api", Groups: []string{"kubernetes"}, Hosts: hosts}, "kube-apiserver"},
	} {
		if err := issue(c.ca, filepath.Join(pki, wanted.name), wanted); err != nil {
			return err
		}
	}
	if err := makeKeyPair(filepath.Join(pki, "sa")); err != nil {
		return err
	}
	for name, mode := range map[string]os.FileMode{"admin": 0o600, "konnectivity": 0o640, "ccm": 0o600, "scheduler": 0o600} {
		if err := c.writeKubeconfig(name, mode); err != nil {
			return err
		}
	}
	return nil
}

func authority(path, name string) (*kube.Authority, error) {
	found, err := kube.LoadAuthority(path, name)
	if err != nil {
		return nil, err
	}
	own(path+".key", "root", 0o640)
	return found, nil
}

func issue(by *kube.Authority, path string, wanted certificate) error {
	if err := by.Issue(path, wanted.who); err != nil {
		return err
	}
	own(path+".key", wanted.owner, 0o640)
	return nil
}

// own sets owner and mode; a user that is not there is replaced by root.
func own(path, name string, mode os.FileMode) {
	id := 0
	if found, err := user.Lookup(name); err == nil {
		id, _ = strconv.Atoi(found.Uid)
	}
	os.Chmod(path, mode)
	os.Chown(path, id, -1)
}

func makeKeyPair(path string) error {
	if kube.Exists(path+".key") && kube.Exists(path+".pub") {
		return nil
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return err
	}
	private := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	if err := os.WriteFile(path+".key", private, 0o640); err != nil {
		return err
	}
	own(path+".key", "kube-apiserver", 0o640)
	return os.WriteFile(path+".pub", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}), 0o644)
}

// serverNames are all names and addresses under which the API server may be called.
func (c *controller) serverNames() []string {
	spec := c.config.Spec
	domain := spec.Network.ClusterDomain
	names := []string{"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc." + domain, "localhost", "127.0.0.1", "::1"}
	if host := spec.API.externalHost(); host != "" {
		names = append(names, host)
	}
	names = append(names, spec.API.Address)
	names = append(names, spec.API.SANs...)
	addresses, _ := net.InterfaceAddrs()
	for _, address := range addresses {
		if network, ok := address.(*net.IPNet); ok && !network.IP.IsLoopback() {
			names = append(names, network.IP.String())
		}
	}
	return append(names, kube.ServiceAddress(spec.Network.ServiceCIDR, 1))
}

func (c *controller) localURL() string {
	if c.config.Spec.API.OnlyBindToAddress {
		return "https://" + net.JoinHostPort(c.config.Spec.API.Address, fmt.Sprint(c.config.Spec.API.Port))
	}
	return fmt.Sprintf("https://localhost:%d", c.config.Spec.API.Port)
}

func (c *controller) writeKubeconfig(name string, mode os.FileMode) error {
	base := filepath.Join(c.v.CertRootDir, name)
	cert, err := os.ReadFile(base + ".crt")
	if err != nil {
		return err
	}
	key, err := os.ReadFile(base + ".key")
	if err != nil {
		return err
	}
	text := kube.KubeconfigText(kube.ContextNames{Cluster: "local", User: "user", Context: "Default"}, c.localURL(), c.ca.PEM, bytes.TrimSpace(cert), key)
	if err := os.WriteFile(base+".conf", []byte(text), mode); err != nil {
		return err
	}
	return os.Chmod(base+".conf", mode)
}
