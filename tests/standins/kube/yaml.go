// A reader for the part of YAML that configuration files and manifests use, with YAML 1.1 scalars as the real program
// reads them (yes and on are booleans, 0600 is octal, 1.30 is a number).
package kube

import (
	"fmt"
	"math"
	"regexp"
	"sort"
	"strconv"
	"strings"
)

// YamlMap keeps the order of its keys; duplicate keys keep the last value.
type YamlMap struct {
	Keys     []string
	Repeated []string // keys that were set twice, for readers that refuse them
	Values   map[string]any
}

func NewYAMLMap() *YamlMap { return &YamlMap{Values: map[string]any{}} }

func (m *YamlMap) Set(key string, value any) {
	if _, seen := m.Values[key]; !seen {
		m.Keys = append(m.Keys, key)
	} else {
		m.Repeated = append(m.Repeated, key)
	}
	m.Values[key] = value
}

type yamlError struct {
	line int
	text string
}

func (e yamlError) Error() string { return fmt.Sprintf("yaml: line %d: %s", e.line, e.text) }

type yamlLine struct {
	number, indent int
	text           string // without indent and comment; raw keeps the source line
	raw            string
}

type yamlParser struct {
	lines []yamlLine
	raw   []string
	pos   int
}

// ParseYAML reads one document. The result holds *yamlMap, []any, string, bool, int64, float64 and nil.
func ParseYAML(text string) (value any, err error) {
	defer func() {
		if r := recover(); r != nil {
			failure, ok := r.(yamlError)
			if !ok {
				panic(r)
			}
			value, err = nil, failure
		}
	}()
	p := &yamlParser{raw: strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")}
	p.scan()
	if len(p.lines) == 0 {
		return nil, nil
	}
	value = p.block(p.lines[0].indent)
	if p.pos < len(p.lines) {
		p.fail(p.lines[p.pos].number, "did not find expected key")
	}
	return value, nil
}

// parseYAMLDocuments splits at --- lines and leaves out empty documents.
func parseYAMLDocuments(text string) ([]any, error) {
	var documents []any
	for _, part := range regexp.MustCompile(`(?m)^---.*$`).Split(text, -1) {
		value, err := ParseYAML(part)
		if err != nil {
			return nil, err
		}
		if value != nil {
			documents = append(documents, Plain(value))
		}
	}
	return documents, nil
}

func (p *yamlParser) fail(line int, format string, args ...any) {
	panic(yamlError{line, fmt.Sprintf(format, args...)})
}

func (p *yamlParser) scan() {
	for i, raw := range p.raw {
		trimmed := strings.TrimLeft(raw, " ")
		if strings.HasPrefix(trimmed, "#") || strings.TrimSpace(trimmed) == "" || trimmed == "..." {
			continue
		}
		if strings.HasPrefix(raw, "---") || strings.HasPrefix(raw, "%") {
			continue
		}
		if strings.HasPrefix(trimmed, "\t") {
			p.lines = append(p.lines, yamlLine{i + 1, -1, trimmed, raw})
			continue
		}
		p.lines = append(p.lines, yamlLine{i + 1, len(raw) - len(trimmed), stripComment(trimmed), raw})
	}
}

func stripComment(text string) string {
	quote := byte(0)
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quote != 0:
			if c == '\\' && quote == '"' {
				i++
			} else if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			if i == 0 || strings.IndexByte(" [{,:-", text[i-1]) >= 0 {
				quote = c
			}
		case c == '#' && i > 0 && (text[i-1] == ' ' || text[i-1] == '\t'):
			return strings.TrimRight(text[:i], " \t")
		}
	}
	return strings.TrimRight(text, " \t")
}

func (p *yamlParser) block(indent int) any {
	line := p.lines[p.pos]
	if line.indent < 0 {
		p.fail(line.number, "found character that cannot start any token")
	}
	if line.text == "-" || strings.HasPrefix(line.text, "- ") {
		return p.sequence(indent)
	}
	if _, _, isKey := splitKey(line.text); isKey {
		return p.mapping(indent)
	}
	p.pos++
	text := line.text
	for p.pos < len(p.lines) && !flowClosed(text) {
		text += " " + p.lines[p.pos].text
		p.pos++
	}
	return p.inline(text, line.number)
}

func (p *yamlParser) sequence(indent int) any {
	items := []any{}
	for p.pos < len(p.lines) {
		line := p.lines[p.pos]
		if line.indent != indent || !(line.text == "-" || strings.HasPrefix(line.text, "- ")) {
			break
		}
		rest := strings.TrimLeft(strings.TrimPrefix(line.text, "-"), " ")
		if rest == "" {
			p.pos++
			items = append(items, p.nested(indent, false))
			continue
		}
		if _, _, isKey := splitKey(rest); isKey && rest[0] != '"' && rest[0] != '{' && rest[0] != '[' || strings.HasPrefix(rest, "- ") {
			inner := indent + len(line.text) - len(rest)
			p.lines[p.pos] = yamlLine{line.number, inner, rest, line.raw}
			items = append(items, p.block(inner))
			continue
		}
		p.pos++
		items = append(items, p.scalarOrBlock(rest, indent, line.number))
	}
	if p.pos < len(p.lines) && p.lines[p.pos].indent > indent {
		p.fail(p.lines[p.pos].number, "did not find expected '-' indicator")
	}
	return items
}

func (p *yamlParser) mapping(indent int) any {
	result := NewYAMLMap()
	for p.pos < len(p.lines) {
		line := p.lines[p.pos]
		if line.indent < 0 {
			p.fail(line.number, "found character that cannot start any token")
		}
		if line.indent < indent {
			break
		}
		if line.indent > indent {
			p.fail(line.number, "did not find expected key")
		}
		key, rest, isKey := splitKey(line.text)
		if !isKey {
			if strings.HasPrefix(line.text, "- ") || line.text == "-" {
				break
			}
			p.fail(line.number+1, "could not find expected ':'")
		}
		p.pos++
		name := ToText(p.inline(key, line.number))
		if rest == "" {
			result.Set(name, p.nested(indent, true))
			continue
		}
		result.Set(name, p.scalarOrBlock(rest, indent, line.number))
	}
	return result
}

// nested reads what stands below a line that ended with ':' or '-'. A list may start at its key's own indent.
func (p *yamlParser) nested(indent int, underKey bool) any {
	if p.pos >= len(p.lines) {
		return nil
	}
	next := p.lines[p.pos]
	if next.indent < 0 {
		p.fail(next.number, "found character that cannot start any token")
	}
	list := next.text == "-" || strings.HasPrefix(next.text, "- ")
	if next.indent > indent || underKey && next.indent == indent && list {
		return p.block(next.indent)
	}
	return nil
}

func (p *yamlParser) scalarOrBlock(text string, indent, number int) any {
	if text[0] == '|' || text[0] == '>' {
		return p.blockScalar(text, indent, number)
	}
	if text[0] == '[' || text[0] == '{' || text[0] == '"' || text[0] == '\'' {
		for p.pos < len(p.lines) && !flowClosed(text) {
			text += " " + p.lines[p.pos].text
			p.pos++
		}
		return p.inline(text, number)
	}
	for p.pos < len(p.lines) && p.lines[p.pos].indent > indent { // a plain scalar may go on over lines
		line := p.lines[p.pos]
		if _, _, isKey := splitKey(line.text); isKey {
			p.fail(line.number, "mapping values are not allowed in this context")
		}
		text += " " + line.text
		p.pos++
	}
	return p.inline(text, number)
}

func (p *yamlParser) blockScalar(header string, indent, number int) any {
	var lines []string
	own := -1
	end := number
	for i := number; i < len(p.raw); i++ {
		raw := p.raw[i]
		depth := len(raw) - len(strings.TrimLeft(raw, " "))
		if strings.TrimSpace(raw) == "" {
			lines = append(lines, "")
			end = i + 1
			continue
		}
		if depth <= indent {
			break
		}
		if own < 0 {
			own = depth
		}
		if depth < own {
			break
		}
		lines = append(lines, raw[own:])
		end = i + 1
	}
	for p.pos < len(p.lines) && p.lines[p.pos].number <= end {
		p.pos++
	}
	for len(lines) > 0 && lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	joiner := "\n"
	if header[0] == '>' {
		joiner = " "
	}
	text := strings.Join(lines, joiner)
	if !strings.Contains(header, "-") && text != "" {
		text += "\n"
	}
	return text
}

// splitKey finds the ": " that ends a key, outside of quotes and brackets.
func splitKey(text string) (key, rest string, ok bool) {
	quote := byte(0)
	depth := 0
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case quote != 0:
			if c == '\\' && quote == '"' {
				i++
			} else if c == quote {
				quote = 0
			}
		case (c == '"' || c == '\'') && i == 0:
			quote = c
		case c == '[' || c == '{':
			if i == 0 {
				depth++
			}
		case c == ']' || c == '}':
			if depth > 0 {
				depth--
			}
		case c == ':' && depth == 0 && (i+1 == len(text) || text[i+1] == ' ' || text[i+1] == '\t'):
			return text[:i], strings.TrimSpace(text[i+1:]), true
		}
	}
	return "", "", false
}

func flowClosed(text string) bool {
	if text == "" {
		return true
	}
	quote := byte(0)
	depth := 0
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case quote != 0:
			if c == '\\' && quote == '"' {
				i++
			} else if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			if i == 0 || strings.IndexByte(" [{,:", text[i-1]) >= 0 {
				quote = c
			}
		case (c == '[' || c == '{') && (text[0] == '[' || text[0] == '{'):
			depth++
		case (c == ']' || c == '}') && depth > 0:
			depth--
		}
	}
	return quote == 0 && depth == 0
}

// inline reads a scalar or a flow collection that stands on one line.
func (p *yamlParser) inline(text string, number int) any {
	flow := &yamlFlow{text: strings.TrimSpace(text), line: number, parser: p}
	if flow.text == "" {
		return nil
	}
	if flow.text[0] != '[' && flow.text[0] != '{' && flow.text[0] != '"' && flow.text[0] != '\'' {
		return flow.plain(flow.text)
	}
	value := flow.value()
	if strings.TrimSpace(flow.text[flow.pos:]) != "" {
		p.fail(number, "did not find expected key")
	}
	return value
}

type yamlFlow struct {
	text      string
	pos, line int
	parser    *yamlParser
}

func (f *yamlFlow) skip() {
	for f.pos < len(f.text) && (f.text[f.pos] == ' ' || f.text[f.pos] == '\t') {
		f.pos++
	}
}

func (f *yamlFlow) value() any {
	f.skip()
	if f.pos >= len(f.text) {
		f.parser.fail(f.line, "did not find expected node content")
	}
	switch f.text[f.pos] {
	case '[':
		return f.list()
	case '{':
		return f.object()
	case '"', '\'':
		return f.quoted()
	}
	start := f.pos
	for f.pos < len(f.text) && strings.IndexByte(",]}", f.text[f.pos]) < 0 {
		if f.text[f.pos] == ':' && (f.pos+1 == len(f.text) || f.text[f.pos+1] == ' ') {
			break
		}
		f.pos++
	}
	return f.plain(strings.TrimSpace(f.text[start:f.pos]))
}

func (f *yamlFlow) list() any {
	items := []any{}
	f.pos++
	for {
		f.skip()
		if f.pos >= len(f.text) {
			f.parser.fail(f.line, "did not find expected ',' or ']'")
		}
		if f.text[f.pos] == ']' {
			f.pos++
			return items
		}
		items = append(items, f.value())
		f.separator(']')
	}
}

func (f *yamlFlow) object() any {
	result := NewYAMLMap()
	f.pos++
	for {
		f.skip()
		if f.pos >= len(f.text) {
			f.parser.fail(f.line, "did not find expected ',' or '}'")
		}
		if f.text[f.pos] == '}' {
			f.pos++
			return result
		}
		key := ToText(f.value())
		f.skip()
		var value any
		if f.pos < len(f.text) && f.text[f.pos] == ':' {
			f.pos++
			value = f.value()
		}
		result.Set(key, value)
		f.separator('}')
	}
}

func (f *yamlFlow) separator(closing byte) {
	f.skip()
	if f.pos < len(f.text) && f.text[f.pos] == ',' {
		f.pos++
		return
	}
	if f.pos >= len(f.text) || f.text[f.pos] != closing {
		f.parser.fail(f.line, "did not find expected ',' or '%c'", closing)
	}
}

func (f *yamlFlow) quoted() any {
	quote := f.text[f.pos]
	var out strings.Builder
	for f.pos++; f.pos < len(f.text); f.pos++ {
		c := f.text[f.pos]
		switch {
		case c == quote && quote == '\'' && f.pos+1 < len(f.text) && f.text[f.pos+1] == '\'':
			out.WriteByte('\'')
			f.pos++
		case c == quote:
			f.pos++
			return out.String()
		case c == '\\' && quote == '"' && f.pos+1 < len(f.text):
			f.pos++
			out.WriteString(f.escape())
		default:
			out.WriteByte(c)
		}
	}
	f.parser.fail(f.line, "found unexpected end of stream")
	return nil
}

func (f *yamlFlow) escape() string {
	c := f.text[f.pos]
	width := map[byte]int{'x': 2, 'u': 4, 'U': 8}[c]
	if width > 0 && f.pos+width < len(f.text) {
		number, _ := strconv.ParseInt(f.text[f.pos+1:f.pos+1+width], 16, 32)
		f.pos += width
		return string(rune(number))
	}
	if plain, ok := map[byte]string{'n': "\n", 't': "\t", 'r': "\r", '0': "\x00", '"': `"`, '\\': `\`, '/': "/", ' ': " "}[c]; ok {
		return plain
	}
	f.parser.fail(f.line, "found unknown escape character")
	return ""
}

var (
	yamlTrue   = regexp.MustCompile(`^(y|Y|yes|Yes|YES|true|True|TRUE|on|On|ON)$`)
	yamlFalse  = regexp.MustCompile(`^(n|N|no|No|NO|false|False|FALSE|off|Off|OFF)$`)
	yamlNull   = regexp.MustCompile(`^(~|null|Null|NULL|)$`)
	yamlNumber = regexp.MustCompile(`^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`)
)

func (f *yamlFlow) plain(text string) any {
	if text != "" && strings.IndexByte("@`%", text[0]) >= 0 {
		f.parser.fail(f.line, "found character that cannot start any token")
	}
	if text != "" && strings.IndexByte("&*!", text[0]) >= 0 {
		return f.tagged(text)
	}
	if _, _, isKey := splitKey(text); isKey {
		f.parser.fail(f.line, "mapping values are not allowed in this context")
	}
	return scalar(text)
}

func (f *yamlFlow) tagged(text string) any {
	if strings.HasPrefix(text, "!!str ") {
		return strings.Trim(text[6:], `"'`)
	}
	if text[0] == '*' {
		f.parser.fail(f.line, "unknown anchor '%s' referenced", text[1:])
	}
	return text
}

func scalar(text string) any {
	switch {
	case yamlNull.MatchString(text):
		return nil
	case yamlTrue.MatchString(text) && len(text) > 1:
		return true
	case yamlFalse.MatchString(text) && len(text) > 1:
		return false
	}
	if number, err := strconv.ParseInt(strings.ReplaceAll(text, "_", ""), 0, 64); err == nil {
		return number
	}
	if yamlNumber.MatchString(text) {
		if number, err := strconv.ParseFloat(text, 64); err == nil {
			return number
		}
	}
	return text
}

// ToText writes a value as the real program does when it makes flags of a file.
func ToText(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case string:
		return v
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1e15 {
			return strconv.FormatFloat(v, 'f', -1, 64)
		}
		return fmt.Sprint(v)
	}
	return fmt.Sprint(Plain(value))
}

// Plain turns ordered maps into ordinary ones, for JSON.
func Plain(value any) any {
	switch v := value.(type) {
	case *YamlMap:
		result := map[string]any{}
		for key, item := range v.Values {
			result[key] = Plain(item)
		}
		return result
	case []any:
		result := make([]any, len(v))
		for i, item := range v {
			result[i] = Plain(item)
		}
		return result
	}
	return value
}

// WriteYAML prints plain values, keys sorted, as kubectl does.
func WriteYAML(out *strings.Builder, value any, indent string) {
	switch v := value.(type) {
	case map[string]any:
		for _, key := range SortedKeys(v) {
			writeYAMLItem(out, indent+key+":", v[key], indent+"  ")
		}
	case []any:
		for _, item := range v {
			if nested, ok := item.(map[string]any); ok && len(nested) > 0 {
				var inner strings.Builder
				WriteYAML(&inner, nested, indent+"  ")
				out.WriteString(indent + "- " + strings.TrimPrefix(inner.String(), indent+"  "))
				continue
			}
			writeYAMLItem(out, indent+"-", item, indent+"  ")
		}
	}
}

func writeYAMLItem(out *strings.Builder, head string, value any, indent string) {
	switch v := value.(type) {
	case map[string]any:
		if len(v) == 0 {
			out.WriteString(head + " {}\n")
			return
		}
		out.WriteString(head + "\n")
		WriteYAML(out, v, indent)
	case []any:
		if len(v) == 0 {
			out.WriteString(head + " []\n")
			return
		}
		out.WriteString(head + "\n")
		WriteYAML(out, v, strings.TrimSuffix(indent, "  "))
	case string:
		if _, same := scalar(v).(string); !same || strings.ContainsAny(v, ":#\n\"'{}[],&*!|>%@`") {
			v = strconv.Quote(v)
		}
		out.WriteString(head + " " + v + "\n")
	default:
		out.WriteString(head + " " + ToText(value) + "\n")
	}
}

func SortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	return keys
}
