// What snapd does to a host: installing, refreshing, removing and holding snaps, and their services.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"standin/kube"
)

const snapdVersion = "2.75.1"

// services of MicroK8s in the order in which they start.
var services = []string{"containerd", "k8s-dqlite", "kubelite", "apiserver-kicker", "apiserver-proxy", "cluster-agent", "etcd", "flanneld"}

func unitOf(service string) string { return "snap.microk8s.daemon-" + service + ".service" }

// check refuses what needs no change to be refused. The lock is held.
func (d *snapd) check(wanted *request) (string, error) {
	have := d.state.Snaps[wanted.Snap]
	switch wanted.Action {
	case "install":
		return d.checkInstall(wanted, have)
	case "nothing":
		return "", nil
	}
	if have == nil {
		return "snap-not-installed", fmt.Errorf("snap %q is not installed", wanted.Snap)
	}
	if wanted.Action == "refresh" {
		return d.checkRefresh(wanted, have)
	}
	if wanted.Action == "revert" && len(have.Previous) == 0 {
		return "", fmt.Errorf("no revision to revert to")
	}
	return "", nil
}

func (d *snapd) checkInstall(wanted *request, have *installedSnap) (string, error) {
	var meta snapMeta
	if wanted.Path != "" {
		var err error
		if meta, err = readSnap(wanted.Path); err != nil {
			return "", err
		}
		if !wanted.Dangerous && revisionIn(d.state.Assertions, wanted.Path) == 0 {
			return "", fmt.Errorf("cannot find signatures with metadata for snap/component %q", wanted.Path)
		}
	} else {
		if have != nil {
			return "snap-already-installed", fmt.Errorf("snap %q is already installed", wanted.Snap)
		}
		from, err := parseChannel(orElse(wanted.Channel, "latest/stable"))
		if err != nil {
			return "", err
		}
		found, err := findRelease(wanted.Snap, from)
		if err != nil {
			return "", err
		}
		if wanted.Revision != "" && wanted.Revision != strconv.Itoa(found.Revision) {
			return "snap-revision-not-available", fmt.Errorf("no snap revision available as specified")
		}
		meta.Confinement = found.Confinement
	}
	if meta.Confinement == "classic" && !wanted.Classic {
		return "snap-needs-classic", errors.New("requires classic confinement")
	}
	return "", nil
}

func (d *snapd) checkRefresh(wanted *request, have *installedSnap) (string, error) {
	if wanted.Hold != "" {
		return "", nil
	}
	from, err := parseChannel(orElse(orElse(wanted.Channel, have.Tracking), "latest/stable"))
	if err != nil {
		return "", err
	}
	if have.Tracking == "" && wanted.Channel == "" && !have.Asserted {
		return "snap-no-update-available", fmt.Errorf("snap %q has no updates available", wanted.Snap)
	}
	found, err := findRelease(wanted.Snap, from)
	if err != nil {
		return "", err
	}
	if wanted.Revision != "" && wanted.Revision != strconv.Itoa(found.Revision) {
		return "snap-revision-not-available", fmt.Errorf("no snap revision available as specified")
	}
	if strconv.Itoa(found.Revision) == have.Revision && (wanted.Channel == "" || from.String() == have.Tracking) {
		return "snap-no-update-available", fmt.Errorf("snap %q has no updates available", wanted.Snap)
	}
	return "", nil
}

// perform does one request and gives the line that the command prints.
func (d *snapd) perform(wanted request) (string, error) {
	switch wanted.Action {
	case "install":
		return d.install(wanted)
	case "refresh":
		if wanted.Hold != "" {
			return d.hold(wanted)
		}
		return d.refresh(wanted)
	case "revert":
		return d.revert(wanted)
	case "remove":
		return d.remove(wanted)
	case "enable", "disable":
		return d.toggle(wanted)
	case "start", "stop", "restart":
		return d.control(wanted)
	}
	return "", fmt.Errorf("unknown action %q", wanted.Action)
}

func (d *snapd) with(edit func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	edit()
	d.save()
}

func (d *snapd) get(name string) *installedSnap {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.state.Snaps[name]
}

func taskFailed(task string, err error) error {
	return fmt.Errorf("cannot perform the following tasks:\n- %s (%w)", task, err)
}

// source is the file to install, and what is known of it.
func (d *snapd) source(wanted request) (file string, s installedSnap, err error) {
	file, s = wanted.Path, installedSnap{Name: wanted.Snap, Classic: wanted.Classic, Installed: time.Now()}
	if file == "" {
		from, err := parseChannel(orElse(wanted.Channel, "latest/stable"))
		if err != nil {
			return "", s, err
		}
		found, err := findRelease(wanted.Snap, from)
		if err != nil {
			return "", s, err
		}
		file, s.Tracking, s.Revision, s.Asserted = found.File, from.String(), strconv.Itoa(found.Revision), true
	} else {
		d.mu.Lock()
		number := revisionIn(d.state.Assertions, file)
		d.mu.Unlock()
		s.Revision, s.Asserted = strconv.Itoa(number), number > 0
		if number == 0 {
			s.Revision = "x1"
		}
	}
	meta, err := readSnap(file)
	s.Version, s.Confinement = meta.Version, meta.Confinement
	s.Classic = s.Confinement == "classic"
	if err == nil && meta.Base != "" {
		err = d.needBase(wanted.Snap, meta.Base)
	}
	return file, s, err
}

// needBase fetches a base that isn't there; without a store there is none.
func (d *snapd) needBase(name, base string) error {
	if d.get(base) != nil {
		return nil
	}
	task := fmt.Sprintf("Ensure prerequisites for %q are available", name)
	found, err := findRelease(base, channel{"latest", "stable"})
	if err == nil {
		_, err = d.install(request{Action: "install", Snap: base, Channel: "latest/stable"})
		_ = found
	}
	if err != nil {
		return taskFailed(task, fmt.Errorf("cannot install snap base %q: %w", base, err))
	}
	return nil
}

func (d *snapd) install(wanted request) (string, error) {
	file, s, err := d.source(wanted)
	if err != nil {
		return "", err
	}
	time.Sleep(kube.SecondsFromEnvironment("STANDIN_INSTALL_SECONDS", 1))
	if s.Name == "microk8s" {
		if err := installMicrok8s(file, s); err != nil {
			removeFiles()
			return "", err
		}
	}
	d.with(func() { d.state.Snaps[s.Name] = &s })
	return s.line() + " installed", nil
}

// line is how commands call a snap; the channel is left out where it is the usual one.
func (s *installedSnap) line() string {
	text := s.Name
	if s.Tracking != "" && s.Tracking != "latest/stable" {
		text += " (" + s.Tracking + ")"
	}
	text += " " + s.Version
	if s.Asserted {
		text += " from Canonical**"
	}
	return text
}

func revisionFolder(revision string) string { return "/snap/microk8s/" + revision }

// layRevision makes the folder that the real snapd mounts.
func layRevision(file, revision string) error {
	folder := revisionFolder(revision)
	program := filepath.Join(folder, "bin", "microk8s-standin")
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	for _, dir := range []string{filepath.Join(folder, "bin"), filepath.Join(folder, "meta"), filepath.Join(folder, "addons", "core"), "/var/snap/microk8s/common",
		"/var/lib/snapd/snaps", "/snap/bin"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	os.Remove(program)
	if err := os.WriteFile(program, content, 0o755); err != nil {
		return err
	}
	meta, err := readSnap(program)
	if err != nil {
		return err
	}
	os.WriteFile(filepath.Join("/var/lib/snapd/snaps", "microk8s_"+revision+".snap"), []byte("stand-in: see "+folder+"\n"), 0o600)
	os.WriteFile(filepath.Join(folder, "meta", "snap.yaml"), []byte(fmt.Sprintf("name: microk8s\nversion: %s\nbase: core22\nconfinement: %s\n", meta.Version, meta.Confinement)), 0o644)
	for _, name := range []string{"bin/microk8s", "bin/dqlite", "bin/standin-addon", "bin/helm", "kubectl", "microk8s-kubectl.wrapper"} {
		os.Remove(filepath.Join(folder, name))
		if err := os.Symlink(program, filepath.Join(folder, name)); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(folder, "bin", "containerd-shim-runc-v2"), []byte(kube.ShimScript), 0o755)
}

func pointCurrent(revision string) error {
	for _, folder := range []string{"/snap/microk8s", "/var/snap/microk8s"} {
		link := filepath.Join(folder, "current")
		os.Remove(link)
		if err := os.Symlink(revision, link); err != nil {
			return err
		}
	}
	return nil
}

func snapEnvironment(s installedSnap) []string {
	var kept []string
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "SNAP") && !strings.HasPrefix(variable, "LISTEN_") {
			kept = append(kept, variable)
		}
	}
	return append(kept, "SNAP="+revisionFolder(s.Revision), "SNAP_DATA=/var/snap/microk8s/"+s.Revision, "SNAP_COMMON=/var/snap/microk8s/common", "SNAP_NAME=microk8s",
		"SNAP_REVISION="+s.Revision, "SNAP_VERSION="+s.Version)
}

func callHook(s installedSnap, name string) error {
	command := exec.Command(filepath.Join(revisionFolder(s.Revision), "bin", "microk8s-standin"), "hook", name)
	command.Env = snapEnvironment(s)
	output, err := command.CombinedOutput()
	if err != nil {
		return taskFailed(fmt.Sprintf("Run %s hook of %q snap if present", name, s.Name), fmt.Errorf("run hook %q: \n-----\n%s\n-----", name, strings.TrimSpace(string(output))))
	}
	return nil
}

func installMicrok8s(file string, s installedSnap) error {
	if err := layRevision(file, s.Revision); err != nil {
		return err
	}
	if err := os.MkdirAll("/var/snap/microk8s/"+s.Revision, 0o755); err != nil {
		return err
	}
	if err := pointCurrent(s.Revision); err != nil {
		return err
	}
	if err := callHook(s, "install"); err != nil {
		return err
	}
	if err := writeUnits(); err != nil {
		return err
	}
	if err := startServices(); err != nil {
		return err
	}
	return callHook(s, "configure")
}

const unitFile = `[Unit]
# Auto-generated, DO NOT EDIT
Description=Service for snap application microk8s.daemon-%[1]s
Wants=network.target
After=network.target
X-Snappy=yes

[Service]
EnvironmentFile=-/etc/environment
EnvironmentFile=-` + settingsFile + `
ExecStart=/usr/bin/snap run microk8s.daemon-%[1]s
SyslogIdentifier=microk8s.daemon-%[1]s
Restart=%[2]s
WorkingDirectory=/var/snap/microk8s/current
KillMode=process
TimeoutStopSec=30
Type=simple

[Install]
WantedBy=multi-user.target
`

func writeUnits() error {
	for _, service := range services {
		restart := "on-failure"
		if service == "containerd" {
			restart = "always"
		}
		if err := os.WriteFile("/etc/systemd/system/"+unitOf(service), []byte(fmt.Sprintf(unitFile, service, restart)), 0o644); err != nil {
			return err
		}
	}
	for _, name := range append([]string{"microk8s"}, kube.SortedKeys(verbs)...) {
		link := "/snap/bin/microk8s." + name
		if name == "microk8s" {
			link = "/snap/bin/microk8s"
		}
		os.Remove(link)
		if err := os.Symlink("/usr/bin/snap", link); err != nil {
			return err
		}
	}
	return systemctl("daemon-reload")
}

func allUnits() []string {
	var units []string
	for _, service := range services {
		units = append(units, unitOf(service))
	}
	return units
}

func startServices() error {
	if err := systemctl(append([]string{"enable"}, allUnits()...)...); err != nil {
		return err
	}
	return systemctl(append([]string{"start"}, allUnits()...)...)
}

func (d *snapd) refresh(wanted request) (string, error) {
	before := *d.get(wanted.Snap)
	file, s, err := d.source(request{Action: "refresh", Snap: wanted.Snap, Channel: orElse(orElse(wanted.Channel, before.Tracking), "latest/stable")})
	if err != nil {
		return "", err
	}
	s.Hold, s.Previous = before.Hold, append(before.Previous, before.Revision)
	if s.Name == "microk8s" && s.Revision != before.Revision {
		if s.Confinement != before.Confinement {
			return "", fmt.Errorf("snap %q changes its confinement: it must be removed first", s.Name)
		}
		if err := switchRevision(file, before, s); err != nil {
			return "", err
		}
	} else {
		s.Previous = before.Previous
	}
	d.with(func() { d.state.Snaps[s.Name] = &s })
	return s.line() + " refreshed", nil
}

func switchRevision(file string, before, s installedSnap) error {
	stopped := kube.Exists("/var/snap/microk8s/current/var/lock/stopped.lock")
	systemctl(append([]string{"stop"}, allUnits()...)...)
	if file != "" {
		if err := layRevision(file, s.Revision); err != nil {
			return err
		}
		target := "/var/snap/microk8s/" + s.Revision
		os.RemoveAll(target)
		if out, err := exec.Command("cp", "-a", "/var/snap/microk8s/"+before.Revision, target).CombinedOutput(); err != nil {
			return fmt.Errorf("cannot copy snap data: %s", out)
		}
	}
	if err := pointCurrent(s.Revision); err != nil {
		return err
	}
	if err := callHook(s, "post-refresh"); err != nil {
		pointCurrent(before.Revision)
		systemctl(append([]string{"start"}, allUnits()...)...)
		return err
	}
	if err := writeUnits(); err != nil {
		return err
	}
	if stopped {
		return nil
	}
	return systemctl(append([]string{"start"}, allUnits()...)...)
}

func (d *snapd) revert(wanted request) (string, error) {
	before := *d.get(wanted.Snap)
	s := before
	s.Revision, s.Previous = before.Previous[len(before.Previous)-1], before.Previous[:len(before.Previous)-1]
	if meta, err := readSnap(filepath.Join(revisionFolder(s.Revision), "bin", "microk8s-standin")); err == nil {
		s.Version = meta.Version
	}
	if err := switchRevision("", before, s); err != nil {
		return "", err
	}
	d.with(func() { d.state.Snaps[s.Name] = &s })
	return fmt.Sprintf("%s reverted to %s", s.Name, strings.TrimPrefix(s.Version, "")), nil
}

func (d *snapd) hold(wanted request) (string, error) {
	message := fmt.Sprintf("General refreshes of %q held indefinitely", wanted.Snap)
	hold := wanted.Hold
	switch {
	case hold == "none":
		message, hold = fmt.Sprintf("Removed general refresh hold of %q", wanted.Snap), ""
	case hold != "forever":
		message = fmt.Sprintf("General refreshes of %q held until %s", wanted.Snap, hold)
	}
	d.with(func() { d.state.Snaps[wanted.Snap].Hold = hold })
	return message, nil
}

func (d *snapd) toggle(wanted request) (string, error) {
	off := wanted.Action == "disable"
	if off {
		systemctl(append([]string{"stop"}, allUnits()...)...)
		for _, unit := range allUnits() {
			os.Remove("/etc/systemd/system/" + unit)
		}
		systemctl("daemon-reload")
	} else if err := writeUnits(); err != nil {
		return "", err
	} else if err := startServices(); err != nil {
		return "", err
	}
	d.with(func() { d.state.Snaps[wanted.Snap].Disabled = off })
	return wanted.Snap + " " + wanted.Action + "d", nil
}

// control starts, stops and restarts services; without names it means all of them.
func (d *snapd) control(wanted request) (string, error) {
	units := allUnits()
	if len(wanted.Names) > 0 {
		units = nil
		for _, name := range wanted.Names {
			units = append(units, unitOf(strings.TrimPrefix(name, "daemon-")))
		}
	}
	if wanted.Enable {
		verb := "enable"
		if wanted.Action == "stop" {
			verb = "disable"
		}
		systemctl(append([]string{verb}, units...)...)
	}
	if err := systemctl(append([]string{wanted.Action}, units...)...); err != nil {
		return "", taskFailed(fmt.Sprintf("Run service command %q for services %q of snap %q", wanted.Action, wanted.Names, wanted.Snap), err)
	}
	return map[string]string{"start": "Started.", "stop": "Stopped.", "restart": "Restarted."}[wanted.Action], nil
}

func (d *snapd) remove(wanted request) (string, error) {
	s := *d.get(wanted.Snap)
	if wanted.Snap != "microk8s" {
		if d.get("microk8s") != nil {
			return "", fmt.Errorf("snap %q is not removable: snap is being used by snap microk8s", wanted.Snap)
		}
	} else {
		systemctl(append([]string{"stop"}, allUnits()...)...)
		if err := callHook(s, "remove"); err != nil && !s.Disabled {
			return "", err
		}
		if !wanted.Purge {
			os.MkdirAll("/var/lib/snapd/snapshots", 0o700)
			snapshot := fmt.Sprintf("/var/lib/snapd/snapshots/%d_microk8s_%s_%s.zip", time.Now().Unix(), s.Version, s.Revision)
			exec.Command("tar", "-czf", snapshot, "-C", "/var/snap", "microk8s").Run()
		}
		removeFiles()
	}
	d.with(func() { delete(d.state.Snaps, wanted.Snap) })
	if !wanted.Purge && wanted.Snap == "microk8s" {
		return wanted.Snap + " removed (snap data snapshot saved)", nil
	}
	return wanted.Snap + " removed", nil
}

// removeFiles takes away all that snapd had laid for MicroK8s.
func removeFiles() {
	systemctl(append([]string{"stop"}, allUnits()...)...)
	systemctl(append([]string{"disable"}, allUnits()...)...)
	for _, unit := range allUnits() {
		os.Remove("/etc/systemd/system/" + unit)
		os.RemoveAll("/etc/systemd/system/" + unit + ".d")
	}
	systemctl("daemon-reload")
	systemctl(append([]string{"reset-failed"}, allUnits()...)...)
	links, _ := filepath.Glob("/snap/bin/microk8s*")
	for _, link := range links {
		os.Remove(link)
	}
	unmountBelow("/var/snap/microk8s")
	files, _ := filepath.Glob("/var/lib/snapd/snaps/microk8s_*.snap")
	for _, file := range append(files, "/snap/microk8s", "/var/snap/microk8s", "/root/snap/microk8s") {
		os.RemoveAll(file)
	}
}

func unmountBelow(folder string) {
	table, _ := os.ReadFile("/proc/self/mounts")
	for _, line := range strings.Split(string(table), "\n") {
		if words := strings.Fields(line); len(words) > 1 && strings.HasPrefix(words[1], folder+"/") {
			syscall.Unmount(words[1], syscall.MNT_DETACH)
		}
	}
}
