// Small things about the host and its files that every part asks for.
package kube

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

func AddressOfInterface(device string) (string, error) {
	found, err := net.InterfaceByName(device)
	if err != nil {
		return "", fmt.Errorf("unable to get interface %s: %w", device, err)
	}
	addresses, err := found.Addrs()
	if err != nil {
		return "", err
	}
	for _, address := range addresses {
		if network, ok := address.(*net.IPNet); ok && network.IP.To4() != nil {
			return network.IP.String(), nil
		}
	}
	return "", fmt.Errorf("can't find ip for interface %s", device)
}

// AddressOfDefaultRoute reads the routing table of the kernel, as the real program does; no packet is sent.
func AddressOfDefaultRoute() (string, error) {
	table, err := os.ReadFile("/proc/net/route")
	if err != nil {
		return "", err
	}
	for _, line := range strings.Split(string(table), "\n")[1:] {
		if words := strings.Fields(line); len(words) > 2 && words[1] == "00000000" {
			return AddressOfInterface(words[0])
		}
	}
	return "", errors.New("no default routes found in \"/proc/net/route\" or \"/proc/net/ipv6_route\"")
}

func SecondsFromEnvironment(name string, fallback float64) time.Duration {
	if value, err := time.ParseDuration(os.Getenv(name) + "s"); err == nil {
		return value
	}
	return time.Duration(fallback * float64(time.Second))
}

// ServiceAddress gives the n-th address of the first network of a list.
func ServiceAddress(cidrs string, n byte) string {
	first, _, _ := strings.Cut(cidrs, ",")
	_, network, err := net.ParseCIDR(first)
	if err != nil {
		return ""
	}
	address := append(net.IP{}, network.IP...)
	address[len(address)-1] += n
	return address.String()
}

func Exists(path string) bool { _, err := os.Stat(path); return err == nil }

func RandomHex(bytes int) string {
	buffer := make([]byte, bytes)
	rand.Read(buffer)
	return hex.EncodeToString(buffer)
}

// ReadLine gives the content of a small file without the space around it.
func ReadLine(path string) (string, error) {
	content, err := os.ReadFile(path)
	return strings.TrimSpace(string(content)), err
}

func IsList(value any) bool { _, ok := value.([]any); return ok }

func ToJSON(value any) string {
	out, err := json.Marshal(value)
	if err != nil {
		return "null"
	}
	return string(out)
}

func CopyTree(from, to string) error {
	return filepath.Walk(from, func(path string, info os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		target := to + strings.TrimPrefix(path, from)
		if info.IsDir() {
			return os.MkdirAll(target, info.Mode())
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(target, content, info.Mode())
	})
}

func RandomLetters(count int) string {
	const letters = "abcdefghijklmnopqrstuvwxyz0123456789"
	var out strings.Builder
	for i := 0; i < count; i++ {
		n, _ := rand.Int(rand.Reader, big.NewInt(int64(len(letters))))
		out.WriteByte(letters[n.Int64()])
	}
	return out.String()
}

func IndentJSON(value any) string {
	out, err := json.MarshalIndent(value, "", "    ")
	if err != nil {
		return "null"
	}
	return string(out)
}
