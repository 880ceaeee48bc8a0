// The three ways in which MicroK8s' commands read their words: argparse, click and getopt, with their own sentences.
package main

import (
	"fmt"
	"os"
	"regexp"
	"sort"
	"strings"
)

// option is one flag of a command. Long ones begin with two dashes.
type option struct {
	names   []string
	value   bool
	integer bool
	choices []string
}

type given struct {
	values map[string]string // by the first name
	words  []string
}

func (g *given) has(name string) bool { _, found := g.values[name]; return found }

// parseArgparse reads words as Python's argparse does; an error is the line behind the usage.
func parseArgparse(options []option, words []string) (*given, string) {
	found := &given{values: map[string]string{}}
	var extra []string
	for n := 0; n < len(words); n++ {
		word := words[n]
		if !strings.HasPrefix(word, "-") || word == "-" {
			extra = append(extra, word)
			continue
		}
		name, value, hasValue := strings.Cut(word, "=")
		if !strings.HasPrefix(word, "--") && len(word) > 2 {
			name, value, hasValue = word[:2], strings.TrimPrefix(word[2:], "="), true
		}
		matched, ambiguous := matchOption(options, name)
		switch {
		case ambiguous != "":
			return found, ambiguous
		case matched == nil:
			extra = append(extra, word)
			continue
		case !matched.value && hasValue:
			return found, fmt.Sprintf("argument %s: ignored explicit argument '%s'", strings.Join(matched.names, "/"), value)
		case matched.value && !hasValue && (n+1 >= len(words) || strings.HasPrefix(words[n+1], "-") && !isNegative(words[n+1])):
			return found, fmt.Sprintf("argument %s: expected one argument", strings.Join(matched.names, "/"))
		case matched.value && !hasValue:
			n++
			value = words[n]
		}
		if problem := checkValue(matched, value); problem != "" {
			return found, problem
		}
		found.values[matched.names[0]] = value
	}
	found.words = extra
	return found, ""
}

func isNegative(word string) bool { return regexp.MustCompile(`^-\d+$`).MatchString(word) }

// matchOption finds a flag by its name, or a long one by its beginning.
func matchOption(options []option, name string) (*option, string) {
	var found []*option
	var names []string
	for i := range options {
		for _, each := range options[i].names {
			if each == name {
				return &options[i], ""
			}
			if len(name) > 2 && strings.HasPrefix(name, "--") && strings.HasPrefix(each, name) {
				found, names = append(found, &options[i]), append(names, each)
			}
		}
	}
	switch len(found) {
	case 0:
		return nil, ""
	case 1:
		return found[0], ""
	}
	return nil, fmt.Sprintf("ambiguous option: %s could match %s", name, strings.Join(names, ", "))
}

func checkValue(o *option, value string) string {
	label := strings.Join(o.names, "/")
	if o.integer && !regexp.MustCompile(`^\s*[-+]?\d+(_\d+)*\s*$`).MatchString(value) {
		return fmt.Sprintf("argument %s: invalid int value: '%s'", label, value)
	}
	if len(o.choices) == 0 || !o.value {
		return ""
	}
	var quoted []string
	for _, choice := range o.choices {
		if choice == value {
			return ""
		}
		quoted = append(quoted, "'"+choice+"'")
	}
	return fmt.Sprintf("argument %s: invalid choice: '%s' (choose from %s)", label, value, strings.Join(quoted, ", "))
}

// refuseArgparse prints usage and error as argparse does.
func refuseArgparse(program, usage, problem string) int {
	fmt.Fprintf(os.Stderr, "usage: %s %s\n%s: error: %s\n", program, usage, program, problem)
	return 2
}

// clickCommand is how click reads a command.
type clickCommand struct {
	program       string
	usage         string // behind the program: "[OPTIONS] CONNECTION"
	help          string // the flag that "Try" names
	options       []option
	ignoreUnknown bool
	required      []string // names of positional words
	optional      int      // how many more words may follow; -1: any number
}

// parseClick gives what was read, or the exit code of a refusal.
func (c clickCommand) parse(words []string) (*given, int) {
	found := &given{values: map[string]string{}}
	for n := 0; n < len(words); n++ {
		word := words[n]
		if word == "--" {
			found.words = append(found.words, words[n+1:]...)
			break
		}
		if !strings.HasPrefix(word, "-") || word == "-" {
			found.words = append(found.words, word)
			continue
		}
		if c.help != "" && (word == "--help" || word == "-h" && c.help == "-h") {
			fmt.Printf("Usage: %s %s\n", c.program, c.usage)
			return nil, 0
		}
		name, value, hasValue := strings.Cut(word, "=")
		matched := exactOption(c.options, name)
		switch {
		case matched == nil && c.ignoreUnknown:
			found.words = append(found.words, word)
			continue
		case matched == nil:
			return nil, c.refuse("No such option: " + name + c.suggest(name))
		case matched.value && !hasValue && n+1 >= len(words):
			return nil, c.refuse(fmt.Sprintf("Option '%s' requires an argument.", name))
		case matched.value && !hasValue:
			n++
			value = words[n]
		case !matched.value && hasValue:
			return nil, c.refuse(fmt.Sprintf("Option '%s' does not take a value.", name))
		}
		if problem := clickChoice(matched, value); problem != "" {
			return nil, c.refuse(problem)
		}
		found.values[matched.names[0]] = value
	}
	return c.checkWords(found)
}

func exactOption(options []option, name string) *option {
	for i := range options {
		for _, each := range options[i].names {
			if each == name {
				return &options[i]
			}
		}
	}
	return nil
}

func (c clickCommand) suggest(name string) string {
	var near []string
	for _, o := range c.options {
		for _, each := range o.names {
			if len(name) > 4 && strings.HasPrefix(each, name[:len(name)-1]) {
				near = append(near, each)
			}
		}
	}
	sort.Strings(near)
	if len(near) == 1 {
		return " Did you mean " + near[0] + "?"
	}
	return ""
}

func clickChoice(o *option, value string) string {
	if len(o.choices) == 0 {
		return ""
	}
	var quoted []string
	for _, choice := range o.choices {
		if choice == value {
			return ""
		}
		quoted = append(quoted, "'"+choice+"'")
	}
	label := make([]string, len(o.names))
	for i, name := range o.names {
		label[i] = "'" + name + "'"
	}
	return fmt.Sprintf("Invalid value for %s: '%s' is not one of %s.", strings.Join(label, " / "), value, strings.Join(quoted, ", "))
}

func (c clickCommand) checkWords(found *given) (*given, int) {
	if len(found.words) < len(c.required) {
		return nil, c.refuse(fmt.Sprintf("Missing argument '%s'.", c.required[len(found.words)]))
	}
	extra := len(found.words) - len(c.required) - c.optional
	if c.optional < 0 || extra <= 0 {
		return found, -1
	}
	plural := ""
	if extra > 1 {
		plural = "s"
	}
	return nil, c.refuse(fmt.Sprintf("Got unexpected extra argument%s (%s)", plural, strings.Join(found.words[len(found.words)-extra:], " ")))
}

func (c clickCommand) refuse(problem string) int {
	fmt.Fprintf(os.Stderr, "Usage: %s %s\nTry '%s %s' for help.\n\nError: %s\n", c.program, c.usage, c.program, c.help, problem)
	return 2
}

// parseGetopt reads words as `getopt --name "$@" -- "$@"` does: with two words or more the first names the program.
func parseGetopt(verb string, words, long []string, short string) (flags []string, code int) {
	program := ""
	if len(words) > 0 {
		program = words[0]
	}
	read := words
	if len(words) > 1 {
		read = getoptRest(words)
	}
	for _, word := range read {
		switch {
		case word == "--":
			return flags, -1
		case strings.HasPrefix(word, "--"):
			name := strings.SplitN(word[2:], "=", 2)[0]
			matched := ""
			for _, each := range long {
				if strings.HasPrefix(strings.TrimSuffix(each, ":"), name) {
					matched = strings.TrimSuffix(each, ":")
				}
			}
			if matched == "" {
				fmt.Fprintf(os.Stderr, "%s: unrecognized option '%s'\n", program, word)
				return nil, 1
			}
			flags = append(flags, "--"+matched)
		case strings.HasPrefix(word, "-") && len(word) > 1:
			if !strings.Contains(short, word[1:2]) {
				fmt.Fprintf(os.Stderr, "%s: invalid option -- '%s'\n", program, word[1:2])
				return nil, 1
			}
			flags = append(flags, word[:2])
		}
	}
	return flags, -1
}

// getoptRest is what is left for getopt where `--name` took the first word.
func getoptRest(words []string) []string {
	doubled := append(append([]string{}, words[1:]...), "--")
	return append(doubled, words...)
}
