// The first run of a version unpacks its programs into the data folder; here they are a few small files.
package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"syscall"

	"standin/kube"
)

func unpackedDir(dataDir string) string {
	sum := sha256.Sum256([]byte("k3s stand-in " + version + " " + runtime.GOARCH))
	return filepath.Join(dataDir, "data", hex.EncodeToString(sum[:]))
}

func unpack(dataDir string) error {
	target := unpackedDir(dataDir)
	if _, err := os.Stat(filepath.Join(target, "bin", "k3s")); err == nil {
		return nil
	}
	base := filepath.Join(dataDir, "data")
	if err := os.MkdirAll(base, 0o755); err != nil {
		return fmt.Errorf("extracting data: %w", err)
	}
	lockFile := filepath.Join(base, ".lock")
	kube.Infof("Acquiring lock file %s", lockFile)
	lock, err := os.OpenFile(lockFile, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("extracting data: %w", err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("extracting data: %w", err)
	}
	if _, err := os.Stat(target); err == nil {
		return nil
	}
	kube.Infof("Preparing data dir %s", target)
	if err := writePrograms(target + "-tmp"); err != nil {
		return fmt.Errorf("extracting data: %w", err)
	}
	current := filepath.Join(base, "current")
	if _, err := os.Lstat(current); err == nil {
		if err := os.Rename(current, filepath.Join(base, "previous")); err != nil {
			return fmt.Errorf("extracting data: %w", err)
		}
	}
	if err := os.Symlink(target, current); err != nil {
		return fmt.Errorf("extracting data: %w", err)
	}
	return os.Rename(target+"-tmp", target)
}

func writePrograms(dir string) error {
	os.RemoveAll(dir)
	bin := filepath.Join(dir, "bin")
	if err := os.MkdirAll(filepath.Join(bin, "aux"), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(bin, "containerd-shim-runc-v2"), []byte(kube.ShimScript), 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(bin, "k3s"), []byte(version+"\n"), 0o755)
}
