// Where things lie, the settings of the stand-in, and small words with the host's own programs.
package main

import (
	"bufio"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"

	"standin/kube"
)

const settingsFile = "/etc/default/snapd-standin"

// loadSettings reads NAME=VALUE lines: tests set them for programs that they don't start themselves.
func loadSettings() {
	file, err := os.Open(settingsFile)
	if err != nil {
		return
	}
	defer file.Close()
	for scanner := bufio.NewScanner(file); scanner.Scan(); {
		name, value, found := strings.Cut(strings.TrimSpace(scanner.Text()), "=")
		if _, set := os.LookupEnv(name); found && !set && strings.HasPrefix(name, "STANDIN_") {
			os.Setenv(name, strings.Trim(value, `"`))
		}
	}
}

func orElse(value, fallback string) string {
	if value == "" {
		return fallback
	}
	return value
}

func snapDir() string    { return orElse(os.Getenv("SNAP"), "/snap/microk8s/current") }
func snapData() string   { return orElse(os.Getenv("SNAP_DATA"), "/var/snap/microk8s/current") }
func snapCommon() string { return orElse(os.Getenv("SNAP_COMMON"), "/var/snap/microk8s/common") }

func dataPath(words ...string) string {
	return filepath.Join(append([]string{snapData()}, words...)...)
}
func lockPath(name string) string   { return dataPath("var", "lock", name) }
func locked(name string) bool       { return kube.Exists(lockPath(name)) }
func argsPath(name string) string   { return dataPath("args", name) }
func certPath(name string) string   { return dataPath("certs", name) }
func credential(name string) string { return dataPath("credentials", name) }
func backend(name string) string    { return dataPath("var", "kubernetes", "backend", name) }

func touchLock(name string) error {
	if err := os.MkdirAll(dataPath("var", "lock"), 0o755); err != nil {
		return err
	}
	file, err := os.OpenFile(lockPath(name), os.O_CREATE|os.O_RDWR, 0o700)
	if err == nil {
		file.Close()
	}
	return err
}

// isOutsideSnap tells whether this is snap's own program under the name of an app.
func isOutsideSnap() bool {
	program, err := os.Executable()
	return err == nil && filepath.Base(program) == "snap"
}

// setSnapEnvironment gives what `snap run` gives, where it isn't set already.
func setSnapEnvironment() {
	revision := ""
	if target, err := os.Readlink("/snap/microk8s/current"); err == nil {
		revision = filepath.Base(target)
	}
	for name, value := range map[string]string{"SNAP": "/snap/microk8s/" + orElse(revision, "current"), "SNAP_DATA": "/var/snap/microk8s/" + orElse(revision, "current"),
		"SNAP_COMMON": "/var/snap/microk8s/common", "SNAP_NAME": "microk8s", "SNAP_REVISION": revision, "SNAP_VERSION": "v" + plainVersion(),
		"SNAP_ARCH": runtime.GOARCH, "SNAP_USER_COMMON": "/root/snap/microk8s/common", "SNAP_USER_DATA": "/root/snap/microk8s/" + revision} {
		if os.Getenv(name) == "" {
			os.Setenv(name, value)
		}
	}
}

func isStrict() bool {
	content, err := os.ReadFile(filepath.Join(snapDir(), "meta", "snap.yaml"))
	return err == nil && regexp.MustCompile(`(?m)^confinement:\s*strict`).Match(content)
}

func groupName() string {
	if isStrict() {
		return "snap_microk8s"
	}
	return "microk8s"
}

// plainVersion is that of Kubernetes: the track 1.36 has 1.36.1, unless a whole version was stamped.
func plainVersion() string {
	track := strings.TrimPrefix(strings.SplitN(version, "-", 2)[0], "v")
	if strings.Count(track, ".") < 2 {
		track += ".1"
	}
	return track
}

func minorVersion() int {
	minor := 0
	for _, digit := range strings.Split(plainVersion(), ".")[1] {
		minor = minor*10 + int(digit-'0')
	}
	return minor
}

// runProgram runs in the place of a wrapper's child, with its streams, and gives its exit code.
func runProgram(program string, words ...string) int {
	command := exec.Command(program, words...)
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
	err := command.Run()
	if err == nil {
		return 0
	}
	if command.ProcessState == nil {
		os.Stderr.WriteString(err.Error() + "\n")
		return 127
	}
	return command.ProcessState.ExitCode()
}

func outputOf(program string, words ...string) (string, error) {
	command := exec.Command(program, words...)
	content, err := command.Output()
	return string(content), err
}

func replaceProcess(program, name string, words []string) {
	err := syscall.Exec(program, append([]string{name}, words...), os.Environ())
	os.Stderr.WriteString("error: cannot run " + program + ": " + err.Error() + "\n")
	os.Exit(1)
}

func hostName() string {
	name, _ := os.Hostname()
	return strings.ToLower(name)
}

// hostAddresses are what `hostname -I` gives, without link-local ones and those of pod networks.
func hostAddresses() []string {
	var found []string
	interfaces, _ := net.Interfaces()
	for _, device := range interfaces {
		switch device.Name {
		case "lo", "vxlan.calico", "flannel.1", "cni0", "ovn0":
			continue
		}
		addresses, _ := device.Addrs()
		for _, address := range addresses {
			if network, ok := address.(*net.IPNet); ok && !network.IP.IsLoopback() && !network.IP.IsLinkLocalUnicast() {
				found = append(found, network.IP.String())
			}
		}
	}
	return found
}

// defaultAddress is that of the interface of the default route, or "none".
func defaultAddress() string {
	address, err := kube.AddressOfDefaultRoute()
	if err != nil {
		return "none"
	}
	return address
}

func ownAddress(address string) bool {
	interfaces, _ := net.InterfaceAddrs()
	for _, each := range interfaces {
		if network, ok := each.(*net.IPNet); ok && network.IP.String() == address {
			return true
		}
	}
	return false
}

func systemctl(words ...string) error { return exec.Command("systemctl", words...).Run() }
