package main

import (
	"encoding/hex"
	"reflect"
	"strings"
	"testing"

	"standin/kube"
)

func TestDigestsAreThoseOfTheStandard(t *testing.T) {
	for input, wanted := range map[string]string{
		"":    "0c63a75b845e4f7d01107d852e4c2485c51a50aaaa94fc61995e71bbee983a2ac3713831264adb47fb6bd1e058d5f004",
		"abc": "ec01498288516fc926459f58e2c6ad8df9b473cb0fc08c2596da7cf0e49be4b298d88cea927ac7f539f1edf228376d25",
	} {
		var hash sha3State
		hash.Write([]byte(input))
		if got := hex.EncodeToString(hash.Sum()); got != wanted {
			t.Errorf("%q: %s", input, got)
		}
	}
}

func members(roles string) []kube.Member {
	var list []kube.Member
	for n, role := range roles {
		m := kube.Member{ID: string(rune('a' + n)), Learner: role != 'v'}
		m.Role = map[rune]string{'t': "standby", 's': "spare"}[role]
		list = append(list, m)
	}
	return list
}

func TestRolesGoAsInDqlite(t *testing.T) {
	for _, row := range []struct {
		roles, away string
		id          string
		role        int
	}{
		{"v", "", "", 0}, {"vs", "", "", 0}, // nothing below three members
		{"vss", "", "b", 0}, {"vvs", "", "c", 0}, {"vvv", "", "", 0},
		{"vvvs", "", "d", 1}, {"vvvtt", "", "", 0}, {"vvvtts", "", "f", 1}, {"vvvttts", "", "", 0},
		{"vvvs", "a", "d", 0}, {"vvvt", "b", "d", 0}, {"vvvv", "a", "a", 2},
	} {
		changed := nextRole(members(row.roles), func(m kube.Member) bool { return !strings.Contains(row.away, m.ID) || row.away == "" })
		switch {
		case changed == nil && row.id != "":
			t.Errorf("%s without %q: nothing changes", row.roles, row.away)
		case changed != nil && (changed.ID != row.id || roleOf(*changed) != row.role):
			t.Errorf("%s without %q: %s becomes %d", row.roles, row.away, changed.ID, roleOf(*changed))
		}
	}
}

func TestChannelsAreCompleted(t *testing.T) {
	for given, wanted := range map[string]string{"1.36": "1.36/stable", "stable": "latest/stable", "1.36/edge": "1.36/edge", "1.36-strict/stable": "1.36-strict/stable"} {
		if found, err := parseChannel(given); err != nil || found.String() != wanted {
			t.Errorf("%s: %s %v", given, found, err)
		}
	}
	for _, wrong := range []string{"", "1.36/nope", "a/b/c/d"} {
		if _, err := parseChannel(wrong); err == nil {
			t.Errorf("%q is taken", wrong)
		}
	}
}

func TestLaunchConfigurationsAreHeldAgainstTheirForm(t *testing.T) {
	for content, valid := range map[string]bool{
		"version: 0.1.0\n": true, "version: 0.2.0\nunknown: 1\n": true, "---\nversion: 0.1.0\n---\nversion: 0.1.0\nextraKubeletArgs: {--max-pods: 200, --v: null}\n": true,
		"version: 0.3.0\n": false, "version: 1\n": false, "addons: []\n": false, "version: 0.1.0\nextraKubeletArgs: [x]\n": false,
		"version: 0.1.0\nextraKubeletArgs: {--x: [1]}\n": false, "version: 0.1.0\naddons: {dns: true}\n": false, "version: 0.1.0\n  bad: x\n": false,
	} {
		if _, err := readLaunch(content); (err == nil) != valid {
			t.Errorf("%q: %v", content, err)
		}
	}
}

func TestArgumentsArgparse(t *testing.T) {
	options := []option{{names: []string{"--format"}, value: true, choices: []string{"a"}}, {names: []string{"-w", "--wait"}}}
	found, problem := parseArgparse(options, []string{"--form=a", "-w", "x"})
	if problem != "" || !reflect.DeepEqual(found.values, map[string]string{"--format": "a", "-w": ""}) || found.words[0] != "x" {
		t.Errorf("%v %q", found, problem)
	}
}

func TestEachSnapHasItsRevisionInItsAssertion(t *testing.T) {
	found, err := parseAssertions("type: account-key\nsign-key-sha3-384: k\n\nsignature\n\ntype: snap-revision\nsnap-revision: 7\nsign-key-sha3-384: k\n\nsignature\n")
	if err != nil || len(found) != 2 || found[1]["snap-revision"] != "7" {
		t.Errorf("%v %v", found, err)
	}
	for _, wrong := range []string{"bad", "type: x\n\n", "type: x\n\nsignature"} {
		if _, err := parseAssertions(wrong); err == nil {
			t.Errorf("%q is taken", wrong)
		}
	}
}
