// `k0s install`, `start` and `stop`: the unit of systemd or the script of OpenRC, and the users of the controller.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"standin/kube"
)

var (
	errRoot         = errors.New("this command must be run as root")
	errNotInstalled = errors.New("the service is not installed")
)

func installCommand() *command {
	return &command{persistent: join(debugFlags, installFlagSet), children: map[string]*command{
		"controller": {flags: controllerFlagSet, run: installController},
		"server":     {flags: controllerFlagSet, run: installController},
		"worker":     {flags: workerFlagSet, run: installWorker},
	}}
}

func installController(i *invocation) error {
	if os.Geteuid() != 0 {
		return errRoot
	}
	v := newVars(i)
	config, err := v.nodeConfig()
	if err != nil {
		return fmt.Errorf("failed to load node config: %w", err)
	}
	if err := config.validate(); err != nil {
		return fmt.Errorf("invalid node config: %w", err)
	}
	if err := ensureUsers(config.Spec.Install.Users, v.DataDir); err != nil {
		return fmt.Errorf("failed to create controller users: %w", err)
	}
	return install(i, "controller")
}

func installWorker(i *invocation) error {
	if os.Geteuid() != 0 {
		return errRoot
	}
	return install(i, "worker")
}

func install(i *invocation, role string) error {
	words := append([]string{role}, i.asWritten(absolute)...)
	s := serviceOf(role)
	if i.enabled("force") {
		kube.Infof("Uninstalling %s service", s.name)
		if err := s.uninstall(); err != nil && !os.IsNotExist(err) && !isExit(err, 1) {
			kube.Warnf("failed to uninstall service: %v", err)
		}
	}
	kube.Infof("Installing %s service", s.name)
	if err := s.install(words, environment(i)); err != nil {
		return fmt.Errorf("failed to install %s service: %w", role, err)
	}
	if !i.enabled("start") {
		return nil
	}
	if err := startInstalled(i.enabled("force")); err != nil {
		return fmt.Errorf("failed to start %s service: %w", role, err)
	}
	return nil
}

func absolute(path string) string { full, _ := filepath.Abs(path); return full }

// environment gives NAME=VALUE lines; a bare name takes its value from here.
func environment(i *invocation) []string {
	var lines []string
	for _, given := range i.list("env") {
		if !strings.Contains(given, "=") {
			given += "=" + os.Getenv(given)
		}
		lines = append(lines, given)
	}
	return lines
}

func userNames(u *systemUsers) []string {
	seen := map[string]bool{}
	var names []string
	if u == nil {
		u = defaultSpec().Install.Users
	}
	for _, name := range []string{u.Etcd, u.Kine, u.Konnectivity, u.KubeAPIServer, u.KubeScheduler} {
		if name != "" && !seen[name] {
			seen[name] = true
			names = append(names, name)
		}
	}
	sort.Strings(names)
	return names
}

func ensureUsers(u *systemUsers, home string) error {
	for _, name := range userNames(u) {
		if _, err := user.Lookup(name); err == nil {
			continue
		}
		shell, err := exec.LookPath("nologin")
		if err != nil {
			if shell, err = exec.LookPath("false"); err != nil {
				return errors.New("failed to locate a nologin shell for creating users")
			}
		}
		kube.Infof("Creating user %q", name)
		words := []string{"--home", home, "--shell", shell, "--system", "--no-create-home", name}
		err = exec.Command("useradd", words...).Run()
		if errors.Is(err, exec.ErrNotFound) {
			err = exec.Command("adduser", append([]string{"--disabled-password", "--gecos", `""`}, words...)...).Run()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func deleteUsers(u *systemUsers) {
	for _, name := range userNames(u) {
		if _, err := user.Lookup(name); err != nil {
			continue
		}
		err := exec.Command("userdel", name).Run()
		if errors.Is(err, exec.ErrNotFound) {
			err = exec.Command("deluser", name).Run()
		}
		if err != nil {
			kube.Warnf("failed to delete controller users: %v", err)
		}
	}
}

// service is the unit of one role, under the init system of the host.
type service struct {
	name    string
	role    string
	systemd bool
}

func serviceOf(role string) service {
	_, err := os.Stat("/run/systemd/system")
	return service{"k0s" + role, role, err == nil}
}

func (s service) path() string {
	if s.systemd {
		return "/etc/systemd/system/" + s.name + ".service"
	}
	return "/etc/init.d/" + s.name
}

const unitText = `[Unit]
Description=k0s - Zero Friction Kubernetes
Documentation=https://docs.k0sproject.io
ConditionFileIsExecutable=%[1]s

After=network-online.target 
Wants=network-online.target 

[Service]
StartLimitInterval=5
StartLimitBurst=10
ExecStart=%[1]s%[2]s%[3]s

RestartSec=10
Delegate=yes
KillMode=process
LimitCORE=infinity
TasksMax=infinity
TimeoutStartSec=0
LimitNOFILE=999999
Restart=always

[Install]
WantedBy=multi-user.target
`

const scriptText = `#!/sbin/openrc-run%[3]s
supervisor=supervise-daemon
description="k0s - Zero Friction Kubernetes"
command=%[1]s
command_args="%[2]s"
name=$(basename $(readlink -f $command))
supervise_daemon_args="--stdout /var/log/${name}.log --stderr /var/log/${name}.err"
retry="SIGTERM/90/SIGKILL/5"

: "${rc_ulimit=-n 1048576 -u unlimited}"
depend() {
	need cgroups
	need net
	use dns
	after firewall
}
`

func (s service) install(words, environment []string) error {
	if kube.Exists(s.path()) {
		return errors.New("Init already exists: " + s.path())
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	program = strings.ReplaceAll(program, " ", `\x20`)
	arguments, variables := "", ""
	if s.systemd {
		for _, word := range words {
			arguments += " " + strings.ReplaceAll(word, " ", `\x20`)
		}
		for _, variable := range environment {
			variables += fmt.Sprintf("\nEnvironment=\"%s\"", variable)
		}
		if err := os.WriteFile(s.path(), []byte(fmt.Sprintf(unitText, program, arguments, variables)), 0o644); err != nil {
			return err
		}
		return firstError(systemctl("enable", s.name+".service"), systemctl("daemon-reload"))
	}
	for _, word := range words {
		arguments += "'" + word + "' "
	}
	for _, variable := range environment {
		variables += "\nexport " + variable
	}
	if err := os.WriteFile(s.path(), []byte(fmt.Sprintf(scriptText, program, arguments, variables)), 0o755); err != nil {
		return err
	}
	return exec.Command("rc-update", "add", s.name).Run()
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func systemctl(words ...string) error { return exec.Command("systemctl", words...).Run() }

func (s service) uninstall() error {
	if !s.systemd {
		if err := os.Remove(s.path()); err != nil {
			return err
		}
		return exec.Command("rc-update", "delete", s.name).Run()
	}
	if err := systemctl("disable", s.name+".service"); err != nil {
		return err
	}
	if err := os.Remove(s.path()); err != nil {
		return err
	}
	return systemctl("daemon-reload")
}

// status tells whether the service runs; errNotInstalled when there is none.
func (s service) status() (running bool, err error) {
	if !s.systemd {
		return s.openRCStatus()
	}
	out, _ := exec.Command("systemctl", "is-active", s.name+".service").Output()
	switch state := string(out); {
	case strings.HasPrefix(state, "active"), strings.HasPrefix(state, "activating"):
		return true, nil
	case strings.HasPrefix(state, "inactive"):
		files, _ := exec.Command("systemctl", "list-unit-files", "-t", "service", s.name+".service").Output()
		if strings.Contains(string(files), s.name) {
			return false, nil
		}
		return false, errNotInstalled
	case strings.HasPrefix(state, "failed"):
		return false, errors.New("service in failed state")
	}
	return false, errNotInstalled
}

func (s service) openRCStatus() (bool, error) {
	err := exec.Command("rc-service", s.name, "status").Run()
	switch {
	case err == nil:
		return true, nil
	case isExit(err, 3):
		return false, nil
	case isExit(err, 1):
		return false, err
	}
	return false, errNotInstalled
}

func isExit(err error, code int) bool {
	var exit *exec.ExitError
	return errors.As(err, &exit) && exit.ExitCode() == code
}

func (s service) action(name string) error {
	if s.systemd {
		return systemctl(name, s.name+".service")
	}
	if name == "restart" {
		if err := s.action("stop"); err != nil {
			return err
		}
		time.Sleep(50 * time.Millisecond)
		name = "start"
	}
	return exec.Command("rc-service", s.name, name).Run()
}

// installed is the first service there is, and whether it runs.
func installed() (service, bool, error) {
	for _, role := range []string{"controller", "worker"} {
		s := serviceOf(role)
		running, err := s.status()
		if errors.Is(err, errNotInstalled) {
			continue
		}
		return s, running, err
	}
	return service{}, false, errors.New("k0s has not been installed as a service")
}

func startInstalled(force bool) error {
	s, running, err := installed()
	switch {
	case err != nil:
		return err
	case running && force:
		if err := s.action("restart"); err != nil {
			return fmt.Errorf("failed to restart service: %w", err)
		}
		return nil
	case running:
		return errors.New("already running")
	}
	return s.action("start")
}

func runStart(*invocation) error {
	if os.Geteuid() != 0 {
		return errRoot
	}
	return startInstalled(false)
}

func runStop(*invocation) error {
	if os.Geteuid() != 0 {
		return errRoot
	}
	s, running, err := installed()
	if err != nil {
		return err
	}
	if !running {
		return errors.New("already stopped")
	}
	return s.action("stop")
}
