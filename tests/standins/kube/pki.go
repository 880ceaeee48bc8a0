// Certificate authorities and certificates (ECDSA), in the files where the real program keeps them.
package kube

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

type Authority struct {
	Cert *x509.Certificate
	Key  crypto.Signer
	PEM  []byte // the whole bundle of the file
}

func NewKey() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
}

func EncodeKey(key *ecdsa.PrivateKey) []byte {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		panic(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})
}

func encodeCert(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func serialNumber() *big.Int {
	number, _ := rand.Int(rand.Reader, big.NewInt(1<<62))
	return number
}

// LoadAuthority reads path.crt and path.key, made before with the given common name when they are not there.
func LoadAuthority(path, name string) (*Authority, error) {
	if _, err := os.Stat(path + ".crt"); os.IsNotExist(err) {
		if err := makeAuthority(path, name); err != nil {
			return nil, err
		}
	}
	bundle, err := os.ReadFile(path + ".crt")
	if err != nil {
		return nil, err
	}
	pair, err := tls.LoadX509KeyPair(path+".crt", path+".key")
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		return nil, err
	}
	signer, ok := pair.PrivateKey.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%s.key cannot sign", path)
	}
	return &Authority{cert, signer, bundle}, nil
}

func makeAuthority(path, name string) error {
	key := NewKey()
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: serialNumber(), Subject: pkix.Name{CommonName: name},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(10, 0, 0), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(path+".key", EncodeKey(key), 0o600); err != nil {
		return err
	}
	return os.WriteFile(path+".crt", encodeCert(der), 0o644)
}

type Subject struct {
	Name   string
	Groups []string
	Hosts  []string // names and addresses; empty for a client certificate
}

// Sign makes a certificate of one year for a public key; the CA's own certificates follow it.
func (a *Authority) Sign(who Subject, public crypto.PublicKey) ([]byte, error) {
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: serialNumber(), Subject: pkix.Name{CommonName: who.Name, Organization: who.Groups},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(1, 0, 0),
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if len(who.Hosts) > 0 {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	}
	NameHosts(template, who.Hosts)
	der, err := x509.CreateCertificate(rand.Reader, template, a.Cert, public, a.Key)
	if err != nil {
		return nil, err
	}
	return append(encodeCert(der), a.PEM...), nil
}

// NameHosts puts names and addresses of servers into a certificate.
func NameHosts(template *x509.Certificate, hosts []string) {
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
}

// SignRequest answers a certificate request, for the subject that we choose.
func (a *Authority) SignRequest(who Subject, request []byte) ([]byte, error) {
	parsed, err := x509.ParseCertificateRequest(request)
	if err != nil {
		return nil, err
	}
	return a.Sign(who, parsed.PublicKey)
}

// Issue writes path.crt and path.key, kept when the certificate still fits the CA and the hosts.
func (a *Authority) Issue(path string, who Subject) error {
	if pair, err := tls.LoadX509KeyPair(path+".crt", path+".key"); err == nil {
		cert, err := x509.ParseCertificate(pair.Certificate[0])
		if err == nil && cert.CheckSignatureFrom(a.Cert) == nil && covers(cert, who.Hosts) {
			return nil
		}
	}
	key := NewKey()
	cert, err := a.Sign(who, key.Public())
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(path+".key", EncodeKey(key), 0o600); err != nil {
		return err
	}
	return os.WriteFile(path+".crt", cert, 0o644)
}

func covers(cert *x509.Certificate, hosts []string) bool {
	for _, host := range hosts {
		if cert.VerifyHostname(host) != nil {
			return false
		}
	}
	return true
}

func CertPool(bundle []byte) *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(bundle)
	return pool
}

// RequestFor makes a certificate request with the key of a file, which is made when it is not there.
func RequestFor(keyFile string) ([]byte, error) {
	content, err := os.ReadFile(keyFile)
	if os.IsNotExist(err) {
		content = EncodeKey(NewKey())
		if err := os.WriteFile(keyFile, content, 0o600); err != nil {
			return nil, err
		}
	}
	block, _ := pem.Decode(content)
	if block == nil {
		return nil, errors.New("data does not contain a valid RSA or ECDSA private key")
	}
	key, err := x509.ParseECPrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	return x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
}
