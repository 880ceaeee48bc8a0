// The Kubernetes API over HTTP: health, discovery, objects, watches, patches and evictions.
package kube

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"time"
)

type User struct {
	Name   string
	Groups []string
}

func (u User) In(group string) bool {
	for _, g := range u.Groups {
		if g == group {
			return true
		}
	}
	return false
}

type APIServer struct {
	DB *Database
}

// call is one request for objects, taken apart.
type call struct {
	w               http.ResponseWriter
	r               *http.Request
	who             User
	kind            Resource
	namespace, name string
	sub             string
}

func (s *APIServer) Serve(w http.ResponseWriter, r *http.Request, who User) {
	path := strings.TrimSuffix(r.URL.Path, "/")
	switch {
	case path == "/version":
		WriteJSON(w, 200, versionInfo())
	case path == "/readyz" || path == "/livez" || path == "/healthz" || strings.HasPrefix(path, "/readyz/") || strings.HasPrefix(path, "/livez/"):
		s.Health(w, r, strings.SplitN(path[1:], "/", 2)[0])
	case path == "/api" || path == "/apis" || path == "":
		WriteJSON(w, 200, discovery(path))
	default:
		s.Objects(w, r, who, path)
	}
}

// kubernetesVersion and kubernetesCommit are what the API server and the kubelet say they are.
var Version, Commit string

func versionInfo() Object {
	plainVersion := strings.Split(strings.TrimPrefix(Version, "v"), ".")
	return Object{"major": plainVersion[0], "minor": plainVersion[1], "gitVersion": Version, "gitCommit": Commit, "gitTreeState": "clean", "buildDate": "2026-07-28T20:13:00Z",
		"goVersion": runtime.Version(), "compiler": "gc", "platform": runtime.GOOS + "/" + runtime.GOARCH}
}

func (s *APIServer) Health(w http.ResponseWriter, r *http.Request, name string) {
	failed := s.DB.Barrier(time.Second) != nil
	var text strings.Builder
	for _, check := range []string{"ping", "log", "etcd", "etcd-readiness", "informer-sync", "poststarthook/start-apiextensions-controllers",
		"poststarthook/rbac/bootstrap-roles", "poststarthook/apiservice-registration-controller", "shutdown"} {
		if name == "livez" && check == "informer-sync" || name != "readyz" && (check == "etcd-readiness" || check == "shutdown") {
			continue
		}
		if failed && strings.HasPrefix(check, "etcd") {
			fmt.Fprintf(&text, "[-]%s failed: reason withheld\n", check)
		} else {
			fmt.Fprintf(&text, "[+]%s ok\n", check)
		}
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, verbose := r.URL.Query()["verbose"]
	switch {
	case failed:
		w.WriteHeader(500)
		fmt.Fprintf(w, "%s%s check failed\n", text.String(), name)
	case verbose:
		fmt.Fprintf(w, "%s%s check passed\n", text.String(), name)
	default:
		fmt.Fprint(w, "ok")
	}
}

func discovery(path string) Object {
	if path == "/api" {
		return Object{"kind": "APIVersions", "versions": []string{"v1"}, "serverAddressByClientCIDRs": []any{}}
	}
	if path == "" {
		return Object{"paths": []string{"/api", "/api/v1", "/apis", "/healthz", "/livez", "/readyz", "/version"}}
	}
	groups := []any{}
	seen := map[string]bool{"": true}
	for _, r := range Resources {
		if !seen[r.Group] {
			seen[r.Group] = true
			entry := Object{"groupVersion": r.ApiVersion(), "version": r.Version}
			groups = append(groups, Object{"name": r.Group, "versions": []any{entry}, "preferredVersion": entry})
		}
	}
	return Object{"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
}

func resourceList(apiVersion string) (Object, bool) {
	list := []any{}
	for _, r := range Resources {
		if r.ApiVersion() != apiVersion {
			continue
		}
		entry := Object{"name": r.Plural, "singularName": strings.ToLower(r.Kind), "namespaced": r.Namespaced, "kind": r.Kind,
			"verbs": []string{"create", "delete", "get", "list", "patch", "update", "watch"}}
		if r.Short != "-" {
			entry["shortNames"] = []string{r.Short}
		}
		list = append(list, entry)
		if r.Plural == "pods" {
			list = append(list, Object{"name": "pods/eviction", "singularName": "", "namespaced": true, "group": "policy", "version": "v1",
				"kind": "Eviction", "verbs": []string{"create"}})
		}
	}
	return Object{"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": apiVersion, "resources": list}, len(list) > 0
}

func (s *APIServer) Objects(w http.ResponseWriter, r *http.Request, who User, path string) {
	words := strings.Split(path[1:], "/")
	group, apiVersion := "", ""
	switch {
	case words[0] == "api" && len(words) >= 2:
		apiVersion, words = words[1], words[2:]
	case words[0] == "apis" && len(words) >= 3:
		group, apiVersion, words = words[1], words[2], words[3:]
	default:
		noSuchPath(w)
		return
	}
	if len(words) == 0 {
		list, known := resourceList(strings.TrimPrefix(group+"/"+apiVersion, "/"))
		if !known {
			noSuchPath(w)
			return
		}
		WriteJSON(w, 200, list)
		return
	}
	c := &call{w: w, r: r, who: who}
	if words[0] == "namespaces" && len(words) > 2 && words[2] != "status" && words[2] != "finalize" {
		c.namespace, words = words[1], words[2:]
	}
	kind, known := FindResource(group, apiVersion, words[0])
	if !known || len(words) > 3 {
		noSuchPath(w)
		return
	}
	c.kind = kind
	if len(words) > 1 {
		c.name = words[1]
	}
	if len(words) > 2 {
		c.sub = words[2]
	}
	if err := s.Handle(c); err != nil {
		WriteError(w, err)
	}
}

func noSuchPath(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(404)
	fmt.Fprintln(w, "404 page not found")
}

func (s *APIServer) Handle(c *call) error {
	if err := c.allowed(); err != nil {
		return err
	}
	if err := s.DB.Barrier(time.Second); err != nil {
		return Unavailable(err)
	}
	switch c.r.Method {
	case "GET":
		return s.Get(c)
	case "POST":
		return s.Post(c)
	case "PUT":
		return s.Put(c)
	case "PATCH":
		return s.Patch(c)
	case "DELETE":
		return s.Delete(c)
	}
	return NewError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
}

// NodeMayRead tells what a distribution lets its nodes read besides their own affairs.
var NodeMayRead = func(r Resource, namespace, name string) bool { return false }

// allowed is a small part of RBAC: administrators may do all, a node its own affairs, nobody else anything.
func (c *call) allowed() error {
	if c.who.In("system:masters") {
		return nil
	}
	node := strings.TrimPrefix(c.who.Name, "system:node:")
	verb := map[string]string{"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}[c.r.Method]
	if verb == "get" && c.name == "" {
		verb = "list"
	}
	if c.who.In("system:nodes") {
		own := c.name == node || c.name == ""
		if c.kind.Plural == "nodes" && own && verb != "delete" && verb != "list" ||
			c.kind.Plural == "leases" && c.namespace == "kube-node-lease" && own ||
			c.kind.Plural == "pods" && (verb == "get" || verb == "list" || verb == "delete" || c.sub == "status") || c.kind.Plural == "events" ||
			verb == "get" && NodeMayRead(c.kind, c.namespace, c.name) {
			return nil
		}
	}
	where := "at the cluster scope"
	if c.namespace != "" {
		where = fmt.Sprintf("in the namespace %q", c.namespace)
	}
	subject := c.kind.FullName()
	if c.name != "" {
		subject += fmt.Sprintf(" %q", c.name)
	}
	err := NewError(403, "Forbidden", "%s is forbidden: User %q cannot %s resource %q in API group %q %s",
		subject, c.who.Name, verb, c.kind.Plural, c.kind.Group, where)
	err.Details = Object{"name": c.name, "group": c.kind.Group, "kind": c.kind.Plural}
	return err
}

func (s *APIServer) Get(c *call) error {
	if c.sub == "log" {
		fmt.Fprintln(c.w, "the stand-in has no logs")
		return nil
	}
	if c.name != "" {
		found, err := s.DB.Read(c.kind, c.namespace, c.name)
		if err != nil {
			return err
		}
		WriteJSON(c.w, 200, found)
		return nil
	}
	query := c.r.URL.Query()
	if watching, _ := strconv.ParseBool(query.Get("watch")); watching {
		return s.Watch(c)
	}
	items, revision := s.DB.State.List(c.kind.Prefix(c.namespace))
	return s.WriteList(c, items, revision)
}

func (s *APIServer) Selected(c *call, o Object) bool {
	query := c.r.URL.Query()
	return matchLabels(MapAt(o, "metadata", "labels"), query.Get("labelSelector")) && matchFields(o, query.Get("fieldSelector"))
}

func (s *APIServer) WriteList(c *call, items []keyed, revision int64) error {
	query := c.r.URL.Query()
	limit, _ := strconv.Atoi(query.Get("limit"))
	after, err := base64.RawURLEncoding.DecodeString(query.Get("continue"))
	if err != nil {
		return NewError(400, "BadRequest", "continue key is not valid: %v", err)
	}
	meta := Object{"resourceVersion": fmt.Sprint(revision)}
	selected := []any{}
	for i, item := range items {
		if item.Key <= string(after) {
			continue
		}
		if limit > 0 && len(selected) == limit {
			meta["continue"] = base64.RawURLEncoding.EncodeToString([]byte(items[i-1].Key))
			meta["remainingItemCount"] = len(items) - i
			break
		}
		o := s.DB.Object(item.record)
		if s.Selected(c, o) {
			delete(o, "apiVersion")
			delete(o, "kind")
			selected = append(selected, o)
		}
	}
	WriteJSON(c.w, 200, Object{"kind": c.kind.Kind + "List", "apiVersion": c.kind.ApiVersion(), "metadata": meta, "items": selected})
	return nil
}

// Watch sends what is newer than the given version, then every change until the client or the time-out ends it.
func (s *APIServer) Watch(c *call) error {
	query := c.r.URL.Query()
	since, _ := strconv.ParseInt(query.Get("resourceVersion"), 10, 64)
	prefix := c.kind.Prefix(c.namespace)
	changes := s.DB.State.watch(prefix)
	defer s.DB.State.unwatch(changes)
	timeout := 30 * time.Minute
	if seconds, err := strconv.Atoi(query.Get("timeoutSeconds")); err == nil && seconds > 0 {
		timeout = time.Duration(seconds) * time.Second
	}
	c.w.Header().Set("Content-Type", "application/json;stream=watch")
	c.w.WriteHeader(200)
	flusher, _ := c.w.(http.Flusher)
	encoder := json.NewEncoder(c.w)
	emit := func(kind string, item record) {
		if o := s.DB.Object(item); s.Selected(c, o) {
			encoder.Encode(Object{"type": kind, "object": o})
		}
	}
	items, seen := s.DB.State.List(prefix)
	for _, item := range items {
		if item.Revision > since {
			emit("ADDED", item.record)
		}
	}
	flusher.Flush()
	deadline := time.After(timeout)
	for {
		select {
		case event, open := <-changes:
			if !open {
				return nil
			}
			if event.Revision > seen {
				emit(event.Kind, event.record)
				flusher.Flush()
			}
		case <-c.r.Context().Done():
			return nil
		case <-deadline:
			return nil
		}
	}
}

func (c *call) body() (Object, error) {
	content, err := io.ReadAll(io.LimitReader(c.r.Body, 3<<20))
	if err != nil {
		return nil, NewError(400, "BadRequest", "%v", err)
	}
	if strings.Contains(c.r.Header.Get("Content-Type"), "yaml") {
		document, err := ParseYAML(string(content))
		if value, ok := Plain(document).(Object); ok && err == nil {
			return value, nil
		}
		return nil, NewError(400, "BadRequest", "error decoding YAML: %v", err)
	}
	value, ok := Decode(content).(Object)
	if !ok {
		return nil, NewError(400, "BadRequest", "the object provided is unrecognized (must be of type %s): couldn't get version/kind; json parse error", c.kind.Kind)
	}
	return value, nil
}

func (s *APIServer) Post(c *call) error {
	o, err := c.body()
	if err != nil {
		return err
	}
	if c.sub == "eviction" {
		return s.Evict(c)
	}
	if c.name != "" {
		return NewError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
	}
	if NameOf(o) == "" && TextAt(o, "metadata", "generateName") != "" {
		PutAt(o, TextAt(o, "metadata", "generateName")+RandomHex(3)[:5], "metadata", "name")
	}
	if c.kind.Namespaced {
		if c.namespace == "" {
			c.namespace = "default"
		}
		PutAt(o, c.namespace, "metadata", "namespace")
		if _, err := s.DB.Read(namespaceResource, "", c.namespace); err != nil {
			return err
		}
	}
	if err := validate(c.kind, o); err != nil {
		return err
	}
	applyDefaults(c.kind, o)
	created, err := s.DB.Create(c.kind, o)
	if err != nil {
		return err
	}
	WriteJSON(c.w, 201, created)
	return nil
}

// applyDefaults fills the fields that other parts of the stand-in count on.
func applyDefaults(r Resource, o Object) {
	if data := MapAt(o, "stringData"); r.Plural == "secrets" && data != nil {
		for key, value := range data {
			PutAt(o, base64.StdEncoding.EncodeToString([]byte(fmt.Sprint(value))), "data", key)
		}
		delete(o, "stringData")
	}
	if r.Plural == "secrets" && TextAt(o, "type") == "" {
		o["type"] = "Opaque"
	}
	if r.Plural == "namespaces" {
		PutAt(o, []any{"kubernetes"}, "spec", "finalizers")
		PutAt(o, Object{"phase": "Active"}, "status")
		PutAt(o, NameOf(o), "metadata", "labels", "kubernetes.io/metadata.name")
	}
	if (r.Plural == "deployments" || r.Plural == "statefulsets") && At(o, "spec", "replicas") == nil {
		PutAt(o, float64(1), "spec", "replicas")
	}
	if r.Plural == "pods" && At(o, "status", "phase") == nil {
		PutAt(o, Object{"phase": "Pending"}, "status")
	}
}

// hasStatus tells which kinds keep their status apart, in a subresource.
func hasStatus(r Resource) bool {
	switch r.Plural {
	case "nodes", "pods", "namespaces", "deployments", "daemonsets", "statefulsets", "jobs":
		return true
	}
	return false
}

func (c *call) edit(old, fresh Object) Object {
	if c.sub == "status" {
		result := cloneObject(old)
		result["status"] = fresh["status"]
		return result
	}
	if hasStatus(c.kind) && old["status"] != nil {
		fresh["status"] = old["status"]
	}
	return fresh
}

func (s *APIServer) Put(c *call) error {
	o, err := c.body()
	if err != nil {
		return err
	}
	if err := validate(c.kind, o); err != nil {
		return err
	}
	changed, err := s.DB.Change(c.kind, c.namespace, c.name, func(old Object) (Object, error) {
		wanted := TextAt(o, "metadata", "resourceVersion")
		if wanted != "" && wanted != TextAt(old, "metadata", "resourceVersion") {
			return nil, conflict(c.kind, c.name)
		}
		return c.edit(old, cloneObject(o)), nil
	})
	if IsNotFound(err) && c.kind.Plural == "leases" { // leases may be created on update
		PutAt(o, c.namespace, "metadata", "namespace")
		changed, err = s.DB.Create(c.kind, o)
	}
	if err != nil {
		return err
	}
	WriteJSON(c.w, 200, changed)
	return nil
}

func (s *APIServer) Patch(c *call) error {
	content, err := io.ReadAll(io.LimitReader(c.r.Body, 3<<20))
	if err != nil {
		return NewError(400, "BadRequest", "%v", err)
	}
	style, _, _ := strings.Cut(c.r.Header.Get("Content-Type"), ";")
	change := Decode(content)
	if style == "application/apply-patch+yaml" {
		return s.ServerSideApply(c, content)
	}
	if change == nil {
		return NewError(400, "BadRequest", "error decoding patch: json: syntax error")
	}
	changed, err := s.DB.Change(c.kind, c.namespace, c.name, func(old Object) (Object, error) {
		before := cloneObject(old)
		var fresh any
		var err error
		switch style {
		case "application/json-patch+json":
			operations, ok := change.([]any)
			if !ok {
				return nil, NewError(400, "BadRequest", "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp")
			}
			fresh, err = jsonPatch(old, Clone(operations).([]any))
			if err != nil {
				return nil, NewError(422, "Invalid", "the server rejected our request due to an error in our request: %v", err)
			}
		case "application/merge-patch+json":
			fresh = MergePatch(old, Clone(change))
		case "application/strategic-merge-patch+json":
			fresh = strategicPatch(old, Clone(change))
		default:
			return nil, NewError(415, "UnsupportedMediaType", "the body of the request was in an unknown format - accepted media types include: "+
				"application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json, application/apply-patch+yaml")
		}
		o, ok := fresh.(Object)
		if !ok {
			return nil, NewError(400, "BadRequest", "patch does not give an object")
		}
		wanted := TextAt(o, "metadata", "resourceVersion")
		if wanted != TextAt(before, "metadata", "resourceVersion") {
			return nil, conflict(c.kind, c.name)
		}
		return c.edit(before, o), validate(c.kind, o)
	})
	if err != nil {
		return err
	}
	WriteJSON(c.w, 200, changed)
	return nil
}

func (s *APIServer) ServerSideApply(c *call, content []byte) error {
	document, err := ParseYAML(string(content))
	o, ok := Plain(document).(Object)
	if decoded, isJSON := Decode(content).(Object); isJSON {
		o, ok, err = decoded, true, nil
	}
	if err != nil || !ok {
		return NewError(400, "BadRequest", "error decoding YAML: %v", err)
	}
	PutAt(o, c.name, "metadata", "name")
	if c.namespace != "" {
		PutAt(o, c.namespace, "metadata", "namespace")
	}
	if err := validate(c.kind, o); err != nil {
		return err
	}
	applyDefaults(c.kind, o)
	code := 200
	if _, err := s.DB.Read(c.kind, c.namespace, c.name); IsNotFound(err) {
		code = 201
	}
	if err := s.DB.Ensure(c.kind, o); err != nil {
		return err
	}
	found, err := s.DB.Read(c.kind, c.namespace, c.name)
	if err != nil {
		return err
	}
	WriteJSON(c.w, code, found)
	return nil
}

func (s *APIServer) Delete(c *call) error {
	if c.name == "" {
		for _, o := range s.DB.All(c.kind, c.namespace) {
			if s.Selected(c, o) {
				s.DeleteOne(c, TextAt(o, "metadata", "namespace"), NameOf(o), nil)
			}
		}
		WriteJSON(c.w, 200, Object{"kind": "Status", "apiVersion": "v1", "metadata": Object{}, "status": "Success"})
		return nil
	}
	options, _ := c.body()
	answer, err := s.DeleteOne(c, c.namespace, c.name, options)
	if err != nil {
		return err
	}
	WriteJSON(c.w, 200, answer)
	return nil
}

// DeleteOne marks what somebody must finish first (finalizers, pods, namespaces), and removes the rest at once.
func (s *APIServer) DeleteOne(c *call, namespace, name string, options Object) (Object, error) {
	found, err := s.DB.Read(c.kind, namespace, name)
	if err != nil {
		return nil, err
	}
	if uid := TextAt(options, "preconditions", "uid"); uid != "" && uid != TextAt(found, "metadata", "uid") {
		return nil, NewError(409, "Conflict", "Precondition failed: UID in precondition: %v, UID in object meta: %v", uid, TextAt(found, "metadata", "uid"))
	}
	grace := At(options, "gracePeriodSeconds")
	if text := c.r.URL.Query().Get("gracePeriodSeconds"); text != "" {
		number, _ := strconv.Atoi(text)
		grace = float64(number)
	}
	marked := c.kind.Plural == "namespaces" || len(ListAt(found, "metadata", "finalizers")) > 0 || c.kind.Plural == "pods" && grace != float64(0)
	if !marked {
		if err := s.DB.Remove(c.kind, namespace, name); err != nil {
			return nil, err
		}
		return Object{"kind": "Status", "apiVersion": "v1", "metadata": Object{}, "status": "Success", "details": Object{
			"name": name, "group": c.kind.Group, "kind": c.kind.Plural, "uid": TextAt(found, "metadata", "uid")}}, nil
	}
	return s.DB.Change(c.kind, namespace, name, func(o Object) (Object, error) {
		if TextAt(o, "metadata", "deletionTimestamp") != "" {
			return nil, nil
		}
		PutAt(o, Stamp(time.Now()), "metadata", "deletionTimestamp")
		if c.kind.Plural == "pods" {
			PutAt(o, float64(30), "metadata", "deletionGracePeriodSeconds")
		}
		if c.kind.Plural == "namespaces" {
			PutAt(o, "Terminating", "status", "phase")
		}
		return o, nil
	})
}

func (s *APIServer) Evict(c *call) error {
	pod, err := s.DB.Read(podResource, c.namespace, c.name)
	if err != nil {
		return err
	}
	budgets := MustResource("poddisruptionbudgets")
	for _, budget := range s.DB.All(budgets, c.namespace) {
		if s.DisruptionsAllowed(budget, pod) <= 0 {
			err := NewError(429, "TooManyRequests", "Cannot evict pod as it would violate the pod's disruption budget.")
			err.Details = Object{"causes": []any{Object{"reason": "DisruptionBudget", "message": fmt.Sprintf(
				"The disruption budget %s does not allow an eviction now", NameOf(budget))}}}
			return err
		}
	}
	deletion := &call{w: c.w, r: c.r, who: c.who, kind: podResource}
	if _, err := s.DeleteOne(deletion, c.namespace, c.name, nil); err != nil {
		return err
	}
	WriteJSON(c.w, 201, Object{"kind": "Status", "apiVersion": "v1", "metadata": Object{}, "status": "Success", "code": 201})
	return nil
}

// DisruptionsAllowed counts the healthy pods of a budget over its minimum; 1 when the pod is not of this budget.
func (s *APIServer) DisruptionsAllowed(budget, pod Object) int {
	matches := func(p Object) bool {
		for key, value := range MapAt(budget, "spec", "selector", "matchLabels") {
			if At(p, "metadata", "labels", key) != value {
				return false
			}
		}
		return true
	}
	if !matches(pod) {
		return 1
	}
	healthy, total := 0, 0
	for _, p := range s.DB.All(podResource, TextAt(budget, "metadata", "namespace")) {
		if matches(p) {
			total++
			if TextAt(p, "status", "phase") == "Running" && TextAt(p, "metadata", "deletionTimestamp") == "" {
				healthy++
			}
		}
	}
	if least, ok := At(budget, "spec", "minAvailable").(float64); ok {
		return healthy - int(least)
	}
	if most, ok := At(budget, "spec", "maxUnavailable").(float64); ok {
		return healthy - (total - int(most))
	}
	return 1
}

var (
	nameRule  = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)
	labelRule = regexp.MustCompile(`^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$`)
	keyRule   = regexp.MustCompile(`^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$`)
)

func validate(r Resource, o Object) error {
	invalid := func(format string, args ...any) error {
		err := NewError(422, "Invalid", "%s.%s %q is invalid: %s", r.Kind, r.Group, NameOf(o), fmt.Sprintf(format, args...))
		err.Message = strings.Replace(err.Message, r.Kind+". ", r.Kind+" ", 1)
		err.Details = Object{"name": NameOf(o), "group": r.Group, "kind": r.Kind}
		return err
	}
	if NameOf(o) == "" {
		return invalid("metadata.name: Required value: name or generateName is required")
	}
	if !nameRule.MatchString(NameOf(o)) && r.Group != "rbac.authorization.k8s.io" {
		return invalid("metadata.name: Invalid value: %q: a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, "+
			"'-' or '.', and must start and end with an alphanumeric character", NameOf(o))
	}
	for key, value := range MapAt(o, "metadata", "labels") {
		text, ok := value.(string)
		if !ok {
			return NewError(400, "BadRequest", "json: cannot unmarshal into Go struct field ObjectMeta.metadata.labels of type string")
		}
		if !keyRule.MatchString(key) || !labelRule.MatchString(text) || len(text) > 63 {
			return invalid("metadata.labels: Invalid value: %q: a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', "+
				"and must start and end with an alphanumeric character", text)
		}
	}
	for key, value := range MapAt(o, "metadata", "annotations") {
		if _, ok := value.(string); !ok {
			return NewError(400, "BadRequest", "json: cannot unmarshal into Go struct field ObjectMeta.metadata.annotations of type string")
		}
		if !keyRule.MatchString(key) {
			return invalid("metadata.annotations: Invalid value: %q: name part must consist of alphanumeric characters, '-', '_' or '.'", key)
		}
	}
	for _, taint := range ListAt(o, "spec", "taints") {
		switch TextAt(taint, "effect") {
		case "NoSchedule", "PreferNoSchedule", "NoExecute":
		default:
			return invalid("metadata.taints[0].effect: Unsupported value: %q: supported values: \"NoSchedule\", \"PreferNoSchedule\", \"NoExecute\"", TextAt(taint, "effect"))
		}
	}
	return nil
}

func WriteJSON(w http.ResponseWriter, code int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-cache, private")
	w.WriteHeader(code)
	json.NewEncoder(w).Encode(value)
}

func WriteError(w http.ResponseWriter, err error) {
	var failure *APIError
	if !errors.As(err, &failure) {
		failure = NewError(500, "InternalError", "Internal error occurred: %v", err)
	}
	status := Object{"kind": "Status", "apiVersion": "v1", "metadata": Object{}, "status": "Failure",
		"message": failure.Message, "reason": failure.Reason, "code": failure.Code}
	if failure.Details != nil {
		status["details"] = failure.Details
	}
	WriteJSON(w, failure.Code, status)
}
