// Reading and changing objects that are plain JSON maps; patches and selectors.
package kube

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

type Object = map[string]any

// At walks maps by field name; nil when a step is missing.
func At(value any, path ...string) any {
	for _, step := range path {
		mapping, ok := value.(Object)
		if !ok {
			return nil
		}
		value = mapping[step]
	}
	return value
}

func TextAt(value any, path ...string) string {
	text, _ := At(value, path...).(string)
	return text
}

func MapAt(value any, path ...string) Object {
	found, _ := At(value, path...).(Object)
	return found
}

func ListAt(value any, path ...string) []any {
	found, _ := At(value, path...).([]any)
	return found
}

// PutAt sets a field and makes the maps on the way.
func PutAt(target Object, value any, path ...string) {
	for _, step := range path[:len(path)-1] {
		next, ok := target[step].(Object)
		if !ok {
			next = Object{}
			target[step] = next
		}
		target = next
	}
	target[path[len(path)-1]] = value
}

func NameOf(o Object) string { return TextAt(o, "metadata", "name") }

// Clone copies by way of JSON, so that numbers and nested types are alike everywhere.
func Clone(value any) any {
	encoded, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return Decode(encoded)
}

func Decode(encoded []byte) any {
	var value any
	if json.Unmarshal(encoded, &value) != nil {
		return nil
	}
	return value
}

func cloneObject(value Object) Object { return Clone(value).(Object) }

func newUID() string {
	b := make([]byte, 16)
	rand.Read(b)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// MergePatch applies RFC 7386; null removes a field.
func MergePatch(target, patch any) any {
	change, ok := patch.(Object)
	if !ok {
		return patch
	}
	result, ok := target.(Object)
	if !ok {
		result = Object{}
	}
	for key, value := range change {
		if value == nil {
			delete(result, key)
		} else {
			result[key] = MergePatch(result[key], value)
		}
	}
	return result
}

// Lists that a strategic merge joins by a key; every other list is replaced.
var mergeKeys = map[string]string{
	"conditions": "type", "addresses": "type", "containers": "name", "initContainers": "name", "volumes": "name", "env": "name",
	"ports": "containerPort", "ownerReferences": "uid", "volumeMounts": "mountPath", "imagePullSecrets": "name", "secrets": "name",
}

func strategicPatch(target any, patch any) any {
	change, ok := patch.(Object)
	if !ok {
		return patch
	}
	if change["$patch"] == "replace" {
		delete(change, "$patch")
		return change
	}
	result, ok := target.(Object)
	if !ok {
		result = Object{}
	}
	for key, value := range change {
		switch {
		case strings.HasPrefix(key, "$setElementOrder") || key == "$retainKeys" || key == "$patch":
		case strings.HasPrefix(key, "$deleteFromPrimitiveList/"):
			field := strings.TrimPrefix(key, "$deleteFromPrimitiveList/")
			result[field] = without(ListAt(result, field), value)
		case value == nil:
			delete(result, key)
		case key == "finalizers":
			result[key] = Union(ListAt(result, key), value)
		case mergeKeys[key] != "" && IsList(value):
			result[key] = mergeList(ListAt(result, key), value.([]any), mergeKeys[key])
		default:
			result[key] = strategicPatch(result[key], value)
		}
	}
	return result
}

func without(list []any, drop any) []any {
	kept := []any{}
	for _, item := range list {
		if !contains(asAnyList(drop), item) {
			kept = append(kept, item)
		}
	}
	return kept
}

func Union(list []any, more any) []any {
	for _, item := range asAnyList(more) {
		if !contains(list, item) {
			list = append(list, item)
		}
	}
	return list
}

func asAnyList(value any) []any { list, _ := value.([]any); return list }

func contains(list []any, item any) bool {
	for _, other := range list {
		if reflect.DeepEqual(other, item) {
			return true
		}
	}
	return false
}

func mergeList(old, change []any, key string) []any {
	result := append([]any{}, old...)
	for _, item := range change {
		index := -1
		for i := range result {
			if reflect.DeepEqual(At(result[i], key), At(item, key)) {
				index = i
			}
		}
		if At(item, "$patch") == "delete" {
			if index >= 0 {
				result = append(result[:index:index], result[index+1:]...)
			}
			continue
		}
		if index < 0 {
			result = append(result, item)
		} else {
			result[index] = strategicPatch(result[index], item)
		}
	}
	return result
}

// jsonPatch applies RFC 6902 operations.
func jsonPatch(target any, operations []any) (any, error) {
	for _, operation := range operations {
		kind, path := TextAt(operation, "op"), pointer(TextAt(operation, "path"))
		var err error
		switch kind {
		case "add", "replace", "remove":
			target, err = patchAt(target, path, kind, At(operation, "value"))
		case "test":
			found, lookupErr := lookup(target, path)
			if err = lookupErr; err == nil && !reflect.DeepEqual(found, At(operation, "value")) {
				err = errors.New("testing value " + TextAt(operation, "path") + " failed: test failed")
			}
		case "move", "copy":
			var found any
			from := pointer(TextAt(operation, "from"))
			if found, err = lookup(target, from); err == nil && kind == "move" {
				target, err = patchAt(target, from, "remove", nil)
			}
			if err == nil {
				target, err = patchAt(target, path, "add", found)
			}
		default:
			err = fmt.Errorf("unexpected kind: %q", kind)
		}
		if err != nil {
			return nil, err
		}
	}
	return target, nil
}

func pointer(text string) []string {
	if text == "" {
		return nil
	}
	steps := strings.Split(text[1:], "/")
	for i := range steps {
		steps[i] = strings.ReplaceAll(strings.ReplaceAll(steps[i], "~1", "/"), "~0", "~")
	}
	return steps
}

func lookup(target any, path []string) (any, error) {
	for _, step := range path {
		switch v := target.(type) {
		case Object:
			found, ok := v[step]
			if !ok {
				return nil, errors.New("unable to find path " + step)
			}
			target = found
		case []any:
			index, err := strconv.Atoi(step)
			if err != nil || index < 0 || index >= len(v) {
				return nil, errors.New("invalid array index " + step)
			}
			target = v[index]
		default:
			return nil, errors.New("unable to find path " + step)
		}
	}
	return target, nil
}

func patchAt(target any, path []string, kind string, value any) (any, error) {
	if len(path) == 0 {
		return value, nil
	}
	step := path[0]
	switch v := target.(type) {
	case Object:
		if len(path) > 1 {
			next, ok := v[step]
			if !ok {
				return nil, fmt.Errorf("%s operation does not apply: doc is missing path: %q: missing value", kind, "/"+strings.Join(path, "/"))
			}
			changed, err := patchAt(next, path[1:], kind, value)
			v[step] = changed
			return v, err
		}
		if _, ok := v[step]; !ok && kind != "add" {
			return nil, fmt.Errorf("%s operation does not apply: doc is missing key: %q: missing value", kind, "/"+step)
		}
		if kind == "remove" {
			delete(v, step)
		} else {
			v[step] = value
		}
		return v, nil
	case []any:
		return patchList(v, path, kind, value)
	}
	return nil, fmt.Errorf("%s operation does not apply: doc is missing path: %q: missing value", kind, "/"+strings.Join(path, "/"))
}

func patchList(list []any, path []string, kind string, value any) (any, error) {
	index, err := strconv.Atoi(path[0])
	if path[0] == "-" {
		index, err = len(list), nil
	}
	if err != nil || index < 0 || index > len(list) || index == len(list) && (kind != "add" || len(path) > 1) {
		return nil, fmt.Errorf("%s operation does not apply: doc is missing path: %q: invalid index referenced", kind, "/"+path[0])
	}
	switch {
	case len(path) > 1:
		list[index], err = patchAt(list[index], path[1:], kind, value)
		return list, err
	case kind == "remove":
		return append(list[:index:index], list[index+1:]...), nil
	case kind == "replace":
		list[index] = value
		return list, nil
	}
	return append(list[:index:index], append([]any{value}, list[index:]...)...), nil
}

// matchLabels tells whether labels fit a selector such as "a=b,c!=d,e,!f,g in (x,y)".
func matchLabels(labels Object, selector string) bool {
	for _, term := range splitTerms(selector) {
		if !matchTerm(labels, term) {
			return false
		}
	}
	return true
}

func splitTerms(selector string) []string {
	var terms []string
	depth, start := 0, 0
	for i, c := range selector + "," {
		switch {
		case c == '(':
			depth++
		case c == ')':
			depth--
		case c == ',' && depth == 0:
			if term := strings.TrimSpace(selector[start:i]); term != "" {
				terms = append(terms, term)
			}
			start = i + 1
		}
	}
	return terms
}

func matchTerm(labels Object, term string) bool {
	if name, values, found := strings.Cut(term, " notin "); found {
		return !strings.Contains(","+strings.Trim(strings.ReplaceAll(values, " ", ""), "()")+",", ","+TextAt(labels, strings.TrimSpace(name))+",")
	}
	if name, values, found := strings.Cut(term, " in "); found {
		value, ok := labels[strings.TrimSpace(name)].(string)
		return ok && strings.Contains(","+strings.Trim(strings.ReplaceAll(values, " ", ""), "()")+",", ","+value+",")
	}
	if name, value, found := strings.Cut(term, "!="); found {
		return TextAt(labels, strings.TrimSpace(name)) != strings.TrimSpace(value)
	}
	if name, value, found := strings.Cut(strings.Replace(term, "==", "=", 1), "="); found {
		got, ok := labels[strings.TrimSpace(name)].(string)
		return ok && got == strings.TrimSpace(value)
	}
	_, has := labels[strings.TrimPrefix(term, "!")]
	return has != strings.HasPrefix(term, "!")
}

// matchFields tells whether an object fits a field selector such as "spec.nodeName=h1,status.phase!=Running".
func matchFields(o Object, selector string) bool {
	for _, term := range splitTerms(selector) {
		name, value, differ := strings.Cut(term, "!=")
		if !differ {
			name, value, _ = strings.Cut(strings.Replace(term, "==", "=", 1), "=")
		}
		found := At(o, strings.Split(name, ".")...)
		if found == nil {
			found = ""
		}
		if (fmt.Sprint(found) == value) == differ {
			return false
		}
	}
	return true
}
