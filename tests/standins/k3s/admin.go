// The administrator's kubeconfig file of k3s.
package main

import (
	"os"
	"path/filepath"
	"strconv"

	"standin/kube"
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
	text := kube.KubeconfigText(kube.ContextNames{Cluster: "default", User: "default", Context: "default"}, server, s.serverCA.PEM, cert, key)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		kube.Errorf("Failed to generate kubeconfig: %v", err)
		return err
	}
	kube.Infof("Wrote kubeconfig %s", path)
	mode := os.FileMode(0o600)
	if wanted := s.opts.text("write-kubeconfig-mode"); wanted != "" {
		number, err := strconv.ParseInt(wanted, 8, 0)
		if err != nil {
			kube.Errorf("Failed to set %s to mode %s: %v", path, os.FileMode(number), err)
			return nil
		}
		mode = os.FileMode(number)
	}
	os.Chmod(path, mode)
	kube.Infof("Run: k3s kubectl")
	return nil
}
