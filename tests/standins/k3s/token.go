// Join tokens: their forms, and requests to a server's supervisor with them.
package main

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"standin/kube"
)

// access is a parsed token with the server it was checked against.
type access struct {
	user, password, bootstrap string
	hash                      string
	url                       string
	ca                        []byte
	certFile, keyFile         string
}

func parseToken(token string) (*access, error) {
	if token == "" {
		return nil, errors.New("token must not be empty")
	}
	rest, secure := strings.CutPrefix(token, "K10")
	if !secure {
		rest = ":::" + token
		if kube.BootstrapShape.MatchString(token) {
			rest = "::" + token
		}
	}
	parsed := &access{}
	if hash, credentials, found := strings.Cut(rest, "::"); found {
		if hash != "" && len(hash) != 64 {
			return nil, errors.New("invalid token CA hash length")
		}
		parsed.hash, rest = hash, credentials
	}
	if kube.BootstrapShape.MatchString(rest) {
		parsed.bootstrap = rest
		return parsed, nil
	}
	user, password, found := strings.Cut(rest, ":")
	if !found || password == "" {
		return nil, errors.New("invalid token format")
	}
	parsed.user, parsed.password = user, password
	return parsed, nil
}

var errNormalize = errors.New("failed to normalize server token; must be in format K10<CA-HASH>::<USERNAME>:<PASSWORD> or <PASSWORD>")

// normalizeToken gives the secret part of a server token.
func normalizeToken(token string) (string, error) {
	parsed, err := parseToken(token)
	if err != nil || parsed.bootstrap != "" {
		return "", errNormalize
	}
	return parsed.password, nil
}

func formatToken(credentials string, ca []byte) string {
	return "K10" + caHash(ca) + "::" + credentials
}

func (a *access) String() string {
	credentials := a.user + ":" + a.password
	if a.bootstrap != "" {
		credentials = a.bootstrap
	}
	return formatToken(credentials, a.ca)
}

// connect parses a token and checks the server's CA against the token's hash. knownCA may be empty.
func connect(server, token, user string, knownCA []byte, certFile, keyFile string) (*access, error) {
	a, err := parseToken(token)
	if err != nil {
		return nil, err
	}
	a.certFile, a.keyFile = certFile, keyFile
	if user != "" {
		a.user = user
	}
	if len(knownCA) > 0 && (a.hash == "" || a.hash == caHash(knownCA)) {
		a.ca, a.hash = knownCA, caHash(knownCA)
	}
	if err := a.setServer(server); err != nil {
		return nil, err
	}
	if a.hash == "" {
		kube.Warnf("Cluster CA certificate is not trusted by the host CA bundle, but the token does not include a CA hash. " +
			"Use the full token from the server's node-token file to enable Cluster CA validation.")
	} else if found := caHash(a.ca); found != a.hash {
		return nil, fmt.Errorf("token CA hash does not match the Cluster CA certificate hash: %s != %s", a.hash, found)
	}
	return a, nil
}

func (a *access) setServer(server string) error {
	parsed, err := url.Parse(server)
	if err != nil {
		return fmt.Errorf("Invalid server url, failed to parse: %s: %w", server, err)
	}
	if parsed.Scheme != "https" {
		return errors.New("only https:// URLs are supported, invalid scheme: " + server)
	}
	a.url = strings.TrimRight(server, "/")
	if len(a.ca) > 0 {
		return nil
	}
	insecure := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
	response, err := insecure.Get(a.url + "/cacerts")
	if err != nil {
		return fmt.Errorf("failed to get CA certs: %w", err)
	}
	if a.ca, err = readAnswer(response); err != nil {
		return fmt.Errorf("failed to get CA certs: %w", err)
	}
	if _, err := (&access{url: a.url, ca: a.ca}).get("/cacerts"); err != nil {
		return fmt.Errorf("CA cert validation failed: %w", err)
	}
	return nil
}

func (a *access) client(withCert bool, timeout time.Duration) *http.Client {
	config := &tls.Config{RootCAs: kube.CertPool(a.ca)}
	if pair, err := tls.LoadX509KeyPair(a.certFile, a.keyFile); err == nil && withCert {
		config.Certificates = []tls.Certificate{pair}
	}
	return &http.Client{Timeout: timeout, Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}
}

func (a *access) request(method, path string, body []byte) (*http.Request, error) {
	request, err := http.NewRequest(method, a.url+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if a.bootstrap != "" {
		request.Header.Set("Authorization", "Bearer "+a.bootstrap)
	} else if a.user != "" {
		request.SetBasicAuth(a.user, a.password)
	}
	return request, nil
}

func (a *access) do(method, path string, body []byte, timeout time.Duration) ([]byte, error) {
	request, err := a.request(method, path, body)
	if err != nil {
		return nil, err
	}
	response, err := a.client(true, timeout).Do(request)
	if err != nil {
		return nil, err
	}
	return readAnswer(response)
}

func (a *access) get(path string) ([]byte, error) { return a.do("GET", path, nil, 10*time.Second) }

// readAnswer turns a Status object of a failed request into its message.
func readAnswer(response *http.Response) ([]byte, error) {
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	if response.StatusCode >= 200 && response.StatusCode <= 299 {
		return body, nil
	}
	var status struct{ Kind, Message string }
	if json.Unmarshal(body, &status) == nil && status.Kind == "Status" {
		return nil, errors.New(status.Message)
	}
	return nil, fmt.Errorf("%s: %s", response.Request.URL, response.Status)
}

// caHash is the part of a K10 token that names the CA: of the file when it holds one certificate, else of the root.
func caHash(bundle []byte) string {
	var certs []*x509.Certificate
	for rest := bundle; ; {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		if block == nil {
			break
		}
		if cert, err := x509.ParseCertificate(block.Bytes); err == nil {
			certs = append(certs, cert)
		}
	}
	hashed := bundle
	if len(certs) > 1 {
		hashed = certs[len(certs)-1].Raw
	}
	sum := sha256.Sum256(hashed)
	return hex.EncodeToString(sum[:])
}
