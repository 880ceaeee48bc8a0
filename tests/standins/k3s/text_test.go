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

func TestBrokenYAMLNamesItsLine(t *testing.T) {
	for text, want := range map[string]string{
		"a: [b":              "yaml: line 1: did not find expected ',' or ']'",
		"a: b\n\tc: d":       "yaml: line 2: found character that cannot start any token",
		"a: b: c":            "yaml: line 1: mapping values are not allowed in this context",
		"a: 'x":              "yaml: line 1: found unexpected end of stream",
		"a: b\n  c: d\ne: f": "yaml: line 2: mapping values are not allowed in this context",
	} {
		if _, err := parseYAML(text); err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

func TestManifestsAreRead(t *testing.T) {
	found, err := parseYAMLDocuments("---\nkind: A\nlist:\n- name: x\n  ports:\n  - 1\n  - {p: 2}\ntext: |\n  one\n   two\n\n  three\nempty: {}\n---\n# nothing\n---\nkind: B\n")
	want := []any{
		object{"kind": "A", "list": []any{object{"name": "x", "ports": []any{int64(1), object{"p": int64(2)}}}}, "text": "one\n two\n\nthree\n", "empty": object{}},
		object{"kind": "B"}}
	if err != nil || !reflect.DeepEqual(found, want) {
		t.Errorf("%v\ngot  %v\nwant %v", err, found, want)
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

func TestPatchesChangeWhatTheyName(t *testing.T) {
	node := func() object {
		return object{"metadata": object{"labels": object{"a": "1", "b": "2"}}, "spec": object{"taints": []any{object{"key": "x"}}},
			"status": object{"conditions": []any{object{"type": "Ready", "status": "True"}, object{"type": "Disk", "status": "False"}}}}
	}
	merged := mergePatch(node(), object{"metadata": object{"labels": object{"a": nil, "c": "3"}}})
	if !reflect.DeepEqual(at(merged, "metadata", "labels"), object{"b": "2", "c": "3"}) {
		t.Errorf("merge: %v", merged)
	}
	strategic := strategicPatch(node(), object{"spec": object{"taints": []any{}}, "status": object{"conditions": []any{object{"type": "Ready", "status": "Unknown"}}}})
	if len(listAt(strategic, "spec", "taints")) != 0 || len(listAt(strategic, "status", "conditions")) != 2 ||
		textAt(conditionOf(strategic.(object), "Ready"), "status") != "Unknown" {
		t.Errorf("strategic: %v", strategic)
	}
	byPath, err := jsonPatch(node(), []any{object{"op": "replace", "path": "/metadata/labels/a", "value": "9"}, object{"op": "add", "path": "/spec/taints/-", "value": object{"key": "y"}},
		object{"op": "remove", "path": "/metadata/labels/b"}})
	if err != nil || len(listAt(byPath, "spec", "taints")) != 2 || !reflect.DeepEqual(at(byPath, "metadata", "labels"), object{"a": "9"}) {
		t.Errorf("json: %v %v", byPath, err)
	}
	if _, err := jsonPatch(node(), []any{object{"op": "remove", "path": "/metadata/labels/none"}}); err == nil {
		t.Error("a missing key was removed")
	}
}

func TestSelectorsChoose(t *testing.T) {
	labels := object{"a": "1", "b": ""}
	for selector, want := range map[string]bool{"a=1": true, "a!=1": false, "b": true, "!b": false, "a in (1,2),b": true, "a notin (1)": false, "c!=3": true, "": true} {
		if matchLabels(labels, selector) != want {
			t.Errorf("%q: want %v", selector, want)
		}
	}
	if !matchFields(object{"spec": object{"nodeName": "h1"}}, "spec.nodeName=h1") || matchFields(object{}, "spec.nodeName=h1") {
		t.Error("field selector")
	}
}
