// Kubeconfig files, and a small client for the Kubernetes API that uses one.
package kube

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
	"strings"
	"time"
)

// ContextNames are the names that a distribution gives to the parts of its kubeconfig.
type ContextNames struct{ Cluster, User, Context string }

// KubeconfigText is a kubeconfig with a client certificate.
func KubeconfigText(names ContextNames, server string, ca, cert, key []byte) string {
	encode := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("apiVersion: v1\nclusters:\n- cluster:\n    certificate-authority-data: %s\n    server: %s\n  name: %s\n"+
		"contexts:\n- context:\n    cluster: %s\n    user: %s\n  name: %s\ncurrent-context: %s\nkind: Config\n"+
		"users:\n- name: %s\n  user:\n    client-certificate-data: %s\n    client-key-data: %s\n", encode(ca), server, names.Cluster,
		names.Cluster, names.User, names.Context, names.Context, names.User, encode(cert), encode(key))
}

// KubeClient talks to the API with a client certificate.
type KubeClient struct {
	URL   string
	HTTP  *http.Client
	Token string // a bearer token, when there is no certificate
	CA    []byte // whom it trusts
}

func NewKubeClient(url string, ca []byte, pair *tls.Certificate) *KubeClient {
	config := &tls.Config{}
	if len(ca) > 0 {
		config.RootCAs = x509.NewCertPool()
		config.RootCAs.AppendCertsFromPEM(ca)
	}
	if pair != nil {
		config.Certificates = []tls.Certificate{*pair}
	}
	return &KubeClient{URL: url, CA: ca, HTTP: &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{TLSClientConfig: config, IdleConnTimeout: 20 * time.Second}}}
}

// LoadKubeconfig reads the current context of a kubeconfig file.
func LoadKubeconfig(path string) (*KubeClient, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return ParseKubeconfig(content)
}

// ParseKubeconfig is a client for the current context of a kubeconfig.
func ParseKubeconfig(content []byte) (*KubeClient, error) {
	document, err := ParseYAML(string(content))
	if err != nil {
		return nil, err
	}
	config := Plain(document)
	pick := func(list, name, field string) Object {
		for _, item := range ListAt(config, list) {
			if TextAt(item, "name") == name {
				return MapAt(item, field)
			}
		}
		return nil
	}
	context := pick("contexts", TextAt(config, "current-context"), "context")
	cluster, who := pick("clusters", TextAt(context, "cluster"), "cluster"), pick("users", TextAt(context, "user"), "user")
	decodeField := func(from Object, field string) []byte {
		if file := TextAt(from, strings.TrimSuffix(field, "-data")); file != "" {
			content, _ := os.ReadFile(file)
			return content
		}
		content, _ := base64.StdEncoding.DecodeString(TextAt(from, field))
		return content
	}
	client := NewKubeClient(TextAt(cluster, "server"), decodeField(cluster, "certificate-authority-data"), nil)
	if pair, err := tls.X509KeyPair(decodeField(who, "client-certificate-data"), decodeField(who, "client-key-data")); err == nil {
		client.HTTP.Transport.(*http.Transport).TLSClientConfig.Certificates = []tls.Certificate{pair}
	}
	client.Token = TextAt(who, "token")
	return client, nil
}

// Do sends a request; an answer that is a failed Status comes back as an apiError.
func (k *KubeClient) Do(method, path, contentType string, body any) ([]byte, error) {
	var reader io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		reader = bytes.NewReader(encoded)
	}
	request, err := http.NewRequest(method, k.URL+path, reader)
	if err != nil {
		return nil, err
	}
	if contentType == "" {
		contentType = "application/json"
	}
	request.Header.Set("Content-Type", contentType)
	if k.Token != "" {
		request.Header.Set("Authorization", "Bearer "+k.Token)
	}
	response, err := k.HTTP.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode < 300 {
		return content, err
	}
	status := Decode(content)
	if TextAt(status, "kind") == "Status" {
		return content, NewError(response.StatusCode, TextAt(status, "reason"), "%s", TextAt(status, "message"))
	}
	return content, NewError(response.StatusCode, "InternalError", "an error on the server (%q) has prevented the request from succeeding", content)
}

func (k *KubeClient) Get(path string) (Object, error) {
	content, err := k.Do("GET", path, "", nil)
	if err != nil {
		return nil, err
	}
	found, _ := Decode(content).(Object)
	return found, nil
}

const (
	MergePatchType     = "application/merge-patch+json"
	strategicPatchType = "application/strategic-merge-patch+json"
)

func (k *KubeClient) Patch(path, style string, change any) error {
	_, err := k.Do("PATCH", path, style, change)
	return err
}
