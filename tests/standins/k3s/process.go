// What a process of k3s tells the service manager, and hides from `ps`.
package main

import (
	"fmt"
	"net"
	"os"
	"strings"
	"unsafe"
)

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
