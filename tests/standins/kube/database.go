// Objects in the replicated state: create, read, list, change and delete with revisions.
package kube

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
)

const WriteTimeout = 5 * time.Second

// APIError is an error with the code and reason that a Status object carries.
type APIError struct {
	Code            int
	Reason, Message string
	Details         Object
}

func (e *APIError) Error() string { return e.Message }

func NewError(code int, reason, format string, args ...any) *APIError {
	return &APIError{Code: code, Reason: reason, Message: fmt.Sprintf(format, args...)}
}

func notFound(r Resource, name string) *APIError {
	err := NewError(404, "NotFound", "%s %q not found", r.FullName(), name)
	err.Details = Object{"name": name, "group": r.Group, "kind": r.Plural}
	return err
}

func IsNotFound(err error) bool {
	var found *APIError
	return errors.As(err, &found) && found.Code == 404
}

func IsConflict(err error) bool {
	var found *APIError
	return errors.As(err, &found) && found.Code == 409
}

type Database struct{ *Consensus }

// Unavailable is what clients get while there is no majority.
func Unavailable(err error) *APIError {
	return NewError(503, "ServiceUnavailable", "the server is currently unable to handle the request: %v", err)
}

func (d *Database) Object(item record) Object {
	value, ok := Decode(item.Value).(Object)
	if !ok {
		value = Object{}
	}
	PutAt(value, fmt.Sprint(item.Revision), "metadata", "resourceVersion")
	return value
}

func (d *Database) Read(r Resource, namespace, name string) (Object, error) {
	item, ok := d.State.Get(r.Key(namespace, name))
	if !ok {
		return nil, notFound(r, name)
	}
	return d.Object(item), nil
}

func (d *Database) All(r Resource, namespace string) []Object {
	found, _ := d.State.List(r.Prefix(namespace))
	objects := make([]Object, 0, len(found))
	for _, item := range found {
		objects = append(objects, d.Object(item.record))
	}
	return objects
}

func encodeObject(o Object) json.RawMessage {
	stored := cloneObject(o)
	delete(MapAt(stored, "metadata"), "resourceVersion")
	encoded, err := json.Marshal(stored)
	if err != nil {
		panic(err)
	}
	return encoded
}

// Create adds what every new object gets. It fails with AlreadyExists.
func (d *Database) Create(r Resource, o Object) (Object, error) {
	o = cloneObject(o)
	name, namespace := NameOf(o), TextAt(o, "metadata", "namespace")
	o["apiVersion"], o["kind"] = r.ApiVersion(), r.Kind
	PutAt(o, newUID(), "metadata", "uid")
	PutAt(o, Stamp(time.Now()), "metadata", "creationTimestamp")
	if r.Group == "apps" || r.Plural == "pods" {
		PutAt(o, float64(1), "metadata", "generation")
	}
	none := int64(0)
	result, err := d.Propose(Operation{Kind: "put", Key: r.Key(namespace, name), Value: encodeObject(o), Previous: &none}, WriteTimeout)
	if err != nil {
		return nil, Unavailable(err)
	}
	if !result.OK {
		failure := NewError(409, "AlreadyExists", "%s %q already exists", r.FullName(), name)
		failure.Details = Object{"name": name, "group": r.Group, "kind": r.Plural}
		return nil, failure
	}
	PutAt(o, fmt.Sprint(result.Revision), "metadata", "resourceVersion")
	return o, nil
}

// Change reads, calls edit and writes back; another writer in between means another try. edit returns nil to leave
// the object as it is.
func (d *Database) Change(r Resource, namespace, name string, edit func(Object) (Object, error)) (Object, error) {
	for try := 0; try < 20; try++ {
		item, ok := d.State.Get(r.Key(namespace, name))
		if !ok {
			return nil, notFound(r, name)
		}
		old := d.Object(item)
		fresh, err := edit(cloneObject(old))
		if err != nil || fresh == nil {
			return old, err
		}
		keepIdentity(r, old, fresh)
		if string(encodeObject(old)) == string(encodeObject(fresh)) {
			return old, nil
		}
		result, err := d.Propose(Operation{Kind: "put", Key: r.Key(namespace, name), Value: encodeObject(fresh), Previous: &item.Revision}, WriteTimeout)
		if err != nil {
			return nil, Unavailable(err)
		}
		if result.OK {
			PutAt(fresh, fmt.Sprint(result.Revision), "metadata", "resourceVersion")
			return fresh, nil
		}
	}
	return nil, conflict(r, name)
}

func conflict(r Resource, name string) *APIError {
	err := NewError(409, "Conflict", "Operation cannot be fulfilled on %s %q: the object has been modified; "+
		"please apply your changes to the latest version and try again", r.FullName(), name)
	err.Details = Object{"name": name, "group": r.Group, "kind": r.Plural}
	return err
}

func keepIdentity(r Resource, old, fresh Object) {
	for _, field := range []string{"name", "namespace", "uid", "creationTimestamp"} {
		if value := At(old, "metadata", field); value != nil {
			PutAt(fresh, value, "metadata", field)
		}
	}
	fresh["apiVersion"], fresh["kind"] = r.ApiVersion(), r.Kind
	generation, counted := At(old, "metadata", "generation").(float64)
	if counted && ToJSON(old["spec"]) != ToJSON(fresh["spec"]) {
		PutAt(fresh, generation+1, "metadata", "generation")
	} else if counted {
		PutAt(fresh, generation, "metadata", "generation")
	}
}

func (d *Database) Remove(r Resource, namespace, name string) error {
	result, err := d.Propose(Operation{Kind: "delete", Key: r.Key(namespace, name)}, WriteTimeout)
	if err != nil {
		return Unavailable(err)
	}
	if !result.OK {
		return notFound(r, name)
	}
	return nil
}

// Ensure creates an object, or merges the given fields into the one that is there.
func (d *Database) Ensure(r Resource, o Object) error {
	_, err := d.Create(r, o)
	if !IsConflict(err) {
		return err
	}
	_, err = d.Change(r, TextAt(o, "metadata", "namespace"), NameOf(o), func(old Object) (Object, error) {
		return MergePatch(old, cloneObject(o)).(Object), nil
	})
	return err
}

func Stamp(t time.Time) string      { return t.UTC().Format("2006-01-02T15:04:05Z") }
func microStamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z") }

// namespaceOfKey and nameOfKey take a storage key apart.
func splitKeyPath(r Resource, key string) (namespace, name string) {
	rest := strings.TrimPrefix(key, r.Prefix(""))
	if r.Namespaced {
		namespace, name, _ = strings.Cut(rest, "/")
		return namespace, name
	}
	return "", rest
}

var BootstrapShape = regexp.MustCompile(`^([a-z0-9]{6})\.([a-z0-9]{16})$`)

// ValidBootstrapToken tells whether "id.secret" is the token of a bootstrap secret for this usage that has not expired.
func (d *Database) ValidBootstrapToken(bearer, usage string) bool {
	parts := BootstrapShape.FindStringSubmatch(bearer)
	if parts == nil {
		return false
	}
	secret, err := d.Read(SecretResource, "kube-system", "bootstrap-token-"+parts[1])
	if err != nil {
		return false
	}
	value := func(field string) string {
		content, _ := base64.StdEncoding.DecodeString(TextAt(secret, "data", field))
		return string(content)
	}
	if expiry, err := time.Parse(time.RFC3339, value("expiration")); err == nil && time.Now().After(expiry) {
		return false
	}
	return value("token-secret") == parts[2] && value("usage-bootstrap-"+usage) == "true"
}

// ReadManifest gives the objects of a manifest's documents, those of lists one by one.
func ReadManifest(content string) ([]Object, error) {
	documents, err := parseYAMLDocuments(content)
	if err != nil {
		return nil, err
	}
	var objects []Object
	for _, document := range documents {
		o, ok := document.(Object)
		if !ok {
			continue
		}
		for _, item := range append(ListAt(o, "items"), any(o)) {
			if entry, ok := item.(Object); ok && TextAt(entry, "kind") != "List" {
				objects = append(objects, entry)
			}
		}
	}
	return objects, nil
}

// Apply creates or merges an object of a manifest.
func (d *Database) Apply(o Object) error {
	r, known := resourceOfKind(TextAt(o, "apiVersion"), TextAt(o, "kind"))
	if !known {
		return NewError(404, "NotFound", "failed to find resource for %s, Kind=%s", TextAt(o, "apiVersion"), TextAt(o, "kind"))
	}
	if r.Namespaced && TextAt(o, "metadata", "namespace") == "" {
		PutAt(o, "default", "metadata", "namespace")
	}
	if err := validate(r, o); err != nil {
		return err
	}
	applyDefaults(r, o)
	delete(o, "status")
	if r.Plural == "namespaces" {
		o["status"] = Object{"phase": "Active"}
	}
	return d.Ensure(r, o)
}
