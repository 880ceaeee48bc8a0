// `k0s sysinfo`, and the same checks before a start.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"standin/kube"
)

var sysinfoFlags = flags("controller switch =true\nworker switch =true\ndata-dir text =/var/lib/k0s\noutput,o text =text")

type probeOptions struct {
	controller, worker bool
	dataDir            string
}

// probe has the fields of `k0s sysinfo -o json`, in their order.
type probe struct {
	Path        []string `json:"path"`
	DisplayName string   `json:"displayName"`
	Prop        string   `json:"prop"`
	Message     string   `json:"message"`
	Category    string   `json:"category"`
	Error       any      `json:"error"`
}

func (o probeOptions) run() []probe {
	var list []probe
	add := func(category, name, prop, message string, path ...string) {
		list = append(list, probe{Path: path, DisplayName: name, Prop: prop, Message: message, Category: category})
	}
	add("pass", "Total memory", totalMemory(), "", "memory")
	o.probeDisk(add)
	if found, err := net.LookupIP("localhost"); err != nil {
		add("error", "Name resolution: localhost", "", "", "nameResolution:localhost")
		list[len(list)-1].Error = err.Error()
	} else {
		add("pass", "Name resolution: localhost", fmt.Sprint(found), "", "nameResolution:localhost")
	}
	if o.worker {
		add("pass", "Containerd config snippets in /etc/k0s/containerd.d/", "no config snippets found", "", "containerd:configSnippets")
	}
	release, _ := kube.ReadLine("/proc/sys/kernel/osrelease")
	add("pass", "Operating system", "Linux", "", "os")
	add("pass", "Linux kernel release", release, "", "os", "linux", "kernelRelease")
	add("pass", "Max. file descriptors per process", "current: 1048576 / max: 1048576", "", "os", "linux", "ulimit:nofile")
	add("pass", "AppArmor", "unavailable", "", "os", "linux", "AppArmor")
	if o.worker {
		o.probeWorker(add)
	}
	return list
}

type addProbe func(category, name, prop, message string, path ...string)

func totalMemory() string {
	var info syscall.Sysinfo_t
	syscall.Sysinfo(&info)
	return fmt.Sprintf("%.1f GiB", float64(info.Totalram)*float64(info.Unit)/(1<<30))
}

func (o probeOptions) probeDisk(add addProbe) {
	place := o.dataDir
	for !kube.Exists(place) && place != "/" {
		place = filepath.Dir(place)
	}
	var stat syscall.Statfs_t
	syscall.Statfs(place, &stat)
	free := float64(stat.Bavail) * float64(stat.Bsize)
	percent := 100 * float64(stat.Bavail) / float64(stat.Blocks)
	add("pass", "File system of "+o.dataDir, fmt.Sprintf("0x%x", stat.Type), "", "filesystem:"+o.dataDir)
	least := 0.0
	if o.controller {
		least += 500 << 20
	}
	if o.worker {
		least += 1300 << 20
	}
	category, message := "pass", ""
	if free < least {
		category, message = "warning", fmt.Sprintf("%.1f GiB recommended", least/(1<<30))
	}
	add(category, "Disk space available for "+o.dataDir, fmt.Sprintf("%.1f GiB", free/(1<<30)), message, "disk:"+o.dataDir)
	if !o.worker {
		return
	}
	category, message = "pass", ""
	if percent < 15 {
		category, message = "warning", "15% recommended"
	}
	add(category, "Relative disk space available for "+o.dataDir, fmt.Sprintf("%.0f%%", percent), message, "reldisk:"+o.dataDir)
}

func (o probeOptions) probeWorker(add addProbe) {
	for _, program := range []string{"modprobe", "mount", "umount"} {
		if path, err := exec.LookPath(program); err != nil {
			add("warning", "Executable in PATH: "+program, err.Error(), "", "os", "linux", "executableInPath:"+program)
		} else {
			add("pass", "Executable in PATH: "+program, path, "", "os", "linux", "executableInPath:"+program)
		}
	}
	add("pass", "/proc file system", "mounted (0x9fa0)", "", "os", "linux", "procfs")
	if kube.OnCgroupV1() {
		add("rejected", "Control Groups", "version 1", "cgroup v1 is not supported", "os", "linux", "cgroups")
	} else {
		add("pass", "Control Groups", "version 2", "", "os", "linux", "cgroups")
	}
	for _, name := range []string{"cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "pids"} {
		add("pass", fmt.Sprintf("cgroup controller %q", name), "available", "", "os", "linux", "cgroups", name)
	}
	for _, name := range []string{"CGROUPS: Control Group support", "NAMESPACES: Namespaces support", "NET: Networking support", "EXT4_FS: The Extended 4 (ext4) filesystem",
		"PROC_FS: /proc file system support"} {
		config, _, _ := strings.Cut(name, ":")
		add("pass", "CONFIG_"+name, "built-in", "", "os", "linux", config)
	}
}

func runSysinfo(i *invocation) error {
	found := probeOptions{i.enabled("controller"), i.enabled("worker"), i.text("data-dir")}.run()
	switch output := i.text("output"); output {
	case "text":
		for _, p := range found {
			indent := ""
			if len(p.Path) > 1 {
				indent = strings.Repeat("  ", len(p.Path)-1)
			}
			line := indent + p.DisplayName + ": " + p.Prop
			if p.Prop != "" {
				line += " "
			}
			line += "(" + p.Category
			if p.Message != "" {
				line += ": " + p.Message
			}
			fmt.Println(line + ")")
		}
	case "json":
		out, _ := json.MarshalIndent(found, "", "  ")
		os.Stdout.Write(out) // without a line end
	case "yaml":
		var text strings.Builder
		kube.WriteYAML(&text, kube.Clone(found), "")
		fmt.Print(text.String())
	default:
		return fmt.Errorf("unknown output format: %q", output)
	}
	if failed(found) {
		return errors.New("sysinfo failed")
	}
	return nil
}

func failed(probes []probe) bool {
	for _, p := range probes {
		if p.Category == "rejected" || p.Category == "error" {
			return true
		}
	}
	return false
}

func (p probe) fields() string {
	return fmt.Sprintf(" pre-flight-check=%s property=%q", strings.Join(p.Path, "/"), p.Prop)
}

// preFlight refuses a start on a host that cannot do it; lenient makes the refusal a warning.
func preFlight(o probeOptions, lenient bool) error {
	found := o.run()
	for _, p := range found {
		switch {
		case p.Category == "rejected" && lenient:
			kube.LogWith("warning", p.fields(), "Rejected: %s", p.Message)
		case p.Category == "rejected":
			kube.LogWith("error", p.fields(), "Rejected: %s", p.Message)
		case p.Category == "error" && !lenient:
			return fmt.Errorf("pre-flight checks failed, check out `k0s sysinfo`: %v", p.Error)
		}
	}
	if failed(found) && !lenient {
		return errors.New("pre-flight checks failed, check out `k0s sysinfo`")
	}
	return nil
}
