package main

import (
	"context"
	"os/exec"
	"regexp"
)

// engine is one way to keep entries, as it is configured.
type engine struct {
	name       string
	about      string // what it is, and its settings
	durability string // what a write that has returned survives

	// does names the workloads that it can run.
	does []string
	// processes: any number of them may use it at once.
	processes bool
	// memory: everything is in the process's own memory, and gone with it.
	memory bool
	// policies are those of eviction that the workload lru tries.
	policies []string

	// missing says why the machine does not have it, or is "".
	missing string

	// open opens it in a process of this program. It is nil if command is not.
	open func(ctx context.Context, j *job) (store, error)
	// command makes the process that carries out a job, where that is not
	// this program.
	command func(ctx context.Context, j *job) *exec.Cmd
	// serve starts the server that it needs. May be nil.
	serve func(dir string, limit int64) (*server, error)
}

func (e *engine) can(workload string) bool {
	for _, w := range e.does {
		if w == workload {
			return true
		}
	}
	return false
}

// store is an engine that a process has opened.
type store interface {
	// client returns what one goroutine works with. It may be the same for
	// all.
	client() (client, error)
	// load stores the entries from, from+1, ... to-1 of a source, in the
	// quickest way.
	load(s source, from, to int) error
	close() error
}

// client reads and writes entries. What get returns belongs to the caller.
type client interface {
	get(key string) (value []byte, ok bool, err error)
	set(key string, value []byte) error
	delete(key string) error
}

// queuer is a store that has a queue.
type queuer interface {
	push(item []byte) error
	pop() (item []byte, ok bool, err error)
	popWait() ([]byte, error)
}

// locker is a store that has a lock of all processes.
type locker interface {
	lock() (unlock func() error, err error)
}

// The sets of workloads that engines run. Where each write waits for the disk,
// more entries would only show more of the disk.
var (
	mapLoads   = []string{"published", "keys", "million", "growth"}
	floorLoads = []string{"published", "keys", "growth"}
	syncLoads  = []string{"published", "keys"}
)

// engines returns all engines in the order of the report, also those that the
// machine does not have.
func engines(s *settings) []*engine {
	var all []*engine
	all = append(all, diskcacheEngines()...)
	all = append(all, pythonEngines(s)...)
	all = append(all, redisEngines()...)
	all = append(all, memcachedEngine())
	all = append(all, boltEngines()...)
	all = append(all, badgerEngines()...)
	all = append(all, pebbleEngines()...)
	all = append(all, lmdbEngines()...)
	all = append(all, floorEngines()...)
	all = append(all, otterEngine())
	return all
}

// engineNamed returns an engine, or nil.
func engineNamed(s *settings, name string) *engine {
	for _, e := range engines(s) {
		if e.name == name {
			return e
		}
	}
	return nil
}

func selected(all []*engine, pattern *regexp.Regexp) []*engine {
	var out []*engine
	for _, e := range all {
		if pattern.MatchString(e.name) {
			out = append(out, e)
		}
	}
	return out
}
