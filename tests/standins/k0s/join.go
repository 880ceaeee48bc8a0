// How a controller joins: it asks one that is there for the cluster's keys, then for a place in etcd.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"standin/kube"
)

type joinClient struct{ *kube.KubeClient }

// needToJoin tells whether this controller has no datastore yet, or no CA where the datastore is not etcd.
func (c *controller) needToJoin() bool {
	if c.embedded() && c.config.Spec.Storage.Etcd.ExternalCluster == nil {
		return !kube.Exists(filepath.Join(c.v.EtcdDataDir, "member", "snap", "db"))
	}
	return !kube.Exists(filepath.Join(c.v.CertRootDir, "ca.key")) || !kube.Exists(filepath.Join(c.v.CertRootDir, "ca.crt"))
}

func (c *controller) joinIfNeeded() (*joinClient, error) {
	if !c.needToJoin() {
		return nil, nil
	}
	token, err := givenToken(c.i)
	if err != nil || token == "" {
		return nil, err
	}
	client, err := parseToken(token, "controller")
	if err != nil {
		return nil, fmt.Errorf("failed to join controller: failed to create join client: %w", err)
	}
	kube.Infof("Joining existing cluster via %s", client.URL)
	client.HTTP.Timeout = 10 * time.Second
	var answer caAnswer
	err = retry(100*time.Millisecond, time.Hour, func() error {
		content, err := client.Do("GET", "/v1beta1/ca", "", nil)
		if err != nil {
			return err
		}
		return json.Unmarshal(content, &answer)
	})
	if err != nil {
		return nil, fmt.Errorf("failed to join controller: failed to join existing cluster via %s: %w", client.URL, err)
	}
	kube.Infof("Got valid CA response, storing certificates")
	return &joinClient{client}, c.storeKeys(answer)
}

func (c *controller) storeKeys(answer caAnswer) error {
	for name, content := range map[string][]byte{"ca.key": answer.Key, "ca.crt": answer.Cert, "sa.key": answer.SAKey, "sa.pub": answer.SAPub} {
		mode := os.FileMode(0o644)
		if strings.HasSuffix(name, ".key") {
			mode = 0o640
		}
		if err := os.WriteFile(filepath.Join(c.v.CertRootDir, name), content, mode); err != nil {
			return fmt.Errorf("failed to join controller: failed to write %s: %w", name, err)
		}
	}
	return nil
}

// retry tries ten times, waiting twice as long each time; STANDIN_RETRY_FACTOR scales it, since the real one takes minutes.
func retry(delay, most time.Duration, try func() error) error {
	factor := secondsOf("STANDIN_RETRY_FACTOR", 0.2).Seconds()
	var err error
	for attempt := 0; attempt < 10; attempt++ {
		if err = try(); err == nil {
			return nil
		}
		if attempt < 9 {
			time.Sleep(time.Duration(float64(delay) * factor))
		}
		if delay *= 2; delay > most {
			delay = most
		}
	}
	return err
}

// joinEtcd asks for a place, and stores the keys of etcd unless there are some. It gives the new member's ID.
func (c *controller) joinEtcd(join *joinClient, name string) (string, error) {
	kube.Infof("Synchronizing etcd config with existing cluster via %s", join.URL)
	var answer etcdAnswer
	err := retry(time.Second, time.Minute, func() error {
		content, err := join.Do("POST", "/v1beta1/etcd/members", "", etcdRequest{name, c.PeerURL()})
		if err != nil {
			return err
		}
		return json.Unmarshal(content, &answer)
	})
	if err != nil {
		return "", fmt.Errorf("failed to sync etcd config: failed to synchronize etcd config with existing cluster via %s: %w", join.URL, err)
	}
	base := filepath.Join(c.v.EtcdCertDir, "ca")
	if kube.Exists(base+".key") && kube.Exists(base+".crt") {
		kube.Warnf("etcd ca certs already exists, not gonna overwrite. If you wish to re-sync them, delete the existing ones.")
		return answer.MemberID, nil
	}
	if err := os.WriteFile(base+".key", answer.CA.Key, 0o640); err != nil {
		return "", err
	}
	return answer.MemberID, os.WriteFile(base+".crt", answer.CA.Cert, 0o640)
}
