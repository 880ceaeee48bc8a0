// `k0s status`, and the socket that it asks.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"

	"standin/kube"
)

// statusInfo has the fields of `k0s status -o json`, in their order.
type statusInfo struct {
	Version                     string
	Pid                         int
	PPid                        int
	Role                        string
	SysInit                     string
	StubFile                    string
	Output                      string
	Workloads                   bool
	SingleNode                  bool
	Args                        []string
	WorkerToAPIConnectionStatus probeStatus
	ClusterConfig               *clusterConfig
	K0sVars                     *vars
}

type probeStatus struct {
	Message string
	Success bool
}

func statusCommand() *command {
	return &command{persistent: join(debugFlags, flags("status-socket text")), flags: flags("out,o text"), run: runStatus, children: map[string]*command{
		"components": {flags: flags("max-count number =1"), run: runComponents},
	}}
}

// serveStatus answers on the socket; probe tells how the kubelet reaches the API.
func serveStatus(info statusInfo, socket string, probe func() error) (func(), error) {
	os.Remove(socket)
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/status", func(w http.ResponseWriter, r *http.Request) {
		answer := info
		if info.Workloads {
			answer.WorkerToAPIConnectionStatus = probeStatus{Success: true}
			if err := probe(); err != nil {
				answer.WorkerToAPIConnectionStatus = probeStatus{Message: err.Error()}
			}
		}
		kube.WriteJSON(w, 200, answer)
	})
	mux.HandleFunc("/components", func(w http.ResponseWriter, r *http.Request) {
		kube.WriteJSON(w, 200, kube.Object{"healthProbes": kube.Object{}, "events": kube.Object{}})
	})
	server := &http.Server{Handler: mux}
	go server.Serve(listener)
	return func() { server.Close(); os.Remove(socket) }, nil
}

func askStatus(socket, path string, target any) error {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}}
	response, err := client.Get("http://localhost/" + path)
	if err != nil {
		return fmt.Errorf("status: can't get %q via %q: %w", path, socket, err)
	}
	defer response.Body.Close()
	if response.StatusCode != 200 {
		return fmt.Errorf("status: can't get %q via %q: status code %d", path, socket, response.StatusCode)
	}
	if err := json.NewDecoder(response.Body).Decode(target); err != nil {
		return fmt.Errorf("status: can't get %q via %q: can't decode JSON: %w", path, socket, err)
	}
	return nil
}

// readStatus keeps the configuration as it came, since reading one fills in defaults.
func readStatus(v *vars) (*statusInfo, error) {
	info := &statusInfo{ClusterConfig: &clusterConfig{Spec: defaultSpec()}}
	return info, askStatus(v.StatusSocketPath, "status", info)
}

func runStatus(i *invocation) error {
	info, err := readStatus(effectiveVars(i))
	if err != nil {
		return err
	}
	switch i.text("out") {
	case "json":
		out, _ := json.MarshalIndent(info, "", "   ")
		fmt.Println(string(out))
	case "yaml":
		var text strings.Builder
		kube.WriteYAML(&text, kube.Clone(info), "")
		fmt.Println(text.String())
	default:
		fmt.Printf("Version: %s\nProcess ID: %d\nRole: %s\nWorkloads: %v\nSingleNode: %v\n", info.Version, info.Pid, info.Role, info.Workloads, info.SingleNode)
		if info.Workloads {
			fmt.Println("Kube-api probing successful:", info.WorkerToAPIConnectionStatus.Success)
			fmt.Println("Kube-api probing last error: ", info.WorkerToAPIConnectionStatus.Message)
		}
	}
	return nil
}

func runComponents(i *invocation) error {
	fmt.Fprintln(os.Stderr, "!!! per component status is not yet finally ready, information here might be not full yet")
	var state kube.Object
	if err := askStatus(effectiveVars(i).StatusSocketPath, "components?maxCount="+i.text("max-count"), &state); err != nil {
		return err
	}
	fmt.Print("healthProbes: {}\n\n")
	return nil
}
