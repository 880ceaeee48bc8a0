// The file of one member: a snapshot of the state, then log entries and votes, one JSON object a line.
package kube

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
)

type logEntry struct {
	Term  int64     `json:"term"`
	Index int64     `json:"index"`
	Op    Operation `json:"op"`
}

type journalLine struct {
	Snapshot json.RawMessage `json:"snapshot,omitempty"`
	Index    int64           `json:"index,omitempty"`
	Term     int64           `json:"term,omitempty"`
	Vote     string          `json:"vote,omitempty"`
	Entry    *logEntry       `json:"entry,omitempty"`
	ID       string          `json:"id,omitempty"`
}

type journal struct {
	path string
	file *os.File
}

// readJournal gives the lines of a file; a line cut off by a crash at the end is left out.
func readJournal(path string) ([]journalLine, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var lines []journalLine
	scanner := bufio.NewScanner(file)
	scanner.Buffer(make([]byte, 1<<20), 1<<28)
	for scanner.Scan() {
		var line journalLine
		if json.Unmarshal(scanner.Bytes(), &line) != nil {
			break
		}
		lines = append(lines, line)
	}
	return lines, scanner.Err()
}

func (j *journal) append(line journalLine) error {
	if j.file == nil {
		file, err := os.OpenFile(j.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		if err != nil {
			return err
		}
		j.file = file
	}
	encoded, err := json.Marshal(line)
	if err != nil {
		return err
	}
	_, err = j.file.Write(append(encoded, '\n'))
	return err
}

// rewrite replaces the file in one step.
func (j *journal) rewrite(lines []journalLine) error {
	if err := os.MkdirAll(filepath.Dir(j.path), 0o700); err != nil {
		return err
	}
	fresh := &journal{path: j.path + ".tmp"}
	os.Remove(fresh.path)
	for _, line := range lines {
		if err := fresh.append(line); err != nil {
			return err
		}
	}
	if fresh.file != nil {
		fresh.file.Close()
	}
	if j.file != nil {
		j.file.Close()
		j.file = nil
	}
	return os.Rename(fresh.path, j.path)
}
