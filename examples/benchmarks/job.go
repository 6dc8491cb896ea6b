package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"time"
)

// jobEnv is the environment variable that makes a process of this program a
// child, which carries out the job in it.
const jobEnv = "DISKCACHE_BENCHMARKS_JOB"

// job is what one child process is to do. The program in Python reads it too.
type job struct {
	Engine string `json:"engine"`
	Kind   string `json:"kind"` // which of kinds
	Role   string `json:"role,omitempty"`

	program string // that carries it out, unless its engine has a command

	Dir     string `json:"dir"`               // of the engine's files, or of its server's
	Address string `json:"address,omitempty"` // of the server: host and port
	Socket  string `json:"socket,omitempty"`  // of the server

	Nanoseconds int64  `json:"nanoseconds"` // how long each phase lasts
	Goroutines  int    `json:"goroutines,omitempty"`
	Keys        int    `json:"keys,omitempty"`
	Size        int    `json:"size,omitempty"` // of values; 0: 1 to 600 bytes
	Gets        int    `json:"gets,omitempty"` // of 1000 operations
	Sets        int    `json:"sets,omitempty"` // of 1000 operations; the rest deletes
	Limit       int64  `json:"limit,omitempty"`
	Policy      string `json:"policy,omitempty"` // of eviction: "lru", or "" for the engine's own
	Load        bool   `json:"load,omitempty"`   // store all keys first
	Seed        uint64 `json:"seed"`
}

func (j *job) duration() time.Duration { return time.Duration(j.Nanoseconds) }

// outcome is what a child process has measured.
type outcome struct {
	Base   int64   `json:"base"` // resident bytes before anything was opened
	Phases []phase `json:"phases"`
}

// phase is one part of a job that is measured by itself.
type phase struct {
	Name        string     `json:"name"`
	Operations  int64      `json:"operations"`
	Nanoseconds int64      `json:"nanoseconds"`
	Latencies   tallies    `json:"latencies"`
	Hits        int64      `json:"hits"`
	Misses      int64      `json:"misses"`
	Resident    int64      `json:"resident"`        // bytes at the end
	Disk        int64      `json:"disk,omitempty"`  // bytes, where they differ from phase to phase
	Holds       [][2]int64 `json:"holds,omitempty"` // of the lock: when it was taken and when it was given up
}

// kind carries out a job on an opened engine. ready is to be called when all
// is prepared, and returns when the other processes are.
type kind func(s store, j *job, ready func() error) ([]phase, error)

var kinds = map[string]kind{
	"load":   loadOnly,
	"mix":    runMix,
	"keys":   runKeys,
	"lru":    runLRU,
	"growth": runGrowth,
	"queue":  runQueue,
	"lock":   runLock,
}

// child carries out the job that is described in text and writes its outcome
// to standard output.
func child(text string) error {
	signal.Ignore(os.Interrupt) // a terminal's goes to all; the parent ends its children
	base := resident(os.Getpid())
	var j job
	if err := json.Unmarshal([]byte(text), &j); err != nil {
		return err
	}
	e := engineNamed(&settings{}, j.Engine)
	run := kinds[j.Kind]
	if e == nil || e.open == nil || run == nil {
		return fmt.Errorf("no engine %q or no job %q", j.Engine, j.Kind)
	}
	ctx := context.Background()
	s, err := e.open(ctx, &j)
	if err != nil {
		return err
	}
	in := bufio.NewReader(os.Stdin)
	phases, err := run(s, &j, func() error {
		fmt.Println("ready")
		_, err := in.ReadString('\n')
		return err
	})
	if cerr := s.close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(outcome{Base: base, Phases: phases})
}

// begin makes a phase begin with as little garbage of what came before as
// possible.
func begin(name string) (*phase, time.Time) {
	runtime.GC()
	return &phase{Name: name, Latencies: tallies{}}, time.Now()
}

// end completes a phase.
func (p *phase) end(start time.Time) phase {
	p.Nanoseconds = int64(time.Since(start))
	p.Resident = resident(os.Getpid())
	return *p
}

// get, set and delete carry out one operation, time it and return when it was
// done.

func (p *phase) get(c client, key string) (time.Time, error) {
	start := time.Now()
	_, ok, err := c.get(key)
	now := time.Now()
	p.Latencies.add("get", now.Sub(start))
	p.Operations++
	if ok {
		p.Hits++
	} else {
		p.Misses++
	}
	return now, err
}

func (p *phase) set(c client, key string, value []byte) (time.Time, error) {
	start := time.Now()
	err := c.set(key, value)
	now := time.Now()
	p.Latencies.add("set", now.Sub(start))
	p.Operations++
	return now, err
}

func (p *phase) delete(c client, key string) (time.Time, error) {
	start := time.Now()
	err := c.delete(key)
	now := time.Now()
	p.Latencies.add("delete", now.Sub(start))
	p.Operations++
	return now, err
}

// loadOnly stores all keys.
func loadOnly(s store, j *job, ready func() error) ([]phase, error) {
	if err := ready(); err != nil {
		return nil, err
	}
	p, start := begin("load")
	if err := s.load(newSource(j.Keys, j.Size, j.Seed), 0, j.Keys); err != nil {
		return nil, err
	}
	p.Operations = int64(j.Keys)
	return []phase{p.end(start)}, nil
}
