package main

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
)

// machine is what figures depend on. It names neither the machine nor its
// directories.
type machine struct {
	Date       string            `json:"date"`
	Took       string            `json:"took"`
	CPU        string            `json:"cpu"`
	Cores      int               `json:"cores"`
	Memory     int64             `json:"memory_bytes,omitempty"`
	System     string            `json:"system"`
	Go         string            `json:"go"`
	FileSystem string            `json:"file_system,omitempty"`
	Clock      int64             `json:"clock_ns"` // of reading it twice
	Phase      string            `json:"phase"`
	Versions   map[string]string `json:"versions"`
}

// describe looks at the machine. dir is where the engines keep their files.
func describe(s *settings, dir string) machine {
	m := machine{
		Date:       time.Now().Format(time.DateOnly),
		CPU:        cpuModel(),
		Cores:      runtime.NumCPU(),
		Memory:     memoryTotal(),
		System:     runtime.GOOS + "/" + runtime.GOARCH,
		Go:         runtime.Version(),
		FileSystem: fileSystem(dir),
		Clock:      clockCost(),
		Phase:      s.duration.String(),
		Versions:   map[string]string{},
	}
	if kernel, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.System += ", kernel " + strings.TrimSpace(string(kernel))
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, d := range info.Deps {
			for _, path := range compared {
				if d.Path == path {
					m.Versions[path] = d.Version
				}
			}
		}
	}
	for name, v := range map[string]string{
		"redis-server": versionOf(redisServer),
		"memcached":    versionOf(memcachedServer),
		"python":       s.pythonVersion,
	} {
		if v != "" {
			m.Versions[name] = v
		}
	}
	return m
}

// compared are the modules whose version a reader wants to know.
var compared = []string{
	"modernc.org/sqlite",
	"github.com/mattn/go-sqlite3",
	"github.com/redis/rueidis",
	"github.com/bradfitz/gomemcache",
	"go.etcd.io/bbolt",
	"github.com/dgraph-io/badger/v4",
	"github.com/cockroachdb/pebble/v2",
	"github.com/maypok86/otter/v2",
}

// procField returns the first value of a field in a file of /proc, or "".
func procField(file, field string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	for line := range bytes.Lines(text) {
		name, value, ok := strings.Cut(string(line), ":")
		if ok && strings.TrimSpace(name) == field {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func cpuModel() string {
	if name := procField("/proc/cpuinfo", "model name"); name != "" {
		return name
	}
	return runtime.GOARCH
}

func memoryTotal() int64 {
	kib, _, _ := strings.Cut(procField("/proc/meminfo", "MemTotal"), " ")
	n, err := strconv.ParseInt(kib, 10, 64)
	if err != nil {
		return 0
	}
	return n << 10
}

// fileSystem returns the type of the file system that a directory is on, or
// "".
func fileSystem(dir string) string {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return ""
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return ""
	}
	best, kind := "", ""
	for line := range bytes.Lines(mounts) {
		fields := strings.Fields(string(line))
		if len(fields) < 3 {
			continue
		}
		at := strings.TrimSuffix(fields[1], "/")
		if (dir == at || strings.HasPrefix(dir, at+"/")) && len(fields[1]) >= len(best) {
			best, kind = fields[1], fields[2]
		}
	}
	return kind
}

// clockCost returns how long it takes, in nanoseconds, to read the clock twice,
// as every measurement does.
func clockCost() int64 {
	const n = 100_000
	start := time.Now()
	for range n {
		t := time.Now()
		_ = time.Since(t)
	}
	return int64(time.Since(start)) / n
}
