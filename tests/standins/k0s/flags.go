// Flags in the manner of pflag: which there are for each command, and how they are read and written again.
package main

import (
	"errors"
	"fmt"
	"os"
	"sort"
	"strconv"
	"strings"
	"time"

	"standin/kube"
)

type flagKind int

const (
	textFlag flagKind = iota
	switchFlag
	listFlag   // stringSlice: commas separate
	repeatFlag // stringArray: each use is one value
	mapFlag    // key=value, commas separate
	timeFlag
	numberFlag
)

type flagSpec struct {
	name, short string
	kind        flagKind
	fallback    string
	required    bool
}

// flags reads lines "name[,short] kind [=default] [required]".
func flags(table string) []flagSpec {
	kinds := map[string]flagKind{"text": textFlag, "switch": switchFlag, "list": listFlag, "repeat": repeatFlag, "map": mapFlag, "time": timeFlag, "number": numberFlag}
	var specs []flagSpec
	for _, line := range strings.Split(strings.TrimSpace(table), "\n") {
		words := strings.Fields(line)
		name, short, _ := strings.Cut(words[0], ",")
		spec := flagSpec{name: name, short: short, kind: kinds[words[1]]}
		for _, word := range words[2:] {
			if value, ok := strings.CutPrefix(word, "="); ok {
				spec.fallback = value
			}
			spec.required = spec.required || word == "required"
		}
		specs = append(specs, spec)
	}
	return specs
}

func join(sets ...[]flagSpec) []flagSpec {
	var all []flagSpec
	for _, set := range sets {
		all = append(all, set...)
	}
	return all
}

var (
	debugFlags  = flags("verbose,v switch\ndebug,d switch\ndebugListenOn text =:6060")
	dataFlags   = flags("data-dir text =/var/lib/k0s\nstatus-socket text")
	configFlags = flags("config,c text")
	resetFlags  = flags("cri-socket text\nkubelet-root-dir text")

	workerFlagSet = join(dataFlags, flags(`
cidr-range text
kubelet-root-dir text
profile text =default
enable-cloud-provider switch
token-file text
logging,l map
labels map
taints list
kubelet-extra-args text
iptables-mode text
ignore-pre-flight-checks switch
cri-socket text`))
	controllerFlagSet = join(workerFlagSet, configFlags, flags(`
enable-worker switch
disable-components list
single switch
no-taints switch
enable-k0s-cloud-provider switch
k0s-cloud-provider-update-frequency time =2m0s
k0s-cloud-provider-port number =10258
enable-dynamic-config switch
enable-metrics-scraper switch
kube-controller-manager-extra-args text
init-only switch
feature-gates map
api-server-stop-timeout time`))
	installFlagSet = flags("force switch\nenv,e repeat\nstart switch")
)

// invocation is a parsed command line.
type invocation struct {
	specs  map[string]flagSpec
	values map[string][]string
	words  []string
}

func (i *invocation) isSet(name string) bool { _, set := i.values[name]; return set }

func (i *invocation) text(name string) string {
	if given := i.values[name]; len(given) > 0 {
		return given[len(given)-1]
	}
	return i.specs[name].fallback
}

func (i *invocation) enabled(name string) bool { on, _ := strconv.ParseBool(i.text(name)); return on }

// list splits the values of a flag that takes several.
func (i *invocation) list(name string) []string {
	if i.specs[name].kind == repeatFlag {
		return i.values[name]
	}
	var items []string
	for _, value := range i.values[name] {
		for _, item := range strings.Split(value, ",") {
			if item != "" {
				items = append(items, item)
			}
		}
	}
	return items
}

func (i *invocation) setUpLogs(longRun bool) {
	if longRun {
		kube.LogOutput = os.Stdout
	}
	if longRun || i.enabled("verbose") || i.enabled("debug") {
		kube.LogLevel = "info"
	}
}

// firstWord finds the first word that is neither a flag nor the value of one.
func firstWord(words []string, specs []flagSpec) int {
	for index := 0; index < len(words); index++ {
		if !strings.HasPrefix(words[index], "-") || words[index] == "-" {
			return index
		}
		if spec, known := specOf(specs, words[index]); known && spec.kind != switchFlag && !strings.Contains(words[index], "=") && len(strings.TrimLeft(words[index], "-")) > 0 {
			index++
		}
	}
	return -1
}

func specOf(specs []flagSpec, word string) (flagSpec, bool) {
	name, _, _ := strings.Cut(word, "=")
	for _, spec := range specs {
		if name == "--"+spec.name || spec.short != "" && name == "-"+spec.short {
			return spec, true
		}
	}
	return flagSpec{}, false
}

func parseFlags(specs []flagSpec, words []string) (*invocation, error) {
	result := &invocation{specs: map[string]flagSpec{}, values: map[string][]string{}}
	for _, spec := range specs {
		result.specs[spec.name] = spec
	}
	for index := 0; index < len(words); index++ {
		word := words[index]
		if word == "--help" || word == "-h" {
			return nil, errHelp
		}
		if word == "--" {
			result.words = append(result.words, words[index+1:]...)
			break
		}
		if !strings.HasPrefix(word, "-") || word == "-" {
			result.words = append(result.words, word)
			continue
		}
		spec, value, hasValue, err := splitFlag(specs, word)
		if err != nil {
			return nil, err
		}
		switch {
		case hasValue:
		case spec.kind == switchFlag:
			value = "true"
		case index+1 < len(words):
			index++
			value = words[index]
		case strings.HasPrefix(word, "--"):
			return nil, errors.New("flag needs an argument: " + word)
		default:
			return nil, fmt.Errorf("flag needs an argument: '%s' in %s", spec.short, word)
		}
		if err := checkValue(spec, value); err != nil {
			return nil, err
		}
		result.values[spec.name] = append(result.values[spec.name], value)
	}
	return result, nil
}

func splitFlag(specs []flagSpec, word string) (flagSpec, string, bool, error) {
	name, value, hasValue := strings.Cut(word, "=")
	if spec, known := specOf(specs, word); known {
		return spec, value, hasValue, nil
	}
	if strings.HasPrefix(word, "--") {
		return flagSpec{}, "", false, errors.New("unknown flag: " + name)
	}
	for _, spec := range specs { // -cFILE
		if spec.short != "" && strings.HasPrefix(word, "-"+spec.short) && spec.kind != switchFlag {
			return spec, word[2:], true, nil
		}
	}
	return flagSpec{}, "", false, fmt.Errorf("unknown shorthand flag: '%s' in %s", word[1:2], word)
}

func checkValue(spec flagSpec, value string) error {
	var err error
	switch spec.kind {
	case switchFlag:
		if _, err = strconv.ParseBool(value); err != nil {
			err = fmt.Errorf("strconv.ParseBool: parsing %q: invalid syntax", value)
		}
	case numberFlag:
		if _, err = strconv.ParseInt(value, 0, 64); err != nil {
			err = fmt.Errorf("strconv.ParseInt: parsing %q: invalid syntax", value)
		}
	case timeFlag:
		_, err = time.ParseDuration(value)
	case mapFlag:
		for _, pair := range strings.Split(strings.Trim(value, "[]"), ",") {
			if pair != "" && !strings.Contains(pair, "=") {
				err = fmt.Errorf("malformed pair, expect string=string")
			}
		}
	}
	if err == nil {
		return nil
	}
	name := "--" + spec.name
	if spec.short != "" {
		name = "-" + spec.short + ", " + name
	}
	return fmt.Errorf("invalid argument %q for %q flag: %w", value, name, err)
}

// argumentRule tells how many words a command takes besides its flags; the zero value is none.
type argumentRule struct{ least, most int }

func atMost(n int) argumentRule  { return argumentRule{0, n} }
func exactly(n int) argumentRule { return argumentRule{n, n} }
func atLeast(n int) argumentRule { return argumentRule{n, 1 << 20} }

func checkArguments(c *command, given *invocation, path string) error {
	count, rule := len(given.words), c.arguments
	switch {
	case rule.most == 0 && count > 0:
		return unknownCommand(given.words[0], path)
	case rule.least == rule.most && count != rule.least:
		return fmt.Errorf("accepts %d arg(s), received %d", rule.least, count)
	case count < rule.least:
		return fmt.Errorf("requires at least %d arg(s), only received %d", rule.least, count)
	case count > rule.most:
		return fmt.Errorf("accepts at most %d arg(s), received %d", rule.most, count)
	}
	var missing []string
	for _, name := range kube.SortedKeys(given.specs) {
		if given.specs[name].required && !given.isSet(name) {
			missing = append(missing, fmt.Sprintf("%q", name))
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("required flag(s) %s not set", strings.Join(missing, ", "))
	}
	return nil
}

// asWritten gives the flags that were given as the unit has them: sorted by name, always --name=value.
func (i *invocation) asWritten(absolute func(string) string) []string {
	var written []string
	for _, name := range kube.SortedKeys(i.values) {
		value := i.text(name)
		switch spec := i.specs[name]; {
		case name == "env" || name == "force" || name == "start":
			continue
		case name == "data-dir" || name == "kubelet-root-dir" || name == "token-file" || name == "config":
			value = absolute(value)
		case spec.kind == switchFlag:
			on, _ := strconv.ParseBool(value)
			value = strconv.FormatBool(on)
		case spec.kind == timeFlag:
			period, _ := time.ParseDuration(value)
			value = period.String()
		case name == "logging":
			value = loggingLevels(i.list(name))
		case spec.kind == mapFlag:
			pairs := i.list(name)
			sort.Strings(pairs)
			value = strings.Join(pairs, ",")
		case spec.kind == listFlag:
			value = strings.Join(i.list(name), ",")
		}
		written = append(written, "--"+name+"="+value)
	}
	return written
}

// loggingLevels names the levels of all components, given or not.
func loggingLevels(given []string) string {
	levels := map[string]string{"containerd": "info", "etcd": "info", "konnectivity-server": "1", "kube-apiserver": "1", "kube-controller-manager": "1",
		"kube-scheduler": "1", "kubelet": "1"}
	for _, pair := range given {
		name, level, _ := strings.Cut(strings.Trim(pair, "[]"), "=")
		levels[name] = level
	}
	var pairs []string
	for _, name := range kube.SortedKeys(levels) {
		pairs = append(pairs, name+"="+levels[name])
	}
	return strings.Join(pairs, ",")
}
