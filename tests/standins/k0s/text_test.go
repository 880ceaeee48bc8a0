package main

import (
	"strings"
	"testing"
)

func parsed(t *testing.T, specs []flagSpec, words ...string) *invocation {
	t.Helper()
	given, err := parseFlags(specs, words)
	if err != nil {
		t.Fatal(err)
	}
	return given
}

func TestFlagsAreWrittenSortedWithTheirValues(t *testing.T) {
	given := parsed(t, join(controllerFlagSet, installFlagSet, debugFlags), "--single", "-c", "/etc/k0s/k0s.yaml", "--labels=b=2,a=1", "--env", "A=b", "--force",
		"--taints", "x=y:NoSchedule", "--taints=z=:NoExecute", "--kubelet-extra-args", "--a=1 --b=2", "--no-taints=0", "--k0s-cloud-provider-update-frequency=90s")
	want := "--config=/etc/k0s/k0s.yaml --k0s-cloud-provider-update-frequency=1m30s --kubelet-extra-args=--a=1 --b=2 --labels=a=1,b=2 --no-taints=false --single=true " +
		"--taints=x=y:NoSchedule,z=:NoExecute"
	if got := strings.Join(given.asWritten(absolute), " "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := environment(given); len(got) != 1 || got[0] != "A=b" {
		t.Error(got)
	}
}

func TestAFlagOfAnotherRoleIsUnknown(t *testing.T) {
	if _, err := parseFlags(workerFlagSet, []string{"--enable-worker"}); err == nil || err.Error() != "unknown flag: --enable-worker" {
		t.Error(err)
	}
}

func TestATokenIsForOneRole(t *testing.T) {
	token := packToken("worker", "https://10.0.0.1:6443", []byte("ca"), "abcdef.0123456789abcdef")
	client, err := parseToken(token+"\n", "worker")
	if err != nil || client.URL != "https://10.0.0.1:6443" || client.Token != "abcdef.0123456789abcdef" {
		t.Error(client, err)
	}
	if _, err := parseToken(token, "controller"); err == nil || !strings.Contains(err.Error(), "wrong token type kubelet-bootstrap, expected type: controller-bootstrap") {
		t.Error(err)
	}
	if _, err := parseToken("# used\n", "worker"); err == nil || !strings.HasPrefix(err.Error(), "failed to decode join token: illegal base64") {
		t.Error(err)
	}
}

func TestTheExternalAddressKeepsItsPort(t *testing.T) {
	for external, want := range map[string]string{"": "https://10.0.0.1:9443", "lb.example": "https://lb.example:9443", "lb.example:443": "https://lb.example:443"} {
		api := &apiSpec{Address: "10.0.0.1", ExternalAddress: external}
		if got := api.urlFor(9443); got != want {
			t.Errorf("%q: got %s, want %s", external, got, want)
		}
	}
}

func TestAConfigurationKeepsTheStorageOfASingleNode(t *testing.T) {
	single := &vars{DefaultStorageType: "kine", DataDir: "/data"}
	config, err := defaultConfigOf(single).merge([]byte("spec: {network: {provider: custom}}\n"))
	if err != nil || config.Spec.Storage.Type != "kine" || config.Spec.Network.PodCIDR != "10.244.0.0/16" {
		t.Error(config, err)
	}
	config, err = defaultConfigOf(nil).merge([]byte("spec: {network: {provider: custom}}\n"))
	if err != nil || config.Spec.Storage.Type != "etcd" || !config.Spec.Storage.joinable() {
		t.Error(config, err)
	}
}
