// `snap`: its command line, its sentences and exit codes. What is done is done by snapd.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"text/tabwriter"
	"time"

	"standin/kube"
)

// snapCommand is one verb: its flags (true: with a value) and what it does.
type snapCommand struct {
	flags map[string]bool
	run   func(c *snapCall) error
}

type snapCall struct {
	words []string
	flags map[string]string
}

func (c *snapCall) has(name string) bool { _, given := c.flags[name]; return given }

var channelFlags = map[string]bool{"channel": true, "edge": false, "beta": false, "candidate": false, "stable": false, "revision": true, "classic": false, "devmode": false,
	"jailmode": false, "dangerous": false, "no-wait": false, "ignore-validation": false, "ignore-running": false, "amend": false, "cohort": true, "name": true,
	"hold": false, "unhold": false, "time": false, "list": false, "unicode": true, "color": true, "transaction": true, "unaliased": false, "prefer": false}

var snapCommands map[string]snapCommand

func init() {
	service := map[string]bool{"enable": false, "disable": false, "reload": false, "no-wait": false}
	snapCommands = map[string]snapCommand{
		"install": {channelFlags, snapInstall}, "refresh": {channelFlags, snapRefresh},
		"remove": {map[string]bool{"purge": false, "revision": true, "no-wait": false, "terminate": false}, snapRemove},
		"revert": {channelFlags, func(c *snapCall) error { return simpleChange(c, "revert") }},
		"enable": {nil, func(c *snapCall) error { return simpleChange(c, "enable") }}, "disable": {nil, func(c *snapCall) error { return simpleChange(c, "disable") }},
		"list": {map[string]bool{"all": false, "unicode": true, "color": true}, snapList}, "info": {map[string]bool{"verbose": false, "abs-time": false, "unicode": true, "color": true}, snapInfo},
		"ack": {nil, snapAck}, "changes": {map[string]bool{"abs-time": false}, snapChanges}, "tasks": {map[string]bool{"last": true, "abs-time": false}, snapTasks},
		"watch": {map[string]bool{"last": true}, snapWatch}, "abort": {map[string]bool{"last": true}, snapAbort},
		"start": {service, func(c *snapCall) error { return serviceChange(c, "start") }}, "stop": {service, func(c *snapCall) error { return serviceChange(c, "stop") }},
		"restart": {service, func(c *snapCall) error { return serviceChange(c, "restart") }}, "services": {map[string]bool{"global": false, "user": false}, snapServices},
		"logs": {map[string]bool{"n": true, "f": false, "abs-time": false}, snapLogs}, "version": {nil, snapVersion}, "wait": {nil, func(c *snapCall) error { _, err := ask("GET", "/v2/system-info", nil); return err }},
		"download": {map[string]bool{"channel": true, "basename": true, "target-directory": true, "revision": true, "edge": false, "stable": false, "cohort": true}, snapDownload},
		"set":      {map[string]bool{"no-wait": false, "t": false, "s": false}, snapSet}, "get": {map[string]bool{"d": false, "t": false, "l": false}, func(c *snapCall) error { return nil }},
		"known": {nil, func(c *snapCall) error { return nil }}, "warnings": {nil, func(c *snapCall) error { fmt.Println("No warnings."); return nil }},
		"standin-setup": {map[string]bool{"store": true}, standinSetup}, "standin-stuck": {nil, standinStuck},
	}
}

var errUsage = errors.New("usage")

func snapMain(words []string) int {
	if len(words) == 0 || words[0] == "help" || words[0] == "--help" || words[0] == "-h" {
		fmt.Println("The snap command lets you install, configure, refresh and remove snaps.\n(This is a STAND-IN, made for tests.)")
		return 0
	}
	if words[0] == "--version" {
		words = []string{"version"}
	}
	if words[0] == "run" && len(words) > 1 {
		runSnap(words[1], words[2:])
	}
	command, known := snapCommands[words[0]]
	if !known {
		fmt.Fprintf(os.Stderr, "error: unknown command %q, see 'snap help'.\n", words[0])
		return 64
	}
	call, err := parseSnap(command, words)
	if err == nil {
		err = command.run(call)
	}
	return snapExit(words[0], err)
}

func parseSnap(command snapCommand, words []string) (*snapCall, error) {
	call := &snapCall{flags: map[string]string{}}
	for n := 1; n < len(words); n++ {
		word := words[n]
		if !strings.HasPrefix(word, "-") || word == "-" {
			call.words = append(call.words, word)
			continue
		}
		name, value, hasValue := strings.Cut(strings.TrimLeft(word, "-"), "=")
		takes, known := command.flags[name]
		switch {
		case !known:
			return nil, fmt.Errorf("%w: unknown flag `%s'", errUsage, name)
		case takes && !hasValue && n+1 < len(words):
			n++
			value = words[n]
		case takes && !hasValue:
			return nil, fmt.Errorf("%w: expected argument for flag `--%s'", errUsage, name)
		}
		call.flags[name] = value
	}
	for _, risk := range risks {
		if call.has(risk) {
			call.flags["channel"] = risk
		}
	}
	return call, nil
}

// snapFailure is an error of snapd with its kind.
type snapFailure struct{ kind, message string }

func (f *snapFailure) Error() string { return f.message }

const classicAdvice = `error: This revision of snap %q was published using classic confinement and thus may perform
       arbitrary system changes outside of the security sandbox that snaps are usually confined to,
       which may put your system at risk.

       If you understand and want to proceed repeat the command including --classic.
`

// snapExit prints an error on stderr; some are none.
func snapExit(verb string, err error) int {
	var failure *snapFailure
	var code kube.ExitCode
	switch {
	case err == nil:
		return 0
	case errors.As(err, &code):
		return int(code)
	case errors.Is(err, errUsage):
		fmt.Fprintln(os.Stderr, "error:", strings.TrimPrefix(err.Error(), "usage: "))
		return 64
	case !errors.As(err, &failure):
		fmt.Fprintln(os.Stderr, "error:", err)
		return 1
	}
	switch failure.kind {
	case "snap-already-installed":
		fmt.Fprintf(os.Stderr, "%s, see 'snap help refresh'\n", failure.message)
		return 0
	case "snap-no-update-available":
		fmt.Fprintln(os.Stderr, failure.message)
		return 0
	case "snap-not-installed":
		if verb == "remove" {
			fmt.Fprintln(os.Stderr, failure.message)
			return 0
		}
	case "snap-needs-classic":
		fmt.Fprintf(os.Stderr, classicAdvice, failure.message)
		return 1
	case "snap-change-conflict":
		fmt.Fprintln(os.Stderr, "error:", failure.message)
		return 10
	}
	fmt.Fprintln(os.Stderr, "error:", failure.message)
	return 1
}

var snapdClient = &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, "unix", snapdSocket)
}}}

// ask speaks to snapd; it gives the whole answer.
func ask(method, path string, body any) (kube.Object, error) {
	if method != "GET" && os.Geteuid() != 0 {
		return nil, errors.New("access denied (try with sudo)")
	}
	encoded, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequest(method, "http://localhost"+path, bytes.NewReader(encoded))
	if err != nil {
		return nil, err
	}
	response, err := snapdClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("cannot communicate with server: %w", err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	found, _ := kube.Decode(content).(kube.Object)
	if response.StatusCode >= 300 {
		failure := &snapFailure{kube.TextAt(found, "result", "kind"), kube.TextAt(found, "result", "message")}
		if failure.kind == "snap-needs-classic" {
			failure.message = kube.TextAt(found, "result", "value")
		}
		return nil, failure
	}
	return found, nil
}

// change asks for one and waits for its end.
func changeSnap(wanted request, wait bool) error {
	found, err := ask("POST", "/v2/snaps/"+wanted.Snap, wanted)
	if err != nil {
		return err
	}
	id := kube.TextAt(found, "change")
	if !wait {
		fmt.Println(id)
		return nil
	}
	return awaitChange(id)
}

func awaitChange(id string) error {
	for {
		found, err := ask("GET", "/v2/changes/"+id, nil)
		if err != nil {
			return err
		}
		switch status := kube.TextAt(found, "result", "status"); status {
		case "Doing":
			time.Sleep(100 * time.Millisecond)
		case "Done":
			if message := kube.TextAt(found, "result", "message"); message != "" {
				fmt.Println(message)
			}
			return nil
		default:
			return errors.New(orElse(kube.TextAt(found, "result", "err"), fmt.Sprintf("change finished in status %q with no error message", status)))
		}
	}
}

func snapInstall(c *snapCall) error {
	if len(c.words) == 0 {
		return fmt.Errorf("%w: the required argument `<snap> (at least 1 argument)` was not provided", errUsage)
	}
	for _, word := range c.words {
		wanted := request{Action: "install", Snap: word, Channel: c.flags["channel"], Revision: c.flags["revision"], Classic: c.has("classic"), Dangerous: c.has("dangerous")}
		if strings.Contains(word, "/") || strings.HasSuffix(word, ".snap") {
			path, err := filepath.Abs(word)
			if err != nil {
				return err
			}
			meta, err := readSnap(path)
			if err != nil {
				return err
			}
			wanted.Path, wanted.Snap = path, meta.Name
		}
		if err := changeSnap(wanted, !c.has("no-wait")); err != nil {
			return err
		}
	}
	return nil
}

func snapRefresh(c *snapCall) error {
	if c.has("time") {
		fmt.Println("timer: 00:00~24:00/4\nlast: n/a\nnext: n/a")
		return nil
	}
	if c.has("list") || len(c.words) == 0 && !c.has("hold") && !c.has("unhold") {
		fmt.Fprintln(os.Stderr, "All snaps up to date.")
		return nil
	}
	for _, name := range c.words {
		wanted := request{Action: "refresh", Snap: name, Channel: c.flags["channel"], Revision: c.flags["revision"], Classic: c.has("classic")}
		if c.has("hold") {
			wanted.Hold = orElse(c.flags["hold"], "forever")
			if wanted.Hold != "forever" {
				length, err := time.ParseDuration(wanted.Hold)
				if err != nil {
					return fmt.Errorf("hold value must be a number of hours, minutes or seconds, or \"forever\": time: invalid duration %q", wanted.Hold)
				}
				wanted.Hold = time.Now().Add(length).Format(time.RFC3339)
			}
		}
		if c.has("unhold") {
			wanted.Hold = "none"
		}
		if err := changeSnap(wanted, !c.has("no-wait")); err != nil {
			return err
		}
	}
	return nil
}

func snapRemove(c *snapCall) error {
	if len(c.words) == 0 {
		return fmt.Errorf("%w: the required argument `<snap> (at least 1 argument)` was not provided", errUsage)
	}
	for _, name := range c.words {
		if err := changeSnap(request{Action: "remove", Snap: name, Purge: c.has("purge")}, !c.has("no-wait")); err != nil {
			return err
		}
	}
	return nil
}

func simpleChange(c *snapCall, action string) error {
	for _, name := range c.words {
		if err := changeSnap(request{Action: action, Snap: name}, true); err != nil {
			return err
		}
	}
	return nil
}

// serviceChange takes `microk8s` and `microk8s.daemon-NAME`.
func serviceChange(c *snapCall, action string) error {
	wanted := request{Action: action, Snap: "microk8s", Enable: c.has("enable") || c.has("disable")}
	for _, word := range c.words {
		name, service, single := strings.Cut(word, ".")
		wanted.Snap = name
		if single && !isService(service) {
			return fmt.Errorf("snap %q has no service %q", name, service)
		}
		if single {
			wanted.Names = append(wanted.Names, service)
		}
	}
	return changeSnap(wanted, true)
}

func isService(name string) bool {
	for _, service := range services {
		if "daemon-"+service == name {
			return true
		}
	}
	return false
}

func installedOnes() ([]kube.Object, error) {
	found, err := ask("GET", "/v2/snaps", nil)
	var list []kube.Object
	for _, item := range kube.ListAt(found, "result") {
		list = append(list, item.(kube.Object))
	}
	return list, err
}

func snapList(c *snapCall) error {
	snaps, err := installedOnes()
	if err != nil {
		return err
	}
	wanted := map[string]bool{}
	for _, word := range c.words {
		wanted[word] = true
	}
	var rows []string
	for _, s := range snaps {
		if len(wanted) > 0 && !wanted[kube.TextAt(s, "name")] {
			continue
		}
		publisher := "-"
		if kube.At(s, "publisher") != nil {
			publisher = "canonical**"
		}
		rows = append(rows, strings.Join([]string{kube.TextAt(s, "name"), kube.TextAt(s, "version"), kube.TextAt(s, "revision"),
			orElse(kube.TextAt(s, "tracking-channel"), "-"), publisher, notesOf(s)}, "\t"))
	}
	if len(rows) == 0 {
		if len(wanted) > 0 {
			return errors.New("no matching snaps installed")
		}
		fmt.Fprintln(os.Stderr, "No snaps are installed yet. Try 'snap install hello-world'.")
		return nil
	}
	w := tabwriter.NewWriter(os.Stdout, 5, 3, 2, ' ', 0)
	fmt.Fprintln(w, "Name\tVersion\tRev\tTracking\tPublisher\tNotes")
	for _, row := range rows {
		fmt.Fprintln(w, row)
	}
	return w.Flush()
}

func notesOf(s kube.Object) string {
	var notes []string
	if kube.TextAt(s, "type") == "base" {
		notes = append(notes, "base")
	}
	if kube.TextAt(s, "status") != "active" {
		notes = append(notes, "disabled")
	}
	if kube.At(s, "classic") == true {
		notes = append(notes, "classic")
	}
	if kube.TextAt(s, "hold") != "" {
		notes = append(notes, "held")
	}
	return orElse(strings.Join(notes, ","), "-")
}

func snapInfo(c *snapCall) error {
	snaps, err := installedOnes()
	if err != nil {
		return err
	}
	for _, name := range c.words {
		var installed kube.Object
		for _, s := range snaps {
			if kube.TextAt(s, "name") == name {
				installed = s
			}
		}
		tracks, storeError := storeTracks(name)
		if installed == nil && len(tracks) == 0 {
			if storeError != nil {
				return storeError
			}
			fmt.Fprintf(os.Stderr, "warning: no snap found for %q\n", name)
			return kube.ExitCode(1)
		}
		fmt.Printf("name:      %s\nsummary:   Kubernetes for workstations and appliances\npublisher: Canonical**\nlicense:   Apache-2.0\n", name)
		if installed != nil {
			fmt.Println("services:")
			for _, service := range services {
				fmt.Printf("  microk8s.daemon-%s: simple, %s, %s\n", service, unitState("is-enabled", service), unitState("is-active", service))
			}
			fmt.Printf("snap-id:      EaXqgt1lyCaxKaQCU349mlodBkDCXRcg\ntracking:     %s\nrefresh-date: today at %s\n", orElse(kube.TextAt(installed, "tracking-channel"), "-"),
				time.Now().Format("15:04 MST"))
			if hold := kube.TextAt(installed, "hold"); hold != "" {
				fmt.Println("hold:         forever")
			}
		}
		if len(tracks) > 0 {
			fmt.Println("channels:")
			for _, track := range tracks {
				found, err := findRelease(name, channel{track, "stable"})
				if err == nil {
					fmt.Printf("  %s/stable: %s 2026-07-01 (%d) 190MB %s\n", track, found.Version, found.Revision, found.Confinement)
				}
			}
		}
		if installed != nil {
			fmt.Printf("installed: %s (%s) 190MB %s\n", kube.TextAt(installed, "version"), kube.TextAt(installed, "revision"), notesOf(installed))
		}
	}
	return nil
}

func unitState(verb, service string) string {
	out, _ := outputOf("systemctl", verb, unitOf(service))
	return strings.TrimSpace(out)
}

func snapAck(c *snapCall) error {
	if len(c.words) != 1 {
		return fmt.Errorf("%w: the required argument `<assertion file>` was not provided", errUsage)
	}
	content, err := os.ReadFile(c.words[0])
	if err != nil {
		return err
	}
	if _, err := ask("POST", "/v2/assertions", string(content)); err != nil {
		return errors.New("cannot assert: " + err.Error())
	}
	return nil
}

func snapChanges(c *snapCall) error {
	found, err := ask("GET", "/v2/changes?select=all", nil)
	if err != nil {
		return err
	}
	list := kube.ListAt(found, "result")
	if len(list) == 0 {
		return errors.New("no changes found")
	}
	w := tabwriter.NewWriter(os.Stdout, 5, 3, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tStatus\tSpawn\tReady\tSummary")
	for _, item := range list {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", kube.TextAt(item, "id"), kube.TextAt(item, "status"), shortTime(kube.TextAt(item, "spawn-time")),
			orElse(shortTime(kube.TextAt(item, "ready-time")), "-"), kube.TextAt(item, "summary"))
	}
	fmt.Fprintln(w)
	return w.Flush()
}

func shortTime(stamp string) string {
	when, err := time.Parse(time.RFC3339, stamp)
	if err != nil {
		return ""
	}
	return when.Format("today at 15:04 MST")
}

func snapTasks(c *snapCall) error {
	if len(c.words) != 1 {
		return errors.New("please provide change ID or type with --last=<type>")
	}
	found, err := ask("GET", "/v2/changes/"+c.words[0], nil)
	if err != nil {
		return err
	}
	fmt.Printf("Status  Spawn  Ready  Summary\n%s  %s  %s  %s\n", kube.TextAt(found, "result", "status"), shortTime(kube.TextAt(found, "result", "spawn-time")),
		orElse(shortTime(kube.TextAt(found, "result", "ready-time")), "-"), kube.TextAt(found, "result", "summary"))
	return nil
}

func snapWatch(c *snapCall) error {
	if len(c.words) != 1 {
		return errors.New("please provide change ID or type with --last=<type>")
	}
	return awaitChange(c.words[0])
}

func snapAbort(c *snapCall) error {
	if len(c.words) != 1 {
		return errors.New("please provide change ID or type with --last=<type>")
	}
	_, err := ask("POST", "/v2/changes/"+c.words[0], kube.Object{"action": "abort"})
	return err
}

func snapServices(c *snapCall) error {
	snaps, err := installedOnes()
	if err != nil {
		return err
	}
	present := false
	for _, s := range snaps {
		present = present || kube.TextAt(s, "name") == "microk8s"
	}
	if !present {
		if len(c.words) > 0 {
			return fmt.Errorf("snap %q not found", c.words[0])
		}
		fmt.Fprintln(os.Stderr, "There are no services provided by installed snaps.")
		return nil
	}
	only := ""
	if len(c.words) > 0 {
		_, only, _ = strings.Cut(c.words[0], ".")
	}
	w := tabwriter.NewWriter(os.Stdout, 5, 3, 2, ' ', 0)
	fmt.Fprintln(w, "Service\tStartup\tCurrent\tNotes")
	names := append([]string{}, services...)
	sort.Strings(names)
	for _, service := range names {
		if only == "" || only == "daemon-"+service {
			fmt.Fprintf(w, "microk8s.daemon-%s\t%s\t%s\t-\n", service, unitState("is-enabled", service), strings.Replace(unitState("is-active", service), "failed", "inactive", 1))
		}
	}
	return w.Flush()
}

func snapLogs(c *snapCall) error {
	words := []string{"--no-pager", "-n", orElse(c.flags["n"], "10")}
	for _, service := range services {
		words = append(words, "-u", unitOf(service))
	}
	command := exec.Command("journalctl", words...)
	command.Stdout, command.Stderr = os.Stdout, os.Stderr
	return command.Run()
}

func snapVersion(*snapCall) error {
	fmt.Printf("snap    %s\n", snapdVersion)
	if _, err := ask("GET", "/v2/system-info", nil); err != nil {
		fmt.Println("snapd   unavailable\nseries  -")
		return nil
	}
	kernel, _ := kube.ReadLine("/proc/sys/kernel/osrelease")
	fmt.Printf("snapd   %s\nseries  16\nkernel  %s\n", snapdVersion, kernel)
	return nil
}

func snapDownload(c *snapCall) error {
	if len(c.words) != 1 {
		return fmt.Errorf("%w: the required argument `<snap>` was not provided", errUsage)
	}
	from, err := parseChannel(orElse(c.flags["channel"], "latest/stable"))
	if err != nil {
		return err
	}
	found, err := findRelease(c.words[0], from)
	if err != nil {
		return err
	}
	base := filepath.Join(c.flags["target-directory"], orElse(c.flags["basename"], fmt.Sprintf("%s_%d", found.Name, found.Revision)))
	fmt.Printf("Fetching snap %q\n", found.Name)
	for from, to := range map[string]string{found.File: base + ".snap", found.Assertion: base + ".assert"} {
		content, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(to, content, 0o600)
		}
		if err != nil {
			return err
		}
	}
	fmt.Printf("Fetching assertions for %q\nInstall the snap with:\n   snap ack %s.assert\n   snap install %s.snap\n", found.Name, base, base)
	return nil
}

// snapSet hands a launch configuration to the agent, where it differs from the last one.
func snapSet(c *snapCall) error {
	if _, err := ask("GET", "/v2/snaps/"+append(c.words, "")[0], nil); err != nil {
		return err
	}
	for _, word := range c.words[1:] {
		name, value, found := strings.Cut(word, "=")
		if !found {
			return fmt.Errorf("invalid configuration: %q (want key=value)", word)
		}
		target := "/var/snap/microk8s/common/etc/launcher/snap-set.yaml"
		before, _ := os.ReadFile(target + ".applied")
		if name == "config" && value != string(before) {
			if err := os.WriteFile(target, []byte(value), 0o600); err != nil {
				return err
			}
		}
	}
	return nil
}

// runSnap becomes an app of a snap.
func runSnap(app string, words []string) {
	name, _, _ := strings.Cut(app, ".")
	program := "/snap/" + name + "/current/bin/microk8s"
	if !kube.Exists(program) {
		fmt.Fprintf(os.Stderr, "error: cannot find current revision for snap %s: readlink /snap/%s/current: no such file or directory\n", name, name)
		os.Exit(46)
	}
	replaceProcess(program, app, words)
}

const socketUnit = `[Unit]
Description=Socket activation for snappy daemon

[Socket]
ListenStream=` + snapdSocket + `
SocketMode=0666

[Install]
WantedBy=sockets.target
`

const snapdUnit = `[Unit]
Description=Snap Daemon
After=snapd.socket
Requires=snapd.socket

[Service]
EnvironmentFile=-/etc/environment
EnvironmentFile=-` + settingsFile + `
ExecStart=/usr/lib/snapd/snapd
KillMode=process
Restart=always
RestartSec=1

[Install]
WantedBy=multi-user.target
`

// standinSetup is what `apt-get install snapd` does: units, folders, and the running socket.
func standinSetup(c *snapCall) error {
	for _, folder := range []string{"/usr/lib/snapd", "/var/lib/snapd/snaps", "/snap/bin"} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return err
		}
	}
	os.Remove("/usr/lib/snapd/snapd")
	if err := os.Symlink("/usr/bin/snap", "/usr/lib/snapd/snapd"); err != nil {
		return err
	}
	for name, content := range map[string]string{"snapd.socket": socketUnit, "snapd.service": snapdUnit} {
		if err := os.WriteFile("/etc/systemd/system/"+name, []byte(content), 0o644); err != nil {
			return err
		}
	}
	if store := c.flags["store"]; store != "" {
		if err := os.WriteFile(settingsFile, []byte("STANDIN_STORE="+store+"\n"), 0o644); err != nil {
			return err
		}
	}
	for _, words := range [][]string{{"daemon-reload"}, {"enable", "snapd.socket", "snapd.service"}, {"restart", "snapd.socket"}, {"restart", "snapd.service"}} {
		if err := systemctl(words...); err != nil {
			return fmt.Errorf("systemctl %s: %w", strings.Join(words, " "), err)
		}
	}
	return nil
}

// standinStuck begins a change that never ends by itself: `snap standin-stuck SNAP [KIND]`; `snap abort ID` ends it.
func standinStuck(c *snapCall) error {
	kind := append(c.words, "", "")[1]
	return changeSnap(request{Action: "nothing", Snap: c.words[0], Channel: kind}, false)
}
