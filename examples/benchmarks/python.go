package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

//go:embed python.py
var pythonProgram string

// pythonEngines are Python's DiskCache, whose side of each workload is in
// python.py.
func pythonEngines(s *settings) []*engine {
	variant := func(name, about string, does ...string) *engine {
		return &engine{
			name: name, about: about, durability: survivesProcess, does: does, missing: s.pythonMissing,
			processes: true, policies: []string{"", "lru"},
			command: func(ctx context.Context, j *job) *exec.Cmd {
				text, err := json.Marshal(j)
				if err != nil {
					panic(err) // it is made of numbers and strings
				}
				cmd := exec.CommandContext(ctx, s.python, "-c", pythonProgram, string(text))
				cmd.Env = s.pythonEnv()
				return cmd
			},
		}
	}
	return []*engine{
		variant("python-cache", "Python's DiskCache, `Cache`", append([]string{"lru"}, mapLoads...)...),
		variant("python-fanout", "Python's DiskCache, `FanoutCache` with eight shards and `retry=True`", "published", "keys"),
		variant("python-deque", "Python's DiskCache, `Deque`; it cannot wait, so the consumer looks every millisecond", "queue"),
		variant("python-lock", "Python's DiskCache, `Lock`, which looks every millisecond", "lock"),
	}
}

// pythonEnv is the environment of Python's processes.
func (s *settings) pythonEnv() []string {
	env := os.Environ()
	if s.checkout != "" {
		env = append(env, "PYTHONPATH="+s.checkout)
	}
	return env
}

// findPython looks for a Python that has DiskCache: the one that was asked
// for, Debian's, or the one in PATH.
func (s *settings) findPython() {
	candidates := []string{"/usr/bin/python3", "python3"}
	if s.python != "" {
		candidates = []string{s.python}
	}
	if s.checkout != "" {
		if dir, err := filepath.Abs(s.checkout); err == nil {
			s.checkout = dir
		}
	}
	for _, python := range candidates {
		cmd := exec.Command(python, "-c", "import sys, sqlite3, diskcache;"+
			" print('Python', sys.version.split()[0] + ', DiskCache', diskcache.__version__ + ', SQLite', sqlite3.sqlite_version)")
		cmd.Env = s.pythonEnv()
		if out, err := cmd.Output(); err == nil {
			s.python, s.pythonVersion = python, strings.TrimSpace(string(out))
			return
		}
	}
	s.pythonMissing = fmt.Sprintf("no Python with DiskCache (Debian's package is %s, or a checkout with `-diskcache`)", "python3-diskcache")
}
