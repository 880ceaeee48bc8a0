// Objects in the replicated state: create, read, list, change and delete with revisions.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

const writeTimeout = 5 * time.Second

// apiError is an error with the code and reason that a Status object carries.
type apiError struct {
	code            int
	reason, message string
	details         object
}

func (e *apiError) Error() string { return e.message }

func newError(code int, reason, format string, args ...any) *apiError {
	return &apiError{code: code, reason: reason, message: fmt.Sprintf(format, args...)}
}

func notFound(r resource, name string) *apiError {
	err := newError(404, "NotFound", "%s %q not found", r.fullName(), name)
	err.details = object{"name": name, "group": r.group, "kind": r.plural}
	return err
}

func isNotFound(err error) bool {
	var found *apiError
	return errors.As(err, &found) && found.code == 404
}

func isConflict(err error) bool {
	var found *apiError
	return errors.As(err, &found) && found.code == 409
}

type database struct{ *consensus }

// unavailable is what clients get while there is no majority.
func unavailable(err error) *apiError {
	return newError(503, "ServiceUnavailable", "the server is currently unable to handle the request: %v", err)
}

func (d *database) object(item record) object {
	value, ok := decode(item.Value).(object)
	if !ok {
		value = object{}
	}
	putAt(value, fmt.Sprint(item.Revision), "metadata", "resourceVersion")
	return value
}

func (d *database) read(r resource, namespace, name string) (object, error) {
	item, ok := d.state.get(r.key(namespace, name))
	if !ok {
		return nil, notFound(r, name)
	}
	return d.object(item), nil
}

func (d *database) all(r resource, namespace string) []object {
	found, _ := d.state.list(r.prefix(namespace))
	objects := make([]object, 0, len(found))
	for _, item := range found {
		objects = append(objects, d.object(item.record))
	}
	return objects
}

func encodeObject(o object) json.RawMessage {
	stored := cloneObject(o)
	delete(mapAt(stored, "metadata"), "resourceVersion")
	encoded, err := json.Marshal(stored)
	if err != nil {
		panic(err)
	}
	return encoded
}

// create adds what every new object gets. It fails with AlreadyExists.
func (d *database) create(r resource, o object) (object, error) {
	o = cloneObject(o)
	name, namespace := nameOf(o), textAt(o, "metadata", "namespace")
	o["apiVersion"], o["kind"] = r.apiVersion(), r.kind
	putAt(o, newUID(), "metadata", "uid")
	putAt(o, stamp(time.Now()), "metadata", "creationTimestamp")
	if r.group == "apps" || r.plural == "pods" {
		putAt(o, float64(1), "metadata", "generation")
	}
	none := int64(0)
	result, err := d.propose(operation{Kind: "put", Key: r.key(namespace, name), Value: encodeObject(o), Previous: &none}, writeTimeout)
	if err != nil {
		return nil, unavailable(err)
	}
	if !result.OK {
		failure := newError(409, "AlreadyExists", "%s %q already exists", r.fullName(), name)
		failure.details = object{"name": name, "group": r.group, "kind": r.plural}
		return nil, failure
	}
	putAt(o, fmt.Sprint(result.Revision), "metadata", "resourceVersion")
	return o, nil
}

// change reads, calls edit and writes back; another writer in between means another try. edit returns nil to leave
// the object as it is.
func (d *database) change(r resource, namespace, name string, edit func(object) (object, error)) (object, error) {
	for try := 0; try < 20; try++ {
		item, ok := d.state.get(r.key(namespace, name))
		if !ok {
			return nil, notFound(r, name)
		}
		old := d.object(item)
		fresh, err := edit(cloneObject(old))
		if err != nil || fresh == nil {
			return old, err
		}
		keepIdentity(r, old, fresh)
		if string(encodeObject(old)) == string(encodeObject(fresh)) {
			return old, nil
		}
		result, err := d.propose(operation{Kind: "put", Key: r.key(namespace, name), Value: encodeObject(fresh), Previous: &item.Revision}, writeTimeout)
		if err != nil {
			return nil, unavailable(err)
		}
		if result.OK {
			putAt(fresh, fmt.Sprint(result.Revision), "metadata", "resourceVersion")
			return fresh, nil
		}
	}
	return nil, conflict(r, name)
}

func conflict(r resource, name string) *apiError {
	err := newError(409, "Conflict", "Operation cannot be fulfilled on %s %q: the object has been modified; "+
		"please apply your changes to the latest version and try again", r.fullName(), name)
	err.details = object{"name": name, "group": r.group, "kind": r.plural}
	return err
}

func keepIdentity(r resource, old, fresh object) {
	for _, field := range []string{"name", "namespace", "uid", "creationTimestamp"} {
		if value := at(old, "metadata", field); value != nil {
			putAt(fresh, value, "metadata", field)
		}
	}
	fresh["apiVersion"], fresh["kind"] = r.apiVersion(), r.kind
	generation, counted := at(old, "metadata", "generation").(float64)
	if counted && toJSON(old["spec"]) != toJSON(fresh["spec"]) {
		putAt(fresh, generation+1, "metadata", "generation")
	} else if counted {
		putAt(fresh, generation, "metadata", "generation")
	}
}

func (d *database) remove(r resource, namespace, name string) error {
	result, err := d.propose(operation{Kind: "delete", Key: r.key(namespace, name)}, writeTimeout)
	if err != nil {
		return unavailable(err)
	}
	if !result.OK {
		return notFound(r, name)
	}
	return nil
}

// ensure creates an object, or merges the given fields into the one that is there.
func (d *database) ensure(r resource, o object) error {
	_, err := d.create(r, o)
	if !isConflict(err) {
		return err
	}
	_, err = d.change(r, textAt(o, "metadata", "namespace"), nameOf(o), func(old object) (object, error) {
		return mergePatch(old, cloneObject(o)).(object), nil
	})
	return err
}

func stamp(t time.Time) string      { return t.UTC().Format("2006-01-02T15:04:05Z") }
func microStamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z") }

// namespaceOfKey and nameOfKey take a storage key apart.
func splitKeyPath(r resource, key string) (namespace, name string) {
	rest := strings.TrimPrefix(key, r.prefix(""))
	if r.namespaced {
		namespace, name, _ = strings.Cut(rest, "/")
		return namespace, name
	}
	return "", rest
}
