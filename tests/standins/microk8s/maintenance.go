// Commands for the care of a node: certificates, backups, images, repositories of add-ons, reset.
package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rsa"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"standin/kube"
)

var certificateNames = []string{"ca.crt", "server.crt", "front-proxy-client.crt"}

func runRefreshCerts(words []string) int {
	if locked("clustered.lock") {
		fmt.Println(actingAsNode + " Please use the microk8s refresh-certs command on the master\nand then return to this node to perform a microk8s leave and re-join.")
		return 0
	}
	if refuseUnprivileged() {
		return 1
	}
	command := clickCommand{program: "refresh_certs.py", usage: "[OPTIONS] [CA_DIR]", help: "--help", optional: 1, options: []option{{names: []string{"-u", "--undo"}},
		{names: []string{"-c", "--check"}}, {names: []string{"-e", "--cert"}, value: true, choices: certificateNames}, {names: []string{"-h", "--help"}}}}
	for _, word := range words {
		if word == "-h" || word == "--help" {
			fmt.Println("Usage: microk8s refresh-certs [OPTIONS] [CA_DIR]")
			return 0
		}
	}
	found, code := command.parse(words)
	if found == nil {
		return code
	}
	folder := append(found.words, "")[0]
	if len(found.words) > 0 && !kube.Exists(folder) {
		return command.refuse(fmt.Sprintf("Invalid value for '[CA_DIR]': Path '%s' does not exist.", folder))
	}
	chosen := len(found.values)
	switch {
	case folder != "" && chosen > 0:
		return fail("Please do not set any options in combination with the CA_DIR.")
	case chosen > 1:
		fmt.Println("Please select only one of the options -c, -u or -e.")
		return 2
	case os.Geteuid() != 0:
		fmt.Println("Elevated permissions is needed for this operation. Please run this command with sudo.")
		return 50
	case found.has("-c"):
		return checkCertificates()
	case found.has("-u"):
		return undoCertificates()
	case folder != "":
		return installAuthority(folder)
	case found.has("-e"):
		return refreshCertificate(found.values["-e"])
	}
	fmt.Print("Please use the '--cert' flag to select the certificate you need refreshed.\n\nAvailable certificate options:\n'server.crt': refreshes the server certificate\n" +
		"'front-proxy-client.crt': refreshes the front proxy client certificate\n'ca.crt': refreshes the root CA and all certificates created from it.\n" +
		"            Warning: refreshing the root CA requires nodes to leave and re-join the cluster\n")
	return 3
}

func checkCertificates() int {
	for n, title := range []string{"CA", "server", "front proxy client"} {
		cert, err := loadCertificate(certPath(certificateNames[n]))
		if err != nil {
			fmt.Println("Failed to get certificate info.", err)
			return 4
		}
		days := time.Until(cert.NotAfter).Hours() / 24
		if days < 0 {
			days--
		}
		fmt.Printf("The %s certificate will expire in %d days.\n", title, int(days))
	}
	return 0
}

func backupFolder() string { return dataPath("certs-backup") }

func takeBackup() {
	fmt.Printf("Taking a backup of the current certificates under %s/\n", backupFolder())
	os.MkdirAll(backupFolder(), 0o755)
	exec.Command("cp", "-r", dataPath("certs"), dataPath("credentials"), backupFolder()).Run()
}

func undoCertificates() int {
	if !kube.Exists(backupFolder()) {
		return fail("No previous backup found")
	}
	exec.Command("cp", "-r", filepath.Join(backupFolder(), "certs"), filepath.Join(backupFolder(), "credentials"), snapData()).Run()
	fmt.Println("Restarting, please wait.")
	runStop(nil)
	return runStart(nil)
}

func restartNamed(names ...string) int {
	for _, name := range names {
		fmt.Printf("Restarting service %s.\n", name)
		if systemctl("restart", unitOf(name)) != nil {
			fmt.Printf("Failed to restart service microk8s.daemon-%s.\n", name)
			return 4
		}
	}
	return 0
}

func refreshCertificate(name string) int {
	takeBackup()
	fmt.Println("Creating new certificates")
	var err error
	restart := []string{"kubelite", "cluster-agent"}
	switch name {
	case "ca.crt":
		os.Remove(certPath("ca.crt"))
		os.Remove(certPath("csr.conf"))
		if _, err = produceCertificates(); err == nil {
			fmt.Println("Creating new kubeconfig file")
			err = createUserFiles()
		}
	case "server.crt":
		if err = refreshRequest(); err == nil {
			err = issueServer()
		}
	default:
		restart = restart[:1]
		if err = refreshRequest(); err == nil {
			err = issueFrontProxy()
		}
	}
	if err != nil {
		fmt.Println("Failed to produce new certificates. Reverting.")
		undoCertificates()
		return 20
	}
	if code := restartNamed(restart...); code != 0 {
		return code
	}
	if name == "ca.crt" {
		systemctl("restart", unitOf("k8s-dqlite"))
		fmt.Print(replacedAuthority)
	}
	return 0
}

const replacedAuthority = `
The CA certificates have been replaced. Kubernetes will restart the pods of your workloads.
Any worker nodes you may have in your cluster need to be removed and re-joined to become aware of the new CA.

`

// installAuthority takes a CA with an RSA key: openssl's check knows no other.
func installAuthority(folder string) int {
	fmt.Println("Validating provided certificates")
	cert, key := filepath.Join(folder, "ca.crt"), filepath.Join(folder, "ca.key")
	if !kube.Exists(cert) || !kube.Exists(key) {
		fmt.Printf("Could not find ca.crt and ca.key files in %s\n", folder)
		return 30
	}
	signer, err := loadKey(key)
	if _, isRSA := signer.(*rsa.PrivateKey); err != nil || !isRSA {
		fmt.Printf("CA private key is invalid. Command '['%s/openssl.wrapper', 'rsa', '-in', '%s', '-check', '-noout', '-out', '/dev/null']' returned non-zero exit status 1.\n", snapDir(), key)
		return 31
	}
	if _, err := loadCertificate(cert); err != nil {
		fmt.Printf("CA certificate is invalid. Command '['%s/openssl.wrapper', 'x509', '-in', '%s', '-text', '-noout', '-out', '/dev/null']' returned non-zero exit status 1.\n", snapDir(), cert)
		return 32
	}
	takeBackup()
	fmt.Println("Installing provided certificates")
	for name, source := range map[string]string{"ca.crt": cert, "ca.key": key} {
		content, err := os.ReadFile(source)
		if err == nil {
			err = writeOwned(certPath(name), string(content))
		}
		if err != nil {
			return exitCodeOf(err)
		}
	}
	if err := issueServer(); err != nil {
		fmt.Println("Failed to produce new certificates. Reverting.")
		undoCertificates()
		return 20
	}
	fmt.Println("Creating new kubeconfig file")
	if err := createUserFiles(); err != nil {
		return exitCodeOf(err)
	}
	if code := restartNamed("kubelite", "cluster-agent"); code != 0 {
		return code
	}
	fmt.Print(replacedAuthority)
	return 0
}

func runDbctl(words []string) int {
	if refuseUnprivileged() || refuseStrangers() {
		return 1
	}
	if locked("clustered.lock") {
		fmt.Println(actingAsNode + "\nPlease use the master node.")
		return 1
	}
	if !kube.Exists(kinePath()) || !locked("ha-cluster") {
		fmt.Println("Please ensure the kubernetes apiserver is running and HA is enabled.")
		return 10
	}
	const usage = "[-h] [--debug] {restore,backup} ..."
	debug := []option{{names: []string{"--debug"}}, {names: []string{"-h", "--help"}}}
	n := 0
	for n < len(words) && strings.HasPrefix(words[n], "-") {
		n++
	}
	found, problem := parseArgparse(debug, words[:n])
	rest := words[n:]
	switch {
	case problem == "" && found.has("-h"):
		fmt.Println("usage: microk8s dbctl", usage)
		return 0
	case problem == "" && len(rest) == 0 && len(found.words) > 0:
		problem = "unrecognized arguments: " + strings.Join(found.words, " ")
	case problem == "" && len(rest) == 0:
		fmt.Printf("usage: microk8s dbctl %s\n\nbackup and restore the Kubernetes datastore.\n", usage)
		return 0
	case problem == "" && rest[0] != "backup" && rest[0] != "restore":
		problem = fmt.Sprintf("invalid choice: '%s' (choose from 'restore', 'backup')", rest[0])
		if len(found.words) == 0 {
			problem = "argument {restore,backup}: " + problem
		}
	}
	if problem != "" {
		return refuseArgparse("microk8s dbctl", usage, problem)
	}
	inner, problem := parseArgparse([]option{{names: []string{"-o"}, value: rest[0] == "backup"}, debug[1]}, rest[1:])
	if rest[0] == "backup" {
		if problem == "" && len(inner.words) > 0 {
			problem = "unrecognized arguments: " + strings.Join(inner.words, " ")
		}
		if problem != "" {
			return refuseArgparse("microk8s dbctl backup", "[-h] [-o backup-file]", problem)
		}
		return backupDatastore(inner.values["-o"])
	}
	if problem == "" && len(inner.words) == 0 {
		problem = "the following arguments are required: backup-file"
	}
	if problem != "" {
		return refuseArgparse("microk8s dbctl restore", "[-h] backup-file", problem)
	}
	return restoreDatastore(inner.words[0])
}

func kineClient() *http.Client {
	return &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", kinePath())
	}}}
}

func backupDatastore(file string) int {
	fmt.Println("Backing up the datastore")
	name := strings.TrimSuffix(orElse(file, time.Now().Format("backup-2006-01-02-15-04-05")), ".tar.gz")
	response, err := kineClient().Get("http://kine/standin/backup")
	if err != nil {
		return fail("Backup process failed. 1")
	}
	defer response.Body.Close()
	content, _ := io.ReadAll(response.Body)
	var packed bytes.Buffer
	zipped := gzip.NewWriter(&packed)
	archive := tar.NewWriter(zipped)
	archive.WriteHeader(&tar.Header{Name: filepath.Base(name) + "/1.data", Mode: 0o600, Size: int64(len(content))})
	archive.Write(content)
	archive.Close()
	zipped.Close()
	if err := os.WriteFile(name+".tar.gz", packed.Bytes(), 0o600); err != nil {
		return pythonTraceback(err)
	}
	fmt.Printf("The backup is: %s.tar.gz\n", name)
	return 0
}

// restoreDatastore finds nothing in an archive that was renamed.
func restoreDatastore(file string) int {
	fmt.Println("Restoring from", file)
	packed, err := os.ReadFile(file)
	if err != nil {
		fmt.Fprintf(os.Stderr, "Traceback (most recent call last):\nFileNotFoundError: [Errno 2] No such file or directory: '%s'\n", file)
		return 1
	}
	zipped, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return pythonTraceback(err)
	}
	archive := tar.NewReader(zipped)
	header, err := archive.Next()
	if err != nil || header.Name != strings.TrimSuffix(filepath.Base(file), ".tar.gz")+"/1.data" {
		fmt.Println("Restore process failed. 1")
		return 3
	}
	response, err := kineClient().Post("http://kine/standin/restore", "application/json", archive)
	if err != nil || response.StatusCode != 200 {
		fmt.Println("Restore process failed. 1")
		return 3
	}
	return 0
}

func runImages(words []string) int {
	if refuseStrangers() {
		return 1
	}
	if len(words) == 0 || words[0] == "--help" {
		fmt.Println("Usage: microk8s images [OPTIONS] COMMAND [ARGS]...\n\nOptions:\n  --help  Show this message and exit.\n\nCommands:\n" +
			"  export-local  Export OCI images from the current MicroK8s node\n  import        Import OCI images into the MicroK8s cluster")
		return 0
	}
	switch words[0] {
	case "import":
		found, code := clickCommand{program: "microk8s images import", usage: "[OPTIONS] [IMAGE]", help: "--help", optional: 1}.parse(words[1:])
		if found == nil {
			return code
		}
		return importEverywhere(append(found.words, "-")[0])
	case "export-local":
		return 0
	}
	return clickCommand{program: "microk8s images", usage: "[OPTIONS] COMMAND [ARGS]...", help: "--help"}.refuse(noSuchCommand(words[0]))
}

func noSuchCommand(word string) string {
	if strings.HasPrefix(word, "-") {
		return "No such option: " + word
	}
	return fmt.Sprintf("No such command '%s'.", word)
}

func importEverywhere(file string) int {
	var content []byte
	var err error
	if file == "-" {
		content, err = io.ReadAll(os.Stdin)
	} else if content, err = os.ReadFile(file); err != nil {
		fmt.Fprintf(os.Stderr, "Error: failed to read %s: [Errno 2] No such file or directory: '%s'\n", file, file)
		return 1
	}
	if err != nil {
		return pythonTraceback(err)
	}
	client, err := adminClient()
	if err != nil {
		return pythonTraceback(err)
	}
	nodes, err := client.Get("/api/v1/nodes")
	if err != nil {
		return pythonTraceback(err)
	}
	for _, node := range kube.ListAt(nodes, "items") {
		address := internalAddress(node)
		fmt.Printf("Pushing OCI images to %s:25000\n", address)
		request, _ := http.NewRequest("POST", "https://"+net.JoinHostPort(address, "25000")+agentV2+"image/import", bytes.NewReader(content))
		request.Header.Set("x-microk8s-callback-token", callbackToken())
		response, err := agentHTTP.Do(request)
		if err != nil {
			fmt.Printf("Failed to push OCI images to %s:25000: %v\n", address, err)
			continue
		}
		response.Body.Close()
		if response.StatusCode != 200 {
			fmt.Printf("Failed to push OCI images to %s:25000: %d\n", address, response.StatusCode)
		}
	}
	return 0
}

func runAddons(words []string) int {
	if refuseStrangers() {
		return 1
	}
	group := clickCommand{program: "microk8s addons", usage: "[OPTIONS] COMMAND [ARGS]...", help: "--help"}
	if len(words) == 0 || words[0] == "--help" {
		fmt.Println("Usage: microk8s addons [OPTIONS] COMMAND [ARGS]...\n\nOptions:\n  --help  Show this message and exit.\n\nCommands:\n  repo")
		return 0
	}
	if words[0] != "repo" {
		return group.refuse(noSuchCommand(words[0]))
	}
	group.program += " repo"
	if len(words) == 1 || words[1] == "--help" {
		fmt.Println("Usage: microk8s addons repo [OPTIONS] COMMAND [ARGS]...\n\nOptions:\n  --help  Show this message and exit.\n\nCommands:\n  add     Add a MicroK8s addons repository\n" +
			"  list    List configured MicroK8s addons repositories\n  remove  Remove a MicroK8s addons repository\n  update  Update a MicroK8s addons repository")
		return 0
	}
	command := clickCommand{program: "microk8s addons repo " + words[1], usage: "[OPTIONS] NAME", help: "--help", required: []string{"NAME"}}
	run := map[string]func(*given) int{"add": addRepository, "remove": removeRepository, "update": updateRepository, "list": listRepositories}[words[1]]
	switch words[1] {
	case "add":
		command.usage, command.required = "[OPTIONS] NAME REPOSITORY", []string{"NAME", "REPOSITORY"}
		command.options = []option{{names: []string{"--reference"}, value: true}, {names: []string{"--force"}}}
	case "list":
		command.usage, command.required = "[OPTIONS]", nil
		command.options = []option{{names: []string{"--format"}, value: true, choices: []string{"json", "yaml", "table"}}}
	}
	if run == nil {
		return group.refuse(noSuchCommand(words[1]))
	}
	found, code := command.parse(words[2:])
	if found == nil {
		return code
	}
	return run(found)
}

func repositoryFolder(name string) string { return filepath.Join(snapCommon(), "addons", name) }

func addRepository(found *given) int {
	folder := repositoryFolder(found.words[0])
	if kube.Exists(folder) {
		if !found.has("--force") {
			fmt.Fprintf(os.Stderr, "Error: repository '%s' already exists!\nUse the --force flag to overwrite it\n", found.words[0])
			return 1
		}
		fmt.Println("Removing", folder)
		os.RemoveAll(folder)
	}
	words := []string{"clone", found.words[1], folder}
	if found.has("--reference") {
		words = append(words, "-b", found.values["--reference"])
	}
	if runProgram("git", words...) != 0 {
		return pythonTraceback(fmt.Errorf("Command '['git', 'clone', '%s']' returned non-zero exit status 128", found.words[1]))
	}
	exec.Command("chgrp", groupName(), "-R", folder).Run()
	list, err := readRepository(folder)
	switch {
	case os.IsNotExist(err):
		fmt.Fprintf(os.Stderr, "Error: repository %s does not contain an addons.yaml file\n", found.words[0])
	case err != nil:
		fmt.Fprintf(os.Stderr, "Yaml format error in addons.yaml file: %v\n", err)
	default:
		err = checkHooks(folder, list)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	if err != nil {
		fmt.Println("Removing", folder)
		os.RemoveAll(folder)
		return 1
	}
	return 0
}

func checkHooks(folder string, list []addonInfo) error {
	for _, addon := range list {
		for _, hook := range []string{"enable", "disable"} {
			info, err := os.Stat(filepath.Join(folder, "addons", addon.name, hook))
			if err != nil {
				return fmt.Errorf("Missing %s hook for %s addon", hook, addon.name)
			}
			if info.Mode()&0o111 == 0 {
				return fmt.Errorf("%s hook for %s addon needs execute permissions", hook, addon.name)
			}
		}
	}
	return nil
}

func removeRepository(found *given) int {
	folder := repositoryFolder(found.words[0])
	if !kube.Exists(folder) {
		fmt.Fprintf(os.Stderr, "Error: repository '%s' does not exist\n", found.words[0])
		return 1
	}
	fmt.Println("Removing", folder)
	os.RemoveAll(folder)
	return 0
}

func updateRepository(found *given) int {
	if os.Geteuid() != 0 {
		fmt.Println("Elevated permissions is needed for this operation. Please run this command with sudo.")
		return 50
	}
	folder := repositoryFolder(found.words[0])
	if !kube.Exists(folder) {
		fmt.Fprintf(os.Stderr, "Error: repository '%s' does not exist\n", found.words[0])
		return 1
	}
	if found.words[0] == "core" {
		fmt.Println("Updating repository core")
		return exitCodeOf(layAddons(folder))
	}
	if !kube.Exists(filepath.Join(folder, ".git")) {
		fmt.Fprintf(os.Stderr, "Error: built-in repository '%s' cannot be updated\n", found.words[0])
		return 1
	}
	fmt.Println("Updating repository", found.words[0])
	return runProgram("git", "-C", folder, "pull")
}

func listRepositories(found *given) int {
	folders, _ := filepath.Glob(filepath.Join(snapCommon(), "addons", "*"))
	var rows []kube.Object
	for _, folder := range folders {
		list, err := readRepository(folder)
		if err != nil {
			fmt.Fprintf(os.Stderr, "could not load addons from %s: %v\n", filepath.Join(folder, "addons.yaml"), err)
			continue
		}
		source := "(built-in)"
		if origin, err := outputOf("git", "-C", folder, "remote", "get-url", "origin"); err == nil && kube.Exists(filepath.Join(folder, ".git")) {
			revision, _ := outputOf("git", "-C", folder, "rev-parse", "HEAD")
			source = strings.TrimSpace(origin) + "@" + revision[:min(6, len(revision))]
		}
		rows = append(rows, kube.Object{"name": filepath.Base(folder), "addons": len(list), "source": source, "description": "List of all addons included in Microk8s."})
	}
	switch found.values["--format"] {
	case "json":
		fmt.Println(kube.ToJSON(rows))
	case "yaml":
		for _, row := range rows {
			fmt.Printf("- addons: %v\n  description: %s\n  name: %s\n  source: %s\n", row["addons"], row["description"], row["name"], row["source"])
		}
		fmt.Println()
	default:
		fmt.Printf("%-10s %6s %s\n", "REPO", "ADDONS", "SOURCE")
		for _, row := range rows {
			fmt.Printf("%-10s %6v %s\n", row["name"], row["addons"], row["source"])
		}
	}
	return 0
}

// runReset is for one node only; `--destroy-storage` turns off what is on without it.
func runReset(words []string) int {
	found, code := clickCommand{program: "microk8s reset", usage: "[OPTIONS]", help: "-h", options: []option{{names: []string{"--destroy-storage"}}}}.parse(words)
	if found == nil {
		return code
	}
	if os.Geteuid() != 0 {
		fmt.Println("Elevated permissions is needed for this operation. Please run this command with sudo.")
		return 50
	}
	if locked("clustered.lock") {
		fmt.Println(actingAsNode + "\nPlease use the master node.")
		return 1
	}
	if refuseStopped() {
		return 1
	}
	waitForReady(30, true)
	out, err := kubectlOutput("get", "no", "-o", "json")
	if err != nil {
		fmt.Println("Failed to query the cluster nodes.")
		return 1
	}
	if len(kube.ListAt(kube.Decode([]byte(out)), "items")) > 1 {
		fmt.Println("This is a multi-node MicroK8s deployment.\nReset is applicable for single node deployments. Please remove all\njoined nodes before calling reset.")
		return 0
	}
	fmt.Println("Disabling all addons.")
	enabled, _, _ := addonStatus(availableAddons(), true)
	for _, addon := range enabled {
		if addon.name == "ha-cluster" || addon.name == "helm" || addon.name == "helm3" || addon.name == "storage" {
			continue
		}
		fmt.Printf("Disabling addon : %s/%s\n", addon.repository, addon.name)
		words := []string{"disable", addon.repository + "/" + addon.name}
		if addon.name == "hostpath-storage" && !found.has("--destroy-storage") {
			words = append(words, "destroy-storage")
		}
		exec.Command(filepath.Join(snapDir(), "bin", "microk8s"), words...).Run()
	}
	fmt.Println("All addons are disabled.\nDeleting the CNI\nCleaning resources\nRestarting cluster")
	os.Remove(lockPath("cni-loaded"))
	os.Remove(lockPath("no-cert-reissue"))
	runStop(nil)
	runStart(nil)
	waitForReady(30, true)
	return 0
}
