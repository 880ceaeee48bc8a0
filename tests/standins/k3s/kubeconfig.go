// Kubeconfig files, and a small client for the Kubernetes API that uses one.
package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

const globalKubeconfig = "/etc/rancher/k3s/k3s.yaml"

func (s *server) writeKubeconfig() error {
	path := s.opts.text("write-kubeconfig")
	if path == "" {
		path = globalKubeconfig
	} else {
		os.Remove(globalKubeconfig)
		os.MkdirAll(filepath.Dir(globalKubeconfig), 0o755)
		os.Symlink(path, globalKubeconfig)
	}
	server := "https://127.0.0.1:" + s.opts.text("https-listen-port")
	if bind := s.opts.text("bind-address"); bind != "" && bind != "0.0.0.0" {
		server = "https://" + bind + ":" + s.opts.text("https-listen-port")
	}
	admin := filepath.Join(s.dir, "tls", "client-admin")
	cert, err := os.ReadFile(admin + ".crt")
	if err != nil {
		return err
	}
	key, err := os.ReadFile(admin + ".key")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	encode := base64.StdEncoding.EncodeToString
	text := fmt.Sprintf("apiVersion: v1\nclusters:\n- cluster:\n    certificate-authority-data: %s\n    server: %s\n  name: default\n"+
		"contexts:\n- context:\n    cluster: default\n    user: default\n  name: default\ncurrent-context: default\nkind: Config\n"+
		"users:\n- name: default\n  user:\n    client-certificate-data: %s\n    client-key-data: %s\n", encode(s.serverCA.pem), server, encode(cert), encode(key))
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		errorf("Failed to generate kubeconfig: %v", err)
		return err
	}
	infof("Wrote kubeconfig %s", path)
	mode := os.FileMode(0o600)
	if wanted := s.opts.text("write-kubeconfig-mode"); wanted != "" {
		number, err := strconv.ParseInt(wanted, 8, 0)
		if err != nil {
			errorf("Failed to set %s to mode %s: %v", path, os.FileMode(number), err)
			return nil
		}
		mode = os.FileMode(number)
	}
	os.Chmod(path, mode)
	infof("Run: k3s kubectl")
	return nil
}

// kubeClient talks to the API with a client certificate.
type kubeClient struct {
	url  string
	http *http.Client
}

func newKubeClient(url string, ca []byte, pair *tls.Certificate) *kubeClient {
	config := &tls.Config{}
	if len(ca) > 0 {
		config.RootCAs = x509.NewCertPool()
		config.RootCAs.AppendCertsFromPEM(ca)
	}
	if pair != nil {
		config.Certificates = []tls.Certificate{*pair}
	}
	return &kubeClient{url, &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{TLSClientConfig: config, IdleConnTimeout: 20 * time.Second}}}
}

// loadKubeconfig reads the current context of a kubeconfig file.
func loadKubeconfig(path string) (*kubeClient, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	document, err := parseYAML(string(content))
	if err != nil {
		return nil, err
	}
	config := plain(document)
	pick := func(list, name, field string) object {
		for _, item := range listAt(config, list) {
			if textAt(item, "name") == name {
				return mapAt(item, field)
			}
		}
		return nil
	}
	context := pick("contexts", textAt(config, "current-context"), "context")
	cluster, who := pick("clusters", textAt(context, "cluster"), "cluster"), pick("users", textAt(context, "user"), "user")
	decodeField := func(from object, field string) []byte {
		content, _ := base64.StdEncoding.DecodeString(textAt(from, field))
		return content
	}
	client := newKubeClient(textAt(cluster, "server"), decodeField(cluster, "certificate-authority-data"), nil)
	if pair, err := tls.X509KeyPair(decodeField(who, "client-certificate-data"), decodeField(who, "client-key-data")); err == nil {
		client.http.Transport.(*http.Transport).TLSClientConfig.Certificates = []tls.Certificate{pair}
	}
	return client, nil
}

// do sends a request; an answer that is a failed Status comes back as an apiError.
func (k *kubeClient) do(method, path, contentType string, body any) ([]byte, error) {
	var reader io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		reader = bytes.NewReader(encoded)
	}
	request, err := http.NewRequest(method, k.url+path, reader)
	if err != nil {
		return nil, err
	}
	if contentType == "" {
		contentType = "application/json"
	}
	request.Header.Set("Content-Type", contentType)
	response, err := k.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode < 300 {
		return content, err
	}
	status := decode(content)
	if textAt(status, "kind") == "Status" {
		return content, newError(response.StatusCode, textAt(status, "reason"), "%s", textAt(status, "message"))
	}
	return content, newError(response.StatusCode, "InternalError", "an error on the server (%q) has prevented the request from succeeding", content)
}

func (k *kubeClient) get(path string) (object, error) {
	content, err := k.do("GET", path, "", nil)
	if err != nil {
		return nil, err
	}
	found, _ := decode(content).(object)
	return found, nil
}

const (
	mergePatchType     = "application/merge-patch+json"
	strategicPatchType = "application/strategic-merge-patch+json"
)

func (k *kubeClient) patch(path, style string, change any) error {
	_, err := k.do("PATCH", path, style, change)
	return err
}
