// Log lines in the form the real program writes on stderr.
package kube

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

var (
	LogTime             = time.RFC3339
	LogOutput io.Writer = os.Stderr
	LogLevel            = "info" // or "warning": what is less is not written

	logMutex sync.Mutex
)

func logAt(level, format string, args ...any) { LogWith(level, "", format, args...) }

// LogWith writes a line with fields (" name=value") after the message.
func LogWith(level, fields, format string, args ...any) {
	if level == "info" && LogLevel == "warning" {
		return
	}
	text := fmt.Sprintf(format, args...)
	logMutex.Lock()
	defer logMutex.Unlock()
	fmt.Fprintf(LogOutput, "time=%q level=%s msg=%s%s\n", time.Now().Format(LogTime), level, quoteIfNeeded(text), fields)
}

func Infof(format string, args ...any)  { logAt("info", format, args...) }
func Warnf(format string, args ...any)  { logAt("warning", format, args...) }
func Errorf(format string, args ...any) { logAt("error", format, args...) }
func Fatalf(format string, args ...any) {
	logAt("fatal", format, args...)
	os.Exit(1)
}

func quoteIfNeeded(text string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-._/@^+", r)
	}
	if text != "" && strings.IndexFunc(text, func(r rune) bool { return !plain(r) }) < 0 {
		return text
	}
	return fmt.Sprintf("%q", text)
}
