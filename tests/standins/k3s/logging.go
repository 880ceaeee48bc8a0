// Log lines in the form the real program writes on stderr, and the service manager's notification.
package main

import (
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"
	"unsafe"
)

var logMutex sync.Mutex

func logAt(level, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	logMutex.Lock()
	defer logMutex.Unlock()
	fmt.Fprintf(os.Stderr, "time=%q level=%s msg=%s\n", time.Now().Format(time.RFC3339), level, quoteIfNeeded(text))
}

func infof(format string, args ...any)  { logAt("info", format, args...) }
func warnf(format string, args ...any)  { logAt("warning", format, args...) }
func errorf(format string, args ...any) { logAt("error", format, args...) }
func fatalf(format string, args ...any) {
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

// notifyReady tells systemd once that start-up is done.
func notifyReady() {
	socket := os.Getenv("NOTIFY_SOCKET")
	if socket == "" {
		return
	}
	if socket[0] == '@' {
		socket = "\x00" + socket[1:]
	}
	if conn, err := net.Dial("unixgram", socket); err == nil {
		fmt.Fprint(conn, "READY=1\n")
		conn.Close()
	}
}

// hideArguments overwrites the argument vector, since it may hold a token that `ps` would show.
func hideArguments(title string) {
	if len(os.Args) == 0 {
		return
	}
	first, last := os.Args[0], os.Args[len(os.Args)-1]
	start := uintptr(unsafe.Pointer(unsafe.StringData(first)))
	size := uintptr(unsafe.Pointer(unsafe.StringData(last))) + uintptr(len(last)) - start
	if len(last) == 0 || size > 1<<16 {
		return
	}
	memory := unsafe.Slice(unsafe.StringData(first), size)
	saved := strings.Clone(title)
	os.Args = append([]string{}, saved)
	for i := range memory {
		memory[i] = 0
	}
	copy(memory, saved)
}
