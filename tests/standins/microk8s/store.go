// Snaps as files: what is in them, what assertions say of them, and the folder that stands for the store.
package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"
)

// snapMeta is what snapd reads in a snap's own snap.yaml.
type snapMeta struct {
	Name        string `json:"name"`
	Version     string `json:"version"`
	Base        string `json:"base,omitempty"`
	Confinement string `json:"confinement"`
	Summary     string `json:"summary,omitempty"`
}

func ownMeta() snapMeta {
	confinement := "classic"
	if strings.HasSuffix(version, "-strict") {
		confinement = "strict"
	}
	return snapMeta{"microk8s", "v" + plainVersion(), "core22", confinement, "Kubernetes for workstations and appliances"}
}

// readSnap reads the meta of a file: the program of MicroK8s tells its own, other snaps are JSON behind a line.
func readSnap(path string) (snapMeta, error) {
	var meta snapMeta
	file, err := os.Open(path)
	if err != nil {
		return meta, fmt.Errorf("cannot open %q", path)
	}
	defer file.Close()
	head := make([]byte, 4096)
	count, _ := io.ReadFull(file, head)
	content := string(head[:count])
	if strings.HasPrefix(content, "\x7fELF") {
		command := exec.Command(path, "meta")
		command.Args[0] = "microk8s-standin"
		info, _ := os.Stat(path)
		if info != nil && info.Mode()&0o100 == 0 {
			command, err = copyThenAsk(path)
			if err != nil {
				return meta, err
			}
			defer os.Remove(command.Path)
		}
		out, err := command.Output()
		if err == nil {
			err = json.Unmarshal(out, &meta)
		}
		if err != nil {
			return meta, fmt.Errorf("cannot read snap file: %w", err)
		}
		return meta, nil
	}
	if rest, found := strings.CutPrefix(content, "stand-in snap\n"); found {
		return meta, json.Unmarshal([]byte(rest), &meta)
	}
	return meta, fmt.Errorf("cannot process snap or snapdir: file %q is invalid (header %q and suffix %q)", path, truncate(content, 20), "")
}

func copyThenAsk(path string) (*exec.Cmd, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	copied, err := os.CreateTemp("", "standin-snap")
	if err != nil {
		return nil, err
	}
	defer copied.Close()
	if _, err := copied.Write(content); err != nil {
		return nil, err
	}
	command := exec.Command(copied.Name(), "meta")
	command.Args[0] = "microk8s-standin"
	return command, copied.Chmod(0o755)
}

func truncate(content string, length int) string {
	if len(content) > length {
		return content[:length]
	}
	return content
}

// digestOf is what assertions know a snap by.
func digestOf(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	var hash sha3State
	if _, err := io.Copy(&hash, file); err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(hash.Sum()), nil
}

// assertion is one signed statement: its headers.
type assertion map[string]string

// parseAssertions reads headers of statements that stand apart by their signatures.
func parseAssertions(content string) ([]assertion, error) {
	var found []assertion
	for _, block := range strings.Split(strings.ReplaceAll(content, "\r", ""), "\n\ntype: ") {
		block = strings.TrimSpace(strings.TrimPrefix("type: "+strings.TrimPrefix(block, "type: "), "\n"))
		head, signature, signed := strings.Cut(block, "\n\n")
		headers := assertion{}
		for _, line := range strings.Split(head, "\n") {
			name, value, ok := strings.Cut(line, ":")
			if !ok || strings.HasPrefix(line, " ") {
				return nil, fmt.Errorf("parsing assertion headers: header entry missing ':' separator: %q", truncate(line, 40))
			}
			headers[name] = strings.TrimSpace(value)
		}
		if !signed || strings.TrimSpace(signature) == "" {
			return nil, fmt.Errorf("assertion content/signature separator not found")
		}
		if headers["sign-key-sha3-384"] == "" {
			return nil, fmt.Errorf("assertion: \"sign-key-sha3-384\" header is mandatory")
		}
		found = append(found, headers)
	}
	return found, nil
}

// channel is track/risk[/branch]; a bare risk or track is completed as snap does.
type channel struct{ track, risk string }

var risks = []string{"stable", "candidate", "beta", "edge"}

func parseChannel(text string) (channel, error) {
	words := strings.Split(text, "/")
	isRisk := func(word string) bool {
		return word == "stable" || word == "candidate" || word == "beta" || word == "edge"
	}
	switch {
	case len(words) == 1 && isRisk(words[0]):
		return channel{"latest", words[0]}, nil
	case len(words) == 1 && words[0] != "":
		return channel{words[0], "stable"}, nil
	case len(words) >= 2 && len(words) <= 3 && isRisk(words[1]) && words[0] != "":
		return channel{words[0], words[1]}, nil
	}
	return channel{}, fmt.Errorf("invalid channel: %s", text)
}

func (c channel) String() string { return c.track + "/" + c.risk }

// release is a snap that the store offers in a channel.
type release struct {
	Name, File, Assertion string
	Revision              int
	Version               string
	Confinement           string
}

func storeFolder() string { return os.Getenv("STANDIN_STORE") }

var errStore = fmt.Errorf("unable to contact snap store")

func storeTracks(name string) ([]string, error) {
	if storeFolder() == "" {
		return nil, errStore
	}
	files, _ := filepath.Glob(filepath.Join(storeFolder(), "*", name+".snap"))
	var tracks []string
	for _, file := range files {
		tracks = append(tracks, filepath.Base(filepath.Dir(file)))
	}
	sort.Slice(tracks, func(i, j int) bool { return trackNumber(tracks[i]) > trackNumber(tracks[j]) })
	return tracks, nil
}

func trackNumber(track string) int {
	number := 0
	for _, word := range regexp.MustCompile(`\d+`).FindAllString(track, 2) {
		part, _ := strconv.Atoi(word)
		number = number*1000 + part
	}
	return number
}

// findRelease looks a snap up in the store. A base has one channel: any folder that has it will do.
func findRelease(name string, from channel) (release, error) {
	tracks, err := storeTracks(name)
	if err != nil {
		return release{}, err
	}
	if len(tracks) == 0 {
		return release{}, fmt.Errorf("snap %q not found", name)
	}
	track := from.track
	if name != "microk8s" || track == "latest" {
		track = tracks[0]
	}
	file := filepath.Join(storeFolder(), track, name+".snap")
	meta, err := readSnap(file)
	if err != nil {
		return release{}, noSuchTrack(name, from, tracks)
	}
	found := release{Name: name, File: file, Assertion: strings.TrimSuffix(file, ".snap") + ".assert", Version: meta.Version, Confinement: meta.Confinement}
	content, _ := os.ReadFile(found.Assertion)
	statements, _ := parseAssertions(string(content))
	found.Revision = revisionIn(statements, file)
	return found, nil
}

func noSuchTrack(name string, wanted channel, tracks []string) error {
	var table strings.Builder
	fmt.Fprintf(&table, "snap %q is not available on %s but is available to install on the\n       following tracks:\n\n", name, wanted)
	for _, track := range tracks {
		fmt.Fprintf(&table, "       %s  snap install --channel=%s/stable %s\n", track+"/stable", track, name)
	}
	table.WriteString("\n       Please be mindful that different tracks may include different features.\n       Get more information with 'snap info " + name + "'.")
	return fmt.Errorf("%s", table.String())
}

func revisionIn(statements []assertion, file string) int {
	digest, err := digestOf(file)
	if err != nil {
		return 0
	}
	for _, statement := range statements {
		if statement["type"] == "snap-revision" && statement["snap-sha3-384"] == digest {
			number, _ := strconv.Atoi(statement["snap-revision"])
			return number
		}
	}
	return 0
}
