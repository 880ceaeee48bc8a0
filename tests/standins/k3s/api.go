// The Kubernetes API over HTTP: health, discovery, objects, watches, patches and evictions.
package main

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

type user struct {
	name   string
	groups []string
}

func (u user) in(group string) bool {
	for _, g := range u.groups {
		if g == group {
			return true
		}
	}
	return false
}

type apiServer struct {
	db *database
}

// call is one request for objects, taken apart.
type call struct {
	w               http.ResponseWriter
	r               *http.Request
	who             user
	kind            resource
	namespace, name string
	sub             string
}

func (s *apiServer) serve(w http.ResponseWriter, r *http.Request, who user) {
	path := strings.TrimSuffix(r.URL.Path, "/")
	switch {
	case path == "/version":
		writeJSON(w, 200, versionInfo())
	case path == "/readyz" || path == "/livez" || path == "/healthz" || strings.HasPrefix(path, "/readyz/") || strings.HasPrefix(path, "/livez/"):
		s.health(w, r, strings.SplitN(path[1:], "/", 2)[0])
	case path == "/api" || path == "/apis" || path == "":
		writeJSON(w, 200, discovery(path))
	default:
		s.objects(w, r, who, path)
	}
}

func versionInfo() object {
	plainVersion := strings.Split(strings.TrimPrefix(version, "v"), ".")
	return object{"major": plainVersion[0], "minor": plainVersion[1], "gitVersion": version, "gitCommit": commit, "gitTreeState": "clean", "buildDate": "2026-07-28T20:13:00Z",
		"goVersion": runtime.Version(), "compiler": "gc", "platform": runtime.GOOS + "/" + runtime.GOARCH}
}

func (s *apiServer) health(w http.ResponseWriter, r *http.Request, name string) {
	failed := s.db.barrier(time.Second) != nil
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

func discovery(path string) object {
	if path == "/api" {
		return object{"kind": "APIVersions", "versions": []string{"v1"}, "serverAddressByClientCIDRs": []any{}}
	}
	if path == "" {
		return object{"paths": []string{"/api", "/api/v1", "/apis", "/healthz", "/livez", "/readyz", "/version"}}
	}
	groups := []any{}
	seen := map[string]bool{"": true}
	for _, r := range resources {
		if !seen[r.group] {
			seen[r.group] = true
			entry := object{"groupVersion": r.apiVersion(), "version": r.version}
			groups = append(groups, object{"name": r.group, "versions": []any{entry}, "preferredVersion": entry})
		}
	}
	return object{"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
}

func resourceList(apiVersion string) (object, bool) {
	list := []any{}
	for _, r := range resources {
		if r.apiVersion() != apiVersion {
			continue
		}
		entry := object{"name": r.plural, "singularName": strings.ToLower(r.kind), "namespaced": r.namespaced, "kind": r.kind,
			"verbs": []string{"create", "delete", "get", "list", "patch", "update", "watch"}}
		if r.short != "-" {
			entry["shortNames"] = []string{r.short}
		}
		list = append(list, entry)
		if r.plural == "pods" {
			list = append(list, object{"name": "pods/eviction", "singularName": "", "namespaced": true, "group": "policy", "version": "v1",
				"kind": "Eviction", "verbs": []string{"create"}})
		}
	}
	return object{"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": apiVersion, "resources": list}, len(list) > 0
}

func (s *apiServer) objects(w http.ResponseWriter, r *http.Request, who user, path string) {
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
		writeJSON(w, 200, list)
		return
	}
	c := &call{w: w, r: r, who: who}
	if words[0] == "namespaces" && len(words) > 2 && words[2] != "status" && words[2] != "finalize" {
		c.namespace, words = words[1], words[2:]
	}
	kind, known := findResource(group, apiVersion, words[0])
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
	if err := s.handle(c); err != nil {
		writeError(w, err)
	}
}

func noSuchPath(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(404)
	fmt.Fprintln(w, "404 page not found")
}

func (s *apiServer) handle(c *call) error {
	if err := c.allowed(); err != nil {
		return err
	}
	if err := s.db.barrier(time.Second); err != nil {
		return unavailable(err)
	}
	switch c.r.Method {
	case "GET":
		return s.get(c)
	case "POST":
		return s.post(c)
	case "PUT":
		return s.put(c)
	case "PATCH":
		return s.patch(c)
	case "DELETE":
		return s.delete(c)
	}
	return newError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
}

// allowed is a small part of RBAC: administrators may do all, a node its own affairs, nobody else anything.
func (c *call) allowed() error {
	if c.who.in("system:masters") {
		return nil
	}
	node := strings.TrimPrefix(c.who.name, "system:node:")
	verb := map[string]string{"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}[c.r.Method]
	if verb == "get" && c.name == "" {
		verb = "list"
	}
	if c.who.in("system:nodes") {
		own := c.name == node || c.name == ""
		if c.kind.plural == "nodes" && own && verb != "delete" && verb != "list" ||
			c.kind.plural == "leases" && c.namespace == "kube-node-lease" && own ||
			c.kind.plural == "pods" && (verb == "get" || verb == "list" || verb == "delete" || c.sub == "status") || c.kind.plural == "events" {
			return nil
		}
	}
	where := "at the cluster scope"
	if c.namespace != "" {
		where = fmt.Sprintf("in the namespace %q", c.namespace)
	}
	subject := c.kind.fullName()
	if c.name != "" {
		subject += fmt.Sprintf(" %q", c.name)
	}
	err := newError(403, "Forbidden", "%s is forbidden: User %q cannot %s resource %q in API group %q %s",
		subject, c.who.name, verb, c.kind.plural, c.kind.group, where)
	err.details = object{"name": c.name, "group": c.kind.group, "kind": c.kind.plural}
	return err
}

func (s *apiServer) get(c *call) error {
	if c.sub == "log" {
		fmt.Fprintln(c.w, "the stand-in has no logs")
		return nil
	}
	if c.name != "" {
		found, err := s.db.read(c.kind, c.namespace, c.name)
		if err != nil {
			return err
		}
		writeJSON(c.w, 200, found)
		return nil
	}
	query := c.r.URL.Query()
	if watching, _ := strconv.ParseBool(query.Get("watch")); watching {
		return s.watch(c)
	}
	items, revision := s.db.state.list(c.kind.prefix(c.namespace))
	return s.writeList(c, items, revision)
}

func (s *apiServer) selected(c *call, o object) bool {
	query := c.r.URL.Query()
	return matchLabels(mapAt(o, "metadata", "labels"), query.Get("labelSelector")) && matchFields(o, query.Get("fieldSelector"))
}

func (s *apiServer) writeList(c *call, items []keyed, revision int64) error {
	query := c.r.URL.Query()
	limit, _ := strconv.Atoi(query.Get("limit"))
	after, err := base64.RawURLEncoding.DecodeString(query.Get("continue"))
	if err != nil {
		return newError(400, "BadRequest", "continue key is not valid: %v", err)
	}
	meta := object{"resourceVersion": fmt.Sprint(revision)}
	selected := []any{}
	for i, item := range items {
		if item.key <= string(after) {
			continue
		}
		if limit > 0 && len(selected) == limit {
			meta["continue"] = base64.RawURLEncoding.EncodeToString([]byte(items[i-1].key))
			meta["remainingItemCount"] = len(items) - i
			break
		}
		o := s.db.object(item.record)
		if s.selected(c, o) {
			delete(o, "apiVersion")
			delete(o, "kind")
			selected = append(selected, o)
		}
	}
	writeJSON(c.w, 200, object{"kind": c.kind.kind + "List", "apiVersion": c.kind.apiVersion(), "metadata": meta, "items": selected})
	return nil
}

// watch sends what is newer than the given version, then every change until the client or the time-out ends it.
func (s *apiServer) watch(c *call) error {
	query := c.r.URL.Query()
	since, _ := strconv.ParseInt(query.Get("resourceVersion"), 10, 64)
	prefix := c.kind.prefix(c.namespace)
	changes := s.db.state.watch(prefix)
	defer s.db.state.unwatch(changes)
	timeout := 30 * time.Minute
	if seconds, err := strconv.Atoi(query.Get("timeoutSeconds")); err == nil && seconds > 0 {
		timeout = time.Duration(seconds) * time.Second
	}
	c.w.Header().Set("Content-Type", "application/json;stream=watch")
	c.w.WriteHeader(200)
	flusher, _ := c.w.(http.Flusher)
	encoder := json.NewEncoder(c.w)
	emit := func(kind string, item record) {
		if o := s.db.object(item); s.selected(c, o) {
			encoder.Encode(object{"type": kind, "object": o})
		}
	}
	items, seen := s.db.state.list(prefix)
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

func (c *call) body() (object, error) {
	content, err := io.ReadAll(io.LimitReader(c.r.Body, 3<<20))
	if err != nil {
		return nil, newError(400, "BadRequest", "%v", err)
	}
	if strings.Contains(c.r.Header.Get("Content-Type"), "yaml") {
		document, err := parseYAML(string(content))
		if value, ok := plain(document).(object); ok && err == nil {
			return value, nil
		}
		return nil, newError(400, "BadRequest", "error decoding YAML: %v", err)
	}
	value, ok := decode(content).(object)
	if !ok {
		return nil, newError(400, "BadRequest", "the object provided is unrecognized (must be of type %s): couldn't get version/kind; json parse error", c.kind.kind)
	}
	return value, nil
}

func (s *apiServer) post(c *call) error {
	o, err := c.body()
	if err != nil {
		return err
	}
	if c.sub == "eviction" {
		return s.evict(c)
	}
	if c.name != "" {
		return newError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
	}
	if nameOf(o) == "" && textAt(o, "metadata", "generateName") != "" {
		putAt(o, textAt(o, "metadata", "generateName")+randomHex(3)[:5], "metadata", "name")
	}
	if c.kind.namespaced {
		if c.namespace == "" {
			c.namespace = "default"
		}
		putAt(o, c.namespace, "metadata", "namespace")
		if _, err := s.db.read(namespaceResource, "", c.namespace); err != nil {
			return err
		}
	}
	if err := validate(c.kind, o); err != nil {
		return err
	}
	applyDefaults(c.kind, o)
	created, err := s.db.create(c.kind, o)
	if err != nil {
		return err
	}
	writeJSON(c.w, 201, created)
	return nil
}

// applyDefaults fills the fields that other parts of the stand-in count on.
func applyDefaults(r resource, o object) {
	if data := mapAt(o, "stringData"); r.plural == "secrets" && data != nil {
		for key, value := range data {
			putAt(o, base64.StdEncoding.EncodeToString([]byte(fmt.Sprint(value))), "data", key)
		}
		delete(o, "stringData")
	}
	if r.plural == "secrets" && textAt(o, "type") == "" {
		o["type"] = "Opaque"
	}
	if r.plural == "namespaces" {
		putAt(o, []any{"kubernetes"}, "spec", "finalizers")
		putAt(o, object{"phase": "Active"}, "status")
		putAt(o, nameOf(o), "metadata", "labels", "kubernetes.io/metadata.name")
	}
	if r.plural == "deployments" && at(o, "spec", "replicas") == nil {
		putAt(o, float64(1), "spec", "replicas")
	}
	if r.plural == "pods" && at(o, "status", "phase") == nil {
		putAt(o, object{"phase": "Pending"}, "status")
	}
}

// hasStatus tells which kinds keep their status apart, in a subresource.
func hasStatus(r resource) bool {
	switch r.plural {
	case "nodes", "pods", "namespaces", "deployments", "daemonsets", "jobs":
		return true
	}
	return false
}

func (c *call) edit(old, fresh object) object {
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

func (s *apiServer) put(c *call) error {
	o, err := c.body()
	if err != nil {
		return err
	}
	if err := validate(c.kind, o); err != nil {
		return err
	}
	changed, err := s.db.change(c.kind, c.namespace, c.name, func(old object) (object, error) {
		wanted := textAt(o, "metadata", "resourceVersion")
		if wanted != "" && wanted != textAt(old, "metadata", "resourceVersion") {
			return nil, conflict(c.kind, c.name)
		}
		return c.edit(old, cloneObject(o)), nil
	})
	if isNotFound(err) && c.kind.plural == "leases" { // leases may be created on update
		putAt(o, c.namespace, "metadata", "namespace")
		changed, err = s.db.create(c.kind, o)
	}
	if err != nil {
		return err
	}
	writeJSON(c.w, 200, changed)
	return nil
}

func (s *apiServer) patch(c *call) error {
	content, err := io.ReadAll(io.LimitReader(c.r.Body, 3<<20))
	if err != nil {
		return newError(400, "BadRequest", "%v", err)
	}
	style, _, _ := strings.Cut(c.r.Header.Get("Content-Type"), ";")
	change := decode(content)
	if style == "application/apply-patch+yaml" {
		return s.serverSideApply(c, content)
	}
	if change == nil {
		return newError(400, "BadRequest", "error decoding patch: json: syntax error")
	}
	changed, err := s.db.change(c.kind, c.namespace, c.name, func(old object) (object, error) {
		before := cloneObject(old)
		var fresh any
		var err error
		switch style {
		case "application/json-patch+json":
			operations, ok := change.([]any)
			if !ok {
				return nil, newError(400, "BadRequest", "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp")
			}
			fresh, err = jsonPatch(old, clone(operations).([]any))
			if err != nil {
				return nil, newError(422, "Invalid", "the server rejected our request due to an error in our request: %v", err)
			}
		case "application/merge-patch+json":
			fresh = mergePatch(old, clone(change))
		case "application/strategic-merge-patch+json":
			fresh = strategicPatch(old, clone(change))
		default:
			return nil, newError(415, "UnsupportedMediaType", "the body of the request was in an unknown format - accepted media types include: "+
				"application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json, application/apply-patch+yaml")
		}
		o, ok := fresh.(object)
		if !ok {
			return nil, newError(400, "BadRequest", "patch does not give an object")
		}
		wanted := textAt(o, "metadata", "resourceVersion")
		if wanted != textAt(before, "metadata", "resourceVersion") {
			return nil, conflict(c.kind, c.name)
		}
		return c.edit(before, o), validate(c.kind, o)
	})
	if err != nil {
		return err
	}
	writeJSON(c.w, 200, changed)
	return nil
}

func (s *apiServer) serverSideApply(c *call, content []byte) error {
	document, err := parseYAML(string(content))
	o, ok := plain(document).(object)
	if decoded, isJSON := decode(content).(object); isJSON {
		o, ok, err = decoded, true, nil
	}
	if err != nil || !ok {
		return newError(400, "BadRequest", "error decoding YAML: %v", err)
	}
	putAt(o, c.name, "metadata", "name")
	if c.namespace != "" {
		putAt(o, c.namespace, "metadata", "namespace")
	}
	if err := validate(c.kind, o); err != nil {
		return err
	}
	applyDefaults(c.kind, o)
	code := 200
	if _, err := s.db.read(c.kind, c.namespace, c.name); isNotFound(err) {
		code = 201
	}
	if err := s.db.ensure(c.kind, o); err != nil {
		return err
	}
	found, err := s.db.read(c.kind, c.namespace, c.name)
	if err != nil {
		return err
	}
	writeJSON(c.w, code, found)
	return nil
}

func (s *apiServer) delete(c *call) error {
	if c.name == "" {
		for _, o := range s.db.all(c.kind, c.namespace) {
			if s.selected(c, o) {
				s.deleteOne(c, textAt(o, "metadata", "namespace"), nameOf(o), nil)
			}
		}
		writeJSON(c.w, 200, object{"kind": "Status", "apiVersion": "v1", "metadata": object{}, "status": "Success"})
		return nil
	}
	options, _ := c.body()
	answer, err := s.deleteOne(c, c.namespace, c.name, options)
	if err != nil {
		return err
	}
	writeJSON(c.w, 200, answer)
	return nil
}

// deleteOne marks what somebody must finish first (finalizers, pods, namespaces), and removes the rest at once.
func (s *apiServer) deleteOne(c *call, namespace, name string, options object) (object, error) {
	found, err := s.db.read(c.kind, namespace, name)
	if err != nil {
		return nil, err
	}
	if uid := textAt(options, "preconditions", "uid"); uid != "" && uid != textAt(found, "metadata", "uid") {
		return nil, newError(409, "Conflict", "Precondition failed: UID in precondition: %v, UID in object meta: %v", uid, textAt(found, "metadata", "uid"))
	}
	grace := at(options, "gracePeriodSeconds")
	if text := c.r.URL.Query().Get("gracePeriodSeconds"); text != "" {
		number, _ := strconv.Atoi(text)
		grace = float64(number)
	}
	marked := c.kind.plural == "namespaces" || len(listAt(found, "metadata", "finalizers")) > 0 || c.kind.plural == "pods" && grace != float64(0)
	if !marked {
		if err := s.db.remove(c.kind, namespace, name); err != nil {
			return nil, err
		}
		return object{"kind": "Status", "apiVersion": "v1", "metadata": object{}, "status": "Success", "details": object{
			"name": name, "group": c.kind.group, "kind": c.kind.plural, "uid": textAt(found, "metadata", "uid")}}, nil
	}
	return s.db.change(c.kind, namespace, name, func(o object) (object, error) {
		if textAt(o, "metadata", "deletionTimestamp") != "" {
			return nil, nil
		}
		putAt(o, stamp(time.Now()), "metadata", "deletionTimestamp")
		if c.kind.plural == "pods" {
			putAt(o, float64(30), "metadata", "deletionGracePeriodSeconds")
		}
		if c.kind.plural == "namespaces" {
			putAt(o, "Terminating", "status", "phase")
		}
		return o, nil
	})
}

func (s *apiServer) evict(c *call) error {
	pod, err := s.db.read(podResource, c.namespace, c.name)
	if err != nil {
		return err
	}
	budgets := mustResource("poddisruptionbudgets")
	for _, budget := range s.db.all(budgets, c.namespace) {
		if s.disruptionsAllowed(budget, pod) <= 0 {
			err := newError(429, "TooManyRequests", "Cannot evict pod as it would violate the pod's disruption budget.")
			err.details = object{"causes": []any{object{"reason": "DisruptionBudget", "message": fmt.Sprintf(
				"The disruption budget %s does not allow an eviction now", nameOf(budget))}}}
			return err
		}
	}
	deletion := &call{w: c.w, r: c.r, who: c.who, kind: podResource}
	if _, err := s.deleteOne(deletion, c.namespace, c.name, nil); err != nil {
		return err
	}
	writeJSON(c.w, 201, object{"kind": "Status", "apiVersion": "v1", "metadata": object{}, "status": "Success", "code": 201})
	return nil
}

// disruptionsAllowed counts the healthy pods of a budget over its minimum; 1 when the pod is not of this budget.
func (s *apiServer) disruptionsAllowed(budget, pod object) int {
	matches := func(p object) bool {
		for key, value := range mapAt(budget, "spec", "selector", "matchLabels") {
			if at(p, "metadata", "labels", key) != value {
				return false
			}
		}
		return true
	}
	if !matches(pod) {
		return 1
	}
	healthy, total := 0, 0
	for _, p := range s.db.all(podResource, textAt(budget, "metadata", "namespace")) {
		if matches(p) {
			total++
			if textAt(p, "status", "phase") == "Running" && textAt(p, "metadata", "deletionTimestamp") == "" {
				healthy++
			}
		}
	}
	if least, ok := at(budget, "spec", "minAvailable").(float64); ok {
		return healthy - int(least)
	}
	if most, ok := at(budget, "spec", "maxUnavailable").(float64); ok {
		return healthy - (total - int(most))
	}
	return 1
}

var (
	nameRule  = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)
	labelRule = regexp.MustCompile(`^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$`)
	keyRule   = regexp.MustCompile(`^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$`)
)

func validate(r resource, o object) error {
	invalid := func(format string, args ...any) error {
		err := newError(422, "Invalid", "%s.%s %q is invalid: %s", r.kind, r.group, nameOf(o), fmt.Sprintf(format, args...))
		err.message = strings.Replace(err.message, r.kind+". ", r.kind+" ", 1)
		err.details = object{"name": nameOf(o), "group": r.group, "kind": r.kind}
		return err
	}
	if nameOf(o) == "" {
		return invalid("metadata.name: Required value: name or generateName is required")
	}
	if !nameRule.MatchString(nameOf(o)) && r.group != "rbac.authorization.k8s.io" {
		return invalid("metadata.name: Invalid value: %q: a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, "+
			"'-' or '.', and must start and end with an alphanumeric character", nameOf(o))
	}
	for key, value := range mapAt(o, "metadata", "labels") {
		text, ok := value.(string)
		if !ok {
			return newError(400, "BadRequest", "json: cannot unmarshal into Go struct field ObjectMeta.metadata.labels of type string")
		}
		if !keyRule.MatchString(key) || !labelRule.MatchString(text) || len(text) > 63 {
			return invalid("metadata.labels: Invalid value: %q: a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', "+
				"and must start and end with an alphanumeric character", text)
		}
	}
	for key, value := range mapAt(o, "metadata", "annotations") {
		if _, ok := value.(string); !ok {
			return newError(400, "BadRequest", "json: cannot unmarshal into Go struct field ObjectMeta.metadata.annotations of type string")
		}
		if !keyRule.MatchString(key) {
			return invalid("metadata.annotations: Invalid value: %q: name part must consist of alphanumeric characters, '-', '_' or '.'", key)
		}
	}
	for _, taint := range listAt(o, "spec", "taints") {
		switch textAt(taint, "effect") {
		case "NoSchedule", "PreferNoSchedule", "NoExecute":
		default:
			return invalid("metadata.taints[0].effect: Unsupported value: %q: supported values: \"NoSchedule\", \"PreferNoSchedule\", \"NoExecute\"", textAt(taint, "effect"))
		}
	}
	return nil
}

func writeJSON(w http.ResponseWriter, code int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-cache, private")
	w.WriteHeader(code)
	json.NewEncoder(w).Encode(value)
}

func writeError(w http.ResponseWriter, err error) {
	var failure *apiError
	if !errors.As(err, &failure) {
		failure = newError(500, "InternalError", "Internal error occurred: %v", err)
	}
	status := object{"kind": "Status", "apiVersion": "v1", "metadata": object{}, "status": "Failure",
		"message": failure.message, "reason": failure.reason, "code": failure.code}
	if failure.details != nil {
		status["details"] = failure.details
	}
	writeJSON(w, failure.code, status)
}
