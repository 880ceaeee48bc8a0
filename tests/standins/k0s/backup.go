// `k0s backup` and `k0s restore`: one archive with the datastore's content, keys, manifests and the configuration.
package main

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"standin/kube"
)

func runBackup(i *invocation) error {
	v := effectiveVars(i)
	config, err := v.nodeConfig()
	if err != nil {
		return err
	}
	path := i.text("save-path")
	switch {
	case config.Spec.Storage.Type == "etcd" && config.Spec.Storage.Etcd.ExternalCluster != nil:
		return errors.New("command 'k0s backup' does not support external etcd cluster")
	case os.Geteuid() != 0:
		return errRoot
	case path != "-" && !isDir(path):
		return fmt.Errorf("the save-path directory (%s) does not exist", path)
	case !isDir(v.DataDir):
		return fmt.Errorf("cannot find data-dir (%s). check your environment and/or command input and try again", v.DataDir)
	}
	info, err := readStatus(v)
	if err != nil {
		return fmt.Errorf("unable to detect cluster status %w", err)
	}
	if info.Role != "controller" {
		return fmt.Errorf("backup command must be run on the controller node, have `%s`", info.Role)
	}
	if path == "-" {
		return writeArchive(os.Stdout, v, info.ClusterConfig.Spec.Storage.Type)
	}
	name := filepath.Join(path, "k0s_backup_"+strings.ReplaceAll(time.Now().UTC().Format("2006-01-02T15_04_05.000Z"), ".", "_")+".tar.gz")
	file, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := writeArchive(file, v, info.ClusterConfig.Spec.Storage.Type); err != nil {
		return err
	}
	kube.Infof("archive %s created successfully", name)
	return nil
}

func isDir(path string) bool { info, err := os.Stat(path); return err == nil && info.IsDir() }

func writeArchive(to io.Writer, v *vars, storage string) error {
	journal, name := v.etcdJournal(), "etcd-snapshot.db"
	if storage == "kine" {
		journal, name = v.sqliteFile(), "kine-state-backup.db"
	}
	content, err := kube.ReadDatastore(journal)
	if err != nil {
		return fmt.Errorf("failed to create backup on step `%s`: %w", storage, err)
	}
	packed := gzip.NewWriter(to)
	archive := tar.NewWriter(packed)
	add := func(name string, mode os.FileMode, text []byte) error {
		if err := archive.WriteHeader(&tar.Header{Name: name, Mode: int64(mode.Perm()), Size: int64(len(text)), ModTime: time.Now()}); err != nil {
			return err
		}
		_, err := archive.Write(text)
		return err
	}
	if err := add(name, 0o600, content.Encode()); err != nil {
		return err
	}
	for _, dir := range []string{v.CertRootDir, v.ManifestsDir, v.OCIBundleDir, v.HelmHome} {
		err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
			if err != nil || info.IsDir() {
				return nil
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			return add(strings.TrimPrefix(path, v.DataDir+"/"), info.Mode(), text)
		})
		if err != nil {
			return err
		}
	}
	text, err := os.ReadFile(v.StartupConfigPath)
	if err == nil {
		err = add("k0s.yaml", 0o600, text)
	} else if os.IsNotExist(err) {
		err = add("k0s.yaml", 0o600, []byte("apiVersion: "+configAPI+"\nkind: ClusterConfig\nmetadata:\n  name: k0s\n"))
	}
	return firstError(err, archive.Close(), packed.Close())
}

func runRestore(i *invocation) error {
	v, path := effectiveVars(i), i.words[0]
	if os.Geteuid() != 0 {
		return errRoot
	}
	if info, err := readStatus(v); err == nil && info.Pid != 0 {
		kube.Fatalf("k0s seems to be running! k0s must be down during the restore operation.")
	}
	if path != "-" && !kube.Exists(path) {
		return fmt.Errorf("given file %s does not exist", path)
	}
	if err := makeDir(v.DataDir, 0o755); err != nil {
		return err
	}
	files, err := readArchive(path)
	if err != nil {
		return fmt.Errorf("failed to unpack backup archive `%s`: %w", path, err)
	}
	config, err := defaultConfigOf(nil).merge(files["k0s.yaml"].content)
	if err != nil {
		return fmt.Errorf("failed to parse backed-up configuration file, check the backup archive: %w", err)
	}
	if err := restoreDatastore(v, config, files); err != nil {
		return err
	}
	for name, file := range files {
		if first, _, nested := strings.Cut(name, "/"); !nested || first == "" {
			continue
		}
		target := filepath.Join(v.DataDir, name)
		if err := os.MkdirAll(filepath.Dir(target), 0o751); err != nil {
			return err
		}
		if err := os.WriteFile(target, file.content, file.mode); err != nil {
			return err
		}
	}
	out := orElse(i.text("config-out"), fmt.Sprintf("k0s_%s.yaml", strings.TrimPrefix(strings.Split(filepath.Base(path), ".")[0], "k0s_backup_")))
	return os.WriteFile(out, files["k0s.yaml"].content, 0o600)
}

// restoreDatastore goes by the storage that the backed-up configuration names, whatever the archive holds.
func restoreDatastore(v *vars, config *clusterConfig, files map[string]archived) error {
	journal, name, missing := v.etcdJournal(), "etcd-snapshot.db", "failed to restore on step `etcd`: etcd snapshot not found at %s"
	if config.Spec.Storage.Type == "kine" {
		journal, name, missing = v.sqliteFile(), "kine-state-backup.db", "failed to restore on step `sqlite`: sqlite backup not found at %s"
	}
	file, found := files[name]
	if !found {
		return fmt.Errorf(missing, name)
	}
	if kube.Exists(journal) {
		return fmt.Errorf("failed to restore on step `%s`: data-dir %q not empty", strings.TrimSuffix(name, "-snapshot.db"), filepath.Dir(journal))
	}
	content := kube.NewState()
	if err := content.Restore(json.RawMessage(file.content)); err != nil {
		return err
	}
	host, _ := os.Hostname()
	address := config.Spec.Storage.Etcd.PeerAddress
	db, _ := kube.OpenConsensus(journal, nil)
	member := kube.Member{ID: kube.RandomHex(8), Name: host, PeerURL: "https://" + address + ":2380", ClientURL: "https://127.0.0.1:2379"}
	if config.Spec.Storage.Type == "kine" {
		member.ID = "sqlite"
		return db.Found(member, content)
	}
	return firstError(db.Found(member, content), touch(v.etcdDatabase()))
}

type archived struct {
	mode    os.FileMode
	content []byte
}

func readArchive(path string) (map[string]archived, error) {
	input := os.Stdin
	if path != "-" {
		var err error
		if input, err = os.Open(path); err != nil {
			return nil, err
		}
		defer input.Close()
	}
	packed, err := gzip.NewReader(input)
	if err != nil {
		return nil, err
	}
	files := map[string]archived{}
	for archive := tar.NewReader(packed); ; {
		header, err := archive.Next()
		if err == io.EOF {
			return files, nil
		}
		if err != nil {
			return nil, err
		}
		content, err := io.ReadAll(archive)
		if err != nil {
			return nil, err
		}
		files[filepath.Clean(header.Name)] = archived{os.FileMode(header.Mode).Perm(), content}
	}
}
