// A small kubectl.
package kube

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"
)

// DefaultKubeconfig is the file that the distribution's kubectl reads when nothing else is said.
var DefaultKubeconfig string

// RunKubectl runs one command line and reports its error on stderr.
func RunKubectl(args []string) error {
	k, err := newKubectl(args)
	if err == nil {
		err = k.run()
	}
	return k.report(err)
}

// kubectl is one command line: words, and the flags it knows.
type kubectl struct {
	words []string
	flags map[string][]string
	api   *KubeClient
}

var kubectlValueFlags = map[string]string{"-n": "namespace", "--namespace": "namespace", "-o": "output", "--output": "output", "-l": "selector", "--selector": "selector",
	"--field-selector": "field-selector", "-f": "filename", "--filename": "filename", "--raw": "raw", "--kubeconfig": "kubeconfig", "--timeout": "timeout",
	"--for": "for", "-p": "patch", "--patch": "patch", "--type": "type", "--grace-period": "grace-period", "-c": "container", "--request-timeout": "request-timeout",
	"--context": "context", "--from-literal": "from-literal", "--sort-by": "sort-by", "--chunk-size": "chunk-size", "--server": "server", "-s": "server", "--cascade": "cascade"}

var kubectlSwitches = map[string]string{"-A": "all-namespaces", "--all-namespaces": "all-namespaces", "--all": "all", "--force": "force", "--ignore-daemonsets": "ignore-daemonsets",
	"--delete-emptydir-data": "delete-emptydir-data", "--overwrite": "overwrite", "--ignore-not-found": "ignore-not-found", "--no-headers": "no-headers", "--wait": "wait",
	"--show-labels": "show-labels", "--show-kind": "show-kind", "--now": "now", "--client": "client", "--disable-eviction": "disable-eviction", "--server-side": "server-side", "--short": "short", "-w": "watch"}

func newKubectl(args []string) (*kubectl, error) {
	k := &kubectl{flags: map[string][]string{}}
	for i := 0; i < len(args); i++ {
		name, value, hasValue := strings.Cut(args[i], "=")
		switch flag, takesValue := kubectlValueFlags[name]; {
		case args[i] == "-" || !strings.HasPrefix(args[i], "-"):
			k.words = append(k.words, args[i])
		case takesValue && hasValue:
			k.flags[flag] = append(k.flags[flag], value)
		case takesValue && i+1 < len(args):
			i++
			k.flags[flag] = append(k.flags[flag], args[i])
		case kubectlSwitches[name] != "":
			if !hasValue {
				value = "true"
			}
			k.flags[kubectlSwitches[name]] = append(k.flags[kubectlSwitches[name]], value)
		case strings.HasPrefix(name, "-o") && len(name) > 2:
			k.flags["output"] = append(k.flags["output"], args[i][2:])
		case strings.HasPrefix(name, "-n") && len(name) > 2:
			k.flags["namespace"] = append(k.flags["namespace"], args[i][2:])
		default:
			return k, usageError("unknown flag: " + name)
		}
	}
	var err error
	k.api, err = k.connect()
	return k, err
}

type usageError string

func (e usageError) Error() string { return string(e) }

func (k *kubectl) flag(name string) string {
	if v := k.flags[name]; len(v) > 0 {
		return v[len(v)-1]
	}
	return ""
}

func (k *kubectl) connect() (*KubeClient, error) {
	path := k.flag("kubeconfig")
	if path == "" {
		path = os.Getenv("KUBECONFIG")
	}
	if path == "" && Exists(DefaultKubeconfig) {
		path = DefaultKubeconfig
	}
	if path == "" && Exists(filepath.Join(os.Getenv("HOME"), ".kube", "config")) {
		path = filepath.Join(os.Getenv("HOME"), ".kube", "config")
	}
	if path == "" {
		return NewKubeClient("http://localhost:8080", nil, nil), nil
	}
	client, err := LoadKubeconfig(path)
	if os.IsNotExist(err) {
		return nil, fmt.Errorf("stat %s: no such file or directory", path)
	}
	return client, err
}

// report prints an error as kubectl does, on stderr, and gives exit code 1.
func (k *kubectl) report(err error) error {
	var failure *APIError
	var usage usageError
	var urlError *url.Error
	errors.As(err, &urlError)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &usage):
		fmt.Fprintf(os.Stderr, "error: %v\nSee 'kubectl --help' for usage.\n", err)
	case errors.As(err, &failure) && failure.Code == 401:
		fmt.Fprintln(os.Stderr, "error: You must be logged in to the server (Unauthorized)")
	case errors.As(err, &failure):
		fmt.Fprintf(os.Stderr, "Error from server (%s): %s\n", failure.Reason, failure.Message)
	case errors.Is(err, syscall.ECONNREFUSED):
		for i := 0; i < 5 && k.flag("raw") == ""; i++ {
			now := time.Now()
			fmt.Fprintf(os.Stderr, "E%s %7d memcache.go:265] \"Unhandled Error\" err=\"couldn't get current server API group list: Get \\\"%s/api?timeout=32s\\\": %v\"\n",
				now.Format("0102 15:04:05.000000"), os.Getpid(), k.api.URL, urlError.Err)
		}
		host := strings.TrimPrefix(strings.TrimPrefix(k.api.URL, "https://"), "http://")
		fmt.Fprintf(os.Stderr, "The connection to the server %s was refused - did you specify the right host or port?\n", host)
	case urlError != nil:
		fmt.Fprintf(os.Stderr, "Unable to connect to the server: %v\n", urlError.Err)
	default:
		fmt.Fprintf(os.Stderr, "error: %v\n", err)
	}
	return ExitCode(1)
}

func (k *kubectl) run() error {
	if len(k.words) == 0 {
		fmt.Println("kubectl controls the Kubernetes cluster manager. (stand-in: get, delete, cordon, uncordon, drain, label, annotate, taint, patch, apply, create, wait, version)")
		return nil
	}
	verbs := map[string]func([]string) error{"get": k.get, "delete": k.delete, "cordon": k.cordon, "uncordon": k.cordon, "drain": k.drain, "label": k.mark,
		"annotate": k.mark, "taint": k.taint, "patch": k.patch, "apply": k.apply, "create": k.create, "wait": k.wait, "version": k.version, "cluster-info": k.clusterInfo,
		"describe": k.get, "config": func([]string) error { return nil }}
	verb, known := verbs[k.words[0]]
	if !known {
		return usageError(fmt.Sprintf("unknown command %q for \"kubectl\"", k.words[0]))
	}
	if k.flag("raw") == "" {
		k.cacheDiscovery()
	}
	return verb(k.words[1:])
}

// cacheDiscovery leaves the cache folder that kubectl leaves in the user's home.
func (k *kubectl) cacheDiscovery() {
	home, host := os.Getenv("HOME"), strings.NewReplacer(":", "_").Replace(k.api.URL[strings.Index(k.api.URL, "//")+2:])
	if home == "" {
		home = "/root"
	}
	if content, err := k.api.Do("GET", "/apis", "", nil); err == nil {
		dir := filepath.Join(home, ".kube", "cache", "discovery", host)
		if os.MkdirAll(dir, 0o750) == nil {
			os.WriteFile(filepath.Join(dir, "servergroups.json"), content, 0o660)
		}
	}
}

func (k *kubectl) namespace() string {
	if name := k.flag("namespace"); name != "" {
		return name
	}
	return "default"
}

func (k *kubectl) collection(r Resource, namespace string) string {
	path := "/api/v1"
	if r.Group != "" {
		path = "/apis/" + r.ApiVersion()
	}
	if r.Namespaced && namespace != "" {
		path += "/namespaces/" + namespace
	}
	return path + "/" + r.Plural
}

func (k *kubectl) item(r Resource, name string) string {
	return k.collection(r, k.namespace()) + "/" + name
}

// target is one "kind name" of the command line.
type target struct {
	kind Resource
	name string
}

// everyday is what "all" stands for.
const everyday = "pods,services,daemonsets,deployments,replicasets,statefulsets,cronjobs,jobs"

// targets reads "node h1 h2", "node/h1 pod/p", "nodes", "nodes,pods" or "all".
func (k *kubectl) targets(words []string) ([]target, error) {
	if len(words) == 0 {
		return nil, usageError("You must specify the type of resource to get.")
	}
	var list []target
	if strings.Contains(words[0], "/") {
		for _, word := range words {
			kind, name, _ := strings.Cut(word, "/")
			r, known := resourceNamed(kind)
			if !known {
				return nil, fmt.Errorf("the server doesn't have a resource type %q", kind)
			}
			list = append(list, target{r, name})
		}
		return list, nil
	}
	words[0] = strings.Join(strings.Split(","+words[0]+",", ",all,"), ","+everyday+",")
	for _, kind := range strings.Split(strings.Trim(words[0], ","), ",") {
		r, known := resourceNamed(kind)
		if !known {
			return nil, fmt.Errorf("the server doesn't have a resource type %q", kind)
		}
		if len(words) == 1 {
			list = append(list, target{r, ""})
		}
		for _, name := range words[1:] {
			list = append(list, target{r, name})
		}
	}
	return list, nil
}

func (k *kubectl) fetch(t target) ([]Object, error) {
	if t.name != "" {
		found, err := k.api.Get(k.item(t.kind, t.name))
		if IsNotFound(err) && k.flag("ignore-not-found") == "true" {
			return nil, nil
		}
		return []Object{found}, err
	}
	namespace := k.namespace()
	if k.flag("all-namespaces") == "true" {
		namespace = ""
	}
	query := url.Values{}
	if selector := k.flag("selector"); selector != "" {
		query.Set("labelSelector", selector)
	}
	if selector := k.flag("field-selector"); selector != "" {
		query.Set("fieldSelector", selector)
	}
	found, err := k.api.Get(k.collection(t.kind, namespace) + "?" + query.Encode())
	if err != nil {
		return nil, err
	}
	var items []Object
	for _, item := range ListAt(found, "items") {
		o := item.(Object)
		o["apiVersion"], o["kind"] = t.kind.ApiVersion(), t.kind.Kind
		items = append(items, o)
	}
	return items, nil
}

func (k *kubectl) get(words []string) error {
	if raw := k.flag("raw"); raw != "" {
		content, err := k.api.Do("GET", raw, "", nil)
		var failure *APIError
		if errors.As(err, &failure) && strings.HasPrefix(string(content), "[") { // failed health checks print their text
			err = NewError(failure.Code, "InternalError", "an error on the server (%q) has prevented the request from succeeding", strings.TrimSpace(string(content)))
		}
		if err == nil {
			os.Stdout.Write(content)
		}
		return err
	}
	targets, err := k.targets(words)
	if err != nil {
		return err
	}
	var items []Object
	for _, t := range targets {
		found, err := k.fetch(t)
		if err != nil {
			return err
		}
		items = append(items, found...)
	}
	return k.print(targets, items)
}

func (k *kubectl) print(targets []target, items []Object) error {
	single := len(targets) == 1 && targets[0].name != ""
	var whole any = Object{"apiVersion": "v1", "kind": "List", "items": AsAny(items), "metadata": Object{"resourceVersion": ""}}
	if single && len(items) == 1 {
		whole = items[0]
	}
	switch output := k.flag("output"); {
	case output == "json":
		fmt.Println(IndentJSON(whole))
	case output == "yaml":
		var text strings.Builder
		WriteYAML(&text, Clone(whole), "")
		fmt.Print(text.String())
	case output == "name":
		for _, o := range items {
			r, _ := resourceOfKind(TextAt(o, "apiVersion"), TextAt(o, "kind"))
			fmt.Printf("%s/%s\n", strings.TrimSuffix(strings.ToLower(r.Kind)+"."+r.Group, "."), NameOf(o))
		}
	case strings.HasPrefix(output, "jsonpath="):
		fmt.Print(jsonPath(whole, strings.TrimPrefix(output, "jsonpath=")))
	default:
		k.table(targets, items)
	}
	return nil
}

func AsAny(items []Object) []any {
	list := make([]any, len(items))
	for i := range items {
		list[i] = items[i]
	}
	return list
}

func (k *kubectl) table(targets []target, items []Object) {
	if len(items) == 0 {
		where := ""
		if targets[0].kind.Namespaced && k.flag("all-namespaces") != "true" {
			where = " in " + k.namespace() + " namespace"
		}
		fmt.Fprintf(os.Stderr, "No resources found%s\n", where)
		return
	}
	if len(targets) > 1 && targets[0].kind != targets[len(targets)-1].kind {
		k.tables(targets, items)
		return
	}
	k.rows(targets[0].kind, items, k.flag("show-kind") == "true")
}

// tables prints the items of each kind by themselves, and names them with their kind.
func (k *kubectl) tables(targets []target, items []Object) {
	printed := false
	for _, t := range targets {
		var same []Object
		for _, o := range items {
			if TextAt(o, "kind") == t.kind.Kind && TextAt(o, "apiVersion") == t.kind.ApiVersion() {
				same = append(same, o)
			}
		}
		if len(same) == 0 {
			continue
		}
		if printed && k.flag("no-headers") != "true" {
			fmt.Println()
		}
		printed = true
		k.rows(t.kind, same, true)
	}
}

func (k *kubectl) rows(kind Resource, items []Object, showKind bool) {
	w := tabwriter.NewWriter(os.Stdout, 6, 4, 3, ' ', 0)
	defer w.Flush()
	headers, row := columns(kind, k.flag("output") == "wide")
	spaced := kind.Namespaced && k.flag("all-namespaces") == "true"
	if spaced {
		headers = append([]string{"NAMESPACE"}, headers...)
	}
	if k.flag("no-headers") != "true" {
		fmt.Fprintln(w, strings.Join(headers, "\t"))
	}
	for _, o := range items {
		cells := row(o)
		if showKind {
			cells[0] = strings.TrimSuffix(strings.ToLower(kind.Kind)+"."+kind.Group, ".") + "/" + cells[0]
		}
		if spaced {
			cells = append([]string{TextAt(o, "metadata", "namespace")}, cells...)
		}
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
}

func columns(r Resource, wide bool) ([]string, func(Object) []string) {
	switch r.Plural {
	case "nodes":
		headers := []string{"NAME", "STATUS", "ROLES", "AGE", "VERSION"}
		if wide {
			headers = append(headers, "INTERNAL-IP", "EXTERNAL-IP", "OS-IMAGE", "KERNEL-VERSION", "CONTAINER-RUNTIME")
		}
		return headers, func(o Object) []string { return nodeRow(o, wide) }
	case "pods":
		return []string{"NAME", "READY", "STATUS", "RESTARTS", "AGE"}, podRow
	case "deployments":
		return []string{"NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"}, func(o Object) []string {
			count := func(field string) string { n, _ := At(o, "status", field).(float64); return fmt.Sprint(n) }
			return []string{NameOf(o), count("readyReplicas") + "/" + ToText(At(o, "spec", "replicas")), count("updatedReplicas"), count("availableReplicas"), age(o)}
		}
	case "namespaces":
		return []string{"NAME", "STATUS", "AGE"}, func(o Object) []string { return []string{NameOf(o), TextAt(o, "status", "phase"), age(o)} }
	case "secrets":
		return []string{"NAME", "TYPE", "DATA", "AGE"}, func(o Object) []string {
			return []string{NameOf(o), TextAt(o, "type"), fmt.Sprint(len(MapAt(o, "data"))), age(o)}
		}
	}
	return []string{"NAME", "AGE"}, func(o Object) []string { return []string{NameOf(o), age(o)} }
}

func nodeRow(o Object, wide bool) []string {
	status := map[string]string{"True": "Ready"}[TextAt(ConditionOf(o, "Ready"), "status")]
	if status == "" {
		status = "NotReady"
	}
	if At(o, "spec", "unschedulable") == true {
		status += ",SchedulingDisabled"
	}
	var roles []string
	for label := range MapAt(o, "metadata", "labels") {
		if role, ok := strings.CutPrefix(label, "node-role.kubernetes.io/"); ok && role != "" {
			roles = append(roles, role)
		}
	}
	sort.Strings(roles)
	if len(roles) == 0 {
		roles = []string{"<none>"}
	}
	row := []string{NameOf(o), status, strings.Join(roles, ","), age(o), TextAt(o, "status", "nodeInfo", "kubeletVersion")}
	if wide {
		address := map[string]string{"ExternalIP": "<none>"}
		for _, item := range ListAt(o, "status", "addresses") {
			address[TextAt(item, "type")] = TextAt(item, "address")
		}
		info := MapAt(o, "status", "nodeInfo")
		row = append(row, address["InternalIP"], address["ExternalIP"], TextAt(info, "osImage"), TextAt(info, "kernelVersion"), TextAt(info, "containerRuntimeVersion"))
	}
	return row
}

func podRow(o Object) []string {
	ready, total := 0, len(ListAt(o, "spec", "containers"))
	for _, status := range ListAt(o, "status", "containerStatuses") {
		if At(status, "ready") == true {
			ready++
		}
	}
	status := TextAt(o, "status", "phase")
	if status == "Succeeded" {
		status = "Completed"
	}
	if TextAt(o, "metadata", "deletionTimestamp") != "" {
		status = "Terminating"
	}
	return []string{NameOf(o), fmt.Sprintf("%d/%d", ready, total), status, "0", age(o)}
}

func age(o Object) string {
	created, err := time.Parse(time.RFC3339, TextAt(o, "metadata", "creationTimestamp"))
	if err != nil {
		return "<unknown>"
	}
	passed := time.Since(created)
	switch {
	case passed < 2*time.Minute:
		return fmt.Sprintf("%ds", int(passed.Seconds()))
	case passed < 10*time.Minute:
		return fmt.Sprintf("%dm%ds", int(passed.Minutes()), int(passed.Seconds())%60)
	case passed < 3*time.Hour:
		return fmt.Sprintf("%dm", int(passed.Minutes()))
	case passed < 48*time.Hour:
		return fmt.Sprintf("%dh", int(passed.Hours()))
	}
	return fmt.Sprintf("%dd", int(passed.Hours()/24))
}

// jsonPath understands {.a.b}, {.items[*].a}, ['key'] and {"\n"}; the results of one expression stand apart by a space.
func jsonPath(value any, template string) string {
	var out strings.Builder
	for template != "" {
		start := strings.IndexByte(template, '{')
		end := strings.IndexByte(template, '}')
		if start < 0 || end < start {
			out.WriteString(template)
			break
		}
		out.WriteString(template[:start])
		expression := template[start+1 : end]
		template = template[end+1:]
		if strings.HasPrefix(expression, `"`) {
			text, _ := strconv.Unquote(expression)
			out.WriteString(text)
			continue
		}
		var parts []string
		for _, found := range walkPath([]any{value}, expression) {
			if text, ok := found.(string); ok {
				parts = append(parts, text)
			} else {
				parts = append(parts, ToJSON(found))
			}
		}
		out.WriteString(strings.Join(parts, " "))
	}
	return out.String()
}

func walkPath(values []any, path string) []any {
	for path != "" {
		var step string
		if path[0] == '.' {
			path = path[1:]
			end := 0
			for end < len(path) && path[end] != '.' && path[end] != '[' {
				if path[end] == '\\' {
					end++
				}
				end++
			}
			step, path = strings.ReplaceAll(path[:end], `\`, ""), path[end:]
		} else {
			end := strings.IndexByte(path, ']')
			if end < 0 {
				return nil
			}
			step, path = strings.Trim(path[1:end], `'"`), path[end+1:]
		}
		var next []any
		for _, value := range values {
			next = append(next, stepInto(value, step)...)
		}
		values = next
	}
	return values
}

func stepInto(value any, step string) []any {
	if step == "" {
		return []any{value}
	}
	if list, ok := value.([]any); ok {
		if step == "*" {
			return list
		}
		if index, err := strconv.Atoi(step); err == nil && index < len(list) && index >= 0 {
			return []any{list[index]}
		}
		if kind, found := strings.CutPrefix(step, "?(@."); found {
			name, wanted, _ := strings.Cut(strings.TrimSuffix(kind, ")"), "==")
			var matched []any
			for _, item := range list {
				if TextAt(item, strings.TrimSpace(name)) == strings.Trim(strings.TrimSpace(wanted), `"'`) {
					matched = append(matched, item)
				}
			}
			return matched
		}
		return nil
	}
	if mapping, ok := value.(Object); ok && mapping[step] != nil {
		return []any{mapping[step]}
	}
	return nil
}

func (k *kubectl) delete(words []string) error {
	targets, err := k.targets(words)
	if err != nil {
		return err
	}
	for _, t := range targets {
		names := []string{t.name}
		if t.name == "" {
			if k.flag("all") != "true" && k.flag("selector") == "" {
				return usageError("resource(s) were provided, but no name was specified")
			}
			items, err := k.fetch(t)
			if err != nil {
				return err
			}
			names = nil
			for _, o := range items {
				names = append(names, NameOf(o))
			}
		}
		for _, name := range names {
			if err := k.deleteOne(t.kind, name); err != nil {
				return err
			}
		}
	}
	return nil
}

func (k *kubectl) deleteOne(r Resource, name string) error {
	var options Object
	if grace, err := strconv.Atoi(k.flag("grace-period")); err == nil {
		options = Object{"gracePeriodSeconds": grace}
	}
	_, err := k.api.Do("DELETE", k.item(r, name), "", options)
	if IsNotFound(err) && k.flag("ignore-not-found") == "true" {
		return nil
	}
	if err != nil {
		return err
	}
	fmt.Printf("%s %q deleted\n", strings.TrimSuffix(strings.ToLower(r.Kind)+"."+r.Group, "."), name)
	for k.flag("wait") != "false" {
		if _, err := k.api.Get(k.item(r, name)); err != nil {
			break
		}
		time.Sleep(200 * time.Millisecond)
	}
	return nil
}

func (k *kubectl) cordon(words []string) error {
	return k.setCordon(words, k.words[0] == "cordon")
}

func (k *kubectl) setCordon(names []string, on bool) error {
	word := map[bool]string{true: "cordoned", false: "uncordoned"}[on]
	for _, name := range names {
		name = strings.TrimPrefix(name, "node/")
		node, err := k.api.Get(k.item(NodeResource, name))
		if err != nil {
			return err
		}
		if (At(node, "spec", "unschedulable") == true) == on {
			fmt.Printf("node/%s already %s\n", name, word)
			continue
		}
		var value any
		if on {
			value = true
		}
		if err := k.api.Patch(k.item(NodeResource, name), strategicPatchType, Object{"spec": Object{"unschedulable": value}}); err != nil {
			return err
		}
		fmt.Printf("node/%s %s\n", name, word)
	}
	return nil
}

func (k *kubectl) drain(words []string) error {
	if err := k.setCordon(words, true); err != nil {
		return err
	}
	for _, name := range words {
		found, err := k.api.Get("/api/v1/pods?fieldSelector=spec.nodeName%3D" + name)
		if err != nil {
			return err
		}
		if err := k.checkDrain(name, ListAt(found, "items")); err != nil {
			return err
		}
		for _, item := range ListAt(found, "items") {
			pod := item.(Object)
			if ownedByDaemonSet(pod) {
				continue
			}
			namespace := TextAt(pod, "metadata", "namespace")
			fmt.Printf("evicting pod %s/%s\n", namespace, NameOf(pod))
			path := "/api/v1/namespaces/" + namespace + "/pods/" + NameOf(pod)
			for {
				_, err := k.api.Do("POST", path+"/eviction", "", Object{"apiVersion": "policy/v1", "kind": "Eviction", "metadata": Object{"name": NameOf(pod), "namespace": namespace}})
				var failure *APIError
				if err == nil || IsNotFound(err) {
					break
				} else if !errors.As(err, &failure) || failure.Code != 429 {
					return err
				}
				time.Sleep(5 * time.Second)
			}
		}
		fmt.Printf("node/%s drained\n", name)
	}
	return nil
}

// checkDrain refuses to evict pods that would be lost or lose data, unless flags allow it.
func (k *kubectl) checkDrain(node string, pods []any) error {
	var daemons, local []string
	for _, item := range pods {
		pod := item.(Object)
		name := TextAt(pod, "metadata", "namespace") + "/" + NameOf(pod)
		if ownedByDaemonSet(pod) && k.flag("ignore-daemonsets") != "true" {
			daemons = append(daemons, name)
		}
		for _, volume := range ListAt(pod, "spec", "volumes") {
			if MapAt(volume, "emptyDir") != nil && k.flag("delete-emptydir-data") != "true" && TextAt(pod, "status", "phase") != "Succeeded" {
				local = append(local, name)
			}
		}
	}
	var reasons []string
	if len(daemons) > 0 {
		reasons = append(reasons, "cannot delete DaemonSet-managed Pods (use --ignore-daemonsets to ignore): "+strings.Join(daemons, ", "))
	}
	if len(local) > 0 {
		reasons = append(reasons, "cannot delete Pods with local storage (use --delete-emptydir-data to override): "+strings.Join(local, ", "))
	}
	if reasons == nil {
		return nil
	}
	return fmt.Errorf("unable to drain node %q due to error: [%s], continuing command...\nThere are pending nodes to be drained:\n %s\n%s",
		node, strings.Join(reasons, ", "), node, strings.Join(reasons, "\n"))
}

// mark sets labels or annotations: key=value sets, key- removes.
func (k *kubectl) mark(words []string) error {
	if len(words) < 3 && !strings.Contains(words[0], "/") {
		return usageError("at least one label update is required")
	}
	field := map[string]string{"label": "labels", "annotate": "annotations"}[k.words[0]]
	names, changes := words[:2], Object{}
	if strings.Contains(words[0], "/") {
		names = words[:1]
	}
	for _, word := range words[len(names):] {
		if key, gone := strings.CutSuffix(word, "-"); gone {
			changes[key] = nil
			continue
		}
		key, value, _ := strings.Cut(word, "=")
		changes[key] = value
	}
	targets, err := k.targets(names)
	if err != nil {
		return err
	}
	for _, t := range targets {
		if err := k.api.Patch(k.item(t.kind, t.name), MergePatchType, Object{"metadata": Object{field: changes}}); err != nil {
			return err
		}
		fmt.Printf("%s/%s %s\n", strings.ToLower(t.kind.Kind), t.name, map[string]string{"labels": "labeled", "annotations": "annotated"}[field])
	}
	return nil
}

func (k *kubectl) taint(words []string) error {
	if len(words) < 3 {
		return usageError("at least one taint update is required")
	}
	path := k.item(NodeResource, words[1])
	node, err := k.api.Get(path)
	if err != nil {
		return err
	}
	taints := ListAt(node, "spec", "taints")
	for _, word := range words[2:] {
		text, gone := strings.CutSuffix(word, "-")
		wanted := parseTaint(text)
		kept := []any{}
		for _, taint := range taints {
			if TextAt(taint, "key") != TextAt(wanted, "key") || TextAt(wanted, "effect") != "" && TextAt(taint, "effect") != TextAt(wanted, "effect") {
				kept = append(kept, taint)
			}
		}
		if taints = kept; !gone {
			taints = append(taints, wanted)
		}
	}
	if err := k.api.Patch(path, MergePatchType, Object{"spec": Object{"taints": taints}}); err != nil {
		return err
	}
	fmt.Printf("node/%s modified\n", words[1])
	return nil
}

func (k *kubectl) patch(words []string) error {
	targets, err := k.targets(words)
	if err != nil {
		return err
	}
	style := map[string]string{"merge": MergePatchType, "json": "application/json-patch+json"}[k.flag("type")]
	if style == "" {
		style = strategicPatchType
	}
	document, err := ParseYAML(k.flag("patch"))
	if err != nil {
		return err
	}
	for _, t := range targets {
		if err := k.api.Patch(k.item(t.kind, t.name), style, Plain(document)); err != nil {
			return err
		}
		fmt.Printf("%s/%s patched\n", strings.ToLower(t.kind.Kind), t.name)
	}
	return nil
}

func (k *kubectl) documents() ([]any, error) {
	var all []any
	for _, file := range k.flags["filename"] {
		content, err := os.ReadFile(file)
		if file == "-" {
			content, err = io.ReadAll(os.Stdin)
		}
		if err != nil {
			return nil, err
		}
		documents, err := parseYAMLDocuments(string(content))
		if err != nil {
			return nil, fmt.Errorf("error parsing %s: error converting YAML to JSON: %w", file, err)
		}
		all = append(all, documents...)
	}
	return all, nil
}

func (k *kubectl) apply(words []string) error {
	documents, err := k.documents()
	if err != nil {
		return err
	}
	for _, document := range documents {
		o, _ := document.(Object)
		r, known := resourceOfKind(TextAt(o, "apiVersion"), TextAt(o, "kind"))
		if !known {
			return fmt.Errorf("resource mapping not found for name: %q: no matches for kind %q in version %q", NameOf(o), TextAt(o, "kind"), TextAt(o, "apiVersion"))
		}
		namespace := TextAt(o, "metadata", "namespace")
		if namespace == "" {
			namespace = k.namespace()
		}
		word := "created"
		_, err := k.api.Do("POST", k.collection(r, namespace), "", o)
		if IsConflict(err) {
			word = "configured"
			err = k.api.Patch(k.collection(r, namespace)+"/"+NameOf(o), MergePatchType, o)
		}
		if err != nil {
			return err
		}
		fmt.Printf("%s/%s %s\n", strings.TrimSuffix(strings.ToLower(r.Kind)+"."+r.Group, "."), NameOf(o), word)
	}
	return nil
}

func (k *kubectl) create(words []string) error {
	if len(k.flags["filename"]) > 0 {
		return k.apply(nil)
	}
	if len(words) < 2 {
		return usageError("must specify one of -f and -k")
	}
	r, known := resourceNamed(words[0])
	if !known {
		return usageError("unknown command " + words[0])
	}
	o := Object{"apiVersion": r.ApiVersion(), "kind": r.Kind, "metadata": Object{"name": words[len(words)-1]}}
	field := map[string]string{"configmaps": "data", "secrets": "stringData"}[r.Plural]
	for _, literal := range k.flags["from-literal"] {
		key, value, _ := strings.Cut(literal, "=")
		PutAt(o, value, field, key)
	}
	if _, err := k.api.Do("POST", k.collection(r, k.namespace()), "", o); err != nil {
		return err
	}
	fmt.Printf("%s/%s created\n", strings.ToLower(r.Kind), NameOf(o))
	return nil
}

func (k *kubectl) wait(words []string) error {
	limit, err := time.ParseDuration(k.flag("timeout"))
	if err != nil {
		limit = 30 * time.Second
	}
	kind, _, _ := strings.Cut(strings.TrimPrefix(k.flag("for"), "condition="), "=")
	gone := k.flag("for") == "delete"
	targets, err := k.targets(words)
	if err != nil {
		return err
	}
	deadline := time.Now().Add(limit)
	for _, t := range targets {
		for {
			items, err := k.fetch(t)
			met := len(items) > 0 && err == nil
			for _, o := range items {
				met = met && TextAt(ConditionOf(o, kind), "status") == "True"
			}
			if met && !gone || gone && IsNotFound(err) {
				for _, o := range items {
					fmt.Printf("%s/%s condition met\n", strings.ToLower(t.kind.Kind), NameOf(o))
				}
				break
			}
			if time.Now().After(deadline) {
				return fmt.Errorf("timed out waiting for the condition on %s/%s", t.kind.Plural, t.name)
			}
			time.Sleep(300 * time.Millisecond)
		}
	}
	return nil
}

func (k *kubectl) version([]string) error {
	plainVersion := Version
	if k.flag("output") == "json" {
		answer := Object{"clientVersion": versionInfo()}
		if found, err := k.api.Get("/version"); err == nil {
			answer["serverVersion"] = found
		}
		fmt.Println(IndentJSON(answer))
		return nil
	}
	fmt.Printf("Client Version: %s\nKustomize Version: v5.7.1\n", plainVersion)
	if k.flag("client") == "true" {
		return nil
	}
	found, err := k.api.Get("/version")
	if err == nil {
		fmt.Printf("Server Version: %s\n", TextAt(found, "gitVersion"))
	}
	return err
}

func (k *kubectl) clusterInfo([]string) error {
	if _, err := k.api.Get("/api/v1/namespaces/kube-system"); err != nil {
		return err
	}
	fmt.Printf("Kubernetes control plane is running at %s\n", k.api.URL)
	return nil
}

// ExitCode is an error that has been reported already.
type ExitCode int

func (e ExitCode) Error() string { return fmt.Sprintf("exit code %d", int(e)) }
