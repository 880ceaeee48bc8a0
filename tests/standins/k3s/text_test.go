package main

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestConfigurationBecomesArguments(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "config.yaml")
	write := func(path, text string) {
		os.MkdirAll(filepath.Dir(path), 0o755)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(file, "token: 'a b'   # comment\ndisable:\n- traefik\n- \"local-storage\"\ntls-san: [h1, 10.0.0.1]\ncluster-init: yes\nwrite-kubeconfig-mode: 0640\n"+
		"node-label: a=b\netcd-snapshot-retention: 1_0\nsnapshotter:\n")
	write(file+".d/20-more.yaml", "node-label+: [c=d]\ndisable: [coredns]\n")
	found, err := readConfigFiles(file)
	want := []string{"--token=a b", "--disable=coredns", "--tls-san=h1", "--tls-san=10.0.0.1", "--cluster-init=true", "--write-kubeconfig-mode=416",
		"--node-label=a=b", "--node-label=c=d", "--etcd-snapshot-retention=10", "--snapshotter="}
	if err != nil || !reflect.DeepEqual(found, want) {
		t.Errorf("%v\ngot  %q\nwant %q", err, found, want)
	}
}

func TestFlagsAreCheckedLikeTheRealOnes(t *testing.T) {
	for argument, want := range map[string]string{
		"--tls-san=a":       "flag provided but not defined: -tls-san",
		"--debug=maybe":     `invalid boolean value "maybe" for -debug: parse error`,
		"--lb-server-port=": `invalid value "" for flag -lb-server-port: parse error`,
		"--token":           "flag needs an argument: -token",
	} {
		if _, err := parseFlags(flagsByRole["agent"], []string{argument}); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", argument, err, want)
		}
	}
	t.Setenv("K3S_TOKEN", "from-environment")
	parsed, err := parseFlags(flagsByRole["server"], []string{"-t", "given", "--node-label", "a=1,b=2", "--node-label=c=3"})
	if err != nil || parsed.text("token") != "given" || len(parsed.list("node-label")) != 2 || len(parsed.split("node-label")) != 3 {
		t.Errorf("%v %v", err, parsed)
	}
}

func TestTokensAreTakenApart(t *testing.T) {
	hash := strings.Repeat("a", 64)
	for token, want := range map[string]access{
		"secret":                                   {password: "secret"},
		"K10" + hash + "::server:secret":           {hash: hash, user: "server", password: "secret"},
		"abcdef.0123456789abcdef":                  {bootstrap: "abcdef.0123456789abcdef"},
		"K10" + hash + "::abcdef.0123456789abcdef": {hash: hash, bootstrap: "abcdef.0123456789abcdef"},
	} {
		if found, err := parseToken(token); err != nil || !reflect.DeepEqual(*found, want) {
			t.Errorf("%s: %v %v", token, found, err)
		}
	}
	if _, err := parseToken("K10abc::server:x"); err == nil || err.Error() != "invalid token CA hash length" {
		t.Errorf("a short hash: %v", err)
	}
}
