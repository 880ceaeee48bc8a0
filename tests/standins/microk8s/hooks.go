// The snap's hooks: what an installation lays, what a removal clears.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"standin/kube"
)

func runHook(name string) error {
	switch name {
	case "install":
		return installHook()
	case "configure":
		return configureHook()
	case "post-refresh":
		return configureHook()
	case "remove":
		return removeHook()
	}
	return fmt.Errorf("no hook %q", name)
}

const requestTemplate = `[ req ]
default_bits = 2048
prompt = no
default_md = sha256
req_extensions = req_ext
distinguished_name = dn

[ dn ]
C = GB
ST = Canonical
L = Canonical
O = Canonical
OU = Canonical
CN = 127.0.0.1

[ req_ext ]
subjectAltName = @alt_names

[ alt_names ]
%s#MOREIPS

[ v3_ext ]
authorityKeyIdentifier=keyid,issuer:always
basicConstraints=CA:FALSE
keyUsage=keyEncipherment,dataEncipherment,digitalSignature
extendedKeyUsage=serverAuth,clientAuth
subjectAltName=@alt_names
`

// defaultNames are those of the snap's own template.
const defaultNames = `DNS.1 = kubernetes
DNS.2 = kubernetes.default
DNS.3 = kubernetes.default.svc
DNS.4 = kubernetes.default.svc.cluster
DNS.5 = kubernetes.default.svc.cluster.local
IP.1 = 127.0.0.1
IP.2 = 10.152.183.1
`

const defaultLaunch = `# Default launch configuration for MicroK8s.
---
version: 0.1.0
extraKubeletArgs:
  --cluster-domain: cluster.local
  --cluster-dns: 10.152.183.10
addons:
  - name: dns
`

func launcherFile(name string) string { return filepath.Join(snapCommon(), "etc", "launcher", name) }

func installHook() error {
	if locked("installed.lock") {
		return nil
	}
	for name, content := range defaultArguments() {
		if err := os.MkdirAll(filepath.Dir(argsPath(name)), 0o770); err != nil {
			return err
		}
		if err := writeOwned(argsPath(name), content); err != nil {
			return err
		}
	}
	for _, folder := range []string{dataPath("credentials"), dataPath("certs"), dataPath("var", "lock"), dataPath("var", "tmp"), argsPath("cni-network"), dataPath("opt", "cni", "bin"),
		dataPath("var", "lib", "calico"), filepath.Dir(launcherFile("x")), filepath.Join(snapCommon(), "etc", "sideload"), filepath.Join(snapCommon(), "var", "lib", "kubelet"),
		filepath.Join(snapCommon(), "run"), filepath.Join(snapCommon(), "plugins"), filepath.Join(snapCommon(), "hooks")} {
		if err := os.MkdirAll(folder, 0o770); err != nil {
			return err
		}
	}
	linkOut()
	if err := os.WriteFile(certPath("csr.conf.template"), []byte(fmt.Sprintf(requestTemplate, defaultNames)), 0o660); err != nil {
		return err
	}
	if err := takeLaunchConfiguration(); err != nil {
		return err
	}
	sideload()
	if _, err := produceCertificates(); err != nil {
		return err
	}
	if err := createUserFiles(); err != nil {
		return err
	}
	if err := initBackend(); err != nil {
		return err
	}
	for _, lock := range []string{"no-etcd", "no-flanneld", "no-apiserver-proxy", "ha-cluster", "lite.lock"} {
		if err := touchLock(lock); err != nil {
			return err
		}
	}
	if err := writeNetworkManifest(); err != nil {
		return err
	}
	if memoryKilobytes() <= 524288 {
		if err := touchLock("low-memory-guard.lock"); err != nil {
			return err
		}
	}
	return touchLock("installed.lock")
}

func memoryKilobytes() int {
	if given, err := strconv.Atoi(os.Getenv("STANDIN_MEMORY_KB")); err == nil {
		return given
	}
	content, _ := os.ReadFile("/proc/meminfo")
	words := strings.Fields(string(content))
	if len(words) < 2 {
		return 1 << 30
	}
	number, _ := strconv.Atoi(words[1])
	return number
}

// links are paths of the host that point into the snap's data.
func links() map[string]string {
	return map[string]string{"/var/lib/kubelet": "/var/snap/microk8s/common/var/lib/kubelet", "/var/lib/calico": "/var/snap/microk8s/current/var/lib/calico",
		"/etc/cni/net.d": "/var/snap/microk8s/current/args/cni-network", "/opt/cni/bin": "/var/snap/microk8s/current/opt/cni/bin"}
}

func linkOut() {
	if snapCommon() != "/var/snap/microk8s/common" {
		return // not installed by snapd
	}
	for link, target := range links() {
		if !kube.Exists(link) {
			os.MkdirAll(filepath.Dir(link), 0o755)
			os.Symlink(target, link)
		}
	}
}

// takeLaunchConfiguration copies the first that is found, and does the part that comes before the services.
func takeLaunchConfiguration() error {
	target := launcherFile("install.yaml")
	content := []byte(defaultLaunch)
	for _, file := range []string{"/etc/microk8s.yaml", filepath.Join(orElse(os.Getenv("SNAP_USER_COMMON"), "/root/snap/microk8s/common"), ".microk8s.yaml"),
		filepath.Join(snapCommon(), ".microk8s.yaml")} {
		if found, err := os.ReadFile(file); err == nil {
			fmt.Printf("Found config file %s, will use to initialize cluster.\n", file)
			content = found
			break
		}
	}
	if err := os.WriteFile(target, content, 0o600); err != nil {
		return err
	}
	return applyLaunchFile(target, true)
}

func sideload() {
	for _, folder := range []string{"/root/snap/microk8s/common", snapCommon()} {
		files, _ := filepath.Glob(filepath.Join(folder, "sideload", "*.tar"))
		for _, file := range files {
			content, err := os.ReadFile(file)
			if err == nil {
				os.WriteFile(filepath.Join(snapCommon(), "etc", "sideload", filepath.Base(file)), content, 0o600)
			}
		}
	}
}

// configureHook makes the group, and the repository of add-ons where there is none.
func configureHook() error {
	if _, err := user.LookupGroup(groupName()); err != nil {
		exec.Command("groupadd", groupName()).Run()
	}
	core := filepath.Join(snapCommon(), "addons", "core")
	if !kube.Exists(core) {
		if err := layAddons(core); err != nil {
			return err
		}
	}
	for _, folder := range []string{filepath.Join(snapCommon(), "plugins"), filepath.Join(snapCommon(), "addons"), dataPath("credentials"), dataPath("certs"), dataPath("args"),
		dataPath("var", "lock"), dataPath("var", "kubernetes", "backend")} {
		exec.Command("chgrp", "-R", groupName(), folder).Run()
		exec.Command("chmod", "-R", "o-rwX", folder).Run()
	}
	return nil
}

func removeHook() error {
	systemctl("stop", unitOf("kubelite"), unitOf("containerd"))
	time.Sleep(kube.SecondsFromEnvironment("STANDIN_REMOVE_SECONDS", 1)) // the real one sleeps 15 seconds
	endShims()
	for link := range links() {
		if info, err := os.Lstat(link); err == nil && info.Mode()&os.ModeSymlink != 0 {
			os.Remove(link)
		}
	}
	for _, device := range []string{"vxlan.calico", "flannel.1", "cni0"} {
		exec.Command("ip", "link", "delete", device).Run()
	}
	return nil
}

// endShims kills what stands for running containers.
func endShims() {
	processes, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, process := range processes {
		command, _ := os.ReadFile(process)
		if strings.Contains(string(command), "/snap/microk8s/") && strings.Contains(string(command), "containerd-shim") {
			exec.Command("kill", "-9", filepath.Base(filepath.Dir(process))).Run()
		}
	}
}
