// `k0s reset`: what it takes away from a host, and what it leaves.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"syscall"

	"standin/kube"
)

func runReset(i *invocation) error {
	v := newVars(i)
	if os.Geteuid() != 0 {
		return errRoot
	}
	locked, err := isLocked(v.RuntimeConfigPath)
	if err != nil {
		return err
	}
	if locked {
		return fmt.Errorf("%w, please stop k0s before reset", errStillRunning)
	}
	config, err := v.nodeConfig()
	if err != nil {
		return err
	}
	if config.Spec.Storage.Kine != nil && config.Spec.Storage.Kine.DataSource != "" {
		kube.Warnf("Kine dataSource is configured. k0s will not reset the data source if it points to an external database. If you plan to continue using the " +
			"data source, you should reset it to avoid conflicts.")
	}
	err = cleanUp(v, config)
	kube.Infof("k0s cleanup operations done.")
	kube.Warnf("To ensure a full reset, a node reboot is recommended.")
	return err
}

func cleanUp(v *vars, config *clusterConfig) error {
	var problems []error
	steps := []struct {
		name string
		run  func() error
	}{
		{"containers steps", func() error { endContainers(v); return nil }},
		{"remove k0s users step:", func() error { deleteUsers(config.Spec.Install.Users); return nil }},
		{"uninstall service step", uninstallOne},
		{"remove directories step", func() error { return removeFolders(v) }},
		{"CNI leftovers cleanup step", removeNetworkFiles},
		{"kube-bridge leftovers cleanup step", func() error { exec.Command("ip", "link", "del", "kube-bridge").Run(); return nil }},
	}
	for _, step := range steps {
		kube.Infof("* %s", step.name)
		if err := step.run(); err != nil {
			problems = append(problems, err)
		}
	}
	if len(problems) > 0 {
		return fmt.Errorf("errors occurred during clean-up: %w", errors.Join(problems...))
	}
	return nil
}

// endContainers ends the processes that outlived the service.
func endContainers(v *vars) {
	for _, name := range childNames {
		pid, err := kube.ReadLine(filepath.Join(v.RunDir, name+".pid"))
		command, _ := os.ReadFile("/proc/" + pid + "/cmdline")
		if err == nil && strings.Contains(string(command), name) {
			exec.Command("kill", "-9", pid).Run()
		}
	}
}

// uninstallOne removes the first unit that it can, and not a second.
func uninstallOne() error {
	for _, role := range []string{"controller", "worker"} {
		err := serviceOf(role).uninstall()
		if err == nil {
			kube.Infof("uninstalled k0s%s service", role)
			return nil
		}
		if !os.IsNotExist(err) && !isExit(err, 1) {
			return err
		}
	}
	return nil
}

func removeFolders(v *vars) error {
	table, _ := os.ReadFile("/proc/self/mounts")
	var mounts []string
	for _, line := range strings.Split(string(table), "\n") {
		words := strings.Fields(line)
		if len(words) > 1 && words[1] != v.DataDir && (below(words[1], v.KubeletRootDir) || below(words[1], v.DataDir)) {
			mounts = append(mounts, words[1])
		}
	}
	sort.Sort(sort.Reverse(sort.StringSlice(mounts)))
	for _, mount := range mounts {
		if syscall.Unmount(mount, 0) != nil {
			kube.Warnf("lazy unmounting %v", mount)
			if syscall.Unmount(mount, syscall.MNT_DETACH) != nil {
				return fmt.Errorf("failed unmount %v", mount)
			}
		}
	}
	if err := os.RemoveAll(v.KubeletRootDir); err != nil {
		return fmt.Errorf("failed to delete k0s kubelet root direcotory: %w", err)
	}
	if err := os.RemoveAll(v.DataDir); err != nil && !errors.Is(err, syscall.EBUSY) {
		return fmt.Errorf("failed to delete k0s generated data-dir: %w", err)
	}
	if err := os.RemoveAll(v.RunDir); err != nil {
		return fmt.Errorf("failed to delete %s: %w", v.RunDir, err)
	}
	return nil
}

func below(path, base string) bool { return path == base || strings.HasPrefix(path, base+"/") }

func removeNetworkFiles() error {
	for _, name := range []string{"10-calico.conflist", "calico-kubeconfig", "10-kuberouter.conflist"} {
		os.Remove(filepath.Join("/etc/cni/net.d", name))
	}
	return nil
}
