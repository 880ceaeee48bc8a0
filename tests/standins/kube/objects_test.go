package kube

import (
	"reflect"
	"testing"
)

func TestBrokenYAMLNamesItsLine(t *testing.T) {
	for text, want := range map[string]string{
		"a: [b":              "yaml: line 1: did not find expected ',' or ']'",
		"a: b\n\tc: d":       "yaml: line 2: found character that cannot start any token",
		"a: b: c":            "yaml: line 1: mapping values are not allowed in this context",
		"a: 'x":              "yaml: line 1: found unexpected end of stream",
		"a: b\n  c: d\ne: f": "yaml: line 2: mapping values are not allowed in this context",
	} {
		if _, err := ParseYAML(text); err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

func TestManifestsAreRead(t *testing.T) {
	found, err := parseYAMLDocuments("---\nkind: A\nlist:\n- name: x\n  ports:\n  - 1\n  - {p: 2}\ntext: |\n  one\n   two\n\n  three\nempty: {}\n---\n# nothing\n---\nkind: B\n")
	want := []any{
		Object{"kind": "A", "list": []any{Object{"name": "x", "ports": []any{int64(1), Object{"p": int64(2)}}}}, "text": "one\n two\n\nthree\n", "empty": Object{}},
		Object{"kind": "B"}}
	if err != nil || !reflect.DeepEqual(found, want) {
		t.Errorf("%v\ngot  %v\nwant %v", err, found, want)
	}
}

func TestPatchesChangeWhatTheyName(t *testing.T) {
	node := func() Object {
		return Object{"metadata": Object{"labels": Object{"a": "1", "b": "2"}}, "spec": Object{"taints": []any{Object{"key": "x"}}},
			"status": Object{"conditions": []any{Object{"type": "Ready", "status": "True"}, Object{"type": "Disk", "status": "False"}}}}
	}
	merged := MergePatch(node(), Object{"metadata": Object{"labels": Object{"a": nil, "c": "3"}}})
	if !reflect.DeepEqual(At(merged, "metadata", "labels"), Object{"b": "2", "c": "3"}) {
		t.Errorf("merge: %v", merged)
	}
	strategic := strategicPatch(node(), Object{"spec": Object{"taints": []any{}}, "status": Object{"conditions": []any{Object{"type": "Ready", "status": "Unknown"}}}})
	if len(ListAt(strategic, "spec", "taints")) != 0 || len(ListAt(strategic, "status", "conditions")) != 2 ||
		TextAt(ConditionOf(strategic.(Object), "Ready"), "status") != "Unknown" {
		t.Errorf("strategic: %v", strategic)
	}
	byPath, err := jsonPatch(node(), []any{Object{"op": "replace", "path": "/metadata/labels/a", "value": "9"}, Object{"op": "add", "path": "/spec/taints/-", "value": Object{"key": "y"}},
		Object{"op": "remove", "path": "/metadata/labels/b"}})
	if err != nil || len(ListAt(byPath, "spec", "taints")) != 2 || !reflect.DeepEqual(At(byPath, "metadata", "labels"), Object{"a": "9"}) {
		t.Errorf("json: %v %v", byPath, err)
	}
	if _, err := jsonPatch(node(), []any{Object{"op": "remove", "path": "/metadata/labels/none"}}); err == nil {
		t.Error("a missing key was removed")
	}
}

func TestSelectorsChoose(t *testing.T) {
	labels := Object{"a": "1", "b": ""}
	for selector, want := range map[string]bool{"a=1": true, "a!=1": false, "b": true, "!b": false, "a in (1,2),b": true, "a notin (1)": false, "c!=3": true, "": true} {
		if matchLabels(labels, selector) != want {
			t.Errorf("%q: want %v", selector, want)
		}
	}
	if !matchFields(Object{"spec": Object{"nodeName": "h1"}}, "spec.nodeName=h1") || matchFields(Object{}, "spec.nodeName=h1") {
		t.Error("field selector")
	}
}
