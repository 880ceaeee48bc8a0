// Where k0s keeps its things, and the lock that tells whether one is running.
package main

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"standin/kube"
)

const (
	defaultConfig     = "/etc/k0s/k0s.yaml"
	containerdVersion = "2.3.3"
)

var (
	errNotRunning   = errors.New("k0s is not running")
	errStillRunning = errors.New("another k0s process is still running")
)

// vars has the names that `k0s status -o json` shows.
type vars struct {
	InvocationID               string
	AdminKubeConfigPath        string
	BinDir                     string
	CertRootDir                string
	DataDir                    string
	KubeletRootDir             string
	EtcdCertDir                string
	EtcdDataDir                string
	KineSocketPath             string
	KonnectivitySocketDir      string
	KubeletAuthConfigPath      string
	ManifestsDir               string
	RunDir                     string
	KonnectivityKubeConfigPath string
	OCIBundleDir               string
	DefaultStorageType         string
	RuntimeConfigPath          string
	StatusSocketPath           string
	StartupConfigPath          string
	HelmHome                   string
	HelmRepositoryCache        string
	HelmRepositoryConfig       string
}

func newVars(i *invocation) *vars {
	data, _ := filepath.Abs(orElse(i.text("data-dir"), "/var/lib/k0s"))
	run := "/run/k0s"
	if os.Geteuid() != 0 {
		run = filepath.Join(data, "run")
	}
	kubelet, _ := filepath.Abs(orElse(i.text("kubelet-root-dir"), filepath.Join(data, "kubelet")))
	identity := make([]byte, 16)
	rand.Read(identity)
	pki, helm := filepath.Join(data, "pki"), filepath.Join(data, "helmhome")
	v := &vars{InvocationID: hex.EncodeToString(identity), AdminKubeConfigPath: pki + "/admin.conf", BinDir: data + "/bin", CertRootDir: pki, DataDir: data,
		KubeletRootDir: kubelet, EtcdCertDir: pki + "/etcd", EtcdDataDir: data + "/etcd", KineSocketPath: run + "/kine/kine.sock:2379",
		KonnectivitySocketDir: run + "/konnectivity-server", KubeletAuthConfigPath: data + "/kubelet.conf", ManifestsDir: data + "/manifests", RunDir: run,
		KonnectivityKubeConfigPath: pki + "/konnectivity.conf", OCIBundleDir: data + "/images", DefaultStorageType: "etcd", RuntimeConfigPath: run + "/k0s.yaml",
		StatusSocketPath: orElse(i.text("status-socket"), run+"/status.sock"), StartupConfigPath: orElse(i.text("config"), defaultConfig),
		HelmHome: helm, HelmRepositoryCache: helm + "/cache", HelmRepositoryConfig: helm + "/repositories.yaml"}
	if i.enabled("single") {
		v.DefaultStorageType = "kine"
	}
	return v
}

func orElse(text, fallback string) string {
	if text == "" {
		return fallback
	}
	return text
}

// effectiveVars are those of the k0s that runs here, else what the command line says.
func effectiveVars(i *invocation) *vars {
	v := newVars(i)
	if running, err := isLocked(v.RuntimeConfigPath); err != nil || !running {
		return v
	}
	content, err := os.ReadFile(v.RuntimeConfigPath)
	var stored struct{ Spec struct{ K0sVars *vars } }
	if err == nil && json.Unmarshal(content, &stored) == nil && stored.Spec.K0sVars != nil {
		return stored.Spec.K0sVars
	}
	return v
}

// isLocked tells whether a k0s holds the lock next to its runtime configuration.
func isLocked(path string) (bool, error) {
	file, err := os.OpenFile(path+".lock", os.O_RDWR, 0)
	if os.IsNotExist(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer file.Close()
	return syscall.Flock(int(file.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) != nil, nil
}

// holdRuntimeConfig writes the runtime configuration, and locks it until the process ends.
func holdRuntimeConfig(v *vars, config *clusterConfig) (release func(), err error) {
	file, err := os.OpenFile(v.RuntimeConfigPath+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("failed to initialize runtime config: %w", err)
	}
	if syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		return nil, fmt.Errorf("failed to initialize runtime config: %w", errStillRunning)
	}
	spec := kube.Object{"k0sVars": v}
	if config != nil {
		spec["nodeConfig"] = config
	}
	content := kube.ToJSON(kube.Object{"apiVersion": configAPI, "kind": "RuntimeConfig", "spec": spec}) // JSON is YAML too
	return func() { os.Remove(v.RuntimeConfigPath); file.Close() }, os.WriteFile(v.RuntimeConfigPath, []byte(content), 0o600)
}

func makeDirs(v *vars, controller bool) error {
	dirs := []string{v.DataDir, v.RunDir, v.BinDir}
	if controller {
		dirs = append(dirs, v.CertRootDir, v.ManifestsDir)
	}
	for _, dir := range dirs {
		mode := os.FileMode(0o755)
		if dir == v.CertRootDir {
			mode = 0o751
		}
		if err := makeDir(dir, mode); err != nil {
			return err
		}
	}
	return nil
}

// makeDir makes a folder with exactly this mode, as k0s does at each start.
func makeDir(path string, mode os.FileMode) error {
	if err := os.MkdirAll(path, mode); err != nil {
		return err
	}
	return os.Chmod(path, mode)
}

// nodeName is the host's name, or what the kubelet's extra arguments say.
func nodeName(i *invocation) (string, error) {
	for _, word := range strings.Fields(i.text("kubelet-extra-args")) {
		if name, ok := strings.CutPrefix(word, "--hostname-override="); ok {
			return strings.ToLower(strings.Trim(name, `"'`)), nil
		}
	}
	host, err := os.Hostname()
	return strings.ToLower(strings.TrimSpace(host)), err
}
